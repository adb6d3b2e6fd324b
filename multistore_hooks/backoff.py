# SPDX-License-Identifier: Apache-2.0
"""The one way to wait: polls that grow apart with the time waited, on a clock that is handed in.

A tenth of the time waited so far lies between two polls, so that an end is noticed within a tenth of
what it took, and a long wait costs few requests.
"""

import time
from typing import Any
from typing import Iterator

#: Seconds between the first two polls.
SHORTEST = 0.75


def poll_interval(waited: float, longest: float, shortest: float = SHORTEST) -> float:
    """Return the seconds until the next poll: a tenth of the time waited, within limits.

    :param waited: seconds so far.
    :param longest: the upper limit in seconds; never below ``shortest``.
    """
    return min(max(shortest, waited / 10), max(longest, shortest))


def polls(limit: float, longest: float, shortest: float = SHORTEST, clock: Any = time) -> Iterator[float]:
    """Yield the seconds waited so far: now, then after each pause, and a last time at the limit.

    ::

        for waited in backoff.polls(limit=60, longest=5):
            if done():
                return
        raise TooLate()

    :param limit: seconds; 0 polls once.
    :param longest: the longest pause, in seconds.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``; :mod:`time`, or a test's.
    """
    started, waited = clock.monotonic(), 0.0
    while True:
        yield waited
        waited = clock.monotonic() - started
        if waited >= limit:
            return
        clock.sleep(min(poll_interval(waited, longest, shortest), limit - waited))
        waited = clock.monotonic() - started
