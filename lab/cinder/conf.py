# SPDX-License-Identifier: Apache-2.0
"""Write the cinder.conf of a lab: fake transport, SQLite, one directory backend.

Imports nothing of Cinder, so that the process that starts a lab needs none.
"""
import os
import typing

SHARE = '127.0.0.1:/lab'
BACKEND = 'directory'
HOST = 'lab'
DRIVER = 'lab.cinder.driver.DirectoryDriver'
STOCK_MANAGER = 'cinder.volume.manager.VolumeManager'

Sections = typing.Dict[str, typing.Dict[str, str]]


def defaults(state_dir: str, glance_url: str, auth: str) -> Sections:
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


def merged(base: Sections, overrides: Sections) -> Sections:
    """Return ``base`` with the options of ``overrides`` set over it."""
    result = {name: dict(options) for name, options in base.items()}
    for name, options in overrides.items():
        result.setdefault(name, {}).update(options)
    return result


def write(state_dir: str, sections: Sections) -> str:
    """Make ``state_dir`` ready and write cinder.conf into it; return the file's path."""
    for name in ('conversion', 'coordination', 'locks', 'volumes'):
        os.makedirs(os.path.join(state_dir, name), exist_ok=True)
    with open(os.path.join(state_dir, 'shares'), 'w', encoding='utf-8') as shares:
        shares.write(SHARE + '\n')
    path = os.path.join(state_dir, 'cinder.conf')
    with open(path, 'w', encoding='utf-8') as conf:
        for name, options in sections.items():
            conf.write('[%s]\n' % name)
            for key, value in options.items():
                # A list is an option that is given several times.
                for one in value if isinstance(value, list) else [value]:
                    conf.write('%s = %s\n' % (key, _text(one)))
    return path


def _text(value: typing.Any) -> str:
    # oslo.config expands $name; a lab's values are meant as written.
    return str(value).replace('$', '$$')
