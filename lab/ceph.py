# SPDX-License-Identifier: Apache-2.0
"""Real Ceph clusters of one node each, on loopback, as processes of the user who runs the lab.

    with Ceph('/tmp/lab/a') as a:
        a.conf, a.fsid, a.user, a.pools
        a.rbd('ls', 'images')
        a.stop()                        # an outage
        a.start()

A cluster is a monitor and one OSD (and a manager, if requested), with its own fsid, ports and
keys; all its state is in its directory, and nothing of the machine's own Ceph is touched. A new
one takes some three seconds. ``start_all`` starts several at the same time; ``sites`` are two that
the tests of a process share.

Debian's packages ceph-mon, ceph-osd, ceph-common, python3-rbd and python3-rados have all that is
needed; ``unavailable`` says what is missing. Other interpreters than Debian's own, of the same
version, find the modules rados and rbd through ``bindings``.
"""

import atexit
import concurrent.futures
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing

from lab import ceph_bindings
from lab import ceph_conf
from lab.poll import LabError
from lab import processes

bindings = ceph_bindings.directory
unavailable = ceph_bindings.unavailable

POOLS = ('images', 'vms')
# Glance and Nova are this one client of Ceph.
USER = 'openstack'
ADMIN = 'admin'
GIB = 1 << 30
COMMAND_SECONDS = 180
# Of the first try of a command; each one after it has that much more.
TRY_SECONDS = 3
# The OSD signs off at the monitor, so the monitor goes last.
ORDER = ('osd.0', 'mgr.x', 'mon.a')


class Ceph:
    """One cluster; a context manager that creates and starts it, and stops it at the end."""

    def __init__(self, directory: str, auth: str = 'cephx',
                 pools: typing.Sequence[str] = POOLS, size: int = 32 * GIB,
                 mgr: bool = False, guarded: bool = True) -> None:
        """Describe a cluster; nothing is done yet.

        :param directory: where its state goes; made when it is not there. A cluster that is in it
            already is started again with its data.
        :param auth: 'cephx' or 'none'.
        :param size: bytes that the OSD offers, in a sparse file.
        :param mgr: run a manager, for what reads the pools' usage (300 MB of memory).
        :param guarded: it ends with this process.
        """
        self.directory = pathlib.Path(directory).resolve()
        self.user = USER
        self.pools = tuple(pools)
        self.conf = str(self.directory / 'ceph.conf')
        self._auth, self._size, self._mgr, self._guarded = auth, size, mgr, guarded
        self._daemons: typing.Dict[str, processes.Process] = {}
        self._made = self.directory / '.made'

    @property
    def fsid(self) -> str:
        """The id of the cluster, as in rbd:// locations."""
        return ceph_conf.read_fsid(self.conf)

    @property
    def keyring(self) -> str:
        """The file with the keys of all clients; empty without cephx."""
        return str(self.directory / 'keyring')

    def __enter__(self) -> 'Ceph':
        self.start()
        return self

    def __exit__(self, *_error: typing.Any) -> None:
        self.stop()

    def start(self) -> None:
        """Create the cluster, or start it again, and wait until it responds.

        :raises LabError: it does not come up; with the end of its daemons' logs.
        """
        try:
            if self._made.exists():
                self._start()
            else:
                self._create()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the daemons, and keep the data: an outage, as Glance and Nova see it."""
        for name in ORDER:
            if name in self._daemons:
                self._daemons.pop(name).stop()

    def kill(self) -> None:
        """Kill the daemons with SIGKILL, and keep what is on disk."""
        for name in ORDER:
            if name in self._daemons:
                self._daemons.pop(name).kill()

    def remove(self) -> None:
        """Stop the cluster and remove all of it."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def rbd(self, *arguments: str) -> str:
        """Run the command rbd as the cluster's administrator; return what it prints.

        :raises LabError: it failed.
        """
        return self._run('rbd', '--conf', self.conf, *arguments)

    def ceph(self, *arguments: str) -> str:
        """Run the command ceph as the cluster's administrator; return what it prints.

        :raises LabError: it failed.
        """
        return self._run(*self._ceph(*arguments))

    def read(self, disk: str, length: int) -> bytes:
        """Return the first bytes of an RBD image, ``pool/name`` or ``pool/name@snapshot``."""
        export = processes.Process(
            ['rbd', '--conf', self.conf, 'export', '--no-progress', disk, '-'], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            return bytes(export.stdout.read(length))
        finally:
            export.kill()

    def add_pool(self, pool: str) -> str:
        """Create a pool that the services' client may use as the others; return its name."""
        self.ceph('osd', 'pool', 'create', pool, '8')
        self.rbd('pool', 'init', pool)
        self.pools += (pool,)
        if self._auth == 'cephx':
            self.allow_writes()
        return pool

    def refuse_writes(self, pool: str) -> None:
        """Let the services' client only read a pool; cephx is needed for it.

        Clients that connect from now on are refused; Glance connects for each image.
        """
        assert self._auth == 'cephx', 'a cluster without cephx cannot refuse a client'
        self._allow({name: 'rbd-read-only' if name == pool else 'rbd' for name in self.pools})

    def allow_writes(self) -> None:
        """Give the services' client its rights again."""
        self._allow(dict.fromkeys(self.pools, 'rbd'))

    def _create(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        for name in ('mon', 'osd', 'mgr', 'run', 'log'):
            os.makedirs(str(self.directory / name))
        ports = ceph_conf.free_ports()
        ceph_conf.write(self.directory, self._auth, ports, self._size)
        self._make_monitor(ports.monitor)
        self._start_daemon('mon.a', 'ceph-mon')
        self._wait('response of the monitor', 'mon.a', self._ceph('mon', 'stat'))
        self._make_osd()
        self._start_rest()
        for pool in self.pools:
            self.ceph('osd', 'pool', 'create', pool, '8')
        for pool in self.pools:
            self.rbd('pool', 'init', pool)
        if self._auth == 'cephx':
            self._make_client()
        self._made.touch()
        self._wait_ready()

    def _start(self) -> None:
        self._start_daemon('mon.a', 'ceph-mon')
        self._start_rest()
        self._wait_ready()

    def _start_rest(self) -> None:
        self._start_daemon('osd.0', 'ceph-osd', *self._key_of('osd'))
        if self._mgr:
            self._start_daemon('mgr.x', 'ceph-mgr', *self._key_of('mgr'))
        # A request that comes before the OSD is up waits for it, but tries again only after 5 seconds.
        self._wait('OSD that is up', 'osd.0', self._ceph('osd', 'stat'), ' 1 up')

    def _wait_ready(self) -> None:
        # The map may say "up" of an OSD that was killed: only a real request shows.
        self._wait('response of the OSD', 'osd.0',
                   ['rbd', '--conf', self.conf, 'ls', self.pools[0]])

    def _start_daemon(self, name: str, program: str, *more: str) -> None:
        self._daemons[name] = processes.Process(
            [program, '--conf', self.conf, '--id', name.split('.')[1], '-f', *more],
            str(self.directory / 'log' / (name + '.out')), env=environment(), guarded=self._guarded)

    def _wait(self, what: str, daemon: str, command: typing.List[str], says: str = '') -> None:
        """Repeat a command until it succeeds and says something, while a daemon runs."""
        tries = itertools.count(1)
        self._daemons[daemon].wait_until(
            what, lambda: says in self._run(*command, seconds=TRY_SECONDS * next(tries)),
            ignored=(LabError,))

    def _ceph(self, *arguments: str) -> typing.List[str]:
        return ['ceph', '--conf', self.conf, '--connect-timeout', '10', *arguments]

    def _key_of(self, kind: str) -> typing.List[str]:
        if self._auth != 'cephx':
            return []
        return ['--keyring', str(self.directory / kind / 'keyring')]

    def _make_monitor(self, port: int) -> None:
        key: typing.List[str] = []
        if self._auth == 'cephx':
            key = ['--keyring', self.keyring]
            self._run('ceph-authtool', '--create-keyring', self.keyring, '--gen-key',
                      '-n', 'mon.', '--cap', 'mon', 'allow *')
            self._run('ceph-authtool', self.keyring, '--gen-key', '-n', 'client.' + ADMIN,
                      '--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *',
                      '--cap', 'mgr', 'allow *')
        else:
            pathlib.Path(self.keyring).touch()
        monmap = str(self.directory / 'monmap')
        self._run('monmaptool', '--create', '--fsid', self.fsid,
                  '--addv', 'a', '[v2:127.0.0.1:%d]' % port, monmap)
        self._run('ceph-mon', '--conf', self.conf, '--mkfs', '-i', 'a', '--monmap', monmap, *key)

    def _make_osd(self) -> None:
        osd_uuid = ceph_conf.new_uuid()
        made = ['osd', 'new', osd_uuid, '0']
        if self._auth == 'cephx':
            secret = self._run('ceph-authtool', '--gen-print-key').strip()
            given = self.directory / 'osd' / 'new.json'
            given.write_text('{"cephx_secret": "%s"}' % secret)
            self._run('ceph-authtool', '--create-keyring', self._key_of('osd')[1],
                      '-n', 'osd.0', '--add-key', secret)
            made += ['-i', str(given)]
        self.ceph(*made)
        if self._auth == 'cephx' and self._mgr:
            key = self.ceph('auth', 'get-or-create', 'mgr.x', 'mon', 'allow profile mgr',
                            'osd', 'allow *', 'mds', 'allow *')
            pathlib.Path(self._key_of('mgr')[1]).write_text(key)
        self._run('ceph-osd', '--conf', self.conf, '-i', '0', '--mkfs',
                  '--osd-uuid', osd_uuid, *self._key_of('osd'))

    def _make_client(self) -> None:
        key = self.ceph('auth', 'get-or-create', 'client.' + self.user,
                        *self._caps(dict.fromkeys(self.pools, 'rbd')))
        with open(self.keyring, 'a', encoding='utf-8') as keyring:
            keyring.write(key)

    def _allow(self, profiles: typing.Mapping[str, str]) -> None:
        self.ceph('auth', 'caps', 'client.' + self.user, *self._caps(profiles))

    @staticmethod
    def _caps(profiles: typing.Mapping[str, str]) -> typing.List[str]:
        pools = ', '.join('profile %s pool=%s' % (profile, pool)
                          for pool, profile in profiles.items())
        return ['mon', 'profile rbd', 'mgr', 'profile rbd', 'osd', pools]

    @staticmethod
    def _run(*command: str, seconds: float = COMMAND_SECONDS) -> str:
        done = processes.run(command, seconds=seconds, env=environment())
        if done.code:
            raise LabError('%s: %s' % (' '.join(command), done.errors.strip()))
        return done.output


def environment() -> typing.Dict[str, str]:
    """The environment of Ceph's programs; some are in Python, and must not find our packages."""
    keep = {name: value for name, value in os.environ.items()
            if not name.startswith(('PYTHON', 'CEPH_', 'VIRTUAL_ENV'))}
    return dict(keep, LC_ALL='C.UTF-8')


def start_all(clusters: typing.Sequence[Ceph]) -> None:
    """Start several clusters at the same time; when one fails, all are stopped.

    :raises LabError: one did not come up.
    """
    with concurrent.futures.ThreadPoolExecutor(len(clusters)) as pool:
        started = [pool.submit(cluster.start) for cluster in clusters]
    try:
        for one in started:
            one.result()
    except BaseException:
        for cluster in clusters:
            cluster.stop()
        raise


_sites: typing.List[Ceph] = []


def sites() -> typing.Tuple[Ceph, Ceph]:
    """Return two running clusters, the first one with cephx, the second one without.

    They are started when they are first wanted, and end with the process. A test that stops one, or lets
    it refuse something, has to bring it back.
    """
    if not _sites:
        folder = tempfile.mkdtemp(prefix='multistore-ceph-')
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        clusters = [Ceph(os.path.join(folder, name), auth=auth)
                    for name, auth in (('a', 'cephx'), ('b', 'none'))]
        start_all(clusters)
        _sites.extend(clusters)
    return _sites[0], _sites[1]
