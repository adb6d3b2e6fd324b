# SPDX-License-Identifier: Apache-2.0
"""A volume that is a block device of this host, or a file of a share."""

import collections
import ctypes
import errno
import fcntl
import mmap
import os
import stat
import threading
from typing import Deque

from multistore_hooks.volume_store import devices

_PUNCH_HOLE, _KEEP_SIZE = 2, 1  # of fallocate(2)


class FileDevice(devices.Device):
    """A block device, or a file of a share.

    What is written goes past the page cache where the system allows it: the device's errors are then
    reported at once, and an upload does not push everything else out of memory.
    """

    def __init__(self, volume_id: str, path: str, writable: bool) -> None:
        super().__init__(volume_id)
        self._direct = writable
        try:
            self._fd = _open(path, writable, self._direct)
        except OSError as error:
            if not writable or error.errno != errno.EINVAL:
                raise self._error('Opening', 0, str(error), error.errno) from error
            self._direct = False
            self._fd = self._try('Opening', 0, lambda: _open(path, writable, False))
        self._buffers = threading.local()
        self._readers: Deque[int] = collections.deque()
        found = os.fstat(self._fd)
        self._block = stat.S_ISBLK(found.st_mode)
        self.zeroed = stat.S_ISREG(found.st_mode)
        self._zeroes_itself = self._block and writable  # until it says that it cannot

    def size(self) -> int:
        return int(self._try('Measuring', 0, self._size))

    def _size(self) -> int:
        # The position does not matter: everything else is done at offsets.
        return os.lseek(self._fd, 0, os.SEEK_END) if self._block else os.fstat(self._fd).st_size

    def _read(self, offset: int, length: int) -> bytes:
        if self._direct:  # reading back: what was written past the page cache is not in it
            self._direct = False
            fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_DIRECT)
        # Several reads at once on one open file undo each other's read-ahead in the kernel.
        try:
            fd = self._readers.popleft()
        except IndexError:
            try:
                fd = os.open('/proc/self/fd/%d' % self._fd, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # udev has given the device back to root, or this process has too many files
                return _read_all(self._fd, offset, length)
        try:
            return _read_all(fd, offset, length)
        finally:
            self._readers.append(fd)
            if self._fd < 0:  # closed meanwhile
                self._close_readers()

    def _close_readers(self) -> None:
        while self._readers:
            try:
                os.close(self._readers.popleft())
            except IndexError:  # another thread was quicker
                return

    def _write(self, offset: int, data: bytes) -> None:
        if not self._direct:
            rest = -len(data) % devices.ALIGNED if self._block else 0
            self._write_all(offset, memoryview(data + bytes(rest) if rest else data))
            return
        buffer = getattr(self._buffers, 'one', None)
        if buffer is None:
            # It begins on a page, as O_DIRECT demands.
            buffer = self._buffers.one = mmap.mmap(-1, devices.PIECE)
        length = len(data)
        buffer[:length] = data
        whole = -(-length // devices.ALIGNED) * devices.ALIGNED
        if whole > length:
            buffer[length:whole] = bytes(whole - length)
        with memoryview(buffer) as view, view[:whole] as wanted:
            self._write_all(offset, wanted)

    def _write_all(self, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            with data[done:] as rest:
                written = os.pwrite(self._fd, rest, offset + done)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += written

    def can_zero(self) -> bool:
        return self._zeroes_itself

    def zero(self, offset: int, length: int) -> bool:
        if not self._zeroes_itself:
            return False
        error = _punch(self._fd, offset, length)
        if error in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            self._zeroes_itself = False
            return False
        if error:
            raise self._error('Zeroing', offset, os.strerror(error), error)
        return True

    def _flush(self) -> None:
        os.fsync(self._fd)
        # What is read back afterwards comes from the device.
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        self._close_readers()
        if fd >= 0:
            self._try('Closing', 0, lambda: os.close(fd))

    def __del__(self) -> None:
        if getattr(self, '_fd', -1) >= 0:
            os.close(self._fd)
            self._close_readers()


def _open(path: str, writable: bool, direct: bool) -> int:
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    return os.open(path, flags | (os.O_DIRECT if direct else 0))


def _read_all(fd: int, offset: int, length: int) -> bytes:
    """Return that many bytes, or fewer where the device ends."""
    data = os.pread(fd, length, offset)
    if len(data) in (0, length):
        return data
    parts, have = [data], len(data)
    while data and have < length:
        data = os.pread(fd, length - have, offset + have)
        parts.append(data)
        have += len(data)
    return b''.join(parts)


def _punch(fd: int, offset: int, length: int) -> int:
    """Let a block device forget a range, which then reads as zeros; return the error's number, or 0.

    Other than with BLKZEROOUT, thin storage is not allocated, and the kernel never writes the zeros.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fallocate = libc.fallocate
    except AttributeError:
        return errno.ENOSYS
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    while fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length):
        error = ctypes.get_errno()
        if error != errno.EINTR:
            return error
    return 0
