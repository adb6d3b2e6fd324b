# SPDX-License-Identifier: Apache-2.0
"""The site images in a pool of a Ceph cluster: the index of their records, and their RBD images."""

import calendar
from typing import Any
from typing import Callable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import index
from multistore_hooks.ceph import site_image_record

#: The object with the records, in the pool of the site images.
INDEX = 'multistore_hooks.site_images'
#: The key of the metadata that an RBD image bears.
METADATA = 'multistore_hooks.site_image'
#: How the keys of withdrawn records, and of the times of use, begin.
_RETIRED, _USED = 'retired/', 'used/'


class Clone(NamedTuple):
    """A disk that is a clone of a site image."""

    pool: str
    disk: str
    in_trash: bool


class SiteImages:
    """The site images in one pool.

    :param modules: the access that the cluster was made with, for its modules rados and rbd.
    :param pool: where they are; the hosts may write it.
    """

    def __init__(self, site: cluster.Cluster, modules: cluster.Access, pool: str) -> None:
        self._site, self._rbd = site, modules.rbd
        self._index = index.Index(site, modules.rados, pool, INDEX)
        self.pool = pool

    # The index.

    def published(self, image_id: str) -> Tuple[site_image_record.SiteImage, ...]:
        """Return the published site images of an image.

        :raises ClusterError: it cannot be determined.
        """
        values = self._index.read(image_id + '/').values()
        return tuple(image for image in map(site_image_record.SiteImage.load, values) if image is not None)

    def list(self) -> Tuple[site_image_record.Listed, ...]:
        """Return all site images, the withdrawn ones too.

        :raises ClusterError: it cannot be determined.
        """
        records = self._index.read()
        listed = []
        for key, value in records.items():
            image = site_image_record.SiteImage.load(value)
            if image is None:
                continue
            used_at = _time(records.get(_USED + image.name))
            is_retired = key.startswith(_RETIRED)
            retired_at = _time(records.get(_RETIRED + image.name + '/at')) if is_retired else None
            listed.append(site_image_record.Listed(image, used_at, retired_at))
        return tuple(listed)

    def publish(self, image: site_image_record.SiteImage) -> None:
        """Let all hosts clone a finished site image; one that was withdrawn is back.

        :raises ClusterError: it is not known whether it is published.
        """
        self._index.change({image.key: image.dump()}, _retired_keys(image))

    def withdraw(self, image: site_image_record.SiteImage, now: float) -> None:
        """Let no further host clone a site image.

        :raises ClusterError: it is not known whether it is withdrawn.
        """
        at, record = _retired_keys(image)
        self._index.change({record: image.dump(), at: str(now).encode('utf-8')}, [image.key])

    def touch(self, name: str, now: float) -> None:
        """Record that a site image was used; this never publishes it.

        :raises ClusterError: it is not recorded.
        """
        self._index.change({_USED + name: str(now).encode('utf-8')}, [])

    def forget(self, image: site_image_record.SiteImage) -> None:
        """Remove every record of a site image that does not exist any more.

        :raises ClusterError: it is not known whether they are removed.
        """
        self._index.change({}, [image.key, _USED + image.name] + _retired_keys(image))

    # The images.

    def finish(self, image: site_image_record.SiteImage) -> None:
        """Make a site image of an RBD image that is written: check its size, mark it, take its snapshot.

        :raises ClusterError: it is not one, or it is not known.
        """
        def finish(rbd_image: Any) -> int:
            size = int(rbd_image.size())
            if size == image.size:
                rbd_image.metadata_set(METADATA, image.dump().decode('utf-8'))
                rbd_image.create_snap(site_image_record.SNAPSHOT)
                rbd_image.protect_snap(site_image_record.SNAPSHOT)
            return size

        size = self._open(image.name, finish)
        if size != image.size:
            raise cluster.ClusterError('the RBD image %s has %d bytes in place of %d'
                                       % (image.name, size, image.size))

    def is_whole(self, name: str) -> bool:
        """Return whether an RBD image and its snapshot are there.

        :raises ClusterError: it cannot be determined.
        """
        return self._site.image_exists(self.pool, name, site_image_record.SNAPSHOT)

    def children(self, name: str) -> int:
        """Return how many disks are clones of a site image, in whatever pool, in the trash too.

        :raises Missing: there is no such RBD image.
        :raises ClusterError: it cannot be determined.
        """
        return len(self.clones(name))

    def clones(self, name: str) -> Tuple[Clone, ...]:
        """Return the disks that are clones of a site image, in whatever pool, in the trash too.

        :raises Missing: there is no such RBD image.
        :raises ClusterError: it cannot be determined.
        """
        found = self._open(name, lambda rbd_image: list(rbd_image.list_children2()), read_only=True)
        return tuple(Clone(str(child['pool']), str(child['image']), bool(child['trash'])) for child in found)

    def flatten(self, clone: Clone) -> None:
        """Make a disk independent of the site image that it is a clone of; servers may go on using it.

        :raises Missing: there is no such disk any more.
        :raises ClusterError: it is not known whether it is flat.
        """
        def flatten(ioctx: Any) -> None:
            with self._rbd.Image(ioctx, clone.disk) as rbd_image:
                rbd_image.flatten()

        self._site.call(clone.pool, flatten)

    def names(self) -> Tuple[str, ...]:
        """Return the names of all RBD images that bear the name of a site image, published or not.

        :raises ClusterError: it cannot be determined.
        """
        return tuple(name for name in self._site.call(self.pool, self._rbd.RBD().list)
                     if site_image_record.image_of(name))

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
        if site_image_record.image_of(name) is None:
            raise ValueError('%s is not a site image' % name)

        def remove(ioctx: Any) -> bool:
            rbd = self._rbd
            try:
                with rbd.Image(ioctx, name) as rbd_image:
                    if list(rbd_image.list_children2()):
                        return False
                    for snapshot in list(rbd_image.list_snaps()):
                        if snapshot['name'] == site_image_record.SNAPSHOT:
                            if rbd_image.is_protected_snap(site_image_record.SNAPSHOT):
                                rbd_image.unprotect_snap(site_image_record.SNAPSHOT)
                            rbd_image.remove_snap(site_image_record.SNAPSHOT)
                rbd.RBD().remove(ioctx, name)
            except rbd.ImageNotFound:
                return True
            except (rbd.ImageBusy, rbd.ImageHasSnapshots):
                # A host that had read the record has cloned it meanwhile, or another client has it open.
                return False
            return True

        return self._site.call(self.pool, remove)

    def _open(self, name: str, function: Callable[[Any], Any], read_only: bool = False) -> Any:
        def use(ioctx: Any) -> Any:
            with self._rbd.Image(ioctx, name, read_only=read_only) as rbd_image:
                return function(rbd_image)

        return self._site.call(self.pool, use)


def _retired_keys(image: site_image_record.SiteImage) -> List[str]:
    return [_RETIRED + image.name + '/at', _RETIRED + image.name]


def _time(value: Optional[bytes]) -> float:
    try:
        return float(value.decode('utf-8')) if value else 0.0
    except ValueError:
        return 0.0
