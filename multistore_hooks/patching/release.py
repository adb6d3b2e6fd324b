# SPDX-License-Identifier: Apache-2.0
"""Where is the project's package, and of which release is it? Nothing is imported."""

import glob
import importlib.util
import os
import re
import sys
from typing import Iterator, List, Optional, Sequence

from multistore_hooks.patching import errors

# A wheel; a distribution package or `setup.py install` (a folder, or one file as of old);
# a checkout installed for development; an unpacked source distribution.
_METADATA = ('{0}-*.dist-info/METADATA', '{0}-*.egg-info/PKG-INFO', '{0}-*.egg-info',
             '{0}.egg-info/PKG-INFO', 'PKG-INFO')


def find_root(project: str) -> str:
    """Return the directory that contains the installed package, without importing it.

    :raises BadInput: if this Python has no such package
    """
    try:
        spec = importlib.util.find_spec(project)
    except (ImportError, ValueError):
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise errors.BadInput('%s is not installed for %s; name the directory that contains its '
                              'package with --root' % (project, sys.executable))
    return os.path.dirname(os.path.abspath(folders[0]))


def find_version(project: str, folders: Sequence[str]) -> Optional[str]:
    """Return the version in the package's metadata, None if there is none.

    :param folders: where to search; the first that has metadata decides
    :raises UnknownRelease: if there are several, of different releases
    """
    for folder in folders:
        versions = list(_versions(project, folder))
        if len({major(version) for version in versions}) > 1:
            raise errors.UnknownRelease('%s holds metadata of several releases of %s: %s; '
                                        'choose one with --release'
                                        % (folder, project, ', '.join(sorted(versions))))
        if versions:
            return versions[0]
    return None


def _versions(project: str, folder: str) -> Iterator[str]:
    for pattern in _METADATA:
        name = pattern.format(project.replace('-', '_'))
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), name))):
            head = _head(path)
            names = [line[5:].strip() for line in head if line.lower().startswith('name:')]
            versions = [line[8:].strip() for line in head if line.lower().startswith('version:')]
            if names and versions and names[0].lower().replace('_', '-') == project:
                yield versions[0]


def _head(path: str) -> List[str]:
    """Return the header lines of a metadata file; none if it cannot be read."""
    lines: List[str] = []
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            for line in file:
                if not line.strip():
                    break
                lines.append(line)
    except OSError:
        pass
    return lines


def major(version: Optional[str]) -> Optional[int]:
    """Return the release's number (nova 20.6.1 is of release 20), None if there is none."""
    number = re.match(r'([0-9]{1,4})(\.|\Z)', version or '')
    return int(number.group(1)) if number else None
