# SPDX-License-Identifier: Apache-2.0
"""``python3 -m lab.devstack.clusters NAME=POOL,POOL ...``: Ceph clusters, run in the machine, by root.

Each is one that an operator has already: /etc/ceph/NAME.conf, and the keys of Glance and of Nova and Cinder
beside it. What devstack-plugin-ceph removes of them at its end is there again after a second call.
"""

import os
import pathlib
import shutil
import sys
import typing

from lab import ceph

FOLDER, ETC, STARTED = '/var/lib/lab-ceph', '/etc/ceph', '/run/lab-ceph'
IMAGES = 'images'
#: Clients, and whether one may write the pools of disks, too.
CLIENTS = {'glance': False, 'cinder': True}
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


def main(words: typing.Sequence[str]) -> None:
    """Start the clusters unless they run, and leave them running; publish their files."""
    wanted = [word.split('=') for word in words]
    clusters = {name: ceph.Ceph(os.path.join(FOLDER, name), pools=pools.split(','), size=SIZE, mgr=True,
                                guarded=False) for name, pools in wanted}
    if not os.path.exists(STARTED):
        # Those of a tree that was booted before: each run may want other pools.
        shutil.rmtree(FOLDER, ignore_errors=True)
        ceph.start_all(list(clusters.values()))
        pathlib.Path(STARTED).touch()
    os.makedirs(ETC, exist_ok=True)
    for name, cluster in clusters.items():
        _publish(name, cluster)


def _publish(name: str, cluster: ceph.Ceph) -> None:
    monitor = cluster.ceph('config', 'generate-minimal-conf')
    monitor = next(line.split('=', 1)[1].strip() for line in monitor.splitlines() if 'mon_host' in line)
    pathlib.Path(ETC, name + '.conf').write_text(
        _CONF.format(fsid=cluster.fsid, monitor=monitor, etc=ETC, name=name), encoding='utf-8')
    for client, has_disks in CLIENTS.items():
        pools = [pool for pool in cluster.pools if has_disks or pool.startswith(IMAGES)]
        key = cluster.ceph('auth', 'get-or-create', 'client.' + client, 'mon', 'profile rbd', 'mgr',
                           'profile rbd', 'osd', ', '.join('profile rbd pool=' + pool for pool in pools))
        path = pathlib.Path(ETC, '%s.client.%s.keyring' % (name, client))
        path.write_text(key, encoding='utf-8')
        # The services of a devstack are this user's.
        os.chmod(str(path), 0o640)
        shutil.chown(str(path), 'stack')


if __name__ == '__main__':
    main(sys.argv[1:])
