# SPDX-License-Identifier: Apache-2.0
"""Patch texts: read strictly, applied to bytes. Nothing here touches a file.

What is accepted is less than git or patch(1) accept: edits of files and new files, named
``a/…`` and ``b/…``, and nothing else. What applies here applies with ``git apply`` too, and
gives the same bytes.
"""

import hashlib
import io
import itertools
import re
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from unidiff import patch as unified

from multistore_hooks.patching import errors

Lines = Tuple[bytes, ...]
Read = Callable[[str], Optional[bytes]]

_PATH = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*\Z')
_FILE_STARTS = ('--- ', 'diff --git ')
_HUNK_HEAD = re.compile(r'@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*')
_NO_NEWLINE = ' No newline at end of file\n'


class Hunk(NamedTuple):
    """Lines (with their line ends) to be found, and what comes in their place."""

    old_start: int
    """Where the patch says the old lines start, counted from 1."""
    old: Lines
    new_start: int
    new: Lines
    trailing: int
    """How many unchanged lines end the hunk; with none it stands at the end of its file."""


class Change(NamedTuple):
    """What one patch does to one file."""

    path: str
    adds: bool
    """Is the file new?"""
    hunks: Tuple[Hunk, ...]


class Patch(NamedTuple):
    """One patch text."""

    name: str
    sha256: str
    changes: Tuple[Change, ...]


class Edit(NamedTuple):
    """What a whole series makes of one file."""

    path: str
    before: Optional[bytes]
    """None: there is no such file yet."""
    after: bytes
    offsets: Tuple[int, ...]
    """For each hunk, by how many lines it is away from where its patch says."""


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()


def check_path(path: str, project: str) -> str:
    """Return path if it is a plain path below the project's package.

    :raises BadPatch: for anything else, `..`, a leading slash or a hidden name among it
    """
    if not _PATH.match(path) or not path.startswith(project + '/'):
        raise errors.BadPatch('the path %r is not allowed, only plain ones below %s/'
                              % (path, project))
    return path


def parse(name: str, data: bytes, project: str) -> Patch:
    """Read a patch.

    :param name: what to call it in messages
    :param data: its whole text, the DEP-3 header included
    :param project: the package, of which alone it may change files
    :raises BadPatch: for everything that is not an edit of a text file or a new text file
    """
    try:
        return Patch(name, sha256(data), tuple(_changes(data, project)))
    except errors.BadPatch as error:
        raise errors.BadPatch('patch %s: %s' % (name, error))


def _changes(data: bytes, project: str) -> Iterator[Change]:
    # As Latin-1 every byte is one character, and comes back as it was.
    lines = [line.decode('latin-1') for line in io.BytesIO(data).readlines()]
    body = list(itertools.dropwhile(lambda line: not line.startswith(_FILE_STARTS), lines))
    if '\0' in ''.join(body):
        raise errors.BadPatch('it holds binary data')
    try:
        files = unified.PatchSet(body)
    except Exception as error:
        # unidiff's own error, but in old releases also UnboundLocalError and the like.
        raise errors.BadPatch('it cannot be parsed: %s' % ' '.join(str(error).split()))
    if not files:
        raise errors.BadPatch('it changes no file')
    _account(files, body)
    seen = set()
    for file in files:
        change = _change(file, project)
        if change.path in seen:
            raise errors.BadPatch('it changes %s in two places' % change.path)
        seen.add(change.path)
        yield change


def _account(files: Sequence[unified.PatchedFile], body: List[str]) -> None:
    """Refuse a text of which the parser skipped or bent a line (it is lenient)."""
    expected = [line for file in files for line in _spelled(file)]
    for ours, theirs in itertools.zip_longest(expected, body, fillvalue=''):
        if ours not in (theirs, _normal(theirs)):
            raise errors.BadPatch('this line is not understood: %r' % (theirs or ours).rstrip())


def _spelled(file: unified.PatchedFile) -> Iterator[str]:
    for info in file.patch_info or ():
        yield str(info)
    if file:
        yield '--- %s\n' % file.source_file
        yield '+++ %s\n' % file.target_file
    for hunk in file:
        yield '@@ -%d,%d +%d,%d @@\n' % (
            hunk.source_start, hunk.source_length, hunk.target_start, hunk.target_length)
        for line in hunk:
            yield '%s%s' % (line.line_type, line.value)


def _normal(line: str) -> str:
    """Return a header line without a time stamp, a section name or left out counts."""
    if line == '\n':
        return ' \n'  # an empty context line, its space stripped by an editor
    if line.startswith(('--- ', '+++ ')):
        return line.split('\t')[0].rstrip('\n') + '\n'
    head = _HUNK_HEAD.match(line)
    if head:
        start, length, new_start, new_length = head.groups('1')
        return '@@ -%d,%d +%d,%d @@\n' % (
            int(start), int(length), int(new_start), int(new_length))
    return line


def _change(file: unified.PatchedFile, project: str) -> Change:
    adds = file.source_file == '/dev/null'
    target = str(file.target_file)
    if target == '/dev/null':
        raise errors.BadPatch('it removes %s, which is not supported' % file.source_file)
    path = check_path(target[2:] if target.startswith('b/') else '/' + target, project)
    if not adds and file.source_file != 'a/' + path:
        raise errors.BadPatch('it renames or copies %s, which is not supported' % path)
    allowed = r'diff --git a/{0} b/{0}\n|index [0-9a-f]+\.\.[0-9a-f]+( 100644)?\n'.format(
        re.escape(path)) + (r'|new file mode 100644\n' if adds else '')
    for line in file.patch_info or ():
        if not re.match(r'(%s)\Z' % allowed, line):
            raise errors.BadPatch('%s: %r is not supported' % (path, line.rstrip()))
    hunks = tuple(_hunk(path, hunk) for hunk in file)
    if not hunks:
        raise errors.BadPatch('%s: there is no hunk, or it is binary' % path)
    if adds and (len(hunks) > 1 or hunks[0].old or hunks[0].new_start != 1):
        raise errors.BadPatch('%s: a new file is one hunk of new lines' % path)
    if not adds and not all(hunk.old for hunk in hunks):
        raise errors.BadPatch('%s: a hunk without context fits anywhere' % path)
    return Change(path, adds, hunks)


def _hunk(path: str, hunk: unified.Hunk) -> Hunk:
    old: List[bytes] = []
    new: List[bytes] = []
    trailing = 0
    last: Tuple[List[bytes], ...] = ()
    for line in hunk:
        text = line.value.encode('latin-1')
        if line.line_type == '\\':
            if line.value != _NO_NEWLINE or not last:
                raise errors.BadPatch('%s: a misplaced or odd "\\" line' % path)
            for side in last:
                side[-1] = side[-1][:-1]
            last = ()
            continue
        if line.line_type not in (' ', '+', '-') or not text.endswith(b'\n'):
            raise errors.BadPatch('%s: an empty or broken line after a hunk' % path)
        last = {' ': (old, new), '-': (old,), '+': (new,)}[line.line_type]
        for side in last:
            side.append(text)
        trailing = trailing + 1 if line.line_type == ' ' else 0
    if old == new:
        raise errors.BadPatch('%s: a hunk changes nothing' % path)
    if not all(text.endswith(b'\n') for text in old[:-1] + new[:-1]):
        raise errors.BadPatch('%s: a line end is missing before the last line' % path)
    return Hunk(hunk.source_start, tuple(old), hunk.target_start, tuple(new), trailing)


def apply_change(change: Change, before: Optional[bytes]) -> Tuple[bytes, Tuple[int, ...]]:
    """Return the file's bytes after the change, and each hunk's offset in lines.

    :param before: the file's bytes; None when there is no such file
    :raises Drift: unless each hunk fits exactly, and at one place only
    """
    if change.adds:
        if before is not None:
            raise errors.Drift('%s is there already, with other content' % change.path)
        return b''.join(change.hunks[0].new), (0,)
    if before is None:
        raise errors.Drift('%s is missing' % change.path)
    lines = tuple(io.BytesIO(before).readlines())
    result: List[bytes] = []
    done = 0
    offsets = []
    for number, hunk in enumerate(change.hunks, 1):
        where = '%s: hunk %d (line %d)' % (change.path, number, hunk.old_start)
        place = _locate_hunk(where, hunk, lines)
        if place < done:
            raise errors.Drift('%s overlaps the hunk before it' % where)
        result.extend(lines[done:place] + hunk.new)
        done = place + len(hunk.old)
        offsets.append(place + 1 - hunk.old_start)
    result.extend(lines[done:])
    return b''.join(result), tuple(offsets)


def _locate_hunk(where: str, hunk: Hunk, lines: Lines) -> int:
    """Return the index of the only place that the hunk fits.

    A text serves a range of releases, so the line number says little: two fitting places
    are one too many, even if one of them is where the patch says.
    """
    found = _places(hunk, lines)
    if len(found) > 1:
        raise errors.Drift('%s fits at lines %s; more context is needed'
                           % (where, ' and '.join(str(place + 1) for place in found)))
    if not found:
        if _places(hunk, tuple(line.replace(b'\r\n', b'\n') for line in lines)):
            raise errors.Drift('%s does not fit: the file has CRLF line ends' % where)
        raise errors.Drift('%s does not fit' % where)
    return found[0]


def _places(hunk: Hunk, lines: Lines) -> List[int]:
    size = len(hunk.old)
    places = [index for index in range(len(lines) - size + 1)
              if lines[index] == hunk.old[0] and lines[index:index + size] == hunk.old]
    # As with git: what starts at line 1 or ends without context belongs to that end.
    if hunk.old_start <= 1:
        places = [index for index in places if index == 0]
    if not hunk.trailing:
        places = [index for index in places if index + size == len(lines)]
    return places


def undo_change(change: Change, after: Optional[bytes]) -> Optional[bytes]:
    """Return the file's bytes without the change; None: the file was added by it.

    :raises Drift: unless the file carries the whole change
    """
    if change.adds:
        if after != b''.join(change.hunks[0].new):
            raise errors.Drift('%s is not the file that the patch adds' % change.path)
        return None
    back = tuple(Hunk(hunk.new_start, hunk.new, hunk.old_start, hunk.old, hunk.trailing)
                 for hunk in change.hunks)
    if not all(hunk.old for hunk in back):
        raise errors.Drift('%s: a hunk that leaves no line cannot be recognised' % change.path)
    return apply_change(Change(change.path, False, back), after)[0]


def apply_all(patches: Sequence[Patch], read: Read) -> List[Edit]:
    """Return what the patches, in order, make of each file. Changes nothing.

    :param read: gives a path's present bytes, None where there is no file
    :raises Drift: unless all of it fits
    """
    edits: Dict[str, Edit] = {}
    for patch in patches:
        for change in patch.changes:
            path = change.path
            if path not in edits:
                before = read(path)
                edits[path] = Edit(path, before, before or b'', ())
                current = before
            else:
                current = edits[path].after
            after, offsets = apply_change(change, current)
            edits[path] = edits[path]._replace(
                after=after, offsets=edits[path].offsets + offsets)
    return list(edits.values())


def carries_all(patches: Sequence[Patch], read: Read) -> bool:
    """Is the whole series in the files already?"""
    content: Dict[str, Optional[bytes]] = {}
    try:
        for patch in reversed(patches):
            for change in patch.changes:
                current = content[change.path] if change.path in content else read(change.path)
                content[change.path] = undo_change(change, current)
    except errors.Drift:
        return False
    return True
