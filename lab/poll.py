# SPDX-License-Identifier: Apache-2.0
"""The one way to wait for a state, in the lab and in tests: poll, with a limit that only a hang reaches."""

import http.client
import os
import time
import typing

#: How many times slower than usual this machine is: the guest of lab.kernel says so.
SLOWNESS = float(os.environ.get('LAB_SLOWNESS', '1'))
# Whole, because it is written into services' files, too.
SECONDS = int(180 * SLOWNESS)
# The first pause, by how much each is longer than the one before, and the longest.
PAUSE_SECONDS, LONGER, LONGEST_SECONDS = 0.02, 1.1, 0.25


class LabError(Exception):
    """The lab, or a service in it, did not do what was requested; the text says what, and why."""


def until(what: str, holds: typing.Callable[[], typing.Any], seconds: float = SECONDS,
          check: typing.Callable[[], None] = lambda: None,
          ignored: typing.Tuple[typing.Type[Exception], ...] = (OSError, http.client.HTTPException)
          ) -> typing.Any:
    """Wait until something holds, and return its value.

    :param what: for the error
    :param check: raises where waiting any longer would be in vain; called after each no
    :param ignored: errors that count as no; those of the network
    :raises LabError: it did not hold in time; with the last error
    """
    end, why, pause = time.monotonic() + seconds, '', PAUSE_SECONDS
    while True:
        try:
            value, why = holds(), ''
        except ignored as error:
            value, why = None, ': %s' % error
        if value:
            return value
        check()
        if time.monotonic() > end:
            raise LabError('no %s in %d seconds%s' % (what, seconds, why))
        time.sleep(pause)
        pause = min(pause * LONGER, LONGEST_SECONDS)
