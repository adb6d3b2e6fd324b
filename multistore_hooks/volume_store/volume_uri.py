# SPDX-License-Identifier: Apache-2.0
"""The locations of images on volumes: ``cinder://STORE/VOLUME``, as the stock driver writes them.

Cinder clones what has such a location, and what the stock driver stored is read and deleted here.
"""

from typing import Optional
import uuid

from oslo_utils import uuidutils

SCHEME = 'cinder'
_PREFIX = SCHEME + '://'


def prefix(store: Optional[str]) -> str:
    """Return what all locations of a store begin with, without a slash at the end."""
    return _PREFIX + (store or '')


def uri(store: Optional[str], volume_id: str) -> str:
    """Return the location of a volume; without a store, the form of a Glance that has only one."""
    return '%s%s/%s' % (_PREFIX, store, volume_id) if store else _PREFIX + volume_id


def volume_of(found: str) -> str:
    """Return the id of the volume that a location names.

    :raises ValueError: it is no location of this kind.
    """
    if not found.startswith(_PREFIX):
        raise ValueError("a location of a volume begins with '%s'" % _PREFIX)
    parts = found[len(_PREFIX):].split('/')
    if len(parts) > 2 or not uuidutils.is_uuid_like(parts[-1]):
        raise ValueError('a location of a volume is %sSTORE/VOLUME, with the id of the volume' % _PREFIX)
    # In one spelling: two would be two volumes to the journal.
    return str(uuid.UUID(parts[-1]))
