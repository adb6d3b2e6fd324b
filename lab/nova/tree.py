# SPDX-License-Identifier: Apache-2.0
"""A private tree of Nova with files added, beside the installed one that stays untouched."""

import os
import pathlib
import shutil
import subprocess
import typing


def locate(python: str) -> str:
    """Return the directory of the package ``nova`` that an interpreter would import.

    :raises LookupError: when it has none.
    """
    asked = subprocess.run(
        [python, '-W', 'ignore', '-c',
         'import importlib.util; print(importlib.util.find_spec("nova").origin)'],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, cwd=os.sep)
    origin = asked.stdout.decode().strip()
    if asked.returncode or not origin:
        raise LookupError('no package nova is installed for %s' % python)
    return os.path.dirname(origin)


def overlay(nova_dir: str, target: str, files: typing.Mapping[str, str]) -> str:
    """Make TARGET a directory to put first on ``sys.path``: Nova, and the files added to it.

    All of Nova is symbolic links, save the directories that lead to an added file and ``nova/virt``, with the
    files in them: the patch tool follows none there.

    :param nova_dir: the directory of the package ``nova``; an unpacked source release will do.
    :param target: the directory to make; it must not exist.
    :param files: {path below TARGET, as ``nova/virt/multistore.py``: text}.
    :returns: TARGET, for the document's ``nova_root``.
    :raises FileExistsError: when TARGET, or one of the files in Nova, exists.
    """
    package, tree = pathlib.Path(nova_dir).resolve(), pathlib.Path(target)
    real = {parent for path in ('nova/virt/any', *files) for parent in pathlib.PurePath(path).parents}
    _link(package, tree, pathlib.PurePath('nova'), real)
    # pbr finds the release's number in the metadata that lies beside the package.
    for metadata in package.parent.glob('nova*-info'):
        (tree / metadata.name).symlink_to(metadata)
    for path, text in files.items():
        with open(tree / path, 'x', encoding='utf-8') as added:
            added.write(text)
    return target


def _link(package: pathlib.Path, tree: pathlib.Path, path: pathlib.PurePath,
          real: typing.Set[pathlib.PurePath]) -> None:
    (tree / path).mkdir(parents=True)
    for entry in sorted((package.parent / path).iterdir()):
        below = path / entry.name
        if below in real:
            _link(package, tree, below, real)
        elif entry.is_file():
            shutil.copy2(entry, tree / below)
        elif entry.name != '__pycache__':
            (tree / below).symlink_to(entry)
