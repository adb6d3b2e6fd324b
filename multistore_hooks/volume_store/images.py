# SPDX-License-Identifier: Apache-2.0
"""What the driver knows of a volume that is, or will be, an image. Decisions only, no requests."""

from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from oslo_utils import uuidutils

GIB = 1024 ** 3

# The specification's name, and the one that the stock driver writes and Cinder knows.
_NAME = 'image-'
_IMAGE_IDS = ('glance_image_id', 'image_id')


class Volume(NamedTuple):
    """What Cinder tells of a volume.

    :ivar gib: size in GiB.
    :ivar project: the id of its project, or None where Cinder does not say.
    """

    id: str
    status: str
    gib: int
    metadata: Dict[str, str]
    project: Optional[str] = None
    type: Optional[str] = None
    encrypted: bool = False
    description: str = ''
    name: str = ''

    @classmethod
    def from_cinder(cls, found: Dict[str, Any]) -> 'Volume':
        return cls(id=found['id'], status=found['status'], gib=int(found['size']),
                   metadata=dict(found.get('metadata') or {}),
                   project=found.get('os-vol-tenant-attr:tenant_id'),
                   type=found.get('volume_type'), encrypted=bool(found.get('encrypted')),
                   description=found.get('description') or '', name=found.get('name') or '')

    @property
    def read_only(self) -> bool:
        return self.metadata.get('readonly', '').lower() == 'true'


def metadata(image_id: str, owner: Optional[str], size: int) -> Dict[str, str]:
    """Return the metadata of an image's volume.

    :param size: in bytes; 0: not known yet, and left out.
    """
    found = {'image_id': image_id, 'glance_image_id': image_id}
    if owner:
        found['image_owner'] = owner
    if size:
        found['image_size'] = str(size)
    return found


def name(image_id: str) -> str:
    """Return the name of an image's volume: that of the stock driver, and of Cinder's own."""
    return _NAME + image_id


def why_not_ours(volume: Volume, projects: Sequence[str]) -> Optional[str]:
    """Return why a volume is no image volume of the store of some projects, or None if it is one.

    A volume that Cinder registers as an image (image_upload_use_cinder_backend) may be in the project
    of its owner, who alone could have written the metadata, and names the image only after Glance has
    taken the location. It is read-only from the beginning; if it is not, somebody uses it for something
    else: perhaps another project, that its owner has transferred it to with suitable metadata.
    """
    owner = volume.metadata.get('image_owner')
    if not any(uuidutils.is_uuid_like(volume.metadata.get(key, '')) for key in _IMAGE_IDS) and not (
            owner and volume.name.startswith(_NAME)
            and uuidutils.is_uuid_like(volume.name[len(_NAME):])):
        return 'its metadata name no image (glance_image_id)'
    found = volume.project
    if found is None or any(_same(found, one) for one in projects):
        return None
    if not owner or not _same(found, owner):
        return 'it is in the project %s, and the images of the store are in %s' % (found, ', '.join(projects))
    if not volume.read_only:
        return 'it is in the project of its owner, and not read-only'
    return None


def why_not_theirs(volume: Volume, project: Optional[str]) -> Optional[str]:
    """Return why a project may not make a volume of the store the data of its image, or None if it may.

    Who has a location of an image reads it and deletes it. Cinder notes the owner before it registers a
    volume.
    """
    owner = volume.metadata.get('image_owner')
    if owner and project and _same(owner, project):
        return None
    return 'it is that of an image of another project'


def _same(one: str, other: str) -> bool:
    return one.replace('-', '') == other.replace('-', '')


def size(volume: Volume) -> int:
    """Return the size of a volume's image in bytes.

    Where the metadata say nothing, as for a volume that Cinder registered, the image is the volume.

    :raises ValueError: what the metadata say is no size, or more than the volume holds.
    """
    told = volume.metadata.get('image_size')
    if told is None:
        return volume.gib * GIB
    if not told.isdigit() or int(told) > volume.gib * GIB:
        raise ValueError("its metadata have the image_size '%s', and it has %d GiB" % (told, volume.gib))
    return int(told)


def gib_for(size: int) -> int:
    """Return how many GiB hold a number of bytes; a volume has at least one."""
    return max(1, -(-size // GIB))


def grown(gib: int) -> int:
    """Return the next size, in GiB, of a volume whose image has outgrown it."""
    return gib * 2


def extent(size: int, offset: int, length: Optional[int]) -> int:
    """Return how many bytes a range of an image has; without a length, it ends with the image.

    :raises ValueError: it begins before the image or after its end.
    """
    if offset < 0 or offset > size or (length is not None and length < 0):
        raise ValueError('the range from byte %d is not in an image of %d bytes' % (offset, size))
    return size - offset if length is None else min(length, size - offset)
