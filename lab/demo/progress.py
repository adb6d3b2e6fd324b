# SPDX-License-Identifier: Apache-2.0
"""One line for each stage, on standard error: rewritten in place on a terminal."""

import contextlib
import sys
import threading
import time
import typing


class Progress:
    """Says what goes on, and how long it took.

    :param stream: where to; None: standard error.
    """

    def __init__(self, stream: typing.Optional[typing.TextIO] = None) -> None:
        self._stream = stream or sys.stderr
        self._in_place = self._stream.isatty()
        self._lock = threading.Lock()
        self._open = False

    @contextlib.contextmanager
    def stage(self, title: str) -> typing.Iterator[typing.Callable[[str], None]]:
        """Show a stage while the ``with`` block runs; gives a function that says how far it is."""
        began = time.monotonic()

        def say(detail: str) -> None:
            if self._in_place:
                self._write('%s: %s' % (title, detail))

        say('...')
        try:
            yield say
        except BaseException:
            self.end_line()
            raise
        self._write('%-62s %5.1f s' % (title, time.monotonic() - began))
        self.end_line()

    def end_line(self) -> None:
        """Leave the line that is rewritten as it is, and go on below it."""
        with self._lock:
            if self._open:
                self._stream.write('\n')
                self._open = False

    def _write(self, text: str) -> None:
        with self._lock:
            self._stream.write('\r\x1b[K' + text if self._in_place else text)
            self._stream.flush()
            self._open = True
