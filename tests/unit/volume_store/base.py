# SPDX-License-Identifier: Apache-2.0
"""A Cinder and an os-brick in memory, with volumes that are files, in which every call can fail."""

import gc
import itertools
import os
import threading
import uuid
import weakref

import fixtures

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import creation
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import open_device
from multistore_hooks.volume_store import reservation
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import upload
from multistore_hooks.volume_store import volume_status
from tests.unit import base

PROJECT = '7a1c0de5e7f04b0b9d4e6f8a9b0c1d2e'
BEFORE, AFTER, HANG = 'before', 'after', 'hang'
TIMEOUTS = store_context.Timeouts(state=60, attach=60, io=60, idle=0)
#: For calls that hang.
SHORT = {'attach': 0.3, 'io': 0.3}


class Fault(Exception):
    """The error that a test lets a call fail with."""


class Faults:
    """Lets one call fail, or every call of a name.

    :ivar calls: the names of all calls so far.
    :ivar release: lets go what hangs.
    :ivar ended: what hung has ended.
    """

    def __init__(self):
        self.calls = []
        self.release = threading.Event()
        self.ended = threading.Event()
        self._at = self._names = None
        self._how = None
        self._error = Fault
        self._count = itertools.count()

    def at(self, number, how, error=Fault):
        self._at, self._how, self._error = number, how, error

    def always(self, *names, error=Fault):
        self._names, self._how, self._error = names, BEFORE, error

    def wrap(self, kind, target):
        return Wrapped(self, kind, target)

    def call(self, name, function, *args, **kwargs):
        number = next(self._count)
        self.calls.append(name)
        if number != self._at and name not in (self._names or ()):
            return function(*args, **kwargs)
        if name.startswith('cinder.'):
            error = cinder_client.Unresponsive(request=name, why='a fault of the test')
        else:
            error = self._error(name)
        if self._how == HANG and not name.startswith('cinder.'):
            self.release.wait(120)
            try:
                return function(*args, **kwargs)
            finally:
                self.ended.set()
        if self._how != BEFORE:
            function(*args, **kwargs)
        raise error


class Wrapped:

    def __init__(self, faults, kind, target):
        self._faults, self._kind, self._target = faults, kind, target

    def __getattr__(self, name):
        found = getattr(self._target, name)
        if not callable(found) or name in ('project',):
            return found
        return lambda *args, **kwargs: self._faults.call(
            '%s.%s' % (self._kind, name), found, *args, **kwargs)


class FakeCinder:
    """Volumes, attachments and the rules between them."""

    def __init__(self, folder, multiattach=False):
        self.folder = folder
        self.volumes = {}
        self.bound = {}
        self.hosts = {}
        self.types = {}
        self.messages = {}
        self.multiattach = multiattach
        self.quota = 1000
        self.connection = {'driver_volume_type': 'local'}
        self.error_deleting = False
        self.lock = threading.RLock()

    def project(self):
        return PROJECT

    def path(self, volume_id):
        return os.path.join(self.folder, 'volume-' + volume_id)

    def create_volume(self, gib, name, description, metadata, volume_type):
        if gib > self.quota:
            raise cinder_client.OverQuota(request='POST /volumes', why='413: quota')
        volume_id = str(uuid.uuid4())
        with self.lock:
            self.volumes[volume_id] = images.Volume(
                volume_id, 'available', gib, dict(metadata), PROJECT, volume_type, False, description)
        self.create_file(volume_id, gib)
        return self.volumes[volume_id]._replace(status='creating')

    def create_file(self, volume_id, gib):
        with open(self.path(volume_id), 'wb') as file:
            file.truncate(gib * images.GIB)

    def resize_file(self, volume_id, gib):
        os.truncate(self.path(volume_id), gib * images.GIB)

    def remove_file(self, volume_id):
        os.unlink(self.path(volume_id))

    def volume(self, volume_id):
        try:
            found = self.volumes[volume_id]
        except KeyError:
            raise cinder_client.NotFound(request='GET /volumes/' + volume_id, why='404') from None
        return found._replace(hosts={one: self.hosts.get(one) for one, (volume, _status, _mode)
                                     in self.bound.items() if volume == volume_id})

    def volume_types(self):
        return self.types

    def message(self, volume_id):
        return self.messages.get(volume_id)

    def attaches_without_server(self):
        return True

    def volumes_named(self, name):
        return list(self.volumes.values())

    def _set(self, volume_id, **changes):
        self.volumes[volume_id] = self.volume(volume_id)._replace(**changes)

    def _refuse(self, volume_id, *wanted):
        if self.volume(volume_id).status not in wanted:
            raise cinder_client.Refused(request='volume ' + volume_id, why='400: it is '
                                        + self.volumes[volume_id].status)

    def delete_volume(self, volume_id):
        with self.lock:
            self._refuse(volume_id, 'available', 'error', 'error_extending')
            if self.error_deleting:
                self._set(volume_id, status='error_deleting')
                return
            del self.volumes[volume_id]
            self.remove_file(volume_id)

    def extend(self, volume_id, gib):
        self._refuse(volume_id, 'available', 'in-use')
        if gib > self.quota:
            raise cinder_client.OverQuota(request='os-extend', why='413: quota')
        self.resize_file(volume_id, gib)
        self._set(volume_id, gib=gib)

    def set_read_only(self, volume_id):
        self._refuse(volume_id, 'available')
        self.add_metadata(volume_id, {'readonly': 'True'})

    def add_metadata(self, volume_id, metadata):
        self._set(volume_id, metadata=dict(self.volume(volume_id).metadata, **metadata))

    def attachment_create(self, volume_id, mode):
        with self.lock:
            self._refuse(volume_id, 'available', *(('in-use',) if self.multiattach else ()))
            attachment_id = str(uuid.uuid4())
            self.bound[attachment_id] = [volume_id, 'reserved', mode]
            if self.volume(volume_id).status == 'available':
                self._set(volume_id, status='reserved')
        return attachment_id

    def attachment_update(self, attachment_id, connector):
        volume_id = self.bound[attachment_id][0]
        self.bound[attachment_id][1] = 'attaching'
        self.hosts[attachment_id] = connector['host']
        self._set(volume_id, status='attaching')
        return dict(self.connection, device_path=self.path(volume_id))

    def attachment_complete(self, attachment_id):
        self.bound[attachment_id][1] = 'attached'
        self._set(self.bound[attachment_id][0], status='in-use')

    def attachment_list(self, volume_id):
        return {one: status for one, (volume, status, _mode) in self.bound.items() if volume == volume_id}

    def attachment_exists(self, attachment_id):
        return attachment_id in self.bound

    def attachment_delete(self, attachment_id):
        with self.lock:
            found = self.bound.pop(attachment_id, None)
            if found is not None and found[0] in self.volumes and not self.attachment_list(found[0]):
                self._set(found[0], status='available')


class FakeBrick:
    """os-brick: what is connected is a symbolic link to the volume's file, or a handle of this process.

    :ivar connected: {volume's path: how often}, of which a link can be there once.
    """

    def __init__(self, folder):
        self.folder = folder
        self.links = set()
        self.handles = weakref.WeakSet()
        self.extends = True
        self.owners = []

    def properties(self):
        return {'host': 'here', 'ip': '127.0.0.1'}

    def connect(self, connection):
        if connection['driver_volume_type'] == 'rbd':
            handle = Handle(connection['device_path'])
            self.handles.add(handle)
            return {'path': handle}
        link = os.path.join(self.folder, os.path.basename(connection['device_path']))
        if link not in self.links:
            os.symlink(connection['device_path'], link)
            self.links.add(link)
        return {'type': 'local', 'path': link}

    def disconnect(self, connection, info, force=False):
        if connection['driver_volume_type'] == 'rbd':
            if info is not None:
                info['path'].close()
                self.handles.discard(info['path'])
            return
        link = os.path.join(self.folder, os.path.basename(connection['device_path']))
        if link in self.links:
            os.unlink(link)
            self.links.remove(link)

    def extend(self, connection):
        if not self.extends:
            raise NotImplementedError()

    def chown(self, path, uid):
        self.owners.append((path, uid))


class Handle:
    """What os-brick's wrapper of an RBD image has that the driver uses."""

    def __init__(self, path):
        self._file = open(path, 'r+b', buffering=0)
        self.rbd_image = self

    def size(self):
        return os.fstat(self._file.fileno()).st_size

    def read(self, offset, length):
        return os.pread(self._file.fileno(), length, offset)

    def write(self, data, offset):
        return os.pwrite(self._file.fileno(), data, offset)

    def flush(self):
        os.fsync(self._file.fileno())

    def close(self):
        self._file.close()


class VolumeTestCase(base.TestCase):
    """A test with volumes, and nothing of them left at its end."""

    multiattach = False

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(creation, '_LOST_SEARCHES', (0, 0.01)))
        self.useFixture(fixtures.MockPatchObject(upload, '_STOP_SECONDS', 0.2))
        self.useFixture(fixtures.MockPatchObject(reservation, 'LOST_AFTER', 0.001))
        self.useFixture(fixtures.MockPatchObject(volume_status, 'POLL_SHORTEST', 0.01))
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.cinder = FakeCinder(self._inside('volumes'), self.multiattach)
        self.brick = FakeBrick(self._inside('dev'))
        self.faults = Faults()
        self.addCleanup(self.faults.release.set)

    def _inside(self, name):
        os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        return os.path.join(self.folder, name)

    def context(self, **timeouts):
        """Return the context of one process of this host."""
        def opened(volume_id, path, writable):
            return self.faults.call('device.open', lambda: self.faults.wrap('device', open_device.open_device(
                volume_id, path, writable)))

        return store_context.StoreContext(
            store='gold', cinder=self.faults.wrap('cinder', self.cinder),
            brick=self.faults.wrap('brick', self.brick), open_device=opened,
            journal=journal.AttachmentJournal(os.path.join(self.folder, 'attachments')),
            recover=leftovers.recover,
            timeouts=TIMEOUTS._replace(**timeouts))

    def shared(self, **timeouts):
        return share.Shared(self.context(**timeouts))

    def store(self, data, size=None, context=None, source=None, verifier=None, **options):
        """Upload data; size None: its length."""
        return upload.Upload(
            context or self.context(), upload.UploadOptions(**options),
            upload.Source(str(uuid.uuid4()), 'owner', source or Reader(data),
                          len(data) if size is None else size, 'sha512', verifier)).run()

    def left(self):
        """Say what is attached, connected, noted or open.

        Garbage may hold a device open. It is collected only then, as that takes longer than most tests.
        """
        found = self._found()
        if found:
            gc.collect()
            found = self._found()
        return found

    def _found(self):
        found = ['attachment of ' + volume for volume, _status, _mode in self.cinder.bound.values()]
        found += ['link ' + link for link in self.brick.links]
        found += ['handle' for _handle in self.brick.handles]
        found += ['note ' + name for name in os.listdir(os.path.join(self.folder, 'attachments'))]
        found += ['open ' + path for path in open_files(self.folder)]
        return found


class Reader:
    """Data that come in small and odd pieces, as from a client."""

    def __init__(self, data, at_once=1 << 20):
        self._data, self._at, self._most = data, 0, at_once

    def read(self, size):
        found = self._data[self._at:self._at + min(size, self._most)]
        self._at += len(found)
        return found


def open_files(folder):
    """Return the files below a folder that this process has open."""
    found = []
    for number in os.listdir('/proc/self/fd'):
        try:
            path = os.readlink('/proc/self/fd/' + number)
        except OSError:
            continue
        if path.startswith(folder):
            found.append(path)
    return found
