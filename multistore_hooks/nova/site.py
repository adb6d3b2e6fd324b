# SPDX-License-Identifier: Apache-2.0
"""What the computes of one Ceph cluster see and agree on without asking Glance.

While a copy goes on, one compute of the site asks Glance, the one that holds a RADOS lock; the
others watch for Glance's snapshot of the image in their own cluster. So a hundred computes do not
poll Glance across a WAN.
"""

import time
from typing import Any
from typing import Optional
import uuid

from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks import copying

LOG = logging.getLogger(__name__)

rbd_utils = imagebackend.rbd_utils

#: The snapshot that Glance makes, and protects, when all of an image is written.
SNAPSHOT = 'snap'
_LOCK = 'multistore_hooks'
#: Seconds for which a leader that died is still believed to live, and between two tries to follow
#: it.
_LEASE, _RETRY = 20, 1.0


class CephSite(copying.Site):
    """The cluster of this compute, for one image.

    :param driver: Nova's RBDDriver; the lock is an object in its own pool, which Nova may write.
    :param pool: the pool of Glance's store in the same cluster.
    """

    def __init__(self, driver: Any, pool: str, image_id: str) -> None:
        self._driver, self._pool, self._image_id = driver, pool, image_id
        self._object = '%s.copy.%s' % (_LOCK, image_id)
        self._cookie = uuid.uuid4().hex
        self._images: Optional[Any] = None
        self._locks: Optional[Any] = None
        self._leads = self._broken = False
        self._renew_at = 0.0

    def holds(self) -> bool:
        if self._broken:
            return False
        try:
            if self._images is None:
                self._images = rbd_utils.RADOSClient(self._driver, self._pool)
            rbd_utils.rbd.Image(self._images.ioctx, self._image_id, snapshot=SNAPSHOT, read_only=True).close()
        except rbd_utils.rbd.ImageNotFound:
            return False
        except Exception as error:
            LOG.debug('The pool %(pool)s cannot be looked at: %(error)s',
                      {'pool': self._pool, 'error': error})
            self._broken = True
            return False
        return True

    def lead(self) -> bool:
        now = time.monotonic()
        if now < self._renew_at:
            return self._leads
        try:
            if self._locks is None:
                self._locks = rbd_utils.RADOSClient(self._driver)
            # Flag 1 renews a lock of the same cookie.
            self._locks.ioctx.lock_exclusive(self._object, _LOCK, self._cookie, duration=_LEASE, flags=1)
        except (rbd_utils.rados.ObjectBusy, rbd_utils.rados.ObjectExists):
            self._leads, self._renew_at = False, now + _RETRY
            return False
        except Exception as error:  # without a lock everybody asks Glance, which is no harm but load
            LOG.debug('No lock on %(object)s: %(error)s', {'object': self._object, 'error': error})
            self._leads, self._renew_at = True, float('inf')
            return True
        self._leads, self._renew_at = True, now + _LEASE / 4
        return True

    def resign(self) -> None:
        locks, self._locks = self._locks, None
        images, self._images = self._images, None
        try:
            if locks is not None and self._leads:
                locks.ioctx.remove_object(self._object)  # and the lock with it
        except Exception as error:
            LOG.debug('The lock %(object)s stays until it expires: %(error)s',
                      {'object': self._object, 'error': error})
        for connection in (locks, images):
            if connection is not None:
                connection.__exit__(None, None, None)
