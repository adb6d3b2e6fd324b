# SPDX-License-Identifier: Apache-2.0
"""One row of the table: the checks of one release, run or remembered."""

import contextlib
import datetime
import json
import os
import time
import typing

from releases_matrix import catalogue
from releases_matrix import checks
from releases_matrix import environments
from releases_matrix import inputs
from releases_matrix import sources

Row = typing.Dict[str, typing.Any]
Say = typing.Callable[[str], None]
Check = typing.Callable[[], checks.Found]
LIBRARY = ('py36', 'py39', 'py311', 'py311-train', 'py313')
TRAIN = ('py36', 'py311-train')
SERVICES = 'functional'


class Recorder:
    """Runs the checks of one row, unless an earlier run on the same inputs has passed them."""

    def __init__(self, row: Row, force: bool, say: Say) -> None:
        self.row = row
        self._old = {} if force else remembered(row['name']).get('checks', {})
        self._say = say
        row['checks'] = {}

    def is_known(self, name: str, digest: str) -> bool:
        """Return whether a check need not be run; then its result is in the row."""
        old = self._old.get(name, {})
        if old.get('inputs') != digest or old.get('state') != checks.OK:
            return False
        self.row['checks'][name] = old
        return True

    def run(self, name: str, digest: str, check: Check) -> bool:
        """Run a check and note what it found; return whether it passed."""
        started = time.monotonic()
        found, state = checks.Found(), checks.OK
        try:
            found = check()
        except (sources.Failed, OSError) as error:
            found, state = checks.Found(note=str(error)), checks.FAILED
        noted = dict(found._asdict(), state=state, inputs=digest, date=today(),
                     seconds=round(time.monotonic() - started, 1))
        noted.update(noted.pop('more'), differences=list(found.differences))
        self.row['checks'][name] = noted
        self._say('%s %s: %s' % (self.row['name'], name, line(noted)))
        return state == checks.OK

    def skip(self, name: str, note: str) -> None:
        """Note that a check could not be run, and why."""
        self.row['checks'][name] = {'state': checks.SKIPPED, 'note': note, 'date': today()}
        self._say('%s %s: skipped: %s' % (self.row['name'], name, note))


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


def remembered(name: str) -> Row:
    """Return the row as the last run left it; empty where there was none."""
    try:
        with open(sources.path('results', name + '.json'), encoding='utf-8') as stream:
            return dict(json.load(stream))
    except (OSError, ValueError):
        return {}


def remember(row: Row) -> None:
    """Keep a row for the next run."""
    path = sources.path('results', row['name'] + '.json')
    with open(path + '.new', 'w', encoding='utf-8') as stream:
        json.dump(row, stream, indent=1, sort_keys=True)
    os.replace(path + '.new', path)


# ---- a release of a service --------------------------------------------------------------------

def of_release(release: catalogue.Release, force: bool, say: Say) -> Row:
    """Check a release and return its row."""
    row: Row = {'name': release.name, 'project': release.project, 'version': release.version,
                'series': release.series, 'environment': release.environment,
                'overlays': list(release.overlays), 'special': release.special}
    recorder = Recorder(row, force, say)
    wanted = [(name, inputs.digest(what, release.environment, release))
              for name, what in _wanted(release.project)]
    wanted = [(name, digest) for name, digest in wanted if not recorder.is_known(name, digest)]
    if wanted:
        try:
            folder, services = map(environments.folder_of, (release.environment, SERVICES))
        except environments.Missing as missing:
            for name, _digest in wanted:
                recorder.skip(name, str(missing))
        else:
            row['python'] = checks.python_of(folder)
            with _place(release, folder, services) as place:
                _run(place, recorder, dict(wanted))
    row.setdefault('python', remembered(release.name).get('python', ''))
    return finish(row)


def _wanted(project: str) -> typing.List[typing.Tuple[str, typing.Tuple[str, ...]]]:
    if project == 'glance':
        return [('hooks', inputs.HOOKS)]
    return [('patch', inputs.PATCH), ('stock', inputs.STOCK), ('ours', inputs.OURS),
            ('hooks', inputs.HOOKS)]


@contextlib.contextmanager
def _place(release: catalogue.Release, folder: str, services: str) -> typing.Iterator[checks.Place]:
    with open(sources.path('logs', release.name + '.log'), 'w', encoding='utf-8') as log:
        shell = environments.Shell(folder, log)
        stock = sources.unpacked(release, shell)
        overlays = tuple(sources.overlays(release, shell))
        with contextlib.ExitStack() as stack:
            patched = stock
            if release.project != 'glance':
                patched = stack.enter_context(sources.copied(stock, release.name))
            yield checks.Place(release, shell, services, stock, patched, overlays)


def _run(place: checks.Place, recorder: Recorder, wanted: typing.Dict[str, str]) -> None:
    if place.release.project != 'glance':
        if 'patch' in wanted:
            recorder.run('patch', wanted['patch'], lambda: checks.patch(place))
        try:
            checks.apply_all(place)
        except sources.Failed as error:
            for name in set(wanted) - {'patch'}:
                recorder.skip(name, 'the tree is not patched: %s' % error)
            return
        if 'stock' in wanted or 'ours' in wanted:
            _run_upstream(place, recorder, wanted)
    if 'hooks' in wanted:
        recorder.run('hooks', wanted['hooks'], lambda: checks.hooks(place))


def _run_upstream(place: checks.Place, recorder: Recorder, wanted: typing.Dict[str, str]) -> None:
    kept = sources.path('results', place.release.name + '-stock.json')

    def stock() -> checks.Found:
        found, statuses = checks.upstream(place, 'stock')
        with open(kept, 'w', encoding='utf-8') as stream:
            json.dump(statuses, stream)
        if found.failed:
            raise sources.Failed("%d of upstream's own tests fail without us" % found.failed)
        return found

    def ours() -> checks.Found:
        with open(kept, encoding='utf-8') as stream:
            before = json.load(stream)
        found, statuses = checks.upstream(place, 'ours')
        return found._replace(differences=checks.compare(before, statuses))

    if 'stock' in wanted or not os.path.exists(kept):
        digest = wanted.get('stock') or recorder.row['checks']['stock']['inputs']
        if not recorder.run('stock', digest, stock):
            recorder.skip('ours', "upstream's own tests fail without us")
            return
    if 'ours' in wanted:
        recorder.run('ours', wanted['ours'], ours)


# ---- the library itself ------------------------------------------------------------------------

def of_library(environment: str, force: bool, say: Say) -> Row:
    """Run the library's unit tests in one of its environments and return the row."""
    name = 'library-' + environment
    row: Row = {'name': name, 'project': 'library', 'environment': environment, 'special': '',
                'version': '', 'series': 'Train' if environment in TRAIN else 'newest'}
    recorder = Recorder(row, force, say)
    digest = inputs.digest(inputs.LIBRARY, environment)
    if not recorder.is_known('unit', digest):
        try:
            folder = environments.folder_of(environment)
        except environments.Missing as missing:
            recorder.skip('unit', str(missing))
        else:
            with open(sources.path('logs', name + '.log'), 'w', encoding='utf-8') as log:
                recorder.run('unit', digest, lambda: checks.library(environments.Shell(folder, log)))
    row['python'] = row['checks']['unit'].get('note', '')
    return finish(row)


def finish(row: Row) -> Row:
    """Give the row its own state and date, and keep it."""
    states = [check['state'] for check in row['checks'].values()]
    row['state'] = (checks.FAILED if checks.FAILED in states
                    else checks.SKIPPED if checks.SKIPPED in states else checks.OK)
    row['date'] = max(check['date'] for check in row['checks'].values())
    remember(row)
    return row
