# SPDX-License-Identifier: Apache-2.0
"""Glance's stores: are there several, do those exist that are named, were their drivers loaded?"""

from typing import List
from typing import Mapping
from typing import Optional

from multistore_hooks.glance_api import api
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status.facts import live_glance
from multistore_hooks.status import finding
from multistore_hooks.upload import placements

_NOT_QUERIED = finding.skipped('Glance was not queried')


def check_several(facts: gather.Facts) -> finding.Findings:
    """Is Glance multi-store?"""
    found = _several_in_file(facts.glance) if facts.glance is not None else []
    if facts.cloud is None:
        return found or [_NOT_QUERIED]
    stores = facts.cloud.stores()
    if not stores.stores:
        return found + [finding.failure(
            'Glance has one store and no discovery of stores (404)', facts.cloud.url + '/v2/info/stores',
            'Set [DEFAULT] enabled_backends and [glance_store] default_backend in glance-api.conf, and '
            'restart Glance')]
    listed = ', '.join('%s%s' % (store.id, ' (default)' if store.default else
                                 ' (read-only)' if store.read_only else '') for store in stores.stores)
    if stores.default is None:
        found.append(finding.failure(
            'no store is the default, so an upload that names none is refused; the stores are: ' + listed,
            facts.cloud.url + '/v2/info/stores',
            'Set [glance_store] default_backend in glance-api.conf to one of them'))
    elif len(stores.stores) == 1:
        found.append(finding.warning('there is one store only: ' + listed,
                                     facts.cloud.url + '/v2/info/stores',
                                     'Add stores to [DEFAULT] enabled_backends in glance-api.conf'))
    return found or [finding.passed('the stores are: ' + listed, facts.cloud.url)]


def _several_in_file(glance: config_files.ServiceConf) -> finding.Findings:
    backends = glance.get('DEFAULT', 'enabled_backends')
    default = glance.get('glance_store', 'default_backend')
    if not backends:
        return [finding.failure('is not set: Glance has one store',
                                glance.where('DEFAULT', 'enabled_backends'),
                                'Set it to NAME:TYPE,NAME:TYPE, with a section [NAME] for each, and '
                                '[glance_store] default_backend to one of the names')]
    if default not in backends:
        return [finding.failure(
            "is '%s', which is none of enabled_backends: %s" % (default or '', ', '.join(backends)),
            glance.where('glance_store', 'default_backend'), 'Set it to one of these')]
    return []


def check_named(facts: gather.Facts) -> finding.Findings:
    """Does every store exist, and take images, that a file or a volume type names?"""
    names = names_in_files(facts)
    found: finding.Findings = []
    types = facts.cloud.volume_types() if facts.cloud is not None else None
    for volume_type in types or ():
        store = (volume_type.get('extra_specs') or {}).get('image_service:store_id')
        if store:
            names.append(placements.StoreRef(
                store, 'the volume type %s, image_service:store_id' % volume_type.get('name')))
    if facts.cloud is not None and types is None and facts.cinder is not None:
        found.append(finding.undetermined(
            'which stores the volume types name, since Cinder does not list its types', '',
            'Give credentials of an administrator, and check that the catalog has an endpoint for '
            'block-storage or volumev3'))
    known = _known(facts)
    if known is None:
        return found + [finding.skipped('neither Glance was queried nor --glance-conf '
                                        'given')]
    for name in names:
        found += decide_named(name, known)
    if not found and names:
        found.append(finding.passed(
            'there and not read-only: %s. Whether Glance disabled one at its start cannot be determined '
            'before an upload' % ', '.join(sorted({name.store for name in names}))))
    return found or [finding.passed('no store is named')]


def names_in_files(facts: gather.Facts) -> List[placements.StoreRef]:
    """Return the stores that the configuration files name, with file, section and option."""
    names = []
    for conf, group, option in (
            (facts.nova, gather.GROUP, 'snapshot_store'),
            (facts.nova, 'libvirt', 'images_rbd_glance_store_name'),
            (facts.cinder, gather.GROUP, 'upload_store')):
        store = conf.get(group, option) if conf is not None else None
        if conf is not None and store:
            names.append(placements.StoreRef(store, conf.where(group, option)))
    return names + [placements.StoreRef(backend.store, backend.where('rbd_glance_store_name'))
                    for backend in config_files.backends(facts.cinder) if backend.store]


def _known(facts: gather.Facts) -> Optional[api.Stores]:
    if facts.cloud is not None:
        stores = facts.cloud.stores()
        if stores.stores:
            return stores
    backends = facts.glance.get('DEFAULT', 'enabled_backends') if facts.glance is not None else None
    if not backends:
        return None
    return api.Stores(tuple(api.Store(name, read_only=kind == 'http') for name, kind in backends.items()))


def decide_named(name: placements.StoreRef, known: api.Stores) -> finding.Findings:
    """Return what is wrong with a name, given the stores there are."""
    why = placements.why_unusable(name.store, known)
    if why is None:
        return []
    takers = [store.id for store in known.stores if not store.read_only]
    return [finding.failure("names the Glance store '%s', which %s" % (name.store, why), name.source,
                            'Name one of: %s' % (', '.join(takers) or 'there are none that take images'))]


def check_drivers(facts: gather.Facts) -> finding.Findings:
    """Was the driver of every store loaded? Glance skips one that was not, and lists it all the same."""
    found = _libraries(facts)
    if facts.cloud is None:
        return found or [_NOT_QUERIED]
    backends = facts.glance.get('DEFAULT', 'enabled_backends') or {} if facts.glance is not None else {}
    try:
        stores = facts.cloud.stores()
        found += _details(facts.cloud)
    except api.GlanceError as error:
        if (error.status or 0) < 500:
            raise
        # It has no options for the section of a store whose driver is not there.
        stores = api.Stores(tuple(api.Store(name) for name in backends))
        found.append(finding.failure(
            'Glance fails (%s) to list its stores, as it does when the driver of one was '
            'not loaded' % error.status, facts.cloud.url + '/v2/info/stores',
            "Search for 'Failed to load driver' in Glance's log" if backends else
            "Give --glance-conf to see which, or search for 'Failed to load driver' in Glance's log"))
    for store in stores.ids:
        if facts.cloud.loaded(store) == live_glance.NO:
            found.append(finding.failure(
                "Glance has not loaded the driver of the store '%s'%s: it skips the store, and goes on"
                % (store, ' (%s)' % backends[store] if store in backends else ''),
                _place_of_store(facts, store),
                "Correct the store's type, or install the driver for the Python that runs Glance "
                "(its log says 'Failed to load driver'), and restart Glance"))
        elif facts.cloud.loaded(store) == live_glance.UNKNOWN:
            found.append(finding.undetermined("whether the driver of the store '%s' was loaded" % store))
    if facts.glance is not None and stores.stores:
        found += decide_same(facts.glance, stores, facts.cloud)
    if any(one.code for one in found):
        return found
    return found + [finding.passed('loaded: ' + (', '.join(stores.ids) or 'the only store'))]


def _details(cloud: live_glance.Cloud) -> finding.Findings:
    if cloud.details() is not None or not cloud.details_fail:
        return []
    return [finding.warning(
        'Glance fails (500) to list the details of its stores: one of them could not be set '
        'up, and is disabled', cloud.url + '/v2/info/stores/detail',
        "Search for 'Failed to configure store' in Glance's log")]


def _libraries(facts: gather.Facts) -> finding.Findings:
    """Return the stores whose driver lacks what it imports, where Glance's interpreter is known."""
    if facts.glance is None:
        return []
    backends = facts.glance.get('DEFAULT', 'enabled_backends') or {}
    if not set(backends.values()) & set(host.DRIVERS):
        return []
    service = facts.service('glance')
    if service.interpreter is None:
        return [finding.passed('what the drivers of the stores import was not checked: ' + service.how)]
    return decide_libraries(backends, service.interpreter,
                            facts.glance.where('DEFAULT', 'enabled_backends'))


def decide_libraries(backends: Mapping[str, str], interpreter: host.Interpreter, where: str
                     ) -> finding.Findings:
    """Return the stores whose driver would not find what it imports."""
    found = []
    for store, kind in backends.items():
        missing = [name for name in host.DRIVERS.get(kind, ()) if not interpreter.folder(name)]
        if missing:
            what = ' and '.join(missing)
            found.append(finding.failure(
                "the store '%s' is of the type %s, but %s, which runs Glance, has no %s: Glance disables "
                'the store, and lists it all the same' % (store, kind, interpreter.python, what), where,
                'Install %s for that Python, and restart Glance' % what))
    return found


def _place_of_store(facts: gather.Facts, store: str) -> str:
    if facts.glance is not None and store in (facts.glance.get('DEFAULT', 'enabled_backends') or {}):
        return facts.glance.where('DEFAULT', 'enabled_backends')
    return 'glance-api.conf, [DEFAULT] enabled_backends'


def decide_same(glance: config_files.ServiceConf, stores: api.Stores,
                cloud: live_glance.Cloud) -> finding.Findings:
    """Compare what the file says with what the running Glance has."""
    backends = glance.get('DEFAULT', 'enabled_backends') or {}
    where = glance.where('DEFAULT', 'enabled_backends')
    missing = [name for name in backends if name not in stores.ids]
    others = [name for name in stores.ids if name not in backends]
    details = cloud.details() or {}
    changed = ['%s (file: %s, Glance: %s)' % (name, kind, details[name]['type'])
               for name, kind in backends.items()
               if name in details and details[name].get('type', kind) != kind]
    found = []
    for what, names in (('has stores that the running Glance does not have', missing),
                        ('lacks stores that the running Glance has', others),
                        ('has stores of another type than the running Glance', changed)):
        if names:
            found.append(finding.failure(
                '%s: %s' % (what, ', '.join(names)), where,
                'Restart Glance if the file was changed since; else name the file that Glance at %s '
                'reads, or another Glance (--os-region-name, --os-image-endpoint-override)' % cloud.url))
    return found
