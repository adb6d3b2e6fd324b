# SPDX-License-Identifier: Apache-2.0
"""The directory ``patches/``: which patch is for which project, series and release.

The form of the ``series`` files is described in ``patches/README.rst``.
"""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from multistore_hooks.patching import errors
from multistore_hooks.patching import patch

_NAME = re.compile(r'[a-z0-9][a-z0-9_-]*\Z')
_PATCH = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*\.patch\Z')
_RANGE = re.compile(r'([0-9]{1,4})(?:-([0-9]{1,4}))?\Z')


class Entry(NamedTuple):
    """One patch, and the releases (major versions, both ends included) that take it."""

    first: int
    last: int
    patch: str


class Series(NamedTuple):
    """Patches that belong together."""

    project: str
    name: str
    needed: bool
    """Is it the one taken when none is named?"""
    folder: str
    entries: Tuple[Entry, ...]

    def releases(self) -> List[int]:
        """Return the known releases, in order."""
        return sorted({release for entry in self.entries
                       for release in range(entry.first, entry.last + 1)})

    def patches(self, release: int) -> List[patch.Patch]:
        """Return the patches for a release, in the order to apply them.

        :raises BadPatch: if one of them is missing or not understood
        """
        names = [entry.patch for entry in self.entries if entry.first <= release <= entry.last]
        return [patch.parse(name, _read(os.path.join(self.folder, name)), self.project)
                for name in names]


def find_folder() -> str:
    """Return the folder of the patches, as this package was installed.

    In a checkout it stands beside the package. A wheel has it under ``share/`` of the prefix
    that it was installed to; that prefix is at most four folders up, be it a virtual
    environment, ``--user``, ``--target`` or a distribution's ``/usr``.

    :raises BadInput: if it is not there
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checkout = os.path.join(os.path.dirname(package), 'patches')
    if os.path.isfile(os.path.join(checkout, 'nova', 'series')):
        return checkout
    above = package
    for _ in range(4):
        above = os.path.dirname(above)
        shared = os.path.join(above, 'share', 'multistore-hooks', 'patches')
        if os.path.isdir(shared):
            return shared
    raise errors.BadInput(
        'the patches are not installed: no share/multistore-hooks/patches above %s' % package)


def projects(folder: str) -> List[str]:
    """Return the names of the projects that have patches."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise errors.BadInput('cannot read %s: %s' % (folder, error.strerror))
    return sorted(name for name in names
                  if os.path.isfile(os.path.join(folder, name, 'series')))


def load(folder: str, project: str) -> Dict[str, Series]:
    """Read a project's series file.

    :raises BadInput: if there is no such project
    :raises BadPatch: if the file is not in the documented form
    """
    known = projects(folder)
    if project not in known:
        raise errors.BadInput('no patches for %r; there are some for: %s'
                              % (project, ', '.join(known) or 'nothing'))
    path = os.path.join(folder, project, 'series')
    found: Dict[str, Series] = {}
    current = ''
    for number, line in enumerate(_read(path).decode('utf-8', 'replace').splitlines(), 1):
        words = line.split('#')[0].split()
        if not words:
            continue
        try:
            if words[0] == 'series':
                series = _parse_head(words, os.path.dirname(path), project)
                if series.name in found:
                    raise ValueError('series %s is there twice' % series.name)
                current = series.name
                found[current] = series
            else:
                series = found[current]
                found[current] = series._replace(entries=series.entries + (_parse_entry(words),))
        except (KeyError, ValueError) as error:
            raise errors.BadPatch('%s, line %d is not understood: %s'
                                  % (path, number, error if error.args[0] else 'no series yet'))
    if sum(series.needed for series in found.values()) > 1:
        raise errors.BadPatch('%s: more than one series is needed' % path)
    return found


def _parse_head(words: List[str], folder: str, project: str) -> Series:
    if len(words) != 3 or not _NAME.match(words[1]) or words[2] not in ('needed', 'optional'):
        raise ValueError('expected "series NAME needed|optional"')
    return Series(project, words[1], words[2] == 'needed', folder, ())


def _parse_entry(words: List[str]) -> Entry:
    releases = _RANGE.match(words[0])
    if len(words) != 2 or not releases or not _PATCH.match(words[1]):
        raise ValueError('expected "FIRST-LAST NAME.patch"')
    first = int(releases.group(1))
    last = int(releases.group(2) or first)
    if last < first:
        raise ValueError('the range %s is empty' % words[0])
    return Entry(first, last, words[1])


def choose(found: Dict[str, Series], project: str, name: Optional[str]) -> Series:
    """Return the series of that name, or the needed one if none is named.

    :raises BadInput: if there is none of that name
    :raises NotNeeded: if none is named, and none is needed
    """
    names = ', '.join(sorted(found))
    if name:
        if name not in found:
            raise errors.BadInput('%s has no series %r; it has: %s' % (project, name, names))
        return found[name]
    for series in found.values():
        if series.needed:
            return series
    raise errors.NotNeeded(
        '%s needs no patch; an optional one is chosen with --series: %s' % (project, names))


def _read(path: str) -> bytes:
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError as error:
        raise errors.BadPatch('cannot read %s: %s' % (path, error.strerror))
