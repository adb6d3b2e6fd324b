# SPDX-License-Identifier: Apache-2.0
"""How many of a service's workers may wait for copies at the same time."""

import contextlib
import threading
from typing import Iterator
from typing import Optional


class Slots:
    """Counts those that wait, so that the others of a service's workers stay free for other work."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self, most: Optional[int]) -> Iterator[bool]:
        """Take a slot for the duration of a ``with`` block; yield whether there was one.

        :param most: how many may be taken at the same time; None: any number.
        """
        with self._lock:
            free = most is None or self._taken < most
            if free:
                self._taken += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._taken -= 1
