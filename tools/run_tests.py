#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything `make test` does, from a clean clone: environments, lint, tests, documentation.

    tools/run_tests.py                  all of it
    tools/run_tests.py lint unit docs   some of it: lint, unit, functional, releases, docs, gate
    tools/run_tests.py unit --only unit-3.11

A failing step does not stop the others. A table comes at the end; the last line is
"N passed, N failed, N skipped": the tests of all runs, and one failure for each step that failed
for another reason (lint, a build, a run that found no test). Exit code 0 when nothing failed.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing

import env
import workers

KINDS = ('lint', 'unit', 'functional', 'releases', 'docs')
# Besides all of those when GATE=short is in the environment: it needs root, and 4 GB more memory.
GATE = 'gate'
UNIT = [name for name in env.ENVS if name.startswith('unit-')]
COVERAGE = 'unit-3.11'
AT_ONCE = 2
# Functional tests wait about half of their time: for Ceph, for a copy, for a timeout.
FUNCTIONAL_WORKERS = 3
# Hundreds of lines 'ok' on five Pythons say less than the failures alone.
QUIET = ['--concurrency', '1', '--no-subunit-trace']
FOLLOW_SECONDS = 0.5
STOP_SECONDS = 20
RUNNING = set()                 # type: typing.Set[int]
STOPPING = threading.Event()
ONE_GROUP = 'MULTISTORE_ONE_PROCESS_GROUP'
PYTHON_FOLDERS = ('multistore_hooks', 'multistore_tempest_plugin', 'tests', 'tools', 'benchmarks',
                  'doc/source')


class Outcome(typing.NamedTuple):
    """How a step ended: 'ok', 'FAILED' or 'SKIPPED', and the tests it counted."""

    state: str
    seconds: float
    note: str = ''
    passed: int = 0
    failed: int = 0
    skipped: int = 0


class Step(typing.NamedTuple):
    """One line of the table: a title, the environment it runs in, and what to do there."""

    title: str
    environment: str
    action: typing.Callable[['Shell'], Outcome]


class Shell:
    """Runs commands in an environment, into a file that is shown when the step is over."""

    def __init__(self, folder: str, output: typing.TextIO) -> None:
        self.folder = folder
        self.output = output
        self.environ = env.environ_of(folder)

    def run(self, command: typing.List[str], **extra: str) -> int:
        """Return the command's exit code."""
        if STOPPING.is_set():
            return 130
        self.output.write('$ %s\n' % ' '.join(command))
        self.output.flush()
        try:
            # A group of its own, so that it can be ended with all that it started; unless this
            # process is such a command itself.
            process = subprocess.Popen(
                command, cwd=env.ROOT, env=dict(self.environ, **extra), stdin=subprocess.DEVNULL,
                stdout=self.output, stderr=subprocess.STDOUT,
                start_new_session=ONE_GROUP not in os.environ)
        except OSError as error:
            self.output.write('%s\n' % error)
            return 127
        RUNNING.add(process.pid)
        if STOPPING.is_set():
            _end(process.pid)
        try:
            return process.wait()
        except BaseException:
            _end(process.pid)
            raise
        finally:
            RUNNING.discard(process.pid)

    def read(self, command: typing.List[str]) -> bytes:
        """Return what the command prints; nothing when it cannot be run."""
        done = subprocess.run(command, cwd=env.ROOT, env=self.environ, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=self.output)
        return done.stdout


# ---- lint ------------------------------------------------------------------------------------

def flake8(shell: Shell) -> Outcome:
    return _all_of(shell, [['python', '-m', 'flake8'] + _existing(PYTHON_FOLDERS + ('setup.py',))])


def mypy(shell: Shell) -> Outcome:
    cache = os.path.join(shell.folder, 'mypy-cache')
    return _all_of(shell, [['python', '-m', 'mypy', '--cache-dir', cache]])


def texts(shell: Shell) -> Outcome:
    """Release notes and reStructuredText."""
    pages = ['doc/source'] + sorted(
        name for name in os.listdir(env.ROOT) if name.endswith('.rst'))
    return _all_of(shell, [['reno', 'lint'], ['doc8', '--quiet'] + pages])


def shell_scripts(shell: Shell) -> Outcome:
    scripts = _shell_scripts()
    if not scripts:
        return Outcome('SKIPPED', 0, 'no shell script yet')
    commands = [['bashate', '-i', 'E006'] + scripts]
    note = 'bashate only: shellcheck not found'
    if shutil.which('shellcheck'):
        commands.append(['shellcheck', '-x'] + scripts)
        note = ''
    return _all_of(shell, commands)._replace(note=note)


def _shell_scripts() -> typing.List[str]:
    """Every tracked file that bash or sh runs, and devstack's plugin files, which it sources."""
    found = []
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=env.ROOT,
                            stdout=subprocess.PIPE, universal_newlines=True)
    for name in listed.stdout.splitlines():
        path = os.path.join(env.ROOT, name)
        if not os.path.isfile(path):
            continue
        with open(path, 'rb') as stream:
            first = stream.readline(80)
        if first.startswith(b'#!') and (b'bash' in first or first.rstrip().endswith(b'/sh')):
            found.append(name)
        elif name.endswith('.sh'):
            found.append(name)
    return sorted(found)


def _existing(names: typing.Iterable[str]) -> typing.List[str]:
    return [name for name in names if os.path.exists(os.path.join(env.ROOT, name))]


def _all_of(shell: Shell, commands: typing.List[typing.List[str]]) -> Outcome:
    codes = [shell.run(command) for command in commands]
    return Outcome('FAILED' if any(codes) else 'ok', 0)


# ---- tests -----------------------------------------------------------------------------------

def unit(shell: Shell) -> Outcome:
    # Modules that no unit test imports (they need a service) must still be this Python's syntax.
    if shell.run(['python', '-m', 'compileall', '-q', 'multistore_hooks']):
        return Outcome('FAILED', 0, 'a module is not valid on this Python')
    return stestr(shell, 'tests/unit', QUIET)


def unit_with_coverage(shell: Shell) -> Outcome:
    data = {'COVERAGE_FILE': os.path.join(shell.folder, 'coverage', 'data')}
    folder = os.path.dirname(data['COVERAGE_FILE'])
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    # stestr starts its workers with the command it finds in PYTHON.
    outcome = stestr(shell, 'tests/unit', QUIET, **dict(
        data, PYTHON='coverage run --parallel-mode'))
    shell.run(['coverage', 'combine', '--quiet'], **data)
    if shell.run(['coverage', 'report'], **data) and outcome.state == 'ok':
        outcome = outcome._replace(state='FAILED', note='coverage, see its report')
    return outcome


def functional(shell: Shell) -> Outcome:
    path = os.path.join(shell.folder, 'functional-workers.json')
    workers.write(path, FUNCTIONAL_WORKERS)
    return stestr(shell, 'tests/functional', ['--worker-file', path])


def in_cinder(shell: Shell) -> Outcome:
    # Apart from the others: Cinder makes eventlet's the threads of the process that imports it.
    return stestr(shell, 'tests/unit/cinder', QUIET)


def tempest_plugin(shell: Shell) -> Outcome:
    return stestr(shell, 'tests/tempest', QUIET)


def stestr(shell: Shell, path: str, options: typing.List[str], **extra: str) -> Outcome:
    """Run the tests under a folder, with a results repository of the environment's own."""
    repository = os.path.join(shell.folder, 'results', path.replace('/', '-'))
    shutil.rmtree(repository, ignore_errors=True)
    os.makedirs(repository)
    command = ['stestr', '--repo-url', repository, '--test-path', './' + path]
    code = shell.run(command + ['run'] + options, **extra)
    last = shell.read(command + ['last', '--subunit'])
    counted = subprocess.run(
        ['python', os.path.join(env.ROOT, 'tools', 'subunit_count.py')], input=last,
        env=shell.environ, stdout=subprocess.PIPE, stderr=shell.output,
        executable=os.path.join(shell.folder, 'bin', 'python'))
    try:
        passed, failed, skipped = (int(number) for number in counted.stdout.split())
    except ValueError:
        return Outcome('FAILED', 0, 'no results could be read')
    note = ''
    if passed + failed == 0:
        note = 'every test was skipped' if skipped else 'no test was run'
    elif code and not failed:
        note = 'stestr exit code %d' % code
    state = 'FAILED' if code or failed or note else 'ok'
    return Outcome(state, 0, note, passed, failed, skipped)


def releases(shell: Shell) -> Outcome:
    """Run the hooks inside the oldest and the newest release of each service; make releases runs all."""
    counts = os.path.join(shell.folder, 'releases.json')
    return _counted(shell, counts, ['tools/releases.py', '--ends', '--counts', counts])


def gate(shell: Shell) -> Outcome:
    """Run the short form of the live gate; each row of its table counts as a test."""
    if os.geteuid() != 0:
        return Outcome('SKIPPED', 0, 'not run by root')
    # A container has root, but seldom this.
    if shell.run(['unshare', '--net', '--pid', '--fork', '--mount-proc', '--uts', '--ipc', 'true']):
        return Outcome('SKIPPED', 0, 'no namespaces can be made here')
    counts = os.path.join(shell.folder, 'gate.json')
    return _counted(shell, counts, ['-m', 'lab.gate'], GATE='short', GATE_COUNTS=counts)


def _counted(shell: Shell, counts: str, command: typing.List[str], **extra: str) -> Outcome:
    """Run a command that makes environments of its own, and writes into a file what it counted."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(counts)
    # Not with the environment's Python.
    code = shell.run([sys.executable] + command, PATH=os.environ['PATH'],
                     **dict(extra, **{ONE_GROUP: '1'}))
    try:
        with open(counts, encoding='utf-8') as stream:
            counted = json.load(stream)
    except OSError:
        return Outcome('FAILED', 0, 'exit code %d' % code)
    return Outcome('FAILED' if code else 'ok', 0, '', **counted)


# ---- documentation ---------------------------------------------------------------------------

def docs(shell: Shell) -> Outcome:
    shutil.rmtree(os.path.join(env.ROOT, 'doc', 'build'), ignore_errors=True)
    return _all_of(shell, [
        ['sphinx-build', '-q', '-W', '--keep-going', '-b', 'html',
         '-d', 'doc/build/doctrees-' + name, source, 'doc/build/' + name]
        for source, name in (('doc/source', 'html'), ('releasenotes/source', 'releasenotes'))])


# ---- running it ------------------------------------------------------------------------------

def steps_of(kinds: typing.Iterable[str]) -> typing.List[Step]:
    steps = []      # type: typing.List[Step]
    if 'lint' in kinds:
        steps += [Step('lint: flake8, hacking', 'lint', flake8), Step('lint: mypy', 'lint', mypy),
                  Step('lint: reno, doc8', 'lint', texts),
                  Step('lint: shell scripts', 'lint', shell_scripts)]
    if 'unit' in kinds:
        for name in UNIT:
            steps.append(Step('tests: ' + name, name,
                              unit_with_coverage if name == COVERAGE else unit))
    if 'functional' in kinds:
        steps.append(Step('tests: functional', 'services', functional))
        steps.append(Step('tests: in Cinder', 'services', in_cinder))
        steps.append(Step('tests: tempest plugin', 'tempest', tempest_plugin))
    if 'releases' in kinds:
        steps.append(Step('tests: oldest and newest', 'services', releases))
    if 'docs' in kinds:
        steps.append(Step('docs', 'docs', docs))
    if GATE in kinds:
        steps.append(Step('live gate, short', 'gate', gate))
    return steps


def prepare(names: typing.Iterable[str]) -> typing.Dict[str, typing.Union[str, Outcome]]:
    """Make the environments, two at a time. Returns each one's folder, or why there is none."""
    def one(name: str) -> typing.Union[str, Outcome]:
        started = time.monotonic()
        try:
            return env.ensure(name)
        except env.Missing as missing:
            print('env %s: SKIPPED: %s' % (name, missing), flush=True)
            return Outcome('SKIPPED', 0, str(missing))
        except env.Failed as failed:
            print(failed, flush=True)
            return Outcome('FAILED', time.monotonic() - started, 'no environment')

    names = list(dict.fromkeys(names))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(one, names)))


def perform(step: Step, place: typing.Union[str, Outcome], path: str) -> Outcome:
    """Do a step, with its output in a file."""
    if isinstance(place, Outcome):
        return place
    started = time.monotonic()
    with open(path, 'a', encoding='utf-8') as output:
        outcome = step.action(Shell(place, output))
    return outcome._replace(seconds=time.monotonic() - started)


def run_steps(steps: typing.List[Step],
              places: typing.Dict[str, typing.Union[str, Outcome]]) -> typing.List[Outcome]:
    """Run the steps two at a time, and show them one after another, in their order."""
    outcomes = []
    with _temporary_folder() as folder, \
            concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool, _ended_on_interruption():
        paths = [os.path.join(folder, 'step-%d' % number) for number in range(len(steps))]
        started = {}    # type: typing.Dict[Step, typing.Any]
        # The longest first: the others, one after another, take the time that it leaves.
        for step, path in sorted(zip(steps, paths), key=lambda one: one[0].action != functional):
            open(path, 'w').close()
            started[step] = pool.submit(perform, step, places[step.environment], path)
        for step, path in zip(steps, paths):
            heading(step.title)
            _follow(started[step], path)
            outcome = started[step].result()
            outcomes.append(outcome)
            print('---- %s: %s' % (step.title, _line(outcome)), flush=True)
    return outcomes


def _follow(future: 'concurrent.futures.Future[Outcome]', path: str) -> None:
    """Print what a step writes, as long as it runs."""
    with open(path, encoding='utf-8', errors='replace') as output:
        while True:
            # In this order: what it wrote last is there when it is done.
            done = future.done()
            shutil.copyfileobj(output, sys.stdout)
            sys.stdout.flush()
            if done:
                return
            concurrent.futures.wait([future], FOLLOW_SECONDS)


@contextlib.contextmanager
def _temporary_folder() -> typing.Iterator[str]:
    """Let everything temporary be in one folder, which goes even when tests were killed.

    Its path is short, because paths of sockets must be (107 bytes).
    """
    folder = tempfile.mkdtemp(prefix='ms-')
    before = os.environ.get('TMPDIR')
    os.environ['TMPDIR'] = folder
    try:
        yield folder
    finally:
        if before is None:
            del os.environ['TMPDIR']
        else:
            os.environ['TMPDIR'] = before
        # What was killed a moment ago may still write.
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                break
            time.sleep(0.2)


@contextlib.contextmanager
def _ended_on_interruption() -> typing.Iterator[None]:
    try:
        yield
    except BaseException:
        stop_all()
        raise


def stop_all() -> None:
    """End every command that runs, and those that other threads are about to start."""
    STOPPING.set()
    groups = list(RUNNING)
    for group in groups:
        _end(group, signal.SIGTERM)
    # The live gate has gigabytes to remove.
    deadline = time.monotonic() + STOP_SECONDS
    while RUNNING.intersection(groups) and time.monotonic() < deadline:
        time.sleep(0.1)
    for group in groups:
        _end(group)


def _end(group: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def heading(text: str) -> None:
    print('\n==== %s %s' % (text, '=' * max(4, 80 - len(text))), flush=True)


def _line(outcome: Outcome) -> str:
    parts = [outcome.state, '%.1f s' % outcome.seconds]
    if outcome.passed or outcome.failed or outcome.skipped:
        parts.append('%d passed, %d failed, %d skipped' % (
            outcome.passed, outcome.failed, outcome.skipped))
    if outcome.note:
        parts.append(outcome.note)
    return ', '.join(parts)


def main(arguments: typing.List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('kind', nargs='*', help='%s; default: all, and with GATE=short in the environment %s'
                        % (', '.join(KINDS), GATE))
    parser.add_argument('--only', metavar='ENVIRONMENT', help='steps of this environment only')
    options = parser.parse_args(arguments)
    unknown = set(options.kind) - set(KINDS) - {GATE}
    if unknown:
        parser.error('no such kind of step: %s' % ', '.join(sorted(unknown)))
    started = time.monotonic()
    # Out of the environment: no test shall find it there.
    everything = KINDS + ((GATE,) if os.environ.pop('GATE', '') == 'short' else ())
    steps = [step for step in steps_of(options.kind or everything)
             if options.only in (None, step.environment)]
    if not steps:
        parser.error('no step runs in %s' % options.only)
    heading('environments')
    places = prepare(step.environment for step in steps)
    outcomes = run_steps(steps, places)
    heading('summary')
    for step, outcome in zip(steps, outcomes):
        print('%-26s %s' % (step.title, _line(outcome)))
    # A step that failed without a failing test (lint, a build) must not vanish in the last line.
    other = sum(1 for outcome in outcomes if outcome.state == 'FAILED' and not outcome.failed)
    print('%-26s %.0f s' % ('together', time.monotonic() - started))
    print('%d passed, %d failed, %d skipped' % (
        sum(outcome.passed for outcome in outcomes),
        sum(outcome.failed for outcome in outcomes) + other,
        sum(outcome.skipped for outcome in outcomes)))
    return 1 if any(outcome.state == 'FAILED' for outcome in outcomes) else 0


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
