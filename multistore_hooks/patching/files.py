# SPDX-License-Identifier: Apache-2.0
"""The file operations below one folder: every one that the patch tool does is here.

Each names its file by a path relative to the root, and walks there from the root's own
descriptor without following a symbolic link. So nothing outside the root can be read or
written, whatever the path says and whatever moves folders meanwhile.
"""

import contextlib
import errno
import fcntl
import os
import stat
from typing import Iterator, List, NamedTuple, Optional, Tuple

from multistore_hooks.patching import errors


class Attributes(NamedTuple):
    """What a file has apart from its bytes. Times are in nanoseconds."""

    mode: int
    uid: int
    gid: int
    atime: int
    mtime: int
    extended: Tuple[Tuple[str, bytes], ...]


class Content(NamedTuple):
    """A file as it was found."""

    data: bytes
    attributes: Attributes


class Tree:
    """The files below a folder.

    The methods from `mkdir` on change something; each is one step that a kill may come before
    or after. All raise OSError as the system does, with the path as its file name, and
    UnsafePath where a symbolic link or something that is no plain file is in the way.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    @contextlib.contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise errors.UnsafePath('%s is a symbolic link' % self._full(path))
            if not os.path.isabs(str(error.filename)):
                error.filename = self._full(path)
            error.filename2 = None
            raise

    def _full(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.root, path))

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[Tuple[int, str]]:
        """Give a descriptor of the folder that holds path, and path's last part."""
        parts = path.split('/')
        with self._named(path):
            folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                for depth, part in enumerate(parts[:-1], 1):
                    below = self._open_folder(folder, part, '/'.join(parts[:depth]))
                    os.close(folder)
                    folder = below
                yield folder, parts[-1]
            finally:
                os.close(folder)

    def _open_folder(self, folder: int, name: str, path: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise errors.UnsafePath('%s is a symbolic link, or not a directory' % self._full(path))
            raise

    def read(self, path: str) -> Optional[Content]:
        """Return a file's content, None if there is no such file."""
        try:
            with self._parent(path) as (folder, name):
                # Not to hang on a named pipe.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                file = os.open(name, flags, dir_fd=folder)
                try:
                    return self._content(path, file)
                finally:
                    os.close(file)
        except FileNotFoundError:
            return None

    def _content(self, path: str, file: int) -> Content:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise errors.UnsafePath('%s is not a plain file' % self._full(path))
        with open(file, 'rb', closefd=False) as stream:
            return Content(stream.read(), Attributes(
                stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid,
                status.st_atime_ns, status.st_mtime_ns, _extended(file)))

    def list(self, path: str) -> List[str]:
        """Return the names in a folder, none if there is no such folder."""
        try:
            with self._parent(path + '/.') as (folder, _):
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def has_folder(self, path: str) -> bool:
        """Is there a folder of that path?"""
        try:
            with self._parent(path + '/.'):
                return True
        except FileNotFoundError:
            return False

    def is_locked(self, path: str) -> bool:
        """Does another process hold the lock? False also if that may not be read."""
        try:
            with self._parent(path) as (folder, name):
                lock = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return False
                finally:
                    os.close(lock)
        except BlockingIOError:
            return True
        except (FileNotFoundError, PermissionError):
            return False

    def mkdir(self, path: str) -> None:
        """Make a folder that everyone may read who may read the root; nothing if it is there."""
        with self._parent(path) as (folder, name):
            try:
                os.mkdir(name, dir_fd=folder)
                os.chmod(name, stat.S_IMODE(os.stat(self.root).st_mode) & 0o777, dir_fd=folder)
            except FileExistsError:
                pass

    def lock(self, path: str) -> Optional[int]:
        """Take the lock; None if another process has it. It ends when the descriptor does."""
        try:
            with self._parent(path) as (folder, name):
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                with contextlib.ExitStack() as cleanup:
                    lock = os.open(name, flags, 0o600, dir_fd=folder)
                    cleanup.callback(os.close, lock)
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Its holder may have removed the file since: then it locks nothing.
                    if os.path.samestat(os.fstat(lock), os.stat(name, dir_fd=folder)):
                        cleanup.pop_all()
                        return lock
        except (BlockingIOError, FileNotFoundError):
            pass
        return None

    def create(self, path: str) -> int:
        """Make an empty file, which only its owner can read as yet; return its descriptor."""
        with self._parent(path) as (folder, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            return os.open(name, flags, 0o600, dir_fd=folder)

    def write(self, path: str, file: int, data: bytes) -> None:
        """Write all of data."""
        with self._named(path):
            while data:
                data = data[os.write(file, data):]

    def set_attributes(self, path: str, file: int, wanted: Attributes, times: bool) -> None:
        """Give a file owner, mode, access lists and, if requested, times."""
        with self._named(path):
            status = os.fstat(file)
            if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
                os.fchown(file, wanted.uid, wanted.gid)
            os.fchmod(file, wanted.mode)
            present = dict(_extended(file))
            for name, value in wanted.extended:
                if present.get(name) != value:
                    os.setxattr(file, name, value)
            if times:
                os.utime(file, ns=(wanted.atime, wanted.mtime))

    def sync(self, path: str, file: int) -> None:
        """Have a file's bytes on the disk."""
        with self._named(path):
            os.fsync(file)

    def sync_folder(self, path: str) -> None:
        """Have a folder's entries on the disk."""
        with self._parent(path + '/.') as (folder, _):
            os.fsync(folder)

    def replace(self, source: str, target: str) -> None:
        """Put source in target's place, atomically."""
        with self._parent(source) as (source_folder, source_name):
            with self._parent(target) as (folder, name):
                os.replace(source_name, name, src_dir_fd=source_folder, dst_dir_fd=folder)

    def unlink(self, path: str) -> None:
        """Remove a file; nothing if there is none."""
        with self._parent(path) as (folder, name):
            try:
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                pass

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with self._parent(path) as (folder, name):
            os.rmdir(name, dir_fd=folder)


def _extended(file: int) -> Tuple[Tuple[str, bytes], ...]:
    """Return the extended attributes, access lists among them, of an open file."""
    try:
        return tuple((name, os.getxattr(file, name)) for name in sorted(os.listxattr(file)))
    except OSError:
        return ()  # a file system without any
