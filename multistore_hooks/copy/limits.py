# SPDX-License-Identifier: Apache-2.0
"""How long a wait may take: a limit for the turn, another for the copy itself."""

from typing import Any
from typing import NamedTuple

#: Seconds that stand for "no limit".
A_DAY = 24 * 3600


class Limits(NamedTuple):
    """The operator's limits, in seconds."""

    #: Of the copy, from when it begins; also how long a Glance that is away is waited for.
    copy: float
    #: Of the time during which imports for other stores hold the image. 0: do not wait for them.
    turn: float
    #: The longest time between two polls of a copy.
    interval: float


class Timer:
    """Which limit runs, and what is left of it.

    :param clock: has ``monotonic()``.
    """

    def __init__(self, limits: Limits, clock: Any) -> None:
        self._limits, self._clock = limits, clock
        self._started = self._since = clock.monotonic()
        #: Seconds used of each limit, up to ``_since``.
        self._turn = self._copy = 0.0
        self.in_turn = self.copying = False

    def waits_for_turn(self) -> None:
        """Say that an import for another store holds the image."""
        self._account()
        self.in_turn, self.copying = True, False

    def waits_for_copy(self, new: bool = False) -> None:
        """Say that the copy of this store has begun; its limit begins with it.

        :param new: it is another copy than before.
        """
        self._account()
        if new or not self.copying:
            self._copy = 0.0
        self.in_turn, self.copying = False, True

    def _account(self) -> None:
        now = self._clock.monotonic()
        if self.in_turn:
            self._turn += now - self._since
        else:
            self._copy += now - self._since
        self._since = now

    def left(self) -> float:
        """Return the seconds that are left of the limit that runs."""
        self._account()
        return self._limits.turn - self._turn if self.in_turn else self._limits.copy - self._copy

    def share(self, part: float) -> float:
        """Return a part of the limit that runs, in seconds."""
        return part * (self._limits.turn if self.in_turn else self._limits.copy)

    def waited(self) -> float:
        """Return the seconds since the start."""
        return float(self._clock.monotonic() - self._started)

    def explain(self) -> str:
        """Return which limit is over."""
        if self.in_turn:
            return 'it did not get its turn within %d seconds' % self._limits.turn
        return 'it took longer than %d seconds' % self._limits.copy
