# SPDX-License-Identifier: Apache-2.0
"""Light stand-ins for what the unit environments lack: glance_store, os-brick, oslo.concurrency.

They have what the driver uses, and behave as the real ones there; tests/functional runs the driver on those.
"""

import importlib
import importlib.util
import os
import sys

import fixtures

NAMES = ('glance_store', 'os_brick', 'oslo_concurrency')
HERE = os.path.dirname(os.path.abspath(__file__))
_DRIVER = 'multistore_hooks.volume_store'


class StandIns(fixtures.Fixture):
    """For one test: what is missing here is imported from this folder, and forgotten afterwards."""

    def _setUp(self):
        missing = [name for name in NAMES if importlib.util.find_spec(name) is None]
        if not missing:
            return
        before = set(sys.modules)
        self.addCleanup(self._forget, before, missing)
        sys.path.append(HERE)
        self.addCleanup(sys.path.remove, HERE)

    @staticmethod
    def _forget(before, missing):
        for name in set(sys.modules) - before:
            if name.partition('.')[0] in missing or name.startswith(_DRIVER + '.'):
                del sys.modules[name]
                if name.startswith(_DRIVER + '.'):
                    delattr(sys.modules[_DRIVER], name.rpartition('.')[2])
        importlib.invalidate_caches()
