# SPDX-License-Identifier: Apache-2.0
"""The one host of a site that polls Glance, and requests the copy when it is this store's turn."""

import random
from typing import Any
from typing import Optional
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.copy import coordination
from multistore_hooks.copy import decision
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api

LOG = logging.getLogger(__name__)

#: How many times a copy is requested that Glance neither refuses nor carries out.
MOST_REQUESTS = 3
#: Seconds between two polls of the own cluster of the site, at first and in the end.
GLIMPSE, LONGEST_GLIMPSE = 0.25, 2
#: Polls per second that all stores without the image share while they wait for their turn.
SHARED_RATE = 2.5
#: Seconds without progress after which the import that holds the image is tested by a request, and tested
#: again: Glance gives up a lock after an hour, and only at a request. The first comes within half of a limit.
PROBE_EVERY = 60
#: Seconds for which a host whose request did not reach Glance lets others lead: the cause may be local.
STANDS_ASIDE = 5


class Leader:
    """The leader's part of one wait.

    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, images: api.ImageApi, copy_request: request.CopyRequest,
                 coordinator: coordination.Coordinator, job: request.Job, wait: limits.Limits,
                 timer: limits.Timer, clock: Any) -> None:
        self._images, self._request, self._coordinator = images, copy_request, coordinator
        self._job, self._limits, self._timer, self._clock = job, wait, timer, clock
        self._state = decision.PollState()
        self._image: Optional[api.Image] = None
        #: The stores of this Glance, once they are known.
        self._stores: Optional[Tuple[str, ...]] = None
        self._trouble = ''
        self._warned = False
        #: Responses "busy" in a row: after the first one the record shows what the import is for.
        self._busy = 0
        self._watch = _Watch()
        self._hints = 0
        self._published: Optional[coordination.State] = None
        self._progress_at = clock.monotonic()
        self._obstacle_at: Optional[float] = None
        #: Until when this host does not lead.
        self.aside_until = 0.0
        #: Whether the image was not there at the first poll.
        self.waited = False

    def lead(self) -> bool:
        """Poll and request until the image is in the store, or this host is not the leader any more.

        :returns: whether the image is in the store.
        :raises CopyFailed: it does not get there.
        :raises WaitEnded: the time is up, and a last poll did not find it there.
        """
        self._published = None
        while True:
            step = self._poll()
            if step is decision.Step.DONE:
                return True
            if step is decision.Step.FAILED:
                raise self._request.copy_failed()
            if not self.waited:
                LOG.debug('Image %(image)s is not in the store %(store)s yet: %(next)s.', {
                    'image': self._job.image_id, 'store': self._job.store,
                    'next': step.value if step else self._trouble})
            self.waited = True
            self._act(step)
            if self._timer.left() <= 0:
                raise self.time_is_up()
            pause = self._pause_for(step) * random.uniform(0.8, 1.2)
            if not self._pause(pause):
                return False
            if self._trouble:
                self.aside_until = self._clock.monotonic() + STANDS_ASIDE
                return False

    def _poll(self) -> Optional[decision.Step]:
        """Poll the image; None if Glance cannot be reached just now.

        :raises ImageGone: there is no such image.
        :raises NotAllowed: Glance does not show it.
        """
        try:
            image = self._images.image(self._job.image_id)
        except api.NotFound as error:
            raise exceptions.ImageGone(image_id=self._job.image_id, store=self._job.store,
                                       why=request.one_line(error))
        except Exception as error:  # Glance's or, after its own retries, the service's: no connection
            if api.is_client_error(error):
                raise self._request.not_allowed(
                    'Glance does not show the image: %s' % request.one_line(error))
            self._in_trouble(error)
            return None
        self._trouble = ''
        self._image = image
        if image.status != 'active':
            raise self._request.failed('the status of the image is %s' % image.status)
        self._state = decision.observe(self._state, image, self._job.store)
        if decision.is_stale_import(image, self._job.store) and not self._state.has_locks:
            # Every Glance that shows its tasks shows its locks too.
            self._state = self._state._replace(has_locks=self._request.newest_task() is not None)
        self._watch.observe(image, '', self._clock.monotonic())
        return decision.decide(image, self._job.store, self._state, self._clock.monotonic())

    def _in_trouble(self, error: object) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning('Glance cannot be reached about image %(image)s (%(error)s); retrying.',
                        {'image': self._job.image_id, 'error': request.one_line(error)})
        self._trouble = request.one_line(error) or type(error).__name__

    def _act(self, step: Optional[decision.Step]) -> None:
        """Do what a step demands, apart from waiting."""
        if step is None:
            return
        assert self._image is not None  # there is no step without a poll
        if self._stores is None and step in (decision.Step.TURN, decision.Step.REQUEST):
            self._stores = self._request.check(self._image)
        if step is decision.Step.TURN:
            self._coordinator.waive()
            self._timer.waits_for_turn()
            self._publish(coordination.State.TURN)
        elif step is not decision.Step.REQUEST:
            self._timer.waits_for_copy()
            self._publish(coordination.State.COPYING)
            self._coordinator.claim()
        if step is decision.Step.REQUEST:
            self._send()
        elif step is decision.Step.APPEARS:
            return
        elif self._watch.probe_is_due(self._clock.monotonic(), self._timer, step is decision.Step.COPYING):
            self._probe()

    def _publish(self, state: coordination.State) -> None:
        if state is not self._published:
            self._published = state
            self._coordinator.publish(coordination.Status(state))

    def _send(self) -> None:
        if self._state.requested_at is not None:
            self._request.check_task()
        if self._state.requests >= MOST_REQUESTS:
            raise self._request.failed('the copy was requested %d times: %s' % (
                self._state.requests, self._request.refusal
                or 'Glance accepted the copy, and did not make it%s'
                % request.says(self._request.newest_task())))
        if self._is_obstructed() or not self._coordinator.try_lead():
            return
        if not self._coordinator.claim():
            raise self._request.comes_another_way()
        if not self._busy:
            LOG.info('Asking Glance to copy image %(image)s to the store %(store)s.',
                     {'image': self._job.image_id, 'store': self._job.store})
        self._digest(self._request.send())

    def _is_obstructed(self) -> bool:
        """Return whether something in the own cluster stands in the way that may still pass.

        :raises CopyFailed: it has stood there for some time.
        """
        obstacle = self._coordinator.obstacle()
        if not obstacle:
            self._obstacle_at = None
            return False
        now = self._clock.monotonic()
        if self._obstacle_at is None:
            self._obstacle_at = now
        if now - self._obstacle_at >= decision.APPEARS_WITHIN:
            raise self._request.failed(obstacle)
        return True

    def _digest(self, outcome: request.Outcome) -> None:
        if outcome is request.Outcome.ACCEPTED:
            self._state = self._state._replace(requests=self._state.requests + 1, seen_importing=False,
                                               requested_at=self._clock.monotonic())
            self._timer.waits_for_copy(new=True)
            self._publish(coordination.State.COPYING)
        elif outcome is request.Outcome.UNCLEAR:
            self._state = self._state._replace(requests=self._state.requests + 1)
        elif outcome is request.Outcome.AWAY:
            self._in_trouble(self._request.refusal)
        self._busy = self._busy + 1 if outcome is request.Outcome.BUSY else 0
        if self._busy:
            self._coordinator.waive()
        if self._busy > 1:
            self._timer.waits_for_turn()
            self._publish(coordination.State.TURN)

    def _probe(self) -> None:
        """Request the copy although an import holds the image: it may have been left by a killed Glance."""
        held_by = self._image and self._image.import_task
        self._watch.probed(self._clock.monotonic())
        if not self._coordinator.claim():
            return  # this site makes its own
        try:
            outcome = self._request.send()
        except exceptions.CopyFailed as error:
            # A user who may not request a copy may still wait for that of another user.
            LOG.debug('The import that holds image %(image)s was not tested: %(error)s',
                      {'image': self._job.image_id, 'error': error})
            return
        if outcome is request.Outcome.ACCEPTED:
            LOG.info('Glance accepted a copy of image %(image)s: its task %(task)s does not hold the lock '
                     'any more.', {'image': self._job.image_id, 'task': held_by})
            self._digest(outcome)
        elif self._timer.in_turn:
            self._coordinator.waive()

    def _pause_for(self, step: Optional[decision.Step]) -> float:
        """Return the seconds until the next poll."""
        unchanged = self._watch.unchanged(self._clock.monotonic())
        if step in (decision.Step.TURN, decision.Step.REQUEST) and self._timer.in_turn and self._image:
            waiting = len(set(self._stores or ()) - set(self._image.stores))
            return max(waiting / SHARED_RATE, backoff.poll_interval(unchanged / 2, self._limits.interval))
        return backoff.poll_interval(unchanged if step else self._timer.waited(), self._limits.interval)

    def _pause(self, seconds: float) -> bool:
        """Wait, but not longer than the time that is left; end early when the image shows in the own cluster.

        :returns: whether this host still leads.
        """
        until = self._clock.monotonic() + seconds
        seen = False
        self._log_progress()
        while True:
            left = self._timer.left()
            now = self._clock.monotonic()
            if now >= until or left <= 0:
                return self._coordinator.try_lead()
            glimpse = min(max(GLIMPSE, self._timer.waited() / 20), LONGEST_GLIMPSE)
            self._clock.sleep(min(glimpse, until - now, left))
            if not self._coordinator.try_lead():
                return False
            if not seen and self._coordinator.image_present():
                seen = True
                # Glance lists the store a moment after it made the snapshot. And if it does not, this
                # may be left of a failed copy: then it is polled less and less often.
                until = min(until, self._clock.monotonic() + GLIMPSE * 2 ** self._hints)
                self._hints += 1

    def _log_progress(self) -> None:
        """Log what Glance's task says about a copy under way, as often as the operator's interval."""
        now = self._clock.monotonic()
        if now - self._progress_at < self._limits.interval or self._image is None:
            return
        self._progress_at = now
        task = self._request.newest_task() if self._timer.copying else None
        if task is not None:
            self._watch.observe(self._image, task.message, now)
        LOG.info('Waiting for image %(image)s in the store %(store)s, %(seconds)d seconds now%(says)s.', {
            'image': self._job.image_id, 'store': self._job.store, 'seconds': self._timer.waited(),
            'says': request.says(task) if task is not None else self._holder()})

    def _holder(self) -> str:
        if self._image is None or not self._image.import_task:
            return ''
        return '; the task %s holds the lock of the image, and copies to %s' % (
            self._image.import_task, ', '.join(self._image.importing_to or ('no store',)))

    def time_is_up(self) -> exceptions.WaitEnded:
        """Return the error for the end of a limit, with all that explains it."""
        why = self._timer.explain() + self._holder()
        if self._trouble:
            why += '; Glance cannot be reached: %s' % self._trouble
        elif self._request.refusal and not self._holder():
            why += '; the last request for a copy failed: %s' % self._request.refusal
        return exceptions.WaitEnded(image_id=self._job.image_id, store=self._job.store, why=why)


class Renewing:
    """Stands for an ImageApi: before each request the lead is renewed, as a response may take long."""

    def __init__(self, images: api.ImageApi, coordinator: coordination.Coordinator) -> None:
        self._images, self._coordinator = images, coordinator

    def __getattr__(self, verb: str) -> Any:
        self._coordinator.try_lead()
        return getattr(self._images, verb)


class _Watch:
    """When the import that holds an image was last seen to make progress."""

    def __init__(self) -> None:
        self._seen: Tuple[object, ...] = ()
        self._message = ''
        self._changed_at: Optional[float] = None
        #: Seconds without a change, after which a test is due.
        self._probe_after = 0.0
        self._probed = False

    def observe(self, image: api.Image, message: str, now: float) -> None:
        """Take in one more poll; a message is what the task said, if it was read."""
        seen = (image.import_task, image.importing_to, image.failed_import, image.stores)
        if seen != self._seen or (message and message != self._message):
            self._seen, self._message = seen, message or self._message
            self._changed_at = now
            self._probe_after = PROBE_EVERY * random.uniform(0.5, 1)
            self._probed = False

    def unchanged(self, now: float) -> float:
        """Return the seconds since the last change."""
        return now - self._changed_at if self._changed_at is not None else 0.0

    def probe_is_due(self, now: float, timer: limits.Timer, copying: bool) -> bool:
        """Return whether to test the import: it makes no progress, or this wait ends without any test.

        :param copying: it copies to this store; its task says about once a minute how far it is.
        """
        if self._probed:
            return self.unchanged(now) >= self._probe_after
        after = self._probe_after + (PROBE_EVERY if copying else 0)
        return timer.left() <= 0 or self.unchanged(now) >= min(after, timer.share(0.5))

    def probed(self, now: float) -> None:
        """Record that the import was tested by a request just now."""
        self._probed = True
        self._probe_after = self.unchanged(now) + PROBE_EVERY * random.uniform(0.8, 1.2)
