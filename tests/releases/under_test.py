# SPDX-License-Identifier: Apache-2.0
"""The release that the tests of this package run against, as the environment names it.

These tests run in the environment ``services``, which brings what the release is to meet (a Glance 33);
the release itself runs in processes of its own, with its own interpreter.
"""

import os

import fixtures

#: The interpreter with the release's libraries.
PYTHON = os.environ['RELEASE_PYTHON']
#: The folder with the release, unpacked, not installed: as it is, and with the patches.
STOCK = os.environ['RELEASE_STOCK']
PATCHED = os.environ.get('RELEASE_PATCHED', STOCK)
#: Folders with libraries that come before the interpreter's own; none: empty.
OVERLAYS = os.environ.get('RELEASE_OVERLAYS', '')
#: For what outlives a run: the release's migrated database.
CACHE = os.environ['RELEASE_CACHE']
PROJECT = os.environ.get('RELEASE_PROJECT', '')
MAJOR = int(os.environ['RELEASE_VERSION'].split('.')[0])


def path(tree: str) -> str:
    """Return PYTHONPATH for the release in a tree."""
    return os.pathsep.join(filter(None, [tree, OVERLAYS]))


def overlaid() -> fixtures.Fixture:
    """Return a fixture: processes that are started find the overlays, unless configured otherwise."""
    return fixtures.EnvironmentVariable('PYTHONPATH', OVERLAYS or None)
