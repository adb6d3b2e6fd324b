# SPDX-License-Identifier: Apache-2.0
"""The command multistore-status: its arguments, output and exit codes."""

import json
import os
import re

import fixtures
import testtools

from multistore_hooks.cli import version
from multistore_hooks.status.checks import hooks
from multistore_hooks.status import command
from multistore_hooks.status.facts import host
from multistore_hooks.status import finding
from tests.unit import program


def run(*arguments):
    """Return exit code, standard output and standard error."""
    return program.run(command.main, *arguments)


class StatusTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        for name in [name for name in os.environ if name.startswith('OS_')]:
            self.useFixture(fixtures.EnvironmentVariable(name))
        folder = self.useFixture(fixtures.TempDir()).path
        for name in ('HOME', 'XDG_CONFIG_HOME'):
            self.useFixture(fixtures.EnvironmentVariable(name, folder))
        # Not what happens to run on this host.
        self.useFixture(fixtures.MockPatchObject(host, 'processes', return_value=[]))
        self.nova = os.path.join(folder, 'nova.conf')
        with open(self.nova, 'w') as stream:
            stream.write('[DEFAULT]\n')

    def test_json_is_oslo_upgradecheck_s(self):
        code, out, err = run('upgrade', 'check', '--json', '--nova-conf', self.nova)
        reported = json.loads(out)
        self.assertEqual({'name', 'checks'}, set(reported))
        self.assertEqual(len(command.CHECKS), len(reported['checks']))
        for check in reported['checks']:
            self.assertEqual({'check', 'result', 'details'}, set(check))
        self.assertEqual(max(check['result'] for check in reported['checks']), code)
        self.assertEqual('', err)

    def test_table_has_every_check_and_the_same_exit_code(self):
        code, out, _err = run('upgrade', 'check', '--nova-conf', self.nova)
        self.assertEqual(1, code)
        for name, _check in command.CHECKS:
            self.assertIn('Check: ' + name, out)

    def test_wrong_use_is_not_taken_for_a_failed_check(self):
        for arguments in (['upgrade', 'check', '--nonsense'], ['upgrade'], ['nonsense']):
            code, out, err = run(*arguments)
            self.assertEqual((255, ''), (code, out), arguments)
            self.assertIn('usage: multistore-status', err)
            self.assertNotIn('Traceback', err)

    def test_without_a_command_it_prints_its_help(self):
        self.assertEqual(run('--help'), run())
        self.assertEqual((0, ''), (run()[0], run()[2]))

    def test_help_is_no_error(self):
        code, out, _err = run('upgrade', 'check', '--help')
        self.assertEqual(0, code)
        for option in ('--nova-conf', '--json', '--os-cloud', '--glance-python', 'Exit code'):
            self.assertIn(option, out)

    def test_own_fault_is_one_line_and_255(self):
        self.useFixture(fixtures.MockPatchObject(command, 'gather', side_effect=KeyError('x')))
        code, out, err = run('upgrade', 'check')
        self.assertEqual((255, ''), (code, out))
        self.assertEqual(1, len(err.splitlines()), err)
        self.assertIn('Traceback', run('--debug', 'upgrade', 'check')[2])

    def test_credentials_that_were_given_and_are_not_complete_are_a_failure(self):
        code, out, _err = run('upgrade', 'check', '--json', '--os-username', 'me')
        responses = json.loads(out)['checks'][1]
        self.assertEqual(2, code)
        self.assertIn('No usable credentials', responses['details'])

    def test_a_check_that_had_nothing_to_check_is_skipped_and_no_success(self):
        _code, out, _err = run('upgrade', 'check', '--nova-conf', self.nova)
        results = dict(re.findall(r'Check: (.*?) *\|\n\| Result: (\w+)', out))
        self.assertEqual('Skipped', results['Hooks in Cinder'])
        self.assertEqual('Success', results['Configuration files'])
        skipped = list(results.values()).count('Skipped')
        self.assertIn('%d of %d checks done, %d skipped' % (
            len(command.CHECKS) - skipped, len(command.CHECKS), skipped), out)

    def test_a_check_with_one_finding_is_not_skipped(self):
        self.assertFalse(finding.Result([finding.skipped('x'), finding.passed('y')]).skipped)
        self.assertFalse(finding.Result([]).skipped)
        self.assertTrue(finding.Result([finding.skipped('x')]).skipped)

    def test_version(self):
        code, out, _err = run('--version')
        self.assertEqual((0, version.find()), (code, out.strip()))

    def test_no_text_names_a_package_index_for_a_library_that_is_in_none(self):
        self.assertNotIn('install multistore', hooks.INSTALL)
