# SPDX-License-Identifier: Apache-2.0
"""Run a release's own unit tests of the modules that we touch, as they are or on our classes.

    python -m tests.releases.upstream nova|cinder stock|ours RESULTS [TEST ...]

With the release's interpreter; the release (unpacked, not installed) and this checkout in PYTHONPATH.
Results as of ``tests.releases.runner``; the folder of RESULTS becomes the current one, since some tests
write there.
"""

import importlib
import importlib.util
import os
import re
import sys
import typing
import unittest
import warnings

from lab import compat
from tests.releases import runner

OURS = 'ours'


class Module(typing.NamedTuple):
    """A module of tests: its names, of which the first that is there counts; which of its tests."""

    names: typing.Tuple[str, ...]
    pattern: str = ''


NOVA = (
    Module(('nova.tests.unit.image.test_glance',)),
    Module(('nova.tests.unit.virt.libvirt.test_imagebackend',)),
    Module(('nova.tests.unit.storage.test_rbd', 'nova.tests.unit.virt.libvirt.storage.test_rbd')),
    Module(('nova.tests.unit.virt.libvirt.test_driver',), r'(?i)snapshot|cache_image'),
)
CINDER = tuple(Module(('cinder.tests.unit.' + name,)) for name in (
    'image.test_glance', 'test_image_utils', 'volume.test_image', 'volume.drivers.test_rbd',
    'volume.flows.test_create_volume_flow', 'volume.test_driver',
    'test_volume_utils', 'test_volume_glance_metadata', 'api.contrib.test_volume_actions',
    'api.contrib.test_types_extra_specs', 'api.contrib.test_types_manage')) + (
        Module(('cinder.tests.unit.volume.test_volume',), r'(?i)image'),)

# Which test modules get which imports bound to ours.
REBOUND = ('nova.tests.unit.image.test_glance', 'nova.tests.unit.virt.libvirt.test_imagebackend',
           'nova.tests.unit.virt.libvirt.test_driver')
STANDINS = {
    'nova.virt.libvirt.driver': ('tests.releases.nova_standins', 'driver'),
    'nova.virt.libvirt.imagebackend': ('tests.releases.nova_standins', 'imagebackend'),
    'nova.image.glance': ('tests.releases.nova_standins', 'glance'),
}


def prepare_nova(whose: str) -> None:
    """Do what comes before Nova's tests are imported."""
    importlib.import_module('nova.tests.unit')  # first of all: it patches for eventlet
    if whose == OURS:
        from tests.releases import rebound
        rebound.Finder(REBOUND, STANDINS).install()


def prepare_cinder(whose: str) -> None:
    """Do what comes before Cinder's tests are imported."""
    importlib.import_module('cinder.tests.unit')
    # Discovery of all tests imports it early; later it would register an option twice.
    importlib.import_module('cinder.keymgr.conf_key_mgr')
    if whose == OURS:
        from tests.releases import cinder_options
        cinder_options.name_ours()


PROJECTS = {'nova': (NOVA, prepare_nova), 'cinder': (CINDER, prepare_cinder)}


def load(modules: typing.Iterable[Module], only: typing.FrozenSet[str]) -> unittest.TestSuite:
    """Import the modules and return their tests; if there are names, those tests only.

    :raises ImportError: one of them cannot be imported, or is not there.
    """
    suite = unittest.TestSuite()
    for module in modules:
        name = next((name for name in module.names if _is_there(name)), None)
        if name is None:
            raise ImportError('there is no %s' % ' or '.join(module.names))
        importlib.import_module(name)  # so that an error is reported with its reason
        for test in runner.flat(unittest.defaultTestLoader.loadTestsFromName(name)):
            if re.search(module.pattern, test.id()[len(name):]) and (not only or test.id() in only):
                suite.addTest(test)
    return suite


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def main(arguments: typing.List[str]) -> int:
    project, whose, results = arguments[:3]
    warnings.simplefilter('ignore')
    compat.restore_removed_names()
    os.chdir(os.path.dirname(os.path.abspath(results)))
    modules, prepare = PROJECTS[project]
    try:
        prepare(whose)
        suite = load(modules, frozenset(arguments[3:]))
    except ImportError as error:
        print('%s: %s' % (type(error).__name__, error))
        return 2
    return runner.run(suite, results)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
