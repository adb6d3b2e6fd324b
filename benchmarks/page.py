# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows of the benchmarks: doc/source/benchmarks.rst, plots, lines of the front page.

``python -m benchmarks.page`` writes them anew from the results that there are.
"""

import collections
import json
import os
import statistics
import textwrap

from benchmarks import plots
from benchmarks import report
from benchmarks import targets

PAGE = os.path.join(os.path.dirname(report.RESULTS), os.pardir, 'doc', 'source', 'benchmarks.rst')
BEGINNING = """\
.. Written by ``make bench``, from benchmarks/results/.

==========
Benchmarks
==========

Stock code and ours, in one run on the same services and data, in turn. A figure is the median; the ratio is
ours to stock. ``make bench`` measures it again; every sample is in ``benchmarks/results``.
"""
HEADLINE = os.path.join(os.path.dirname(PAGE), 'benchmarks_headline.inc')
IMAGES = os.path.join(os.path.dirname(PAGE), 'images')
HEAD = ('What', 'Unit', 'Stock', 'Ours', 'Ratio', 'Target')
PURPOSES = {
    'boot_storm': 'Many computes of two sites boot one cold image at once',
    'many_sites': 'Many sites that want one cold image, simulated with the real waiting code',
    'copy_lag': 'From the end of a copy to the clone',
    'overhead': 'What the hooks cost',
    'site_image_cleanup': 'What the periodic task costs where there are many site images',
    'site_images_qcow2': 'Many computes of two sites boot a qcow2 image',
    'site_images_raw': 'Many computes of two sites boot a raw image, with site_images on',
    'site_images_refused': 'The same where Glance copies for administrators only',
    'site_images_single': 'The same in a Glance with one store',
    'site_images_train': 'The same with Nova and Glance of Train',
    'site_images_warm': 'One boot of what is near',
    'store_plan': 'A plan for many images: of a Glance in memory, and by the command of a real one',
    'volume_store': 'Images on Cinder volumes',
    'volume_store_guest': "Images on Cinder's own LVM and NFS drivers",
    'volume_storm': 'Many volumes of one cold image at two sites',
    'volume_wait': 'What cinder-volume does for others while many volumes wait for a copy',
    'volume_upload': 'A volume in Ceph that is uploaded to a store of its cluster',
}


def text(results):
    """Return the page.

    :param results: what was read from the JSON files, in the order of the page.
    """
    return '\n'.join([BEGINNING] + _plots(results) + _missed(results) + [
        'All figures', '===========', ''] + [_section(one) for one in results])


def _plots(results):
    lines = []
    for name, shows, _svg in plots.all_of(results):
        lines += ['.. image:: images/' + name, '   :alt: ' + shows, '   :width: 100%', '']
    return lines


def _missed(results):
    """Return the section about targets that were missed."""
    found = collections.OrderedDict()  # rows with one reason in one item
    for result in results:
        for row in result['rows']:
            if targets.missed(result, row):
                key = result['name'], targets.reason(result['name'], row['what'])
                found.setdefault(key, []).append('%s: %s, target %s' % (
                    row['what'], _measured(row), row['target']))
    lines = ['Targets that were missed', '========================', '']
    if not found:
        return lines + ['None.', '']
    items = ['- *%s*: %s. %s' % (name, '; '.join(rows), why) for (name, why), rows in found.items()]
    return lines + [line for one in items for line in textwrap.wrap(one, 108, subsequent_indent='  ')] + ['']


def _measured(row):
    if row['ratio'] is not None and not str(row['target']).startswith('ours'):
        return 'ratio %.3g' % row['ratio']
    return (_figure(row['ours']) + ' ' + row['unit']).strip()


def headline(results):
    """Return the lines of the front page."""
    by_name = {result['name']: result for result in results}
    lines = []
    storm, sites, cold, volumes = (by_name.get(name) for name in (
        'boot_storm', 'many_sites', 'volume_storm', 'volume_store'))
    if storm:
        figures = tuple(plots.figure(plots.median(storm, what, whose)) for whose in ('ours', 'stock')
                        for what in ('clones', 'time to the last boot'))
        lines.append(
            '- %d servers boot at two sites from an image of %s MiB that is at neither: **%s disks are '
            'clones, the last server boots after %s s**; with stock Nova %s is a clone, and the last boots '
            'after %s s'
            % ((storm['settings']['hosts'], plots.figure(storm['settings']['mib'])) + figures))
    if sites:
        what = 'copy of 60 s, %s limits: clones of 1000 boots'
        lines.append(
            '- 1,000 servers boot at 40 sites, simulated: **%s clones** with raised limits, %s with the '
            'default ones; with stock Nova %s' % tuple(
                plots.figure(plots.median(sites, what % limits, whose))
                for limits, whose in (('raised', 'ours'), ('default', 'ours'), ('default', 'stock'))))
    if cold:
        figures = tuple(plots.figure(plots.median(cold, what, whose)) for whose in ('ours', 'stock')
                        for what in ('clones', 'time to the last volume'))
        lines.append(
            '- Volumes of an image that is at neither of two sites: **%s are clones, the last one is there '
            'after %s s**; with stock Cinder %s, and %s s' % figures)
    if volumes:
        what = 'local, random data, upload'
        lines.append('- An upload to an image on a Cinder volume: **%s MB/s**; with glance_store %s' % tuple(
            plots.figure(plots.median(volumes, what, whose)) for whose in ('ours', 'stock')))
    return '\n'.join(part for line in lines
                     for part in textwrap.wrap(line, 108, subsequent_indent='  ')) + '\n'


def write():
    """Write the page from the results that there are."""
    results = []
    for name in sorted(os.listdir(report.RESULTS)):
        if name.endswith('.json'):
            with open(os.path.join(report.RESULTS, name), encoding='utf-8') as stream:
                results.append(json.load(stream))
    with open(PAGE, 'w', encoding='utf-8') as stream:
        stream.write(text(results))
    with open(HEADLINE, 'w', encoding='utf-8') as stream:
        stream.write(headline(results))
    for name, _shows, svg in plots.all_of(results):
        with open(os.path.join(IMAGES, name), 'w', encoding='utf-8') as stream:
            stream.write(svg)


def _section(result):
    title = '%s: %s' % (result['name'], PURPOSES.get(result['name'], ''))
    versions = ', '.join('%s %s' % one for one in sorted(result['versions'].items()) if one[1])
    settings = ', '.join('%s %s' % one for one in sorted(result['settings'].items()))
    lines = [title, '-' * len(title), '', 'Measured %s on %d processors, load at the end %.1f.' % (
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


if __name__ == '__main__':
    write()
