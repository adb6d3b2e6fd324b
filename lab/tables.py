# SPDX-License-Identifier: Apache-2.0
"""Text in columns."""

import typing


def lines(heads: typing.Sequence[str], rows: typing.Iterable[typing.Sequence[str]]) -> typing.List[str]:
    """Return the lines of a table: its heads, a rule, and its rows."""
    cells = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ['-' * width for width in widths])
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
