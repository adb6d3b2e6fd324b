# SPDX-License-Identifier: Apache-2.0
"""What a direct snapshot makes in the cluster, and its removal when the snapshot fails.

Nova snapshots the server's disk, clones that into Glance's pool, flattens the clone and removes the disk's
snapshot. When one of these calls fails, Nova leaves what the others made: a copy of the disk that no image
refers to, and a snapshot for which Ceph refuses to delete the disk.
"""

import functools
import time
from typing import Any
from typing import Callable
from typing import List
from typing import Optional
from typing import Tuple

from nova import exception
from oslo_log import log as logging

from multistore_hooks import backoff

LOG = logging.getLogger(__name__)

#: Seconds for which a removal is tried again: longer than one call hangs; and the longest pause between two.
REMOVE_SECONDS, LONGEST_WAIT = 60, 5
#: The snapshot of an image of Glance's, by glance_store's own name for it.
IMAGE_SNAPSHOT = 'snap'


class RecordingDriver:
    """Nova's driver of a cluster, which records what one direct snapshot makes.

    :param driver: a nova.storage.rbd_utils.RBDDriver; all that is not recorded goes to it unchanged.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        # (disk, snapshot), and (image, its pool): what was begun, whether or not it took effect.
        self._snapshot: Optional[Tuple[str, str]] = None
        self._clone: Optional[Tuple[str, Any]] = None
        self._parent: Optional[Callable[[], Any]] = None
        self._is_cloned = self._is_snapshot_there = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    def parent_info(self, volume: str, *args: Any, **kwargs: Any) -> Any:
        """Return the parent of the disk; requested once, as stock Nova does."""
        if self._parent is None:
            try:
                parent = self.driver.parent_info(volume, *args, **kwargs)
                self._parent = lambda: parent
            except exception.ImageUnacceptable as error:
                self._parent = functools.partial(_raise, error)
        return self._parent()

    def create_snap(self, volume: str, name: str, *args: Any, **kwargs: Any) -> Any:
        """Create a snapshot; the first one is that of the disk."""
        if self._snapshot is None:
            self._snapshot, self._is_snapshot_there = (volume, name), True
        return self.driver.create_snap(volume, name, *args, **kwargs)

    def clone(self, image_location: Any, dest_name: str, dest_pool: Any = None) -> Any:
        """Clone the disk's snapshot into Glance's pool."""
        self._clone = (dest_name, dest_pool)
        try:
            result = self.driver.clone(image_location, dest_name, dest_pool=dest_pool)
        except exception.Forbidden:
            self._clone = None  # this Ceph user may not write there, and perhaps not read, either
            raise
        self._is_cloned = True
        return result

    def remove_snap(self, volume: str, name: str, *args: Any, **kwargs: Any) -> Any:
        """Remove a snapshot."""
        result = self.driver.remove_snap(volume, name, *args, **kwargs)
        if (volume, name) == self._snapshot:
            self._is_snapshot_there = False
        return result

    def remove(self, clock: Any = time) -> None:
        """Remove what was made: all of it was, by this snapshot alone. A failure is logged, not raised."""
        if self._clone is not None:
            name, pool = self._clone
            try_to_remove('the image %s in the pool %s' % (name, pool), self._remove_clone, clock)
        if self._snapshot is not None and self._is_snapshot_there:
            # Its name is one that Nova made for this snapshot.
            disk, name = self._snapshot
            try_to_remove('the snapshot %s of the disk %s' % (name, disk), lambda: self.driver.remove_snap(
                disk, name, ignore_errors=True, force=True), clock)

    def _remove_clone(self) -> None:
        assert self._clone is not None and self._snapshot is not None
        name, pool = self._clone
        if not (self._is_cloned or self._is_parent_ours(name, pool)):
            return  # an image of this name was there before, or none came to be
        self.driver.remove_snap(name, IMAGE_SNAPSHOT, pool=pool, ignore_errors=True, force=True)
        self.driver.destroy_volume(name, pool=pool)

    def _is_parent_ours(self, name: str, pool: Any) -> bool:
        try:
            _pool, disk, snapshot = self.driver.parent_info(name, pool=pool)
        except exception.ImageUnacceptable:
            return False
        return (disk, snapshot) == self._snapshot


def _raise(error: Exception) -> None:
    raise error


def try_to_remove(what: str, remove: Callable[[], Any], clock: Any = time) -> List[Exception]:
    """Remove something in the cluster, with retries unless Ceph refuses; log what is left.

    :param what: for the log.
    :param remove: may be called again after it has failed, or has taken effect and failed.
    :returns: the last error if it could not be removed, else nothing.
    """
    errors: List[Exception] = []
    for _waited in backoff.polls(REMOVE_SECONDS, LONGEST_WAIT, clock=clock):
        try:
            remove()
            return []
        except Exception as error:  # any of librbd's; what is left is logged below
            errors = [error]
            # By their names: Nova imports this module where python3-rbd is not installed, too.
            if type(error).__name__ == 'ImageNotFound':
                return []
            if type(error).__name__ == 'PermissionError':
                break  # a retry does not change what this Ceph user may do
    LOG.warning('A direct snapshot failed, and %(what)s could not be removed: %(error)s',
                {'what': what, 'error': errors[0]})
    return errors
