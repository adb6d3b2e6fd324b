# SPDX-License-Identifier: Apache-2.0
"""The parts of the live gate that can be tried without a cloud."""

import configparser
import contextlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys

from oslotest import base

from lab import compat
from lab.gate import config
from lab.gate import databases
from lab.gate import guest
from lab.gate import hooks
from lab.gate import packages
from lab.gate.programs import serve
from lab.gate import releases
from lab.gate import scenarios
from lab.gate import table
from lab.gate import tempest
from lab import ini
from lab import paths


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

    def test_disk_is_bootable_and_as_big_as_requested(self):
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

    def test_filter_comes_into_the_pipeline_of_an_older_glance_that_has_a_section_for_each(self):
        text = hooks.paste_with_filter(
            '[pipeline:glance-api]\npipeline = unauthenticated-context rootapp\n'
            '[pipeline:glance-api-keystone]\npipeline = authtoken context  rootapp\n'
            '[pipeline:glance-api-keystone+caching]\npipeline = authtoken context cache rootapp\n')
        pipelines = configparser.ConfigParser()
        pipelines.read_file(io.StringIO(text))
        self.assertEqual('authtoken context base_image  rootapp',
                         pipelines['pipeline:glance-api-keystone']['pipeline'])
        self.assertEqual('authtoken context cache rootapp',
                         pipelines['pipeline:glance-api-keystone+caching']['pipeline'])
        self.assertEqual('unauthenticated-context rootapp', pipelines['pipeline:glance-api']['pipeline'])

    def test_option_given_several_times_has_a_line_for_each(self):
        text = ini.render({'DEFAULT': {'one': True, 'many': ['a', 'b']}})
        self.assertEqual('[DEFAULT]\none = true\nmany = a\nmany = b\n', text)

    def test_later_configuration_wins_option_by_option(self):
        self.assertEqual({'a': {'x': 1, 'y': 3}, 'b': {'z': 4}}, ini.merged(
            {'a': {'x': 1, 'y': 2}}, {'a': {'y': 3}, 'b': {'z': 4}}))


class TempestTest(base.BaseTestCase):
    """What the gate tells tempest of its cloud."""

    def test_each_option_and_each_flag_of_the_plugin_is_set_but_that_of_rules(self):
        with open(os.path.join(paths.CHECKOUT, 'packaging', 'tempest-plugin', 'multistore_tempest_plugin',
                               'config.py'), encoding='utf-8') as stream:
            options, flags = stream.read().split('FEATURES = ')
        conf = tempest.conf(config.Paths('/work', '/venv'), 'an-image', 'block-storage')
        self.assertEqual(set(re.findall(r"Opt\('(\w+)'", options)), set(conf['multistore']))
        self.assertEqual(set(re.findall(r"BoolOpt\('(\w+)'", flags)) - {'rules'},
                         set(conf['multistore-feature-enabled']))

    def test_tempest_knows_the_filters_of_novas_scheduler(self):
        filters = config.nova(config.Paths('/work', '/venv'))['filter_scheduler']['enabled_filters']
        conf = tempest.conf(config.Paths('/work', '/venv'), 'an-image', 'block-storage')
        self.assertEqual(filters, conf['compute-feature-enabled']['scheduler_enabled_filters'])
        self.assertIn('DifferentHostFilter', filters)


class ReleasesTest(base.BaseTestCase):

    def test_newest_is_what_nobody_requests_and_oldest_is_another(self):
        self.assertIs(releases.NEWEST, releases.find(''))
        self.assertIsNot(releases.NEWEST, releases.find('oldest'))
        self.assertIs(releases.find('oldest'), releases.find(releases.find('oldest').name))

    def test_unknown_release_is_reported_with_those_there_are(self):
        error = self.assertRaises(releases.Unknown, releases.find, 'essex')
        self.assertIn('essex', str(error))
        for name in (*releases.RELEASES, 'oldest'):
            self.assertIn(name, str(error))

    def test_every_release_has_an_environment_and_all_apis(self):
        for release in releases.RELEASES.values():
            self.assertTrue(os.path.exists(os.path.join(
                databases.CHECKOUT, 'tests', 'constraints-%s.txt' % release.environment)))
            self.assertEqual(set(releases.NEWEST.apis), set(release.apis))
            self.assertFalse(set(release.without) - set(scenarios.SCENARIOS))

    def test_what_a_release_cannot_have_is_not_run_and_is_reported(self):
        odd = releases.NEWEST._replace(name='odd', without={1: 'for a reason'}, not_stock={2: 'no stock'})
        ran = {(number, mode.name) for number in (1, 2, 3)
               for mode in (scenarios.STOCK, scenarios.FILTER, scenarios.HOOKS)
               if scenarios.runs(number, mode, odd)}
        self.assertEqual({(2, 'hooks'), (3, 'stock'), (3, 'filter')}, ran)
        self.assertEqual(['1 not of odd: for a reason', '2 not of stock odd: no stock'],
                         scenarios.remarks((1, 2, 3), odd))
        self.assertEqual([], scenarios.remarks(scenarios.SCENARIOS, releases.NEWEST))

    def test_databases_of_two_releases_are_kept_apart(self):
        self.assertEqual(2, len({databases.kept_in('cache', release)
                                 for release in (releases.NEWEST, releases.find('oldest'))}))

    def test_application_is_a_variable_or_what_a_factory_returns(self):
        self.assertEqual({}, serve.load('builtins:dict'))
        self.assertRaises(AttributeError, serve.load, 'builtins')

    def test_nova_of_an_old_release_finds_its_clock_in_eventlet(self):
        folder = self.useFixture(base.fixtures.TempDir()).path
        shutil.copyfile(compat.__file__, os.path.join(folder, 'gate_compat.py'))
        shutil.copyfile(packages.OLD_PYTHON, os.path.join(folder, 'gate_old_python.py'))
        code = ('import gate_old_python, time, eventlet.patcher; eventlet.monkey_patch();'
                'again = eventlet.patcher.original("time");'
                'print(again.monotonic is time.monotonic, again.sleep is time.sleep)')
        said = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=folder, check=True,
                              stdout=subprocess.PIPE, universal_newlines=True).stdout
        # The very clock, but not the sleep that eventlet has put in the place of Python's.
        self.assertEqual('True False', said.strip())


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

    def test_what_stock_does_wrong_is_reported_and_does_not_count(self):
        sheet = table.Sheet(None)
        sheet.rows = [self.row('stock', '2 flat', 'no clone'), self.row('hooks', '2 clones')]
        self.assertEqual(0, sheet.exit_code())
        self.assertIn('no clone', table.render(sheet.rows))

    def test_what_is_wrong_with_ours_is_the_exit_code(self):
        sheet = table.Sheet(None)
        sheet.rows = [self.row('hooks', '2 flat', 'no clone')]
        self.assertEqual(1, sheet.exit_code())
        self.assertIn('WRONG', table.render(sheet.rows))

    def test_scenario_that_is_not_run_is_reported_without_any_row(self):
        sheet = table.Sheet(None)
        sheet.remarks.append('6 not of odd: for a reason')
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            sheet.show()
        self.assertEqual('6 not of odd: for a reason', printed.getvalue().strip())

    def test_rows_of_ours_are_counted(self):
        sheet = table.Sheet(None)
        sheet.rows = [self.row('stock', '2 flat', 'no clone'), self.row('hooks', '2 clones'),
                      self.row('filter', 'central', 'wrong store')]
        self.assertEqual('1 passed, 1 failed, 0 skipped', sheet.count())

    def test_no_row_at_all_is_no_success(self):
        self.assertEqual(1, table.Sheet(None).exit_code())


class ScenariosTest(base.BaseTestCase):

    def test_every_scenario_of_the_gate_runs_with_hooks(self):
        self.assertEqual(list(range(1, 13)), sorted(scenarios.SCENARIOS))
        for number, (modes, functions) in scenarios.SCENARIOS.items():
            self.assertTrue(functions, number)
            self.assertTrue(set(modes) & {scenarios.FILTER, scenarios.HOOKS}, number)
