# SPDX-License-Identifier: Apache-2.0
"""What librbd says of a disk, asked without Nova."""

import typing

from nova import conf
import rados
import rbd

CONF = conf.CONF


def look(disk: str) -> typing.Tuple[str, typing.Optional[str]]:
    """Say what a disk, pool/name, is: ('clone', its parent), ('flat', None), ('none', None)."""
    pool, name = disk.split('/')
    with rados.Rados(rados_id=CONF.libvirt.rbd_user,
                     conffile=CONF.libvirt.images_rbd_ceph_conf) as cluster:
        with cluster.open_ioctx(pool) as ioctx:
            if name not in rbd.RBD().list(ioctx):
                return 'none', None
            with rbd.Image(ioctx, name, read_only=True) as image:
                try:
                    return 'clone', '%s/%s@%s' % tuple(image.parent_info()[:3])
                except rbd.ImageNotFound:
                    return 'flat', None
