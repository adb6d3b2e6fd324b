# SPDX-License-Identifier: Apache-2.0
"""What a disk can be cloned from: what Glance says of the image, and where its cluster holds it.

A Glance that restarts is waited for.
"""

from typing import Any
from typing import Callable
from typing import Iterator
from typing import Optional
from typing import Set
from typing import TypeVar

from keystoneauth1 import exceptions
from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.glance_api import api
from multistore_hooks.nova import image_api
from multistore_hooks.nova import site_copy

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: How long a Glance that cannot be reached is waited for, in seconds, and between two attempts at most:
#: it may be restarted just when a boot begins.
RESTART_SECONDS, LONGEST_WAIT = 60, 5

T = TypeVar('T')

rbd_utils = imagebackend.rbd_utils
#: Pools that could not be used, and about which a warning was logged.
_warned: Set[str] = set()
#: Stores named by images_rbd_glance_store_name that are not the pool of this cluster, as images in them show.
_misnamed: Set[str] = set()


def until_reached(image_id: str, request: Callable[[], T], clock: Any) -> T:
    """Send Glance a request about an image, and again while it cannot be reached.

    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    :raises nova.exception.GlanceConnectionFailed: Glance was still unreachable after RESTART_SECONDS.
    :raises GlanceError: any other error, or a 502, 503 or 504 that persisted that long.
    :raises keystoneauth1.exceptions.ClientException: Keystone's; likewise.
    """
    for waited in backoff.polls(RESTART_SECONDS, LONGEST_WAIT, clock=clock):
        try:
            return request()
        except (exception.GlanceConnectionFailed, api.GlanceError, exceptions.ClientException) as error:
            if waited >= RESTART_SECONDS or not api.is_away(error):
                raise
            LOG.info('Glance cannot be reached about image %(image)s, retrying: %(error)s',
                     {'image': image_id, 'error': error})
    raise AssertionError('the last poll ends the loop')


def raw_image(context: Any, image_id: str, patience: Any = None) -> Optional[api.Image]:
    """Return an image, or None if it cannot be cloned wherever it is: an ISO could be copied in vain.

    :param patience: the clock with which a Glance that cannot be reached is waited for; None: it is not.
    :raises Exception: as of :func:`until_reached`, of a Glance or Keystone that was still unreachable; only
        with a clock.
    """
    images = image_api.images_for(context, lambda: site_copy.REQUEST_SECONDS)

    def request() -> api.Image:
        return images.image(image_id)

    try:
        image = until_reached(image_id, request, patience) if patience else request()
    except (api.GlanceError, exceptions.ClientException) as error:
        if patience and api.is_away(error):
            raise
        LOG.debug('Glance does not show the image %(image)s: %(error)s', {'image': image_id, 'error': error})
        return None
    return image if image.record.get('disk_format') == 'raw' else None


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
    for url in _locations(context, image_id):
        # Nova logs each URL that it is given, and those of other stores may hold passwords.
        if url.startswith('rbd://'):
            yield url


def _locations(context: Any, image_id: str) -> Any:
    """Return what the location API shows, which by default is for administrators and services."""
    try:
        return image_api.images_for(image_api.privileged(context),
                                    lambda: site_copy.REQUEST_SECONDS).locations(image_id)
    except Exception as error:  # Glance's or Keystone's: there is another way
        LOG.debug('Glance does not show the locations of image %(image)s: %(error)s',
                  {'image': image_id, 'error': error})
        return ()


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
