# SPDX-License-Identifier: Apache-2.0
"""A forked process is what a started one would be: what it is given, what it says, how it ends."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

import testtools

from lab import forks
from lab import paths
from lab import poll
from lab import processes
from tests.functional import shared

PROGRAM = '''
import json, os, signal, sys, tempfile, time
print(json.dumps({
    'argv': sys.argv[1:], 'cwd': os.getcwd(), 'environ': dict(os.environ), 'name': __name__,
    'path': [os.path.realpath(path) for path in sys.path if path], 'session': os.getsid(0) == os.getpid(),
    'interrupt': signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    'child': str(signal.getsignal(signal.SIGCHLD)), 'zone': time.tzname, 'temporary': tempfile.gettempdir(),
    'stdin': sys.stdin.readline(), 'open': sorted(int(name) for name in os.listdir('/proc/self/fd')
                                                  if os.path.exists('/proc/self/fd/' + name))}), flush=True)
print('an error', file=sys.stderr, flush=True)
if sys.argv[1] == 'wait':
    time.sleep(600)
sys.exit(int(sys.argv[1]))
'''
MISSING = [name for name in ('nova', 'cinder', 'glance') if not importlib.util.find_spec(name)]


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class ForksTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = os.path.realpath(shared.folder('forks'))
        with open(os.path.join(self.folder, 'program.py'), 'w', encoding='utf-8') as stream:
            stream.write(PROGRAM)
        self.environ = dict(os.environ, PYTHONPATH=self.folder, TZ='XYZ-3', A='b', TMPDIR=self.folder)

    def run_one(self, *arguments):
        return processes.run([sys.executable, '-m', 'program', *arguments], 'said\n', warm='glance',
                             cwd='/usr', env=self.environ)

    def popen(self, *arguments, **more):
        process = forks.popen('glance', [sys.executable, '-m', 'program', *arguments], cwd='/usr',
                              env=self.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, **more)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdin.write(b'x\n')
        process.stdin.flush()
        return process

    def test_it_is_given_what_a_started_one_is_given(self):
        forked = self.run_one('3', 'four')
        started = processes.run([sys.executable, '-m', 'program', '3', 'four'], 'said\n', cwd='/usr',
                                env=self.environ)
        self.assertEqual((started.code, started.errors), (forked.code, forked.errors))
        expected, found = json.loads(started.output), json.loads(forked.output)
        # python -m puts the current directory first, and an editable install adds the checkout.
        for reported in (expected, found):
            reported['path'] = [path for path in dict.fromkeys(reported['path']) if path != paths.CHECKOUT]
            reported['environ'].pop('LC_CTYPE', None)
            reported['open'] = [number for number in reported['open'] if number < 3]
        self.assertEqual(expected, found)

    def test_it_learns_how_it_ended(self):
        self.assertEqual(0, self.run_one('0').code)
        self.assertEqual(7, self.run_one('7').code)
        process = self.popen('wait')
        self.assertIsNone(process.poll())
        self.assertRaises(subprocess.TimeoutExpired, process.wait, 0.1)
        process.kill()
        self.assertEqual(-signal.SIGKILL, process.wait(poll.SECONDS))
        self.assertEqual(-signal.SIGKILL, process.poll())
        process = self.popen('wait')
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(-signal.SIGTERM, process.wait(poll.SECONDS))

    def test_a_group_of_its_own_is_ended_as_one(self):
        process = self.popen('wait', start_new_session=True)
        self.assertTrue(json.loads(process.stdout.readline())['session'])
        self.assertEqual(process.pid, os.getpgid(process.pid))
        os.killpg(process.pid, signal.SIGKILL)
        self.assertEqual(-signal.SIGKILL, process.wait(poll.SECONDS))

    def test_nobody_else_holds_its_streams(self):
        # The processes that wait for others, too, must have let go: else its end would not be seen.
        others = [self.popen('wait') for _ in range(2)]
        process = self.popen('0')
        others.append(self.popen('wait'))
        self.assertEqual(0, process.wait(poll.SECONDS))
        self.assertEqual([None] * 3, [other.poll() for other in others])
        os.set_blocking(process.stdout.fileno(), False)
        poll.until('end of its output', lambda: not os.read(process.stdout.fileno(), 4096))

    def test_descriptors_keep_their_numbers(self):
        with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
            process = self.popen('wait', pass_fds=[two.fileno(), one.fileno()])
            self.assertEqual({0, 1, 2, one.fileno(), two.fileno()},
                             set(json.loads(process.stdout.readline())['open']))
            for file in (one, two):
                self.assertEqual(os.fstat(file.fileno()).st_ino,
                                 os.stat('/proc/%d/fd/%d' % (process.pid, file.fileno())).st_ino)

    def test_nothing_of_a_service_is_configured_before(self):
        with open(os.path.join(self.folder, 'look.py'), 'w', encoding='utf-8') as stream:
            stream.write('from oslo_config.cfg import CONF\nimport sys, threading\n'
                         'print(CONF._namespace, threading.active_count(), "glance.wsgi.api" in sys.modules,'
                         ' bool(sys.modules.get("rados")))\n')
        for service in ('glance', 'nova'):
            done = processes.run([sys.executable, '-m', 'look'], warm=service, cwd='/usr', env=self.environ)
            self.assertEqual(('None 1 False False\n', 0), (done.output, done.code), done.errors)
