# SPDX-License-Identifier: Apache-2.0
"""The table as a page of the documentation, and as JSON."""

import json
import os
import textwrap
import typing

from releases_matrix import checks
from releases_matrix import environments
from releases_matrix import rows

JSON = os.path.join(environments.ROOT, 'doc', 'source', 'releases.json')
PAGE = os.path.join(environments.ROOT, 'doc', 'source', 'releases.rst')
Cells = typing.List[str]
Rows = typing.List[rows.Row]

HEAD = """:orphan:

..  Written by tools/releases.py from releases.json, never by hand.

======================
Every release, checked
======================

``make releases`` runs this table; ``make releases ONLY=nova-27`` runs one line of it. Last written:
%(date)s. %(summary)s

Of each series the newest point release is taken, as it is on PyPI, unpacked and not installed. The
environments are virtual environments with Python 3.11 whose packages are held by
``tests/constraints-joint-old.txt``, ``-mid`` and ``-new``. The same as data: ``releases.json``, beside
the source of this page.
"""

COLUMNS = (
    '*Patch*: the series that ``multistore-hooks patch`` applies to an unpacked release, applies again to '
    'no effect, and reverts to the very files (content, mode, owner, time); how long both take together.',
    "*Upstream, stock* and *on ours*: the release's own unit tests of the modules that we touch, passed / "
    'failed / skipped: as released, then patched and with our classes in the place of its own. The same '
    'tests must give the same results, except those listed below.')
OUR_TESTS = '*Our tests*: the hook inside that release, against a real Glance 33: %s.'

WHAT = {
    'nova': 'the store of the base image, a dedicated store, a store that is not there, no base image, '
            'a 503 in the middle of an upload; copy, then clone with two real Ceph clusters',
    'cinder': 'volume type, base image, default, ``upload_store``, a store that is not there, without '
              'keystone, the optional patch, a 503 in the middle of an upload; copy, then clone and an '
              'upload inside its cluster with a real Ceph cluster; images on its volumes (a loop device, a '
              'share): upload, download, ranges, copies, deletion, or, where it attaches volumes to servers '
              'only (15, 16), the error when Glance starts; rows of before 2026-11-30 ran without '
              'these volumes',
}

GLANCE = """
Glance
======

A real glance-api of that release with the filter in its pipeline: it announces itself, follows the
header of stock Cinder and the property of stock Nova, heeds a named store and the caller's rights,
co-locates where Glance can copy; and copying with an administrator's credentials. Images on volumes of
a Cinder 29 (a loop device, a share): upload, download, ranges, copies, deletion; rows of before
2026-11-30 ran without them.
"""


def write(new: Rows) -> None:
    """Put rows into the JSON file, in place of their older ones, and write the page from it."""
    known = {row['name']: row for row in read()}
    known.update({row['name']: row for row in new})
    table = sorted(known.values(), key=_order)
    with open(JSON, 'w', encoding='utf-8') as stream:
        json.dump({'written': rows.today(), 'rows': table}, stream, indent=1, sort_keys=True)
        stream.write('\n')
    with open(PAGE, 'w', encoding='utf-8') as stream:
        stream.write(render(table))


def read() -> Rows:
    """Return the rows of the JSON file; none when there is no such file."""
    try:
        with open(JSON, encoding='utf-8') as stream:
            return list(json.load(stream)['rows'])
    except FileNotFoundError:
        return []


def _order(row: rows.Row) -> typing.Tuple[int, int, str]:
    project = ('nova', 'cinder', 'glance').index(row['project'])
    return project, int(row['version'].split('.')[0]), row['name']


def summary(table: Rows) -> str:
    """Return one sentence on all rows."""
    states = [row['state'] for row in table]
    return '%d lines: %d passed, %d failed, %d skipped in part.' % (
        len(states), states.count(checks.OK), states.count(checks.FAILED), states.count(checks.SKIPPED))


def render(table: Rows) -> str:
    """Return the page."""
    parts = [HEAD % {'date': rows.today(), 'summary': summary(table)}]
    for project in ('nova', 'cinder'):
        title = project.capitalize()
        parts += ['', title, '=' * len(title), '']
        parts += _wrapped(COLUMNS + (OUR_TESTS % WHAT[project],)) + ['']
        parts.append(_table(
            ['Series', 'Release', 'Patch', 'Upstream, stock', 'Upstream, on ours', 'Our tests', 'Date'],
            [_service_cells(row) for row in table if row['project'] == project]))
    parts.append(GLANCE)
    parts.append(_table(['Series', 'Release', 'Our tests', 'Date'], [
        [row['series'], row['version'], _counts(row, 'hooks'), row['date']]
        for row in table if row['project'] == 'glance']))
    parts += [_remarks(table), _differences(table)]
    return '\n'.join(parts)


def _service_cells(row: rows.Row) -> Cells:
    patch = row['checks'].get('patch', {})
    applied = _state(patch)
    if patch.get('state') == checks.OK:
        applied = '%s, %.1f s' % (', '.join(patch['series']) or 'none needed', patch['slowest'])
    differ = row['checks'].get('ours', {}).get('differences', [])
    ours = _counts(row, 'ours') + (' (%d differ)' % len(differ) if differ else '')
    return [row['series'], row['version'], applied, _counts(row, 'stock'), ours, _counts(row, 'hooks'),
            row['date']]


def _counts(row: rows.Row, name: str) -> str:
    check = row['checks'].get(name, {})
    if check.get('state') == checks.OK:
        return '%d / %d / %d' % (check['passed'], check['failed'], check['skipped'])
    return _state(check)


def _state(check: typing.Mapping[str, typing.Any]) -> str:
    if not check:
        return 'not run'
    return '**%s**: %s' % (check['state'], _escaped(check.get('note', '')[:60]))


def _escaped(text: str) -> str:
    return ''.join('\\' + letter if letter in '\\`*_|' else letter for letter in text)


def _table(head: Cells, body: typing.List[Cells]) -> str:
    if not body:
        return 'Not run yet.\n'
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for cells in [head] + body:
        lines += ['   %s - %s' % ('*' if number == 0 else ' ', cell) for number, cell in enumerate(cells)]
    return '\n'.join(lines) + '\n'


def _remarks(table: Rows) -> str:
    lines = ['What needed a special case', '==========================', '']
    by_text: typing.Dict[str, Cells] = {}
    for row in table:
        if row['special']:
            by_text.setdefault(row['special'], []).append('%s %s' % (row['project'], row['version']))
    lines += _wrapped('%s: %s.' % (', '.join(names), _escaped(text)) for text, names in by_text.items())
    # A check that passed has a remark where something was odd.
    lines += _wrapped('%s %s, %s: %s.' % (row['project'], row['version'], name, _escaped(check['note']))
                      for row in table for name, check in row['checks'].items()
                      if check['state'] == checks.OK and check.get('note'))
    return '\n'.join(lines) + '\n'


def _differences(table: Rows) -> str:
    lines = ["Upstream's tests that differ on our classes", '=' * 43, '']
    for test, reason in checks.expected_differences().items():
        seen = [row['version'] for row in table
                if test in row['checks'].get('ours', {}).get('differences', [])]
        short = '.'.join(test.split('.')[-3:])
        where = 'releases with it: ' + (', '.join(seen) or 'none that was run')
        lines += _wrapped(['``%s`` (%s): %s' % (short, where, _escaped(reason))])
    return '\n'.join(lines) + '\n'


def _wrapped(items: typing.Iterable[str]) -> Cells:
    wrap = textwrap.TextWrapper(100, initial_indent='- ', subsequent_indent='  ', break_long_words=False,
                                break_on_hyphens=False)
    return [line for item in items for line in wrap.wrap(item)]
