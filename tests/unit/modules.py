# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for modules, for the duration of a test."""

import sys

import fixtures


class Modules(fixtures.Fixture):
    """Modules by name in place of those that are installed; with None in place of one its import fails.

    What else is imported meanwhile stays: if it went, as with ``mock.patch.dict(sys.modules)``, a later test
    would import a second copy of it, whose classes are not those of the first.
    """

    def __init__(self, **modules):
        self._modules = modules

    def _setUp(self):
        for name, module in self._modules.items():
            replace(self, name, module)


def replace(fixture, name, module):
    """Put a module in its place until a fixture is cleaned up."""
    if name in sys.modules:
        fixture.addCleanup(sys.modules.__setitem__, name, sys.modules[name])
    else:
        fixture.addCleanup(sys.modules.pop, name, None)
    sys.modules[name] = module


def remove(fixture, is_one):
    """Let modules be imported anew until a fixture is cleaned up; what was imported then goes.

    :param is_one: whether a module is one of them, by its name.
    """
    before = {name: module for name, module in sys.modules.items() if is_one(name)}

    def restore():
        for name in [name for name in sys.modules if is_one(name)]:
            del sys.modules[name]
        sys.modules.update(before)

    for name in before:
        del sys.modules[name]
    fixture.addCleanup(restore)
