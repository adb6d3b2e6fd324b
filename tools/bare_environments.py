# SPDX-License-Identifier: Apache-2.0
"""What the wheel brings into a bare environment, alone and with each extra, and how its programs start there.

    python tools/bare_environments.py [PYTHON ...]

By default with every Python of PYTHONS that is on PATH or that pyenv has. It goes to the package index. The
last line counts the checks that passed and failed.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: tests/functional/test_packaging.py has 3.6, which needs what Train's releases held together.
PYTHONS = ('3.8', '3.11', '3.13')
#: No extra brings these: services, their clients and databases, and what only tests need.
NEVER = {'cinder', 'glance', 'nova', 'python-cinderclient', 'python-novaclient', 'python-openstackclient',
         'sqlalchemy', 'alembic', 'tempest', 'stestr', 'testtools', 'fixtures', 'ddt', 'hypothesis',
         'coverage', 'oslotest', 'requests-mock', 'sphinx'}
#: What an extra may bring; the others are not to come without it.
ONLY_WITH = {
    'glance': {'webob', 'legacy-cgi'},
    'cli': {'openstacksdk', 'dogpile-cache', 'jmespath', 'munch', 'appdirs', 'platformdirs'},
    'stores': set(),    # glanceclient brings jsonschema, too
    # WebOb: oslo.service, which os-brick brings, needs it.
    'volume': {'os-brick', 'glance-store', 'oslo-concurrency', 'oslo-rootwrap', 'oslo-privsep', 'eventlet',
               'webob', 'legacy-cgi'},
}
#: Prints, as JSON, what a distribution with some extras needs in all, of what is installed.
CLOSURE = r'''
import json, re, sys
def plain(name):
    return re.sub('[._-]+', '-', name).lower()
try:
    from importlib import metadata
except ImportError:     # Python 3.6
    from pip._vendor import pkg_resources
    installed = {plain(one.project_name): one for one in pkg_resources.working_set}
    def needs(name, extras):
        return installed[name].requires(extras)
else:
    from pip._vendor.packaging.requirements import Requirement
    installed = {plain(one.metadata['Name']): one for one in metadata.distributions()}
    def needs(name, extras):
        found = [Requirement(line) for line in installed[name].requires or ()]
        return [one for one in found if not one.marker
                or any(one.marker.evaluate({'extra': extra}) for extra in ('',) + tuple(extras))]
seen, waiting = set(), [(sys.argv[1], tuple(sys.argv[2:]))]
while waiting:
    one = waiting.pop()
    if one not in seen:
        seen.add(one)
        waiting += [(plain(need.name), tuple(need.extras)) for need in needs(*one)]
print(json.dumps(sorted({name for name, _extras in seen})))
'''


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


def closure(python: str, extras: typing.Sequence[str]) -> typing.Set[str]:
    """Return the names of all that the library needs with some extras."""
    return set(json.loads(must(python, '-W', 'ignore', '-c', CLOSURE, 'multistore-hooks', *extras)))


def check(version: str, wheel: str, folder: str) -> typing.Iterator[typing.Tuple[str, str]]:
    """Yield what was checked with a Python, and what is wrong with it; '' is nothing."""
    must(find_python(version) or '', '-m', 'venv', folder)
    python = os.path.join(folder, 'bin', 'python')
    pip = (python, '-m', 'pip', '--disable-pip-version-check', '-q')
    must(*pip, 'install', wheel)
    for start in STARTS:
        done = run(os.path.join(folder, 'bin', start.arguments[0]), *start.arguments[1:])
        lines = done.stderr.splitlines()
        wrong = (done.returncode not in start.codes or len(lines) > start.errors
                 or 'Traceback' in done.stdout + done.stderr)
        yield ' '.join(start.arguments), '%d: %s' % (done.returncode, done.stderr) if wrong else ''
    alone = closure(python, ())
    elsewhere = set().union(*ONLY_WITH.values())
    yield '%d packages without an extra' % (len(alone) - 1), ', '.join(sorted(alone & (NEVER | elsewhere)))
    for extra, may in ONLY_WITH.items():
        must(*pip, 'install', '%s[%s]' % (wheel, extra))
        brought = closure(python, [extra]) - alone
        yield ('[%s] brings %s' % (extra, ', '.join(sorted(brought)) or 'nothing more'),
               ', '.join(sorted(brought & (NEVER | elsewhere - may))))
    yield 'pip check', run(*pip, 'check').stdout.strip()


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
