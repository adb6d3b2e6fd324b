# SPDX-License-Identifier: Apache-2.0
"""Site images that nobody uses are withdrawn, and removed by a later run; what died hosts left is removed.

Between the two, hosts that had read the record finish: they may have cloned the image meanwhile.
"""

from typing import NamedTuple
from typing import Tuple

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images

#: Seconds between two runs of the hosts of a site: each host's periodic task comes to one.
EVERY = 600


class Removal(NamedTuple):
    """What one run of :func:`clean_up` did, by names."""

    withdrawn: Tuple[str, ...]
    removed: Tuple[str, ...]
    kept: Tuple[str, ...]


def clean_up(images: site_images.SiteImages, now: float, age: float) -> Removal:
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
        if not site_image_record.is_due(listed, now, age):
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


def _is_leftover(images: site_images.SiteImages, name: str, now: float) -> bool:
    try:
        return now - images.created_at(name) > site_image_record.LEFTOVER_AGE
    except cluster.Missing:
        return False


def remove_leftovers(images: site_images.SiteImages, image_id: str) -> Tuple[str, ...]:
    """Remove what hosts that died have left of an image; for the holder of the image's lock.

    :raises ClusterError: it could not go on.
    """
    known = {listed.image.name for listed in images.list()}
    left = [name for name in images.names()
            if site_image_record.image_of(name) == image_id and name not in known]
    return tuple(name for name in left if images.remove(name))
