#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prove the library on every release of Nova, Cinder and Glance; see doc/source/releases.rst.

    tox -e releases                   the oldest and the newest of each; writes no page
    tox -e releases -- --all          every release; writes the page and its JSON file
    tox -e releases -- nova-27 ...    some of them, likewise

For each release: the patch applies and reverts, upstream's own tests give the same results before and
with our classes, and our own tests of the hook pass inside it. Two releases at a time. Logs:
build/releases/logs. Exit code 0 when nothing failed. The last line counts the checks.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
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

from lab import poll
from lab import processes

AT_ONCE = 2
_printing = threading.Lock()


def say(text: str) -> None:
    with _printing:
        print(text, flush=True)


def chosen(names: typing.Sequence[str]) -> typing.List[catalogue.Release]:
    """Return the releases of these names, or all.

    :raises ValueError: there is no release of a name
    """
    known = {release.name: release for release in catalogue.RELEASES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError('no such release: %s; there are: %s' % (', '.join(unknown), ' '.join(known)))
    return [known[name] for name in names or known]


def run(releases: typing.Sequence[catalogue.Release]) -> typing.List[rows.Row]:
    """Check all of them, two at a time; an error in one does not end the others."""
    def one(release: catalogue.Release) -> rows.Row:
        try:
            return rows.of_release(release, say)
        except poll.LabError as error:
            say('%s: FAILED: %s' % (release.name, error))
        except Exception:
            say('%s: FAILED:\n%s' % (release.name, traceback.format_exc()))
        return {'name': release.name, 'state': checks.FAILED, 'checks': {}}

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(one, releases))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end_all()
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
            if check['state'] == checks.OK and name == 'hooks':
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
    parser.add_argument('name', nargs='*', help='such as nova-27, glance-33')
    parser.add_argument('--all', action='store_true', help='all of them')
    options = parser.parse_args(arguments)
    ends = not options.name and not options.all
    try:
        releases = catalogue.ends() if ends else chosen(options.name)
    except ValueError as error:
        parser.error(str(error))
    with alone():
        table = run(releases)
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
