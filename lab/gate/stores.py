# SPDX-License-Identifier: Apache-2.0
"""What the cloud stands on: MariaDB, RabbitMQ, and a Ceph cluster for each site."""

import os
import pathlib
import shutil
import typing

from lab import ceph
from lab.gate import config
from lab.gate import processes
from lab.gate import sites

DATABASES = ('keystone', 'glance', 'placement', 'cinder', 'nova_api', 'nova_cell0', 'nova_cell1')

# Ceph's own documentation gives these rights to its clients; that of Nova demands writing to the images
# too, for direct snapshots.
_MAY = {config.GLANCE_USER: (config.IMAGES,),
        config.CINDER_USER: (config.VOLUMES, config.DISKS, config.IMAGES)}


class MariaDB:
    """The database server; its data do not outlive the gate, so nothing is made durable."""

    NAME = 'mariadb'

    def __init__(self, paths: config.Paths, running: processes.Processes) -> None:
        self.folder = paths.in_work('mariadb')
        self._socket = paths.in_work('mariadb.sock')
        self._running = running

    def make(self) -> None:
        """Make an empty server's folder."""
        self._running.run(['mariadb-install-db', '--no-defaults', '--user=root', '--skip-test-db',
                           '--auth-root-authentication-method=normal', '--datadir=' + self.folder],
                          'mariadb-install')

    def start(self) -> None:
        """Start it, and wait until it responds."""
        self._running.start(self.NAME, [
            shutil.which('mariadbd') or '/usr/sbin/mariadbd', '--no-defaults', '--user=root',
            '--datadir=' + self.folder, '--socket=' + self._socket, '--bind-address=127.0.0.1',
            '--port=%d' % sites.PORTS['mariadb'], '--skip-log-bin', '--max-connections=600',
            '--innodb-flush-log-at-trx-commit=0', '--innodb-flush-method=nosync',
            '--innodb-doublewrite=0', '--innodb-buffer-pool-size=128M'])
        self._running.wait_for_port(self.NAME, sites.PORTS['mariadb'])

    def make_databases(self) -> None:
        """Make the services' databases, and the one user of all."""
        self.execute(''.join(
            "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb3;"
            "GRANT ALL ON %s.* TO 'gate'@'127.0.0.1' IDENTIFIED BY '%s';" % (
                name, name, sites.PASSWORD) for name in DATABASES))

    def execute(self, statements: str) -> str:
        """Run SQL as the server's administrator; return what it prints."""
        return self._running.run(['mariadb', '--no-defaults', '-uroot', '-N', '-S', self._socket,
                                  '-e', statements], 'mariadb-client')


class RabbitMQ:
    """The message broker."""

    NAME = 'rabbitmq'

    def __init__(self, paths: config.Paths, running: processes.Processes) -> None:
        self._folder, self._running = paths.in_work('rabbitmq'), running

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        os.makedirs(self._folder, exist_ok=True)
        plugins = os.path.join(self._folder, 'enabled_plugins')
        pathlib.Path(plugins).write_text('[].', encoding='utf-8')
        self._running.start(
            self.NAME, ['/usr/lib/rabbitmq/bin/rabbitmq-server'], HOME=self._folder,
            RABBITMQ_NODENAME='gate@localhost', RABBITMQ_NODE_IP_ADDRESS='127.0.0.1',
            RABBITMQ_NODE_PORT=str(sites.PORTS['rabbitmq']),
            RABBITMQ_MNESIA_BASE=os.path.join(self._folder, 'mnesia'),
            RABBITMQ_LOG_BASE=os.path.join(self._folder, 'log'),
            RABBITMQ_ENABLED_PLUGINS_FILE=plugins, RABBITMQ_CONF_ENV_FILE='/dev/null',
            # An idle broker's threads would wait in loops, and there are two cores for everything.
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none')
        self._running.wait_for_port(self.NAME, sites.PORTS['rabbitmq'])

    def restart(self) -> None:
        """Stop it, and start it again with what it kept."""
        self._running.stop(self.NAME)
        self.start()


def make_clusters(paths: config.Paths) -> typing.Dict[str, ceph.Ceph]:
    """Start a Ceph cluster for each site; return them by the sites' names.

    :raises lab.LabError: one did not come up.
    """
    clusters = {site.name: ceph.Ceph(
        paths.in_work('ceph', site.name), mgr=True, guarded=False,
        pools=(config.IMAGES, config.DISKS, config.VOLUMES)) for site in sites.SITES}
    ceph.start_all(list(clusters.values()))
    for name, cluster in clusters.items():
        _make_users(cluster)
        # os-brick looks for a user's key here only. The gate's /etc is not the machine's.
        key = cluster.ceph('auth', 'get', 'client.' + config.CINDER_USER)
        os.makedirs('/etc/ceph', exist_ok=True)
        pathlib.Path('/etc/ceph/%s.client.%s.keyring' % (name, config.CINDER_USER)).write_text(
            key, encoding='utf-8')
    return clusters


def _make_users(cluster: ceph.Ceph) -> None:
    with open(cluster.keyring, 'a', encoding='utf-8') as keyring:
        for user, pools in _MAY.items():
            keyring.write(cluster.ceph(
                'auth', 'get-or-create', 'client.' + user, 'mon', 'profile rbd', 'mgr',
                'profile rbd', 'osd', ', '.join('profile rbd pool=' + pool for pool in pools)))
