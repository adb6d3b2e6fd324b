# SPDX-License-Identifier: Apache-2.0
"""Glance with stores on Cinder volumes, all real: glance-api, Cinder, os-brick, Ceph, loop devices.

    with Lab(folder, {'gold': ours('loop'), 'stock': stock('rbd'), 'cheap': 'file'}) as lab:
        image = lab.glance.add_image(b'data', ['gold'])
        lab.cinder.volumes(), lab.cinder.attachments()
        lab.proxy.count('POST', '/attachments$')    # what Glance requested of Cinder
        lab.left()                                  # devices and files that should not be there

Only keystone is a stand-in.
"""
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import subprocess
import sys
import typing

from lab.ceph import Ceph
from lab import ceph_bindings
from lab.cinder import client
from lab.cinder import conf
from lab.glance import Glance
from lab import ini
from lab import keystone
from lab import paths
from lab.poll import LabError
from lab import processes
from lab.volume_store.cinder import Cinder
from lab.volume_store.cinder import DRIVERS
from lab.volume_store.cinder import SHARE_DIGEST
from lab.volume_store import mounts
from lab.volume_store.proxy import Proxy

HERE = os.path.dirname(os.path.abspath(__file__))
#: Two users of stores, each with a project of its own.
SERVICE, OTHER = 'glance', 'glance-other'
PROJECTS = {SERVICE: '7a1c0de5e7f04b0b9d4e6f8a9b0c1d2e', OTHER: '8b2d1ef6f8a15c1cae5f7a9bac1d2e3f'}
DRIVER = 'multistore_hooks.volume_store.store:Store'
#: Drivers whose every call can be made to fail, see lab.volume_store.faulty.
FAULTY, FAULTY_STOCK = 'labvolume', 'labstock'
TINY = '24m'
SHARE_SIZE = '6g'
ROOTWRAP = '''[DEFAULT]
filters_path = %s
exec_dirs = %s
use_syslog = False
'''


class Kind(typing.NamedTuple):
    """A store on Cinder volumes: its driver, its volume type, its user, and options of the driver."""

    driver: str
    volume_type: str
    user: str
    options: typing.Dict[str, str]


def stock(volume_type: str, user: str = SERVICE, driver: str = 'cinder', **options: str) -> Kind:
    """Return a store of glance_store's own driver; a volume type begins with its backend's name."""
    return Kind(driver, volume_type, user, options)


def ours(volume_type: str, user: str = SERVICE, driver: str = 'volume', **options: str) -> Kind:
    """Return a store of this library's driver; a volume type begins with its backend's name."""
    return Kind(driver, volume_type, user, options)


def unavailable_with(backends: typing.Iterable[str]) -> typing.Optional[str]:
    """Say why there can be no lab with these backends here; None: there can."""
    missing = [name for name in ('cinder', 'glance', 'glance_store', 'os_brick', 'cinderclient', 'gunicorn')
               if not _installed(name)]
    if missing:
        return 'not installed here: %s' % ', '.join(missing)
    if 'rbd' in backends and ceph_bindings.unavailable():
        return ceph_bindings.unavailable()
    if set(backends) - {'rbd'}:
        return mounts.unavailable()
    return None


class Lab:
    """All of it; a context manager.

    :param root: a folder for everything; on a file system with room for the volumes
    :param stores: {name: :func:`ours`, :func:`stock`, or a kind of lab.glance}
    :param default: the default store; None: the first
    :param backends: of Cinder, in addition to those that the stores need
    :param ceph: a running cluster with the pools images and volumes, and a manager; None: one is started
    :param conf: {section: {option: value}} for glance-api.conf
    :param cinder_conf: the same for cinder.conf
    :param cinder_release: python and pythonpath of lab.cinder.server.Cinder, for another release
    :ivar glance: lab.glance.Glance
    :ivar cinder: lab.volume_store.cinder.Cinder
    :ivar proxy: between them, lab.volume_store.proxy.Proxy
    :cvar user: the user that Glance's process belongs to; '': the one that runs this
    """

    user = ''

    def __init__(self, root: str, stores: typing.Dict[str, typing.Any], default: typing.Optional[str] = None,
                 backends: typing.Sequence[str] = (), ceph: typing.Any = None,
                 conf: typing.Optional[ini.Sections] = None, cache_dir: typing.Optional[str] = None,
                 cinder_conf: typing.Optional[ini.Sections] = None,
                 cinder_release: typing.Optional[typing.Dict[str, str]] = None, **glance_options: typing.Any
                 ) -> None:
        self.root = os.path.abspath(root)
        self._stores, self._default = dict(stores), default
        needed = {kind.volume_type.partition('-')[0] for kind in stores.values() if isinstance(kind, Kind)}
        self.backends = [name for name in DRIVERS if name in needed | set(backends)]
        self._conf = conf or {}
        self._cinder_conf = cinder_conf or {}
        self._cinder_release = dict({'python': sys.executable, 'pythonpath': ''}, **(cinder_release or {}))
        self._cache_dir = cache_dir
        self._glance_options = glance_options
        self.ceph = ceph
        self._own_ceph: typing.Any = None
        self.mounts = mounts.Mounts(self.root)
        self.keystone: typing.Any = None
        self.glance: typing.Any = None
        self.cinder: typing.Any = None
        self.proxy: typing.Any = None

    def __enter__(self) -> 'Lab':
        self.start()
        return self

    def __exit__(self, *_unused: typing.Any) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything, and wait until it responds; when something does not, stop it all."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, and take devices and mounts away; the folder stays."""
        for part, end in ((self.glance, 'kill'), (self.cinder, 'stop'), (self.proxy, '__exit__'),
                          (self.keystone, '__exit__'), (self._own_ceph, 'stop')):
            if part is not None:
                getattr(part, end)()
        if os.geteuid() == 0:
            self.mounts.clear()

    def _start(self) -> None:
        os.makedirs(self.inside('modules'), exist_ok=True)
        if 'rbd' in self.backends:
            ceph_bindings.directory(self.inside('modules'))
            if self.ceph is None:
                self.ceph = self._own_ceph = Ceph(
                    self.inside('ceph'), pools=('images', 'volumes'), mgr=True)
                self._own_ceph.start()
        self.keystone = keystone.Keystone(client.PROJECT, PROJECTS)
        self.keystone.__enter__()
        self.glance = VolumeGlance(self)
        self.cinder = Cinder(
            'http://127.0.0.1:%d' % self.glance.reserve(), self.inside('cinder'), self.backends, self.ceph,
            os.pathsep.join(filter(None, [self._cinder_release['pythonpath'], self.inside('modules')])),
            self._cinder_conf, self._cache_dir, self._cinder_release['python'],
            types=[kind.volume_type for kind in self._stores.values() if isinstance(kind, Kind)])
        self._mount()
        self.cinder.start()
        self.proxy = Proxy(self.cinder.root)
        self.proxy.__enter__()
        self.keystone.volume_root = self.proxy.url + '/v3'
        self.glance.start()

    def _mount(self) -> None:
        if 'tiny' in self.backends:
            self.mounts.memory(self.cinder.share('tiny'), TINY)
        if 'nfs' in self.backends:
            share = self.cinder.share('nfs')
            self.mounts.memory(share, SHARE_SIZE)
            # Where glance_store's own driver would mount the share, which it then takes for one that
            # another's attachment keeps mounted.
            digest = hashlib.sha256(conf.SHARE.encode()).hexdigest()
            self.mounts.bind(share, os.path.join(self.mount_base, digest))
            state = os.path.join(self.mount_base, '_state')
            os.makedirs(state, exist_ok=True)
            with open(os.path.join(state, 'mount_state_%s.json' % digest), 'w', encoding='utf-8') as file:
                json.dump({'attachment_count': 1}, file)
            # Where os-brick looks it up: the same as in /proc/mounts.
            self.mounts.bind(share, os.path.join(self.mount_base, SHARE_DIGEST))

    def inside(self, *names: str) -> str:
        """Return a path in the lab's folder."""
        return os.path.join(self.root, *names)

    @property
    def mount_base(self) -> str:
        """Below it Glance mounts shares."""
        return self.inside('mnt')

    def stores(self) -> typing.Dict[str, typing.Any]:
        """Return the stores as lab.glance takes them."""
        return {name: self._store(kind) if isinstance(kind, Kind) else kind
                for name, kind in self._stores.items()}

    def _store(self, kind: Kind) -> typing.Tuple[str, typing.Dict[str, str]]:
        make = _stock_options if kind.driver in ('cinder', FAULTY_STOCK) else _our_options
        return kind.driver, dict(make(self, kind), **kind.options)

    # ---- what is left ------------------------------------------------------------------------

    def left(self) -> typing.List[str]:
        """Say what Glance has open or left behind: devices, RBD images, os-brick's files."""
        found = ['loop device %(name)s of %(back-file)s' % one for one in self.mounts.loops()] \
            if os.geteuid() == 0 else []
        found += ['open: ' + path for path in self.glance.open_devices()]
        found += ['file: ' + name for name in os.listdir(self.glance.temporary)
                  if name.startswith('brickrbd')]
        if 'rbd' in self.backends:
            found += self._watched()
        return found

    def _watched(self) -> typing.List[str]:
        found = []
        for name in self.ceph.rbd('ls', 'volumes').split():
            try:
                reported = json.loads(self.ceph.rbd('status', '--format', 'json', 'volumes/' + name))
            except LabError:
                continue  # it has gone in this moment
            found += ['watcher of %s: %s' % (name, one['address']) for one in reported.get('watchers', [])]
        return found

    def bytes_of(self, volume: str, length: int) -> bytes:
        """Return the first bytes of a volume, read behind the back of Cinder and Glance."""
        backend = self.cinder.volumes()[volume]['os-vol-host-attr:host'].partition('@')[2].partition('#')[0]
        if backend == 'rbd':
            return self.ceph.read('volumes/volume-' + volume, length)
        with open(self.cinder.path_of(volume), 'rb') as file:
            return file.read(length)


class VolumeGlance(Glance):
    """The lab's Glance, with the stores' drivers, sudo for root, and a folder for os-brick's files."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        # os-brick's filters allow a socket in /tmp alone.
        self.temporary = '/tmp' if lab.user else lab.inside('tmp')
        self._drivers = dict(self._drivers, **{
            FAULTY: 'lab.volume_store.faulty:Store', FAULTY_STOCK: 'lab.volume_store.faulty_stock:Store'})
        if not registered('volume', lab._glance_options.get('python')):
            self._drivers['volume'] = DRIVER
        # Replaced when the addresses are known.
        super().__init__(lab.inside('glance'), {name: 'file' for name in lab._stores}, lab._default,
                         **dict({'conf': lab._conf}, **lab._glance_options))

    def reserve(self) -> int:
        """Choose the port, and return it."""
        listener = self._listen()
        self.port = listener.getsockname()[1]
        listener.close()
        return self.port

    def start(self) -> None:
        """Start it."""
        self._kinds = self._lab.stores()
        os.makedirs(self.temporary, exist_ok=True)
        super().start()

    def _spawn(self, listener: int) -> typing.Any:
        user = self._lab.user
        if user:
            group = pwd.getpwnam(user).pw_gid
            subprocess.run(['chown', '-R', '%s:%d' % (user, group), self.root], check=True)
            self._server_options = ('--user', user, '--group', str(group))
        return super()._spawn(listener)

    def log_text(self) -> str:
        """Return the whole log."""
        with open(self.log, encoding='utf-8', errors='replace') as stream:
            return stream.read()

    def open_devices(self) -> typing.List[str]:
        """Return the loop devices, and the volumes' files, that its processes have open."""
        found = []
        # Those of the group, which its own daemons left.
        for pid in processes.members(self.pid):
            folder = '/proc/%d/fd' % pid
            for name in _listed(folder):
                try:
                    path = os.readlink(os.path.join(folder, name))
                except OSError:
                    continue
                if path.startswith(('/dev/loop', '/dev/sd')) or '/volume-' in path:
                    found.append('%s by %d' % (path, pid))
        return found

    def _write_files(self) -> None:
        super()._write_files()
        with open(self._lab.inside('rootwrap.conf'), 'w', encoding='utf-8') as stream:
            stream.write(ROOTWRAP % (
                os.path.join(sys.prefix, 'etc', 'glance', 'rootwrap.d'),
                ','.join([os.path.join(sys.prefix, 'bin'), '/sbin', '/usr/sbin', '/bin', '/usr/bin'])))

    def _environ(self) -> typing.Dict[str, str]:
        environ = super()._environ()
        environ['TMPDIR'] = self.temporary
        # A user who is not root needs the real sudo.
        environ['PATH'] = os.pathsep.join(
            (['/usr/bin'] if self._lab.user else [os.path.join(HERE, 'bin')])
            + [os.path.join(sys.prefix, 'bin'), environ['PATH']])
        environ['PYTHONPATH'] += os.pathsep + self._lab.inside('modules')
        environ['LAB_VOLUME_FAULTS'] = self._lab.inside('faults')
        return environ


def _stock_options(lab: Lab, kind: Kind) -> typing.Dict[str, str]:
    return {
        'cinder_store_auth_address': lab.keystone.auth_url, 'cinder_store_user_name': kind.user,
        'cinder_store_password': 'secret', 'cinder_store_project_name': 'service',
        'cinder_store_user_domain_name': 'Default', 'cinder_store_project_domain_name': 'Default',
        'cinder_volume_type': kind.volume_type, 'cinder_mount_point_base': lab.mount_base,
        'rootwrap_config': lab.inside('rootwrap.conf')}


def _our_options(lab: Lab, kind: Kind) -> typing.Dict[str, str]:
    return {
        'auth_type': 'password', 'auth_url': lab.keystone.auth_url, 'username': kind.user,
        'password': 'secret', 'project_name': 'service', 'user_domain_name': 'Default',
        'project_domain_name': 'Default',
        'volume_type': kind.volume_type, 'mount_point_base': lab.mount_base,
        # The lab is run by root.
        'root_helper': '',
        'attachment_dir': lab.inside('attachments'), 'attachment_idle_timeout': '1',
        'state_timeout': '30', 'attach_timeout': '30', 'io_timeout': '30'}


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def registered(driver: str, python: typing.Optional[str] = None) -> bool:
    """Return whether there is an entry point of this name; of two of one name glance_store takes neither.

    :param python: that of a release, where this project is not installed.
    """
    path = [paths.CHECKOUT] + (sys.path if python in (None, sys.executable) else [])
    return any(one.group == 'glance_store.drivers' and one.name == driver
               for found in importlib.metadata.distributions(path=path) for one in found.entry_points)


def _listed(folder: str) -> typing.List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
