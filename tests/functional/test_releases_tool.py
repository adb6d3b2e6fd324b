# SPDX-License-Identifier: Apache-2.0
"""tools/releases.py reports what is wrong, and its stand-ins stand for what upstream's tests import."""

import importlib
import os
import sys
import types

import fixtures
import testtools

from tests.releases import rebound

TOOLS = os.path.join(os.path.dirname(__file__), '..', '..', 'tools')
LISTED = '# A remark.\n\nm.A.test_one\nm.A.test_two\n    It is\n    so.\n\nm.B.test_three\n    And so.\n'


class ToolTestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch('sys.path', [os.path.abspath(TOOLS)] + sys.path))
        self.checks = importlib.import_module('releases_matrix.checks')
        self.sources = importlib.import_module('releases_matrix.sources')
        self.folder = self.useFixture(fixtures.TempDir()).path

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path


class CompareTest(ToolTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'releases_matrix.checks.DIFFERENCES', self.write('differences.txt', LISTED)))

    def test_reasons_belong_to_the_tests_above_them(self):
        self.assertEqual({'m.A.test_one': 'It is so.', 'm.A.test_two': 'It is so.',
                          'm.B.test_three': 'And so.'}, self.checks.expected_differences())

    def test_listed_differences_are_returned(self):
        stock = {'m.A.test_one': 'ok', 'm.C.test': 'ok'}
        ours = dict(stock, **{'m.A.test_one': 'FAIL'})
        self.assertEqual(('m.A.test_one',), self.checks.compare(stock, ours))

    def test_another_difference_fails(self):
        for ours in ({'m.C.test': 'FAIL'}, {'m.C.test': 'skip'}, {}, {'m.C.test': 'ok', 'm.D.test': 'ok'}):
            self.assertRaisesRegex(self.sources.Failed, r'differ on our classes: m\.[CD]\.test',
                                   self.checks.compare, {'m.C.test': 'ok'}, ours)

    def test_listed_test_that_does_not_differ_fails(self):
        stock = {'m.A.test_two': 'ok'}
        self.assertRaisesRegex(self.sources.Failed, 'does not differ: m.A.test_two',
                               self.checks.compare, stock, dict(stock))


class FingerprintTest(ToolTestCase):

    def test_it_shows_content_mode_time_and_what_there_is(self):
        path = self.write('file', 'text')
        os.utime(path, (1, 1))
        before = self.sources.fingerprint(self.folder)
        self.assertEqual(before, self.sources.fingerprint(self.folder))
        for change in (lambda: os.chmod(path, 0o600), lambda: os.utime(path, (1, 2)),
                       lambda: os.mkdir(os.path.join(self.folder, 'empty')),
                       lambda: os.utime(self.write('file', 'tExt'), (1, 2))):
            change()
            after = self.sources.fingerprint(self.folder)
            self.assertNotEqual(before, after)
            before = after


class ReboundTest(ToolTestCase):
    """A test module that imports a service's module by one of the ways there are."""

    def load(self, text):
        package = os.path.join(self.folder, 'rebound_service')
        os.mkdir(package)
        self.write('rebound_service/__init__.py', '')
        self.write('rebound_service/driver.py', 'class Driver:\n    pass\nOTHER = 1\n')
        self.write('rebound_service/utils.py', '')
        self.write('rebound_ours.py', 'from tests.releases import rebound\n'
                   'from rebound_service import driver\n'
                   'class Ours(driver.Driver):\n    pass\n'
                   'standin = rebound.StandIn(driver, Driver=Ours)\n')
        self.write('rebound_test.py', text)
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.folder] + sys.path))
        self.useFixture(fixtures.MonkeyPatch('sys.meta_path', list(sys.meta_path)))
        for name in ('rebound_service', 'rebound_service.driver', 'rebound_service.utils', 'rebound_ours',
                     'rebound_test'):
            self.addCleanup(sys.modules.pop, name, None)
        importlib.invalidate_caches()
        rebound.Finder(['rebound_test'],
                       {'rebound_service.driver': ('rebound_ours', 'standin')}).install()
        return importlib.import_module('rebound_test')

    def check_bound(self, imports):
        module = self.load(imports + '\nthe_driver = service.Driver\n')
        self.assertEqual('Ours', module.the_driver.__name__)
        self.assertEqual(1, module.service.OTHER)
        self.assertIsInstance(module.utils, types.ModuleType)

    def test_from_the_package(self):
        self.check_bound('from rebound_service import driver as service, utils')

    def test_by_its_whole_name(self):
        self.check_bound('import rebound_service.driver as service, rebound_service.utils as utils')

    def test_what_a_test_sets_is_set_in_the_services_module(self):
        module = self.load('from rebound_service import driver\n')
        module.driver.OTHER = 2
        self.assertEqual(2, sys.modules['rebound_service.driver'].OTHER)

    def test_a_module_that_imports_none_of_them_is_an_error(self):
        self.assertRaisesRegex(ImportError, 'imports none of rebound_service.driver', self.load,
                               'import os\n')
