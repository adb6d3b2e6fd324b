# SPDX-License-Identifier: Apache-2.0
"""Many processes on one clock, one at a time: hours of waiting in seconds, and the same each time.

Each process is a greenlet, which runs only when it is its turn.
"""

import heapq
import itertools

import greenlet


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
        self._main = greenlet.getcurrent()

    def monotonic(self):
        return self.now

    def time(self):
        return 1e9 + self.now

    def sleep(self, seconds):
        """Let others run until that time has passed."""
        process = self.current
        self._push(self.now + max(seconds, 0.0001), process)
        self._main.switch()
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
        process.handle = greenlet.greenlet(body, self._main)
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
        for process in waits:  # so that each clears up
            process.dead = True
            self._run(process)

    def _run(self, process):
        self.current = process
        process.handle.switch()
        self.current = None

    def _push(self, when, process):
        heapq.heappush(self._queue, (when, next(self._number), process, None))
