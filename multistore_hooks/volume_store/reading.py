# SPDX-License-Identifier: Apache-2.0
"""Read a range of an image: a few pieces ahead, in order, and never less than was promised."""

import threading
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import Optional
import weakref

from oslo_log import log as logging

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import timeouts

LOG = logging.getLogger(__name__)

#: Bytes of a piece, and pieces that are read ahead at most, each in a thread of its own.
CHUNK = 4 * 1024 * 1024
AHEAD = 2
# Seconds between two checks whether the iterator is still there.
_CHECK_EVERY = 1


class Pieces:
    """An iterator over the bytes of a range, for Glance: it can be closed, and closes itself.

    The first piece is read at once, so that a volume that cannot be read is an error of get(), and
    Glance can try another location.

    :param lease: has a ``device``, a ``volume_id`` and a ``close()``, which is called as soon as all
        was read.
    :param timeout: seconds that one read may take.
    :raises errors.DeviceError: a read failed; everything before it was handed out.
    """

    def __init__(self, lease: Any, offset: int, length: int, timeout: float) -> None:
        self._left = length
        self._ahead: Optional[_Ahead] = None
        self._first: Optional[bytes] = None
        device, first = lease.device, min(CHUNK, length)
        self._error: Optional[BaseException] = None
        try:
            if length:
                # A read that hangs is the last to use the lease.
                found = timeouts.call_with_timeout(
                    lambda: _begin(device, offset, first, length), timeout,
                    'Reading volume %s' % lease.volume_id, 'io_timeout', lambda _found: lease.close())
                if isinstance(found, BaseException):
                    raise found
                self._first = found
        except errors.TimedOut:
            _log_hang(lease)
            raise
        except BaseException:
            lease.close()
            raise
        if length > first:
            self._ahead = _Ahead(lease, offset + first, length - first, timeout, weakref.ref(self))
        else:
            lease.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._error is not None:
            raise self._error  # again: the data did not end here
        if not self._left:
            raise StopIteration
        data, self._first = self._first, None
        if data is None:
            if self._ahead is None:
                raise StopIteration  # closed before its end
            try:
                data = self._ahead.take()
            except BaseException as error:
                self._error = error
                LOG.error('A download ends before its end: %s', error)
                self.close()
                raise
        self._left -= len(data)
        if not self._left:
            # Before the last piece is handed out: the reader may delete the image at once.
            self.close()
        return data

    def close(self) -> None:
        """Read no further, and give the lease back."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.stop()


class _Ahead:
    """The threads that read ahead.

    They only know whether the iterator is still there. (It has no __del__: that could run in any
    thread at any moment, one that holds the lock which giving the lease back needs among them.)
    """

    def __init__(self, lease: Any, offset: int, length: int, timeout: float,
                 owner: Callable[[], Any]) -> None:
        self._lease = lease
        self._read: Callable[[int, int], bytes] = lease.device.read
        self._offset, self._length = offset, length
        self._count = -(-length // CHUNK)
        self._timeout = timeout
        self._owner = owner
        self._changed = threading.Condition()
        self._found: Dict[int, Any] = {}
        self._begun: Dict[int, float] = {}
        self._next_read = self._next_taken = 0
        self._stopping = False
        self._alive = 0
        for _each in range(min(AHEAD, self._count)):
            thread = threading.Thread(target=self._work, name='volume-store-read', daemon=True)
            with self._changed:
                self._alive += 1
            try:
                thread.start()
            except BaseException:
                with self._changed:
                    self._alive -= 1
                self.stop()
                raise

    def take(self) -> bytes:
        """Return the next piece."""
        with self._changed:
            index = self._next_taken
            while index not in self._found:
                begun = self._begun.get(index)
                left = self._timeout if begun is None else begun + self._timeout - time.monotonic()
                if left <= 0:
                    _log_hang(self._lease)
                    raise errors.TimedOut(what='Reading volume %s' % self._lease.volume_id,
                                          seconds=self._timeout, option='io_timeout')
                self._changed.wait(left)
            found = self._found.pop(index)
            self._begun.pop(index, None)
            self._next_taken += 1
            self._changed.notify_all()
        if isinstance(found, BaseException):
            raise found
        return bytes(found)

    def stop(self) -> None:
        """Begin no more reads. The lease is given back when the last one has ended."""
        with self._changed:
            self._stopping = True
            self._found.clear()
            self._changed.notify_all()
            if self._alive and self._next_taken < self._count:
                return  # the last thread closes the lease
            lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()

    def _work(self) -> None:
        while True:
            index = self._claim()
            if index is None:
                return
            try:
                start = index * CHUNK
                found: Any = self._read(self._offset + start, min(CHUNK, self._length - start))
            except BaseException as error:
                found = error
            with self._changed:
                if not self._stopping:
                    self._found[index] = found
                self._changed.notify_all()
            del found

    def _claim(self) -> Optional[int]:
        """Return the number of the next piece to read, or None when this thread has to end."""
        with self._changed:
            while not self._has_to_end():
                if self._next_read < min(self._count, self._next_taken + AHEAD):
                    index = self._next_read
                    self._next_read += 1
                    self._begun[index] = time.monotonic()
                    return index
                self._changed.wait(_CHECK_EVERY)
            self._alive -= 1
            if self._alive or not self._stopping:
                return None
            lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()
        return None

    def _has_to_end(self) -> bool:
        if self._owner() is None:
            self._stopping = True
        all_read, all_taken = (number >= self._count for number in (self._next_read, self._next_taken))
        # The last thread stays until all was taken, to notice a reader that has gone.
        return self._stopping or all_taken or (all_read and self._alive > 1)


def _begin(device: Any, offset: int, first: int, length: int) -> Any:
    """Return the first piece, or what was raised: either may come too late, and is then handed over.

    A device that is too small for the range is seen before anything of it was promised.
    """
    try:
        if device.size() < offset + length:
            device.read(offset + length - 1, 1)
        return device.read(offset, first)
    except BaseException as error:
        return error


def _log_hang(lease: Any) -> None:
    LOG.error('Volume %s stays attached to this host: a read of it hangs. It is detached when the read '
              'ends.', lease.volume_id)
