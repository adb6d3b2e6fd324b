# SPDX-License-Identifier: Apache-2.0
"""The hosts of one Ceph cluster, for a copy of one image into one store.

One host leads: it holds a lock in the cluster, and polls Glance. The others watch the lock and the leader's
record, so that a hundred computes do not poll Glance across a WAN.
"""

import time
from typing import Any
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_lock
from multistore_hooks.copy import coordination

LOG = logging.getLogger(__name__)

#: The snapshot that Glance makes, and protects, when the whole image is written.
SNAPSHOT = 'snap'
#: Seconds between two tries of a follower to lead, and between two reads of a pool that could not be read.
TRY_EVERY, BACK_OFF = 1.0, 30
#: Seconds for which a refusal is believed without another request.
REFUSAL_SECONDS = 60


class CephCoordinator(coordination.Coordinator):
    """Coordinates by a lock in a pool that the hosts may write.

    :param lock_pool: the service's own pool.
    :param image_pool: the pool of the Glance store in the same cluster.
    :param clock: has ``monotonic()`` and ``time()``.
    :param claim: the lock of whatever brings the image to this site; None: nothing but copies does.
    """

    def __init__(self, site: cluster.Cluster, lock_pool: str, image_pool: str, image_id: str, store: str,
                 clock: Any = time, claim: Optional[site_lock.SiteLock] = None) -> None:
        self._site, self._clock, self._claim = site, clock, claim
        self._claims, self._next_claim = False, 0.0
        self._image_pool, self._image_id = image_pool, image_id
        self._lock = site_lock.SiteLock(site, lock_pool, 'copy.%s.%s' % (image_id, store), clock)
        self._leads = False
        self._next_try = 0.0
        self._failing_since: Optional[float] = None
        self._blind_until = 0.0
        #: The record that was there before this wait; None: not read yet.
        self._first_record: Optional[str] = None

    def image_present(self) -> bool:
        return bool(self._look(SNAPSHOT))

    def obstacle(self) -> str:
        if self._look(None) and self._look(SNAPSHOT) is False:
            return ('the pool %(pool)s holds an unfinished RBD image %(image)s without snapshot, left by an '
                    'interrupted copy: Glance cannot copy the image there until an administrator has removed '
                    'it (rbd -p %(pool)s rm %(image)s)'
                    % {'pool': self._image_pool, 'image': self._image_id})
        return ''

    def _look(self, snapshot: Optional[str]) -> Optional[bool]:
        """Return whether the image, or its snapshot, is in Glance's pool; None if that is not known now."""
        if self._clock.monotonic() < self._blind_until:
            return None
        try:
            return self._site.image_exists(self._image_pool, self._image_id, snapshot)
        except cluster.ClusterError as error:
            self._blind_until = self._clock.monotonic() + BACK_OFF
            LOG.debug('The pool %(pool)s cannot be read: %(error)s',
                      {'pool': self._image_pool, 'error': error})
            return None

    def try_lead(self) -> bool:
        now = self._clock.monotonic()
        if now < self._next_try:
            return self._leads
        try:
            if self._first_record is None:
                self._read()
            self._leads = self._lock.acquire()
        except cluster.ClusterError as error:
            # Glance has its own lock: better that all poll it than that none does, if this does not pass.
            if self._failing_since is None:
                self._failing_since = now
            self._leads = (self._leads or isinstance(error, cluster.PoolUnusable)
                           or now - self._failing_since >= site_lock.LEASE)
            LOG.debug('No lock on %(lock)s: %(error)s', {'lock': self._lock.object, 'error': error})
        else:
            self._failing_since = None
        self._next_try = now + (site_lock.RENEW_EVERY if self._leads else TRY_EVERY)
        if self._leads and self._claims:
            self.claim()
        return self._leads

    def claim(self) -> bool:
        now = self._clock.monotonic()
        if self._claim is None or self._claims and now < self._next_claim:
            return True
        try:
            self._claims = self._claim.acquire()
        except cluster.ClusterError as error:
            LOG.debug('No lock on %(lock)s: %(error)s', {'lock': self._claim.object, 'error': error})
            return True  # as without the cluster: better two ways than none
        self._next_claim = now + site_lock.RENEW_EVERY
        return self._claims

    def publish(self, status: coordination.Status) -> None:
        try:
            self._lock.write({'state': status.state.name, 'reason': status.reason,
                              'requester': status.requester})
        except cluster.ClusterError as error:
            LOG.debug('The status of %(lock)s was not published: %(error)s',
                      {'lock': self._lock.object, 'error': error})

    def status(self) -> Optional[coordination.Status]:
        try:
            record = self._read()
        except cluster.ClusterError as error:
            LOG.debug('The status of %(lock)s cannot be read: %(error)s',
                      {'lock': self._lock.object, 'error': error})
            return None
        state = coordination.State.__members__.get(record.content.get('state', '')) if record else None
        if record is None or state is None:
            return None
        status = coordination.Status(state, str(record.content.get('reason', '')),
                                     str(record.content.get('requester', '')))
        if not status.final:
            # Of a leader that is gone, if this host leads now.
            return None if self._leads else status
        new = record.id != self._first_record
        fresh = abs(self._clock.time() - record.at) < REFUSAL_SECONDS
        return status if new or (fresh and state is coordination.State.REFUSED) else None

    def _read(self) -> Optional[site_lock.Record]:
        record = self._lock.read()
        if self._first_record is None:
            self._first_record = record.id if record else ''
        return record

    def waive(self) -> None:
        if self._claim is not None and self._claims:
            self._release(self._claim)
        self._claims = False

    def step_down(self) -> None:
        self.waive()
        self._release(self._lock)
        self._leads, self._next_try = False, 0.0

    @staticmethod
    def _release(lock: site_lock.SiteLock) -> None:
        try:
            lock.release()
        except cluster.ClusterError as error:
            LOG.debug('The lock %(lock)s ends with its lease: %(error)s',
                      {'lock': lock.object, 'error': error})

    def close(self) -> None:
        self._site.close()
