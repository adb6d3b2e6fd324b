# SPDX-License-Identifier: Apache-2.0
"""Get this image into this store: ask for what ``copy_steps`` decides, and wait.

The specification is "Libvirt RBD image backend support for glance multistore" (Nova, Victoria);
copy-image came with Glance Ussuri. Glance copies on its own after it accepted the request; its
only lock is per image, not per store, so two sites that want one image have to take turns.
"""

import abc
import random
import time
from typing import Any
from typing import NamedTuple
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.copy import decision
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements

LOG = logging.getLogger(__name__)

METHOD = 'copy-image'
#: How many times a copy that Glance accepted, and that came to nothing, is asked for.
MOST_ASKS = 3
#: Seconds between two looks at the site's own cluster, at first and in the end. Like those between two at
#: Glance they grow with the time waited, so that the end is noticed within a tenth of it.
GLIMPSE_EVERY = 0.25
LONGEST_GLIMPSE = 2
#: Seconds for which one whose request came to nothing lets others lead: its own host may be what ails.
STANDS_ASIDE = 5
#: How many of the operator's intervals lie between two looks at Glance by one who does not lead.
FOLLOWERS_PATIENCE = 4


class Site(abc.ABC):
    """What the computes that share a store can see and agree on without Glance."""

    @abc.abstractmethod
    def holds(self) -> bool:
        """Tell whether the image looks complete in the site's own cluster; never raises."""

    @abc.abstractmethod
    def lead(self) -> bool:
        """Try to be, or to stay, the one of the site who asks Glance; never raises."""

    @abc.abstractmethod
    def resign(self) -> None:
        """Let another one lead; never raises."""


class Alone(Site):
    """A site where nothing is known of others."""

    def holds(self) -> bool:
        return False

    def lead(self) -> bool:
        return True

    def resign(self) -> None:
        return None


class Limits(NamedTuple):
    """The operator's limits, in seconds."""

    timeout: float
    interval: float


class Copy:
    """One wait for one image in one store.

    :param images: looks at the image, with the caller's rights.
    :param asker: asks for the copy, with rights that the policy ``copy_image`` accepts.
    """

    def __init__(self, images: api.ImageApi, asker: api.ImageApi, image_id: str, store: str, limits: Limits,
                 site: Optional[Site] = None, clock: Any = time) -> None:
        self._images, self._asker, self._site = images, asker, site or Alone()
        self._image_id, self._store, self._limits = image_id, store, limits
        self._clock = clock
        self._memory = decision.Memory()
        self._started = clock.monotonic()
        self._last: Optional[api.Image] = None
        self._trouble = self._refusal = ''
        self._hints = 0
        self._probed = self._asked_for_locks = False
        self._progress_at = self._aside_until = self._started

    def run(self) -> bool:
        """Return when the image is in the store; tell whether a copy was needed.

        :raises ImageGone: there is no such image (any more).
        :raises CopyFailed: Glance refused or failed, or the time is up; the reason is in its text.
        """
        waited_for_it = False
        try:
            while True:
                step = self._look()
                if step is decision.Step.DONE:
                    if waited_for_it:
                        LOG.info('Image %(image)s is in the store %(store)s after %(seconds).1f seconds.',
                                 {'image': self._image_id, 'store': self._store, 'seconds': self._waited()})
                    return waited_for_it
                if step is decision.Step.FAILED:
                    raise self._failed('the copy failed, glance-api logged why%s' % self._task_says())
                if not waited_for_it:
                    LOG.debug('Image %(image)s is not in the store %(store)s yet: %(next)s.',
                              {'image': self._image_id, 'store': self._store, 'next': step.value})
                waited_for_it = True
                if step is decision.Step.ASK and self._lead():
                    self._ask()
                elif self._lock_may_be_left() and self._lead():
                    self._probe()
                self._wait()
        finally:
            self._site.resign()

    def _look(self) -> decision.Step:
        """Look at the image; if Glance cannot be asked just now, that is to be waited for."""
        try:
            image = self._images.image(self._image_id)
        except api.NotFound as error:
            raise exceptions.ImageGone(image_id=self._image_id, store=self._store, why=error)
        except Exception as error:  # Glance's or, after its own retries, the service's: no connection
            if api.is_client_error(error):
                raise self._not_allowed('Glance does not show the image: %s' % error)
            self._in_trouble(error)
            return decision.Step.WAIT
        self._trouble = ''
        self._last = image
        if image.status != 'active':
            raise self._failed('the status of the image is %s' % image.status)
        self._memory = decision.remember(self._memory, image, self._store)
        if decision.left_over(image, self._store) and not self._memory.locks and not self._asked_for_locks:
            # Every Glance that tells its tasks shows its locks too.
            self._asked_for_locks = True
            self._memory = self._memory._replace(locks=self._newest_task() is not None)
        return decision.decide(image, self._store, self._memory, self._clock.monotonic())

    def _in_trouble(self, error: Exception) -> None:
        if not self._trouble:
            LOG.warning('Glance cannot be asked about image %(image)s (%(error)s); trying again.',
                        {'image': self._image_id, 'error': error})
        self._trouble = str(error) or type(error).__name__
        # Others of the site would wait for us until our time is up.
        self._site.resign()
        self._aside_until = self._clock.monotonic() + STANDS_ASIDE

    def _lead(self) -> bool:
        """Try to be, or to stay, the one who asks Glance, unless its own last request came to nothing."""
        return self._clock.monotonic() >= self._aside_until and self._site.lead()

    def _ask(self) -> None:
        if self._memory.asks >= MOST_ASKS:
            raise self._failed('Glance was asked %d times: %s' % (
                self._memory.asks,
                self._refusal or 'it agreed, and nothing came of it%s' % self._task_says()))
        try:
            if not self._memory.asks:
                self._check()
            LOG.info('Asking Glance to copy image %(image)s to the store %(store)s.',
                     {'image': self._image_id, 'store': self._store})
            self._asker.copy(self._image_id, [self._store])
        except api.Conflict as error:
            LOG.debug('Image %s is busy: %s', self._image_id, error)
            self._refusal = str(error)
        except api.BadRequest as error:
            # It is there already, most likely: another look tells.
            LOG.debug('Glance does not copy image %s: %s', self._image_id, error)
            self._refusal = str(error)
            self._memory = self._memory._replace(asks=self._memory.asks + 1)
        except api.Forbidden as error:
            raise self._not_allowed(
                'Glance does not allow it (%s): its policy copy_image is for administrators by default. '
                'Admit service_roles:service there and set [service_user] send_service_user_token, or give '
                '[multistore_hooks] in nova.conf credentials that it accepts' % error)
        except api.NotFound as error:
            self._look()  # raises, if it is gone
            raise self._not_allowed('who asks for copies may not see it (%s): the credentials in '
                                    '[multistore_hooks] need the rights of an administrator' % error)
        except exceptions.MultistoreError:
            raise
        except Exception as error:
            if api.is_client_error(error):
                raise self._not_allowed('Glance refuses the copy: %s' % error)
            if isinstance(error, api.GlanceError) and error.status != 503:
                self._refusal = str(error)
                self._memory = self._memory._replace(asks=self._memory.asks + 1)
            else:
                self._in_trouble(error)
                self._refusal = self._trouble
        else:
            self._accepted()

    def _accepted(self) -> None:
        self._refusal = ''
        self._memory = self._memory._replace(asks=self._memory.asks + 1, seen_importing=False,
                                             asked_at=self._clock.monotonic())

    def _lock_may_be_left(self) -> bool:
        """Tell whether to ask although another copy holds the lock.

        A Glance that was killed leaves its lock. After an hour Glance does not honour it any more,
        but finds that out only when it is asked; until then it answers 409, which is no harm.
        """
        return (self._last is not None and bool(self._last.import_task) and not self._memory.asks
                and not self._probed and self._waited() >= self._limits.interval)

    def _probe(self) -> None:
        self._probed = True
        try:
            self._asker.copy(self._image_id, [self._store])
        except Exception as error:
            LOG.debug('Image %s is busy, as it seemed: %s', self._image_id, error)
        else:
            LOG.warning('Glance gave up the lock of image %(image)s, left by its task %(task)s.',
                        {'image': self._image_id, 'task': self._last and self._last.import_task})
            self._accepted()

    def _check(self) -> None:
        """Find out what would make every request fail, while nothing has been asked for."""
        try:
            stores, methods = self._images.stores(), self._images.import_methods()
        except api.GlanceError as error:
            LOG.debug('Glance does not tell its stores or its import methods: %s', error)
            return
        try:
            placements.check_named(placements.StoreRef(
                self._store, '[libvirt] images_rbd_glance_store_name'), stores)
        except exceptions.StoreNotUsable as error:
            raise self._failed(str(error))
        if METHOD not in methods:
            raise self._failed('this Glance has no import method copy-image (enabled_import_methods, Ussuri '
                               'and later); it has: %s' % (', '.join(methods) or 'none'))

    def _wait(self) -> None:
        """Wait until the next look is due; who does not lead watches the site's own cluster meanwhile."""
        interval = self._limits.interval
        leading = self._lead()
        # The end of the one who leads, good or bad, is seen by its lock: no need to ask Glance as well.
        pause = (backoff.poll_interval(self._waited(), interval) if leading
                 else FOLLOWERS_PATIENCE * max(interval, 1))
        until = self._clock.monotonic() + pause * random.uniform(0.8, 1.2)
        glimpse_every = min(max(GLIMPSE_EVERY, self._waited() / 20), LONGEST_GLIMPSE)
        seen = False
        self._tell_progress()
        while True:
            now = self._clock.monotonic()
            left = self._started + self._limits.timeout - now
            if left <= 0:
                raise self._failed('it took longer than %d seconds%s'
                                   % (self._limits.timeout, self._why_so_long()))
            if now >= until:
                return
            self._clock.sleep(min(glimpse_every, until - now, left))
            if not seen and self._site.holds():
                seen = True
                # Glance lists the store a moment after it made the snapshot. And if it does not, this
                # may be the rest of a failed copy: then it is asked less and less.
                until = min(until, self._clock.monotonic() + GLIMPSE_EVERY * 2 ** self._hints)
                self._hints += 1
            elif not leading and self._lead():
                return

    def _tell_progress(self) -> None:
        """Log what Glance's task says of its progress, as often as the operator's interval."""
        now = self._clock.monotonic()
        if now - self._progress_at >= self._limits.interval and self._lead():
            self._progress_at = now
            LOG.info('Waiting for image %(image)s in the store %(store)s, %(seconds)d seconds now%(says)s.',
                     {'image': self._image_id, 'store': self._store, 'seconds': self._waited(),
                      'says': self._task_says()})

    def _task_says(self) -> str:
        """Return what Glance's newest task on the image tells, if anything."""
        task = self._newest_task()
        if task is None:
            return ''
        if task.status == 'success':  # it is so for a store that failed too: see ClientImages.copy
            return ' (its task %s)' % task.id
        return ' (its task %s is %s: %s)' % (task.id, task.status, task.message)

    def _newest_task(self) -> Optional[api.Task]:
        try:
            # A task is shown to the one who started it.
            return self._asker.newest_task(self._image_id)
        except Exception as error:
            LOG.debug('Glance does not tell its tasks: %s', error)
            return None

    def _why_so_long(self) -> str:
        why = ''
        if self._trouble:
            why += '; Glance cannot be asked or refuses: %s' % self._trouble
        if self._last is not None and self._last.import_task:
            why += '; the task %s holds the lock of the image' % self._last.import_task
            why += ', and copies to %s' % ', '.join(self._last.importing_to or ('no store',))
        elif self._refusal:
            why += '; what came of the last request: %s' % self._refusal
        return why

    def _waited(self) -> float:
        return float(self._clock.monotonic() - self._started)

    def _failed(self, why: str) -> exceptions.CopyFailed:
        return exceptions.CopyFailed(image_id=self._image_id, store=self._store, why=why)

    def _not_allowed(self, why: str) -> exceptions.NotAllowed:
        return exceptions.NotAllowed(image_id=self._image_id, store=self._store, why=why)
