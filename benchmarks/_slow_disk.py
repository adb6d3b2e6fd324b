# SPDX-License-Identifier: Apache-2.0
"""A folder whose files are as far away as a network makes them: a FUSE file system of the standard library.

    with SlowDisk('/folder', megabytes=250, milliseconds=2):
        ...     # what is in the folder stays in its place, and is read and written through the delay

All files share one line: each byte that is read or written takes its time on it, one after the other, and
every request's answer then is so many milliseconds on its way, along with others'. What needs no transfer
(zeroing a range, a flush) costs the way alone. Where the folder really is should be much faster: memory.
A process of its own serves it, which needs root and ends when its owner does.

By hand: ``python -m benchmarks._slow_disk FOLDER MEGABYTES MILLISECONDS``; it ends with its standard input.
"""

import contextlib
import ctypes
import errno
import heapq
import os
import stat
import struct
import subprocess
import sys
import threading
import time
import typing

from lab.poll import LabError
from lab import processes

MAX_WRITE = 1 << 20
ROOT = 1
# The kernel's numbers and flags: include/uapi/linux/fuse.h.
VERSION = (7, 31)
ASYNC_READ, BIG_WRITES, ASYNC_DIO, MAX_PAGES = 1 << 0, 1 << 5, 1 << 15, 1 << 22
SET_MODE, SET_UID, SET_GID, SET_SIZE = 1, 2, 4, 8
ALWAYS_VALID = 3600
IN_HEADER = struct.Struct('<IIQQIIIHH')
OUT_HEADER = struct.Struct('<IiQ')
ATTR = struct.Struct('<6Q10I')
ENTRY = struct.Struct('<4QII')
INIT = struct.Struct('<IIIIHHIIHHI28x')
# The reader's buffer has to hold a write with its two headers, and more for safety.
BUFFER = MAX_WRITE + (64 << 10)
PUNCH, KEEP_SIZE = 2, 1

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class SlowDisk:
    """Put the delay before a folder, in a process of its own; a context manager.

    :param folder: it has files only.
    :param megabytes: a second, of a million bytes, that the line carries
    :param milliseconds: from a request's end on the line to its answer
    """

    def __init__(self, folder: str, megabytes: float, milliseconds: float) -> None:
        self.folder = folder
        self._command = [sys.executable, '-m', 'benchmarks._slow_disk', folder,
                         str(megabytes), str(milliseconds)]
        self._process: typing.Optional[processes.Process] = None

    @property
    def pid(self) -> int:
        """The process that serves it."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> 'SlowDisk':
        # It ends with its standard input, and unmounts what a guard would leave.
        self._process = processes.Process(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          guarded=False)
        if self._process.stdout.readline() != b'ready\n':
            self._process.kill()
            raise OSError('no delay before %s: see the line above' % self.folder)
        return self

    def __exit__(self, *_unused: typing.Any) -> None:
        self._process.stdin.close()
        with contextlib.suppress(LabError):
            self._process.wait(processes.STOP_SECONDS)
        self._process.kill()
        # It has unmounted it, unless it died; what the folder is on may be a mount too.
        with open('/proc/mounts', encoding='utf-8') as mounts:
            if any(line.startswith('slow %s fuse ' % self.folder) for line in mounts):
                subprocess.run(['umount', '--lazy', self.folder], check=False)


class Line:
    """What is on its way: answers that are sent when their time has come."""

    def __init__(self, device: int, megabytes: float, milliseconds: float) -> None:
        self._device = device
        self._second_per_byte = 1 / (megabytes * 1e6)
        self._way = milliseconds / 1000
        self._free = 0.0
        self._waiting: typing.List[typing.Tuple[float, int, typing.List[bytes]]] = []
        self._number = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, size: int, answer: typing.List[bytes]) -> None:
        """Let an answer go, after so many bytes of it or of its request have passed."""
        with self._changed:
            self._free = max(self._free, time.monotonic()) + size * self._second_per_byte
            self._number += 1
            heapq.heappush(self._waiting, (self._free + self._way, self._number, answer))
            if self._waiting[0][1] == self._number:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while True:
                    left = self._waiting[0][0] - time.monotonic() if self._waiting else None
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                answer = heapq.heappop(self._waiting)[2]
            _write(self._device, answer)


class Served:
    """The file system: requests of the kernel, and what they do to the folder beneath.

    :param folder: a descriptor of the folder beneath
    """

    def __init__(self, folder: int, device: int, line: Line) -> None:
        self._folder, self._device, self._line = folder, device, line
        self._names = {ROOT: b'.'}
        self._numbers = {b'.': ROOT}
        self._next = ROOT
        self._calls = {
            1: self._lookup, 3: self._getattr, 4: self._setattr, 8: self._mknod, 10: self._unlink,
            12: self._rename, 14: self._open, 15: self._read, 16: self._write, 17: self._statfs,
            18: self._release, 20: self._flush, 25: self._flush, 26: self._init, 27: self._opendir,
            28: self._readdir, 29: self._nothing, 34: self._nothing, 35: self._create,
            43: self._fallocate, 45: self._rename2}
        self._silent = {2, 36, 42}     # FORGET, INTERRUPT, BATCH_FORGET have no answer

    def run(self) -> None:
        """Serve until it is unmounted."""
        buffer = bytearray(BUFFER)
        view = memoryview(buffer)
        while True:
            try:
                size = os.readv(self._device, [buffer])
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                if error.errno == errno.ENODEV:
                    return
                raise
            _size, code, unique, node, *_rest = IN_HEADER.unpack_from(buffer)
            if code in self._silent:
                continue
            try:
                if code not in self._calls:
                    raise OSError(errno.ENOSYS, 'no such request')
                moved, answer = self._calls[code](node, view[IN_HEADER.size:size])
            except OSError as error:
                _write(self._device, [OUT_HEADER.pack(OUT_HEADER.size, -(error.errno or errno.EIO), unique)])
                continue
            parts = [OUT_HEADER.pack(OUT_HEADER.size + len(answer), 0, unique), answer]
            if moved is None:
                _write(self._device, parts)
            else:
                self._line.send(moved, parts)

    # ---- each returns (bytes on the line, or None: at once; the answer) -----------------------------

    def _init(self, node, data):
        major, _minor, ahead, flags = struct.unpack_from('<4I', data)
        if major != VERSION[0]:
            raise OSError(errno.EPROTO, 'FUSE %d is not known' % major)
        return None, INIT.pack(*VERSION, ahead, flags & (ASYNC_READ | BIG_WRITES | ASYNC_DIO | MAX_PAGES),
                               64, 48, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0)

    def _lookup(self, node, data):
        return None, self._entry(_name(data))

    def _getattr(self, node, data):
        return None, struct.pack('<QII', 0, 0, 0) + self._attributes(self._names[node])

    def _setattr(self, node, data):
        valid, _pad, _fh, size = struct.unpack_from('<IIQQ', data)
        mode, _unused, uid, gid = struct.unpack_from('<4I', data, 68)
        name = self._names[node]
        if valid & SET_SIZE:
            fd = os.open(name, os.O_WRONLY, dir_fd=self._folder)
            try:
                os.ftruncate(fd, size)
            finally:
                os.close(fd)
        if valid & SET_MODE:
            os.chmod(name, stat.S_IMODE(mode), dir_fd=self._folder)
        if valid & (SET_UID | SET_GID):
            os.chown(name, uid if valid & SET_UID else -1, gid if valid & SET_GID else -1,
                     dir_fd=self._folder)
        return self._getattr(node, data)

    def _mknod(self, node, data):
        name = _name(data[16:])
        permissions = struct.unpack_from('<I', data)[0] & 0o777
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, permissions, dir_fd=self._folder))
        return None, self._entry(name)

    def _create(self, node, data):
        flags, mode = struct.unpack_from('<II', data)
        name = _name(data[16:])
        fd = os.open(name, flags & ~os.O_DIRECT | os.O_CREAT, mode & 0o777, dir_fd=self._folder)
        return None, self._entry(name) + struct.pack('<QIi', fd, 0, 0)

    def _open(self, node, data):
        flags = struct.unpack_from('<I', data)[0] & ~(os.O_DIRECT | os.O_APPEND)
        return None, struct.pack('<QIi', os.open(self._names[node], flags, dir_fd=self._folder), 0, 0)

    def _read(self, node, data):
        fd, offset, size = struct.unpack_from('<QQI', data)
        found = os.pread(fd, size, offset)
        return len(found), found

    def _write(self, node, data):
        fd, offset, size = struct.unpack_from('<QQI', data)
        done = os.pwrite(fd, data[40:40 + size], offset)
        return done, struct.pack('<II', done, 0)

    def _fallocate(self, node, data):
        fd, offset, length, mode = struct.unpack_from('<QQQI', data)
        # To zero a range is to punch it: what a thin disk does on the far end.
        if mode & ~KEEP_SIZE and libc.fallocate(fd, PUNCH | KEEP_SIZE, offset, length):
            raise OSError(ctypes.get_errno(), 'fallocate')
        return 0, b''

    def _flush(self, node, data):
        return 0, b''

    def _release(self, node, data):
        os.close(struct.unpack_from('<Q', data)[0])
        return None, b''

    def _unlink(self, node, data):
        os.unlink(_name(data), dir_fd=self._folder)
        return None, b''

    def _rename(self, node, data, start=8):
        old, new = bytes(data[start:]).split(b'\0')[:2]
        os.rename(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._numbers.pop(new, None)
        number = self._numbers.pop(old, None)
        if number is not None:
            self._numbers[new], self._names[number] = number, new
        return None, b''

    def _rename2(self, node, data):
        return self._rename(node, data, 16)

    def _opendir(self, node, data):
        return None, struct.pack('<QIi', 0, 0, 0)

    def _readdir(self, node, data):
        _fh, offset, size = struct.unpack_from('<QQI', data)
        answer = b''
        for number, name in enumerate(sorted(os.listdir(self._folder)), 1):
            name = os.fsencode(name)
            one = struct.pack('<QQII', number + ROOT, number, len(name), 0) + name
            one += b'\0' * (-len(one) % 8)
            if number > offset and len(answer) + len(one) <= size:
                answer += one
        return None, answer

    def _statfs(self, node, data):
        found = os.fstatvfs(self._folder)
        return None, struct.pack('<5Q4I24x', found.f_blocks, found.f_bfree, found.f_bavail, found.f_files,
                                 found.f_ffree, found.f_bsize, 255, found.f_frsize, 0)

    def _nothing(self, node, data):
        return None, b''

    # ---- shapes -------------------------------------------------------------------------------------

    def _entry(self, name: bytes) -> bytes:
        attributes = self._attributes(name)
        if name not in self._numbers:
            self._next += 1
            self._numbers[name], self._names[self._next] = self._next, name
        return ENTRY.pack(self._numbers[name], 0, 0, 0, 0, 0) + attributes

    def _attributes(self, name: bytes) -> bytes:
        try:
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            # The number of a file that is no more is not given to the next of its name.
            self._numbers.pop(name, None)
            raise
        return ATTR.pack(found.st_ino, found.st_size, found.st_blocks, int(found.st_atime),
                         int(found.st_mtime), int(found.st_ctime), 0, 0, 0, found.st_mode, found.st_nlink,
                         found.st_uid, found.st_gid, 0, 4096, 0)


def _name(data) -> bytes:
    return bytes(data).split(b'\0', 1)[0]


def _write(device: int, parts: typing.List[bytes]) -> None:
    try:
        os.writev(device, parts)
    except OSError as error:
        # Nobody waits for it any more: interrupted, or unmounted.
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise


def serve(folder: str, megabytes: float, milliseconds: float) -> None:
    """Mount it, say that it is ready, and serve it until standard input ends."""
    beneath = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    device = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
    options = 'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,max_read=%d' % (device, MAX_WRITE)
    if libc.mount(b'slow', os.fsencode(folder), b'fuse', 0, options.encode()):
        number = ctypes.get_errno()
        sys.exit('%s cannot be mounted: %s' % (folder, os.strerror(number)))

    def end() -> None:
        while os.read(0, 1024):
            pass
        libc.umount2(os.fsencode(folder), 2)
        time.sleep(0.2)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    served = Served(beneath, device, Line(device, megabytes, milliseconds))
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    served.run()
    os._exit(0)


if __name__ == '__main__':
    serve(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
