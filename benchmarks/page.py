# SPDX-License-Identifier: Apache-2.0
"""The page of the documentation with what the benchmarks have measured: doc/source/benchmarks.rst."""

import json
import os
import statistics

from benchmarks import report

PAGE = os.path.join(os.path.dirname(report.RESULTS), os.pardir, 'doc', 'source', 'benchmarks.rst')
BEGINNING = """\
.. Written by ``make bench``, from benchmarks/results/.

==========
Benchmarks
==========

Stock code and ours, in one run on the same services and data, in turn. A figure is the median; the ratio is
ours to stock. ``make bench`` measures it again; every sample is in ``benchmarks/results``.
"""
HEAD = ('What', 'Unit', 'Stock', 'Ours', 'Ratio', 'Target')
PURPOSES = {
    'boot_storm': 'Many computes of two sites boot one cold image at once',
    'many_sites': 'Many sites that want one cold image, simulated with the real waiting code',
    'copy_lag': 'From the end of a copy to the clone',
    'overhead': 'What the hooks cost',
    'store_plan': 'A plan for many images, on a Glance in memory',
    'volume_store': 'Images on Cinder volumes',
}


def text(results):
    """Return the page.

    :param results: what was read from the JSON files, in the order of the page.
    """
    return '\n'.join([BEGINNING] + [_section(one) for one in results])


def write():
    """Write the page from the results that there are."""
    results = []
    for name in sorted(os.listdir(report.RESULTS)):
        if name.endswith('.json'):
            with open(os.path.join(report.RESULTS, name), encoding='utf-8') as stream:
                results.append(json.load(stream))
    with open(PAGE, 'w', encoding='utf-8') as stream:
        stream.write(text(results))


def _section(result):
    title = '%s: %s' % (result['name'], PURPOSES.get(result['name'], ''))
    versions = ', '.join('%s %s' % one for one in sorted(result['versions'].items()) if one[1])
    settings = ', '.join('%s %s' % one for one in sorted(result['settings'].items()))
    lines = [title, '=' * len(title), '', 'Measured %s on %d processors, load at the end %.1f.' % (
        result['date'], result['processors'], result['load'][0]), versions + '.', settings + '.', '',
        '.. list-table::', '   :header-rows: 1', '   :widths: 46 8 12 12 10 22', '']
    for row in [HEAD] + [_cells(row) for row in result['rows']]:
        lines += [('   %s %s' % ('  -' if number else '* -', cell)).rstrip()
                  for number, cell in enumerate(row)]
    return '\n'.join(lines) + '\n'


def _cells(row):
    ratio = '' if row['ratio'] is None else '%.3g' % row['ratio']
    return (row['what'], row['unit'], _figure(row['stock']), _figure(row['ours']), ratio, row['target'] or '')


def _figure(samples):
    if not samples:
        return ''
    median = statistics.median(samples)
    return '%.0f' % median if median >= 1000 else '%.3g' % median
