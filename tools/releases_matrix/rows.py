# SPDX-License-Identifier: Apache-2.0
"""One row of the table: the checks of one release."""

import contextlib
import datetime
import time
import typing

from releases_matrix import catalogue
from releases_matrix import checks
from releases_matrix import environments
from releases_matrix import sources

from lab import poll

Row = typing.Dict[str, typing.Any]
Say = typing.Callable[[str], None]
SERVICES = 'functional'


class Recorder:
    """Runs the checks of one row, and puts what they found into it."""

    def __init__(self, row: Row, say: Say) -> None:
        self.row = row
        self._say = say

    def run(self, name: str, check: typing.Callable[[], checks.Found]) -> bool:
        """Run a check; return whether it passed."""
        started = time.monotonic()
        found, state = checks.Found(), checks.OK
        try:
            found = check()
        except (poll.LabError, OSError) as error:
            found, state = checks.Found(note=str(error)), checks.FAILED
        record = dict(found._asdict(), state=state, date=today(),
                      seconds=round(time.monotonic() - started, 1))
        record.update(record.pop('more'), differences=list(found.differences))
        self.row['checks'][name] = record
        self._say('%s %s: %s' % (self.row['name'], name, line(record)))
        return state == checks.OK

    def skip(self, names: typing.Iterable[str], why: str) -> None:
        """Record that checks could not be run, and why."""
        for name in names:
            self.row['checks'][name] = {'state': checks.SKIPPED, 'note': why, 'date': today()}
            self._say('%s %s: skipped: %s' % (self.row['name'], name, why))


def today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d')


def line(check: typing.Mapping[str, typing.Any]) -> str:
    """Return a check as one line of text."""
    parts = [check['state']]
    if check.get('passed') or check.get('failed'):
        parts.append('%d passed, %d failed, %d skipped' % (
            check['passed'], check['failed'], check['skipped']))
    if check.get('differences'):
        parts.append('%d differ as expected' % len(check['differences']))
    if check.get('note'):
        parts.append(check['note'])
    return '%s, %.0f s' % (', '.join(parts), check.get('seconds', 0))


def of_release(release: catalogue.Release, say: Say) -> Row:
    """Check a release and return its row."""
    row: Row = {'name': release.name, 'project': release.project, 'version': release.version,
                'series': release.series, 'environment': release.environment,
                'overlays': list(release.overlays), 'special': release.special, 'checks': {}}
    recorder = Recorder(row, say)
    try:
        folder, services = map(environments.folder_of, (release.environment, SERVICES))
    except environments.Missing as missing:
        recorder.skip(['hooks'] if release.project == 'glance' else ['patch', 'stock', 'ours', 'hooks'],
                      str(missing))
    else:
        with _place(release, folder, services) as place:
            _run(place, recorder)
    states = [check['state'] for check in row['checks'].values()]
    row['state'] = (checks.FAILED if checks.FAILED in states
                    else checks.SKIPPED if checks.SKIPPED in states else checks.OK)
    row['date'] = today()
    return row


@contextlib.contextmanager
def _place(release: catalogue.Release, folder: str, services: str) -> typing.Iterator[checks.Place]:
    log = sources.path('logs', release.name + '.log')
    open(log, 'w', encoding='utf-8').close()
    shell, labs = environments.Shell(folder, log), environments.Shell(services, log)
    stock = sources.unpacked('%s==%s' % (release.project, release.version), shell)
    overlays = tuple(sources.unpacked(package, shell) for package in release.overlays)
    if release.project == 'glance':
        yield checks.Place(release, shell, labs, stock, stock, overlays)
        return
    with sources.copied(stock, release.name) as patched:
        yield checks.Place(release, shell, labs, stock, patched, overlays)


def _run(place: checks.Place, recorder: Recorder) -> None:
    if place.release.project != 'glance':
        recorder.run('patch', lambda: checks.patch(place))
        try:
            checks.apply_all(place)
        except poll.LabError as error:
            recorder.skip(['stock', 'ours', 'hooks'], 'the tree is not patched: %s' % error)
            return
        _run_upstream(place, recorder)
    recorder.run('hooks', lambda: checks.hooks(place))


def _run_upstream(place: checks.Place, recorder: Recorder) -> None:
    before: checks.Statuses = {}

    def stock() -> checks.Found:
        found, statuses = checks.upstream(place, 'stock')
        before.update(statuses)
        if found.failed:
            raise sources.Failed("%d of upstream's own tests fail without us" % found.failed)
        return found

    def ours() -> checks.Found:
        found, statuses = checks.upstream(place, 'ours')
        return found._replace(differences=checks.compare(before, statuses))

    if recorder.run('stock', stock):
        recorder.run('ours', ours)
    else:
        recorder.skip(['ours'], "upstream's own tests fail without us")
