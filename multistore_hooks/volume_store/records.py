# SPDX-License-Identifier: Apache-2.0
"""What the processes of one host note of the volumes that are attached to it.

Each volume has three files in the store's folder: ``ID.gate``, locked by who attaches or detaches;
``ID.users``, locked by each process that uses the volume, and so by nobody when all are gone or killed;
``ID.json``, the notes. The locks are flock(2): the system releases them with the process.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import errors

LOG = logging.getLogger(__name__)

Note = Dict[str, Any]
_POLL = 0.05


class Records:
    """The notes of one store.

    :param folder: made if it is not there, for its owner only.
    :raises OSError: it cannot be made or written to.
    """

    def __init__(self, folder: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder
        self._sleep = sleep
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), folder)

    def enter(self, volume_id: str, seconds: float) -> 'Gate':
        """Return the gate of a volume, locked; close it.

        :raises errors.TimedOut: another thread or process holds it for longer than that.
        """
        deadline = time.monotonic() + seconds
        while True:
            gate = self._try_gate(volume_id)
            if gate is not None:
                return gate
            if time.monotonic() >= deadline:
                raise errors.TimedOut(what='Another attachment of volume %s to this host' % volume_id,
                                      seconds=seconds, option='attach_timeout')
            self._sleep(_POLL)

    def _try_gate(self, volume_id: str) -> Optional['Gate']:
        path = self._path(volume_id, 'gate')
        fd = _lock(path, fcntl.LOCK_EX)
        if fd is None:
            return None
        if not _is(fd, path):  # the last one to leave has removed it
            os.close(fd)
            return None
        return Gate(self, volume_id, fd)

    def use(self, volume_id: str, alone: bool) -> Optional[int]:
        """Return a lock on the use of a volume, or None if others use it; only inside the gate."""
        return _lock(self._path(volume_id, 'users'), fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def read(self, volume_id: str) -> Optional[Note]:
        """:raises errors.CannotNote: nobody knows whether there are notes."""
        try:
            with open(self._path(volume_id, 'json'), encoding='utf-8') as found:
                note = json.load(found)
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        except OSError as error:
            raise errors.CannotNote(why=error) from error
        return note if isinstance(note, dict) else {}

    def write(self, volume_id: str, note: Note) -> None:
        """:raises errors.CannotNote: the notes are as they were."""
        path = self._path(volume_id, 'json')
        try:
            fd = os.open(path + '.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, 'w', encoding='utf-8') as new:
                json.dump(note, new)
            os.replace(path + '.new', path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path + '.new')
            raise errors.CannotNote(why=error) from error

    def remove(self, volume_id: str, *kinds: str) -> None:
        """:raises errors.CannotNote: one of them is still there."""
        for kind in kinds:
            try:
                os.unlink(self._path(volume_id, kind))
            except FileNotFoundError:
                pass
            except OSError as error:
                raise errors.CannotNote(why=error) from error

    def volumes(self) -> List[str]:
        """Return the volumes that there are notes of. :raises errors.CannotNote: the folder is gone."""
        try:
            names = os.listdir(self._folder)
        except OSError as error:
            raise errors.CannotNote(why=error) from error
        return sorted(name[:-len('.json')] for name in names if name.endswith('.json'))

    def _path(self, volume_id: str, kind: str) -> str:
        return os.path.join(self._folder, '%s.%s' % (volume_id, kind))


class Gate:
    """The right to attach and detach a volume, until it is closed."""

    def __init__(self, records: Records, volume_id: str, fd: int) -> None:
        self._records = records
        self._volume_id = volume_id
        self._fd = fd

    def __enter__(self) -> 'Gate':
        return self

    def __exit__(self, *_unused: Any) -> None:
        try:
            if self._records.read(self._volume_id) is None:
                self._tidy()
        except errors.CannotNote as error:  # two empty files stay: nothing that was done is undone for them
            LOG.debug('%s', error)
        finally:
            release(self._fd)

    def _tidy(self) -> None:
        alone = self._records.use(self._volume_id, alone=True)
        if alone is not None:
            try:
                self._records.remove(self._volume_id, 'users', 'gate')
            finally:
                release(alone)

    def read(self) -> Optional[Note]:
        """Return the notes; None if there are none, {} if they cannot be read."""
        return self._records.read(self._volume_id)

    def write(self, note: Note) -> None:
        self._records.write(self._volume_id, note)

    def forget(self) -> None:
        self._records.remove(self._volume_id, 'json')

    def use(self, alone: bool) -> Optional[int]:
        """Return a lock on the use of the volume; release() it, or let it end with the process."""
        return self._records.use(self._volume_id, alone)


def release(lock: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked at this moment has the file open, too
    os.close(lock)


def share(lock: int) -> None:
    """Let others use the volume too; only inside the gate."""
    fcntl.flock(lock, fcntl.LOCK_SH)


def try_alone(lock: int) -> bool:
    """Return whether nobody else uses the volume, and then keep everybody out; only inside the gate."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # A lock that is converted is given up first: take it again, nobody is let in meanwhile.
        fcntl.flock(lock, fcntl.LOCK_SH)
        return False
    return True


def _lock(path: str, how: int) -> Optional[int]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.CannotNote(why=error) from error
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as error:  # a file system without locks, say
        os.close(fd)
        raise errors.CannotNote(why=error) from error
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is(fd: int, path: str) -> bool:
    try:
        there, here = os.stat(path), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
