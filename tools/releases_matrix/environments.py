# SPDX-License-Identifier: Apache-2.0
"""Commands in tox's environments."""

import os
import sys
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if ROOT not in sys.path:  # of tools/releases.py, as a program, only its own folder is there
    sys.path.append(ROOT)

from lab import processes  # noqa: E402


class Missing(Exception):
    """There is no such environment; the text says which."""


class Shell(typing.NamedTuple):
    """Runs commands in an environment, with what they print in a file."""

    folder: str
    log: str

    def run(self, command: typing.List[str], seconds: typing.Optional[float] = None, **extra: str) -> int:
        """Return the command's exit code; nothing that it started is left.

        :raises LabError: it took longer
        """
        with open(self.log, 'a', encoding='utf-8') as log:
            log.write('$ %s\n' % ' '.join(command))
        process = processes.Process(command, self.log, cwd=ROOT, env=self._environ(extra))
        try:
            return process.wait(seconds)
        finally:
            process.kill()

    def read(self, command: typing.List[str]) -> processes.Done:
        """Run a command, and return how it ended; its errors are in the file."""
        done = processes.run(command, cwd=ROOT, env=self._environ({}))
        with open(self.log, 'a', encoding='utf-8') as log:
            log.write('$ %s\n%s' % (' '.join(command), done.errors))
        return done

    def _environ(self, extra: typing.Mapping[str, str]) -> typing.Dict[str, str]:
        """Return the variables with which the programs of the environment come first."""
        path = os.path.join(self.folder, 'bin') + os.pathsep + os.environ.get('PATH', os.defpath)
        return dict(os.environ, VIRTUAL_ENV=self.folder, PATH=path, **extra)


def folder_of(name: str) -> str:
    """Return the folder of an environment that tox has made.

    :raises Missing: it has not, since there is no Python for it, or nobody asked
    """
    folder = os.path.join(ROOT, '.tox', name)
    if not os.path.exists(os.path.join(folder, 'bin', 'pip')):
        raise Missing('no .tox/%s: tox -e %s --notest' % (name, name))
    return folder
