# SPDX-License-Identifier: Apache-2.0
"""Reads a service's configuration file by the service's own definitions of its options.

oslo.config itself ignores what it does not know; here an option that nobody registered is a
fault, as a value that cannot be parsed is.

    python -m tests.devstack.options SERVICE FILE...

prints {"values": {section: {option: value}}, "wrongs": [line]} as JSON. A process for each service:
their definitions do not go together in one.
"""

import copy
import importlib
import importlib.metadata
import json
import sys

import glance_store
from glance_store import driver as store_driver
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_privsep import priv_context

from multistore_hooks import options as ours
from multistore_hooks.volume_store import options as volume_options

COMMON = ('oslo.log', 'oslo.policy', 'oslo.concurrency', 'oslo.messaging', 'oslo.db',
          'keystonemiddleware.auth_token', 'oslo.middleware.cors',
          'oslo.middleware.http_proxy_to_wsgi')
NAMESPACES = {
    'nova': COMMON + ('nova.conf', 'multistore_hooks.nova'),
    'cinder': ('keystonemiddleware.auth_token', 'oslo.messaging', 'multistore_hooks.cinder'),
    'glance': COMMON + ('glance.api', 'multistore_hooks.glance'),
    'import': ('glance',),
}
# Cinder's list of all its options wants every backup driver's libraries.
CINDER_MODULES = ('cinder.common.config', 'cinder.volume.manager', 'cinder.volume.api',
                  'cinder.api.common', 'cinder.image.glance', 'cinder.service', 'cinder.db.api')
RESERVED = {'os_glance_staging_store': 'file', 'os_glance_tasks_store': 'file'}


def load(service, paths):
    """Return the values that the files set, parsed, and what is wrong with them, as lines.

    :param service: one of NAMESPACES
    """
    conf = cfg.CONF if service == 'cinder' else cfg.ConfigOpts()
    for group, options in load_definitions(service):
        _register(conf, getattr(group, 'name', group), options)
    conf([], project=service, default_config_files=list(paths))
    if service == 'glance':
        _register_stores(conf, paths)
        conf.reload_config_files()
    if service == 'cinder':
        _register_backends(conf, paths)
        conf.reload_config_files()
    values, wrongs = {}, []
    for path in paths:
        _read(conf, path, values, wrongs)
    return values, wrongs


def load_definitions(service):
    """Import what defines the service's options, and return those that it lists: [(group, options)]."""
    if service == 'cinder':
        importlib.import_module('cinder.objects').register_all()
        for module in CINDER_MODULES:
            importlib.import_module(module)
    return [listed for namespace in NAMESPACES[service] for listed in _listed(namespace)]


def _listed(namespace):
    for entry in importlib.metadata.entry_points(group='oslo.config.opts'):
        if entry.name == namespace:
            return entry.load()()
    raise LookupError('no options are listed as %s' % namespace)


def _register(conf, group, options):
    for option in options:
        # What is listed for samples is required nowhere but in a service that uses it.
        option = copy.copy(option)
        option.required = False
        try:
            conf.register_opt(option, group=None if group == 'DEFAULT' else group)
        except cfg.DuplicateOptError:
            pass    # services list some options of libraries again


def _register_stores(conf, paths):
    stores = dict(conf.enabled_backends)
    for path in paths:  # each may have stores of its own; oslo.config takes the last file's alone
        sections = {}
        cfg.ConfigParser(path, sections).parse()
        for text in sections.get('DEFAULT', {}).get('enabled_backends', ()):
            stores.update(pair.strip().split(':') for pair in text.split(',') if pair.strip())
    conf.set_override('enabled_backends', stores)
    glance_store.register_opts(conf)
    glance_store.register_store_opts(conf, reserved_stores=RESERVED)
    for store in stores:
        # Each store's driver does this when it is loaded.
        conf.register_opts(store_driver._MULTI_BACKEND_OPTS, group=store)
        if stores[store] == 'volume':
            _register_credentials(conf, store)
    conf.set_override('enabled_backends', stores)


def _register_backends(conf, paths):
    """Register what a backend's section may have, and the credentials of cinder-volume."""
    driver = importlib.import_module('cinder.volume.driver')
    manager = importlib.import_module('cinder.volume.manager')
    rbd = importlib.import_module('cinder.volume.drivers.rbd')
    service_auth = importlib.import_module('cinder.service_auth')
    _register(conf, service_auth.SERVICE_USER_GROUP, loading.get_auth_plugin_conf_options('password'))
    for path in paths:
        sections = {}
        cfg.ConfigParser(path, sections).parse()
        for section, given in sections.items():
            if section != 'DEFAULT' and 'volume_driver' in given:
                _register(conf, section, driver.volume_opts + manager.volume_backend_opts + rbd.RBD_OPTS
                          + ours.CINDER_RBD_OPTS)


def _register_credentials(conf, store):
    volume_options.register_credentials(conf, store)
    conf.register_opts(loading.get_auth_plugin_conf_options('password'), group=store)
    # os-brick registers these when it is imported, and in the one configuration of a process.
    conf.register_opts(priv_context.OPTS, group='privsep_osbrick')


def _read(conf, path, values, wrongs):
    sections = {}
    cfg.ConfigParser(path, sections).parse()
    for section, options in sections.items():
        for name, texts in options.items():
            try:
                place = conf if section == 'DEFAULT' else conf[section]
                values.setdefault(section, {})[name] = place[name.replace('-', '_')]
            except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
                wrongs.append('%s: [%s] %s: no service knows this option' % (path, section, name))
            except (cfg.ConfigFileValueError, ValueError) as error:
                wrongs.append('%s: [%s] %s = %s: %s' % (path, section, name, texts, error))


if __name__ == '__main__':
    found, faults = load(sys.argv[1], sys.argv[2:])
    json.dump({'values': found, 'wrongs': faults}, sys.stdout)
