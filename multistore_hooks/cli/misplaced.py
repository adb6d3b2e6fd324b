# SPDX-License-Identifier: Apache-2.0
"""Which images are not where their base image is? Pure decisions, on what Glance listed.

Nova writes the id of the image that a server was made from into the record of a snapshot
(``base_image_ref``). Cinder writes nothing of that kind; such a property, which anybody may set, is
read on every image.
"""

from typing import NamedTuple
from typing import Optional
from typing import Tuple

from multistore_hooks.glance_api import api
from multistore_hooks import options
from multistore_hooks.upload import placements

BASE = 'base_image_ref'
#: ``image_type`` of what Nova makes of a server.
_SNAPSHOTS = ('snapshot', 'backup')


class Misplaced(NamedTuple):
    """An image, its base image, and the stores that it should be in and is not."""

    image: api.Image
    base: api.Image
    missing: Tuple[str, ...]


def base_of(image: api.Image) -> Optional[str]:
    """Return the id of an image's base image, or None if there is nothing to judge.

    An image without data (a snapshot of a server that boots from a volume is one) is nowhere.
    """
    base = image.record.get(BASE)
    if image.status != 'active' or not image.stores:
        return None
    return api.canonical_id(base)


def colocate_for(image: api.Image, override: Optional[str]) -> str:
    """Return options.ALL or options.PRIMARY: as the filter's options have it by default.

    :param override: the operator's choice for all images, or None
    """
    if override:
        return override
    return options.PRIMARY if image.record.get('image_type') in _SNAPSHOTS else options.ALL


def missing(image: api.Image, base: api.Image, stores: api.Stores, colocate: str) -> Tuple[str, ...]:
    """Return the stores in which an image is missing; none if it is where it should be.

    A store that is read-only or that Glance does not have (any more) is never among them.

    :param colocate: options.ALL: every store of the base image; options.PRIMARY: one of them
    """
    wanted = placements.writable(base.stores, stores)
    if colocate == options.ALL:
        return tuple(store for store in wanted if store not in image.stores)
    if not wanted or set(image.stores) & set(base.stores):
        return ()
    best = placements.choose(base, stores)
    return (best,) if best else ()
