# SPDX-License-Identifier: Apache-2.0
"""The scripts behind ``make``, with stand-ins of tox, bindep and apt-get."""

import json
import os
import shutil
import signal
import subprocess
import time

import fixtures
import testtools

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Says what it was called with; its second run, that of the tests, does what a test wants.
TOX = '''#!/bin/bash
echo "$@" >>calls
echo "$TMPDIR" >temporary
[ "$2" != --parallel ] && exit 9
echo "${{FUNCTIONAL_TESTS:-}}" >functional
[ "$4" = --notest ] && exit {prepared}
[ -z "{result}" ] || echo '{result}' >build/tox.json
{command}
'''
STAYS = '''
trap 'touch cleared; exit 3' INT
bash -c 'trap "" INT TERM; echo $$ >child; while :; do sleep 0.1; done' &
while :; do sleep 0.1; done
'''


def _obey_interrupts():
    """Undo what a shell does to background jobs: bash cannot trap a signal that was ignored at its start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class ScriptTestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        shutil.copytree(os.path.join(ROOT, 'tools'), os.path.join(self.folder, 'tools'))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as stream:
            stream.write(text)
        os.chmod(path, 0o755)
        return path

    def read(self, name):
        with open(os.path.join(self.folder, name)) as stream:
            return stream.read()

    def start(self, *command, **environ):
        environ = dict({'PATH': os.environ['PATH']}, **environ)
        return subprocess.Popen(command, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                                preexec_fn=_obey_interrupts)

    def run_script(self, *command, **environ):
        process = self.start(*command, **environ)
        printed, _ = process.communicate()
        return process.returncode, printed


class MakeTestTest(ScriptTestCase):

    def tox(self, command='exit 1', prepared=0, **states):
        result = json.dumps({'testenvs': {name: {'result': {
            'success': state, 'duration': 1, 'skipped': False}} for name, state in states.items()}})
        return self.write('tox', TOX.format(prepared=prepared, result=result, command=command))

    def test_environments_are_made_before_the_tests_that_use_them(self):
        code, printed = self.run_script('tools/test', self.tox(docs=True))
        self.assertEqual(0, code, printed)
        made, ran = self.read('calls').splitlines()
        self.assertEqual(made.split(' -e ')[1], ran.split(' -e ')[1])
        self.assertIn('--skip-pkg-install', ran)
        names = {'pep8', 'py36', 'py39', 'cover', 'py313', 'cinder', 'tempest', 'docs', 'releasenotes'}
        self.assertEqual(names | {'functional'}, set(ran.split(' -e ')[1].split(',')))
        self.assertFalse(os.path.exists(self.read('temporary').strip()))

    def test_in_full_it_runs_all_functional_tests_the_matrices_and_other_releases(self):
        ran, chosen = [], []
        for full in ('', '1'):
            self.run_script('tools/test', self.tox(docs=True), FULL=full)
            ran.append(set(self.read('calls').splitlines()[-1].split(' -e ')[1].split(',')))
            chosen.append(self.read('functional').strip())
        self.assertEqual({'py311-train', 'releases', 'joint-old', 'joint-new'}, ran[1] - ran[0])
        self.assertEqual((set(), ['--include-list tests/functional/short.txt', '']),
                         (ran[0] - ran[1], chosen))

    def test_extra_environments_are_added_and_the_functional_tests_stay_short(self):
        for extra, more in (('py311-train', set()), ('releases,py38', {'joint-old', 'joint-new'})):
            self.run_script('tools/test', self.tox(docs=True))
            short = set(self.read('calls').splitlines()[-1].split(' -e ')[1].split(','))
            self.run_script('tools/test', self.tox(docs=True), EXTRA=extra)
            ran = set(self.read('calls').splitlines()[-1].split(' -e ')[1].split(','))
            self.assertEqual(set(extra.split(',')) | more, ran - short)
            self.assertIn('short.txt', self.read('functional'))

    def test_it_goes_on_where_an_environment_could_not_be_made(self):
        code, printed = self.run_script('tools/test', self.tox(prepared=1, docs=True, py39=False))
        self.assertEqual(1, code, printed)
        self.assertEqual('0 passed, 1 failed, 0 skipped', printed.splitlines()[-1])

    def test_results_of_an_earlier_run_are_not_shown(self):
        self.run_script('tools/test', self.tox(docs=True))
        tox = self.write('tox', TOX.format(prepared=0, result='', command='exit 1'))
        code, printed = self.run_script('tools/test', tox)
        self.assertEqual((1, '0 passed, 1 failed, 0 skipped'), (code, printed.splitlines()[-1]))

    def test_the_gate_is_there_when_it_is_requested(self):
        _code, printed = self.run_script('tools/test', self.tox(docs=True), GATE='short')
        ran = self.read('calls').splitlines()[-1].split(' -e ')[1].split(',')
        self.assertTrue('gate' in ran or 'gate           SKIPPED' in printed)

    def test_interrupted_it_lets_tox_clear_up_and_leaves_no_process(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start('tools/test', self.tox(STAYS, docs=True))
            child = os.path.join(self.folder, 'child')
            while not os.path.exists(child) or not self.read('child'):
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            process.send_signal(number)
            process.communicate(timeout=300)
            self.assertEqual(130, process.returncode)
            self.assertTrue(os.path.exists(os.path.join(self.folder, 'cleared')))
            self.assert_ended(int(self.read('child')))
            self.assertFalse(os.path.exists(self.read('temporary').strip()))
            os.unlink(child)
            os.unlink(os.path.join(self.folder, 'cleared'))

    def assert_ended(self, pid):
        # A zombie, whose new parent has not looked yet, is no process any more.
        try:
            with open('/proc/%d/stat' % pid) as stream:
                self.assertEqual('Z', stream.read().rpartition(')')[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass


class PackagesTest(ScriptTestCase):

    def packages(self, missing, apt='exit 0', root=True):
        """Run the script; return its exit code, what it prints, and what apt-get was called with."""
        bindep = self.write('bindep', '#!/bin/sh\necho "$@" >asked\n%s\n' % (
            "printf '%%s\\n' %s; exit 1" % missing if missing else 'exit 0'))
        os.makedirs(os.path.join(self.folder, 'bin'), exist_ok=True)
        for name, text in (('apt-get', 'echo "$@" >>%s/called; %s' % (self.folder, apt)),
                           ('id', 'echo %d' % (0 if root else 1000)), ('unshare', 'exit 1')):
            self.write('bin/' + name, '#!/bin/sh\n%s\n' % text)
        code, printed = self.run_script(
            'tools/debian_packages', bindep, 'gate', PATH='%s/bin:%s' % (self.folder, os.environ['PATH']),
            POLICY=os.path.join(self.folder, 'policy-rc.d'))
        self.assertEqual('-b gate\n', self.read('asked'))
        called = self.read('called') if os.path.exists(os.path.join(self.folder, 'called')) else ''
        return code, printed, called

    def test_nothing_is_missing(self):
        self.assertEqual((0, '', ''), self.packages(''))

    def test_root_installs_what_is_missing(self):
        code, printed, called = self.packages('ceph-mon sudo')
        self.assertEqual((0, 'installing: ceph-mon sudo\n'), (code, printed))
        self.assertIn('install -y --no-install-recommends ceph-mon sudo', called)
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'policy-rc.d')))

    def test_another_user_is_reported(self):
        code, printed, called = self.packages('ceph-mon', root=False)
        self.assertEqual((0, ''), (code, called))
        self.assertIn('missing, and not installed for want of root or apt-get: ceph-mon', printed)

    def test_a_failure_is_reported_and_does_not_stop_the_tests(self):
        code, printed, _called = self.packages('ceph-mon', apt='exit 100')
        self.assertEqual(0, code)
        self.assertIn('could not install: ceph-mon', printed)

    def test_no_package_starts_its_service(self):
        _code, _printed, called = self.packages(
            'rabbitmq-server', apt='"%s/policy-rc.d"; echo "policy $?" >>%s/called' % (
                self.folder, self.folder))
        self.assertIn('policy 101', called)
