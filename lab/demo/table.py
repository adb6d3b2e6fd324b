# SPDX-License-Identifier: Apache-2.0
"""The rows as text for a terminal of 120 columns."""

import textwrap
import typing

from lab.demo import cases
from lab.demo import verdict
from lab import tables

WIDTH = 120
HEADS = ('#', 'what was uploaded', 'by', 'filter', 'meant for', 'Glance says', 'on disk', 'bytes',
         'verdict')


def render(rows: typing.Sequence[verdict.Row]) -> str:
    """Return the table, with the titles of its sections.

    :param rows: one for each case, in the order of `cases.SECTIONS`.
    """
    head, rule, *lines = tables.lines(HEADS, [_cells(number, row) for number, row in enumerate(rows, 1)])
    remaining = iter(lines)
    shown = [head, rule]
    for section in cases.SECTIONS:
        shown += ['', section.title, *(next(remaining) for _ in section.cases)]
    return '\n'.join(shown)


def notes(rows: typing.Sequence[verdict.Row]) -> str:
    """Return, by the rows' numbers, warnings, errors and damages, wrapped."""
    lines = []
    for number, row in enumerate(rows, 1):
        for text in _notes(row):
            head = '%3d  %s: ' % (number, row.case.by.name)
            lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=' ' * 5,
                                   break_long_words=False, break_on_hyphens=False)
    return '\n'.join(lines)


def summary(rows: typing.Sequence[verdict.Row]) -> str:
    """Return one line that counts the verdicts."""
    verdicts = [verdict.judge(*row) for row in rows]
    return '%d uploads: %d ok, %d where stock code is known to go wrong, %d WRONG' % (
        len(rows), verdicts.count(verdict.OK), verdicts.count(verdict.DEFECT),
        verdicts.count(verdict.WRONG))


def _cells(number: int, row: verdict.Row) -> typing.Sequence[str]:
    case, found = row
    return ('%2d' % number, case.what, case.by.name, 'yes' if case.by.filter else '-',
            _stores(case.meant, 'an error'), _stores(found.in_glance, 'nowhere'),
            _stores(found.on_disk, 'nowhere'), found.data, verdict.judge(case, found))


def _stores(names: cases.Stores, none: str) -> str:
    return ','.join(name for name in cases.STORES if name in names) or none


def _notes(row: verdict.Row) -> typing.Iterator[str]:
    case, found = row
    if case.warns:
        yield from verdict.warnings(found)
    if found.error is not None:
        yield found.error
    elif found.data == cases.DAMAGED:
        yield 'success; but the image, %s in Glance, has %s of %d bytes' % (
            found.status, found.size, cases.SIZE)
    if case.meant == cases.NOWHERE:
        yield "uploads in Glance's request log: %d; records left in Glance: %d; files left: %d" % (
            found.uploads, found.records, len(found.on_disk))
    if verdict.judge(case, found) == verdict.WRONG:
        yield '; '.join(['this is WRONG', 'image %s' % found.status] + list(found.log))
