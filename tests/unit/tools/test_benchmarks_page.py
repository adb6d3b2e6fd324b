# SPDX-License-Identifier: Apache-2.0
"""The page about the benchmarks shows what was measured, and every target that was missed."""

import glob
import json
import os
from xml.dom import minidom

import testtools

from benchmarks import page
from benchmarks import plots
from benchmarks import report
from benchmarks import targets


def row(ours, target, stock=(), what='x', unit='', better='less'):
    """Return a row of a result."""
    ratio = ours / stock[0] if stock else None
    return {'what': what, 'unit': unit, 'stock': list(stock), 'ours': [ours], 'target': target,
            'better': better, 'ratio': ratio}


def results():
    """Return the results that there are."""
    found = []
    for path in sorted(glob.glob(os.path.join(report.RESULTS, '*.json'))):
        with open(path, encoding='utf-8') as stream:
            found.append(json.load(stream))
    return found


class TargetsTest(testtools.TestCase):

    def test_each_kind_of_target(self):
        result = {'name': 'n', 'settings': {'hosts': 20, 'sites': 2}}
        for met, missed in (
                (row(2, 'ours: at most 2'), row(2.1, 'ours: at most 2')),
                (row(20, 'ours: all'), row(19, 'ours: all')),
                (row(5, 'ours: all', what='N=5, clones'), row(4, 'ours: all', what='N=5, clones')),
                (row(2, 'ours: one for each site'), row(3, 'ours: one for each site')),
                (row(0, 'ours: 0'), row(1, 'ours: 0')),
                (row(1, 'under 1.01', [1.0]), row(1.1, 'under 1.01', [1.0])),
                (row(19, 'under 20 s'), row(21, 'under 20 s')),
                (row(2, 1.5, [1.0], better='more'), row(1, 1.5, [1.0], better='more')),
                (row(1, 'at least 1', [1.0]), row(0.9, 'at least 1', [1.0])),
                (row(0.4, 'ours: within 0.50 s', [9.0], unit='s'), row(0.6, 'ours: within 0.50 s', [9.0])),
                (row(600.0001, 'ours: at most 62, or the copy', what='copy of 600 s'),
                 row(63, 'ours: at most 62, or the copy', what='copy of 15 s')),
                (row(9, None), row(1, 'ours: 0'))):
            self.assertFalse(targets.missed(result, met), met)
            self.assertTrue(targets.missed(result, missed), missed)

    def test_missed_target_is_on_the_page_with_its_reason(self):
        result = {'name': 'overhead', 'settings': {}, 'rows': [
            row(1.2, 'under 1.03', [1.0], what='snapshot of 64 MiB through the driver'), row(1, 'ours: 1')]}
        lines = ' '.join(page._missed([result]))
        self.assertIn('- *overhead*: snapshot of 64 MiB through the driver: ratio 1.2, target under 1.03. '
                      'The hook', lines.replace('   ', ' '))
        self.assertNotIn('target ours: 1', lines)
        self.assertIn('None.', page._missed([]))


class PlotsTest(testtools.TestCase):

    def test_plots_of_the_results_are_svg_with_a_bar_and_a_figure_for_each_value(self):
        found = plots.all_of(results())
        self.assertTrue(found)
        for name, shows, svg in found:
            document = minidom.parseString(svg)
            self.assertEqual(shows, document.getElementsByTagName('title')[0].firstChild.data, name)
        svg = plots.bars('t', ['a', 'b'], [('stock', [1, None]), ('ours', [200, 0])])
        document = minidom.parseString(svg)
        bars = [one for one in document.getElementsByTagName('rect') if one.getAttribute('height') not in (
            '12', '100%')]
        self.assertEqual(3, len(bars))
        self.assertEqual(3, len({one.getAttribute('x') for one in bars}))

    def test_pages_in_the_documentation_are_those_of_the_results(self):
        for path, wanted in [(page.PAGE, page.text(results())), (page.HEADLINE, page.headline(results()))] + [
                (os.path.join(page.IMAGES, name), svg) for name, _shows, svg in plots.all_of(results())]:
            with open(path, encoding='utf-8') as stream:
                self.assertEqual(wanted, stream.read(), '%s: run python -m benchmarks.page' % path)
