# SPDX-License-Identifier: Apache-2.0
"""The journal that the processes of one host keep of the volumes attached to it.

Each volume has three files in the store's folder: ``ID.gate``, locked while a process attaches or detaches
it; ``ID.users``, locked by each process that uses the volume, and so by none once all have ended;
``ID.json``, the record.
"""

import contextlib
import errno
import json
import os
import time
from typing import Any
from typing import Dict
from typing import List
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_lock

LOG = logging.getLogger(__name__)

Record = Dict[str, Any]
_POLL = 0.05


class AttachmentJournal:
    """The journal of one store.

    :param folder: created if it is missing, for its owner only.
    :raises OSError: it cannot be created or written to.
    """

    def __init__(self, folder: str, clock: Any = time) -> None:
        self._folder = folder
        self._clock = clock
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), folder)

    def acquire(self, volume_id: str, seconds: float) -> 'AttachmentLock':
        """Return the lock of a volume; release it by using it as a context manager.

        :raises errors.TimedOut: another thread or process holds it for longer than that.
        :raises errors.JournalError: the folder cannot be used.
        """
        for _waited in backoff.polls(seconds, longest=_POLL, shortest=_POLL, clock=self._clock):
            lock = self._try_lock(volume_id, 'gate', exclusive=True)
            if lock is not None and lock.names_its_file():
                return AttachmentLock(self, volume_id, lock)
            if lock is not None:
                lock.release()
        raise errors.TimedOut(what='Another attachment of volume %s to this host' % volume_id,
                              seconds=seconds, option='attach_timeout')

    def lock_users(self, volume_id: str, exclusive: bool) -> Optional[file_lock.FileLock]:
        """Return a lock on the use of a volume, or None if others use it. See AttachmentLock."""
        return self._try_lock(volume_id, 'users', exclusive)

    def read(self, volume_id: str) -> Optional[Record]:
        """Return the record of a volume: None if there is none, {} if it is damaged.

        :raises errors.JournalError: it cannot be read.
        """
        try:
            with open(self._path(volume_id, 'json'), encoding='utf-8') as found:
                record = json.load(found)
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        except OSError as error:
            raise errors.JournalError(why=error) from error
        return record if isinstance(record, dict) else {}

    def write(self, volume_id: str, record: Record) -> None:
        """Replace the record of a volume.

        :raises errors.JournalError: it could not be written, and is unchanged.
        """
        path = self._path(volume_id, 'json')
        try:
            fd = os.open(path + '.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, 'w', encoding='utf-8') as new:
                json.dump(record, new)
            os.replace(path + '.new', path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path + '.new')
            raise errors.JournalError(why=error) from error

    def remove(self, volume_id: str, *kinds: str) -> None:
        """Remove some of the files of a volume; one that is missing is no error.

        :raises errors.JournalError: one of them is still there.
        """
        for kind in kinds:
            try:
                os.unlink(self._path(volume_id, kind))
            except FileNotFoundError:
                pass
            except OSError as error:
                raise errors.JournalError(why=error) from error

    def volumes(self) -> List[str]:
        """Return the volumes that have a record.

        :raises errors.JournalError: the folder cannot be listed.
        """
        try:
            names = os.listdir(self._folder)
        except OSError as error:
            raise errors.JournalError(why=error) from error
        return sorted(name[:-len('.json')] for name in names if name.endswith('.json'))

    def _try_lock(self, volume_id: str, kind: str, exclusive: bool) -> Optional[file_lock.FileLock]:
        try:
            return file_lock.FileLock.try_acquire(self._path(volume_id, kind), exclusive)
        except OSError as error:
            raise errors.JournalError(why=error) from error

    def _path(self, volume_id: str, kind: str) -> str:
        return os.path.join(self._folder, '%s.%s' % (volume_id, kind))


class AttachmentLock:
    """The right to attach and detach a volume, until the end of its ``with``."""

    def __init__(self, journal: AttachmentJournal, volume_id: str, lock: file_lock.FileLock) -> None:
        self._journal = journal
        self._volume_id = volume_id
        self._lock = lock

    def __enter__(self) -> 'AttachmentLock':
        return self

    def __exit__(self, *_unused: Any) -> None:
        try:
            if self._journal.read(self._volume_id) is None:
                self._tidy()
        except errors.JournalError as error:  # two empty files stay: what was done stays done
            LOG.debug('%s', error)
        finally:
            self._lock.release()

    def _tidy(self) -> None:
        users = self._journal.lock_users(self._volume_id, exclusive=True)
        if users is not None:
            try:
                self._journal.remove(self._volume_id, 'users', 'gate')
            finally:
                users.release()

    def read(self) -> Optional[Record]:
        """Return the record: None if there is none, {} if it is damaged."""
        return self._journal.read(self._volume_id)

    def write(self, record: Record) -> None:
        """Replace the record."""
        self._journal.write(self._volume_id, record)

    def remove(self) -> None:
        """Remove the record."""
        self._journal.remove(self._volume_id, 'json')

    def lock_users(self, exclusive: bool) -> Optional[file_lock.FileLock]:
        """Return a lock on the use of the volume, or None if others use it.

        It outlives this lock: release it, or let it end with the process.
        """
        return self._journal.lock_users(self._volume_id, exclusive)
