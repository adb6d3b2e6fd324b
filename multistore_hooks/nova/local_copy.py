# SPDX-License-Identifier: Apache-2.0
"""An image's own copy in this compute's Ceph cluster: where it is, or why it cannot be cloned."""

from typing import Any
from typing import Iterator
from typing import Set

from nova import conf
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.glance_api import api
from multistore_hooks.nova import image_records
from multistore_hooks.nova import site_copy

CONF = conf.CONF
LOG = logging.getLogger(__name__)

rbd_utils = imagebackend.rbd_utils
#: Pools that could not be used, and about which a warning was logged.
_warned: Set[str] = set()
#: Stores named by images_rbd_glance_store_name that are not the pool of this cluster, as images in them show.
_misnamed: Set[str] = set()


def is_misnamed(store: str) -> bool:
    """Return whether a store was seen not to be in this compute's cluster: a copy there is of no use."""
    return store in _misnamed


def location_in(driver: Any, image: api.Image, store: str) -> Any:
    """Return the location of an image in the local store, or None if no copy can be cloned there.

    :param driver: Nova's RBDDriver of this compute's cluster.
    """
    pool = CONF.multistore_hooks.glance_rbd_pool
    # A record of an older Glance may not say which store a location is in.
    for url in (image.url_in(store), _url(driver, pool, image.id)):
        if url.startswith('rbd://') and _is_cloneable(driver, url, image):
            return {'url': url}
    return None


def hidden_location(context: Any, driver: Any, image: api.Image) -> Any:
    """Return a location in this cluster that image records do not show (OSSN-0065), or None.

    :param driver: Nova's RBDDriver of this compute's cluster.
    """
    for url in _hidden_urls(context, driver, image.id):
        if _is_cloneable(driver, url, image):
            LOG.debug('Image %(image)s has the location %(url)s, which Glance hides.',
                      {'image': image.id, 'url': url})
            return {'url': url}
    return None


def _hidden_urls(context: Any, driver: Any, image_id: str) -> Iterator[str]:
    """Yield where the image may be: the cluster itself can show it sooner than Glance."""
    yield _url(driver, CONF.multistore_hooks.glance_rbd_pool, image_id)
    for url in image_records.locations(context, image_id):
        # Nova logs each URL that it is given, and those of other stores may hold passwords.
        if url.startswith('rbd://'):
            yield url


def _url(driver: Any, pool: str, image_id: str) -> str:
    return 'rbd://%s/%s/%s/%s' % (driver.get_fsid(), pool, image_id, coordinator.SNAPSHOT)


def _is_cloneable(driver: Any, url: str, image: api.Image) -> bool:
    try:
        return bool(driver.is_cloneable({'url': url}, image.record))
    except rbd_utils.rados.Error as error:  # no such pool, say, or none for this Ceph user
        LOG.debug('%(url)s cannot be read: %(error)s', {'url': url, 'error': error})
        return False


def report_missing(driver: Any, image: api.Image, store: str) -> None:
    """Log why an image cannot be cloned that Glance lists in the local store.

    :param driver: Nova's RBDDriver of this compute's cluster.
    """
    pool = CONF.multistore_hooks.glance_rbd_pool
    site = site_copy.site(driver)
    try:
        present = site.image_exists(pool, image.id, coordinator.SNAPSHOT)
    except cluster.ClusterError as error:
        if pool not in _warned:
            _warned.add(pool)
            LOG.warning("The pool %(pool)s ([multistore_hooks] glance_rbd_pool) cannot be read in this "
                        "compute's Ceph cluster: %(error)s", {'pool': pool, 'error': error})
        return
    finally:
        site.close()
    known = image.url_in(store)
    if known and not known.startswith('rbd://%s/%s/' % (driver.get_fsid(), pool)):
        _misnamed.add(store)
        LOG.warning("Glance has image %(image)s in the store %(store)s, but that store is not the pool "
                    "%(pool)s of this compute's Ceph cluster. Check [libvirt] "
                    'images_rbd_glance_store_name and [multistore_hooks] glance_rbd_pool.',
                    {'image': image.id, 'store': store, 'pool': pool})
    elif not present:
        LOG.warning(
            'Glance lists image %(image)s in the store %(store)s, but the pool %(pool)s of this '
            "compute's Ceph cluster does not hold it. If [libvirt] images_rbd_glance_store_name and "
            '[multistore_hooks] glance_rbd_pool are right, this copy is lost: remove it from Glance '
            '(glance stores-delete --store %(store)s %(image)s), and the next boot has it copied '
            'again.', {'image': image.id, 'store': store, 'pool': pool})
