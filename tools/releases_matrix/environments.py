# SPDX-License-Identifier: Apache-2.0
"""Commands in tox's environments, which can be ended with all that they started."""

import contextlib
import os
import signal
import subprocess
import sys
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tools'))
_running: typing.Set[int] = set()


class Missing(Exception):
    """There is no such environment; the text says which."""


def folder_of(name: str) -> str:
    """Return the folder of an environment that tox has made.

    :raises Missing: it has not, since there is no Python for it, or nobody asked
    """
    folder = os.path.join(ROOT, '.tox', name)
    if not os.path.exists(os.path.join(folder, 'bin', 'pip')):
        raise Missing('no .tox/%s: tox -e %s --notest' % (name, name))
    return folder


def environ_of(folder: str, **extra: str) -> typing.Dict[str, str]:
    """Return the variables with which the programs of an environment come first."""
    found = dict(os.environ, VIRTUAL_ENV=folder, **extra)
    found['PATH'] = os.path.join(folder, 'bin') + os.pathsep + found.get('PATH', os.defpath)
    return found


class Shell(typing.NamedTuple):
    """Runs commands in an environment, with what they print in a file."""

    folder: str
    output: typing.TextIO

    def run(self, command: typing.List[str], **extra: str) -> int:
        """Return the command's exit code."""
        self.output.write('$ %s\n' % ' '.join(command))
        self.output.flush()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ_of(self.folder, **extra), stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)
        _running.add(process.pid)
        try:
            return process.wait()
        finally:
            _running.discard(process.pid)


def end_all() -> None:
    """End every command that runs."""
    for group in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
