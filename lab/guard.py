# SPDX-License-Identifier: Apache-2.0
"""No process of a lab outlives the process that started it, however that ends.

``mark`` starts a guard, which is this file as a program (``guard.py MARK``). It waits until its standard
input ends, as it does when its owner ends, and then kills every process with the mark in its environment.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import typing

NAME = 'LAB_STARTED_BY'
# What was being started when the owner was killed has the mark only after its exec.
QUIET_PASSES, PASS_SECONDS, LIMIT_SECONDS = 10, 0.1, 60
_lock = threading.Lock()
_marks: typing.Dict[int, typing.Tuple[str, typing.Any]] = {}


def mark() -> typing.Dict[str, str]:
    """Return the variables that a process needs in its environment in order to end with this one."""
    owner = os.getpid()
    with _lock:
        if owner not in _marks:
            value = '%d-%s' % (owner, os.urandom(8).hex())
            guard = subprocess.Popen(
                [sys.executable, '-S', '-E', os.path.abspath(__file__), value], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd='/', env={},
                start_new_session=True)
            guard.returncode = 0    # it ends after its owner: nothing waits for it
            _marks[owner] = value, guard
        # setproctitle, which gunicorn uses, would write its title over the environment that the guard reads.
        return {NAME: _marks[owner][0], 'SPT_NOENV': '1'}


def _marked(wanted: bytes) -> typing.Iterator[int]:
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/environ' % name, 'rb') as environ:
                if wanted in environ.read().split(b'\0'):
                    yield int(name)
        except OSError:
            continue


def main(value: str) -> None:
    """Wait for the end of the owner, and kill what it has started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end, quiet = time.monotonic() + LIMIT_SECONDS, 0
    while quiet < QUIET_PASSES and time.monotonic() < end:
        quiet += 1
        for pid in _marked(('%s=%s' % (NAME, value)).encode()):
            quiet = 0
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(PASS_SECONDS)


if __name__ == '__main__':
    main(sys.argv[1])
