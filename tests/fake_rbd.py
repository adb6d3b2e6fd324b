# SPDX-License-Identifier: Apache-2.0
"""RBD images for tests, with snapshots, clones and the two formats of clones, on a fake Ceph cluster."""

import datetime

from tests import fake_ceph

_CREATED = datetime.datetime(1970, 1, 1)


class Image:
    """What is kept of an RBD image. ``snapshots`` holds by name whether it is protected."""

    def __init__(self, size, created=0):
        self.size, self.created = size, created
        self.snapshots, self.metadata = {}, {}
        #: Clones, as (pool, name), and those whose snapshot is in the trash (format 2).
        self.children, self.trash = [], False
        self.watchers = 0
        #: When it was written last, in seconds since 1970; 0: librbd does not report it.
        self.changed = 0
        self.id = ''
        #: The image that it is a clone of, and how that is named: (pool, name); None: it is flat.
        self.parent = None


class _Open:
    def __init__(self, rbd, ioctx, name, snapshot=None, read_only=False):
        ioctx.check()
        self._rbd, self._pool, self._name = rbd, ioctx.pool, name
        self._kept = rbd.images.get((ioctx.pool, name))
        if self._kept is None or (snapshot is not None and snapshot not in self._kept.snapshots):
            raise rbd.ImageNotFound('error opening image %s' % name)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        """Nothing is open."""

    def close(self):
        """Nothing is open."""

    def size(self):
        return self._kept.size

    def metadata_set(self, key, value):
        self._rbd.step('metadata_set')
        self._kept.metadata[key] = value
        self._rbd.done('metadata_set')

    def create_snap(self, name):
        self._rbd.step('create_snap')
        self._kept.snapshots[name] = False
        self._rbd.done('create_snap')

    def protect_snap(self, name):
        self._rbd.step('protect_snap')
        self._kept.snapshots[name] = True
        self._rbd.done('protect_snap')

    def is_protected_snap(self, name):
        return self._kept.snapshots[name]

    def list_snaps(self):
        return [{'name': name, 'size': self._kept.size} for name in self._kept.snapshots]

    def read(self, offset, length):
        return b'x' * length

    def list_children2(self):
        self._rbd.step('list_children2')
        return [{'pool': pool, 'pool_namespace': '', 'image': name, 'id': name,
                 'trash': (pool, name) in self._rbd.trashed}
                for pool, name in self._kept.children]

    def flatten(self):
        self._rbd.step('flatten')
        for kept in self._rbd.images.values():
            kept.children = [child for child in kept.children if child != (self._pool, self._name)]
        self._kept.parent = None

    def unprotect_snap(self, name):
        self._rbd.step('unprotect_snap')
        if self._kept.children and self._rbd.clone_format == 1:
            raise self._rbd.ImageBusy('error unprotecting snapshot')
        self._kept.snapshots[name] = False
        self._rbd.done('unprotect_snap')

    def remove_snap(self, name):
        self._rbd.step('remove_snap')
        if self._kept.snapshots[name]:
            raise self._rbd.ImageBusy('error removing snapshot')
        del self._kept.snapshots[name]
        self._kept.trash = bool(self._kept.children)
        self._rbd.done('remove_snap')

    def watchers_list(self):
        return [{'id': number} for number in range(self._kept.watchers)]

    def id(self):
        self._kept.id = self._kept.id or 'id of %s' % self._name  # which a rename does not change
        return self._kept.id

    def modify_timestamp(self):
        return _CREATED + datetime.timedelta(seconds=self._kept.changed)

    def create_timestamp(self):
        return _CREATED + datetime.timedelta(seconds=self._kept.created)


class Rbd:
    """The module rbd.

    ``images`` by (pool, name). ``before`` and ``after`` are called with the name of each step that changes
    something.
    """

    Error = fake_ceph._RbdError
    ImageNotFound, PermissionError, ImageBusy, ImageHasSnapshots, InvalidArgument, ImageExists = (
        type(name, (fake_ceph._RbdError,), {}) for name in (
            'ImageNotFound', 'PermissionError', 'ImageBusy', 'ImageHasSnapshots', 'InvalidArgument',
            'ImageExists'))

    def __init__(self, clone_format=2):
        self.clone_format, self.images = clone_format, {}
        self.trashed = []  # (pool, name)
        self.moved = {}  # what trash_move moved, and its delay, by (pool, id)
        self.before = self.after = lambda step: None

    def step(self, name):
        self.before(name)

    def done(self, name):
        self.after(name)

    def RBD(self):
        return _Calls(self)

    def Image(self, ioctx, name, snapshot=None, read_only=False):
        return _Open(self, ioctx, name, snapshot, read_only)

    def list(self, ioctx):
        ioctx.check()
        return sorted(name for pool, name in self.images if pool == ioctx.pool)

    def trash_list(self, ioctx):
        ioctx.check()
        return [{'name': name} for pool, name in self.trashed if pool == ioctx.pool]

    def trash_move(self, ioctx, name, delay=0):
        self.step('trash_move')
        kept = self.images.get((ioctx.pool, name))
        if kept is None:
            raise self.ImageNotFound(name)
        if kept.watchers:
            raise self.ImageBusy(name)
        self.moved[ioctx.pool, 'id of %s' % name] = (self.images.pop((ioctx.pool, name)), delay)
        self.trashed.append((ioctx.pool, name))

    def trash_restore(self, ioctx, trash_id, name):
        self.step('trash_restore')
        if (ioctx.pool, trash_id) not in self.moved:
            raise self.ImageNotFound(name)
        self.images[ioctx.pool, name] = self.moved.pop((ioctx.pool, trash_id))[0]
        self.trashed.remove((ioctx.pool, name))

    def remove(self, ioctx, name):
        self.step('remove')
        kept = self.images.get((ioctx.pool, name))
        if kept is None:
            raise self.ImageNotFound(name)
        if kept.snapshots or (kept.trash and kept.children):
            raise self.ImageHasSnapshots(name)
        if kept.watchers:
            raise self.ImageBusy(name)
        if kept.parent is not None:
            self.images[kept.parent].children.remove((ioctx.pool, name))
        del self.images[ioctx.pool, name]
        self.done('remove')

    def clone(self, pool, name, snapshot, disk):
        """Clone an image as a host does."""
        kept = self.images.get((pool, name))
        if kept is None or snapshot not in kept.snapshots:
            raise self.ImageNotFound(name)
        if self.clone_format == 1 and not kept.snapshots[snapshot]:
            raise self.InvalidArgument('parent snapshot must be protected')
        kept.children.append((pool, disk))
        self.images[pool, disk] = Image(kept.size)


class _Calls:
    """The class RBD: what is called with an ioctx."""

    def __init__(self, rbd):
        self._rbd = rbd

    def __getattr__(self, name):
        return getattr(self._rbd, name)

    def clone(self, ioctx, name, snapshot, target, new_name, features=None):
        target.check()
        self._rbd.step('clone')
        if (target.pool, new_name) in self._rbd.images:
            raise self._rbd.ImageExists(new_name)
        parent = self._rbd.images[ioctx.pool, name]
        if snapshot not in parent.snapshots:
            raise self._rbd.ImageNotFound(snapshot)
        made = self._rbd.images[target.pool, new_name] = Image(parent.size)
        made.parent, made.features = (ioctx.pool, name), features
        parent.children.append((target.pool, new_name))

    def rename(self, ioctx, name, new_name):
        ioctx.check()
        self._rbd.step('rename')
        if (ioctx.pool, new_name) in self._rbd.images:
            raise self._rbd.ImageExists(new_name)
        self._rbd.images[ioctx.pool, new_name] = self._rbd.images.pop((ioctx.pool, name))


def ceph(clock, clone_format=2, pools=('vms', 'images')):
    """Return a fake cluster with such images."""
    made = fake_ceph.FakeCeph(clock, pools)
    made.rbd = Rbd(clone_format)
    return made
