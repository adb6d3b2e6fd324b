# SPDX-License-Identifier: Apache-2.0
"""Move data that no record lists to the trash of its pool.

Such data may be a snapshot whose location Glance does not have yet, an upload or a copy in progress, an
image that these credentials do not see, or another Glance's. So nothing goes that was not named, and all of
this has to hold, twice, an hour apart: no record of the id lists the store, no location names the data, no
import works on the image, the data is not open anywhere, nothing was cloned from it, and it was not changed
for a day. Where the image has a record, another store is proved to hold it. What goes can be restored from
the trash for a while.
"""

import re
from typing import Any
from typing import Callable
from typing import Iterable
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks.ceph import site_image_record
from multistore_hooks.glance_api import api
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from multistore_hooks.stores import proofs
from multistore_hooks.stores import sightings
from multistore_hooks.stores import units

LOG = logging.getLogger(__name__)

#: Seconds: how long data is unchanged, and how far two sights are apart, at least.
OLD, APART = 24 * 3600, 3600
NOT_YET = 'not yet'

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')


class Tools(NamedTuple):
    """What removals need.

    :ivar pool: of the store
    :ivar listed: all images that an administrator sees, hidden ones too
    :ivar keep: seconds that the trash keeps what goes, at least
    :ivar now: returns seconds since 1970
    """

    images: glance.StoreImages
    prover: proofs.Prover
    store: str
    pool: places.Pool
    listed: Iterable[api.Image]
    seen: sightings.Sightings
    keep: int
    now: Callable[[], float]


class DataRemover:
    """Moves data without a record to the trash, one name at a time."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._locations = tuple((image.id, url) for image in tools.listed for url in _urls(image))

    def remove(self, name: str, dry_run: bool = False) -> evict.Outcome:
        """Move data to the trash if it may go; else remember that it was seen, or say why it stays.

        :raises GlanceError: Glance cannot be reached, or these credentials may not
        :raises SightingsError: it cannot be remembered
        """
        if not _UUID.match(name):
            what = 'a site image' if site_image_record.image_of(name) is not None else 'no image of Glance'
            return evict.Outcome(evict.REFUSED, 'by its name it is %s' % what)
        try:
            if dry_run:
                return self._judge(name)[0]
            with lock.EvictionLock(self._tools.images, name) as held:
                return self._remove(name, held)
        except (lock.LockHeld, lock.LockLost, lock.LockRefused) as error:
            return evict.Outcome(evict.REFUSED, str(error))

    def _remove(self, name: str, held: lock.EvictionLock) -> evict.Outcome:
        tools = self._tools
        outcome, data = self._judge(name)
        if outcome.state == NOT_YET and data is not None:
            first = self._first(name, data)
            tools.seen.put(tools.pool, name, sightings.Sighting(data.size, data.changed, first))
        elif outcome.state != evict.POSSIBLE:
            tools.seen.put(tools.pool, name, None)
        if outcome.state != evict.POSSIBLE:
            return outcome
        held.check()
        LOG.info('Moving %(name)s in %(pool)s to the trash: no record lists it in the store %(store)s.',
                 {'name': name, 'pool': tools.pool, 'store': tools.store})
        try:
            trash_id = tools.pool.move_to_trash(name, tools.keep)
        except places.PlaceError as error:
            return evict.Outcome(evict.REFUSED, str(error))
        tools.seen.put(tools.pool, name, None)
        return self._after(name, trash_id)

    def _after(self, name: str, trash_id: str) -> evict.Outcome:
        """Read the record of the id once more; what was recorded meanwhile comes back."""
        try:
            image, why = self._record(name)
        except api.GlanceError as error:
            return evict.Outcome(evict.TRASHED, 'Glance does not respond any more (%s)' % error)
        if not why:
            return evict.Outcome(evict.TRASHED, 'rbd trash restore brings it back')
        try:
            self._tools.pool.restore(trash_id, name)
        except places.PlaceError as error:
            LOG.error('%(name)s is in the trash of %(pool)s, and is needed: %(why)s. It cannot be restored '
                      '(%(error)s): restore it with rbd trash restore.',
                      {'name': name, 'pool': self._tools.pool, 'why': why, 'error': error})
            return evict.Outcome(evict.FAILED, 'it is in the trash, and is needed: %s' % why)
        return evict.Outcome(evict.REFUSED, '%s; it was restored' % why)

    def _judge(self, name: str) -> Tuple[evict.Outcome, Optional[places.Found]]:
        """Return what would come of a removal, and the data."""
        try:
            data = self._tools.pool.find(name)
            if data is None:
                return evict.Outcome(evict.ABSENT, 'the pool does not have it'), None
            image, why = self._record(name)
            why = why or self._use(name)
            if not why and image is not None:
                proof = self._tools.prover.prove(image, self._tools.store)
                why = '' if proof.store else ('no other store is proved to hold it: %s' % proof.why_not)
        except places.PlaceError as error:
            return evict.Outcome(evict.REFUSED, str(error)), None
        if why:
            return evict.Outcome(evict.REFUSED, why), data
        return self._age(name, data), data

    def _record(self, name: str) -> Tuple[Optional[api.Image], str]:
        """Return the record of an id, if there is one, and why the data has to stay, or ''."""
        named = [image_id for image_id, url in self._locations if name in url and image_id != name]
        if named:
            return None, 'a location of image %s names it' % named[0]
        try:
            image = self._tools.images.image(name)
        except api.NotFound:
            return None, ''
        if self._tools.store in image.stores:
            return image, 'its record lists the store'
        if image.status != 'active':
            return image, 'its status is %s' % image.status
        return image, evict.import_of(self._tools.images, image)

    def _use(self, name: str) -> str:
        """Return what uses the data, or ''."""
        watchers = self._tools.pool.watchers(name)
        if watchers:
            return 'open at %s' % units.counted(watchers, 'client')
        clones = self._tools.pool.children(name).clones
        return 'used by %s' % units.counted(clones, 'clone') if clones else ''

    def _age(self, name: str, data: places.Found) -> evict.Outcome:
        now, first = self._tools.now(), self._first(name, data)
        apart = APART
        if data.changed is None:
            apart = OLD  # the pool does not report it: it is as old as it was seen to be the same
        elif now - data.changed < OLD:
            return evict.Outcome(evict.REFUSED, 'it was changed less than 24 hours ago')
        left = apart - (now - first)
        if left > 0:
            return evict.Outcome(NOT_YET, 'it may go if it is the same in %d minutes: run the command again'
                                 % -(-left // 60))
        return evict.Outcome(evict.POSSIBLE, 'it was the same for %d minutes' % ((now - first) // 60))

    def _first(self, name: str, data: places.Found) -> float:
        """Return when the data was seen first as it is now; a time to come is none."""
        sighting, now = self._tools.seen.get(self._tools.pool, name), self._tools.now()
        same = sighting is not None and sighting.is_of(data) and sighting.first <= now
        return sighting.first if sighting is not None and same else now


def _urls(image: api.Image) -> Iterable[str]:
    """Return the locations of an image, where Glance shows them."""
    locations: Any = image.record.get('locations') or ()
    return [str(entry.get('url')) for entry in locations] + [str(image.record.get('direct_url') or '')]
