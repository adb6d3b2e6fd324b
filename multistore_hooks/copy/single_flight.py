# SPDX-License-Identifier: Apache-2.0
"""One wait in a process for all who want the same image in the same store at the same time."""

import copy
import threading
import time
from typing import Callable
from typing import Dict
from typing import Optional
from typing import Tuple

from multistore_hooks import exceptions


class _Flight:
    def __init__(self) -> None:
        self.landed = threading.Event()
        self.result = False
        self.error: Optional[BaseException] = None


class SingleFlight:
    """Runs a function once for all who ask for the same key meanwhile."""

    def __init__(self) -> None:
        self._flights: Dict[Tuple[str, str], _Flight] = {}
        self._lock = threading.Lock()

    def run(self, key: Tuple[str, str], function: Callable[[], bool], timeout: float) -> bool:
        """Run the function, or wait for one that runs under the same key, and share its result.

        A failure that is about who flew first, their token say, is not shared: the next one tries.

        :param timeout: seconds, after which one who waits for others gives up.
        :raises: what the function raised.
        """
        until = time.monotonic() + timeout
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    own = self._flights[key] = _Flight()
                    break
            if not flight.landed.wait(max(until - time.monotonic(), 0)):
                raise exceptions.CopyFailed(image_id=key[0], store=key[1], why='another wait in this process '
                                            'did not end within %d seconds' % timeout)
            if flight.error is None:
                return flight.result
            if not getattr(flight.error, 'personal', False):
                # Its own for each: they get a traceback each.
                raise copy.copy(flight.error) from flight.error
        return self._fly(key, own, function)

    def _fly(self, key: Tuple[str, str], flight: _Flight, function: Callable[[], bool]) -> bool:
        try:
            flight.result = function()
        except Exception as error:
            flight.error = error
            raise
        except BaseException:  # this thread was ended, and with it the wait
            flight.error = exceptions.CopyFailed(image_id=key[0], store=key[1],
                                                 why='the wait for it was ended from outside')
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
        return flight.result
