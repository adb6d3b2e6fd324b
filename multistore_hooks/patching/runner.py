# SPDX-License-Identifier: Apache-2.0
"""status, check, apply and revert of one series in one tree."""

import contextlib
import os
import sys
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

from multistore_hooks.patching import errors
from multistore_hooks.patching import files
from multistore_hooks.patching import journal
from multistore_hooks.patching import patch
from multistore_hooks.patching import release
from multistore_hooks.patching import series

APPLIED = 'applied'
NOT_APPLIED = 'not-applied'
HALF_APPLIED = 'half-applied'
OUTDATED = 'outdated'

_WORDS = {journal.AFTER: APPLIED, journal.BEFORE: NOT_APPLIED, journal.CHANGED: 'changed'}


class Request(NamedTuple):
    """What the command line requests; None: to be determined."""

    project: str
    root: Optional[str] = None
    series: Optional[str] = None
    release: Optional[str] = None
    patches: Optional[str] = None
    """The directory of the patches."""


class FileReport(NamedTuple):
    """One file of a series: `applied`, `not-applied` or `changed`; offsets in lines."""

    path: str
    state: str
    offsets: Tuple[int, ...] = ()


class Report(NamedTuple):
    """What was found, or what was done."""

    state: str
    message: str
    root: str
    series: str
    release: str
    patches: Tuple[str, ...]
    files: Tuple[FileReport, ...]


class _View(NamedTuple):
    """A series as it is in the tree."""

    state: str
    record: Optional[journal.Record]
    marks: Dict[str, str]
    """For each recorded file whether it is before, after or changed."""


@contextlib.contextmanager
def _explained(hint: str = '') -> Iterator[None]:
    """Return in one line what the operating system refused."""
    try:
        yield
    except OSError as error:
        raise errors.CannotWrite('%s: %s%s' % (error.filename, error.strerror, hint)) from error


class Runner:
    """One series of one project in one tree.

    All methods raise PatchError where they refuse; then nothing was changed, unless the
    message says so.
    """

    def __init__(self, request: Request, tree_class: Type[files.Tree] = files.Tree) -> None:
        """Find the tree, the series and the release, and read the patches.

        :param tree_class: makes the Tree from its root; tests break its operations
        """
        found = series.load(request.patches or series.find_folder(), request.project)
        self._series = series.choose(found, request.project, request.series)
        root = request.root or release.find_root(request.project)
        self._tree = tree_class(root)
        with _explained():
            if not self._tree.has_folder(request.project):
                raise errors.BadInput('there is no package %s in %s; --root is the directory that '
                                      'holds it' % (request.project, root))
        self._journal = journal.Journal(self._tree, request.project, self._series.name)
        self._release = request.release or ''
        self._patches: List[patch.Patch] = []
        self._unknown: Optional[errors.UnknownRelease] = None
        try:
            if not self._release:
                folders = [self._tree.root] + ([] if request.root else sys.path)
                self._release = release.find_version(request.project, folders) or ''
            self._patches = self._series.patches(self._known_release())
        except errors.UnknownRelease as error:
            self._unknown = error  # does not matter for what was recorded

    def _known_release(self) -> int:
        number = release.major(self._release)
        known = self._series.releases()
        if number is None or number not in known:
            raise errors.UnknownRelease(
                'the release of %s in %s is %s; series %s is for releases %s to %s: to take the '
                'patches of one of these, name it with --release'
                % (self._series.project, self._tree.root, self._release or 'unknown',
                   self._series.name, min(known, default='-'), max(known, default='-')))
        return number

    def status(self) -> Report:
        """Report how the tree is."""
        with _explained():
            self._journal.check_idle()
            view = self._look()
        return self._report(view, {
            APPLIED: 'applied' if view.record else 'applied, but not by this tool',
            NOT_APPLIED: 'not applied',
            HALF_APPLIED: 'half applied, a run was interrupted: '
                          'apply again to finish, or revert to undo',
            OUTDATED: 'applied, but from another text of the patch: apply again to renew it',
        }[view.state])

    def check(self) -> Report:
        """Return whether `apply` would succeed; changes nothing."""
        with _explained():
            self._journal.check_idle()
            view = self._look()
            if view.state == APPLIED:
                return self._report(view, 'applied already')
            return self._report(view, 'can be applied', self._plan(view))

    def apply(self) -> Report:
        """Apply the series as a whole, or change nothing."""
        with _explained('; nothing was changed'), self._journal.locked():
            view = self._look()
            if view.state == APPLIED:
                return self._report(view, 'applied already, nothing to do')
            edits = self._plan(view)
            if view.record:
                self._restore(view.record)
            with _explained('; the files are as without the patch'):
                record = self._put_in(edits)
            done = _View(APPLIED, record, {edit.path: journal.AFTER for edit in edits})
            return self._report(done, 'applied now; restart the services of %s to load it'
                                % self._series.project, edits)

    def _put_in(self, edits: Sequence[patch.Edit]) -> journal.Record:
        record = journal.Record(self._release, self._digests(), tuple(
            journal.Touched(edit.path, None if edit.before is None else patch.sha256(edit.before),
                            patch.sha256(edit.after)) for edit in edits))
        self._journal.discard()
        try:
            self._journal.stage(record, edits, self._model())
            self._journal.commit(record)
        except BaseException:
            self._restore(record)
            with contextlib.suppress(OSError):
                self._journal.discard()
            raise
        return record

    def revert(self) -> Report:
        """Put the files back as they were before `apply`."""
        with _explained('; nothing was changed'), self._journal.locked():
            view = self._look()
            if view.state == APPLIED and not view.record:
                raise errors.Drift('the series was not applied by this tool, which has no '
                                   'originals to put back: take it out the way it came in')
            if view.record:
                self._check_unchanged(view)
                self._restore(view.record)
            with contextlib.suppress(OSError):
                # Records that name files as they are now do no harm if they stay.
                self._journal.discard()
            was = view.state != NOT_APPLIED
            marks = {path: mark if mark == journal.CHANGED else journal.BEFORE
                     for path, mark in view.marks.items()}
            return self._report(
                _View(NOT_APPLIED, view.record, marks),
                'reverted; restart the services of %s' % self._series.project
                if was else 'not applied, nothing to revert')

    def _look(self) -> _View:
        record = self._journal.load()
        if record is None:
            return self._look_without_record()
        marks = self._journal.compare(record)
        kinds = set(marks.values())
        if kinds == {journal.AFTER}:
            renewed = bool(self._patches) and self._digests() != record.patches
            return _View(OUTDATED if renewed else APPLIED, record, marks)
        view = _View(HALF_APPLIED if journal.AFTER in kinds else NOT_APPLIED, record, marks)
        if journal.CHANGED in kinds:
            # An upgrade of the package puts new files in place: as good as never patched.
            try:
                self._plan(view)
            except errors.Drift as error:
                raise errors.Drift('%s changed since the series was applied, and now %s' % (
                    _changed(view), error))
        return view

    def _look_without_record(self) -> _View:
        nothing = _View(NOT_APPLIED, None, {})
        carried = patch.carries_all(self._patches, self._read)
        try:
            self._plan(nothing)
        except errors.Drift:
            if not carried:
                raise
            return _View(APPLIED, None, {change.path: journal.AFTER for text in self._patches
                                         for change in text.changes})
        if carried:
            raise errors.Drift('the series is in the files already, and could be applied again: '
                               'it was applied by hand to something else')
        return nothing

    def _plan(self, view: _View) -> List[patch.Edit]:
        """Return what to do to each file; what is patched counts as it was before."""
        if self._unknown:
            raise self._unknown
        self._check_free()

        def read(path: str) -> Optional[bytes]:
            if view.record and view.marks.get(path) == journal.AFTER:
                kept = self._journal.original(view.record, path)
                return kept.data if kept else None
            return self._read(path)

        try:
            edits = patch.apply_all(self._patches, read)
        except errors.Drift as error:
            raise errors.Drift('%s%s' % (error, self._advice(read)))
        for edit in edits:
            if not self._tree.has_folder(os.path.dirname(edit.path)):
                raise errors.Drift('the directory of %s is missing' % edit.path)
        return edits

    def _check_free(self) -> None:
        held = self._journal.others()
        for text in self._patches:
            for change in text.changes:
                if change.path in held:
                    raise errors.Drift('%s is changed by series %s: revert that first'
                                       % (change.path, held[change.path]))

    def _advice(self, read: patch.Read) -> str:
        """Say what else is known about files that the series does not fit."""
        there = [change.path for text in self._patches for change in text.changes
                 if patch.carries_all([text._replace(changes=(change,))], read)]
        if there:
            return '; but %s is as the patch leaves it: a part was applied by hand' % (
                ', '.join(there))
        # A vendor may have ported code back: another release's text may be the right one.
        for number in self._series.releases():
            with contextlib.suppress(errors.Drift):
                patch.apply_all(self._series.patches(number), read)
                return '; the patches of release %d would fit (--release %d)' % (number, number)
        return ''

    def _check_unchanged(self, view: _View) -> None:
        if journal.AFTER in view.marks.values() and journal.CHANGED in view.marks.values():
            raise errors.Drift('%s changed since the series was applied; nothing was reverted'
                               % _changed(view))

    def _restore(self, record: journal.Record) -> None:
        with _explained('; the series may be applied in part: after fixing this, request its '
                        'status and revert it'):
            self._journal.restore(record)

    def _read(self, path: str) -> Optional[bytes]:
        content = self._tree.read(path)
        return None if content is None else content.data

    def _model(self) -> Optional[files.Attributes]:
        """Return owner and mode for a new file: those of the package's own."""
        content = self._tree.read(self._series.project + '/__init__.py')
        return content.attributes._replace(extended=()) if content else None

    def _digests(self) -> Tuple[Tuple[str, str], ...]:
        return tuple((text.name, text.sha256) for text in self._patches)

    def _report(self, view: _View, message: str, edits: Sequence[patch.Edit] = ()) -> Report:
        states = {path: _WORDS[mark] for path, mark in view.marks.items()}
        offsets = {edit.path: edit.offsets for edit in edits}
        for text in self._patches:
            for change in text.changes:
                states.setdefault(change.path, NOT_APPLIED)
        return Report(
            view.state, message, self._tree.root, self._series.name, self._release,
            tuple(text.name for text in self._patches),
            tuple(FileReport(path, state, offsets.get(path, ()))
                  for path, state in sorted(states.items())))


def _changed(view: _View) -> str:
    return ', '.join(sorted(path for path, mark in view.marks.items() if mark == journal.CHANGED))
