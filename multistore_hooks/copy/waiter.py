# SPDX-License-Identifier: Apache-2.0
"""The wait for one image in one store: the leader polls Glance, all others follow it.

The specification is "Libvirt RBD image backend support for glance multistore" (Nova, Victoria). Glance's only
lock is per image, not per store, so sites that want one image take turns.
"""

import time
from typing import Any
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.copy import coordination
from multistore_hooks.copy import leader
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api

LOG = logging.getLogger(__name__)

#: Seconds before the end of its time in which a follower does not become the leader any more.
LAST_SECONDS = 5
#: Seconds between two polls by a follower: at first, while a copy is under way, and before one has begun.
GLIMPSE, LONGEST_GLIMPSE, LONGEST_BEFORE = 0.25, 2, 5


class CopyWaiter:
    """One wait for one image in one store.

    :param images: polls the image, with the rights of the caller.
    :param requester: requests the copy, with rights that the policy ``copy_image`` accepts.
    :param coordinator: the other hosts of the site; None: there are none.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, images: api.ImageApi, requester: api.ImageApi, job: request.Job, wait: limits.Limits,
                 coordinator: Optional[coordination.Coordinator] = None, clock: Any = time) -> None:
        self._job, self._clock = job, clock
        self._coordinator = coordinator or coordination.NoCoordinator()
        self._timer = limits.Timer(wait, clock)
        polled: Any = leader.Renewing(images, self._coordinator)
        renewing: Any = leader.Renewing(requester, self._coordinator)
        self._request = request.CopyRequest(polled, renewing, job)
        self._leader = leader.Leader(polled, self._request, self._coordinator, job, wait, self._timer, clock)

    def run(self) -> bool:
        """Return when the image is in the store; return whether that took a copy.

        :raises ImageGone: there is no such image (any more).
        :raises WaitEnded: one of the limits is over.
        :raises CopyFailed: Glance refused or failed; the reason is in its text.
        """
        followed = False
        try:
            while True:
                if self._ended_well(self._coordinator.status()):
                    followed = True
                    break
                if not self._try_lead(followed):
                    followed = True
                    self._pause()
                # The leader until now has published the outcome before it let go.
                elif self._ended_well(self._coordinator.status()) or self._lead():
                    break
        finally:
            self._coordinator.step_down()
            self._coordinator.close()
        waited = followed or self._leader.waited
        if waited:
            LOG.info('Image %(image)s is in the store %(store)s after %(seconds).1f seconds.', {
                'image': self._job.image_id, 'store': self._job.store, 'seconds': self._timer.waited()})
        return waited

    def left(self) -> float:
        """Return the seconds that are left of the limit that runs."""
        return self._timer.left()

    def _try_lead(self, followed: bool) -> bool:
        if self._clock.monotonic() < self._leader.aside_until:
            return False
        if followed and self._timer.left() < LAST_SECONDS:
            return False
        return self._coordinator.try_lead()

    def _lead(self) -> bool:
        """Lead until the image is there, or this host does not lead any more; publish the outcome."""
        try:
            done = self._leader.lead()
        except exceptions.CopyRefused as error:
            self._publish(coordination.State.REFUSED, error, self._job.requester)
            raise
        except exceptions.ComesAnotherWay as error:
            self._publish(coordination.State.ANOTHER_WAY, error)
            raise
        except exceptions.CopyFailed as error:
            if not error.requester_specific:
                self._publish(coordination.State.FAILED, error)
            raise
        if done:
            self._publish(coordination.State.DONE)
        else:
            self._coordinator.step_down()
        return done

    def _publish(self, state: coordination.State, error: Optional[exceptions.CopyFailed] = None,
                 requester: str = '') -> None:
        if state is not coordination.State.REFUSED or requester:
            why = str(error.kwargs['why']) if error else ''
            self._coordinator.publish(coordination.Status(state, why, requester))

    def _ended_well(self, status: Optional[coordination.Status]) -> bool:
        """Take in what the leader published; return whether the image is there.

        :raises CopyFailed: the leader failed, was refused with the same rights, or found another way.
        """
        if status is None:
            return False
        if status.state is coordination.State.ANOTHER_WAY:
            raise self._request.comes_another_way()
        if status.state is coordination.State.FAILED:
            raise self._request.failed(status.reason)
        if status.state is coordination.State.REFUSED and status.requester == self._job.requester:
            raise self._request.refused(status.reason)
        if status.state is coordination.State.TURN:
            self._timer.waits_for_turn()
        elif status.state is coordination.State.COPYING:
            self._timer.waits_for_copy()
        return status.state is coordination.State.DONE

    def _pause(self) -> None:
        """Wait a moment for the leader.

        :raises WaitEnded: the time is up.
        """
        left = self._timer.left()
        if left <= 0:
            raise self._leader.time_is_up()
        longest = LONGEST_GLIMPSE if self._timer.copying else LONGEST_BEFORE
        self._clock.sleep(min(backoff.poll_interval(self._timer.waited() / 2, longest, GLIMPSE), left))
