# SPDX-License-Identifier: Apache-2.0
"""Write the cinder.conf of a lab: fake transport, SQLite, one directory backend.

Imports nothing of Cinder, so that the process that starts a lab needs none.
"""
import os

from lab import ini

SHARE = '127.0.0.1:/lab'
BACKEND = 'directory'
HOST = 'lab'
DRIVER = 'lab.cinder.driver.DirectoryDriver'
STOCK_MANAGER = 'cinder.volume.manager.VolumeManager'


def defaults(state_dir: str, glance_url: str, auth: str) -> ini.Sections:
    """Return the options of a lab that lives in ``state_dir`` and uploads to ``glance_url``.

    :param auth: 'keystone' (glanceclient on a keystoneauth session) or 'noauth'
    """
    def inside(*names: str) -> str:
        return os.path.join(state_dir, *names)

    return {
        'DEFAULT': {
            'auth_strategy': auth,
            'enabled_backends': BACKEND,
            'glance_api_servers': glance_url,
            'host': HOST,
            'image_conversion_dir': inside('conversion'),
            'log_file': inside('cinder.log'),
            'scheduler_driver_init_wait_time': '1',
            'state_path': state_dir,
            'transport_url': 'fake://',
            'use_stderr': 'false',
        },
        BACKEND: {
            'nas_secure_file_operations': 'true',
            'nas_secure_file_permissions': 'true',
            'nfs_mount_point_base': inside('volumes'),
            'nfs_shares_config': inside('shares'),
            'nfs_snapshot_support': 'true',
            'volume_backend_name': BACKEND,
            'volume_driver': DRIVER,
        },
        'coordination': {'backend_url': 'file://' + inside('coordination')},
        'database': {
            'connection': 'sqlite:///%s?timeout=60' % inside('cinder.sqlite'),
            'sqlite_synchronous': 'false',
        },
        'oslo_concurrency': {'lock_path': inside('locks')},
        'oslo_messaging_notifications': {'driver': 'noop'},
    }


def write(state_dir: str, sections: ini.Sections) -> str:
    """Make ``state_dir`` ready and write cinder.conf into it; return the file's path."""
    for name in ('conversion', 'coordination', 'locks', 'volumes'):
        os.makedirs(os.path.join(state_dir, name), exist_ok=True)
    with open(os.path.join(state_dir, 'shares'), 'w', encoding='utf-8') as shares:
        shares.write(SHARE + '\n')
    return ini.write(os.path.join(state_dir, 'cinder.conf'), sections)
