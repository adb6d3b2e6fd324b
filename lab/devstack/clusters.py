# SPDX-License-Identifier: Apache-2.0
"""``python3 -m lab.devstack.clusters NAME...``: Ceph clusters, run in the machine, by root.

Each is one that an operator has already: /etc/ceph/NAME.conf, and the keys of Glance and of Nova beside it.
"""

import os
import pathlib
import shutil
import sys
import typing

from lab import ceph

FOLDER, ETC = '/var/lib/lab-ceph', '/etc/ceph'
POOLS = ('images', 'vms')
#: The pools that a client may write.
CLIENTS = {'glance': ('images',), 'cinder': POOLS}
SIZE = 16 << 30
_CONF = """\
[global]
fsid = {fsid}
mon_host = {monitor}
keyring = {etc}/{name}.$name.keyring
[client]
admin_socket =
log_file =
"""


def main(names: typing.Sequence[str]) -> None:
    """Start the clusters, and leave them running."""
    clusters = [ceph.Ceph(os.path.join(FOLDER, name), pools=POOLS, size=SIZE, mgr=True, guarded=False)
                for name in names]
    ceph.start_all(clusters)
    os.makedirs(ETC, exist_ok=True)
    for name, cluster in zip(names, clusters):
        _publish(name, cluster)


def _publish(name: str, cluster: ceph.Ceph) -> None:
    monitor = cluster.ceph('config', 'generate-minimal-conf')
    monitor = next(line.split('=', 1)[1].strip() for line in monitor.splitlines() if 'mon_host' in line)
    pathlib.Path(ETC, name + '.conf').write_text(
        _CONF.format(fsid=cluster.fsid, monitor=monitor, etc=ETC, name=name), encoding='utf-8')
    for client, pools in CLIENTS.items():
        key = cluster.ceph('auth', 'get-or-create', 'client.' + client, 'mon', 'profile rbd', 'mgr',
                           'profile rbd', 'osd', ', '.join('profile rbd pool=' + pool for pool in pools))
        path = pathlib.Path(ETC, '%s.client.%s.keyring' % (name, client))
        path.write_text(key, encoding='utf-8')
        # The services of a devstack are this user's.
        os.chmod(str(path), 0o640)
        shutil.chown(str(path), 'stack')


if __name__ == '__main__':
    main(sys.argv[1:])
