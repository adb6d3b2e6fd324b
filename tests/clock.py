# SPDX-License-Identifier: Apache-2.0
"""A clock for tests: what waits on it is tested in no time."""


class Clock:
    """Time that passes when somebody sleeps; things happen at their time."""

    def __init__(self):
        self.now = 0.0
        self.events = []

    def monotonic(self):
        return self.now

    def time(self):
        """Return the time of day, which began when the clock did."""
        return 1e9 + self.now

    def at(self, when, what):
        """Call a function when its time has come."""
        self.events.append((when, what))

    def sleep(self, seconds):
        self.now += max(seconds, 0.001)
        for event in sorted(self.events, key=lambda event: event[0]):
            if event[0] <= self.now:
                self.events.remove(event)
                event[1]()
