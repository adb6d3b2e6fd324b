# SPDX-License-Identifier: Apache-2.0
"""Many images into many stores: several images at once, each by the state machine of ``copying``."""

import queue
import threading
import time
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Sequence
from typing import Set
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks.cli import image_lookup
from multistore_hooks.cli import progress
from multistore_hooks.cli import session
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client

LOG = logging.getLogger(__name__)

#: What came of an image and a store.
PRESENT, COPIED, REQUESTED, FAILED = 'present', 'copied', 'requested', 'failed'
#: Seconds that a request which is under way may still take when the user stops the command.
LAST_WORDS = 2


class Wanted(NamedTuple):
    """An image, and the stores that it shall be in."""

    image: api.Image
    stores: Tuple[str, ...]


class Result(NamedTuple):
    """What came of an image and a store; ``why`` is for failures."""

    image: api.Image
    store: str
    state: str
    why: str = ''


class How(NamedTuple):
    """How to copy: wait for the end or only request, the limits of each wait, and images at once."""

    wait: bool
    waits: limits.Limits
    at_once: int


class _NotWaiting(Exception):
    """The state machine would wait now, and was not to."""


class _Ended(Exception):
    """The user has stopped the command."""


class _Clock:
    """The time, for the state machine; its sleep ends with the command."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, wait: bool, ended: threading.Event) -> None:
        self._wait, self._ended = wait, ended

    def sleep(self, seconds: float) -> None:
        if not self._wait:
            raise _NotWaiting()
        if self._ended.wait(seconds):
            raise _Ended()


class _OneImage(image_lookup.Images):
    """ImageApi for the copies of one image: requests all its stores at once, and shows the progress.

    Glance reads the image once for each request, not once for each store.
    """

    def __init__(self, run: client.Run, wanted: Wanted, bars: progress.NullProgress) -> None:
        super().__init__(run)
        self.seen = wanted.image
        #: The stores for which Glance has accepted a request of ours.
        self.requested: Set[str] = set()
        self.trouble = ''
        # Those that were requested along with another one, and not on their own.
        self._along: Set[str] = set()
        self._wanted, self._bars = wanted, bars
        # What Glance's task reported last, and whether that concerns the previous store.
        self._told: Tuple[str, int, bool] = ('', 0, False)

    def image(self, image_id: str) -> api.Image:
        try:
            self.seen = super().image(image_id)
        except session.NotAccepted as error:  # waiting would not help
            raise api.error_for(401, str(error), error) from error
        except Exception as error:
            self.trouble = str(error)
            raise
        self._show()
        return self.seen

    def copy(self, image_id: str, stores: Iterable[str]) -> None:
        store, = stores
        if store in self._along:
            self._along.discard(store)
            if store in self.seen.failed_import:
                raise exceptions.CopyFailed(image_id=image_id, store=store,
                                            why='the copy failed, see the glance-api log for the cause')
        along = [other for other in self._wanted.stores
                 if other != store and other not in self.seen.stores and other not in self.requested]
        try:
            super().copy(image_id, [store] + along)
        except api.Forbidden as error:
            raise exceptions.CopyFailed(
                image_id=image_id, store=store, why='Glance does not allow it (%s): its policy copy_image '
                'is for administrators by default' % error) from error
        except session.Unreachable as error:  # which passes, whereas others of the kind do not
            raise api.error_for(503, str(error), error) from error
        self.requested.update([store] + along)
        self._along.update(along)

    def _show(self) -> None:
        if not self._bars.active:
            return
        image, stores = self.seen, self._wanted.stores
        row = progress.Row(
            image_lookup.name_of(image) or image.id, image.size, len(stores),
            done=sum(image.is_in(store) for store in stores))
        current = [store for store in stores if store in image.importing_to]
        if current:
            row = row._replace(store=current[0], copied=self._copied(image, current[0]))
        elif image.import_task and not row.done and not set(stores) & set(image.failed_import):
            row = row._replace(note='Glance reads it' if self.requested else 'another import holds the image')
        self._bars.show(image.id, row)

    def _copied(self, image: api.Image, store: str) -> int:
        """Return how many MiB of the image are in the store by now, as far as Glance reports it."""
        try:
            task = self.newest_task(image.id)
        except Exception as error:  # it is only a picture
            LOG.debug('Glance does not list its tasks: %s', error)
            return 0
        copied = progress.copied_mib(task) if task and task.id == image.import_task else 0
        before, last, stale = self._told
        # Until the first MiB of a store the task still has the message of the store before.
        stale = copied > 0 and copied >= last and (stale or before not in ('', store))
        self._told = (store, copied, stale)
        return 0 if stale else copied


def copy(run: client.Run, wanted: Sequence[Wanted], how: How, bars: progress.NullProgress) -> List[Result]:
    """Copy images, some at once; return what came of each image and store, in the order given.

    :param run: reaches Glance, see ``images.client``
    :raises KeyboardInterrupt: the user stopped it; Glance goes on with what it has accepted
    """
    pending: 'queue.Queue[Tuple[int, Wanted]]' = queue.Queue()
    for entry in enumerate(wanted):
        pending.put(entry)
    results: List[List[Result]] = [[] for _unused in wanted]
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                number, one = pending.get_nowait()
            except queue.Empty:
                return
            results[number] = _copy_image(run, one, how, _Clock(how.wait, ended), bars)
            bars.hide(one.image.id)

    # Daemons: a request that hangs must not keep the command from ending.
    threads = [threading.Thread(target=work, daemon=True) for _unused in range(min(how.at_once, len(wanted)))]
    bars.start()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # without a limit, Ctrl-C would not be noticed on some Pythons
                bars.tick()
    except KeyboardInterrupt:
        ended.set()
        until = time.monotonic() + LAST_WORDS
        for thread in threads:
            if thread.is_alive():
                thread.join(max(until - time.monotonic(), 0))
        raise
    finally:
        bars.stop()
    return [result for image in results for result in image]


def _copy_image(run: client.Run, wanted: Wanted, how: How, clock: _Clock,
                bars: progress.NullProgress) -> List[Result]:
    images = _OneImage(run, wanted, bars)
    results: List[Result] = []
    for store in wanted.stores:
        try:
            state, why = _copy_to(images, wanted.image, store, how, clock)
        except _Ended:
            return results
        except Exception as error:  # in a thread, nothing else would report it
            LOG.debug('The copy of %s ended with an unexpected error.', wanted.image.id, exc_info=True)
            state, why = FAILED, 'internal error: %s: %s' % (type(error).__name__, error)
        results.append(Result(images.seen, store, state, why))
    return results


def _copy_to(images: _OneImage, image: api.Image, store: str, how: How, clock: _Clock) -> Tuple[str, str]:
    if image.is_in(store):
        return PRESENT, ''
    if store in images.requested and not how.wait:
        return REQUESTED, ''
    try:
        waiter.CopyWaiter(images, images, request.Job(image.id, store, '--to'), how.waits, clock=clock).run()
    except _NotWaiting:
        return _not_waited(images, image, store)
    except (exceptions.MultistoreError, api.GlanceError) as error:
        return FAILED, str(error)
    return COPIED, ''


def _not_waited(images: _OneImage, image: api.Image, store: str) -> Tuple[str, str]:
    """Return the state after the request, or instead of it."""
    if store in images.requested or store in images.seen.importing_to:
        return REQUESTED, ''
    why = images.trouble or ('another import holds the image (its task is %s); try again later, or with '
                             '--wait' % (images.seen.import_task or 'not known'))
    return FAILED, str(exceptions.CopyFailed(image_id=image.id, store=store, why=why))
