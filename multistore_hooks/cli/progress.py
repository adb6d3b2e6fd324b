# SPDX-License-Identifier: Apache-2.0
"""Progress bars of copies, one line each, on a terminal; nothing on any other output.

Glance reports the progress of a copy once a minute, and none while it stages the image: so the elapsed
time is shown, too.
"""

import logging
import os
import re
import shutil
import threading
import time
from typing import Any
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from multistore_hooks.cli import text
from multistore_hooks.glance_api import api

MIB = 1024 * 1024
BAR = 20
#: Columns for what stands after a bar, at least.
TAIL = 30
#: Seconds between two drawings, at most.
TICK = 1
_UP, _CLEAR_BELOW = '\x1b[%dA', '\x1b[J'


class Row(NamedTuple):
    """One line: an image on its way into some stores."""

    #: Its name, or its id.
    title: str
    #: Bytes, or None where Glance does not know them.
    size: Optional[int]
    #: How many stores it is to be copied to, and how many of them are done.
    stores: int
    done: int = 0
    #: The store that Glance is copying it to now.
    store: str = ''
    #: MiB that are in that store.
    copied: int = 0
    #: Words in place of the store: what is waited for.
    note: str = ''
    #: Seconds since it was begun.
    seconds: int = 0

    @property
    def fraction(self) -> float:
        """How much of the whole is done, from 0 to 1."""
        # The last byte is not the end: Glance has to enter the store into the record.
        part = min(self.copied * MIB / self.size, 0.99) if self.size and self.done < self.stores else 0
        return (self.done + part) / self.stores if self.stores else 1.0


def copied_mib(task: Optional[api.Task]) -> int:
    """Return how many MiB are in the store, as the message of Glance's task says; 0: none yet."""
    found = re.match(r'Copied (\d+) MiB', task.message if task else '')
    return int(found.group(1)) if found else 0


def lines(rows: Sequence[Row], width: int) -> List[str]:
    """Return rows as lines that fit into a terminal's width, with the bars below each other."""
    room = min(max([text.cells(text.escaped(row.title))
               for row in rows] or [0]), max(width - BAR - TAIL - 9, 8))
    return [text.cut(_line(row, room), max(width - 1, 1)).rstrip() for row in rows]


def _line(row: Row, room: int) -> str:
    full = int(row.fraction * BAR)
    bar = '[%s%s] %3d%%' % ('#' * full, '.' * (BAR - full), int(row.fraction * 100))
    where = row.note or ('-> %s' % row.store if row.store else '')
    if row.store and not row.note and row.copied and row.size:
        where += ' (%d of %d MiB)' % (row.copied, max(row.size // MIB, row.copied))
    where += '%s%d:%02d' % (', ' if where else '', row.seconds // 60, row.seconds % 60)
    title = text.padded(text.cut(text.escaped(row.title), room), room)
    return '%s %s %s' % (title, bar, text.escaped(where))


class NullProgress:
    """Shows nothing: for output that is not a terminal, and the base of Bars."""

    #: Whether it is of use to request the tasks of Glance.
    active = False

    def start(self) -> None:
        """Begin to show rows."""

    def show(self, key: str, row: Row) -> None:
        """Show a row, or show it anew."""

    def tick(self) -> None:
        """Show that time goes by; called often."""

    def hide(self, key: str) -> None:
        """Take a row away."""

    def clear(self) -> None:
        """Make room for a line of other output; the rows come back below it."""

    def stop(self) -> None:
        """End, and leave the terminal as it was."""


class Bars(NullProgress, logging.Filter):
    """Bars that are drawn over each other, and taken away at the end.

    While they are there, log lines below WARNING are left out, and others get a place of their own.
    """

    active = True

    def __init__(self, stream: Any) -> None:
        logging.Filter.__init__(self)
        self._stream = stream
        self._rows: Dict[str, Row] = {}
        self._since: Dict[str, float] = {}
        self._drawn_at = 0.0
        self._drawn = 0
        self._lock = threading.RLock()
        self._handlers: List[logging.Handler] = []

    def start(self) -> None:
        self._handlers = [handler for handler in logging.getLogger().handlers
                          if type(handler) is logging.StreamHandler]
        for handler in self._handlers:
            handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return False
        self.clear()
        return True

    def show(self, key: str, row: Row) -> None:
        with self._lock:
            self._rows[key] = row
            self._since.setdefault(key, time.monotonic())
            self._draw()

    def tick(self) -> None:
        with self._lock:
            if self._rows and time.monotonic() - self._drawn_at >= TICK:
                self._draw()

    def hide(self, key: str) -> None:
        with self._lock:
            self._rows.pop(key, None)
            self._since.pop(key, None)
            self._draw()

    def clear(self) -> None:
        with self._lock:
            self._erase()
            self._stream.flush()

    def stop(self) -> None:
        for handler in self._handlers:
            handler.removeFilter(self)
        with self._lock:
            self._rows.clear()
            self._draw()

    def _draw(self) -> None:
        size = shutil.get_terminal_size()
        self._erase()
        # More lines than the terminal has could not be erased.
        self._drawn_at = now = time.monotonic()
        rows = [row._replace(seconds=int(now - self._since[key])) for key, row in self._rows.items()]
        drawn = lines(rows[:max(size.lines - 1, 1)], size.columns)
        self._stream.write(''.join(line + '\n' for line in drawn))
        self._drawn = len(drawn)
        self._stream.flush()

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write(_UP % self._drawn + '\r' + _CLEAR_BELOW)
            self._drawn = 0


def make_progress(stream: Any) -> NullProgress:
    """Return bars for a terminal that can show them, and nothing for any other stream."""
    terminal = hasattr(stream, 'isatty') and stream.isatty()
    return Bars(stream) if terminal and os.environ.get('TERM', 'dumb') != 'dumb' else NullProgress()
