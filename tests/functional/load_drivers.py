# SPDX-License-Identifier: Apache-2.0
"""Load every in-tree driver of the importable Cinder with the hook; print what became of each, as JSON.

``python -m tests.functional.load_drivers`` prints {class path: null or what is wrong}. Libraries of vendors
that are not installed are stubbed, and where a driver's constructor wants a configuration of its own, so are
its options.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import pkgutil
import sys
import types
from unittest import mock
import warnings

from lab import compat

#: Not stubbed when they are missing: something else is tried in their place.
NOT_OF_VENDORS = ('cinder', 'multistore_hooks', 'lab', 'tests', 'posix', 'nt', 'winreg', '_winreg')


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module for each that is not installed; it has any attribute."""

    def find_spec(self, name, path=None, target=None):
        top = name.split('.')[0]
        if top in NOT_OF_VENDORS or top in sys.builtin_module_names or (
                path is not None and not isinstance(sys.modules.get(top), Stub)):
            return None
        if path is None and self._stands_in_cinder():
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if path is not None else None

    @staticmethod
    def _stands_in_cinder():
        """Return whether a driver imports it: other libraries have their own way without a module."""
        frame = sys._getframe(2)
        while frame is not None and 'importlib' in frame.f_code.co_filename:
            frame = frame.f_back
        return frame is not None and '/cinder/volume/drivers/' in frame.f_code.co_filename

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


class Stub(types.ModuleType):
    """A module of a library that is not installed."""

    __path__ = []
    __version__ = '999'

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        made = type(name, (Exception,), {'__init__': lambda self, *args, **kwargs: None,
                                         '__getattr__': lambda self, key: mock.MagicMock()})
        setattr(self, name, made)
        return made


def stub_libraries_without_theirs():
    """Stub oslo.vmware where the library that it was written for is not installed."""
    try:
        importlib.import_module('oslo_vmware.service')
    except ImportError:
        for name in [name for name in sys.modules if name.startswith('oslo_vmware')]:
            del sys.modules[name]
        sys.modules['oslo_vmware'] = Stub('oslo_vmware')
        for name in ('api', 'exceptions', 'image_transfer', 'objects.datastore', 'pbm', 'vim_util'):
            importlib.import_module('oslo_vmware.' + name)


def paths():
    """Return ({path of a driver}, {module that cannot be imported: why}); Cinder registers its drivers."""
    from cinder import interface
    from cinder.volume import driver
    from cinder.volume import drivers
    broken = {}
    for module in pkgutil.walk_packages(drivers.__path__, drivers.__name__ + '.', onerror=lambda name: None):
        if os.name != 'nt' and '.windows' in module.name:
            continue
        try:
            importlib.import_module(module.name)
        except Exception as error:
            broken[module.name] = '%s: %s' % (type(error).__name__, error)
    classes = set(interface._volume_register) | set(driver.ProxyVD.__subclasses__())
    return sorted('%s.%s' % (cls.__module__, cls.__name__) for cls in classes), broken


def configurations(path):
    """Yield configurations of a backend with this driver: Cinder's own defaults, then stubbed options."""
    from cinder.volume import configuration
    from cinder.volume import driver
    from cinder.volume import manager
    real = configuration.Configuration(
        driver.volume_opts + manager.volume_backend_opts, config_group='backend')
    for options in ({}, {'netapp_storage_family': 'ontap_cluster', 'netapp_storage_protocol': 'iscsi'}):
        yield Options(real, dict(options, volume_driver=path))
    yield Options(mock.MagicMock(), {'volume_driver': path, 'netapp_storage_family': 'ontap_cluster',
                                     'netapp_storage_protocol': 'nfs'})


class Options:
    """A backend's configuration in which some options are set."""

    def __init__(self, configured, chosen):
        self._configured, self._chosen = configured, chosen

    def __getattr__(self, name):
        return self._chosen[name] if name in self._chosen else getattr(self._configured, name)

    def safe_get(self, name):
        return self._chosen[name] if name in self._chosen else self._configured.safe_get(name)

    def get(self, name, default=None):
        return self.safe_get(name)


def check(path):
    """Load a driver; return what is wrong, or None."""
    from multistore_hooks.cinder import driver
    for configuration in configurations(path):
        try:
            return verdict(load(configuration), driver)
        except Exception:
            continue  # it wants other options, or its storage
    module, _, name = path.rpartition('.')
    cls = getattr(importlib.import_module(module), name)
    with mock.patch.object(cls, '__init__', lambda self, *args, **kwargs: None):
        return verdict(load(configuration), driver)


def load(configuration):
    from multistore_hooks.cinder import driver
    return driver.load(configuration, host='host@backend', cluster_name=None, is_vol_db_empty=True,
                       active_backend_id=None, db=None)


def verdict(loaded, driver):
    if type(loaded).__mro__[1] is not driver.PlacesUploads:
        return 'the hook is not first: %s' % (type(loaded).__mro__,)
    if not hasattr(type(loaded).__mro__[2], 'copy_volume_to_image'):
        return 'it has no copy_volume_to_image of its own'
    return None


def main():
    warnings.simplefilter('ignore')
    responses = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    compat.restore_removed_names()
    sys.meta_path.append(Stubs())
    stub_libraries_without_theirs()
    from cinder import objects
    objects.register_all()
    from cinder.volume import manager  # noqa: F401  (Cinder's modules import one another)
    found, broken = paths()
    from oslo_config import cfg
    cfg.CONF([], project='cinder', default_config_files=[])
    json.dump(dict({path: check(path) for path in found}, **broken), responses)
    responses.flush()
    os._exit(0)


if __name__ == '__main__':
    main()
