# SPDX-License-Identifier: Apache-2.0
"""The unit tests of the Cinder seam, here where Cinder is installed."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))


def load_tests(loader, tests, pattern):
    """Load tests/unit/cinder."""
    root = os.path.dirname(os.path.dirname(HERE))
    return loader.discover(os.path.join(root, 'tests', 'unit', 'cinder'), top_level_dir=root)
