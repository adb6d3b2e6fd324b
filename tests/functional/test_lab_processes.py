# SPDX-License-Identifier: Apache-2.0
"""A process of the lab ends with all its children, and says why it did not come up."""

import concurrent.futures
import os
import signal
import subprocess
import sys

import testtools

from lab import guard
from lab import paths
from lab import poll
from lab.poll import LabError
from lab import processes
from tests.functional import shared

#: A process with a child of its own, which ignores what ends others in good order.
PARENT = '''
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import signal, time;'
                          'signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'])
print(child.pid, flush=True)
child.wait()
'''
STARTER = '''
import sys
from lab import processes
one = processes.Process([sys.executable, '-c', sys.argv[1]], stdout=sys.stdout)
one.wait()
'''
ECHO = '''
import json, sys
for line in sys.stdin:
    print(json.dumps(json.loads(line)), flush=True)
'''
#: Its first thread ends, and another goes on: to the kernel the process is a zombie that runs.
FIRST_THREAD_ENDS = '''
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print('begun', flush=True)
ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)
'''


def lives(pid):
    """Return whether a process runs; a zombie does not."""
    try:
        with open('/proc/%d/stat' % pid, encoding='utf-8') as stream:
            return stream.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


class ProcessesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.log = os.path.join(shared.folder('processes'), 'log')

    def start(self, program, *arguments, **options):
        process = processes.Process([sys.executable, '-c', program, *arguments], self.log, **options)
        self.addCleanup(process.kill)
        return process

    def child_of(self, stream):
        child = int(stream.readline())
        self.assertTrue(lives(child))
        return child

    def test_its_children_end_with_it(self):
        for end in (processes.Process.stop, processes.Process.kill):
            process = self.start(PARENT, stdout=subprocess.PIPE)
            child = self.child_of(process.stdout)
            end(process)
            self.assertEqual([False] * 3, [process.alive, lives(process.pid), lives(child)])
            end(process)    # harmless

    def test_one_whose_first_thread_has_ended_still_runs(self):
        process = self.start(FIRST_THREAD_ENDS)
        poll.until('zombie that runs', lambda: not lives(process.pid))
        self.assertEqual([process.pid], processes.members(process.pid))
        process.kill()
        self.assertEqual([], processes.members(process.pid))

    def test_it_ends_with_the_process_that_started_it_however_that_ends(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            starter = subprocess.Popen([sys.executable, '-c', STARTER, PARENT], stdout=subprocess.PIPE,
                                       cwd=paths.CHECKOUT)
            self.addCleanup(starter.stdout.close)
            child = self.child_of(starter.stdout)
            starter.send_signal(number)
            starter.wait()
            poll.until('end of the child', lambda: not lives(child))

    def test_many_that_are_started_at_once_have_one_guard(self):
        program = 'import os; print(os.environ["%s"], flush=True); os.read(0, 1)' % guard.NAME
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            started = list(pool.map(lambda _: self.start(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE), range(8)))
        self.assertEqual(1, len({one.stdout.readline() for one in started}))

    def test_one_that_does_not_come_up_says_why(self):
        process = self.start('import sys; print("the reason", file=sys.stderr); sys.exit(3)')
        error = self.assertRaises(LabError, process.wait_until, 'response', lambda: False)
        self.assertIn('ended with 3', str(error))
        self.assertIn('the reason', str(error))

    def test_one_that_is_waited_for_in_vain_is_an_error(self):
        process = self.start('import time; time.sleep(600)')
        error = self.assertRaises(LabError, process.wait_until, 'reply', lambda: open('/nowhere'), seconds=0)
        self.assertIn('no reply in 0 seconds: [Errno 2]', str(error))
        self.assertRaises(LabError, process.wait, 0)

    def test_a_program_that_is_not_there_is_an_error(self):
        self.assertRaisesRegex(LabError, 'cannot run /no/such/program: No such file',
                               processes.Process, ['/no/such/program'])

    def test_a_command_is_given_its_input_and_killed_when_it_takes_too_long(self):
        done = processes.run([sys.executable, '-c', 'print(input()); import sys; sys.exit(2)'], 'said\n')
        self.assertEqual((2, 'said\n', ''), done)
        self.assertRaisesRegex(LabError, 'took longer', processes.run, [
            sys.executable, '-c', 'import time; time.sleep(600)'], seconds=0)

    def test_a_program_responds_line_by_line_and_its_end_is_reported(self):
        program = processes.Program([sys.executable, '-c', ECHO], log=self.log)
        self.addCleanup(program.kill)
        for document in ({'a': 1}, {'b': [2]}):
            program.send(document)
            self.assertEqual(document, program.receive())
        program.send({'error': 'the reason'})
        self.assertRaisesRegex(LabError, 'the reason', program.receive)
        program.kill()
        self.assertRaisesRegex(LabError, 'has ended', program.send, {})
        self.assertRaisesRegex(LabError, 'ended with -9', program.receive)
        self.assertEqual(-signal.SIGKILL, program.wait())
