# SPDX-License-Identifier: Apache-2.0
"""The checks of one release. Each returns what it found, or raises Failed with one line."""

import json
import os
import re
import shutil
import sys
import time
import typing

from releases_matrix import catalogue
from releases_matrix import environments
from releases_matrix import sources

OK, FAILED, SKIPPED = 'ok', 'FAILED', 'skipped'
TRIES = 3
# For one run of tests.
LIMIT_SECONDS = 1800
# Up to so many of upstream's tests that fail are run once more.
AGAIN = 3
# The release of which there is a variant with a later feature ported back.
BACKPORTED = 'nova-20'
UNKNOWN_RELEASE = 'unknown-release'
# For upstream's tests, as their own tox.ini has them.
QUIET = {'OS_STDOUT_CAPTURE': '1', 'OS_STDERR_CAPTURE': '1', 'OS_TEST_TIMEOUT': '300',
         'LC_ALL': 'C.UTF-8', 'TZ': 'UTC', 'PYTHONWARNINGS': 'ignore'}
DIFFERENCES = os.path.join(environments.ROOT, 'tests', 'releases', 'differences.txt')

Statuses = typing.Dict[str, str]


class Found(typing.NamedTuple):
    """What a check found: tests counted, and a remark for the table."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ''
    differences: typing.Tuple[str, ...] = ()
    more: typing.Dict[str, typing.Any] = {}


class Place(typing.NamedTuple):
    """Where a release is checked: its environment, the labs' environment, and the trees."""

    release: catalogue.Release
    shell: environments.Shell
    labs: environments.Shell
    stock: str
    patched: str
    overlays: typing.Tuple[str, ...]

    def pythonpath(self, tree: str) -> str:
        return os.pathsep.join((tree,) + self.overlays + (environments.ROOT,))


# ---- the patch tool ----------------------------------------------------------------------------

def patch(place: Place) -> Found:
    """Every series applies, and again to no effect, and reverts to the very files; time decides nothing."""
    before = sources.fingerprint(place.patched)
    series, slowest = [], 0.0
    for name in _series(place.release.project):
        if _tool(place, 'check', name)[0].get('reason') == UNKNOWN_RELEASE:
            continue
        _check_files(place, name, before)
        # The best of some, since other things run on this machine.
        slowest = max(slowest, min(_must(place, 'apply', name) + _must(place, 'revert', name)
                                   for _ in range(TRIES)))
        series.append(name)
    if not series:
        raise sources.Failed('there is no series for this release')
    return Found(passed=len(series), more={'series': series, 'slowest': round(slowest, 2)})


def _check_files(place: Place, series: str,
                 before: typing.Dict[str, typing.Tuple[typing.Any, ...]]) -> None:
    _must(place, 'apply', series)
    with_patch = sources.fingerprint(place.patched)
    if with_patch == before:
        raise sources.Failed('series %s: apply changed nothing' % series)
    _must(place, 'status', series, 'applied')
    _must(place, 'apply', series)
    if sources.fingerprint(place.patched) != with_patch:
        raise sources.Failed('series %s: applying it twice is not as once' % series)
    _must(place, 'revert', series)
    if sources.fingerprint(place.patched) != before:
        raise sources.Failed('series %s: revert does not give back the very files' % series)


def apply_all(place: Place) -> None:
    """Leave every series applied that has patches for this release.

    :raises Failed: one does not apply
    """
    for name in _series(place.release.project):
        response, _seconds = _tool(place, 'apply', name)
        if response['exit_code'] and response['reason'] != UNKNOWN_RELEASE:
            raise sources.Failed('series %s: %s' % (name, response['message']))


def _series(project: str) -> typing.List[str]:
    with open(os.path.join(environments.ROOT, 'patches', project, 'series'), encoding='utf-8') as stream:
        return re.findall(r'^series\s+(\S+)', stream.read(), re.MULTILINE)


def _must(place: Place, verb: str, series: str, state: str = '') -> float:
    response, seconds = _tool(place, verb, series)
    if response['exit_code'] or state not in ('', response['state']):
        raise sources.Failed('series %s: %s: %s' % (series, verb, response['message']))
    return seconds


def _tool(place: Place, verb: str, series: str) -> typing.Tuple[typing.Dict[str, typing.Any], float]:
    """Run the tool as an operator does; return what it says, and how long it took."""
    command = [os.path.join(place.labs.folder, 'bin', 'multistore-hooks'), 'patch', verb,
               place.release.project, '--root', place.patched, '--series', series, '--format', 'json']
    started = time.monotonic()
    done = place.labs.read(command)
    seconds = time.monotonic() - started
    try:
        return dict(json.loads(done.output)), seconds
    except ValueError:
        raise sources.Failed('series %s: %s ended with %d and no response' % (
            series, verb, done.code))


# ---- upstream's own tests ----------------------------------------------------------------------

def upstream(place: Place, whose: str) -> typing.Tuple[Found, Statuses]:
    """Run the release's own tests, 'stock' or on 'ours'; return the counts, and each test's status.

    Some of them leave a thread behind that now and then disturbs another test, so those that fail
    without a reason that we know are run once more, alone; the remark then names them.
    """
    statuses = _run_upstream(place, whose, [])
    odd = [test for test in _failed(statuses) if whose == 'stock' or test not in expected_differences()]
    if not 0 < len(odd) <= AGAIN:
        return _counted(statuses), statuses
    statuses.update(_run_upstream(place, whose, odd))
    good = [test for test in odd if statuses[test] == 'ok']
    note = 'only when run again: %s' % ', '.join(good) if good else ''
    return _counted(statuses)._replace(note=note), statuses


def _run_upstream(place: Place, whose: str, only: typing.List[str]) -> Statuses:
    folder = sources.path('work', place.release.name + '-' + whose, '')
    results = os.path.join(folder, 'results.tsv')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tree = place.stock if whose == 'stock' else place.patched
    code = place.shell.run(
        ['python', '-m', 'tests.releases.upstream', place.release.project, whose, results] + only,
        LIMIT_SECONDS, PYTHONPATH=place.pythonpath(tree), **QUIET)
    statuses = _read(results, code)
    shutil.rmtree(folder, ignore_errors=True)
    return statuses


def compare(stock: Statuses, ours: Statuses) -> typing.Tuple[str, ...]:
    """Return the tests that differ, as they are expected to.

    :raises Failed: another one differs, or one of these does not
    """
    differ = {test for test in set(stock) | set(ours) if stock.get(test) != ours.get(test)}
    expected = {test for test in expected_differences() if test in stock}
    if differ - expected:
        raise sources.Failed('%d of upstream\'s tests differ on our classes: %s' % (
            len(differ - expected), ', '.join(sorted(differ - expected)[:3])))
    if expected - differ:
        raise sources.Failed('listed in differences.txt, and does not differ: %s' % (
            ', '.join(sorted(expected - differ))))
    return tuple(sorted(differ))


def expected_differences() -> typing.Dict[str, str]:
    """Return {test id: why it differs}."""
    reasons: typing.Dict[str, str] = {}
    with open(DIFFERENCES, encoding='utf-8') as stream:
        text = re.sub(r'^#.*\n', '', stream.read(), flags=re.MULTILINE)
    for block in re.split(r'\n\s*\n', text):
        tests = [line.strip() for line in block.splitlines() if line and not line.startswith(' ')]
        reason = ' '.join(line.strip() for line in block.splitlines() if line.startswith(' '))
        reasons.update(dict.fromkeys(tests, reason))
    return reasons


# ---- our own tests -----------------------------------------------------------------------------

def hooks(place: Place) -> Found:
    """Run our tests of the hook, with the release in processes of its own."""
    folder = sources.path('work', place.release.name + '-hooks', '')
    os.makedirs(folder, exist_ok=True)
    results = os.path.join(folder, 'results.tsv')
    modules = ['tests.releases.test_' + place.release.project]
    # On the newest they are functional tests.
    if place.release.project != 'nova' and place.release not in catalogue.newest():
        modules.append('tests.releases.test_volume_store')
    if place.release.name == BACKPORTED:
        modules.append('tests.releases.test_backport')
    code = place.labs.run(
        ['python', '-W', 'ignore', '-m', 'tests.releases.runner', results] + modules, LIMIT_SECONDS,
        RELEASE_PYTHON=os.path.join(place.shell.folder, 'bin', 'python'),
        RELEASE_STOCK=place.stock, RELEASE_PATCHED=place.patched, RELEASE_VERSION=place.release.version,
        RELEASE_PROJECT=place.release.project,
        RELEASE_OVERLAYS=os.pathsep.join(place.overlays),
        RELEASE_CACHE=sources.path('cache', place.release.name))
    statuses = _read(results, code)
    shutil.rmtree(folder, ignore_errors=True)
    found = _counted(statuses)
    if found.failed:
        raise sources.Failed('%d of our tests failed: %s' % (found.failed, ', '.join(_failed(statuses)[:3])))
    return found


def _read(results: str, code: int) -> Statuses:
    if not os.path.exists(results) or code not in (0, 1):
        raise sources.Failed('the tests could not be run (exit %d)' % code)
    with open(results, encoding='utf-8') as stream:
        return {test: status for status, test in (line.rstrip('\n').split('\t', 1) for line in stream)}


def _failed(statuses: Statuses) -> typing.List[str]:
    return sorted(test for test, status in statuses.items()
                  if status in ('FAIL', 'ERROR', 'unexpected success'))


def _counted(statuses: Statuses) -> Found:
    failed = len(_failed(statuses))
    skipped = sum(status == 'skip' for status in statuses.values())
    if len(statuses) == skipped:
        raise sources.Failed('no test was run')
    return Found(len(statuses) - failed - skipped, failed, skipped)


if sys.version_info < (3, 9):
    sys.exit('tools/releases.py needs Python 3.9 or later')
