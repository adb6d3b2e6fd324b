# SPDX-License-Identifier: Apache-2.0
"""Run the demo: ``make demo``, which is ``python -m lab.demo`` in the environment `services`.

GLANCE_PORT=N in the environment: the two Glances listen on ports N and N + 1 of 127.0.0.1 in place
of free ones. Exit codes: 0 everything is where it was meant to be, or where stock code is known to
go wrong; 1 something is not, or the demo could not be run; 130 and 143 it was stopped.
"""

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
from lab.demo import progress
from lab.demo import services
from lab.demo import table
from lab.demo import uploads
from lab.demo import verdict
from lab import paths
from lab.poll import LabError
from lab import processes

NEEDED = ('nova', 'cinder', 'glance', 'gunicorn')
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
        rows = _run(progress.Progress())
    except Stopped as stopped:
        print('demo: stopped, and cleaned up', file=sys.stderr)
        return 128 + int(stopped.args[0])
    except (LabError, OSError) as error:
        print('demo: %s' % _one_line(error), file=sys.stderr)
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


def _run(shown: progress.Progress) -> typing.List[verdict.Row]:
    """Set up, do every case, take down; return the rows.

    :raises LabError: something is missing, or did not work.
    """
    began = time.monotonic()
    ports = _ports(os.environ.get('GLANCE_PORT', ''))
    versions = _versions()
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix='multistore-demo-')
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # Of the services: what they leave behind goes with it.
        os.environ.update(TMPDIR=folder, XDG_CACHE_HOME=folder)
        glances = [services.glance(folder, filtered, port)
                   for filtered, port in zip((False, True), ports)]
        for one in glances:
            stack.callback(one.kill)
        stack.callback(processes.end_all)
        stack.callback(_ignore_signals)
        with shown.stage('Glance %(glance)s, without the filter and with it' % versions):
            sites = services.start(glances)
        with shown.stage('Nova %(nova)s: multistore-hooks patch apply nova' % versions):
            services.patch(services.private_nova(os.path.join(folder, 'nova-root')))
        rows = _upload(shown, versions, uploads.Place(
            folder, _cache(), os.path.join(folder, 'nova-root'), os.urandom(cases.SIZE),
            {False: sites[0], True: sites[1]}))
    print('everything: %.1f s' % (time.monotonic() - began), file=sys.stderr)
    return rows


def _upload(shown: progress.Progress, versions: typing.Dict[str, str],
            place: uploads.Place) -> typing.List[verdict.Row]:
    ended: typing.List[cases.By] = []
    with shown.stage('Nova and Cinder %(cinder)s upload' % versions) as say:
        def done(by: cases.By) -> None:
            ended.append(by)
            say('%d of %d processes done' % (len(ended), len(cases.runs())))
        return uploads.upload_all(place, done)


def _ports(wanted: str) -> typing.Tuple[typing.Optional[int], typing.Optional[int]]:
    if not wanted:
        return None, None
    if not wanted.isdigit() or not 0 < int(wanted) < 65535:
        raise LabError('GLANCE_PORT=%s: a port from 1 to 65534 is wanted' % wanted)
    return int(wanted), int(wanted) + 1


def _versions() -> typing.Dict[str, str]:
    found = {}
    for name in NEEDED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise LabError('%s is not installed for %s; "make demo" sets everything up' % (
                name, sys.executable))
    return found


def _cache() -> str:
    """Return a folder for a migrated database, which the next run is spared."""
    return os.path.join(paths.CHECKOUT, 'build', 'demo-cache')


def _one_line(error: Exception) -> str:
    """Return an error as one line; where there is more of it, that is kept in a file."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if len(lines) == 1:
        return lines[0]
    os.makedirs(_cache(), exist_ok=True)
    path = os.path.join(_cache(), 'error.log')
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write('%s\n' % error)
    return '%s ... %s (all of it: %s)' % (lines[0], lines[-1], os.path.relpath(path))


if __name__ == '__main__':
    sys.exit(main())
