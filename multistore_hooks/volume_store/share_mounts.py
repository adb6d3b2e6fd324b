# SPDX-License-Identifier: Apache-2.0
"""Unmount a share when no volume on it is used on this host any more: os-brick mounts it, and no more."""

import hashlib
import os
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.volume_store import file_lock

LOG = logging.getLogger(__name__)

#: The protocols whose volumes are files of a mounted share.
PROTOCOLS = ('nfs', 'glusterfs', 'quobyte', 'vzstorage', 'scality')
#: Seconds to wait for another process that is just unmounting the share.
_UNMOUNTING_SECONDS = 30
_MOUNTS = '/proc/mounts'


def on_share(connection: Dict[str, Any]) -> bool:
    """Return whether a volume is a file of a share, by its connection in Cinder's words."""
    return str(connection['driver_volume_type']).lower() in PROTOCOLS


class ShareMounts:
    """The shares that this process uses.

    :param folder: of a lock for each share, the same for all processes of the host.
    :param unmount: called with a mount point, may raise what it likes: a busy share stays.
    """

    def __init__(self, folder: str, unmount: Callable[[str], Any], clock: Any = time) -> None:
        self._folder = folder
        self._unmount = unmount
        self._clock = clock
        self._held: Dict[str, file_lock.FileLock] = {}

    def hold(self, connection: Dict[str, Any]) -> None:
        """Keep the share of a volume mounted, from before it is connected; called again, it changes nothing.

        :raises OSError: its lock cannot be created.
        """
        volume = _volume(connection)
        if volume in self._held:
            return
        for _waited in backoff.polls(_UNMOUNTING_SECONDS, longest=0.1, shortest=0.1, clock=self._clock):
            lock = file_lock.FileLock.try_acquire(self._path(connection), exclusive=False)
            if lock is not None:
                self._held[volume] = lock
                return

    def let_go(self, connection: Dict[str, Any], path: Optional[str]) -> None:
        """Unmount the share of a volume that was disconnected, unless it is used; no error comes of it.

        :param path: of the volume's file.
        """
        lock = self._held.pop(_volume(connection), None)
        if lock is not None:
            lock.release()
        if not path:
            return
        alone = None
        try:
            alone = file_lock.FileLock.try_acquire(self._path(connection), exclusive=True)
            mount_point = os.path.dirname(path)
            if alone is not None and _is_mounted(mount_point):
                self._unmount(mount_point)
        except Exception as error:  # a volume on it is open in a process that did not connect it itself
            LOG.debug('The share %s stays mounted: %s', connection.get('export'), error)
        finally:
            if alone is not None:
                alone.release()

    def _path(self, connection: Dict[str, Any]) -> str:
        name = hashlib.sha256(str(connection.get('export')).encode()).hexdigest()[:32]
        return os.path.join(self._folder, 'share-%s.lock' % name)


def _volume(connection: Dict[str, Any]) -> str:
    return '%s %s' % (connection.get('export'), connection.get('name'))


def _is_mounted(mount_point: str) -> bool:
    # Not by the file system itself: one whose server is away would hang.
    with open(_MOUNTS, encoding='utf-8') as mounts:
        return any(line.split()[1:2] == [mount_point] for line in mounts)
