# SPDX-License-Identifier: Apache-2.0
"""The table at the end of ``make test``: every test of every environment is counted, and every failure."""

import importlib.util
import io
import json
import os

import fixtures
import testtools

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
STESTR = '''\
======
Totals
======
Ran: 20 tests in 1.5000 sec.
 - Passed: %d
 - Skipped: %d
 - Expected Fail: 2
 - Unexpected Success: 1
 - Failed: %d
'''


def load(name):
    """Return a module of tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROOT, 'tools', name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


summary = load('summary')


def ended(success, *outputs, **more):
    """Return what tox writes on an environment."""
    return {'result': dict({'success': success, 'duration': 1.5, 'skipped': False}, **more),
            'test': [{'output': output} for output in outputs]}


class CountTest(testtools.TestCase):

    def test_what_stestr_prints(self):
        self.assertEqual((9, 5, 3), summary.count(STESTR % (7, 3, 4)))

    def test_what_the_gate_and_the_table_of_releases_print(self):
        self.assertEqual((5, 1, 2), summary.count('nova-20: ok, 3 passed\n5 passed, 1 failed, 2 skipped\n'))

    def test_the_last_such_line_only(self):
        printed = '1 passed, 1 failed, 1 skipped\n2 passed, 0 failed, 0 skipped\n'
        self.assertEqual((2, 0, 0), summary.count(printed))

    def test_output_of_another_kind_has_no_tests(self):
        self.assertEqual((0, 0, 0), summary.count('all good: 5 passed\n'))


class LineTest(testtools.TestCase):

    def test_tests_of_all_commands(self):
        found = summary.line('py39', ended(
            False, 'compiled\n', STESTR % (7, 3, 4), '1 passed, 0 failed, 0 skipped\n'))
        self.assertEqual(('py39', 'FAILED', 1.5, 10, 5, 3), tuple(found))

    def test_a_failure_without_a_failed_test_counts_as_one(self):
        found = summary.line('pep8', ended(False, 'E501\n'))
        self.assertEqual(('pep8', 'FAILED', 1.5, 0, 1, 0), tuple(found))

    def test_an_environment_that_could_not_be_made_counts_as_one(self):
        found = ended(False)
        del found['test']
        self.assertEqual(('py39', 'FAILED', 1.5, 0, 1, 0), tuple(summary.line('py39', found)))

    def test_a_run_of_nothing_has_failed(self):
        nothing = (STESTR % (0, 3, 0)).replace('Fail: 2', 'Fail: 0').replace('Success: 1', 'Success: 0')
        self.assertEqual(('py39', 'FAILED', 1.5, 0, 1, 3), tuple(summary.line('py39', ended(True, nothing))))

    def test_a_python_that_is_not_there(self):
        found = summary.line('py38', ended(False, skipped=True))
        self.assertEqual(('py38', 'SKIPPED', 1.5, 0, 0, 0), tuple(found))

    def test_documents_have_no_tests_and_no_failure(self):
        self.assertEqual(('docs', 'ok', 1.5, 0, 0, 0), tuple(summary.line('docs', ended(True, ''))))


class SummaryTest(testtools.TestCase):

    def test_the_last_line_adds_up_all_runs(self):
        text, failed = summary.summary({'testenvs': {
            'py39': ended(True, '3 passed, 0 failed, 1 skipped\n'), 'pep8': ended(False, ''),
            'gate': ended(False, '4 passed, 2 failed, 0 skipped\n'), '.pkg': {}}})
        self.assertEqual('7 passed, 3 failed, 1 skipped', text[-1])
        self.assertEqual(4, len(text))
        self.assertTrue(failed)

    def test_all_is_well(self):
        text, failed = summary.summary({'testenvs': {'py39': ended(True, '3 passed, 0 failed, 1 skipped\n')}})
        self.assertEqual(('3 passed, 0 failed, 1 skipped', False), (text[-1], failed))

    def test_no_result_is_a_failure(self):
        self.assertEqual((['0 passed, 1 failed, 0 skipped'], True), summary.summary({'testenvs': {}}))

    def test_exit_code(self):
        folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch('sys.stdout', io.StringIO()))
        path = os.path.join(folder, 'tox.json')
        self.assertEqual(1, summary.main(path))
        with open(path, 'w') as stream:
            json.dump({'testenvs': {'docs': ended(True, '')}}, stream)
        self.assertEqual(0, summary.main(path))
