# SPDX-License-Identifier: Apache-2.0
"""Do all computes of the cluster have the hook that site images need?"""

import re

from multistore_hooks import options
from multistore_hooks.status.checks import ceph_users
from multistore_hooks.status.checks import hooks
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import pools
from multistore_hooks.status import finding

_OPTION = 'site_images'
#: An RBD image that bears the name that Glance gives.
_IMAGE_ID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z')


def check_site_images(facts: gather.Facts) -> finding.Findings:
    """Has the option an effect, and can no compute without the hook put a snapshot beside site images?"""
    nova = facts.nova
    if nova is None:
        return [finding.skipped('--nova-conf was not given')]
    mode = nova.get(gather.GROUP, _OPTION)
    if mode == options.OFF:
        return [finding.passed('[%s] %s is off' % (gather.GROUP, _OPTION))]
    found = _no_effect(nova, str(mode))
    if found:
        return found
    if not facts.pools.reachable:
        return [finding.skipped(ceph_users.NO_BINDINGS)]
    disks, own = nova.get('libvirt', 'images_rbd_pool'), nova.get(gather.GROUP, 'site_image_pool')
    pool, where = own or disks, nova.where(gather.GROUP, 'site_image_pool')
    if pool == nova.get(gather.GROUP, 'glance_rbd_pool'):
        return [finding.passed('site images are in the pool %s, which is that of Glance' % pool, where)]
    try:
        names = facts.pools.names(ceph_users.user_of_nova(nova), pool)
    except pools.Undetermined as error:
        return [finding.undetermined('what the pool %s holds: %s' % (pool, error), where)]
    strays = sorted(name for name in names if _IMAGE_ID.match(name))
    found = []
    if strays:
        found.append(finding.warning(
            'the pool %s, where site images are, holds %d RBD images with names of Glance (%s): direct '
            'snapshots of a compute without the hook, which Glance cannot read'
            % (pool, len(strays), ', '.join(strays[:3])), where,
            'Set compute_driver to %s on all computes of the cluster' % hooks.NOVA_DRIVER))
    if not own:
        # Whether there are such computes cannot be seen from here: the operator says so, once.
        found.append(finding.warning(
            "is not set: site images are in the pool of the servers' disks, %s, where a compute without the "
            'hook would put direct snapshots of their clones, which Glance cannot read' % disks, where,
            'Set it: to %s if all computes of the cluster have the hook, else to a pool that only computes '
            'with the hook may write' % disks))
    return found or [finding.passed(
        'site images are in the pool %s, and no snapshot of a compute without the hook' % pool, where)]


def _no_effect(nova: config_files.ServiceConf, mode: str) -> finding.Findings:
    where, images_type = nova.where(gather.GROUP, _OPTION), nova.get('libvirt', 'images_type')
    if images_type != 'rbd':
        return [finding.failure("is '%s', and has no effect: [libvirt] images_type is '%s'"
                                % (mode, images_type), where, 'Set images_type to rbd, or remove this')]
    if nova.get('DEFAULT', 'compute_driver') != hooks.NOVA_DRIVER:
        return [finding.failure("is '%s', and has no effect: [DEFAULT] compute_driver is not %s"
                                % (mode, hooks.NOVA_DRIVER), where,
                                'Set compute_driver, on all computes of the cluster')]
    return []
