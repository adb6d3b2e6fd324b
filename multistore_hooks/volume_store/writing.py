# SPDX-License-Identifier: Apache-2.0
"""Write an image: reading, hashing and writing overlap, and memory stays within a few pieces."""

import queue
import threading
import time
from typing import Any
from typing import Callable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Sequence

from multistore_hooks.volume_store import errors

#: Bytes that are read, hashed and written as one.
CHUNK = 4 * 1024 * 1024
#: Chunks that are in memory at most, and writes that are under way at most.
IN_MEMORY, WRITERS = 8, 4


def chunks(source: Any, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the data of a file-like object in pieces of one size; only the last may be shorter.

    Its read() may return less than requested; what it raises passes.
    """
    while True:
        data = source.read(size)
        if not data:
            return
        if len(data) < size:
            parts, have = [data], len(data)
            while have < size:
                data = source.read(size - have)
                if not data:
                    break
                parts.append(data)
                have += len(data)
            data = b''.join(parts)
        yield data
        if len(data) < size:
            return


class _Chunk:

    def __init__(self, offset: int, data: bytes, parts: int) -> None:
        self.offset = offset
        self.data = data
        self.parts = parts


class Pipeline:
    """Threads that do their part with each chunk that is put in.

    :param write: called with (offset, data) from several threads, in no order.
    :param consumers: each called with the data in their order, from a thread of its own.
    :param timeout: seconds without any progress after which everything counts as hanging.
    :param what: what is written to, for that error.
    :param clock: has ``monotonic()``.
    """

    def __init__(self, write: Callable[[int, bytes], None], consumers: Sequence[Callable[[bytes], Any]],
                 timeout: float, what: str = 'the volume', clock: Any = time) -> None:
        self._clock = clock
        self._what = what
        self._timeout = timeout
        self._changed = threading.Condition()
        self._in_memory = 0
        self._last = self._clock.monotonic()
        self._error: Optional[BaseException] = None
        self._stopping = False
        self._ended: Optional[Callable[[], None]] = None
        self._writes: Any = queue.Queue()
        self._queues: List[Any] = [queue.Queue() for _each in consumers]
        work = [(self._writes, lambda chunk: write(chunk.offset, chunk.data))] * WRITERS
        work += [(found, _consume(one)) for found, one in zip(self._queues, consumers)]
        self._threads = [threading.Thread(target=self._work, args=one, name='volume-store-upload',
                                          daemon=True) for one in work]
        self._alive = 0
        try:
            for thread in self._threads:
                thread.start()
                with self._changed:
                    self._alive += 1  # none ends before stop()
        except BaseException:
            self.stop(0)
            raise

    def put(self, offset: int, data: bytes) -> None:
        """Hand a chunk in; waits while too many are in memory.

        :raises Exception: what a part has raised for an earlier chunk.
        :raises errors.TimedOut: nothing gets on.
        """
        self._wait(lambda: self._in_memory < IN_MEMORY)
        with self._changed:
            if not self._in_memory:
                self._last = self._clock.monotonic()  # the source had its time, the device has it now
            self._in_memory += 1
        chunk = _Chunk(offset, data, 1 + len(self._queues))
        for found in self._queues + [self._writes]:
            found.put(chunk)

    def drain(self) -> None:
        """Wait until all that was handed in is hashed and written. Raises as put() does."""
        self._wait(lambda: self._in_memory == 0)

    def stop(self, seconds: float) -> bool:
        """End the threads; what was not begun is dropped. Return False if one hangs."""
        with self._changed:
            self._stopping = True
        for found in self._queues + [self._writes] * WRITERS:
            found.put(None)
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._alive and time.monotonic() < deadline:
                self._changed.wait(max(0.01, deadline - time.monotonic()))
            return not self._alive

    def when_ended(self, function: Callable[[], None]) -> None:
        """Call a function when the last thread has ended, in that thread, or now."""
        with self._changed:
            if self._alive:
                self._ended = function
                return
        function()

    def _wait(self, ready: Callable[[], bool]) -> None:
        with self._changed:
            while self._error is None and not ready():
                left = self._last + self._timeout - self._clock.monotonic()
                if left <= 0:
                    self._error = errors.TimedOut(what='A write to ' + self._what,
                                                  seconds=self._timeout, option='io_timeout')
                    break
                self._changed.wait(left)
            if self._error is not None:
                raise self._error

    def _work(self, found: Any, part: Callable[[_Chunk], Any]) -> None:
        try:
            while True:
                chunk = found.get()
                if chunk is None:
                    return
                self._do(chunk, part)
                del chunk  # not kept in memory while waiting for the next
        finally:
            with self._changed:
                self._alive -= 1
                ended = self._ended if not self._alive else None
                self._changed.notify_all()
            if ended is not None:
                ended()

    def _do(self, chunk: _Chunk, part: Callable[[_Chunk], Any]) -> None:
        error: Optional[BaseException] = None
        try:
            if not self._stopping and self._error is None:
                part(chunk)
        except BaseException as raised:
            error = raised
        with self._changed:
            self._error = self._error or error
            self._last = self._clock.monotonic()
            chunk.parts -= 1
            if not chunk.parts:
                self._in_memory -= 1
            if error is not None or not chunk.parts:
                self._changed.notify_all()


def _consume(one: Callable[[bytes], Any]) -> Callable[[_Chunk], Any]:
    return lambda chunk: one(chunk.data)
