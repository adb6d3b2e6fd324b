# SPDX-License-Identifier: Apache-2.0
"""The parts of the live gate that can be tried without a cloud."""

import configparser
import io
import os
import struct

from oslotest import base

from tools.gate import config
from tools.gate import guest
from tools.gate import hooks
from tools.gate import scenarios
from tools.gate import table


class _Meter:
    def read(self):
        return 7, 8000000


class GuestTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(base.fixtures.TempDir()).path, 'disk')
        guest.make_image(self.path, 1 << 20)
        with open(self.path, 'rb') as stream:
            self.disk = stream.read()

    def test_disk_is_bootable_and_as_big_as_asked_for(self):
        self.assertEqual(1 << 20, len(self.disk))
        self.assertEqual(b'\x55\xaa', self.disk[510:512])
        self.assertIsNone(guest.written(self.disk))

    def test_what_the_guest_says_is_what_it_wrote(self):
        disk = self.disk[:512] + struct.pack('<4sII', b'GATE', 0x1234abcd, 2).ljust(512, b'\0') + (
            self.disk[1024:])
        said = guest.said('SeaBIOS\r\nGATE-WROTE 1234abcd BOOT 00000002 END\r\n')
        self.assertEqual(said, guest.written(disk))
        self.assertTrue(guest.same_but_for_guest(disk, self.path))

    def test_damage_outside_of_the_guests_sector_is_seen(self):
        last = bytes([self.disk[-1] ^ 1])
        self.assertTrue(guest.same_but_for_guest(self.disk + b'more', self.path))
        self.assertFalse(guest.same_but_for_guest(self.disk[:-1] + last, self.path))
        self.assertFalse(guest.same_but_for_guest(self.disk[:-1], self.path))


class ConfigurationTest(base.BaseTestCase):

    def test_filter_comes_right_after_context_in_the_keystone_pipeline_only(self):
        text = hooks.paste_with_filter(
            '[composite:api]\ndefault = a unauthenticated-context rootapp\n'
            'keystone = authtoken context rootapp\nkeystone+caching = authtoken context cache rootapp\n')
        pipelines = configparser.ConfigParser()
        pipelines.read_file(io.StringIO(text))
        self.assertEqual('authtoken context base_image rootapp', pipelines['composite:api']['keystone'])
        self.assertEqual('authtoken context cache rootapp',
                         pipelines['composite:api']['keystone+caching'])
        self.assertIn('filter:base_image', pipelines)

    def test_option_given_several_times_has_a_line_for_each(self):
        text = config.render({'DEFAULT': {'one': True, 'many': ['a', 'b']}})
        self.assertEqual('[DEFAULT]\none = true\nmany = a\nmany = b\n', text)

    def test_later_configuration_wins_option_by_option(self):
        self.assertEqual({'a': {'x': 1, 'y': 3}, 'b': {'z': 4}}, config.merged(
            {'a': {'x': 1, 'y': 2}}, {'a': {'y': 3}, 'b': {'z': 4}}))


class TableTest(base.BaseTestCase):

    def row(self, mode, result, *failures):
        row = table.Row(1, 'a boot', mode, _Meter())
        row.result = result
        row.failures += failures
        row.stop()
        return row

    def test_stock_and_ours_are_side_by_side(self):
        text = table.render([self.row('stock', '2 flat', 'no clone'), self.row('hooks', '2 clones')])
        line, = [line for line in text.splitlines() if line.startswith('1  a boot  2 flat')]
        self.assertIn('2 clones', line)
        self.assertIn('7 / 7', line)
        self.assertTrue(line.endswith('  ok'), line)

    def test_what_stock_does_wrong_is_told_and_does_not_count(self):
        sheet = table.Sheet(None)
        sheet.rows = [self.row('stock', '2 flat', 'no clone'), self.row('hooks', '2 clones')]
        self.assertEqual(0, sheet.exit_code())
        self.assertIn('no clone', table.render(sheet.rows))

    def test_what_is_wrong_with_ours_is_the_exit_code(self):
        sheet = table.Sheet(None)
        sheet.rows = [self.row('hooks', '2 flat', 'no clone')]
        self.assertEqual(1, sheet.exit_code())
        self.assertIn('WRONG', table.render(sheet.rows))

    def test_no_row_at_all_is_no_success(self):
        self.assertEqual(1, table.Sheet(None).exit_code())


class ScenariosTest(base.BaseTestCase):

    def test_every_scenario_of_the_gate_runs_with_hooks(self):
        self.assertEqual(list(range(1, 10)), sorted(scenarios.SCENARIOS))
        for number, (modes, functions) in scenarios.SCENARIOS.items():
            self.assertTrue(functions, number)
            self.assertTrue(set(modes) & {scenarios.FILTER, scenarios.HOOKS}, number)
