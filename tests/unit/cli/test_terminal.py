# SPDX-License-Identifier: Apache-2.0
"""Tables on a terminal of any width and encoding, with every name that a user may choose."""

import io
import json
import os
import sys
from unittest import mock

import ddt

from multistore_hooks.cli import main
from multistore_hooks.cli import text
from tests.unit.cli import image_base

#: Wide, combining, right-to-left, joined by an invisible letter, hostile, and longer than a terminal.
#: (No emoji: the prettytable of Train's time does not know how wide they are.)
NAMES = ('debian', '日本語のイメージ', 'Gro\u0308ße', 'דביאן 12', 'a\u200db', 'evil\x1b[31mred\x07\n\x9b2J\u202egnp',
         'x' * 255)


@ddt.ddt
class TableTest(image_base.ImageTestCase):

    def setUp(self):
        super().setUp()
        self.images = [self.add('fast', name=name) for name in NAMES]

    def printed(self, width, *arguments):
        """Return the lines of a table in a terminal of so many columns."""
        with mock.patch.dict(os.environ, COLUMNS=str(width)):
            code, out, err = self.run_command(*arguments)
        self.assertEqual((0, ''), (code, err))
        self.assertTrue(out.endswith('\n'))
        return out[:-1].split('\n')

    @ddt.data(50, 80, 200)
    def test_a_table_has_straight_edges_whatever_the_names(self, width):
        for arguments in (['stores'] + self.images, ['list'], ['list', '--fit-width'],
                          ['copy', '--to', 'fast'] + self.images):
            lines = self.printed(width, *arguments)
            self.assertEqual(lines, [text.escaped(line) for line in lines])
            self.assertEqual(1, len({text.cells(line) for line in lines}), '\n'.join(lines))

    def test_a_table_that_is_to_fit_does(self):
        lines = self.printed(80, 'list', '--max-width', '80', '-c', 'Name', '-c', 'Stores', '-c', 'Size')
        self.assertTrue(text.cells(lines[0]) <= 80, '\n'.join(lines))

    def test_every_format_for_a_person_is_one_line_for_each_image(self):
        for form in ('value', 'csv'):
            lines = self.printed(80, 'list', '-f', form, '-c', 'Name')
            self.assertEqual(len(NAMES) + (form == 'csv'), len(lines))
            self.assertNotIn('\x1b', ''.join(lines))

    def test_programs_get_the_names_themselves(self):
        _code, rows = self.json('stores', *self.images)
        self.assertEqual(list(NAMES), [row['Name'] for row in rows])


class EncodingTest(image_base.ImageTestCase):

    def run_encoded(self, encoding, *arguments):
        """Return what a command writes to streams of an encoding, as bytes, and its exit code."""
        raw = {name: io.BytesIO() for name in ('stdout', 'stderr')}
        streams = {name: io.TextIOWrapper(raw[name], encoding=encoding) for name in raw}
        with mock.patch.multiple(sys, **streams):
            code = main.main(list(arguments))
            for name in raw:
                getattr(sys, name).flush()
            # Here: on Python 3.6 the streams are others by now, and close these with them.
            return code, raw['stdout'].getvalue(), raw['stderr'].getvalue()

    def test_an_encoding_without_the_letters_escapes_them_and_nothing_fails(self):
        image = self.add('fast', name='日本語 Größe')
        for encoding, shown in (('ascii', b'\\u65e5\\u672c\\u8a9e Gr\\xf6\\xdfe'),
                                ('latin-1', b'\\u65e5\\u672c\\u8a9e Gr\xf6\xdfe'),
                                ('utf-8', '日本語 Größe'.encode())):
            for form in ('table', 'value', 'csv'):
                code, out, err = self.run_encoded(encoding, 'image', 'stores', image, '-f', form)
                self.assertEqual((0, b''), (code, err))
                self.assertIn(shown, out, (encoding, form))
            code, out, _err = self.run_encoded(encoding, 'image', 'stores', image, '-f', 'json')
            self.assertEqual((0, '日本語 Größe'), (code, json.loads(out.decode(encoding))[0]['Name']))

    def test_an_error_that_names_such_an_image_is_one_line(self):
        code, out, err = self.run_encoded('ascii', 'image', 'stores', 'イメージ\x1b[2J')
        self.assertEqual((2, b'', 1), (code, out, err.count(b'\n')), err)
        self.assertIn(b'\\u30a4', err)
        self.assertNotIn(b'\x1b', err)
