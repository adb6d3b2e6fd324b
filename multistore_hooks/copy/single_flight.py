# SPDX-License-Identifier: Apache-2.0
"""One wait in a process for all that want the same image in the same store at the same time."""

import copy
import threading
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional
from typing import Tuple

from multistore_hooks import backoff
from multistore_hooks import exceptions

#: Seconds between two polls of those that share a wait, at first and in the end.
SHORTEST, LONGEST = 0.1, 1
#: A caller that waited for this part of a wait that took all its time has had its own.
NEARLY = 0.9

#: Of a wait: image, store, and what else makes a wait another one.
Key = Tuple[Any, ...]


class _Flight:
    def __init__(self, started: float) -> None:
        self.landed = False
        self.result = False
        self.error: Optional[BaseException] = None
        self.started = self.ended = started
        #: It took all the time that it had.
        self.timed_out = False

    def concerns(self, joined: float) -> bool:
        """Return whether its error is also that of a caller that waited from then on."""
        if self.timed_out:
            return self.ended - max(joined, self.started) >= NEARLY * (self.ended - self.started)
        return not getattr(self.error, 'requester_specific', False)


class SingleFlight:
    """Runs a function once for all callers that use the same key meanwhile.

    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, clock: Any = time) -> None:
        self._clock = clock
        self._flights: Dict[Key, _Flight] = {}
        self._lock = threading.Lock()

    def run(self, key: Key, function: Callable[[], bool], limit: float,
            check: Callable[[], None] = lambda: None) -> bool:
        """Run the function, or wait for one that runs under the same key, and share its result.

        An error that concerns the first caller only (its token has expired) is not shared: the next one runs
        its own function. That the time of the first caller is up is shared with those that waited nearly as
        long; one that came later still has its own time.

        :param key: image, store, and whatever else differs between waits that cannot be shared.
        :param limit: seconds for which a caller waits for others.
        :param check: called again and again while a caller waits for others; what it raises ends this wait.
        :raises WaitEnded: the limit is over.
        :raises Exception: what the function raised.
        """
        started = self._clock.monotonic()
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    own = self._flights[key] = _Flight(self._clock.monotonic())
                    break
            if not self._landed(flight, started, limit, check):
                raise exceptions.WaitEnded(image_id=key[0], store=key[1], why='another wait in this process '
                                           'did not end within %d seconds' % limit)
            if flight.error is None:
                return flight.result
            if flight.concerns(started):
                # A copy for each caller, which gets a traceback of its own.
                raise copy.copy(flight.error) from flight.error
        return self._fly(key, own, function)

    def _landed(self, flight: _Flight, started: float, limit: float, check: Callable[[], None]) -> bool:
        """Wait for another's flight; return whether it ended in time."""
        while not flight.landed:
            waited = self._clock.monotonic() - started
            if waited >= limit:
                return False
            self._clock.sleep(min(backoff.poll_interval(waited, LONGEST, SHORTEST), limit - waited))
            check()
        return True

    def _fly(self, key: Key, flight: _Flight, function: Callable[[], bool]) -> bool:
        try:
            flight.result = function()
        except Exception as error:
            flight.error, flight.timed_out = error, isinstance(error, exceptions.WaitEnded)
            raise
        except BaseException:  # this thread was ended, and with it the wait
            flight.error = exceptions.WaitEnded(image_id=key[0], store=key[1],
                                                why='the thread that waited for it was ended')
            raise
        finally:
            flight.ended = self._clock.monotonic()
            with self._lock:
                del self._flights[key]
            flight.landed = True
        return flight.result
