# SPDX-License-Identifier: Apache-2.0
"""What can be read of a store without Glance: directories, and pools of clusters that this host reaches."""

import abc
import calendar
import os
import stat
from typing import Any
from typing import Iterator
from typing import NamedTuple
from typing import NoReturn
from typing import Optional
from typing import Tuple

from multistore_hooks.ceph import cluster
from multistore_hooks.stores import inventory

#: The snapshot that Glance's RBD driver makes at the end of an upload.
SNAPSHOT = 'snap'


class PlaceError(Exception):
    """A store's own place could not be read, now."""


class Found(NamedTuple):
    """The data of an image, as the place itself has it."""

    size: int
    #: An upload that came to its end; None: a place of this kind does not show it.
    complete: Optional[bool]
    #: When it was last written, and last read, in seconds since 1970, if known.
    changed: Optional[float] = None
    used: Optional[float] = None


class Children(NamedTuple):
    """What was cloned from an image's data, in all pools and their trash."""

    clones: int
    #: Bytes of the image, which stay until the last of them is gone.
    held: int


class Place(abc.ABC):
    """Where a store keeps its data."""

    @property
    @abc.abstractmethod
    def identity(self) -> Tuple[Any, ...]:
        """What is the same for two stores that are one place.

        :raises PlaceError: it cannot be reached
        """

    @abc.abstractmethod
    def find(self, image_id: str) -> Optional[Found]:
        """Return the data of an image, or None if there is none.

        :raises PlaceError: it cannot be determined
        """

    @abc.abstractmethod
    def children(self, image_id: str) -> Children:
        """Return what uses the data.

        :raises PlaceError: it cannot be determined
        """

    @abc.abstractmethod
    def in_trash(self, image_id: str) -> bool:
        """Return whether data of the image is in the trash.

        :raises PlaceError: it cannot be determined
        """

    @abc.abstractmethod
    def everything(self) -> Iterator[Tuple[str, Found]]:
        """Yield the name and the data of all there is.

        :raises PlaceError: it cannot be read
        """

    @abc.abstractmethod
    def space(self) -> inventory.Space:
        """Return its room.

        :raises PlaceError: it cannot be determined
        """

    @abc.abstractmethod
    def read(self, image_id: str, size: int = 8 << 20) -> Iterator[bytes]:
        """Yield the bytes of an image.

        :raises PlaceError: they cannot be read
        """


def holds(found: Optional[Found], size: int) -> str:
    """Return '' if what was found is the whole image, else what is wrong."""
    if found is None:
        return 'it has no data of it'
    if found.complete is False:
        return 'its upload was not completed there'
    if found.size != size:
        return 'it has %d bytes of %d' % (found.size, size)
    return ''


class Directory(Place):
    """The directory of a file store (``filesystem_store_datadir``), which this host has, too."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return 'the directory %s' % self.path

    @property
    def identity(self) -> Tuple[Any, ...]:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise PlaceError('%s: %s' % (self.path, error.strerror))
        return ('file', found.st_dev, found.st_ino)

    def find(self, image_id: str) -> Optional[Found]:
        self.identity  # a directory that is not there has no data, and must not be taken for an empty one
        try:
            found = os.stat(os.path.join(self.path, image_id))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlaceError('%s: %s' % (os.path.join(self.path, image_id), error.strerror))
        return self._of_stat(found) if stat.S_ISREG(found.st_mode) else None

    def _of_stat(self, found: os.stat_result) -> Found:
        used = found.st_atime if self._keeps_access_times() else None
        return Found(found.st_size, None, found.st_mtime, used)

    def _keeps_access_times(self) -> bool:
        return not os.statvfs(self.path).f_flag & getattr(os, 'ST_NOATIME', 1024)

    def children(self, image_id: str) -> Children:
        return Children(0, 0)

    def in_trash(self, image_id: str) -> bool:
        return False

    def everything(self) -> Iterator[Tuple[str, Found]]:
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        yield entry.name, self._of_stat(entry.stat(follow_symlinks=False))
        except OSError as error:
            raise PlaceError('%s: %s' % (self.path, error.strerror))

    def space(self) -> inventory.Space:
        try:
            found = os.statvfs(self.path)
        except OSError as error:
            raise PlaceError('%s: %s' % (self.path, error.strerror))
        return inventory.Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def read(self, image_id: str, size: int = 8 << 20) -> Iterator[bytes]:
        try:
            with open(os.path.join(self.path, image_id), 'rb') as stream:
                piece = stream.read(size)
                while piece:
                    yield piece
                    piece = stream.read(size)
        except OSError as error:
            raise PlaceError('%s: %s' % (os.path.join(self.path, image_id), error.strerror))


class Pool(Place):
    """The pool of an RBD store.

    :param site: the cluster
    :param rbd: the module
    :param fsid: of the cluster
    """

    def __init__(self, site: cluster.Cluster, rbd: Any, pool: str, fsid: str) -> None:
        self._cluster, self._rbd, self._pool, self._fsid = site, rbd, pool, fsid

    def __repr__(self) -> str:
        return 'the pool %s of cluster %s' % (self._pool, self._fsid)

    @property
    def identity(self) -> Tuple[Any, ...]:
        return ('rbd', self._fsid, self._pool)

    def _call(self, function: Any) -> Any:
        try:
            return self._cluster.call(self._pool, function)
        except cluster.ClusterError as error:
            raise PlaceError('%r: %s' % (self, error))

    def find(self, image_id: str) -> Optional[Found]:
        try:
            found: Found = self._call(lambda ioctx: self._found(ioctx, image_id))
        except cluster.Missing:
            return None
        return found

    def _found(self, ioctx: Any, name: str) -> Found:
        image = self._rbd.Image(ioctx, name, read_only=True)
        try:
            snapshots = {entry['name']: entry['size'] for entry in image.list_snaps()}
            size = snapshots.get(SNAPSHOT, image.size())
            return Found(size, SNAPSHOT in snapshots, _modified(image))
        finally:
            image.close()

    def children(self, image_id: str) -> Children:
        try:
            found: Children = self._call(lambda ioctx: self._children(ioctx, image_id))
        except cluster.Missing:
            return Children(0, 0)
        return found

    def _children(self, ioctx: Any, name: str) -> Children:
        image = self._rbd.Image(ioctx, name, read_only=True)
        try:
            # Of all its snapshots; those in the trash of any pool too, as they hold the data all the same.
            count = sum(1 for _child in image.list_children2())
            return Children(count, image.size() if count else 0)
        finally:
            image.close()

    def in_trash(self, image_id: str) -> bool:
        return bool(self._call(lambda ioctx: any(
            entry['name'] == image_id for entry in self._rbd.RBD().trash_list(ioctx))))

    def trash(self) -> Tuple[str, ...]:
        """Return the names of what is in the pool's trash.

        :raises PlaceError: it cannot be read
        """
        return tuple(self._call(lambda ioctx: [entry['name'] for entry in self._rbd.RBD().trash_list(ioctx)]))

    def watchers(self, image_id: str) -> int:
        """Return how many clients have an image open for writing.

        :raises PlaceError: it cannot be determined
        """
        try:
            return int(self._call(lambda ioctx: self._watchers(ioctx, image_id)))
        except (cluster.Missing, AttributeError) as error:  # librbd before Mimic does not report it
            raise PlaceError('%r: the clients of image %s are not known (%s)' % (self, image_id, error))

    def _watchers(self, ioctx: Any, name: str) -> int:
        image = self._rbd.Image(ioctx, name, read_only=True)
        try:
            return sum(1 for _watcher in image.watchers_list())
        finally:
            image.close()

    def move_to_trash(self, image_id: str, keep: int) -> str:
        """Move an image to the pool's trash, and return its id there.

        :param keep: seconds for which the trash does not let it be removed
        :raises PlaceError: the pool refuses, or cannot be reached
        """
        try:
            return str(self._call(lambda ioctx: self._trash(ioctx, image_id, keep)))
        except cluster.Missing:
            raise PlaceError('%r: it has no image %s' % (self, image_id))

    def _trash(self, ioctx: Any, name: str, keep: int) -> str:
        image = self._rbd.Image(ioctx, name, read_only=True)
        try:
            trash_id: str = image.id()
        finally:
            image.close()
        self._rbd.RBD().trash_move(ioctx, name, keep)
        return trash_id

    def restore(self, trash_id: str, image_id: str) -> None:
        """Bring an image back from the pool's trash.

        :raises PlaceError: it cannot be brought back
        """
        try:
            self._call(lambda ioctx: self._rbd.RBD().trash_restore(ioctx, trash_id, image_id))
        except cluster.Missing as error:
            raise PlaceError('%r: %s' % (self, error))

    def everything(self) -> Iterator[Tuple[str, Found]]:
        for name in self._call(lambda ioctx: self._rbd.RBD().list(ioctx)):
            found = self.find(name)
            if found is not None:
                yield name, found

    def space(self) -> inventory.Space:
        try:
            used, free = self._cluster.room(self._pool)
        except (cluster.ClusterError, cluster.Missing) as error:
            raise PlaceError('%r: %s' % (self, error))
        return inventory.Space(used + free, free)

    def read(self, image_id: str, size: int = 8 << 20) -> Iterator[bytes]:
        found = self.find(image_id)
        if found is None:
            raise PlaceError('%r: it has no image %s' % (self, image_id))
        for offset in range(0, found.size, size):
            yield self._call(lambda ioctx, at=offset: self._piece(ioctx, image_id, at, size, found))

    def _piece(self, ioctx: Any, name: str, offset: int, size: int, found: Found) -> bytes:
        image = self._rbd.Image(ioctx, name, snapshot=SNAPSHOT if found.complete else None, read_only=True)
        try:
            piece: bytes = image.read(offset, min(size, found.size - offset))
            return piece
        finally:
            image.close()


class Away(Place):
    """The place of a store whose cluster does not respond: nothing is known of it, and no call waits again.

    :param what: the pool, in words
    :param why: the error
    """

    def __init__(self, what: str, why: str) -> None:
        self._what, self._why = what, why

    def __repr__(self) -> str:
        return self._what

    def _raise(self) -> NoReturn:
        raise PlaceError('%r: %s' % (self, self._why))

    @property
    def identity(self) -> Tuple[Any, ...]:
        self._raise()

    def find(self, image_id: str) -> Optional[Found]:
        self._raise()

    def children(self, image_id: str) -> Children:
        self._raise()

    def in_trash(self, image_id: str) -> bool:
        self._raise()

    def everything(self) -> Iterator[Tuple[str, Found]]:
        self._raise()

    def space(self) -> inventory.Space:
        self._raise()

    def read(self, image_id: str, size: int = 8 << 20) -> Iterator[bytes]:
        self._raise()


def _modified(image: Any) -> Optional[float]:
    """Return when an image was written last, in seconds since 1970; None: it is not known.

    librbd before Nautilus does not report it.
    """
    try:
        moment = image.modify_timestamp()
    except AttributeError:
        return None
    # Without a time zone, in UTC. An image that an older cluster made has the year 1970.
    return float(calendar.timegm(moment.timetuple())) if moment.year > 1980 else None
