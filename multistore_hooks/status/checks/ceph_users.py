# SPDX-License-Identifier: Apache-2.0
"""May the Ceph users of the services do in the pools what the hooks need?"""

from typing import List
from typing import NamedTuple
from typing import Optional

from multistore_hooks import options
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import pools
from multistore_hooks.status import finding

NO_BINDINGS = 'python3-rados and python3-rbd are not installed here'


class Need(NamedTuple):
    """What a service does in a pool."""

    where: str
    user: pools.User
    pool: str
    #: What is impossible if the user may not read the pool, or not write it; empty: it need not.
    without_read: str = ''
    without_write: str = ''
    #: Without the right to write, the service has another way.
    write_is_optional: bool = False


def check_users(facts: gather.Facts) -> finding.Findings:
    """May each Ceph user read, and write, the pools that it has to?"""
    needs = needs_of_nova(facts.nova) if facts.nova is not None else []
    needs += needs_of_cinder(facts.cinder) + needs_of_glance(facts.glance)
    if not facts.confs:
        return [finding.skipped('no file was given')]
    if not needs:
        return [finding.passed('no store in a Ceph cluster is configured in the files')]
    if not facts.pools.reachable:
        return [finding.skipped(NO_BINDINGS)]
    found: finding.Findings = []
    for need in needs:
        try:
            found += decide(need, facts.pools.rights(need.user, need.pool))
        except pools.Undetermined as error:
            found.append(finding.undetermined(
                'what %s may do in the pool %s: %s' % (need.user, need.pool, error), need.where))
    if not any(one.code for one in found):
        found.append(finding.passed('; '.join(sorted({
            '%s: %s' % (need.user, need.pool) for need in needs})) + ': they may do what the hooks need'))
    return found


def decide(need: Need, rights: pools.Rights) -> finding.Findings:
    """Return what a user lacks."""
    caps = ("Give the user the OSD capability 'profile %s pool=%s' (ceph auth caps), or correct the name of "
            'the pool')
    if need.without_read and rights.read:
        return [finding.failure(
            'the Ceph user %s cannot read the pool %s (%s): %s'
            % (need.user, need.pool, rights.read, need.without_read), need.where,
            caps % ('rbd' if need.without_write and not need.write_is_optional else 'rbd-read-only',
                    need.pool))]
    if need.without_write and rights.write:
        what = 'the Ceph user %s cannot write the pool %s (%s): %s' % (
            need.user, need.pool, rights.write, need.without_write)
        if need.write_is_optional:      # to give no more rights than needed is the operator's choice
            return [finding.passed(what, need.where)]
        return [finding.failure(what, need.where, caps % ('rbd', need.pool))]
    return []


def user_of_nova(nova: config_files.ServiceConf) -> pools.User:
    """Return the Ceph user of a compute."""
    return pools.User(nova.get('libvirt', 'images_rbd_ceph_conf') or pools.DEFAULT_CONF,
                      nova.get('libvirt', 'rbd_user') or None)


def user_of_backend(backend: config_files.Backend) -> pools.User:
    """Return the Ceph user of a backend of Cinder."""
    return pools.User(backend.get('rbd_ceph_conf') or pools.DEFAULT_CONF, backend.get('rbd_user') or None)


def user_of_store(glance: config_files.ServiceConf, store: str) -> pools.User:
    """Return the Ceph user of an RBD store of Glance."""
    return pools.User(glance.get(store, 'rbd_store_ceph_conf') or pools.DEFAULT_CONF,
                      glance.get(store, 'rbd_store_user') or None)


def needs_of_nova(nova: config_files.ServiceConf) -> List[Need]:
    """Return what the hook in nova-compute does."""
    site_images = nova.get(gather.GROUP, 'site_images') != options.OFF
    store = nova.get('libvirt', 'images_rbd_glance_store_name')
    if nova.get('libvirt', 'images_type') != 'rbd' or not (store or site_images):
        return []
    user, disks = user_of_nova(nova), nova.get('libvirt', 'images_rbd_pool')
    needs = [Need(nova.where('libvirt', 'rbd_user'), user, disks,
                  'no disk of a server can be made', 'no disk of a server can be made')]
    if store:
        needs.append(Need(
            nova.where(gather.GROUP, 'glance_rbd_pool'), user, nova.get(gather.GROUP, 'glance_rbd_pool'),
            'no image can be cloned, and each server downloads its own',
            'snapshots are uploaded through Glance, and not made inside the cluster', True))
    pool = nova.get(gather.GROUP, 'site_image_pool')
    if site_images and pool and pool != disks:
        needs.append(Need(nova.where(gather.GROUP, 'site_image_pool'), user, pool,
                          'no site image is found', 'no site image can be made'))
    return needs


def needs_of_cinder(cinder: Optional[config_files.ServiceConf]) -> List[Need]:
    """Return what the hook in cinder-volume does, for each backend with a store of its own."""
    needs = []
    for backend in config_files.backends(cinder):
        if backend.store:
            user = user_of_backend(backend)
            needs.append(Need(backend.where('rbd_glance_pool'), user, backend.get('rbd_glance_pool'),
                              'no image can be cloned, and each volume is a download',
                              'volumes are uploaded through Glance, and not inside the cluster', True))
            needs.append(Need(backend.where('rbd_pool'), user, backend.get('rbd_pool'),
                              'no volume can be made', 'no volume can be made'))
    return needs


def needs_of_glance(glance: Optional[config_files.ServiceConf]) -> List[Need]:
    """Return what Glance does in the pools of its RBD stores."""
    stores = glance.get('DEFAULT', 'enabled_backends') or {} if glance is not None else {}
    return [Need(glance.where(store, 'rbd_store_pool'), user_of_store(glance, store),
                 glance.get(store, 'rbd_store_pool'), 'no image of the store can be read',
                 'the store takes no images and no copies')
            for store, kind in stores.items() if kind == 'rbd' and glance is not None]
