# SPDX-License-Identifier: Apache-2.0
"""What the computes of one Ceph cluster see and agree on without asking Glance.

While a copy goes on, one compute of the site asks Glance, the one that holds a RADOS lock; the
others watch for Glance's snapshot of the image in their own cluster. So a hundred computes do not
poll Glance across a WAN.
"""

import time
from typing import Any
from typing import Dict
from typing import Optional
import uuid

from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks.copy import waiter

LOG = logging.getLogger(__name__)

rbd_utils = imagebackend.rbd_utils

#: The snapshot that Glance makes, and protects, when all of an image is written.
SNAPSHOT = 'snap'
_LOCK = 'multistore_hooks'
#: Seconds for which a leader that died is still believed to live, and between two tries to follow it.
_LEASE, _RETRY = 20, 1.0
#: Flags of RADOS locks: take it or, if it is ours, renew it; only renew it.
_TAKE_OR_RENEW, _RENEW = 1, 2
#: Without limits librados waits for a cluster that is away for as long as it takes.
_LIMITS = {'client_mount_timeout': '5', 'rados_osd_op_timeout': '5', 'rados_mon_op_timeout': '5'}


class CephSite(waiter.Site):
    """The cluster of this compute, for one image.

    :param driver: Nova's RBDDriver; the lock is an object in its own pool, which Nova may write.
    :param pool: the pool of Glance's store in the same cluster.
    """

    def __init__(self, driver: Any, pool: str, image_id: str) -> None:
        self._driver, self._pool, self._image_id = driver, pool, image_id
        self._object = '%s.copy.%s' % (_LOCK, image_id)
        self._cookie = uuid.uuid4().hex
        self._cluster: Optional[Any] = None
        self._pools: Dict[str, Any] = {}
        self._leads = self._broken = False
        self._renew_at = 0.0

    def holds(self) -> bool:
        if self._broken:
            return False
        try:
            rbd_utils.rbd.Image(self._open(self._pool), self._image_id, snapshot=SNAPSHOT,
                                read_only=True).close()
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
            self._lock(_TAKE_OR_RENEW)
        except (rbd_utils.rados.ObjectBusy, rbd_utils.rados.ObjectExists):
            self._leads, self._renew_at = False, now + _RETRY
            return False
        except Exception as error:  # without a lock everybody asks Glance, which has its own
            LOG.debug('No lock on %(object)s: %(error)s', {'object': self._object, 'error': error})
        self._leads, self._renew_at = True, now + _LEASE / 4
        return True

    def resign(self) -> None:
        try:
            if self._leads and self._cluster is not None:
                self._lock(_RENEW)  # it may have expired, and be another's by now
                self._remove()
            elif self._cluster is not None and self.holds():
                # Nobody needs the lock any more; one who led and was killed cannot take it away.
                self._remove()
        except Exception as error:
            LOG.debug('The lock %(object)s is left alone: %(error)s',
                      {'object': self._object, 'error': error})
        for pool in self._pools.values():
            pool.close()
        if self._cluster is not None:
            self._cluster.shutdown()
        self._cluster, self._pools = None, {}
        self._leads, self._renew_at = False, 0.0

    def _remove(self) -> None:
        self._open(self._driver.pool).remove_object(self._object)  # and the lock with it

    def _lock(self, flags: int) -> None:
        self._open(self._driver.pool).lock_exclusive(
            self._object, _LOCK, self._cookie, duration=_LEASE, flags=flags)

    def _open(self, pool: str) -> Any:
        """Return a pool of the cluster, to which it connects if it has not yet."""
        if self._cluster is None:
            cluster = rbd_utils.rados.Rados(rados_id=self._driver.rbd_user,
                                            conffile=self._driver.ceph_conf, conf=_LIMITS)
            try:
                cluster.connect()
            except Exception:
                cluster.shutdown()
                raise
            self._cluster = cluster
        if pool not in self._pools:
            self._pools[pool] = self._cluster.open_ioctx(pool)
        return self._pools[pool]
