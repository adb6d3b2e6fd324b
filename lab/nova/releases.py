# SPDX-License-Identifier: Apache-2.0
"""All that the lab has to know of the differences between Nova's releases, 20.6.1 to 34.0.0.

Each function determines which way it is: by the file, the name or the argument that is
there, not by the release's number. Functions import Nova when they are called, not before:
``enter_service`` has to come first.
"""

import importlib
import importlib.util
import inspect
import os
import sys
import types
import typing

from lab import compat


def enter_service() -> None:
    """Import nova-compute's start module, which decides on eventlet as in production.

    Every release but the newest patches the standard library for eventlet when ``nova.cmd`` is
    imported; 34.0.0 runs on native threads unless its configuration says otherwise, and reads
    sys.argv for the configuration file.
    """
    compat.restore_removed_names()
    importlib.import_module('nova.cmd.compute')


def load_fake_libvirt() -> types.ModuleType:
    """Return Nova's fake of libvirt: a file of its tests, which moved and which wheels carry."""
    nova_directory = os.path.dirname(str(importlib.import_module('nova').__file__))
    # nova.tests.fixtures became a package between 22 and 25. The package itself imports half of the
    # functional tests and their requirements; the fake needs only the data file next to it.
    fixtures_directory = os.path.join(nova_directory, 'tests', 'fixtures')
    if os.path.isfile(os.path.join(fixtures_directory, 'libvirt.py')):
        _add_bare_package('nova.tests.fixtures', fixtures_directory)
        return importlib.import_module('nova.tests.fixtures.libvirt')
    return importlib.import_module('nova.tests.unit.virt.libvirt.fakelibvirt')


def _add_bare_package(name: str, directory: str) -> None:
    """Make modules of a package importable without running its ``__init__``."""
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [directory]
        sys.modules[name] = package


def create_tables() -> None:
    """Create the tables of the cell's and of the API's database, as Nova's models name them."""
    # nova.db.sqlalchemy was split into nova.db.main and nova.db.api between 22 and 25.
    if _exists('nova.db.main'):
        for database in ('main', 'api'):
            models = importlib.import_module('nova.db.%s.models' % database)
            api = importlib.import_module('nova.db.%s.api' % database)
            models.BASE.metadata.create_all(api.get_engine())
    else:
        models = importlib.import_module('nova.db.sqlalchemy.models')
        api_models = importlib.import_module('nova.db.sqlalchemy.api_models')
        api = importlib.import_module('nova.db.sqlalchemy.api')
        models.BASE.metadata.create_all(api.get_engine())
        api_models.API_BASE.metadata.create_all(api.get_api_engine())


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def image_api() -> typing.Any:
    """Return a new client of Nova's for Glance; the class moved in Ussuri (21)."""
    if _exists('nova.image.api'):
        return importlib.import_module('nova.image.api').API()
    return importlib.import_module('nova.image.glance').API()


def wait_for(result: typing.Any) -> None:
    """Wait for what a compute manager's method left running, and raise what it raised.

    In 34.0.0 ``snapshot_instance`` hands the work to an executor and returns its Future; up to
    31.3.1 it returned when the work was done.
    """
    if hasattr(result, 'result'):
        result.result()


def resize_snapshot(manager: typing.Any) -> typing.Any:
    """Return the method by which a source host takes the snapshot of a cross-cell resize.

    Its caller, ``prep_snapshot_based_resize_at_source``, talks to Neutron and Cinder around it.
    None where the release has no cross-cell resize (Train).
    """
    return getattr(manager, '_snapshot_for_resize', None)


def prepare_resize_task(context: typing.Any, instance: typing.Any, request_spec: typing.Any,
                        rpcapi: typing.Any, images: typing.Any) -> typing.Any:
    """Return the conductor's task that creates a cross-cell resize's image and calls the source.

    Raises LookupError where the release has none (Train).
    """
    module = importlib.import_module('nova.conductor.tasks.cross_cell_migrate')
    task = getattr(module, 'PrepResizeAtSourceTask', None)
    if task is None:
        raise LookupError('this release of Nova has no cross-cell resize')
    offered = {'context': context, 'instance': instance, 'flavor': instance.flavor,
               'migration': None, 'request_spec': request_spec,
               'compute_rpcapi': rpcapi, 'image_api': images}
    names = list(inspect.signature(task.__init__).parameters)[1:]
    return task(**{name: offered[name] for name in names})
