# SPDX-License-Identifier: Apache-2.0
"""``make test`` that is interrupted: what it started clears up after itself, and ends all the same."""

import os
import sys
import threading
import time
from unittest import mock

import testtools

from tests.functional import shared

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tools'))
import run_tests  # noqa: E402

PROGRAM = '''
import pathlib, signal, sys, time
def ended(*_):
    pathlib.Path(sys.argv[1], 'cleared').touch()
    if sys.argv[2] == 'ends':
        sys.exit(143)
signal.signal(signal.SIGTERM, ended)
pathlib.Path(sys.argv[1], 'began').touch()
while True:
    time.sleep(60)
'''


class InterruptedTest(testtools.TestCase):

    def stop(self, how, seconds):
        """Run a command, and stop it; return its exit code, and whether it could clear up."""
        folder, codes = shared.folder('stopped'), []
        for name, value in (('STOPPING', threading.Event()), ('RUNNING', set()), ('STOP_SECONDS', seconds)):
            patched = mock.patch.object(run_tests, name, value)
            patched.start()
            self.addCleanup(patched.stop)
        with open(os.path.join(folder, 'output'), 'w+', encoding='utf-8') as output:
            shell = run_tests.Shell(folder, output)
            thread = threading.Thread(target=lambda: codes.append(shell.run(
                [sys.executable, '-c', PROGRAM, folder, how])))
            thread.start()
            deadline = time.monotonic() + 30
            while not os.path.exists(os.path.join(folder, 'began')) and time.monotonic() < deadline:
                time.sleep(0.02)
            run_tests.stop_all()
            thread.join(30)
        return codes, os.path.exists(os.path.join(folder, 'cleared'))

    def test_a_command_may_clear_up(self):
        self.assertEqual(([143], True), self.stop('ends', 30))

    def test_a_command_that_does_not_end_is_killed(self):
        self.assertEqual(([-9], True), self.stop('stays', 1))
