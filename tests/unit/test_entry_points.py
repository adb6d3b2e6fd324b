# SPDX-License-Identifier: Apache-2.0
"""Every entry point of setup.cfg names something that can be loaded and called."""

import configparser
import importlib
import os

import testtools

SETUP = os.path.join(os.path.dirname(__file__), '..', '..', 'setup.cfg')
# Needs the service that it is for; loaded by the functional tests.
SERVICES = ('multistore_hooks.nova', 'multistore_hooks.cinder', 'multistore_hooks.volume_store')


def entry_points():
    """Return all entry points as (group, name, module, attribute)."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(SETUP, encoding='utf-8')
    found = []
    for group, lines in parser['entry_points'].items():
        for line in lines.split('\n'):
            if line.strip():
                name, _equals, target = line.partition('=')
                module, _colon, attribute = target.strip().partition(':')
                found.append((group, name.strip(), module, attribute))
    return found


class EntryPointsTest(testtools.TestCase):

    def test_each_can_be_loaded_by_its_name(self):
        loaded = 0
        for group, name, module, attribute in entry_points():
            if not module.startswith(SERVICES):
                self.assertTrue(callable(getattr(importlib.import_module(module), attribute)),
                                '%s: %s' % (group, name))
                loaded += 1
        self.assertTrue(loaded >= 5, loaded)
