# SPDX-License-Identifier: Apache-2.0
"""What the records of a store say against what the store itself holds.

Data without a record is reported, and not removed here: see :mod:`remove_data`. What can be
mended is a record that lists a copy which is not there, when another store is proved to hold the image: the
record is made to say so, and nothing is deleted.
"""

import re
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from multistore_hooks.ceph import site_image_record
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.stores import evict
from multistore_hooks.stores import places
from multistore_hooks.stores import proofs
from multistore_hooks.stores import units

#: What is wrong.
MISSING, DIFFERS, UNFINISHED = 'record without data', 'data differs', 'unfinished copy'
UNKNOWN, UNREADABLE = 'data without a record', 'cannot be read'
#: No fault: what a site made for itself; see ``multistore-hooks site image list``.
SITE_IMAGE = 'site image'

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')


class NotThisStore(exceptions.MultistoreError):
    """A place has none of a store's images."""

    msg_fmt = _('%(place)s has the data of none of the %(count)d images that are in the store %(store)s '
                'by their '
                'records. Is it the place of that store? Nothing was judged.')


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    kind: str
    store: str
    #: The image's id, or the name of the data.
    name: str
    why: str
    #: Bytes, where known.
    size: Optional[int] = None
    #: An import or an upload goes on, which may be why.
    pending: bool = False


def check(store: str, place: places.Place, images: Sequence[api.Image],
          verify: bool = False) -> List[Finding]:
    """Compare the records of a store with its place.

    :param images: all images that an administrator sees, hidden ones too
    :param verify: read the data, and compare it with the checksum of the record
    :raises NotThisStore: no image of the store is there
    :raises places.PlaceError: the place cannot be read
    """
    return compare(store, place, dict(place.everything()), images, verify)


def compare(store: str, place: places.Place, held: Mapping[str, places.Found],
            images: Sequence[api.Image], verify: bool = False) -> List[Finding]:
    """Compare the records of a store with what was found in its place; see :func:`check`.

    :param held: the data of the place, or of the images that are in question, by name
    """
    by_id = {image.id: image for image in images}
    listed = [image for image in images if store in image.stores]
    if listed and not any(image.id in held for image in listed):
        raise NotThisStore(place=repr(place), count=len(listed), store=store)
    found = [finding for image in listed for finding in _image(store, place, image, held.get(image.id),
                                                               verify)]
    return found + list(_rest(store, held, by_id))


def require_place(store: str, place: places.Place, images: Iterable[api.Image]) -> None:
    """Make sure that a place is a store's: it has one of its images, if there is any.

    :raises NotThisStore: no image of the store is there
    :raises places.PlaceError: the place cannot be read
    """
    listed = [image for image in images if store in image.stores]
    if listed and not any(place.find(image.id) for image in listed):
        raise NotThisStore(place=repr(place), count=len(listed), store=store)


def _image(store: str, place: places.Place, image: api.Image, data: Optional[places.Found],
           verify: bool) -> Iterator[Finding]:
    if data is None:
        busy = bool(image.import_task or image.importing_to or image.status != 'active')
        yield Finding(MISSING, store, image.id,
                      'its status is %s, it may be on its way' % image.status if busy
                      else 'the record lists the store, which has no data of it', image.size, busy)
        return
    problem = places.holds(data, image.size or 0)
    if not problem and verify:
        try:
            problem = proofs.differs(image, place.read(image.id)) or ''
        except places.PlaceError as error:
            yield Finding(UNREADABLE, store, image.id, str(error), data.size)
            return
    if problem:
        yield Finding(DIFFERS, store, image.id, problem, data.size)


def _rest(store: str, held: Mapping[str, places.Found], by_id: Mapping[str, api.Image]
          ) -> Iterator[Finding]:
    """Yield what the store holds beside the images that its records list."""
    for name in sorted(held):
        image, data = by_id.get(name), held[name]
        if image is not None and store in image.stores:
            continue
        if image is not None:
            going_on = bool(store in image.importing_to or image.import_task or image.status != 'active')
            yield Finding(UNFINISHED, store, name, 'a copy or an upload goes on' if going_on else
                          'its record does not list the store; a copy that failed has left it, or is '
                          'about to be recorded', data.size, going_on)
        elif site_image_record.image_of(name) is not None:
            yield Finding(SITE_IMAGE, store, name, 'made of image %s' % site_image_record.image_of(name),
                          data.size)
        elif _UUID.match(name):
            yield Finding(UNKNOWN, store, name, 'no image that these credentials see has this id', data.size)
        else:
            yield Finding(UNKNOWN, store, name, 'it is no image of Glance', data.size)


def mend(finding: Finding, evictor: evict.Evictor) -> evict.Outcome:
    """Mend what can be: let a record forget a copy that is not there.

    :returns: what came of it; refused, with the reason, for all that is not safe to mend
    """
    if finding.kind == MISSING:
        return evictor.evict(finding.name, finding.store)
    if finding.kind == SITE_IMAGE:
        return evict.Outcome(evict.REFUSED, 'it is no fault')
    if finding.kind in (UNKNOWN, UNFINISHED):
        return evict.Outcome(evict.REFUSED, '--mend removes no data; see store data remove')
    return evict.Outcome(evict.REFUSED, 'copy it again by hand when the cause is known; %s' % (
        units.show_bytes(finding.size)))
