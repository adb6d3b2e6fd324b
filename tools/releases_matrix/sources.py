# SPDX-License-Identifier: Apache-2.0
"""Releases unpacked and never installed, and copies of them; all below build/releases."""

import contextlib
import hashlib
import os
import shutil
import threading
import typing
import zipfile

from releases_matrix import environments

from lab import poll

FOLDER = os.path.join(environments.ROOT, 'build', 'releases')

# Two lines of the table may want the same package at the same time.
_fetching = threading.Lock()


class Failed(poll.LabError):
    """A check could not go on; the text is one line for the table."""


def path(*parts: str) -> str:
    """Return a path below build/releases; the folder that holds it is there then."""
    found = os.path.join(FOLDER, *parts)
    os.makedirs(os.path.dirname(found), exist_ok=True)
    return found


def unpacked(package: str, shell: environments.Shell) -> str:
    """Return the folder with a package, NAME==VERSION, as it is; it is fetched if it is not there yet.

    :raises Failed: it cannot be fetched
    """
    folder = path('src', package.replace('==', '-'))
    scratch = folder + '.new'
    with _fetching:
        if not os.path.isdir(folder):
            shutil.rmtree(scratch, ignore_errors=True)
            # Once more, since a registry's response can be lost.
            download = ['python', '-m', 'pip', '--disable-pip-version-check', 'download', '-q', '-d', scratch,
                        '--no-deps', '--only-binary', ':all:', package]
            if all(shell.run(download) for _ in range(2)):
                raise Failed('%s cannot be fetched' % package)
            wheel, = os.listdir(scratch)
            with zipfile.ZipFile(os.path.join(scratch, wheel)) as archive:
                archive.extractall(os.path.join(scratch, 'tree'))
            os.rename(os.path.join(scratch, 'tree'), folder)
            shutil.rmtree(scratch)
    return folder


@contextlib.contextmanager
def copied(folder: str, name: str) -> typing.Iterator[str]:
    """Give a copy of a folder, without byte code, that goes in the end."""
    copy = path('work', name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def fingerprint(folder: str) -> typing.Dict[str, typing.Tuple[typing.Any, ...]]:
    """Return each file's content, mode, owner and time, and each folder's name."""
    found: typing.Dict[str, typing.Tuple[typing.Any, ...]] = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.join(parent, name)] = ()
        for name in files:
            full = os.path.join(parent, name)
            about = os.lstat(full)
            with open(full, 'rb') as stream:
                digest = hashlib.sha256(stream.read()).hexdigest()
            found[full] = (digest, about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns)
    return found
