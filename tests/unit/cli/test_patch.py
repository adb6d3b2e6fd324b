# SPDX-License-Identifier: Apache-2.0
"""The command line of the patch tool: what it prints, and its exit codes."""

import json
import subprocess
import sys
from unittest import mock

import ddt

from multistore_hooks.cli import main
from multistore_hooks.patching import runner
from multistore_hooks.patching import series
from tests.unit.patching import base
from tests.unit import program

KEYS = ['action', 'exit_code', 'files', 'message', 'patches', 'project', 'reason', 'release',
        'root', 'series', 'state']


def run(*argv):
    """Return exit code, standard output and standard error."""
    return program.run(main.main, *argv)


@ddt.ddt
class TestPatch(base.TreeTestCase):

    def setUp(self):
        super().setUp()
        patcher = mock.patch.object(series, 'find_folder', lambda: self.patches)
        patcher.start()
        self.addCleanup(patcher.stop)

    def patch(self, verb, *argv):
        return run('patch', verb, 'nova', '--root', self.root, *argv)

    def json(self, verb, *argv):
        code, out, err = self.patch(verb, '--format', 'json', *argv)
        self.assertEqual('', err)
        shown = json.loads(out)
        self.assertEqual(code, shown['exit_code'])
        self.assertEqual(verb, shown['action'])
        self.assertEqual(KEYS, sorted(shown))
        return code, shown

    def test_a_project_that_needs_no_patch_is_a_success_and_nothing_is_done(self):
        base.write(self.patches, 'nova/series', b'series manager optional\n15-34 first.patch\n')
        for verb in ('status', 'check', 'apply', 'revert'):
            code, shown = self.json(verb)
            self.assertEqual((0, 'not-needed', None), (code, shown['state'], shown['reason']))
            code, out, err = self.patch(verb)
            self.assertEqual((0, ''), (code, err))
            self.assertIn('nova needs no patch; an optional one is chosen with --series: manager', out)
        self.assert_gone()

    def test_exit_codes_of_a_whole_life(self):
        codes = [(verb, self.patch(verb)[0]) for verb in (
            'status', 'check', 'apply', 'status', 'check', 'apply', 'revert', 'status', 'revert')]
        self.assertEqual([
            ('status', 1), ('check', 0), ('apply', 0), ('status', 0), ('check', 0), ('apply', 0),
            ('revert', 0), ('status', 1), ('revert', 0)], codes)
        self.assert_gone()

    def test_text_for_a_person(self):
        code, out, err = self.patch('status')
        self.assertEqual('', err)
        self.assertEqual(
            'nova 25.3.0 in %s\n'
            'series three: not applied\n'
            '  nova/compute/seam.py: not applied\n'
            '  nova/other.py: not applied\n'
            '  nova/virt/new.py: not applied\n' % self.root, out)
        base.write(self.root, 'nova/compute/seam.py', b'# vendor\n' + base.SEAM)
        self.assertIn('  nova/compute/seam.py: applied, 1 lines away from where the patch says\n',
                      self.patch('apply')[1])

    def test_json_for_a_program(self):
        _, shown = self.json('status')
        self.assertEqual(
            ('not-applied', 'three', '25.3.0', None, self.root, ['first.patch', 'second.patch']),
            tuple(shown[key] for key in (
                'state', 'series', 'release', 'reason', 'root', 'patches')))
        self.assertEqual({'path': 'nova/other.py', 'state': 'not-applied', 'offsets': []},
                         shown['files'][1])
        self.assertEqual('applied', self.json('apply')[1]['state'])
        self.assertEqual(['applied'] * 3, [file['state'] for file in
                                           self.json('status')[1]['files']])
        self.assertEqual('not-applied', self.json('revert')[1]['state'])

    @ddt.data(
        (('--series', 'none'), 'bad-input'),
        (('--release', '99'), 'unknown-release'),
        (('--release', 'x'), 'unknown-release'),
    )
    @ddt.unpack
    def test_a_refusal_is_one_line_and_exit_code_2(self, argv, reason):
        for verb in ('status', 'check', 'apply', 'revert'):
            code, out, err = self.patch(verb, *argv)
            self.assertEqual((2, ''), (code, out))
            self.assertRegex(err, r'\Amultistore-hooks: [^\n]+\n\Z')
            code, shown = self.json(verb, *argv)
            self.assertEqual((2, 'refused', reason), (code, shown['state'], shown['reason']))
        self.assert_gone()

    def test_drift_is_exit_code_2(self):
        base.write(self.root, 'nova/other.py', b'other\n')
        self.assertEqual('drift', self.json('check')[1]['reason'])
        self.assertEqual(2, self.patch('status')[0])

    def test_a_half_applied_series_is_exit_code_1_and_can_be_applied(self):
        self.patch('apply')
        base.write(self.root, 'nova/other.py', base.OTHER)
        code, shown = self.json('status')
        self.assertEqual((1, 'half-applied'), (code, shown['state']))
        self.assertEqual(['applied', 'not-applied', 'applied'],
                         [file['state'] for file in shown['files']])
        self.assertEqual(0, self.patch('check')[0])

    def test_an_unknown_project_is_reported_with_those_there_are(self):
        code, _, err = run('patch', 'status', 'glance')
        self.assertEqual(2, code)
        self.assertIn('there are some for: nova', err)

    def test_a_project_that_is_not_installed(self):
        with mock.patch.object(sys, 'path', []):
            code, _, err = run('patch', 'status', 'nova')
        self.assertEqual(2, code)
        self.assertIn('nova is not installed', err)

    def test_an_error_of_our_own_is_255_in_one_line(self):
        with mock.patch.object(runner.Runner, 'status', side_effect=ZeroDivisionError('a bug')):
            code, out, err = self.patch('status')
            self.assertEqual((255, ''), (code, out))
            self.assertRegex(err, r'\Amultistore-hooks: internal error: ZeroDivisionError: a bug '
                                  r'[^\n]+\n\Z')
            code, shown = self.json('status')
            self.assertEqual((255, 'error', 'internal-error'),
                             (code, shown['state'], shown['reason']))
            code, _, err = run('--debug', 'patch', 'status', 'nova', '--root', self.root)
            self.assertEqual(255, code)
            self.assertIn('Traceback', err)

    @ddt.data((), ('--format', 'yaml'), ('nova', 'cinder'), ('--bogus', 'nova'))
    def test_wrong_arguments_are_exit_code_2(self, argv):
        code, _, err = run('patch', 'status', *argv)
        self.assertEqual(2, code)
        self.assertIn('usage: ', err)
        self.assertNotIn('Traceback', err)


class TestMain(base.TestCase):

    def test_help_of_a_command(self):
        code, out, _ = run('patch', 'apply', '--help')
        self.assertEqual(0, code)
        for word in ('PROJECT', '--root', '--series', '--release', '--format', 'Exit code:'):
            self.assertIn(word, out)

    def test_no_arguments_show_the_commands(self):
        code, out, _ = run()
        self.assertEqual(0, code)
        for name in main.COMMANDS:
            self.assertIn(name, out)

    def test_an_unknown_command_is_exit_code_2(self):
        self.assertEqual(2, run('patch', 'undo')[0])

    def test_version(self):
        self.assertEqual(0, run('--version')[0])

    def test_stopped_by_the_keyboard(self):
        with mock.patch.object(main.MultistoreHooks, 'run', side_effect=KeyboardInterrupt):
            self.assertEqual((130, '', 'stopped\n'), run('patch', 'status', 'nova'))

    def test_as_a_process(self):
        """With the patches that ship, on a bare tree; no service is needed for it."""
        base.make_tree(self.folder, '34.0.0')
        argv = [sys.executable, '-m', 'multistore_hooks.cli.main', 'patch']
        for verb, code in (('status', 1), ('apply', 0), ('status', 0), ('revert', 0)):
            self.assertEqual(code, subprocess.call(
                argv + [verb, 'nova', '--root', self.folder], env=base.environ(),
                stdout=subprocess.DEVNULL), verb)
