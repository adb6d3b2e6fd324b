# SPDX-License-Identifier: Apache-2.0
"""Names that users chose, on a terminal."""

import io
import json
import subprocess
import sys

import testtools

from multistore_hooks.cli import progress
from multistore_hooks.cli import text

HOSTILE = 'evil\x1b[31mred\x07\u202egnp.exe\nnext \x9b2J\u2028'


class EscapedTest(testtools.TestCase):

    def test_nothing_that_a_terminal_obeys_is_left(self):
        shown = text.escaped(HOSTILE)
        self.assertEqual('evil\\x1b[31mred\\x07\\u202egnp.exe\\x0anext \\x9b2J\\u2028', shown)
        self.assertEqual(1, len(shown.splitlines()))

    def test_letters_of_every_language_stay(self):
        for name in ('debian 12', 'Größe', '日本語', 'é', '👍'):
            self.assertEqual(name, text.escaped(name))

    def test_a_name_is_escaped_for_a_person_and_itself_for_a_program(self):
        name = text.Name(HOSTILE)
        self.assertEqual(HOSTILE, json.loads(json.dumps([name]))[0])
        self.assertEqual(text.escaped(HOSTILE), '%s' % name)


class CellsTest(testtools.TestCase):

    def test_wide_letters_take_two_cells_and_combining_ones_none(self):
        self.assertEqual([3, 6, 1], [text.cells(name) for name in ('abc', '日本語', 'e\u0301')])

    def test_a_cut_text_never_takes_more_cells_than_there_are(self):
        for name in ('abcdefgh', '日本語日本語', 'a日b本c語', ''):
            for room in range(0, 16):
                cut = text.cut(name, room)
                self.assertTrue(text.cells(cut) <= room, (name, room, cut))
        self.assertEqual('日本...', text.cut('日本語日本語', 8))
        self.assertEqual('日本語', text.cut('日本語', 6))

    def test_lines_of_a_progress_bar_are_as_wide_as_each_other_whatever_the_names(self):
        rows = [progress.Row(name, 1 << 30, 2, 1, 'dcn1', 100) for name in (
            'debian', '日本語のイメージ', 'evil\x1b[2J\nname', 'x' * 200)]
        for width in (50, 80, 200):
            drawn = progress.lines(rows, width)
            for line in drawn:
                self.assertTrue(text.cells(line) < width, line)
                self.assertEqual(text.escaped(line), line)
            self.assertEqual(1, len({text.cells(line[:line.index(' [#')]) for line in drawn}), drawn)


class EncodingTest(testtools.TestCase):

    def test_output_that_cannot_show_a_name_escapes_it(self):
        code = ("import os; from multistore_hooks.cli import text; text.show_everything(); "
                "print('\\u65e5'); import sys; print('\\u65e5', file=sys.stderr)")
        done = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={'PYTHONIOENCODING': 'ascii', 'PYTHONPATH': ':'.join(sys.path)})
        self.assertEqual((b'\\u65e5\n', b'\\u65e5\n'), (done.stdout, done.stderr))

    def test_an_argument_is_what_was_typed_in_every_locale(self):
        code = ("import sys; from multistore_hooks.cli import text; text.show_everything(); "
                "print(ascii([text.argument(word) for word in sys.argv[1:]]))")
        for locale in ('C', 'POSIX', 'C.UTF-8'):
            printed = subprocess.check_output(
                [sys.executable, '-c', code, '日本'.encode(), b'no \xff UTF-8'],
                env={'LC_ALL': locale, 'PYTHONPATH': ':'.join(sys.path)}, universal_newlines=True)
            self.assertEqual(ascii(['日本', 'no \\xff UTF-8']), printed.strip(), locale)

    def test_output_in_every_locale_shows_a_name_or_escapes_it(self):
        code = "from multistore_hooks.cli import text; text.show_everything(); print('\\u65e5')"
        for locale in ('C', 'POSIX', 'C.UTF-8'):
            printed = subprocess.check_output([sys.executable, '-c', code],
                                              env={'LC_ALL': locale, 'PYTHONPATH': ':'.join(sys.path)})
            self.assertIn(printed, (b'\\u65e5\n', '日\n'.encode()))

    def test_a_stream_that_a_test_put_in_its_place_stays(self):
        before = sys.stdout
        sys.stdout = replaced = io.StringIO()
        try:
            text.show_everything()
            self.assertIs(replaced, sys.stdout)
        finally:
            sys.stdout = before
