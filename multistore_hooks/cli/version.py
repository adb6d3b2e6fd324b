# SPDX-License-Identifier: Apache-2.0
"""The version of this library."""

import os

import multistore_hooks
from multistore_hooks.patching import release

_DISTRIBUTION = 'multistore-hooks'


def find() -> str:
    """Return the version of this library; ``unknown`` in a source tree that nothing was built of."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(multistore_hooks.__file__)))
    return release.find_version(_DISTRIBUTION, [home]) or 'unknown'
