# SPDX-License-Identifier: Apache-2.0
"""The record of a site image, and all that is decided about one. Nothing here reads or writes anything.

A site image is a base image that the hosts of a site have made for themselves in their own Ceph cluster: an
RBD image with a protected snapshot. Each making has a name of its own, which is never used again, and a site
image counts only once it is *published*: its record is then in an index object, under a key of its own,
written in one step. Two hosts that make the same image at once therefore never write the same name or the
same key, and a host that goes on after its lock has expired does no harm.
"""

import hashlib
import json
import re
from typing import Any
from typing import Iterable
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple
import uuid

#: How the names of all site images begin.
PREFIX = 'multistore_hooks.site_image.'
#: No more than what new_name() makes: what an operator names after a site image, a copy say, is none.
_NAME = re.compile(re.escape(PREFIX) + r'([^.]+)\.[0-9a-f]{16}')
#: The snapshot that is cloned.
SNAPSHOT = 'base'
#: Seconds for which a withdrawn site image is kept for hosts that have read its record before.
GRACE = 600
#: Seconds after which an image that was never published is left of a host that died.
LEFTOVER_AGE = 24 * 3600
#: Seconds by which the clocks of hosts may differ.
SKEW = 300
#: Formats that Nova can make a raw disk of. An ISO is booted as it is.
FORMATS = ('raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx')
#: Properties of images that are encrypted, by how they begin.
_ENCRYPTED = ('cinder_encryption_key_id', 'os_encrypt_', 'hw_ephemeral_encryption')


class Requirement(NamedTuple):
    """What a server needs of a site image beside the image's id."""

    #: Glance's checksum of the image; empty where it has none.
    checksum: str
    #: The signature was verified when it was made, with these certificates.
    verified: bool
    certificates: Tuple[str, ...]

    @property
    def digest(self) -> str:
        """A short text that differs for different requirements."""
        return hashlib.sha256(json.dumps(self).encode('utf-8')).hexdigest()[:16]


class SiteImage(NamedTuple):
    """The record of a site image. Times are in seconds since the epoch, by the clock of some host."""

    name: str
    image_id: str
    size: int
    requirement: Requirement
    made_at: float

    @property
    def key(self) -> str:
        """Its key in the index: all of one image are found by the beginning."""
        return '%s/%s' % (self.image_id, self.name)

    def dump(self) -> bytes:
        """Return the record as it is kept."""
        return json.dumps({'name': self.name, 'image_id': self.image_id, 'size': self.size,
                           'checksum': self.requirement.checksum, 'verified': self.requirement.verified,
                           'certificates': self.requirement.certificates,
                           'made_at': self.made_at}).encode('utf-8')

    @classmethod
    def load(cls, value: bytes) -> 'Optional[SiteImage]':
        """Return a record that was kept, or None if it is not one."""
        try:
            fields = json.loads(value.decode('utf-8'))
            requirement = Requirement(str(fields['checksum']), bool(fields['verified']),
                                      tuple(fields['certificates']))
            return cls(str(fields['name']), str(fields['image_id']), int(fields['size']), requirement,
                       float(fields['made_at']))
        except (ValueError, TypeError, KeyError):
            return None


class Listed(NamedTuple):
    """A site image and what the index says of its use."""

    image: SiteImage
    used_at: float
    #: When it was withdrawn; None: it is published.
    retired_at: Optional[float]


def new_name(image_id: str) -> str:
    """Return a name that nobody has used before."""
    return '%s%s.%s' % (PREFIX, image_id, uuid.uuid4().hex[:16])


def image_of(name: str) -> Optional[str]:
    """Return the id of the image that a site image was made from; None if the name is not of one."""
    found = _NAME.fullmatch(name)
    return found.group(1) if found else None


def why_not(record: Mapping[str, Any], force_raw: bool) -> str:
    """Return why no site image is made of an image, or an empty text.

    :param record: what Glance says of it.
    :param force_raw: Nova converts images to raw (``[DEFAULT] force_raw_images``).
    """
    if record.get('status') != 'active':
        return 'its status is %s' % record.get('status')
    if record.get('disk_format') not in FORMATS:
        return 'its disk format is %s' % record.get('disk_format')
    if record.get('container_format') != 'bare':
        return 'its container format is %s' % record.get('container_format')
    if not force_raw and record.get('disk_format') != 'raw':
        return '[DEFAULT] force_raw_images is off'
    if any(value and str(value).lower() != 'false' and name.startswith(_ENCRYPTED)
           for name, value in record.items()):
        return 'it is encrypted'
    return ''


def find(published: Iterable[SiteImage], requirement: Requirement) -> Optional[SiteImage]:
    """Return the site image that every host of the site uses for this, or None."""
    fitting = [image for image in published if image.requirement == requirement]
    return min(fitting, key=lambda image: (image.made_at, image.name)) if fitting else None


def is_due(listed: Listed, now: float, age: float) -> bool:
    """Return whether the next step of a site image's removal may be taken: to withdraw it, or to remove it.

    :param now: seconds since the epoch.
    :param age: the operator's limit in seconds, for which a site image may be unused.
    """
    if listed.retired_at is not None:
        return now - listed.retired_at > GRACE
    return now - max(listed.used_at, listed.image.made_at) > age + SKEW
