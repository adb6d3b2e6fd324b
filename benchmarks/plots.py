# SPDX-License-Identifier: Apache-2.0
"""Plots of the results, as SVG for the documentation: bars of stock code and of ours, side by side."""

import re
import statistics
from xml.sax import saxutils

#: Stock is grey; the library's own bars are those of the drawing on the page overview.
COLOURS = ('#8a8f98', '#c8102e', '#e58a97')
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 300, 56, 56, 40


def bars(title, groups, series):
    """Return an SVG of bars.

    :param groups: what stands below each group of bars
    :param series: (name, a number or None for each group) of each kind of bar
    """
    highest = max([value for _name, values in series for value in values if value is not None] or [1]) or 1
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" '
             'font-size="13" role="img">' % (WIDTH, HEIGHT), '<title>%s</title>' % saxutils.escape(title),
             '<rect width="100%" height="100%" fill="#ffffff"/>', _text(8, 20, title, 'start', 'bold')]
    at = 8
    for number, (name, _values) in enumerate(series):
        parts += ['<rect x="%d" y="31" width="12" height="12" fill="%s"/>' % (at, COLOURS[number]),
                  _text(at + 17, 42, name, 'start')]
        at += 17 + 8 * len(name) + 16
    floor = HEIGHT - BOTTOM
    wide = (WIDTH - LEFT - 8) / len(groups)
    bar = min(wide * 0.8 / len(series), 60)
    for place, group in enumerate(groups):
        middle = LEFT + wide * (place + 0.5)
        parts.append(_text(middle, floor + 20, group, 'middle'))
        for number, (_name, values) in enumerate(series):
            value = values[place]
            if value is None:
                continue
            tall = max((floor - TOP - 16) * value / highest, 1)
            left = middle + (number - len(series) / 2) * bar
            parts += ['<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (
                left, floor - tall, bar - 3, tall, COLOURS[number]),
                _text(left + bar / 2 - 1.5, floor - tall - 4, figure(value), 'middle')]
    parts.append('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#555"/>' % (LEFT, floor, WIDTH - 8, floor))
    return '\n'.join(parts + ['</svg>']) + '\n'


def _text(left, top, words, anchor, weight='normal'):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s">%s</text>' % (
        left, top, anchor, weight, saxutils.escape(words))


def figure(value):
    """Return a number as people read it."""
    return '{:,.0f}'.format(value) if value >= 100 or value == int(value) else '%.3g' % value


def median(result, what, whose):
    """Return the median of a row, or None without samples."""
    for row in result['rows']:
        if row['what'] == what:
            return statistics.median(row[whose]) if row[whose] else None
    return None


def all_of(results):
    """Return the plots that the results allow: [(file name, what it shows, SVG)]."""
    by_name = {result['name']: result for result in results}
    found = []
    if 'boot_storm' in by_name:
        found += _boot_storm(by_name['boot_storm'])
    if 'many_sites' in by_name:
        found += _many_sites(by_name['many_sites'])
    if 'volume_store' in by_name:
        found += _volume_store(by_name['volume_store'])
    return found


def _boot_storm(result):
    counts = sorted({int(match.group(1)) for row in result['rows']
                     for match in [re.match(r'N=(\d+), 128 MiB: clones', row['what'])] if match})
    if not counts:
        return []
    found = []
    for name, what, title in (
            ('clones', 'clones', 'Boots of a cold image of 128 MiB at two sites: clones'),
            ('seconds', 'time to the last boot', 'The same: seconds to the last boot')):
        series = [(label, [median(result, 'N=%d, 128 MiB: %s' % (count, what), whose) for count in counts])
                  for label, whose in (('stock', 'stock'), ('multistore-hooks', 'ours'))]
        found.append(('benchmark-boot-%s.svg' % name, title,
                      bars(title, ['%d boots' % count for count in counts], series)))
    return found


def _many_sites(result):
    row = '%s, %s limits: clones of %d boots'
    copies = [copy for copy in ('copy of 15 s', 'copy of 60 s')
              if median(result, row % (copy, 'raised', 1000), 'ours') is not None]
    if not copies:
        return []
    title = '1,000 boots of a cold image at 40 sites, simulated: clones'
    series = [(label, [median(result, row % (copy, limits, 1000), whose) for copy in copies])
              for label, limits, whose in (('stock', 'default', 'stock'),
                                           ('multistore-hooks, raised limits', 'raised', 'ours'),
                                           ('default limits', 'default', 'ours'))]
    return [('benchmark-many-sites.svg', title, bars(title, copies, series))]


def _volume_store(result):
    ways = [way for way in ('local', 'network', 'rbd')
            if median(result, '%s, random data, upload' % way, 'ours') is not None]
    if not ways:
        return []
    title = 'Images on Cinder volumes, random data: MB/s of an upload'
    series = [(label, [median(result, '%s, random data, upload' % way, whose) for way in ways])
              for label, whose in (('glance_store', 'stock'), ('multistore-hooks', 'ours'))]
    return [('benchmark-volume-store.svg', title, bars(title, ways, series))]
