# SPDX-License-Identifier: Apache-2.0
"""``make devstack``, so far as it goes without a devstack: what it needs, writes and says."""

import os
import re
import subprocess
import sys

import testtools

from lab.devstack import __main__ as program
from lab.devstack import local_conf
from lab.devstack import needs
from lab.devstack import steps
from lab.devstack import tree
from lab import paths
from lab import poll
from tests.functional import shared


class NeedsTest(testtools.TestCase):
    """Nothing is run without what it needs."""

    def repository(self, folder, name):
        path = os.path.join(folder, name)
        os.makedirs(path)
        with open(os.path.join(path, 'file'), 'w', encoding='utf-8') as stream:
            stream.write(name)
        tree.initialize(path, os.path.join(folder, 'log'))
        return path

    def test_without_a_checkout_it_is_skipped_with_the_reason(self):
        environ = {name: value for name, value in os.environ.items() if not name.endswith('_DIR')}
        done = subprocess.run([sys.executable, '-m', 'lab.devstack'], env=environ, cwd=paths.CHECKOUT,
                              stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(0, done.returncode)
        self.assertIn('skipped: DEVSTACK_DIR is not set', done.stdout)
        self.assertIn('0 passed, 0 failed, 1 skipped', done.stdout)

    def test_what_is_no_repository_is_named(self):
        self.assertIn('/nowhere is no git repository', needs.missing('/nowhere', '', '/'))

    def test_clones_that_are_missing_are_named(self):
        folder = shared.folder('clones')
        devstack = self.repository(folder, 'devstack')
        for name in ('nova', 'glance.git'):
            self.repository(folder, name)
        self.assertIn('no clone of requirements, keystone, cinder, placement, tempest, os-test-images in %s'
                      % folder, needs.missing(devstack, '', '/'))
        self.assertEqual(os.path.join(folder, 'glance.git'), needs.repositories(devstack, '')['glance'])


class TreeTest(testtools.TestCase):
    """What is put into the tree."""

    def examples(self):
        """Return the lines of each example of the README, with the address that the tree has."""
        with open(os.path.join(paths.CHECKOUT, 'devstack', 'README.rst'), encoding='utf-8') as stream:
            found = re.findall(r'\[\[local\|localrc\]\]\n((?:    \S.*\n)+)', stream.read())
        return [[line.strip().replace('/opt/src/', '/opt/git/') for line in example.splitlines()]
                for example in found]

    def test_with_ceph_it_begins_with_the_example_for_clusters_that_are_there(self):
        wanted, = [lines for lines in self.examples()
                   if 'MULTISTORE_RBD_CONF_dcn1=/etc/ceph/dcn1.conf' in lines]
        self.assertEqual(wanted, list(local_conf.CEPH_OPERATOR[:len(wanted)]))

    def test_local_conf_begins_with_the_first_example_of_the_readme(self):
        wanted = self.examples()[0]
        self.assertEqual(wanted, list(local_conf.OPERATOR))
        lines = local_conf.render().splitlines()
        self.assertEqual(len(wanted), len([line for line in lines if line in wanted]))
        # The stand-ins come after every plugin of the operator's.
        plugins = [line.split()[1] for line in lines if line.startswith('enable_plugin')]
        self.assertEqual(['multistore-hooks', 'lab-stand-ins'], plugins)

    def test_the_project_is_served_with_the_branch_that_the_readme_names(self):
        folder = shared.folder('served')

        def copy(target):
            with open(os.path.join(target, 'file'), 'w', encoding='utf-8') as stream:
                stream.write('text')
        tree.serve(folder, 'multistore-hooks', copy, os.path.join(folder, 'log'))
        branch = subprocess.run(['git', '-C', os.path.join(folder, 'opt/git/multistore-hooks'), 'branch',
                                 '--show-current'], check=True, stdout=subprocess.PIPE).stdout
        self.assertEqual(b'main\n', branch)


class SheetTest(testtools.TestCase):
    """The table, and the exit code."""

    def run_steps(self, *answers):
        said = []
        sheet = steps.Sheet(said.append)
        for number, answer in enumerate(answers):
            sheet.run('step %d' % number, answer)
        return sheet

    def failing(self):
        raise poll.LabError('ended with 1')

    def test_after_a_step_that_failed_the_others_are_not_reached(self):
        sheet = self.run_steps(lambda: 'done', self.failing, lambda: 'done')
        self.assertEqual(['ok', 'WRONG', 'not reached'], [row.verdict for row in sheet.rows])
        self.assertEqual(1, sheet.exit_code())
        self.assertTrue(sheet.table().endswith('1 passed, 1 failed, 1 skipped'), sheet.table())

    def test_all_right_is_exit_code_zero(self):
        self.assertEqual(0, self.run_steps(lambda: 'done').exit_code())

    def test_tempests_counts_reasons_and_failures_are_shown(self):
        text = ('{0} a.b.test_one [1.0s] ... ok\n{1} a.b.test_two ... SKIPPED: Needs two hosts\n'
                '{0} a.b.test_three [2.0s] ... FAILED\n - Passed: 1\n - Skipped: 1\n - Failed: 1\n')
        folder = shared.folder('sheet')
        there = Machine(folder, text, 1)
        error = self.assertRaises(poll.LabError, steps.tempest, there)
        self.assertIn('1 passed, 1 skipped, 1 failed; exit code 1; a.b.test_three', str(error))
        there = Machine(folder, text.replace('FAILED', 'ok').replace('Failed: 1', 'Failed: 0'), 0)
        self.assertEqual('1 passed, 1 skipped, 0 failed; skipped: Needs two hosts', steps.tempest(there))

    def test_a_run_in_which_nothing_passed_is_wrong(self):
        there = Machine(shared.folder('sheet'), ' - Passed: 0\n - Skipped: 9\n - Failed: 0\n', 0)
        self.assertRaises(poll.LabError, steps.tempest, there)

    def test_what_is_left_over_is_wrong(self):
        there = Machine(shared.folder('sheet'), '/etc/sudoers.d/multistore_hooks', 0)
        self.assertIn('sudoers', str(self.assertRaises(poll.LabError, steps.left_over, there)))
        self.assertIn('no option', steps.left_over(Machine(shared.folder('sheet'), '', 0)))

    def test_an_error_of_devstack_is_in_the_table(self):
        there = Machine(shared.folder('sheet'), 'a\n[ERROR] /opt/stack: no such store\nb\nc\nd\ne\n', 1)
        self.assertIn('[ERROR] /opt/stack: no such store',
                      str(self.assertRaises(poll.LabError, steps.stack, there)))

    def test_stop_ends_before_anything_boots(self):
        calls = []
        sheet = self.run_steps()
        there = Machine(shared.folder('sheet'), '', 0)
        there.start = lambda: calls.append('start')
        folder = shared.folder('stopped')
        path = os.path.join(folder, 'tree')
        os.makedirs(path)
        tree.write(path, '.made', '')
        # No clone at all: what the host has is not needed for it.
        self.assertFalse(program.run_steps(sheet, there, folder, {'STOP': 'checkouts'}, {}))
        self.assertEqual([], calls)
        self.assertEqual('there already', sheet.rows[0].result)


class Machine:
    """Stands for a machine whose commands say a text."""

    def __init__(self, folder, text, code):
        self._folder, self._text, self._code = folder, text, code

    def run(self, name, _script, _seconds, user='stack'):
        with open(self.log(name), 'w', encoding='utf-8') as stream:
            stream.write(self._text)
        return self._code

    def read(self, *_command):
        return self._text

    def log(self, name):
        return os.path.join(self._folder, name + '.log')
