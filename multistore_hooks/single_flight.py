# SPDX-License-Identifier: Apache-2.0
"""One wait in a process for all who want the same image in the same store at the same time."""

import copy
import threading
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

        :param timeout: seconds, after which one who waits for another gives up.
        :raises: what the function raised.
        """
        with self._lock:
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if first:
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
        if not flight.landed.wait(timeout):
            raise exceptions.CopyFailed(image_id=key[0], store=key[1], why='another wait in this process did '
                                        'not end within %d seconds' % timeout)
        if flight.error is not None:
            # Its own for each: they get a traceback each.
            raise copy.copy(flight.error) from flight.error
        return flight.result
