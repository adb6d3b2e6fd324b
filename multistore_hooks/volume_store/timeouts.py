# SPDX-License-Identifier: Apache-2.0
"""Calls that may hang: each runs in a thread of its own, and is waited for until its time limit."""

import threading
from typing import Any
from typing import Callable
from typing import List
from typing import Optional

from oslo_context import context
from oslo_log import log as logging

from multistore_hooks.volume_store import errors

LOG = logging.getLogger(__name__)


def call_with_timeout(function: Callable[[], Any], seconds: float, what: str, option: str,
                      on_late_result: Optional[Callable[[Any], Any]] = None,
                      on_late_end: Optional[Callable[[], Any]] = None) -> Any:
    """Return what a function returns, or raise what it raises.

    :param what: what it does, for the error.
    :param option: the name of the option that sets the time limit.
    :param on_late_result: called with a result that came after the time limit, so that it can be undone.
    :param on_late_end: called when the function has returned or raised after the time limit.
    :raises errors.TimedOut: it has not ended in time; nothing can end it, and it goes on.
    """
    call = _Call(function, what, option, on_late_result, on_late_end)
    thread = threading.Thread(target=call.run, name='volume-store-call', daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending, and starts no threads any more
        call.run()
    if not call.wait(seconds):
        raise errors.TimedOut(what=what, seconds=seconds, option=option)
    return call.result()


class _Call:

    def __init__(self, function: Callable[[], Any], what: str, option: str,
                 on_late_result: Optional[Callable[[Any], Any]],
                 on_late_end: Optional[Callable[[], Any]]) -> None:
        self._function = function
        self._what, self._option = what, option
        self._on_late_result = on_late_result
        self._on_late_end = on_late_end
        self._context = context.get_current()  # so that log lines have the id of the request
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
            self._undo()

    def _undo(self) -> None:
        try:
            if self._on_late_result is not None and self._error is None:
                self._on_late_result(self._results[0])
            if self._on_late_end is not None:
                self._on_late_end()
        except Exception:
            LOG.exception("Cannot undo '%(what)s', which finished after %(option)s had expired.",
                          {'what': self._what, 'option': self._option})

    def wait(self, seconds: float) -> bool:
        self._done.wait(seconds)
        with self._lock:
            self._abandoned = not self._done.is_set()
            return not self._abandoned

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._results[0]
