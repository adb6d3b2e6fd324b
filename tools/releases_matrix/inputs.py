# SPDX-License-Identifier: Apache-2.0
"""What a check's result depends on, as one digest: if it is the same, the check is not run again."""

import hashlib
import os
import typing

from releases_matrix import catalogue
from releases_matrix import environments

SUFFIXES = ('.py', '.txt', '.patch', 'series', '.json')
PATCH = ('multistore_hooks/patching', 'multistore_hooks/cli/patch.py', 'patches',
         'tools/releases_matrix/checks.py')
STOCK = ('tests/releases/upstream.py', 'tests/releases/runner.py', 'lab/compat.py')
OURS = STOCK + ('multistore_hooks', 'patches', 'tests/releases')
HOOKS = ('multistore_hooks', 'patches', 'tests/releases', 'lab', 'tests/functional/shared.py',
         'tests/functional/cli.py', 'tests/functional/nova_runs.py', 'tests/functional/cinder_base.py',
         'tests/functional/test_cinder_image_clones.py', 'tests/functional/test_cinder_direct_upload.py',
         'tests/functional/test_volume_store.py',
         'tests/constraints-services.txt')
LIBRARY = ('multistore_hooks', 'tests/unit', 'tests/contract.py')


def digest(what: typing.Iterable[str], environment: str,
           release: typing.Optional[catalogue.Release] = None) -> str:
    """Return a digest of files and folders of the checkout, of the environment and of the release."""
    found = hashlib.sha256(repr(release).encode())
    for name in sorted(set(what) | {'tests/constraints-%s.txt' % environment}):
        for path in _files(os.path.join(environments.ROOT, name)):
            found.update(os.path.relpath(path, environments.ROOT).encode() + b'\0')
            with open(path, 'rb') as stream:
                found.update(stream.read())
    return found.hexdigest()[:16]


def _files(path: str) -> typing.Iterator[str]:
    if os.path.isfile(path):
        yield path
    for parent, folders, files in sorted(os.walk(path)):
        for name in sorted(files):
            if name.endswith(SUFFIXES) and '__pycache__' not in parent:
                yield os.path.join(parent, name)
