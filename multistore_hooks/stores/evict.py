# SPDX-License-Identifier: Apache-2.0
"""Remove one copy of an image, when another is proved to hold the bytes.

Glance's own call (``DELETE /v2/stores/{store}/{image}``) counts the locations without a lock, checks no
import, and deletes the bytes before it saves the record: two at the same time can take the last two copies.
"""

import time
from typing import Any
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.glance_api import api
from multistore_hooks.stores import glance
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from multistore_hooks.stores import proofs
from multistore_hooks.stores import units

LOG = logging.getLogger(__name__)

#: What came of an eviction.
FREED, TRASHED, REMOVED = 'freed', 'moved to trash', 'removed, use unknown'
ABSENT, GONE, REFUSED, FAILED = 'not there', 'image is gone', 'refused', 'failed'
#: What would come of it.
POSSIBLE = 'possible'
DONE = (FREED, TRASHED, REMOVED, ABSENT, GONE)

#: Kinds of stores whose data nothing can be a clone of.
_WITHOUT_CLONES = ('file', 'swift', 's3')
#: States of a task that works.
_WORKING = ('pending', 'processing')
#: Seconds for which a run waits in vain for locks of imports that are at their end, and the longest pause
#: between two polls.
LOCK_CLEARS, LONGEST_PAUSE = 60, 5


class Outcome(NamedTuple):
    """What came of an eviction, and the reason or the details in words."""

    state: str
    why: str = ''

    @property
    def done(self) -> bool:
        """Whether the store does not have the image any more."""
        return self.state in DONE


class Tools(NamedTuple):
    """What evictions need.

    :ivar reached: the places of stores that can be read from here, by store
    :ivar details: what Glance says of its stores, by store
    """

    images: glance.StoreImages
    prover: proofs.Prover
    reached: Mapping[str, places.Place] = {}
    details: Mapping[str, api.StoreDetail] = {}
    #: Remove what has clones too: it goes to the trash, and frees nothing until they are gone.
    in_use: bool = False
    clock: Any = time


_Examined = Tuple[Optional[Outcome], proofs.Proof, Optional[places.Children], str]


class Evictor:
    """Removes copies, one at a time."""

    def __init__(self, tools: Tools) -> None:
        self._tools, self._images = tools, tools.images
        #: Seconds left for locks: a Glance that was killed may have left one on each of many images.
        self._patience: float = LOCK_CLEARS

    def evict(self, image_id: str, store: str) -> Outcome:
        """Remove an image's copy from a store.

        :raises GlanceError: Glance cannot be reached, or these credentials may not
        """
        try:
            with lock.EvictionLock(self._images, image_id) as held:
                return self._evict(image_id, store, held)
        except (lock.LockHeld, lock.LockLost, lock.LockRefused) as error:
            return Outcome(REFUSED, str(error))

    def examine(self, image: api.Image, store: str) -> Outcome:
        """Return what would come of an eviction; nothing is changed.

        :raises GlanceError: as of :meth:`evict`
        """
        outcome, proof, _children, _unknown = self._examine(image, store)
        return outcome or Outcome(POSSIBLE, '%s holds it (%s)' % (proof.store, proof.how))

    def _examine(self, image: api.Image, store: str) -> _Examined:
        """Return why it is not to be done, or None; the proof, and what uses the copy."""
        nothing = proofs.Proof('', '')
        early = self._judge(image, store)
        if early is not None:
            return early, nothing, None, ''
        proof = self._tools.prover.prove(image, store)
        if not proof.store:
            return (Outcome(REFUSED, 'no other store is proved to hold it: %s' % proof.why_not), nothing,
                    None, '')
        children, unknown = self._children(image.id, store)
        if children is None and store in self._tools.reached:
            # Glance 33 forgets a copy in a cluster that is away, responds 204, and leaves the data there.
            why = 'its place cannot be read, and its data might stay there: %s' % unknown
            return Outcome(REFUSED, why), proof, None, unknown
        if children is not None and children.clones and not self._tools.in_use:
            return (Outcome(REFUSED, 'used by %s there: removing it would free nothing'
                            % units.counted(children.clones, 'clone')), proof, children, unknown)
        return None, proof, children, unknown

    def _evict(self, image_id: str, store: str, held: lock.EvictionLock) -> Outcome:
        try:
            before = self._after_import(image_id)
            outcome, proof, children, unknown = self._examine(before, store)
            if outcome is not None:
                return outcome
            again = self._images.image(image_id)
        except api.NotFound:
            return Outcome(GONE, 'the image was deleted')
        if _changed(before, again):
            return Outcome(REFUSED, 'its record changed meanwhile')
        held.check()
        LOG.info('Removing image %(image)s from the store %(store)s: %(other)s holds it (%(how)s).',
                 {'image': image_id, 'store': store, 'other': proof.store, 'how': proof.how})
        problem = self._delete(image_id, store)
        return self._after(again, store, proof, children, unknown, problem)

    def _after_import(self, image_id: str) -> api.Image:
        """Return an image's record, once an import that copies nothing any more has given its lock back.

        Glance lists the last store first, and clears its staging area and the lock a moment later.
        """
        for waited in backoff.polls(self._patience, LONGEST_PAUSE, clock=self._tools.clock):
            image = self._images.image(image_id)
            if not image.import_task or image.importing_to:
                return image
        self._patience = max(0, self._patience - waited)
        return image

    def _judge(self, image: api.Image, store: str) -> Optional[Outcome]:
        """Return why nothing is to be done, or None."""
        if store not in image.stores:
            return Outcome(ABSENT, 'its record does not list the store')
        if image.status != 'active':
            return Outcome(REFUSED, 'its status is %s' % image.status)
        if len(image.stores) == 1:
            return Outcome(REFUSED, 'it is the last copy')
        importing = import_of(self._images, image)
        return Outcome(REFUSED, importing) if importing else None

    def _children(self, image_id: str, store: str) -> Tuple[Optional[places.Children], str]:
        """Return what uses the copy; or None, and why that is not known."""
        place = self._tools.reached.get(store)
        if place is None:
            detail = self._tools.details.get(store)
            if detail is not None and detail.type in _WITHOUT_CLONES:
                return places.Children(0, 0), ''
            return None, 'the place of the store cannot be read from here'
        try:
            return place.children(image_id), ''
        except places.PlaceError as error:
            return None, str(error)

    def _delete(self, image_id: str, store: str) -> Optional[Exception]:
        """Have Glance remove the copy; return its error, if there is one."""
        try:
            self._images.delete_from_store(image_id, store)
        except Exception as error:  # the record shows what came of it
            return error
        return None

    def _after(self, before: api.Image, store: str, proof: proofs.Proof,
               children: Optional[places.Children],
               unknown: str, problem: Optional[Exception]) -> Outcome:
        """Read the record again, and say what came of it."""
        try:
            image = self._images.image(before.id)
        except api.NotFound:
            return Outcome(GONE, 'the image was deleted')
        except api.GlanceError as error:
            return Outcome(FAILED, 'Glance does not show what came of it (%s)' % (problem or error))
        # Another eviction, which takes no lock, may have come between; the record that the last of two saves
        # lists what the other has removed.
        lost = ('its record does not list it any more' if proof.store not in image.stores
                else self._tools.prover.still(image, proof))
        if lost:
            LOG.error('Image %(image)s: its copy in %(other)s was removed as the store %(store)s held it, '
                      'which is not so any more: %(why)s.',
                      {'image': image.id, 'store': proof.store, 'other': store, 'why': lost})
            return Outcome(FAILED, 'another request removed it from %s meanwhile: %s' % (proof.store, lost))
        if store in image.stores:
            if isinstance(problem, (api.Conflict, api.Forbidden)):
                return Outcome(REFUSED, 'Glance refuses: %s' % problem)
            return Outcome(FAILED, 'its record still lists the store, %s: %s' % (
                self._data_in(store, image), problem or 'another request has changed it'))
        return self._freed(image, store, children, unknown)

    def _data_in(self, store: str, image: api.Image) -> str:
        """Return in words whether a store has the data of an image."""
        try:
            found = self._tools.reached[store].find(image.id)
        except (KeyError, places.PlaceError):
            return 'which may have no data of it any more'
        return 'which has no data of it any more' if found is None else 'and its data is there'

    def _freed(self, image: api.Image, store: str, children: Optional[places.Children],
               unknown: str) -> Outcome:
        place = self._tools.reached.get(store)
        try:
            if place is not None and place.in_trash(image.id):
                if children is not None and children.clones:
                    return Outcome(TRASHED, '%s there, held by %s' % (
                        units.show_bytes(children.held), units.counted(children.clones, 'clone')))
                return Outcome(TRASHED, 'what holds %s there is not known' % units.show_bytes(image.size))
            if place is not None and place.find(image.id) is not None:
                return Outcome(FAILED, 'the record does not list the store any more, but its data is there')
        except places.PlaceError as error:
            return Outcome(REMOVED, str(error))
        return Outcome(REMOVED, unknown) if children is None else Outcome(FREED)


def import_of(images: glance.StoreImages, image: api.Image) -> str:
    """Return which import works on an image, or ''.

    :raises GlanceError: Glance does not respond as it should
    """
    if image.import_task:
        return 'an import of the image is going on (task %s)' % image.import_task
    if image.importing_to:
        task = images.newest_task(image.id)
        if task is None or task.status in _WORKING:
            return 'it is being copied to %s' % ', '.join(image.importing_to)
    return ''


def _changed(before: api.Image, after: api.Image) -> bool:
    return (before.stores, before.status, before.import_task, before.importing_to, before.size) != (
        after.stores, after.status, after.import_task, after.importing_to, after.size)
