# SPDX-License-Identifier: Apache-2.0
"""Carries a plan out: copies with a bound for each store, then evictions, round after round.

All that is known is in Glance. Stopped or killed at any moment, a new plan goes on where this one was.
"""

import collections
import time
from typing import Any
from typing import Callable
from typing import Deque
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.copy import decision
from multistore_hooks.glance_api import api
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import inventory
from multistore_hooks.stores import lock
from multistore_hooks.stores import plans

LOG = logging.getLogger(__name__)

COPIED, FAILED, SKIPPED = 'copied', 'failed', 'not begun'
#: How many times a copy that Glance accepted, and that came to nothing, is requested.
MOST_REQUESTS = 3


class Limits(NamedTuple):
    """How much at once, and how long: seconds."""

    #: Imports into one store, and imports in all.
    per_store: int = 2
    imports: int = 8
    #: For one import, from when it begins.
    timeout: float = 6 * 3600
    #: The longest pause between two polls of an import.
    interval: float = 15


class Outcome(NamedTuple):
    """What came of a copy into one store, or of an eviction."""

    image: inventory.Subject
    store: str
    #: '+' or '-', as in the plan.
    action: str
    state: str
    why: str = ''

    @property
    def failed(self) -> bool:
        """Whether it did not come to what was planned."""
        return self.state in (FAILED, SKIPPED, evict.FAILED, evict.REFUSED)


class Going(NamedTuple):
    """An import that was begun, or has come further."""

    image: inventory.Subject
    #: All its stores, and those that it is still to come to; none are left at its end.
    stores: Tuple[str, ...]
    pending: Tuple[str, ...]


Report = Callable[[Outcome], None]
Watch = Callable[[Going], None]


class Applier:
    """Carries out plans.

    :param evictor: for evictions
    :param report: called with each outcome, as it comes
    :param has_room: called with a store and bytes before each copy of the second round and later, as what an
        eviction has freed may be in the trash
    :param watch: called with each import when it begins, after each poll, and at its end
    """

    def __init__(self, images: glance.StoreImages, evictor: evict.Evictor, limits: Limits = Limits(),
                 clock: Any = time, report: Report = lambda outcome: None,
                 has_room: Callable[[str, int], bool] = lambda store, size: True,
                 watch: Watch = lambda going: None) -> None:
        self._images, self._evictor, self._limits = images, evictor, limits
        self._clock, self._report, self._has_room, self._watch = clock, report, has_room, watch
        #: What came of each step so far.
        self.outcomes: List[Outcome] = []
        self._running: List[_Import] = []
        #: Ids of images of which a copy failed that was requested here.
        self.failed: Set[str] = set()
        #: Bytes by store that the plan counts on, and that failed evictions have not freed.
        self._not_freed: 'collections.Counter[str]' = collections.Counter()

    def run(self, plan: plans.Plan) -> List[Outcome]:
        """Carry a plan out; return what came of each step.

        :raises GlanceError: Glance cannot be reached, or these credentials may not
        :raises KeyboardInterrupt: the user stopped it; :meth:`going_on` says what Glance goes on with
        """
        lock.sweep(self._images)
        self._not_freed.clear()
        self._copy(plan.waits, request=False)
        for number, one in enumerate(plan.rounds):
            self._copy(one.copies, check_room=number > 0)
            for eviction in one.evictions:
                self._evict(eviction)
        return self.outcomes

    def going_on(self) -> Tuple[Tuple[inventory.Subject, Tuple[str, ...]], ...]:
        """Return the images that Glance is copying now, with their stores."""
        return tuple((running.copy.image, tuple(running.pending)) for running in self._running)

    @property
    def bytes_written(self) -> int:
        """Bytes of the copies so far, failed ones too."""
        return sum(outcome.image.size for outcome in self.outcomes
                   if outcome.action == '+' and outcome.state in (COPIED, FAILED))

    def _add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._report(outcome)

    def _evict(self, eviction: plans.Evict) -> None:
        try:
            came = self._evictor.evict(eviction.image.id, eviction.store)
        except api.GlanceError as error:
            came = evict.Outcome(evict.FAILED, 'Glance: %s' % error)
        outcome = Outcome(eviction.image, eviction.store, '-', came.state, came.why)
        if outcome.failed:
            self._not_freed[eviction.store] += eviction.image.size
        self._add(outcome)

    def _room_came(self, store: str, size: int) -> bool:
        """Return whether the room for a copy of a later round came, by the evictions and by the store."""
        if self._not_freed[store] > 0:
            self._not_freed[store] -= size
            return False
        return self._has_room(store, size)

    def _copy(self, copies: Tuple[plans.Copy, ...], check_room: bool = False, request: bool = True) -> None:
        waiting: Deque[plans.Copy] = collections.deque(copies)
        while waiting or self._running:
            self._begin(waiting, check_room, request)
            for running in list(self._running):
                if running.poll_at <= self._clock.monotonic():
                    self._poll(running)
            if self._running:
                next_poll = min(running.poll_at for running in self._running)
                self._clock.sleep(max(next_poll - self._clock.monotonic(), 0))

    def _begin(self, waiting: 'Deque[plans.Copy]', check_room: bool, request: bool) -> None:
        """Begin the imports that the limits admit, in their order."""
        load: 'collections.Counter[str]' = collections.Counter(
            store for running in self._running for store in running.pending)
        for copy in list(waiting):
            if len(self._running) >= self._limits.imports:
                return
            if all(load[store] < self._limits.per_store for store in copy.stores):
                waiting.remove(copy)
                stores = tuple(store for store in copy.stores
                               if not check_room or self._room_came(store, copy.image.size))
                for store in copy.stores:
                    if store not in stores:
                        self._add(Outcome(copy.image, store, '+', SKIPPED, 'the store has no room for it'))
                if stores:
                    load.update(stores)
                    self._running.append(_Import(copy, stores, request, self._clock.monotonic()))
                    self._watch(self._running[-1].going)

    def _poll(self, running: '_Import') -> None:
        """Poll one import, and request what has to be requested."""
        now = self._clock.monotonic()
        try:
            image = self._images.image(running.copy.image.id)
            if running.may_be_stale(image):
                # A copy that failed between two polls. Every Glance that shows its tasks shows its locks.
                running.has_locks = self._images.newest_task(image.id) is not None
            wanted = running.observe(image, now)
            if wanted:
                running.request(self._images, wanted, now)
        except api.NotFound:
            running.fail_all('the image was deleted')
        except api.GlanceError as error:
            if api.is_client_error(error):
                running.fail_all('Glance refuses: %s' % error)
            else:
                LOG.debug('Image %s cannot be polled: %s', running.copy.image.id, error)
                running.trouble = str(error)
        if running.pending and now - running.started >= self._limits.timeout:
            running.fail_all('it took longer than %d seconds%s' % (
                self._limits.timeout, running.why_waiting()))
        self._watch(running.going)
        for store, state, why in running.take_ended():
            self._add(Outcome(running.copy.image, store, '+', state, why))
            if state == FAILED and running.may_request:
                self.failed.add(running.copy.image.id)
        if running.pending:
            running.poll_at = self._clock.monotonic() + backoff.poll_interval(
                now - running.started, self._limits.interval)
        else:
            self._running.remove(running)


class _Import:
    """One image on its way into some stores, requested at once."""

    def __init__(self, copy: plans.Copy, stores: Tuple[str, ...], request: bool, now: float) -> None:
        self.copy, self.started, self.poll_at = copy, now, now
        self.pending: Dict[str, decision.PollState] = {store: decision.PollState() for store in stores}
        self.trouble = ''
        #: Whether this Glance shows its lock for as long as an import runs; None: not yet known.
        self.has_locks: Optional[bool] = None
        self.may_request = request
        self._stores = stores
        self._task: Optional[str] = None
        self._ended: List[Tuple[str, str, str]] = []

    @property
    def going(self) -> Going:
        """How far it is."""
        return Going(self.copy.image, self._stores, tuple(self.pending))

    def may_be_stale(self, image: api.Image) -> bool:
        """Return whether it is to be found out if nothing copies what the record says is being copied."""
        return self.has_locks is None and any(
            decision.is_stale_import(image, store) for store in self.pending)

    def observe(self, image: api.Image, now: float) -> List[str]:
        """Take one poll in; return the stores to request."""
        self.trouble, self._task = '', image.import_task
        if image.status != 'active':
            self.fail_all('its status is %s' % image.status)
        wanted = []
        for store in list(self.pending):
            state = decision.observe(self.pending[store], image, store)
            state = self.pending[store] = state._replace(has_locks=state.has_locks or bool(self.has_locks))
            step = decision.decide(image, store, state, now)
            if step is decision.Step.DONE:
                self._end(store, COPIED, '')
            elif step is decision.Step.FAILED:
                self._end(store, FAILED, 'the copy failed; the log of glance-api says why')
            elif step is decision.Step.REQUEST:
                if not self.may_request:
                    self._end(store, FAILED, 'the copy that went on came to nothing')
                elif state.requests >= MOST_REQUESTS:
                    self._end(store, FAILED, 'the copy was requested %d times%s' % (
                        state.requests, ': ' + self.trouble if self.trouble else ''))
                else:
                    wanted.append(store)
        return wanted

    def request(self, images: api.ImageApi, stores: List[str], now: float) -> None:
        """Request a copy into all these stores at once.

        :raises GlanceError: as of ImageApi.copy, but for what another poll explains
        """
        try:
            images.copy(self.copy.image.id, stores)
        except api.Conflict as error:  # another import, or one of ours whose response was lost
            self.trouble = str(error)
            if 'not found' in self.trouble.lower():
                raise
        except api.BadRequest as error:
            self.trouble = str(error)
            for store in stores:
                state = self.pending[store]
                self.pending[store] = state._replace(requests=state.requests + 1)
        else:
            for store in stores:
                state = self.pending[store]
                self.pending[store] = state._replace(
                    requests=state.requests + 1, requested_at=now, seen_importing=False)

    def fail_all(self, why: str) -> None:
        """End with all stores that are left."""
        for store in list(self.pending):
            self._end(store, FAILED, why)

    def _end(self, store: str, state: str, why: str) -> None:
        del self.pending[store]
        self._ended.append((store, state, why))

    def take_ended(self) -> List[Tuple[str, str, str]]:
        """Return what has ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def why_waiting(self) -> str:
        """Return what it waits for, if that is known."""
        if self.trouble:
            return ': %s' % self.trouble
        return ': the task %s holds the image' % self._task if self._task else ''


def converge(make_plan: Callable[[], plans.Plan], applier: Applier, most: int = 10) -> plans.Plan:
    """Plan and carry out until nothing waits for another's copies, or for room; return the last plan.

    The room of a copy that failed is for images that had none: otherwise an image that can never be copied,
    as its data is lost, would keep others out in this run and in all that follow. A copy that failed earlier
    stays in Glance's record as one that goes on, until the next one ends: only then can copies be removed.

    :param make_plan: leaves the images in ``applier.failed`` alone
    :param most: how many plans at most
    """
    while True:
        failed = len(applier.failed)
        plan = make_plan()
        applier.run(plan)
        most -= 1
        room_came_back = plan.unmet and len(applier.failed) > failed
        was_busy = any(copy.image.busy for copy in plan.copies)
        if not (plan.waits or room_came_back or was_busy) or not most:
            return plan
