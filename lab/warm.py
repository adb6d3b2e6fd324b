# SPDX-License-Identifier: Apache-2.0
"""What ``lab.forks`` imports of a service before it forks: modules only, nothing is configured."""

import functools
import importlib
import os
import sys
import typing

from lab import ceph_bindings
from lab import compat

# Not the stores' drivers: those look for librados when they are imported.
GLANCE = (
    'gunicorn.app.wsgiapp', 'gunicorn.workers.gthread', 'glance.common.wsgi_app', 'glance.api.v2.router',
    'sqlalchemy.dialects.sqlite', 'cinderclient.v3.client', 'oslo_vmware.api', 'kombu', 'amqp', 'tenacity',
    'barbicanclient.client')
# Libraries only: Cinder's own modules are imported when it is configured.
CINDER = (
    'sqlalchemy.dialects.sqlite', 'taskflow.engines', 'taskflow.patterns.linear_flow',
    'glanceclient.v2.client',
    'jsonschema', 'castellan.key_manager', 'tooz.drivers.file', 'oslo_messaging._drivers.impl_fake',
    'barbicanclient.client', 'novaclient.v2.client')
NOVA = ('nova.virt.libvirt.driver', 'sqlalchemy.dialects.sqlite')


def glance() -> None:
    """What glance-api under gunicorn needs."""
    _all(GLANCE)


def cinder() -> None:
    """What the lab's Cinder needs; its start program comes first, since it switches eventlet on."""
    compat.restore_removed_names()
    _all(('cinder.cmd.volume',))
    importlib.import_module('cinder.objects').register_all()
    _all(CINDER)


def nova() -> None:
    """What nova-compute needs, with the stand-in for libvirt."""
    from lab.nova import program
    from lab.nova import releases
    sys.path.insert(0, program.MODULES)
    releases.enter_service()
    _all(('lab.nova.compute',) + NOVA)


def nova_with_ceph() -> None:
    """The same with librados and librbd, which Nova looks for when it is imported."""
    if not ceph_bindings.unavailable():
        sys.path.insert(0, ceph_bindings.directory(os.path.join(os.getcwd(), 'modules')))
    nova()


def _options(service: str) -> None:
    from tests.devstack import options
    options.load_definitions(service)


# What tests.devstack.options needs for one service.
options_of_nova = functools.partial(_options, 'nova')
options_of_cinder = functools.partial(_options, 'cinder')
options_of_glance = functools.partial(_options, 'glance')
options_of_import = functools.partial(_options, 'import')


def _all(names: typing.Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)
