# SPDX-License-Identifier: Apache-2.0
"""Many processes on one clock, one at a time: hours of waiting in seconds, and the same each time.

Each process is a greenlet where that package is installed, else a thread that runs only when it is its turn.
"""

import heapq
import itertools
import threading

try:
    import greenlet
except ImportError:
    greenlet = None


class Killed(BaseException):
    """Raised in a process that was killed, when the simulation ends."""


class Process:
    """Something that runs until it sleeps."""

    def __init__(self, name):
        self.name, self.dead, self.ended = name, False, False
        self.result = self.error = None


class Simulation:
    """The clock and the processes; has ``monotonic()``, ``time()`` and ``sleep(seconds)`` as a clock has."""

    def __init__(self):
        self.now, self.current = 0.0, None
        self._queue, self._number = [], itertools.count()
        self._turns = _Greenlets() if greenlet else _Threads()

    def monotonic(self):
        return self.now

    def time(self):
        return 1e9 + self.now

    def sleep(self, seconds):
        """Let others run until that time has passed."""
        process = self.current
        self._push(self.now + max(seconds, 0.0001), process)
        self._turns.give_back()
        if process.dead:
            raise Killed()

    def start(self, function, after=0, name=''):
        """Start a process; return it."""
        process = Process(name)

        def body():
            try:
                process.result = function()
            except Killed:
                pass
            except Exception as error:
                process.error = error
            process.ended = True
        self._turns.make(process, body)
        self._push(self.now + after, process)
        return process

    def at(self, when, function):
        """Call a function at a time."""
        heapq.heappush(self._queue, (when, next(self._number), None, function))

    def kill(self, process):
        """End a process as SIGKILL does: it runs no more, and cleans nothing up."""
        process.dead = True

    def run(self, until=float('inf')):
        """Run until all processes have ended, or that time has come."""
        waits = []
        while self._queue and self._queue[0][0] <= until:
            self.now, number, process, function = heapq.heappop(self._queue)
            if process is None:
                function()
            elif process.dead:
                waits.append(process)
            else:
                self._run(process)
        waits += [process for _when, _number, process, _function in self._queue if process is not None]
        self._queue = []
        for process in waits:  # so that no thread is left
            process.dead = True
            self._run(process)

    def _run(self, process):
        self.current = process
        self._turns.give_to(process)
        self.current = None

    def _push(self, when, process):
        heapq.heappush(self._queue, (when, next(self._number), process, None))


class _Greenlets:
    def __init__(self):
        self._main = greenlet.getcurrent()

    def make(self, process, body):
        process.handle = greenlet.greenlet(body, self._main)

    @staticmethod
    def give_to(process):
        process.handle.switch()

    def give_back(self):
        self._main.switch()


class _Threads:
    """Plain locks, each held by whoever waits its turn: a semaphore of threading takes several of them."""

    def __init__(self):
        self._main, self._current = _held(), None

    def make(self, process, body):
        process.handle = _held()

        def run():
            process.handle.acquire()
            body()
            self._main.release()
        threading.Thread(target=run, daemon=True).start()

    def give_to(self, process):
        self._current = process.handle
        process.handle.release()
        self._main.acquire()

    def give_back(self):
        own = self._current
        self._main.release()
        own.acquire()


def _held():
    lock = threading.Lock()
    lock.acquire()
    return lock
