# SPDX-License-Identifier: Apache-2.0
"""Get this image into this store: what to do next, how to wait, and one flight for all who want
the same.

The specification is "Libvirt RBD image backend support for glance multistore" (Nova, Victoria);
copy-image came with Glance Ussuri. Glance copies on its own after it accepted the request; its
only lock is per image, not per store, so two sites that want one image have to take turns.
"""

import abc
import enum
import random
import threading
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks import exceptions
from multistore_hooks.images import api
from multistore_hooks import placement

LOG = logging.getLogger(__name__)

METHOD = 'copy-image'
#: How many times a copy that Glance accepted, and that came to nothing, is asked for.
MOST_ASKS = 3
#: Seconds that a copy may take to show in the image's record after Glance accepted it.
APPEARS_WITHIN = 5
#: Seconds between two looks: at Glance by the one who leads, at the site's own cluster by the
#: others.
SHORTEST_WAIT = 0.6
GLIMPSE_EVERY = 0.25


class Step(enum.Enum):
    """What to do next."""

    DONE = 'the image is in the store'
    WAIT = 'a copy is going on'
    ASK = 'ask for a copy'
    FAILED = 'the copy failed'


class Memory(NamedTuple):
    """What one wait has seen so far."""

    #: At the first look the store was listed as failed already: an earlier try's, until a copy is
    #: seen.
    failed_before: Optional[bool] = None
    seen_importing: bool = False
    asks: int = 0
    #: When Glance last accepted our request.
    asked_at: Optional[float] = None


def remember(memory: Memory, image: api.Image, store: str) -> Memory:
    """Return what is known after one more look at the image."""
    if memory.failed_before is None:
        memory = memory._replace(failed_before=store in image.failed_import)
    return memory._replace(seen_importing=memory.seen_importing or store in image.importing_to)


def decide(image: api.Image, store: str, memory: Memory, now: float) -> Step:
    """Decide what to do next from the image's record and what was seen before it.

    Stores are compared as whole names: stock Nova takes ``dcn1`` for copied when ``dcn10`` is.
    """
    if store in image.importing_to:
        return Step.WAIT
    if store in image.stores:
        return Step.DONE
    if image.import_task:
        # Ours before it shows, or another store's: the lock is per image. What is listed as failed
        # meanwhile may be an earlier try's, which Glance clears only when it starts.
        return Step.WAIT
    just_asked = memory.asked_at is not None and now - memory.asked_at < APPEARS_WITHIN
    if store in image.failed_import:
        if not memory.failed_before or memory.seen_importing:
            return Step.FAILED
        if memory.asked_at is not None:
            return Step.WAIT if just_asked else Step.FAILED
    return Step.WAIT if just_asked else Step.ASK


def delay(waited: float, interval: float) -> float:
    """Return the seconds until the next look at Glance: a tenth of the time waited, within limits.

    :param waited: seconds so far.
    :param interval: the operator's poll interval, which is the longest.
    """
    return min(max(SHORTEST_WAIT, waited / 10), max(interval, SHORTEST_WAIT))


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
        self._memory = Memory()
        self._started = clock.monotonic()
        self._last: Optional[api.Image] = None
        self._trouble = self._refusal = ''
        self._hints = 0
        self._progress_at = self._started

    def run(self) -> bool:
        """Return when the image is in the store; tell whether a copy was needed.

        :raises ImageGone: there is no such image (any more).
        :raises CopyFailed: Glance refused or failed, or the time is up; the reason is in its text.
        """
        waited_for_it = False
        try:
            while True:
                step = self._look()
                if step is Step.DONE:
                    if waited_for_it:
                        LOG.info('Image %(image)s is in the store %(store)s after %(seconds).1f seconds.',
                                 {'image': self._image_id, 'store': self._store, 'seconds': self._waited()})
                    return waited_for_it
                if step is Step.FAILED:
                    raise self._failed('Glance reports that the copy failed%s' % self._task_says())
                waited_for_it = True
                if step is Step.ASK and self._site.lead():
                    self._ask()
                self._wait()
        finally:
            self._site.resign()

    def _look(self) -> Step:
        """Look at the image; if Glance cannot be asked just now, that is to be waited for."""
        try:
            image = self._images.image(self._image_id)
        except api.NotFound as error:
            raise exceptions.ImageGone(image_id=self._image_id, store=self._store, why=error)
        except api.GlanceError as error:
            if error.status is not None and error.status < 500:
                raise self._failed('Glance does not show the image: %s' % error)
            self._in_trouble(error)
            return Step.WAIT
        except Exception as error:  # the service's own: no connection, after its own retries
            self._in_trouble(error)
            return Step.WAIT
        self._trouble = ''
        self._last = image
        if image.status != 'active':
            raise self._failed('the status of the image is %s' % image.status)
        self._memory = remember(self._memory, image, self._store)
        return decide(image, self._store, self._memory, self._clock.monotonic())

    def _in_trouble(self, error: Exception) -> None:
        if not self._trouble:
            LOG.warning('Glance cannot be asked about image %(image)s (%(error)s); trying again.',
                        {'image': self._image_id, 'error': error})
        self._trouble = str(error) or type(error).__name__

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
        except api.BadRequest as error:
            # It is there already, most likely: another look tells.
            LOG.debug('Glance does not copy image %s: %s', self._image_id, error)
            self._refusal = str(error)
            self._memory = self._memory._replace(asks=self._memory.asks + 1)
        except api.Forbidden as error:
            raise self._failed(
                'Glance does not allow it (%s): its policy copy_image is for administrators by default. Give '
                '[multistore_hooks] in nova.conf credentials that it accepts (auth_type and so on), or '
                'change the policy' % error)
        except api.NotFound as error:
            raise exceptions.ImageGone(image_id=self._image_id, store=self._store, why=error)
        except api.GlanceError as error:
            if error.status is not None and error.status < 500:
                raise self._failed('Glance refuses the copy: %s' % error)
            self._refusal = str(error)
            self._memory = self._memory._replace(asks=self._memory.asks + 1)
        except exceptions.MultistoreError:
            raise
        except Exception as error:
            self._in_trouble(error)
        else:
            self._refusal = ''
            self._memory = self._memory._replace(asks=self._memory.asks + 1, seen_importing=False,
                                                 asked_at=self._clock.monotonic())

    def _check(self) -> None:
        """Find out what would make every request fail, while nothing has been asked for."""
        try:
            stores, methods = self._images.stores(), self._images.import_methods()
        except api.GlanceError as error:
            LOG.debug('Glance does not tell its stores or its import methods: %s', error)
            return
        try:
            placement.check_named(placement.Named(
                self._store, '[libvirt] images_rbd_glance_store_name'), stores)
        except exceptions.StoreNotUsable as error:
            raise self._failed(str(error))
        if METHOD not in methods:
            raise self._failed('this Glance has no import method copy-image (enabled_import_methods, Ussuri '
                               'and later); it has: %s' % (', '.join(methods) or 'none'))

    def _wait(self) -> None:
        """Wait until the next look is due; who does not lead watches the site's own cluster meanwhile."""
        interval = self._limits.interval
        leading = self._site.lead()
        pause = delay(self._waited(), interval) if leading else max(interval, SHORTEST_WAIT)
        until = self._clock.monotonic() + pause * random.uniform(0.8, 1.2)
        # What the cluster shows and Glance does not confirm may be the rest of a failed copy: ask
        # less often.
        believe_at = self._clock.monotonic() + GLIMPSE_EVERY * 2 ** self._hints
        self._tell_progress()
        while True:
            now = self._clock.monotonic()
            left = self._started + self._limits.timeout - now
            if left <= 0:
                raise self._failed('it took longer than %d seconds%s'
                                   % (self._limits.timeout, self._why_so_long()))
            if now >= until:
                return
            self._clock.sleep(min(GLIMPSE_EVERY, until - now, left))
            if now >= believe_at and self._site.holds():
                self._hints += 1
                return
            if not leading and self._site.lead():
                return

    def _tell_progress(self) -> None:
        """Log what Glance's task says of its progress, as often as the operator's interval."""
        now = self._clock.monotonic()
        if now - self._progress_at >= self._limits.interval and self._site.lead():
            self._progress_at = now
            LOG.info('Waiting for image %(image)s in the store %(store)s, %(seconds)d seconds now%(says)s.',
                     {'image': self._image_id, 'store': self._store, 'seconds': self._waited(),
                      'says': self._task_says()})

    def _task_says(self) -> str:
        """Return what Glance's newest task on the image tells, if anything."""
        try:
            task = self._images.newest_task(self._image_id)
        except Exception as error:
            LOG.debug('Glance does not tell its tasks: %s', error)
            return ''
        return ' (its task %s is %s: %s)' % (task.id, task.status, task.message) if task else ''

    def _why_so_long(self) -> str:
        why = ''
        if self._trouble:
            why += '; Glance cannot be asked or refuses: %s' % self._trouble
        if self._last is not None and self._last.import_task:
            why += '; the task %s holds the lock of the image' % self._last.import_task
            why += ', and copies to %s' % ', '.join(self._last.importing_to or ('no store',))
        return why

    def _waited(self) -> float:
        return float(self._clock.monotonic() - self._started)

    def _failed(self, why: str) -> exceptions.CopyFailed:
        return exceptions.CopyFailed(image_id=self._image_id, store=self._store, why=why)


class _Flight:
    def __init__(self) -> None:
        self.landed = threading.Event()
        self.result = False
        self.error: Optional[BaseException] = None


class SingleFlight:
    """One wait in a process for all who want the same image in the same store at the same time."""

    def __init__(self) -> None:
        self._flights: Dict[Tuple[str, str], _Flight] = {}
        self._lock = threading.Lock()

    def run(self, key: Tuple[str, str], function: Callable[[], bool], timeout: float) -> bool:
        """Run the function, or wait for one that runs under the same key, and share its result.

        :param timeout: seconds, after which one who waits for another gives up.
        :raises: what the function raised.
        """
        with self._lock:
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if first:
            try:
                flight.result = function()
            except BaseException as error:
                flight.error = error
                raise
            finally:
                with self._lock:
                    del self._flights[key]
                flight.landed.set()
            return flight.result
        if not flight.landed.wait(timeout):
            raise exceptions.CopyFailed(image_id=key[0], store=key[1], why='another wait in this process did '
                                        'not end within %d seconds' % timeout)
        if flight.error is not None:
            raise flight.error
        return flight.result
