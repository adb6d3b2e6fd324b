# SPDX-License-Identifier: Apache-2.0
"""What plans know of images and stores: small values, of which ten thousand are no burden."""

from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from multistore_hooks.glance_api import api
from multistore_hooks.stores import units

#: ``image_type`` of what Nova makes of a server, and what an operator may write for other kinds.
KIND = 'image_type'
IMAGE, SNAPSHOT, BACKUP, VOLUME = 'image', 'snapshot', 'backup', 'volume'
#: Cinder writes it into the record of an encrypted volume that it uploads.
_ENCRYPTED_VOLUME = 'cinder_encryption_key_id'

#: In place of a time of last use: something uses it now.
IN_USE = float('inf')

#: What Glance writes into a record that is no property of a user.
_OWN = frozenset((
    'id', 'name', 'status', 'size', 'stores', 'owner', 'visibility', 'os_hidden', 'protected', 'tags',
    'disk_format', 'container_format', 'created_at', 'updated_at', 'checksum', 'os_hash_algo',
    'os_hash_value', 'virtual_size', 'min_disk', 'min_ram', 'file', 'self', 'schema', 'direct_url',
    'locations', 'os_glance_importing_to_stores', 'os_glance_failed_import', 'os_glance_import_task'))


class Subject(NamedTuple):
    """An image, as far as rules and plans need it."""

    id: str
    name: str
    status: str
    #: Bytes of one copy; 0 where Glance does not know them.
    size: int
    stores: Tuple[str, ...]
    #: Where it is being copied to now.
    importing_to: Tuple[str, ...]
    #: The task that holds the image's lock.
    import_task: Optional[str]
    #: Seconds since 1970; 0 if unknown.
    created: float
    owner: str
    visibility: str
    hidden: bool
    protected: bool
    tags: Tuple[str, ...]
    format: str
    kind: str
    properties: Mapping[str, str]

    @property
    def busy(self) -> bool:
        """Whether the record lists stores that it is being copied to.

        A lock without any is that of an import which begins or ends: an eviction waits for a moment, and
        reads the record again.
        """
        return bool(self.importing_to)


def subject_of(image: api.Image) -> Subject:
    """Return what matters of an image record."""
    record = image.record
    return Subject(
        id=image.id, name=str(record.get('name') or ''), status=image.status, size=image.size or 0,
        stores=image.stores, importing_to=image.importing_to, import_task=image.import_task,
        created=units.time_of(record.get('created_at')) or 0, owner=str(record.get('owner') or ''),
        visibility=str(record.get('visibility') or ''), hidden=bool(record.get('os_hidden')),
        protected=bool(record.get('protected')), tags=tuple(record.get('tags') or ()),
        format=str(record.get('disk_format') or ''), kind=kind_of(record),
        properties={key: str(value) for key, value in record.items()
                    if key not in _OWN and value is not None})


def kind_of(record: Mapping[str, Any]) -> str:
    """Return the kind of an image.

    Nova writes ``image_type`` into snapshots and backups. Cinder writes nothing of that kind: an uploaded
    volume is known by its encryption key, or by an ``image_type`` of ``volume`` that an operator wrote.
    """
    kind = record.get(KIND)
    if kind in (SNAPSHOT, BACKUP, VOLUME):
        return str(kind)
    return VOLUME if record.get(_ENCRYPTED_VOLUME) else IMAGE


class Space(NamedTuple):
    """The room of a store, in bytes."""

    total: int
    free: int


class Held(NamedTuple):
    """What the records say of one store."""

    images: int
    bytes: int


def held_by_store(subjects: Iterable[Subject]) -> Dict[str, Held]:
    """Return how many images, and bytes, the records list in each store."""
    found: Dict[str, List[int]] = {}
    for subject in subjects:
        for store in subject.stores:
            counts = found.setdefault(store, [0, 0])
            counts[0] += 1
            counts[1] += subject.size
    return {store: Held(*counts) for store, counts in found.items()}


def with_capacity(space: Mapping[str, Space], capacity: Mapping[str, int],
                  subjects: Iterable[Subject]) -> Dict[str, Space]:
    """Return the room of stores, with the capacity that an operator gave where it cannot be read."""
    result = dict(space)
    held = held_by_store(subjects) if set(capacity) - set(space) else {}
    for store, total in capacity.items():
        if store not in space:
            used = held[store].bytes if store in held else 0
            result[store] = Space(total, max(total - used, 0))
    return result
