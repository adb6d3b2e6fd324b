# SPDX-License-Identifier: Apache-2.0
"""A whole copy of a disk in another pool of its Ceph cluster, which does not go through Glance.

The copy is written under a name of its own making, and gets the name that a Glance store gives to an image
only when it is whole: what bears an image's name is never half made, and whatever else wants to write that
image meanwhile finds its name free.

Each copy is in a journal in the pool of the disks from before its first step until after its last one, so
that what a killed process has left can be found.
"""

import json
import time
from typing import Any
from typing import Callable
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import TypeVar
import uuid

from multistore_hooks import backoff
from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.ceph import index

T = TypeVar('T')

#: How the names of copies in progress and of the snapshots that they are made from begin.
PREFIX = 'multistore_hooks.upload.'
#: The object with the journal.
JOURNAL = 'multistore_hooks.uploads'
#: Seconds for which librados waits for the cluster: to reach it, and in each step of a copy.
TIMEOUTS = dict(cluster.TIMEOUTS, rados_osd_op_timeout='60')
#: Seconds for which a removal is tried again: a client that lost its connection blocks it for 30 s.
UNDO_SECONDS, LONGEST = 40, 5
#: What Glance gives its images where rbd_default_features says nothing.
_LAYERING = 1


class Entry(NamedTuple):
    """What the journal has of a copy."""

    image_id: str
    #: The disk, in the pool of the journal.
    disk: str
    target_pool: str
    #: The name of the copy until it is offered, and of the snapshot of the disk.
    name: str
    #: Which service makes the copy.
    owner: str
    #: Ceph's id of the copy, which a renamed RBD image keeps; empty before it is whole. From then on it may
    #: bear the name of the image, and Glance may have it.
    rbd_id: str = ''

    def dump(self) -> bytes:
        """Return the entry as it is kept."""
        return json.dumps(self._asdict()).encode('utf-8')

    @classmethod
    def load(cls, value: bytes) -> 'Optional[Entry]':
        """Return an entry that was kept, or None if it is not one."""
        try:
            fields = json.loads(value.decode('utf-8'))
            entry = cls(**{name: str(fields[name]) for name in cls._fields})
        except (ValueError, TypeError, KeyError):
            return None
        return entry if entry.name.startswith(PREFIX) else None


def new_entry(image_id: str, disk: str, target_pool: str, owner: str) -> Entry:
    """Return the entry for a copy that begins; its name was never used before."""
    return Entry(image_id, disk, target_pool, '%s%s.%s' % (PREFIX, image_id, uuid.uuid4().hex[:16]), owner)


def unfinished(site: cluster.Cluster, modules: cluster.Access, pool: str, owner: str) -> Tuple[Entry, ...]:
    """Return the copies of a service that the journal of a pool has.

    :raises ClusterError: it cannot be read.
    """
    values = index.Index(site, modules.rados, pool, JOURNAL).read().values()
    return tuple(entry for entry in map(Entry.load, values) if entry is not None and entry.owner == owner)


class _Whole(NamedTuple):
    """A copy that is whole: its size in bytes, and Ceph's id."""

    size: int
    rbd_id: str


class FlatCopy:
    """One copy.

    :param modules: the access that the cluster was made with, for its modules rados and rbd.
    :param pool: the pool of the disk and of the journal.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, site: cluster.Cluster, modules: cluster.Access, pool: str, entry: Entry,
                 clock: Any = time) -> None:
        self._site, self._rbd, self._pool = site, modules.rbd, pool
        self._journal = index.Index(site, modules.rados, pool, JOURNAL)
        self._clock = clock
        #: Whether this Ceph user may not write into the target pool, or there is none.
        self.was_refused = False
        self.entry = entry

    def write(self) -> int:
        """Copy the disk as it is at this moment; return its size in bytes.

        :raises PoolUnusable: this Ceph user may not write into the pool.
        :raises ClusterError: it failed.
        :raises Missing: the disk does not exist.
        """
        self._write_journal()
        features = self._features()
        name, target_pool = self.entry.name, self.entry.target_pool
        self._on_disk(lambda disk: (disk.create_snap(name), disk.protect_snap(name)))
        try:
            self._site.call_across((self._pool, target_pool), lambda source, target: self._rbd.RBD().clone(
                source, self.entry.disk, name, target, name, features=features))
        except cluster.PoolUnusable:
            self.was_refused = True
            raise
        whole = self._on(target_pool, name, _finish)
        self._drop_snapshot()
        self.entry = self.entry._replace(rbd_id=whole.rbd_id)
        return whole.size

    def offer(self) -> None:
        """Give the copy the name that Glance's RBD store gives to the image.

        :raises ClusterError: it is not known whether it has the name; or there is an RBD image of that name.
        """
        self._write_journal()
        self._site.call(self.entry.target_pool,
                        lambda ioctx: self._rbd.RBD().rename(ioctx, self.entry.name, self.entry.image_id))

    def undo(self) -> None:
        """Remove the copy and the snapshot of the disk, and nothing that this copy has not made.

        :raises ClusterError: something is left; the journal has it.
        """
        for waited in backoff.polls(UNDO_SECONDS, LONGEST, clock=self._clock):
            try:
                if not self.was_refused:
                    self._remove(self.entry.name)
                    if self.entry.rbd_id:
                        self._remove(self.entry.image_id)
                self._drop_snapshot()
                self.close()
                return
            except cluster.ClusterError:
                if waited >= UNDO_SECONDS:
                    raise

    def close(self) -> None:
        """Take the copy out of the journal: it is Glance's now, or it is gone.

        :raises ClusterError: it is not known whether it is in the journal.
        """
        self._journal.change({}, [self.entry.name])

    def _write_journal(self) -> None:
        self._journal.change({self.entry.name: self.entry.dump()})

    def _features(self) -> int:
        """Return the features for the copy: not those of the disk, which may be mirrored."""
        try:
            return int(self._site.option(self._pool, 'rbd_default_features')) | _LAYERING
        except ValueError:
            return _LAYERING

    def _on_disk(self, function: Callable[[Any], T]) -> T:
        return self._on(self._pool, self.entry.disk, function)

    def _on(self, pool: str, name: str, function: Callable[[Any], T]) -> T:
        def use(ioctx: Any) -> T:
            with self._rbd.Image(ioctx, name) as image:
                return function(image)

        return self._site.call(pool, use)

    def _drop_snapshot(self) -> None:
        try:
            self._on_disk(lambda disk: _remove_snapshot(disk, self.entry.name))
        except cluster.Missing:  # the disk was deleted, and its snapshot with it
            pass

    def _remove(self, name: str) -> None:
        """Remove an RBD image if it is this copy; Ceph refuses if it has clones, and nothing is forced."""
        def remove(ioctx: Any) -> None:
            with self._rbd.Image(ioctx, name) as copy:
                if self.entry.rbd_id not in ('', str(copy.id())):
                    return
                _remove_snapshot(copy, coordinator.SNAPSHOT)
            self._rbd.RBD().remove(ioctx, name)

        try:
            self._site.call(self.entry.target_pool, remove)
        except cluster.Missing:
            pass


def _finish(copy: Any) -> _Whole:
    """Make a clone a whole image of Glance's kind."""
    copy.flatten()
    copy.create_snap(coordinator.SNAPSHOT)
    copy.protect_snap(coordinator.SNAPSHOT)
    return _Whole(int(copy.size()), str(copy.id()))


def _remove_snapshot(image: Any, name: str) -> None:
    if name in [snapshot['name'] for snapshot in image.list_snaps()]:
        if image.is_protected_snap(name):
            image.unprotect_snap(name)
        image.remove_snap(name)
