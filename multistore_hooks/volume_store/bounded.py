# SPDX-License-Identifier: Apache-2.0
"""Calls that may hang: they run in a thread of their own, and are waited for only so long."""

import threading
from typing import Any
from typing import Callable
from typing import List
from typing import Optional

from oslo_context import context
from oslo_log import log as logging

from multistore_hooks.volume_store import errors

LOG = logging.getLogger(__name__)


def call(function: Callable[[], Any], seconds: float, what: str, option: str,
         late: Optional[Callable[[Any], Any]] = None,
         ended: Optional[Callable[[], Any]] = None) -> Any:
    """Return what a function returns, or raise what it raises.

    :param what: what it does, for the error.
    :param option: the name of the option that sets the time.
    :param late: given what the function returned when that was too late, so that it can be undone.
    :param ended: called when the function has returned or raised too late.
    :raises errors.TimedOut: it has not ended in time; nobody can end it, and it goes on.
    """
    one = _Call(function, late, ended)
    thread = threading.Thread(target=one.run, name='volume-store-call', daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending, and starts no threads any more
        one.run()
    if not one.wait(seconds):
        raise errors.TimedOut(what=what, seconds=seconds, option=option)
    return one.result()


class _Call:

    def __init__(self, function: Callable[[], Any], late: Optional[Callable[[Any], Any]],
                 ended: Optional[Callable[[], Any]]) -> None:
        self._function = function
        self._late = late
        self._ended = ended
        self._context = context.get_current()  # its request's id stands in the lines of the log
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._results: List[Any] = []
        self._error: Optional[BaseException] = None

    def run(self) -> None:
        if self._context is not None:
            self._context.update_store()
        try:
            self._results.append(self._function())
        except BaseException as error:
            self._error = error
        with self._lock:
            self._done.set()
            abandoned = self._abandoned
        if abandoned:
            self._tell()

    def _tell(self) -> None:
        try:
            if self._late is not None and self._error is None:
                self._late(self._results[0])
            if self._ended is not None:
                self._ended()
        except Exception:
            LOG.exception('What came too late could not be undone.')

    def wait(self, seconds: float) -> bool:
        self._done.wait(seconds)
        with self._lock:
            self._abandoned = not self._done.is_set()
            return not self._abandoned

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._results[0]
