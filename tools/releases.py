#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prove the library on every release of Nova, Cinder and Glance; see doc/source/releases.rst.

    tox -e releases                   the oldest and the newest of each; writes no page
    tox -e releases -- --all          every release; writes the page and its JSON file
    tox -e releases -- nova-27 ...    some of them, likewise

For each release: the patch applies and reverts, upstream's own tests give the same results before and
with our classes, and our own tests of the hook pass inside it. A check that passed is not run again
until something changes that it depends on, unless FORCE=1 (or --force). Two releases at a time. Logs:
build/releases/logs. Exit code 0 when nothing failed. The last line counts the checks.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import functools
import os
import signal
import sys
import threading
import traceback
import typing

from releases_matrix import catalogue
from releases_matrix import checks
from releases_matrix import environments
from releases_matrix import page
from releases_matrix import rows
from releases_matrix import sources

AT_ONCE = 2
_printing = threading.Lock()


def say(text: str) -> None:
    with _printing:
        print(text, flush=True)


def jobs_of(names: typing.Sequence[str], ends: bool,
            force: bool) -> typing.Dict[str, typing.Callable[[], rows.Row]]:
    """Return what there is to do, by name.

    :raises ValueError: there is no release of a name
    """
    jobs: typing.Dict[str, typing.Callable[[], rows.Row]] = {}
    for release in catalogue.ends() if ends else catalogue.RELEASES:
        jobs[release.name] = functools.partial(rows.of_release, release, force, say)
    for name in () if ends else rows.LIBRARY:
        jobs['library-' + name] = functools.partial(rows.of_library, name, force, say)
    unknown = [name for name in names if name not in jobs]
    if unknown:
        raise ValueError('no such release: %s; there are: %s' % (', '.join(unknown), ' '.join(jobs)))
    return {name: job for name, job in jobs.items() if not names or name in names}


def run(jobs: typing.Dict[str, typing.Callable[[], rows.Row]]) -> typing.List[rows.Row]:
    """Do all of it, two at a time; an error in one does not end the others."""
    def one(name: str) -> rows.Row:
        try:
            return jobs[name]()
        except sources.Failed as error:
            say('%s: FAILED: %s' % (name, error))
        except Exception:
            say('%s: FAILED:\n%s' % (name, traceback.format_exc()))
        return {'name': name, 'state': checks.FAILED, 'checks': {}}

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(one, jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            environments.end_all()
            raise


@contextlib.contextmanager
def alone() -> typing.Iterator[None]:
    """Wait until no other process does this in the same checkout."""
    with open(sources.path('lock'), 'w', encoding='utf-8') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another run of this in the same checkout')
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def count(table: typing.Iterable[rows.Row]) -> typing.Dict[str, int]:
    """Return how many checks passed, failed and were skipped; our own tests count one by one."""
    counted = {'passed': 0, 'failed': 0, 'skipped': 0}
    for row in table:
        for name, check in row['checks'].items():
            if check['state'] == checks.OK and name in ('hooks', 'unit'):
                counted['passed'] += check['passed']
                counted['skipped'] += check['skipped']
            else:
                state = {checks.OK: 'passed', checks.FAILED: 'failed'}.get(check['state'], 'skipped')
                counted[state] += 1
        counted['failed'] += not row['checks']
    return counted


def show(table: typing.Iterable[rows.Row]) -> None:
    """Print one line for each row, and one for each check that did not pass."""
    for row in table:
        print('%-18s %s' % (row['name'], row['state']))
        for name, check in row['checks'].items():
            if check['state'] != checks.OK:
                print('    %s: %s' % (name, rows.line(check)))


def main(arguments: typing.List[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('name', nargs='*', help='such as nova-27, glance-33, library-py36')
    parser.add_argument('--all', action='store_true', help='all of them')
    parser.add_argument('--force', action='store_true', default=os.environ.get('FORCE') == '1',
                        help='run what passed already, too')
    options = parser.parse_args(arguments)
    ends = not options.name and not options.all
    try:
        jobs = jobs_of(options.name, ends, options.force)
    except ValueError as error:
        parser.error(str(error))
    with alone():
        table = run(jobs)
        show(table)
        if not ends:
            page.write([row for row in table if row['checks']])
            print('written: %s' % os.path.relpath(page.PAGE, environments.ROOT))
    counted = count(table)
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counted)
    return 1 if counted['failed'] else 0


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
