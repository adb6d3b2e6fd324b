# SPDX-License-Identifier: Apache-2.0
"""Which pool a direct snapshot goes to: a pure decision.

Nova takes the pool of the disk's parent, and requests locations of Glance if the disk has none. The parent
may be a site image, whose pool Glance does not read, and the locations may be hidden (OSSN-0065).
"""

import enum
from typing import NamedTuple
from typing import Optional

from multistore_hooks.ceph import site_image_record


class Kind(enum.Enum):
    """What to do about a snapshot."""

    POOL = 'into this pool'
    NOVA = 'as Nova infers it'
    UPLOAD = 'upload it'


class Choice(NamedTuple):
    """What to do; for POOL which pool, for NOVA which one if Nova infers none (or empty), for UPLOAD why."""

    kind: Kind
    pool: str = ''
    reason: str = ''


def choose(parent: Optional[str], local_store: str, local_pool: str, is_named: bool) -> Choice:
    """Decide where a direct snapshot goes.

    :param parent: the name of the RBD image that the disk is a clone of; None: of none.
    :param local_store: the store in this compute's cluster (images_rbd_glance_store_name), or empty.
    :param local_pool: its pool (glance_rbd_pool).
    :param is_named: the operator wants snapshots in the local store ([multistore_hooks] snapshot_store).
    """
    of_site_image = parent is not None and site_image_record.image_of(parent) is not None
    if local_store and (of_site_image or parent is None and is_named):
        return Choice(Kind.POOL, local_pool)
    if local_store and parent is None:
        # Nova knows the pool where Glance shows locations; glance_rbd_pool may be no more than its default.
        return Choice(Kind.NOVA, local_pool)
    if of_site_image:
        return Choice(Kind.UPLOAD, reason='its disk is a clone of the site image %s, and no store in this '
                      'cluster is named ([libvirt] images_rbd_glance_store_name)' % parent)
    return Choice(Kind.NOVA)
