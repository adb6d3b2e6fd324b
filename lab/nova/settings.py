# SPDX-License-Identifier: Apache-2.0
"""The nova.conf of the lab: what the document says, over what a compute host needs."""

import os
import typing

from lab import ini

Document = typing.Dict[str, typing.Any]

HOST = 'lab-compute'
# Quiet but for what the results of a host on RBD are made of.
LOG_LEVELS = ('nova.virt.libvirt.imagebackend=DEBUG', 'nova.storage.rbd_utils=DEBUG',
              'nova.virt.libvirt.storage.rbd_utils=DEBUG', 'keystoneauth.session=DEBUG',
              'multistore_hooks=DEBUG', 'urllib3=WARN', 'oslo_messaging=WARN', 'stevedore=WARN')


def write(document: Document) -> str:
    """Write nova.conf into the document's state directory; return its path.

    The document's ``conf`` is {section: {option: value}}; it wins over the lab's own. A list is
    written as the option given several times.
    """
    state = os.path.abspath(document['state_dir'])
    for name in ('instances', 'lock'):
        os.makedirs(os.path.join(state, name), exist_ok=True)
    return ini.write(os.path.join(state, 'nova.conf'), ini.merged(
        _own(document, state), _of_ceph(document['ceph']) if document.get('ceph') else {},
        document.get('conf', {})))


def _own(document: Document, state: str) -> ini.Sections:
    return {
        'DEFAULT': {
            'compute_driver': document.get('compute_driver', 'libvirt.LibvirtDriver'),
            'host': HOST,
            'state_path': state,
            'log_file': os.path.join(state, 'nova-compute.log'),
            'use_stderr': False,
            # Messages stay in this process: see the package's docstring.
            'transport_url': 'fake:/',
            # Newer releases warn when these differ.
            'max_concurrent_builds': 5,
            'max_concurrent_snapshots': 5,
            # A shelved server stays on its host, so that shelving ends with its snapshot.
            'shelved_offload_time': -1,
        },
        'database': {'connection': 'sqlite:///%s/nova.sqlite?timeout=60' % state},
        'api_database': {'connection': 'sqlite:///%s/nova-api.sqlite?timeout=60' % state},
        'glance': {'endpoint_override': document['glance_url']},
        # By virt_type the driver connects to qemu:///system, which the fake libvirt accepts.
        'libvirt': {'virt_type': 'qemu', 'images_type': 'flat'},
        'oslo_concurrency': {'lock_path': os.path.join(state, 'lock')},
    }


def _of_ceph(ceph: typing.Mapping[str, str]) -> ini.Sections:
    return {
        'DEFAULT': {
            'default_log_levels': ', '.join(LOG_LEVELS),
            # No Neutron, no config drive, and no free space of a hypervisor to be counted.
            'vif_plugging_is_fatal': False,
            'vif_plugging_timeout': 0,
        },
        'libvirt': {
            'images_type': 'rbd',
            'images_rbd_pool': ceph['pool'],
            'images_rbd_ceph_conf': ceph['conf'],
            'rbd_user': ceph['user'],
            # To libvirt it is only a number.
            'rbd_secret_uuid': '457eb676-33da-42ec-9a8c-9293d545c337',
            'inject_partition': -2,
        },
    }
