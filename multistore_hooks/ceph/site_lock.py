# SPDX-License-Identifier: Apache-2.0
"""A lock that the hosts of a site share in their own cluster, and what its holder says about its work.

It is an advisory lock of RADOS with a lease, on an object of its own, which goes with the lock. Records of
outcomes are attributes of one object of the pool, and old ones are removed by the writer of the next.
"""

import contextlib
import hashlib
import json
import threading
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import NamedTuple
from typing import Optional
import uuid

from oslo_log import log as logging

from multistore_hooks.ceph import cluster

LOG = logging.getLogger(__name__)

PREFIX = 'multistore_hooks'
#: The object with the records.
RECORDS = PREFIX + '.records'
#: Seconds for which a holder that died keeps the lock, and between two renewals.
LEASE, RENEW_EVERY = 20, 5
#: Seconds for which a record is kept at least.
KEEP = 600
#: Flags of RADOS locks: take it or, if it is ours, renew it; only renew it.
_TAKE_OR_RENEW, _RENEW = 1, 2


class Record(NamedTuple):
    """What a holder wrote: ``id`` differs for each record, ``at`` is the writer's time of day in seconds."""

    id: str
    at: float
    content: Dict[str, str]


class SiteLock:
    """One lock of a site, by name.

    :param pool: a pool that the hosts may write.
    :param name: what the lock is about, image and store, say.
    :param clock: has ``sleep(seconds)`` and ``time()``.
    """

    def __init__(self, site: cluster.Cluster, pool: str, name: str, clock: Any = time) -> None:
        self._site, self._pool, self._clock = site, pool, clock
        self.object = '%s.%s' % (PREFIX, name)
        # Names of attributes are short.
        self._attribute = 'of.' + hashlib.sha256(self.object.encode('utf-8')).hexdigest()[:32]
        self._cookie = uuid.uuid4().hex
        self._held = False

    def acquire(self) -> bool:
        """Take the lock or, if it is held already, renew it; return whether it is held.

        To be called at least every RENEW_EVERY seconds; a holder that does not for LEASE seconds may lose it.

        :raises ClusterError: it cannot be determined.
        """
        try:
            self._lock(_TAKE_OR_RENEW)
        except cluster.Busy:
            self._held = False
        except cluster.Missing as error:  # the lock makes its object: it is the pool that is gone
            raise cluster.ClusterError(str(error)) from error
        else:
            self._held = True
        return self._held

    def release(self) -> None:
        """Release the lock if it is still held, and remove its object.

        :raises ClusterError: it is not known whether it is released; the lease will end.
        """
        held, self._held = self._held, False
        if not held:
            return
        try:
            self._lock(_RENEW)  # it may have expired, and be another's by now
            self._site.call(self._pool, lambda ioctx: ioctx.remove_object(self.object))
        except (cluster.Busy, cluster.Missing) as error:
            LOG.debug('The lock %(lock)s is not held any more: %(error)s',
                      {'lock': self.object, 'error': error})

    def _lock(self, flags: int) -> None:
        self._site.call(self._pool, lambda ioctx: ioctx.lock_exclusive(
            self.object, PREFIX, self._cookie, duration=LEASE, flags=flags))

    @contextlib.contextmanager
    def kept(self, start: Callable[[Callable[[], None]], Any], limit: float) -> Iterator['Keeper']:
        """Renew the held lock in the background for the duration of a ``with`` block.

        :param start: starts a function in a thread of its own.
        :param limit: the seconds after which it is renewed no more.
        """
        keeper = Keeper(self, self._clock, limit)
        start(keeper.run)
        try:
            yield keeper
        finally:
            keeper.stop()

    def write(self, content: Dict[str, str]) -> None:
        """Write a record in place of the one before.

        :raises ClusterError: it may not be written.
        """
        now = self._clock.time()
        value = json.dumps([uuid.uuid4().hex, now, content]).encode('utf-8')

        def write(ioctx: Any) -> None:
            ioctx.set_xattr(RECORDS, self._attribute, value)
            for name, old in list(ioctx.get_xattrs(RECORDS)):
                if name != self._attribute and abs(now - _parse(old).at) > KEEP:
                    ioctx.rm_xattr(RECORDS, name)

        try:
            self._site.call(self._pool, write)
        except cluster.Missing as error:  # an old record that another host removed
            LOG.debug('An old record was gone: %s', error)

    def read(self) -> Optional[Record]:
        """Return the newest record, or None.

        :raises ClusterError: it cannot be read.
        """
        try:
            return _parse(self._site.call(
                self._pool, lambda ioctx: ioctx.get_xattr(RECORDS, self._attribute)))
        except cluster.Missing:
            return None


class Keeper:
    """Renews a lock in the background.

    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    :param limit: the seconds after which it stops: whatever the holder does may hang.
    """

    def __init__(self, lock: SiteLock, clock: Any, limit: float) -> None:
        self._lock, self._clock = lock, clock
        self._ends = clock.monotonic() + limit
        self._stopped = False
        #: Of ``_stopped`` and each renewal: one under way at the end would take the lock after its release.
        self._mutex = threading.Lock()
        #: The lock was lost, or is renewed no more: another host may hold it.
        self.lost = False

    def run(self) -> None:
        """Renew until it is stopped or the lock is lost, up to the limit.

        A cluster that is away does not end it.
        """
        while self._renew():
            self._clock.sleep(RENEW_EVERY)

    def _renew(self) -> bool:
        """Renew once; return whether to go on."""
        with self._mutex:
            if self._stopped:
                return False
            try:
                self.lost = self._clock.monotonic() >= self._ends or not self._lock.acquire()
            except (cluster.ClusterError, cluster.Missing) as error:
                LOG.debug('The lock %(lock)s was not renewed: %(error)s',
                          {'lock': self._lock.object, 'error': error})
            return not self.lost

    def stop(self) -> None:
        """Renew no more; a renewal under way ends first."""
        with self._mutex:
            self._stopped = True


def _parse(value: bytes) -> Record:
    try:
        number, at, content = json.loads(value.decode('utf-8'))
        return Record(str(number), float(at), dict(content))
    except (ValueError, TypeError):  # not of this library's making
        return Record('', 0.0, {})
