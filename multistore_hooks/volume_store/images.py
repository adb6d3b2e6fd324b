# SPDX-License-Identifier: Apache-2.0
"""What the driver knows of a volume that is, or will be, an image. Decisions only, no requests."""

from typing import Any
from typing import Dict
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from oslo_utils import uuidutils

from multistore_hooks.volume_store import errors

GIB = 1024 ** 3

# The specification's name, and the one that the stock driver writes and Cinder knows.
_NAME = 'image-'
_IMAGE_IDS = ('glance_image_id', 'image_id')


class Volume(NamedTuple):
    """A volume, as Cinder describes it.

    :ivar gib: size in GiB.
    :ivar project: the id of its project, or None where Cinder does not show it.
    :ivar hosts: the host of each attachment, by the attachment's id.
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
    hosts: Mapping[str, Optional[str]] = {}

    @classmethod
    def from_cinder(cls, found: Dict[str, Any]) -> 'Volume':
        """Return what the body of a response has of a volume."""
        return cls(id=found['id'], status=found['status'], gib=int(found['size']),
                   metadata=dict(found.get('metadata') or {}),
                   project=found.get('os-vol-tenant-attr:tenant_id'),
                   type=found.get('volume_type'), encrypted=bool(found.get('encrypted')),
                   description=found.get('description') or '', name=found.get('name') or '',
                   hosts={one['attachment_id']: one.get('host_name')
                          for one in found.get('attachments') or () if one.get('attachment_id')})

    @property
    def read_only(self) -> bool:
        """Return whether Cinder lets it be attached for reading only."""
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
    of its owner, the only one that could have written the metadata, and names the image only after Glance
    has accepted the location. It is read-only from the beginning; if it is not, it is used for something
    else: perhaps by another project, to which its owner has transferred it with suitable metadata.
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

    The owner of an image can read and delete the data of its locations. Cinder writes the owner into the
    metadata before it registers a volume.
    """
    owner = volume.metadata.get('image_owner')
    if owner and project and _same(owner, project):
        return None
    return 'it is that of an image of another project'


def _same(one: str, other: str) -> bool:
    return one.replace('-', '') == other.replace('-', '')


def size(volume: Volume) -> int:
    """Return the size of a volume's image in bytes.

    Without the metadatum, as for a volume that Cinder registered, the image is the whole volume.

    :raises errors.NotUsable: the metadatum is no size, or more than the volume holds.
    """
    found = volume.metadata.get('image_size')
    if found is None:
        return volume.gib * GIB
    if not found.isdecimal() or int(found) > volume.gib * GIB:
        raise errors.NotUsable(volume=volume.id, why='its metadata have the image_size %r, and it has '
                                                     '%d GiB' % (found[:40], volume.gib))
    return int(found)


def gib_for(size: int) -> int:
    """Return how many GiB hold a number of bytes; a volume has at least one."""
    return max(1, -(-size // GIB))


def grown(gib: int) -> int:
    """Return the next size, in GiB, of a volume whose image has outgrown it."""
    return gib * 2


def extent(size: int, offset: int, length: Optional[int]) -> Optional[int]:
    """Return how many bytes a range of an image has; without a length, it ends with the image.

    :returns: None: it begins before the image or after its end.
    """
    if offset < 0 or offset > size or (length is not None and length < 0):
        return None
    return size - offset if length is None else min(length, size - offset)
