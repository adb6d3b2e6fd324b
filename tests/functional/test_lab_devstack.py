# SPDX-License-Identifier: Apache-2.0
"""``make devstack``, so far as it goes without a devstack: what it needs, writes and says."""

import os
import re
import subprocess
import sys

import fixtures
import testtools

from lab import checkout
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
        self.assertIn('os-test-images, devstack-plugin-ceph in', needs.missing(
            devstack, '', '/', local_conf.plugins(local_conf.CEPH_OPERATOR)))


class TreeTest(testtools.TestCase):
    """What is put into the tree."""

    def test_each_example_of_the_readme_is_used_as_it_stands(self):
        examples = [program.lines({'EXAMPLE': number}) for number in '1234']
        with open(os.path.join(paths.CHECKOUT, 'devstack', 'README.rst'), encoding='utf-8') as stream:
            readme = stream.read()
        self.assertEqual(4, readme.count('[[local|localrc]]'))
        for example in examples:
            self.assertIn(''.join('    %s\n' % line for line in example), readme)
            lines = local_conf.render(example).splitlines()
            self.assertEqual(example, [line for line in lines if line in example])
        self.assertEqual(examples[0], program.lines({}))

    def test_the_clusters_are_those_that_local_conf_names(self):
        self.assertEqual([], local_conf.clusters(program.lines({})))
        self.assertEqual([('ceph', ['images', 'volumes', 'vms', 'images-site2'])],
                         local_conf.clusters(program.lines({'EXAMPLE': '2'})))
        self.assertEqual([('dcn1', ['images', 'vms']), ('dcn2', ['images', 'vms'])],
                         local_conf.clusters(program.lines({'EXAMPLE': '3'})))

    def test_the_stand_ins_come_after_every_plugin_of_the_operator(self):
        for operator in local_conf.examples() + [local_conf.CEPH_OPERATOR]:
            found = local_conf.plugins(local_conf.render(operator).splitlines())
            self.assertEqual(local_conf.plugins(operator) + ['lab-stand-ins'], found)

    def test_a_branch_is_that_of_each_repository_which_has_it(self):
        folder = shared.folder('branches')
        log, path = os.path.join(folder, 'log'), os.path.join(folder, 'tree')
        sources = {name: os.path.join(folder, name) for name in ('devstack', 'tempest')}
        for name, source in sources.items():
            os.makedirs(source)
            with open(os.path.join(source, 'file'), 'w', encoding='utf-8') as stream:
                stream.write(name)
            tree.initialize(source, log)
        self.assertRaises(tree.Failed, tree.clone, path, sources, log, 'stable/1')
        subprocess.run(['git', '-C', sources['devstack'], 'branch', 'stable/1'], check=True)
        self.assertIn('devstack ', tree.clone(path, sources, log, 'stable/1'))
        found = {name: subprocess.run(
            ['git', '-C', path + tree.STACK + '/' + name, 'branch', '--show-current'], check=True,
            stdout=subprocess.PIPE, universal_newlines=True).stdout.strip() for name in sources}
        self.assertEqual('stable/1', found['devstack'])
        self.assertNotEqual('stable/1', found['tempest'])

    def test_a_later_run_in_the_same_tree_has_the_project_as_it_is_now(self):
        path = shared.folder('again')
        old = [path + tree.STACK + '/' + name for name in ('multistore-hooks', 'lab-stand-ins', 'nova')]
        for folder in old + [os.path.join(path, 'usr/local/bin'), os.path.join(path, 'bin')]:
            os.makedirs(folder)
        names = ('systemd/system/devstack@g-api.service', 'libvirt/secrets/uuid.xml',
                 'systemd/system/multi-user.target.wants/devstack@g-api.service',
                 'systemd/system/timers.target.wants/multistore-place.timer', 'systemd/system/ssh.service')
        links = [os.path.join(path, 'etc', name) for name in names]
        for link in links:
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink('/nowhere', link)
        # What gives files to a user of the tree, of which there is none here.
        stub = os.path.join(path, 'bin', 'chroot')
        os.symlink('/bin/true', stub)
        path_of_programs = os.path.dirname(stub) + ':' + os.environ['PATH']
        self.useFixture(fixtures.EnvironmentVariable('PATH', path_of_programs))
        said = tree.serve_ours(path, os.path.join(path, 'log'))
        self.assertEqual([False, False, True], [os.path.exists(folder) for folder in old])
        self.assertEqual([False, False, False, False, True], [os.path.lexists(link) for link in links])
        self.assertIn(tree.head(os.path.join(path, 'opt/src/multistore-hooks')), said)

    def test_the_stand_in_for_neutron_is_in_the_project_that_devstack_clones(self):
        with open(os.path.join(tree.STAND_INS, 'devstack', 'plugin.sh'), encoding='utf-8') as stream:
            program_of, = re.findall(r'PYTHONPATH=\$DEST/multistore-hooks /usr/bin/python3 -m (\S+) ',
                                     stream.read())
        folder = shared.folder('cloned')
        checkout.copy(folder)
        loaded = subprocess.run([sys.executable, '-S', '-c', 'import ' + program_of], cwd='/',
                                env={'PYTHONPATH': folder}, stderr=subprocess.PIPE)
        self.assertEqual((0, b''), (loaded.returncode, loaded.stderr))

    def test_the_logs_of_a_run_before_are_not_read_again(self):
        folder = shared.folder('logs')
        os.makedirs(os.path.join(folder, 'tree'))
        for name in ('tempest.log', 'tree/kept.log'):
            with open(os.path.join(folder, name), 'w', encoding='utf-8') as stream:
                stream.write('... FAILED')
        program.clear_logs(folder)
        self.assertEqual(['tree'], os.listdir(folder))

    def test_the_project_is_served_with_the_branch_that_the_readme_names(self):
        folder = shared.folder('served')

        def copy(target):
            with open(os.path.join(target, 'file'), 'w', encoding='utf-8') as stream:
                stream.write('text')
        tree.serve(folder, 'opt/src/multistore-hooks', copy, os.path.join(folder, 'log'))
        branch = subprocess.run(['git', '-C', os.path.join(folder, 'opt/src/multistore-hooks'), 'branch',
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

    def test_steps_that_a_run_did_not_come_to_are_in_the_table(self):
        sheet = steps.Sheet(lambda line: None)
        sheet.plan(['one', 'two', 'three'])
        sheet.run('one', lambda: 'done')
        self.assertIn('not reached', sheet.table().splitlines()[2])
        self.assertTrue(sheet.table().endswith('1 passed, 0 failed, 2 skipped'), sheet.table())
        self.assertEqual(1, sheet.exit_code())

    def test_what_is_left_out_has_its_reason_and_is_not_wrong(self):
        sheet = steps.Sheet(lambda line: None)
        sheet.plan(['one', 'two'])
        sheet.leave_out('one', 'without AGAIN=1')
        sheet.run('two', lambda: 'done')
        self.assertIn('without AGAIN=1', sheet.table())
        self.assertTrue(sheet.table().endswith('1 passed, 0 failed, 1 skipped'), sheet.table())
        self.assertEqual(0, sheet.exit_code())

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
        self.assertEqual('STOP=checkouts', {row.what: row.result for row in sheet.rows}['boot'])


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
