# SPDX-License-Identifier: Apache-2.0
"""What the wheel brings into a bare environment, alone and with each extra, and how its programs start there.

    python tools/bare_environments.py [PYTHON ...]

PYTHON is a version such as 3.9; by default all of PYTHONS that are on PATH or that pyenv has. Each Python
gets an environment without an extra, and one for each extra, with the newest packages that it can have. It
goes to the package index, by uv where it is on PATH. The last line counts the checks that passed and failed.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHONS = ('3.6', '3.8', '3.9', '3.10', '3.11', '3.12', '3.13')
#: No extra brings these: services, their clients and databases, and what only tests need.
NEVER = {'cinder', 'glance', 'nova', 'python-cinderclient', 'python-novaclient', 'python-openstackclient',
         'sqlalchemy', 'alembic', 'tempest', 'stestr', 'testtools', 'fixtures', 'ddt', 'hypothesis',
         'coverage', 'oslotest', 'requests-mock', 'sphinx'}
#: What an extra may bring; the others are not to come without it. The names are pip's, with a hyphen.
ONLY_WITH = {
    'glance': {'webob', 'legacy-cgi'},
    'cli': {'openstacksdk', 'dogpile-cache', 'jmespath', 'munch', 'appdirs', 'platformdirs'},
    'stores': set(),    # glanceclient brings jsonschema, too
    # os-brick brings oslo.service, which needs WebOb, and fixtures for as long as there was Python 3.6.
    'volume': {'os-brick', 'glance-store', 'oslo-concurrency', 'oslo-rootwrap', 'oslo-privsep', 'eventlet',
               'webob', 'legacy-cgi', 'fixtures'},
}
#: What works with an extra: Python, for an environment that has it.
WORKS = {
    'glance': 'import multistore_hooks.glance.base_image_filter',
    'cli': 'import openstack.config, multistore_hooks.cli.image_copies',
    'stores': 'import jsonschema, multistore_hooks.stores.rules',
    'volume': 'import multistore_hooks.volume_store.store',
}


class Start(typing.NamedTuple):
    """How a program is started in the bare environment, and how that has to end."""

    arguments: typing.Tuple[str, ...]
    codes: typing.Tuple[int, ...]
    #: Lines on standard error, at most.
    errors: int = 0


STARTS = (
    Start(('multistore-hooks', '--version'), (0,)),
    Start(('multistore-hooks', '--help'), (0,)),
    Start(('multistore-hooks', 'image', 'place', '--help'), (0,)),
    Start(('multistore-hooks', 'image', 'stores', 'any'), (2,), 1),
    Start(('multistore-hooks', 'store', 'list'), (2,), 1),
    Start(('multistore-hooks', 'patch', 'status', 'nova'), (2,), 1),
    Start(('multistore-hooks', 'site', 'image', 'list'), (2,), 1),
    Start(('multistore-hooks',), (0,)),
    Start(('multistore-status',), (0,)),
    Start(('multistore-status', '--version'), (0,)),
    Start(('multistore-status', 'upgrade', 'check'), (1, 2)),
)


class Failed(Exception):
    """A command that prepares something failed."""


def run(*command: str) -> subprocess.CompletedProcess:
    """Run a command without this environment's Python."""
    environ = {name: value for name, value in os.environ.items()
               if not name.startswith(('PYTHON', 'VIRTUAL_ENV', 'OS_'))}
    return subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)


def must(*command: str) -> str:
    """Run a command that has to succeed; return what it prints."""
    done = run(*command)
    if done.returncode:
        raise Failed('%s: %s' % (' '.join(command), (done.stderr or done.stdout)[-800:]))
    return done.stdout


def find_python(version: str) -> typing.Optional[str]:
    """Return the interpreter of a version, if there is one."""
    home = os.environ.get('PYENV_ROOT', os.path.expanduser('~/.pyenv'))
    found = sorted(glob.glob(os.path.join(home, 'versions', version + '.*', 'bin', 'python')))
    # Before PATH, where pyenv's own stand-ins refuse a version that is not selected.
    return found[-1] if found else shutil.which('python' + version)


class Bare:
    """A virtual environment of a Python with the wheel, and perhaps an extra of it."""

    def __init__(self, version: str, folder: str, what: str) -> None:
        self.folder, self.python = folder, os.path.join(folder, 'bin', 'python')
        interpreter = find_python(version) or ''
        # uv takes a tenth of the time, and knows no Python before 3.7.
        self._uv = shutil.which('uv') if version != '3.6' else None
        must(*((self._uv, 'venv', '-q', '--python', interpreter, folder) if self._uv
               else (interpreter, '-m', 'venv', folder)))
        if version == '3.6':    # its own pip is too old for today's index
            must(*self._pip('install', '-q', '-U', 'pip<22'))
        self._before = self._packages()
        # Python 3.6's pip tries versions of openstacksdk's libraries for a quarter of an hour: it is given
        # what a release held together, as operators do there.
        held: typing.Tuple[str, ...] = ()
        if version == '3.6' and what.endswith('[cli]'):
            held = ('-c', os.path.join(ROOT, 'tests', 'constraints-py36.txt'))
        must(*self._pip('install', '-q', *(() if self._uv else ('--no-compile',)), *held, what))

    def _pip(self, verb: str, *arguments: str) -> typing.Tuple[str, ...]:
        """Return a command line of pip."""
        if self._uv:
            return (self._uv, 'pip', verb, '--python', self.python) + arguments
        return (self.python, '-m', 'pip', '--disable-pip-version-check', verb) + arguments

    def _packages(self) -> typing.Set[str]:
        listed = json.loads(must(*self._pip('list', '--format', 'json')))
        return {re.sub('[._-]+', '-', package['name']).lower() for package in listed}

    def brought(self) -> typing.Set[str]:
        """Return the names of what came with the wheel, without its own."""
        return self._packages() - self._before - {'multistore-hooks'}

    def wrong(self) -> str:
        """Return what does not fit together; '' is nothing."""
        done = run(*self._pip('check'))
        return (done.stdout + done.stderr).strip() if done.returncode else ''

    def start(self, start: Start) -> str:
        """Return how a start of a program ended otherwise than it has to; '' is not at all."""
        done = run(os.path.join(self.folder, 'bin', start.arguments[0]), *start.arguments[1:])
        fits = (done.returncode in start.codes and len(done.stderr.splitlines()) <= start.errors
                and 'Traceback' not in done.stdout + done.stderr)
        return '' if fits else '%d: %s' % (done.returncode, done.stderr)


def check(version: str, wheel: str, folder: str) -> typing.Iterator[typing.Tuple[str, str]]:
    """Yield what was checked with a Python, and what is wrong with it; '' is nothing."""
    bare = Bare(version, os.path.join(folder, 'alone'), wheel)
    for start in STARTS:
        yield ' '.join(start.arguments), bare.start(start)
    alone, elsewhere = bare.brought(), set().union(*ONLY_WITH.values())
    yield '%d packages without an extra' % len(alone), ', '.join(sorted(alone & (NEVER | elsewhere)))
    yield 'pip check', bare.wrong()
    for extra, may in ONLY_WITH.items():
        bare = Bare(version, os.path.join(folder, extra), '%s[%s]' % (wheel, extra))
        brought = bare.brought() - alone
        yield ('[%s] brings %s' % (extra, ', '.join(sorted(brought)) or 'nothing more'),
               ', '.join(sorted(brought & (NEVER | elsewhere) - may)))
        done = run(bare.python, '-W', 'ignore', '-c', WORKS[extra])
        yield '[%s] %s' % (extra, WORKS[extra]), done.stderr.strip()
        yield '[%s] pip check' % extra, bare.wrong()


def main(versions: typing.Sequence[str]) -> int:
    """Check every Python; return the exit code."""
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        must(sys.executable, '-m', 'pip', '-q', '--disable-pip-version-check', 'wheel', '--no-deps',
             '--wheel-dir', folder, ROOT)
        wheel, = glob.glob(os.path.join(folder, '*.whl'))
        for version in versions or [version for version in PYTHONS if find_python(version)]:
            for what, wrong in check(version, wheel, os.path.join(folder, version)):
                passed, failed = passed + (not wrong), failed + bool(wrong)
                print('%s  %s%s' % (version, what, '  WRONG: ' + wrong if wrong else ''), flush=True)
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
