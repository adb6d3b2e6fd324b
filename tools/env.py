#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the virtual environment of a given name, or reuse it when nothing it is made of changed.

    tools/env.py NAME                 make it, print its folder
    tools/env.py NAME -- COMMAND ...  make it, then run COMMAND in it
    tools/env.py --list               names, interpreters, constraints
    tools/env.py --renew NAME         make it of the newest releases, write its constraints file

Environments are folders `.venvs/NAME` in the checkout; `.venvs/NAME.log` has what pip said.
Exit codes: the command's own; 1 the environment could not be made; 77 there is no interpreter
for it, so whoever asked should skip. Standard library only: this runs before anything is there.
"""

import argparse
import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENVS = os.path.join(ROOT, '.venvs')
SKIP = 77
# Raise it when the way an environment is built changes, so that everybody's are built anew.
RECIPE = 1


class Failed(Exception):
    """The environment could not be made; the text is one line for the person at the terminal."""


class Missing(Exception):
    """Something the machine does not have; the text says what, and how to get it."""


class Env(typing.NamedTuple):
    """What one environment is made of."""

    pythons: typing.Tuple[str, ...]         # the first that is there
    constraints: str                        # file in tests/, without 'constraints-' and '.txt'
    files: typing.Tuple[str, ...] = ()      # requirements files
    packages: typing.Tuple[str, ...] = ()   # requirements besides
    project: bool = False                   # with this project, editable
    compiler: bool = False                  # something in it is built from C


UNIT = ('requirements.txt', 'test-requirements.txt')
RECENT = ('3.11', '3.12', '3.13')
# Of the joint environments the constraints are all that is installed, as they are; this limits what
# their source archives are built with.
JOINT = ('tests/constraints-joint-build.txt',)
ENVS: typing.Dict[str, Env] = {
    'unit-3.6-train': Env(('3.6',), 'train', UNIT, project=True),
    'unit-3.9': Env(('3.9',), 'newest-py39', UNIT, project=True),
    'unit-3.11-train': Env(('3.11',), 'train-py311', UNIT, project=True, compiler=True),
    'unit-3.11': Env(('3.11',), 'newest-py311', UNIT, project=True),
    'unit-3.13': Env(('3.13',), 'newest-py313', UNIT, project=True),
    'lint': Env(RECENT, 'lint', packages=('bashate', 'doc8', 'hacking', 'mypy', 'reno')),
    'docs': Env(RECENT, 'docs', ('requirements.txt', 'doc/requirements.txt'), project=True),
    'services': Env(RECENT, 'services', UNIT, ('nova==34.0.0', 'cinder==29.0.0', 'glance==33.0.0',
                                               'gunicorn', 'python-openstackclient'), project=True),
    'tempest': Env(RECENT, 'tempest', packages=('tempest',), project=True),
    # For lab/gate: a whole cloud. This project is installed there as an operator does it.
    'gate': Env(RECENT, 'gate', packages=(
        'nova==34.0.0', 'cinder==29.0.0', 'glance==33.0.0', 'keystone==30.0.0',
        'openstack-placement==16.0.0', 'python-openstackclient', 'pymysql', 'gunicorn')),
    'gate-ussuri': Env(('3.11',), 'gate-ussuri', JOINT, compiler=True),
    # For tools/releases.py: the libraries of many releases, which themselves are not installed.
    'joint-old': Env(('3.11',), 'joint-old', JOINT, compiler=True),
    'joint-mid': Env(('3.11',), 'joint-mid', JOINT, compiler=True),
    'joint-new': Env(('3.11',), 'joint-new', JOINT, compiler=True),
}
PROJECT_FILES = ('setup.cfg', 'setup.py', 'pyproject.toml')


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def find_python(versions: typing.Iterable[str]) -> str:
    """Return the path of an interpreter of the first of these versions that really runs here."""
    for version in versions:
        for candidate in _candidates(version):
            path = _real_path(candidate, version)
            if path:
                return path
    raise Missing('python%s not found' % ' or python'.join(versions))


def _candidates(version: str) -> typing.Iterator[str]:
    for folder in os.environ.get('PATH', os.defpath).split(os.pathsep):
        path = os.path.join(folder, 'python' + version)
        if os.access(path, os.X_OK):
            yield path
    pyenv = os.environ.get('PYENV_ROOT') or os.path.expanduser('~/.pyenv')
    yield from sorted(glob.glob('%s/versions/%s.*/bin/python' % (glob.escape(pyenv), version)))


def _real_path(candidate: str, version: str) -> typing.Optional[str]:
    # pyenv's shims are there for versions that are not selected, and then fail: so run it.
    code = 'import sys; print("%d.%d" % sys.version_info[:2]); print(sys.executable)'
    try:
        done = subprocess.run([candidate, '-c', code], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=60, universal_newlines=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 2 or lines[0] != version:
        return None
    return lines[1]


def _fingerprints(name: str, python: str) -> typing.Dict[str, str]:
    """Return what the environment's packages, and what our own package in it, are made of."""
    env = ENVS[name]
    base = repr((RECIPE, env, python, os.path.join(VENVS, name)))
    packages = _digest(base, (_constraints_file(name),) + env.files)
    return {'packages': packages,
            'project': _digest(packages, PROJECT_FILES if env.project else ())}


def _digest(base: str, files: typing.Iterable[str]) -> str:
    digest = hashlib.sha256(base.encode())
    for path in files:
        full = os.path.join(ROOT, path)
        digest.update(path.encode() + b'\0')
        if os.path.exists(full):
            with open(full, 'rb') as stream:
                digest.update(stream.read())
    return digest.hexdigest()


def _constraints_file(name: str) -> str:
    return 'tests/constraints-%s.txt' % ENVS[name].constraints


def ensure(name: str, pinned: bool = True) -> str:
    """Make the environment unless it is up to date. Returns its folder.

    :param pinned: hold every package to the constraints file (else: the newest of everything)
    :raises Missing: when there is no interpreter, or no compiler, for it
    :raises Failed: when it could not be made
    """
    if name not in ENVS:
        raise Failed('no environment is called %r; there are: %s' % (name, ', '.join(ENVS)))
    folder = os.path.join(VENVS, name)
    os.makedirs(VENVS, exist_ok=True)
    with _lock(name):
        python = find_python(ENVS[name].pythons)
        wanted = _fingerprints(name, python)
        there = _stamp_of(folder) if pinned else {}
        if there == wanted:
            return folder
        started = time.monotonic()
        with open(folder + '.log', 'w', encoding='utf-8') as log:
            if there.get('packages') == wanted['packages']:
                say('env %s: installing this project anew ...' % name)
            else:
                _check_compiler(name, python)
                say('env %s: making it with %s ...' % (name, python))
                _build(name, folder, python, pinned, log)
            _install_project(name, folder, log)
        if pinned:
            with open(os.path.join(folder, 'stamp.json'), 'w', encoding='utf-8') as stream:
                json.dump(wanted, stream)
        say('env %s: ready after %.0f s' % (name, time.monotonic() - started))
    return folder


@contextlib.contextmanager
def _lock(name: str) -> typing.Iterator[None]:
    """Let one process at a time do this (make an environment, or write the project's egg-info)."""
    with open(os.path.join(VENVS, name + '.lock'), 'w', encoding='utf-8') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _stamp_of(folder: str) -> typing.Dict[str, str]:
    try:
        with open(os.path.join(folder, 'stamp.json'), encoding='utf-8') as stream:
            return dict(json.load(stream))
    except (OSError, ValueError):
        return {}


def _check_compiler(name: str, python: str) -> None:
    if not ENVS[name].compiler:
        return
    header = subprocess.check_output(
        [python, '-c', 'import sysconfig; print(sysconfig.get_paths()["include"])'],
        universal_newlines=True).strip() + '/Python.h'
    if not shutil.which('cc') and not shutil.which('gcc'):
        raise Missing('no C compiler (Debian: gcc)')
    if not os.path.exists(header):
        raise Missing('no %s (Debian: python3-dev)' % header)


def _build(name: str, folder: str, python: str, pinned: bool, log: typing.TextIO) -> None:
    env = ENVS[name]
    shutil.rmtree(folder, ignore_errors=True)
    _ensure_venv_module(name, python, log)
    _run(name, [python, '-m', 'venv', folder], log)
    limits = []     # type: typing.List[str]
    if pinned:
        limits = ['-c', os.path.join(ROOT, _constraints_file(name))]
    pip = [os.path.join(folder, 'bin', 'python'), '-m', 'pip', 'install']
    if env.files == JOINT:
        _build_joint(name, pip, log)
        return
    if env.pythons == ('3.6',):
        # The one that Python 3.6 brings is too old to find its way in today's index.
        _run(name, pip + ['pip<22'], log)
    _run(name, pip + limits + ['setuptools', 'wheel', 'pbr'], log)
    wanted = list(env.packages)
    for path in env.files:
        wanted += ['-r', os.path.join(ROOT, path)]
    # Train's own packages are source archives that today's setuptools cannot build.
    old = ['--no-build-isolation'] if env.compiler else []
    _run(name, pip + limits + old + wanted, log)


def _build_joint(name: str, pip: typing.List[str], log: typing.TextIO) -> None:
    build = os.path.join(ROOT, JOINT[0])
    _run(name, pip + ['-c', build, 'setuptools', 'wheel'], log)
    # By the environment it reaches pip's builds too, which have an environment of their own.
    _run(name, pip + ['--no-deps', '-r', os.path.join(ROOT, _constraints_file(name))], log,
         dict(os.environ, PIP_CONSTRAINT=build))


def _install_project(name: str, folder: str, log: typing.TextIO) -> None:
    if not ENVS[name].project:
        return
    command = [os.path.join(folder, 'bin', 'python'), '-m', 'pip', 'install', '--no-deps',
               '--no-build-isolation', '-e', ROOT]
    with _lock('project'):
        _run(name, command, log, dict(os.environ, **_project_version()))


def _project_version() -> typing.Dict[str, str]:
    """Return what pbr needs where git cannot tell it a version (a tarball, no commit yet)."""
    with contextlib.suppress(OSError):
        done = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return {}
    return {'PBR_VERSION': '0.0.0'}


def _ensure_venv_module(name: str, python: str, log: typing.TextIO) -> None:
    """Debian keeps ensurepip in a package of its own."""
    test = [python, '-c', 'import ensurepip, venv']
    if subprocess.run(test, stderr=subprocess.DEVNULL).returncode == 0:
        return
    version = subprocess.check_output(
        [python, '-c', 'import sys; print("%d.%d" % sys.version_info[:2])'],
        universal_newlines=True).strip()
    package = 'python%s-venv' % version
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        raise Failed('%s has no ensurepip; on Debian: apt-get install %s' % (python, package))
    say('env %s: installing %s' % (name, package))
    quiet = dict(os.environ, DEBIAN_FRONTEND='noninteractive')
    with _lock('apt'):
        _run(name, ['apt-get', 'update'], log, quiet)
        _run(name, ['apt-get', 'install', '-y', '--no-install-recommends', package], log, quiet)


def _run(name: str, command: typing.List[str], log: typing.TextIO,
         environ: typing.Optional[typing.Dict[str, str]] = None) -> None:
    log.write('$ %s\n' % ' '.join(command))
    log.flush()
    environ = dict(os.environ if environ is None else environ)
    environ.pop('PYTHONHOME', None)
    environ.pop('PYTHONPATH', None)
    try:
        code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                               cwd=ROOT, env=environ)
    except OSError as error:
        raise Failed('env %s: FAILED: %s' % (name, error))
    if code != 0:
        raise Failed('env %s: FAILED: %s (exit %d): %s; see %s' % (
            name, ' '.join(command[:4]), code, _last_error(log.name), os.path.relpath(log.name)))


def _last_error(path: str) -> str:
    with open(path, encoding='utf-8', errors='replace') as stream:
        lines = [line.strip() for line in stream if line.strip()]
    errors = [line for line in lines if line.startswith(('ERROR:', 'error:', 'E:', 'Error:'))]
    return (errors or lines or [''])[-1][:200]


def renew(name: str) -> None:
    """Make the environment of the newest releases and write down which ones they are."""
    path = os.path.join(ROOT, _constraints_file(name))
    folder = ensure(name, pinned=False)
    python = os.path.join(folder, 'bin', 'python')
    frozen = subprocess.check_output(
        [python, '-m', 'pip', 'freeze', '--all', '--exclude-editable'],
        stderr=subprocess.DEVNULL, universal_newlines=True)
    # Local paths say nothing to another machine, and pip is the interpreter's own.
    lines = [line for line in frozen.splitlines() if '==' in line and not line.startswith('pip=')]
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write('# Written by: tools/env.py --renew %s\n' % name)
        stream.write('\n'.join(sorted(lines, key=str.lower)) + '\n')
    say('%s: %d packages' % (os.path.relpath(path), len(lines)))
    ensure(name)


def environ_of(folder: str) -> typing.Dict[str, str]:
    """Return the process environment in which the virtual environment's programs come first."""
    environ = dict(os.environ, VIRTUAL_ENV=folder)
    environ['PATH'] = os.path.join(folder, 'bin') + os.pathsep + environ.get('PATH', os.defpath)
    environ.pop('PYTHONHOME', None)
    environ.pop('PYTHONPATH', None)
    return environ


def main(arguments: typing.List[str]) -> int:
    command = []        # type: typing.List[str]
    if '--' in arguments:
        at = arguments.index('--')
        arguments, command = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(usage='%(prog)s NAME [-- COMMAND ...] | --list | --renew NAME')
    parser.add_argument('name', nargs='?', choices=list(ENVS), metavar='NAME')
    parser.add_argument('--list', action='store_true', help='names, interpreters, constraints')
    parser.add_argument('--renew', metavar='NAME',
                        choices=[name for name, env in ENVS.items() if env.files != JOINT],
                        help='make it of the newest releases, write its constraints file')
    options = parser.parse_args(arguments)
    if options.list:
        for name, env in ENVS.items():
            print('%-16s python %-16s %s' % (name, '|'.join(env.pythons), _constraints_file(name)))
        return 0
    if not options.name and not options.renew:
        parser.error('which environment?')
    try:
        if options.renew:
            renew(options.renew)
            return 0
        folder = ensure(options.name)
    except Missing as missing:
        say('env %s: SKIPPED: %s' % (options.name or options.renew, missing))
        return SKIP
    except Failed as failed:
        say(str(failed))
        return 1
    if not command:
        print(folder)
        return 0
    environ = environ_of(folder)
    # 'python' shall be the environment's, not what the caller's PATH would have.
    program = shutil.which(command[0], path=environ['PATH'])
    if program is None:
        say('env %s: no program %s in it' % (options.name, command[0]))
        return 127
    os.execve(program, command, environ)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
