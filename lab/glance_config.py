# SPDX-License-Identifier: Apache-2.0
"""The configuration files of the lab's Glance, for lab.ini."""

import os

from lab import ini

CONNECT_SECONDS = 10
DISABLED_TEXT = 'a file, not a folder: so the store beneath it cannot be set up\n'


class Store:
    """One store of the lab: its driver, its options, and its folder, if it has one."""

    def __init__(self, name, kind, root):
        """Take the kind apart.

        :param kind: 'file' (its own folder under root), 'http' (read-only), 'disabled' (listed,
            refuses with 410), 'full' or 'full:BYTES' (413 when it has no room left), or a pair
            of a glance_store driver and its options
        """
        self.name = name
        self.folder = None
        if not isinstance(kind, str):
            self.driver, self.options = kind[0], dict(kind[1])
            return
        kind, _, argument = kind.partition(':')
        folder = os.path.join(root, 'stores', name)
        self.driver = {'file': 'file', 'http': 'http', 'disabled': 'file',
                       'full': 'lab_full'}.get(kind, '')
        if not self.driver or (argument and kind != 'full'):
            raise ValueError('store %s: no such kind of store: %s' % (name, kind))
        self.options = {}
        if kind == 'disabled':
            # glance_store disables adding to a store whose folder it cannot make, root or not.
            self.options['filesystem_store_datadir'] = folder + '-is-a-file/folder'
            with open(folder + '-is-a-file', 'w', encoding='utf-8') as stream:
                stream.write(DISABLED_TEXT)
        elif kind != 'http':
            self.folder = folder
            self.options['filesystem_store_datadir'] = folder
        if kind == 'full':
            self.options['lab_room'] = int(argument or 0)


def stores_conf(stores, default, folder):
    """Return the sections of glance-api.conf for several stores, and what imports need.

    :param stores: {name: (driver, options)}
    :param folder: below which Glance keeps what is on its way
    """
    return dict({
        'DEFAULT': {
            'enabled_backends': ', '.join('%s:%s' % (name, driver) for name, (driver, _) in stores.items()),
            'enabled_import_methods': '[glance-direct, web-download, copy-image]',
            'show_image_direct_url': True,
            'show_multiple_locations': True,
        },
        'glance_store': {'default_backend': default},
        'os_glance_staging_store': {'filesystem_store_datadir': os.path.join(folder, 'staging')},
        'os_glance_tasks_store': {'filesystem_store_datadir': os.path.join(folder, 'tasks')},
    }, **{name: options for name, (_, options) in stores.items()})


def rbd_store(ceph_conf, user, pool, **options):
    """Return a store in a Ceph cluster: the driver, and its options."""
    # librados itself would wait five minutes for a cluster that is down.
    return 'rbd', dict({'rbd_store_ceph_conf': ceph_conf, 'rbd_store_user': user, 'rbd_store_pool': pool,
                        'rados_connect_timeout': CONNECT_SECONDS}, **options)


def glance_conf(root, url, stores, default, multistore, extra):
    """Return glance-api.conf.

    :param stores: a list of `Store`
    :param default: the name of the default store
    :param extra: {section: {option: value}}, which wins
    """
    own = {
        'DEFAULT': {
            'log_file': os.path.join(root, 'glance-api.log'),
            'use_stderr': False,
            'public_endpoint': url,
            'worker_self_reference_url': url,
            'node_staging_uri': 'file://' + os.path.join(root, 'staging'),
        },
        # How long a request waits for another one's transaction, in seconds.
        'database': {'connection': 'sqlite:///%s?timeout=60' % os.path.join(root, 'glance.sqlite')},
        'paste_deploy': {'config_file': os.path.join(root, 'etc', 'glance-api-paste.ini')},
        'oslo_concurrency': {'lock_path': os.path.join(root, 'lock')},
        'oslo_policy': {'policy_file': os.path.join(root, 'etc', 'policy.yaml')},
        'wsgi': {'task_pool_threads': 4},
    }
    sections = stores_conf({store.name: (store.driver, dict({'store_description': 'lab'}, **store.options))
                            for store in stores}, default, root)
    if not multistore:
        only, = stores
        del sections['DEFAULT']['enabled_backends'], sections[only.name]
        sections['glance_store'] = dict(only.options, stores=only.driver, default_store=only.driver)
    return ini.merged(own, sections, extra)


def paste_ini(filters, faults):
    """Return glance-api-paste.ini: Glance's own pipeline, with ours after the context.

    :param filters: a list of {'name':, 'factory': 'module:function' or 'use': 'egg:...',
        'conf': {...}}
    """
    names = ['http_proxy_to_wsgi', 'versionnegotiation', 'fakeauth', 'context']
    names += [entry['name'] for entry in filters]
    if faults:
        names = ['lab_outer'] + names + ['lab_inner']
    middleware = 'glance.api.middleware.'
    sections = {
        'composite:glance-api': {'use': 'egg:Paste#urlmap', '/': 'api',
                                 '/healthcheck': 'healthcheck'},
        'pipeline:api': {'pipeline': ' '.join(names + ['rootapp'])},
        'composite:rootapp': {'use': 'egg:Paste#urlmap', '/': 'apiversions', '/v2': 'apiv2app'},
        'app:apiversions': {'paste.app_factory': 'glance.api.versions:create_resource'},
        'app:apiv2app': {'paste.app_factory': 'glance.api.v2.router:API.factory'},
        'app:healthcheck': {'paste.app_factory': 'oslo_middleware:Healthcheck.app_factory'},
        'filter:http_proxy_to_wsgi': {
            'paste.filter_factory': 'oslo_middleware:HTTPProxyToWSGI.factory'},
        'filter:versionnegotiation': {
            'paste.filter_factory':
                middleware + 'version_negotiation:VersionNegotiationFilter.factory'},
        'filter:fakeauth': {'paste.filter_factory': 'lab.keystone:filter_factory'},
        'filter:context': {
            'paste.filter_factory': middleware + 'context:ContextMiddleware.factory'},
    }
    for place in ('outer', 'inner') if faults else ():
        sections['filter:lab_' + place] = {
            'paste.filter_factory': 'lab.faults:filter_factory', 'place': place}
    for entry in filters:
        how = {'use': entry['use']} if 'use' in entry else {
            'paste.filter_factory': entry['factory']}
        sections['filter:' + entry['name']] = dict(how, **entry.get('conf', {}))
    return sections
