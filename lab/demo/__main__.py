# SPDX-License-Identifier: Apache-2.0
"""Run the demo: ``make demo``, which is ``python -m lab.demo`` in the environment `services`.

GLANCE_PORT=N in the environment: the two Glances listen on ports N and N + 1 of 127.0.0.1 in place
of free ones. Exit codes: 0 everything is where it was meant to be, or where stock code is known to
go wrong; 1 something is not, or the demo could not be run; 130 and 143 it was stopped.
"""

import concurrent.futures
import contextlib
import importlib.metadata
import os
import shutil
import signal
import sys
import tempfile
import time
import typing

from lab.demo import cases
from lab.demo import services
from lab.demo import table
from lab.demo import uploads
from lab.demo import verdict
from lab.poll import LabError
from lab import processes

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

LEGEND = '''\
Glance's stores: reliable, fast (the default) and cheap, each a folder. There is none called gold.
stock: the service as it was released. hooks: the same code, with multistore-hooks configured in it.
filter: is the filter of multistore-hooks in Glance's pipeline? It works for stock services too.
defect: not where it was meant to be, or not whole, or refused late; as stock code is known to do.'''

NEXT = '''\
What next: README.rst, section "In a cloud", has the few lines that put each hook into a service
that you run, how to see that it works, and how to take it out again.'''


class Stopped(BaseException):
    """A signal requested the end; the argument is its number."""


def main() -> int:
    """Run the demo and return its exit code."""
    for one in SIGNALS:
        if signal.getsignal(one) is not signal.SIG_IGN:     # nohup
            signal.signal(one, _stop)
    try:
        rows = _run()
    except Stopped as stopped:
        print('demo: stopped, and cleaned up', file=sys.stderr)
        return 128 + int(stopped.args[0])
    except (LabError, OSError) as error:
        print('demo: %s' % error, file=sys.stderr)
        return 1
    return report(rows)


def report(rows: typing.Sequence[verdict.Row]) -> int:
    """Print the table and what belongs to it; return the exit code that the rows deserve."""
    print('\n%s\n\n%s\n\nBy row:\n%s\n\n%s\n\n%s' % (
        LEGEND, table.render(rows), table.notes(rows), table.summary(rows), NEXT))
    return verdict.exit_code(rows)


def _stop(number: int, _frame: typing.Any) -> None:
    _ignore_signals()           # what follows is the cleaning up
    os.write(2, b'\ndemo: stopping ...\n')      # not print: it may be amid another one
    raise Stopped(number)


def _ignore_signals() -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def _run() -> typing.List[verdict.Row]:
    """Set up, do every case, take down; return the rows.

    :raises LabError: something is missing, or did not work.
    """
    ports = _ports(os.environ.get('GLANCE_PORT', ''))
    versions = {name: _version(name) for name in ('nova', 'cinder', 'glance', 'gunicorn')}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_stage('everything'))
        folder = tempfile.mkdtemp(prefix='multistore-demo-')
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # What is left behind, by the services or where a signal ends all, goes with it.
        os.environ.update(TMPDIR=folder, XDG_CACHE_HOME=folder)
        tempfile.tempdir = folder
        glances = [services.glance(folder, filtered, port)
                   for filtered, port in zip((False, True), ports)]
        for one in glances:
            stack.callback(one.kill)
        stack.callback(processes.end_all)
        stack.callback(_ignore_signals)
        with _stage('Glance %(glance)s, without the filter and with it' % versions), \
                concurrent.futures.ThreadPoolExecutor() as pool:
            sites = list(pool.map(services.start, glances))
        with _stage('Nova %(nova)s: multistore-hooks patch apply nova' % versions):
            nova = services.patched_nova(os.path.join(folder, 'nova-root'))
        with _stage('Nova %(nova)s and Cinder %(cinder)s upload' % versions):
            return uploads.upload_all(uploads.Place(folder, nova, os.urandom(cases.SIZE), sites))


@contextlib.contextmanager
def _stage(title: str) -> typing.Iterator[None]:
    """Print what goes on, and how long it took; on a terminal at its beginning, too."""
    began = time.monotonic()
    if sys.stderr.isatty():
        print(title, '...', end='\r', file=sys.stderr, flush=True)
    yield
    print('%-62s %5.1f s' % (title, time.monotonic() - began), file=sys.stderr)


def _ports(wanted: str) -> typing.Sequence[typing.Optional[int]]:
    if not wanted:
        return None, None
    if not wanted.isdigit() or not 0 < int(wanted) < 65535:
        raise LabError('GLANCE_PORT=%s: a port from 1 to 65534 is wanted' % wanted)
    return int(wanted), int(wanted) + 1


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise LabError('%s is not installed for %s; "make demo" sets everything up' % (name, sys.executable))


if __name__ == '__main__':
    sys.exit(main())
