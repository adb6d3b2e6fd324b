# SPDX-License-Identifier: Apache-2.0
"""What the tool keeps in the tree: the files as they were, and what it set out to do.

``ROOT/.multistore-hooks/PROJECT/SERIES/`` holds, for each file of the series, its original
(``before-N``), for a moment its new form (``after-N``), and ``record.json``, which names the
files with the hashes of both. All is there, and on the disk, before the first file is touched;
a file is then changed, or put back, by one rename. So there is no mark to set at the end: the
record and the hashes of the files show at any time how far it went, also after a kill.
"""

import contextlib
import json
import os
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from multistore_hooks.patching import errors
from multistore_hooks.patching import files
from multistore_hooks.patching import patch

FOLDER = '.multistore-hooks'
FORMAT = 1

BEFORE = 'before'
AFTER = 'after'
CHANGED = 'changed'


class Touched(NamedTuple):
    """One file, with the hashes before (None: there was no file) and after."""

    path: str
    before: Optional[str]
    after: str


class Record(NamedTuple):
    """What was, or is being, applied."""

    release: str
    patches: Tuple[Tuple[str, str], ...]
    """Name and hash of each patch."""
    files: Tuple[Touched, ...]


class Journal:
    """The records of one series in one tree."""

    def __init__(self, tree: files.Tree, project: str, series: str) -> None:
        self._tree = tree
        self._project = project
        self._series = series
        self._home = '%s/%s' % (FOLDER, project)
        self.folder = '%s/%s' % (self._home, series)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process change the project meanwhile; leave no empty folder behind.

        :raises Busy: at once, if another process works on it
        """
        lock: Optional[int] = None
        try:
            self._tree.mkdir(FOLDER)
            self._tree.mkdir(self._home)
            lock = self._tree.lock(self._home + '/lock')
            if lock is None:
                raise self._busy()
            yield
        finally:
            if lock is not None:
                self._drop(self._tree.unlink, self._home + '/lock')
            self._drop(self._tree.rmdir, self._home)
            self._drop(self._tree.rmdir, FOLDER)
            if lock is not None:
                os.close(lock)

    def check_idle(self) -> None:
        """Refuse to read while another run is changing things.

        :raises Busy: if one is
        """
        if self._tree.is_locked(self._home + '/lock'):
            raise self._busy()

    def _busy(self) -> errors.Busy:
        return errors.Busy('another run of this tool is at work on %s in %s'
                           % (self._project, self._tree.root))

    @staticmethod
    def _drop(remove: Callable[[str], None], path: str) -> None:
        # What cannot be removed does no harm; a folder most often is not empty.
        with contextlib.suppress(OSError, errors.UnsafePath):
            remove(path)

    def load(self) -> Optional[Record]:
        """Return the record, None if there is none.

        :raises BadRecord: if it cannot be understood
        """
        return self._load(self.folder)

    def others(self) -> Dict[str, str]:
        """Return the files that other series have changed, each with its series."""
        held = {}
        for name in self._tree.list(self._home):
            if name not in ('lock', self._series):
                record = self._load('%s/%s' % (self._home, name))
                held.update({touched.path: name for touched in record.files} if record else {})
        return held

    def _load(self, folder: str) -> Optional[Record]:
        found = self._tree.read(folder + '/record.json')
        if found is None:
            return None
        try:
            return _decode(found.data, self._project)
        except (ValueError, KeyError, TypeError, AttributeError, errors.BadPatch) as error:
            raise errors.BadRecord('%s/%s/record.json is damaged: %s' % (
                self._tree.root, folder, ' '.join(str(error).split())))

    def compare(self, record: Record) -> Dict[str, str]:
        """Return for each file of the record whether it is BEFORE, AFTER or CHANGED."""
        return {touched.path: self._state(touched) for touched in record.files}

    def _state(self, touched: Touched) -> str:
        content = self._tree.read(touched.path)
        digest = None if content is None else patch.sha256(content.data)
        if digest == touched.after:
            return AFTER
        return BEFORE if digest == touched.before else CHANGED

    def original(self, record: Record, path: str) -> Optional[files.Content]:
        """Return a file as it was before, None if it was not there.

        :raises BadRecord: if what was kept of it is gone or damaged
        """
        index, touched = next((index, touched) for index, touched in enumerate(record.files)
                              if touched.path == path)
        if touched.before is None:
            return None
        name = '%s/before-%d' % (self.folder, index)
        kept = self._tree.read(name)
        if kept is None or patch.sha256(kept.data) != touched.before:
            raise errors.BadRecord('the original of %s, kept as %s/%s, is gone or damaged; install '
                                   'the package again' % (path, self._tree.root, name))
        return kept

    def stage(self, record: Record, edits: Sequence[patch.Edit],
              model: Optional[files.Attributes]) -> None:
        """Write all that is needed, and see it on the disk. Touches no file of the project.

        :param model: owner and mode for new files; None: as the system makes them
        """
        self._tree.mkdir(self.folder)
        for index, edit in enumerate(edits):
            present = self._tree.read(edit.path)
            if present:
                self._put('before-%d' % index, present.data, present.attributes, times=True)
            self._put('after-%d' % index, edit.after, present.attributes if present else model)
        self._put('record.new', _encode(record), None)
        # The record must not be there before what it speaks of.
        self._tree.sync_folder(self.folder)
        self._tree.replace(self.folder + '/record.new', self.folder + '/record.json')
        for folder in (self.folder, self._home, FOLDER, '.'):
            self._tree.sync_folder(folder)

    def _put(self, name: str, data: bytes, attributes: Optional[files.Attributes],
             times: bool = False) -> None:
        path = '%s/%s' % (self.folder, name)
        file = self._tree.create(path)
        try:
            self._tree.write(path, file, data)
            self._tree.set_attributes(path, file, attributes or _PLAIN._replace(
                uid=os.geteuid(), gid=os.getegid()), times)
            self._tree.sync(path, file)
        finally:
            os.close(file)

    def commit(self, record: Record) -> None:
        """Put the new files in their places.

        :raises Drift: if one was changed since it was read
        """
        for index, touched in enumerate(record.files):
            if self._state(touched) != BEFORE:
                raise errors.Drift('%s was changed by another process meanwhile' % touched.path)
            self._swap(touched.path, '%s/after-%d' % (self.folder, index))
        self._tree.sync_folder(self.folder)

    def restore(self, record: Record) -> None:
        """Put the originals back, wherever the new file is in place.

        :raises BadRecord: before anything is done, if an original is gone or damaged
        """
        back = [(index, touched) for index, touched in enumerate(record.files)
                if self._state(touched) == AFTER]
        for _, touched in back:
            self.original(record, touched.path)
        for index, touched in reversed(back):
            kept = None if touched.before is None else '%s/before-%d' % (self.folder, index)
            self._swap(touched.path, kept)

    def _swap(self, path: str, source: Optional[str]) -> None:
        folder, name = os.path.split(path)
        cache = folder + '/__pycache__'
        for stale in self._tree.list(cache) if name.endswith('.py') else ():
            # Python sees by itself that a source is newer, but not of byte code that is marked
            # as unchecked. First the byte code: a kill between the two does no harm then.
            if stale.startswith(name[:-2]) and stale.endswith('.pyc'):
                self._tree.unlink('%s/%s' % (cache, stale))
        if source:
            self._tree.replace(source, path)
        else:
            self._tree.unlink(path)
        self._tree.sync_folder(folder)

    def discard(self) -> None:
        """Forget all about the series, the record first. Also clears what a kill left."""
        names = self._tree.list(self.folder)
        for name in sorted(names, key=lambda name: name != 'record.json'):
            self._tree.unlink('%s/%s' % (self.folder, name))
        if self._tree.has_folder(self.folder):
            self._tree.rmdir(self.folder)


_PLAIN = files.Attributes(0o644, 0, 0, 0, 0, ())


def _encode(record: Record) -> bytes:
    return (json.dumps({
        'format': FORMAT,
        'release': record.release,
        'patches': [{'name': name, 'sha256': digest} for name, digest in record.patches],
        'files': [{'path': touched.path, 'before': touched.before, 'after': touched.after}
                  for touched in record.files],
    }, indent=2, sort_keys=True) + '\n').encode()


def _decode(data: bytes, project: str) -> Record:
    raw = json.loads(data.decode())
    if raw['format'] != FORMAT:
        raise ValueError('it is of format %r, this tool writes %d' % (raw['format'], FORMAT))
    touched: List[Touched] = [
        Touched(patch.check_path(item['path'], project), item['before'] and str(item['before']),
                str(item['after'])) for item in raw['files']]
    if not touched:
        raise ValueError('it names no file')
    return Record(str(raw['release']),
                  tuple((str(item['name']), str(item['sha256'])) for item in raw['patches']),
                  tuple(touched))
