# SPDX-License-Identifier: Apache-2.0
"""What a compute host on RBD has in its nova.conf, over that of the lab's other hosts."""

import typing

Document = typing.Dict[str, typing.Any]

# Quiet but for what the results are made of.
LOG_LEVELS = ('nova.virt.libvirt.imagebackend=DEBUG', 'nova.storage.rbd_utils=DEBUG',
              'nova.virt.libvirt.storage.rbd_utils=DEBUG', 'keystoneauth.session=DEBUG',
              'multistore_hooks=DEBUG', 'urllib3=WARN', 'oslo_messaging=WARN', 'stevedore=WARN')


def complete(document: Document) -> Document:
    """Return the document with the configuration that its ``ceph`` stands for."""
    ceph = document['ceph']
    conf: typing.Dict[str, typing.Dict[str, typing.Any]] = {
        'DEFAULT': {
            'default_log_levels': ', '.join(LOG_LEVELS),
            # No Neutron, no config drive, and no free space of a hypervisor to be counted.
            'vif_plugging_is_fatal': 'false',
            'vif_plugging_timeout': '0',
        },
        'libvirt': {
            'images_type': 'rbd',
            'images_rbd_pool': ceph['pool'],
            'images_rbd_ceph_conf': ceph['conf'],
            'rbd_user': ceph['user'],
            # To libvirt it is only a number.
            'rbd_secret_uuid': '457eb676-33da-42ec-9a8c-9293d545c337',
            'inject_partition': '-2',
        },
        'oslo_concurrency': {},
    }
    for name, options in document.get('conf', {}).items():
        conf.setdefault(name, {}).update(options)
    return dict(document, conf=conf)
