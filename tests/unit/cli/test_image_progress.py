# SPDX-License-Identifier: Apache-2.0
"""The bars: what a line says, that it fits, and what is left of them."""

import io
import logging
import os
import re
from unittest import mock

import ddt
import testtools

from multistore_hooks.cli import progress
from multistore_hooks.glance_api import api

MIB = progress.MIB


@ddt.ddt
class LineTest(testtools.TestCase):

    @staticmethod
    def line(row, width):
        return progress.lines([row], width)[0]

    def test_what_it_says(self):
        row = progress.Row('cirros', 512 * MIB, 2, done=1, store='cheap', copied=256,
                           seconds=65)
        self.assertEqual('cirros [###############.....]  75% -> cheap (256 of 512 MiB), 1:05',
                         self.line(row, 80))

    @ddt.data((progress.Row('a', None, 1), 0), (progress.Row('a', 0, 1), 0), (progress.Row('a', 10, 0), 100),
              (progress.Row('a', MIB, 1, copied=7), 99), (progress.Row('a', MIB, 2, done=2, copied=1), 100),
              (progress.Row('a', 4 * MIB, 4, done=1, copied=2), 37))
    @ddt.unpack
    def test_percent(self, row, percent):
        self.assertIn('%3d%%' % percent, self.line(row, 80))

    @ddt.data(10, 40, 60, 80, 200)
    def test_it_fits(self, width):
        row = progress.Row('a-very-long-name-of-an-image' * 3, 512 * MIB, 1, store='a-store', copied=9)
        text = self.line(row, width)
        self.assertTrue(len(text) < width, text)
        self.assertNotIn('\n', text)

    def test_bars_stand_below_each_other(self):
        rows = [progress.Row(name, MIB, 1) for name in ('a', 'longer', 'x' * 90)]
        self.assertEqual(1, len({line.index('[') for line in progress.lines(rows, 80)}))
        self.assertEqual([], progress.lines([], 80))

    @ddt.data(('Copied 12 MiB', 12), ('', 0), ('Task failed due to Internal Error', 0))
    @ddt.unpack
    def test_megabytes_of_a_task(self, message, copied):
        self.assertEqual(copied, progress.copied_mib(api.Task('1', 'processing', message)))
        self.assertEqual(0, progress.copied_mib(None))


class BarsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.stream = io.StringIO()
        self.bars = progress.Bars(self.stream)

    def screen(self):
        """Return the lines that a terminal would show of what was written."""
        lines = ['']
        for piece in re.split(r'(\x1b\[\d*[A-Z]|\r|\n)', self.stream.getvalue()):
            if piece == '\n':
                lines.append('')
            elif piece.endswith('A') and piece.startswith('\x1b'):
                self.up = int(piece[2:-1])
            elif piece == '\x1b[J':
                del lines[len(lines) - 1 - self.up:]
                lines.append('')
            elif piece != '\r':
                lines[-1] += piece
        return lines[:-1]

    def test_each_row_is_one_line_and_none_is_left(self):
        self.bars.start()
        for percent in (10, 20, 30):
            for name in ('one', 'two'):
                self.bars.show(name, progress.Row(name, 100 * MIB, 1, store='x', copied=percent))
        self.assertEqual(['one [######..............]  30% -> x (30 of 100 MiB), 0:00',
                          'two [######..............]  30% -> x (30 of 100 MiB), 0:00'], self.screen())
        self.bars.hide('one')
        self.assertEqual(1, len(self.screen()))
        self.bars.stop()
        self.assertEqual([], self.screen())

    def test_time_goes_by(self):
        with mock.patch('time.monotonic', return_value=100.0) as clock:
            self.bars.show('one', progress.Row('one', MIB, 1))
            clock.return_value = 100.5
            self.bars.tick()
            self.assertIn('0:00', self.screen()[0])
            clock.return_value = 161.0
            self.bars.tick()
        self.assertIn('1:01', self.screen()[0])

    def test_no_more_lines_than_the_terminal_has(self):
        with mock.patch('shutil.get_terminal_size', return_value=os.terminal_size((80, 5))):
            for number in range(9):
                self.bars.show(str(number), progress.Row('x', 1, 1))
        self.assertEqual(4, len(self.screen()))

    def test_warnings_are_seen_and_lesser_lines_are_not(self):
        log = io.StringIO()
        handler, root = logging.StreamHandler(log), logging.getLogger()
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        self.bars.start()
        self.bars.show('one', progress.Row('one', 1, 1))
        logging.getLogger('multistore_hooks.x').warning('look here')
        self.assertEqual([], self.screen())
        logging.getLogger('multistore_hooks.x').info('not this')
        self.bars.stop()
        logging.getLogger('multistore_hooks.x').warning('and here')
        self.assertEqual('look here\nand here\n', log.getvalue())

    def test_only_terminals_have_bars(self):
        self.stream.isatty = lambda: True
        with mock.patch.dict(os.environ, TERM='xterm'):
            self.assertTrue(progress.make_progress(self.stream).active)
            self.assertFalse(progress.make_progress(io.StringIO()).active)
        with mock.patch.dict(os.environ, TERM='dumb'):
            self.assertFalse(progress.make_progress(self.stream).active)
