# SPDX-License-Identifier: Apache-2.0
"""A lock on a file, by flock(2): the system releases it with the process."""

import contextlib
import fcntl
import os
from typing import Optional


class FileLock:
    """A lock that is held, exclusive or shared.

    Its methods raise OSError, where the file system has no locks for example.
    """

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def try_acquire(cls, path: str, exclusive: bool) -> Optional['FileLock']:
        """Return the lock, or None if others hold it. The file is created if it is missing."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd)

    def names_its_file(self) -> bool:
        """Return whether the path still names the locked file: its last holder may have removed it."""
        try:
            there, here = os.stat(self._path), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def downgrade(self) -> None:
        """Turn an exclusive lock into a shared one."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def try_upgrade(self) -> bool:
        """Turn a shared lock into an exclusive one; return False, with it still shared, if others hold it.

        Only where another lock keeps newcomers out meanwhile: flock(2) gives a lock up to convert it.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._fd, fcntl.LOCK_SH)
            return False
        return True

    def release(self) -> None:
        """Give the lock back; releasing it twice is no error."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked at this moment has the file open, too
        os.close(fd)
