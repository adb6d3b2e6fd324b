# SPDX-License-Identifier: Apache-2.0
"""What the scenarios found, and the table of it."""

import contextlib
import re
import sys
import textwrap
import time
import typing

from lab.gate import observe
from lab.poll import LabError
from lab import tables

WIDTH = 150
HEADS = ('#', 'what', 'stock', 'with hooks', 'requests', 'MB moved', 'seconds', 'verdict')
OK, WRONG, NOTHING = 'ok', 'WRONG', '-'


class Row:
    """One thing that is tried, in one mode."""

    def __init__(self, number: int, what: str, mode: str, meter: observe.Meter) -> None:
        self.number, self.what, self.mode = number, what, mode
        self.result = ''
        self.failures: typing.List[str] = []
        self.notes: typing.List[str] = []
        self.requests = self.moved = 0
        self.seconds: typing.Optional[float] = None
        self._meter, self._began = meter, time.monotonic()

    def stop(self) -> None:
        """End the measuring: what follows are reads of the gate itself."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self._began
            self.requests, self.moved = self._meter.read()

    def expect(self, holds: typing.Any, text: str) -> None:
        """Record a failure with this text unless something holds."""
        if not holds:
            self.failures.append(text)


class Sheet:
    """All rows, of all modes."""

    def __init__(self, cloud: typing.Any) -> None:
        self._cloud = cloud
        self.rows: typing.List[Row] = []
        self.remarks: typing.List[str] = []     # on what is not in the table

    @contextlib.contextmanager
    def row(self, number: int, what: str) -> typing.Iterator[Row]:
        """Measure what is done inside the ``with`` block; an error in it is the row's failure."""
        row = Row(number, what, self._cloud.mode.name, observe.Meter(self._cloud))
        try:
            yield row
        except LabError as error:
            row.failures.append(str(error))
            row.result = row.result or 'failed'
        row.stop()
        self.rows.append(row)
        print('gate:   %d %-5s %s: %s%s (%.1f s)' % (
            number, row.mode, what, row.result,
            ''.join('; ! ' + text for text in row.failures), row.seconds or 0), file=sys.stderr, flush=True)

    def exit_code(self) -> int:
        """Return 1 when one of ours is wrong, else 0."""
        return int(any(row.failures for row in self.rows if row.mode != 'stock')
                   or not self.rows)

    def count(self) -> str:
        """Return how many rows of ours are right and wrong, as the last line of ``make test`` does."""
        ours = [row for row in self.rows if row.mode != 'stock']
        failed = sum(1 for row in ours if row.failures)
        return '%d passed, %d failed, 0 skipped' % (len(ours) - failed, failed)

    def show(self) -> None:
        """Print the table, and what is not in it."""
        lines = ([render(self.rows)] if self.rows else []) + self.remarks
        if lines:
            print('\n' + '\n'.join(lines), flush=True)


def render(rows: typing.Sequence[Row]) -> str:
    """Return the table, stock beside ours, and below it what went wrong."""
    pairs = paired(rows)
    lines = tables.lines(HEADS, [_cells(*pair) for pair in pairs])
    lines += ['', 'requests: to Glance, by the services; MB moved: in their bodies, and copied between '
              'stores. Two figures: stock / with hooks.']
    for stock, ours in pairs:
        for row in [one for one in (stock, ours) if one]:
            for text in row.failures + row.notes:
                lines += textwrap.wrap('%d %s, %s: %s' % (row.number, row.what, row.mode, text),
                                       WIDTH, subsequent_indent='    ')
    wrong = sum(1 for _stock, ours in pairs if ours and ours.failures)
    lines += ['', '%d rows, %d WRONG; stock fails in %d' % (
        len(pairs), wrong, sum(1 for stock, _ours in pairs if stock and stock.failures))]
    return '\n'.join(lines)


def paired(rows: typing.Sequence[Row]
           ) -> typing.List[typing.Tuple[typing.Optional[Row], typing.Optional[Row]]]:
    """Return rows of stock and of ours side by side, by number and in the order they came."""
    keys = sorted({(row.number, row.what) for row in rows},
                  key=lambda key: (key[0], [row.what for row in rows].index(key[1])))
    return [tuple(next((row for row in rows if (row.number, row.what) == key  # type: ignore
                        and (row.mode == 'stock') == stock), None) for stock in (True, False))
            for key in keys]


def _cells(stock: typing.Optional[Row], ours: typing.Optional[Row]) -> typing.Tuple[str, ...]:
    some = ours or stock
    assert some
    return (str(some.number), some.what, _result(stock), _result(ours),
            _both(stock, ours, lambda row: '%d' % row.requests),
            _both(stock, ours, lambda row: '%.0f' % (row.moved / 1e6)),
            _both(stock, ours, lambda row: '%.1f' % (row.seconds or 0)),
            NOTHING if not ours else WRONG if ours.failures else OK)


def _result(row: typing.Optional[Row]) -> str:
    return re.sub(r'\s+', ' ', row.result) if row else NOTHING


def _both(stock: typing.Optional[Row], ours: typing.Optional[Row],
          text: typing.Callable[[Row], str]) -> str:
    return ' / '.join(text(row) if row else NOTHING for row in (stock, ours))
