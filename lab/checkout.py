# SPDX-License-Identifier: Apache-2.0
"""A copy of this checkout, in which things can be built without leaving traces here."""

import os
import shutil
import subprocess
import typing

from lab import paths

_AUTHOR = ['-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']


def copy(target: str, history: bool = True) -> typing.List[str]:
    """Copy what git has of the checkout, and what is to be added to it; return the names of the files.

    :param history: with a commit, from which pbr takes its list of files and a version
    """
    listed = subprocess.run(['git', 'ls-files', '-z', '-co', '--exclude-standard'], cwd=paths.CHECKOUT,
                            check=True, stdout=subprocess.PIPE).stdout.decode('utf-8')
    files = sorted({name for name in listed.split('\0')
                    if name and os.path.isfile(os.path.join(paths.CHECKOUT, name))})
    for name in files:
        os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
        shutil.copy2(os.path.join(paths.CHECKOUT, name), os.path.join(target, name))
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'The tree'])[:3 if history else 1]:
        subprocess.run(['git', *_AUTHOR, *command], cwd=target, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return files
