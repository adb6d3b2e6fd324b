# SPDX-License-Identifier: Apache-2.0
"""Site images: base images that the hosts of a site have made for themselves in their own Ceph cluster.

A site image is an RBD image with a protected snapshot. Each making has a name of its own, which is never
used again, and a site image counts only once it is *published*: its record is then in an index object, under
a key of its own, written in one step. Two hosts that make the same image at once therefore never write the
same name or the same key, and a host that goes on after its lock has expired does no harm.

A site image that is not used is withdrawn first, which moves its record, and removed by a later run, when
hosts that had read the record have finished. All pure decisions are functions here; ``SiteImages`` does what
they say.
"""

import calendar
import hashlib
import json
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple
import uuid

from multistore_hooks.ceph import cluster

#: How the names of all site images begin.
PREFIX = 'multistore_hooks.site_image.'
#: The snapshot that is cloned.
SNAPSHOT = 'base'
#: The object with the records, in the pool of the site images.
INDEX = 'multistore_hooks.site_images'
#: The key of the metadata that an RBD image bears.
METADATA = 'multistore_hooks.site_image'
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
_RETIRED, _USED = 'retired/', 'used/'
#: Records of the index that are read at a time.
_PAGE = 500


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
    parts = name[len(PREFIX):].rsplit('.', 1)
    return parts[0] if name.startswith(PREFIX) and len(parts) == 2 and all(parts) else None


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


def is_old(listed: Listed, now: float, age: float) -> bool:
    """Return whether nobody has used a site image for so long that it may go.

    :param age: the operator's limit, in seconds.
    """
    return now - max(listed.used_at, listed.image.made_at) > age + SKEW


class SiteImages:
    """The site images in one pool.

    :param modules: the access that the cluster was made with, for its modules rados and rbd.
    :param pool: where they are; the hosts may write it.
    """

    def __init__(self, site: cluster.Cluster, modules: cluster.Access, pool: str) -> None:
        self._site, self._rados, self._rbd = site, modules.rados, modules.rbd
        self.pool = pool

    # The index.

    def published(self, image_id: str) -> Tuple[SiteImage, ...]:
        """Return the published site images of an image.

        :raises ClusterError: it cannot be determined.
        """
        values = self._index(image_id + '/').values()
        return tuple(image for image in map(SiteImage.load, values) if image is not None)

    def list(self) -> Tuple[Listed, ...]:
        """Return all site images, the withdrawn ones too.

        :raises ClusterError: it cannot be determined.
        """
        index = self._index('')
        listed = []
        for key, value in index.items():
            image = SiteImage.load(value)
            if image is None:
                continue
            used_at = _time(index.get(_USED + image.name))
            retired_at = _time(index.get(_RETIRED + image.name + '/at')) if key.startswith(_RETIRED) else None
            listed.append(Listed(image, used_at, retired_at))
        return tuple(listed)

    def publish(self, image: SiteImage) -> None:
        """Let all hosts clone a finished site image; one that was withdrawn is back.

        :raises ClusterError: it is not known whether it is published.
        """
        self._change({image.key: image.dump()}, _retired_keys(image))

    def withdraw(self, image: SiteImage, now: float) -> None:
        """Let no further host clone a site image.

        :raises ClusterError: it is not known whether it is withdrawn.
        """
        at, record = _retired_keys(image)
        self._change({record: image.dump(), at: str(now).encode('utf-8')}, [image.key])

    def touch(self, name: str, now: float) -> None:
        """Record that a site image was used; this never publishes it.

        :raises ClusterError: it is not recorded.
        """
        self._change({_USED + name: str(now).encode('utf-8')}, [])

    def forget(self, image: SiteImage) -> None:
        """Remove every record of a site image that does not exist any more.

        :raises ClusterError: it is not known whether they are removed.
        """
        self._change({}, [image.key, _USED + image.name] + _retired_keys(image))

    def _index(self, prefix: str) -> Dict[str, bytes]:
        def read(ioctx: Any) -> Dict[str, bytes]:
            found: Dict[str, bytes] = {}
            after = ''
            while True:
                with self._rados.ReadOpCtx() as operation:
                    values, _result = ioctx.get_omap_vals(operation, after, prefix, _PAGE)
                    ioctx.operate_read_op(operation, INDEX)
                    page = list(values)
                found.update(page)
                if len(page) < _PAGE:
                    return found
                after = page[-1][0]

        try:
            return self._site.call(self.pool, read)
        except cluster.Missing:
            return {}

    def _change(self, values: Mapping[str, bytes], removed: Iterable[str]) -> None:
        removed = tuple(removed)

        def change(ioctx: Any) -> None:
            # One operation: all of it happens or nothing.
            with self._rados.WriteOpCtx() as operation:
                if values:
                    ioctx.set_omap(operation, tuple(values), tuple(values.values()))
                if removed:
                    ioctx.remove_omap_keys(operation, removed)
                ioctx.operate_write_op(operation, INDEX)

        self._site.call(self.pool, change)

    # The images.

    def finish(self, image: SiteImage) -> None:
        """Make a site image of an RBD image that is written: check its size, mark it, take its snapshot.

        :raises ClusterError: it is not one, or it is not known.
        """
        def finish(rbd_image: Any) -> int:
            size = int(rbd_image.size())
            if size == image.size:
                rbd_image.metadata_set(METADATA, image.dump().decode('utf-8'))
                rbd_image.create_snap(SNAPSHOT)
                rbd_image.protect_snap(SNAPSHOT)
            return size

        size = self._open(image.name, finish)
        if size != image.size:
            raise cluster.ClusterError('the RBD image %s has %d bytes in place of %d'
                                       % (image.name, size, image.size))

    def is_whole(self, name: str) -> bool:
        """Return whether an RBD image and its snapshot are there.

        :raises ClusterError: it cannot be determined.
        """
        return self._site.image_exists(self.pool, name, SNAPSHOT)

    def children(self, name: str) -> int:
        """Return how many disks are clones of a site image, in whatever pool, in the trash too.

        :raises Missing: there is no such RBD image.
        :raises ClusterError: it cannot be determined.
        """
        return int(self._open(name, lambda rbd_image: len(list(rbd_image.list_children2())), read_only=True))

    def names(self) -> Tuple[str, ...]:
        """Return the names of all RBD images that bear the name of a site image, published or not.

        :raises ClusterError: it cannot be determined.
        """
        return tuple(name for name in self._site.call(self.pool, self._rbd.RBD().list) if image_of(name))

    def created_at(self, name: str) -> float:
        """Return when an RBD image was created, in seconds since the epoch, by the clock of the cluster.

        :raises Missing: there is no such RBD image.
        :raises ClusterError: it cannot be determined.
        """
        def created_at(rbd_image: Any) -> float:
            # Without a time zone, in UTC.
            return float(calendar.timegm(rbd_image.create_timestamp().timetuple()))

        return float(self._open(name, created_at, read_only=True))

    def remove(self, name: str) -> bool:
        """Remove the RBD image of a site image; return False if a disk is a clone of it, or it is in use.

        Ceph itself refuses where that has changed since it was last determined; nothing is forced.

        :raises ValueError: the name is not that of a site image.
        :raises ClusterError: it is not known whether it is removed.
        """
        if image_of(name) is None:
            raise ValueError('%s is not a site image' % name)

        def remove(ioctx: Any) -> bool:
            rbd = self._rbd
            try:
                with rbd.Image(ioctx, name) as rbd_image:
                    if list(rbd_image.list_children2()):
                        return False
                    for snapshot in list(rbd_image.list_snaps()):
                        if snapshot['name'] == SNAPSHOT:
                            if rbd_image.is_protected_snap(SNAPSHOT):
                                rbd_image.unprotect_snap(SNAPSHOT)
                            rbd_image.remove_snap(SNAPSHOT)
                rbd.RBD().remove(ioctx, name)
            except rbd.ImageNotFound:
                return True
            except (rbd.ImageBusy, rbd.ImageHasSnapshots):
                # A host that had read the record has cloned it meanwhile, or somebody has it open.
                return False
            return True

        return self._site.call(self.pool, remove)

    def _open(self, name: str, function: Callable[[Any], Any], read_only: bool = False) -> Any:
        def use(ioctx: Any) -> Any:
            with self._rbd.Image(ioctx, name, read_only=read_only) as rbd_image:
                return function(rbd_image)

        return self._site.call(self.pool, use)


class Removal(NamedTuple):
    """What one run of :func:`clean_up` did, by names."""

    withdrawn: Tuple[str, ...]
    removed: Tuple[str, ...]
    kept: Tuple[str, ...]


def clean_up(images: SiteImages, now: float, age: float) -> Removal:
    """Withdraw the site images that nobody uses, and remove those that an earlier run withdrew.

    Only one host of a site should do this at a time, to save work: it is safe with several.

    :param now: seconds since the epoch.
    :param age: seconds for which a site image may be unused.
    :raises ClusterError: it could not go on; the next run does.
    """
    withdrawn, removed, kept = [], [], []
    known = set()
    for listed in images.list():
        image, name = listed.image, listed.image.name
        known.add(name)
        due = is_old(listed, now, age) if listed.retired_at is None else now - listed.retired_at > GRACE
        if not due:
            kept.append(name)
            continue
        try:
            children = images.children(name)
        except cluster.Missing:  # removed, by hand or by a run that was interrupted
            images.forget(image)
            continue
        if listed.retired_at is None and not children:
            images.withdraw(image, now)
            withdrawn.append(name)
        elif listed.retired_at is not None and images.remove(name):
            images.forget(image)
            removed.append(name)
        else:
            if listed.retired_at is not None and images.is_whole(name):
                images.publish(image)  # a host that had read the record before has cloned it
            kept.append(name)
    removed += [name for name in images.names() if name not in known and _is_leftover(images, name, now)
                and images.remove(name)]
    return Removal(tuple(withdrawn), tuple(removed), tuple(kept))


def _is_leftover(images: SiteImages, name: str, now: float) -> bool:
    try:
        return now - images.created_at(name) > LEFTOVER_AGE
    except cluster.Missing:
        return False


def remove_leftovers(images: SiteImages, image_id: str) -> Tuple[str, ...]:
    """Remove what hosts that died have left of an image; for the holder of the image's lock.

    :raises ClusterError: it could not go on.
    """
    known = {listed.image.name for listed in images.list()}
    return tuple(name for name in images.names()
                 if image_of(name) == image_id and name not in known and images.remove(name))


def _retired_keys(image: SiteImage) -> List[str]:
    return [_RETIRED + image.name + '/at', _RETIRED + image.name]


def _time(value: Optional[bytes]) -> float:
    try:
        return float(value.decode('utf-8')) if value else 0.0
    except ValueError:
        return 0.0
