# SPDX-License-Identifier: Apache-2.0
"""Volumes on RBD from an image that is not in their cluster: Glance copies it there, the volume is a clone.

As Nova does it since Victoria; for backends whose section of cinder.conf has ``rbd_glance_store_name``. All
others, and all images that cannot be cloned wherever they are, take Cinder's own way.
"""

import time
from typing import Any
from typing import Callable
from typing import Iterator
from typing import Optional
from typing import Tuple

from cinder.db import api
from cinder import exception
from cinder import objects
from oslo_config import cfg
from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.cinder import image_client
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import single_flight
from multistore_hooks.copy import slots
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks import options

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

#: The module of Cinder's RBD driver.
RBD = 'cinder.volume.drivers.rbd'
#: Seconds for which a volume waits while copies to other stores hold the image; then it is downloaded.
TURN_SECONDS = 60
#: Seconds of one request to Glance, and between two checks whether the waiting volume was deleted.
REQUEST_SECONDS, CHECK_EVERY = 30, 5
#: Threads of a service's RPC server, unless executor_thread_pool_size says otherwise.
WORKERS = 64

Result = Tuple[Any, bool]
_flights = single_flight.SingleFlight()


class VolumeDeleted(exceptions.MultistoreError):
    """The volume that waits for its image was deleted. Others may wait for the same image."""

    msg_fmt = 'Volume %(volume)s was deleted while it waited for image %(image)s.'
    requester_specific = True


#: The volumes of this process that wait: each keeps a thread of the RPC server from other work.
_waits = slots.Slots()


def is_rbd(driver: Any) -> bool:
    """Return whether a driver is Cinder's RBD driver, or derived from it."""
    return any(cls.__module__ == RBD and cls.__name__ == 'RBDDriver' for cls in type(driver).__mro__)


def has_failed_over(driver: Any) -> bool:
    """Return whether the volumes of a driver are in another cluster than the store that its section names."""
    return getattr(driver, '_active_backend_id', None) not in (None, 'default')


def access_of(driver: Any) -> cluster.Access:
    """Return how a driver reaches its cluster."""
    configuration = driver.configuration
    return cluster.Access(driver.rados, driver.rbd, configuration.rbd_ceph_conf, configuration.rbd_user,
                          cluster.call_natively, configuration.rbd_cluster_name)


def register(configuration: Any) -> None:
    """Register the options of a backend, in its section."""
    configuration.append_config_values(options.CINDER_RBD_OPTS)


def clone_image(driver: Any, clone: Callable[..., Result], context: Any, volume: Any, image_location: Any,
                image_meta: Any, image_service: Any) -> Result:
    """Make a volume a clone of an image, after Glance has copied the image if need be.

    :param clone: the driver's own method.
    :returns: the driver's own: an update for the volume, and whether it is a clone.
    :raises cinder.exception.VolumeNotFound: the volume was deleted meanwhile.
    """
    update, cloned = clone(context, volume, image_location, image_meta, image_service)
    if cloned or not is_rbd(driver):
        return update, cloned
    register(driver.configuration)
    store = driver.configuration.rbd_glance_store_name
    if not store or not _is_cloneable(driver, context, volume, image_location, image_meta):
        return update, cloned
    return _Clone(driver, clone, context, volume, image_meta, image_service).run(store)


def _is_cloneable(driver: Any, context: Any, volume: Any, image_location: Any, image_meta: Any) -> bool:
    """Return whether an image could be cloned if it were in the cluster, and Cinder has no faster way."""
    if image_meta.get('disk_format') != 'raw' or volume.encryption_key_id is not None:
        return False
    if has_failed_over(driver):
        return False
    if 'cinder' in CONF.allowed_direct_url_schemes and any(
            str(url).startswith('cinder://') for url in _urls(image_location)):
        return False  # Cinder clones the image's volume
    if not getattr(driver.configuration, 'image_volume_cache_enabled', False):
        return True
    try:
        return not _is_in_image_cache(context, volume, image_meta['id'])
    except Exception as error:  # the database's; Cinder's own way reads it again
        LOG.warning('Volume %(volume)s does not become a clone, Cinder goes on without: %(error)s', {
            'volume': volume.id, 'error': 'the image cache of Cinder cannot be read (%s)' % error})
        return False


def _is_in_image_cache(context: Any, volume: Any, image_id: str) -> bool:
    """Return whether Cinder has an entry for an image, which it then clones, or replaces if out of date.

    Cinder's own ``get_entry`` would delete an entry that is out of date, and notify.
    """
    where = {'cluster_name': volume.cluster_name} if volume.is_clustered else {'host': volume.host}
    return bool(api.image_volume_cache_get_all(context, image_id=image_id, **where))


def _urls(image_location: Any) -> Iterator[str]:
    direct_url, locations = image_location or (None, None)
    if direct_url:
        yield direct_url
    for location in locations or ():
        yield location['url']


class _Clone:
    """One volume of an image that the driver could not clone as it is."""

    clock: Any = time

    def __init__(self, driver: Any, clone: Callable[..., Result], context: Any, volume: Any, image_meta: Any,
                 image_service: Any) -> None:
        self._driver, self._clone, self._context, self._volume = driver, clone, context, volume
        self._image_meta, self._image_service = image_meta, image_service
        self._options = driver.configuration
        self._image_id = image_meta['id']

    def run(self, store: str) -> Result:
        """Clone the image from where its record does not say that it is; else have it copied."""
        result = self._clone_from_hidden_locations(store)
        if result is not None:
            return result
        try:
            self._wait_for_copy(store)
        except VolumeDeleted as error:
            LOG.info('%s', error)
            raise exception.VolumeNotFound(volume_id=self._volume.id) from error
        except Exception as error:  # also what is not expected: Cinder has another way to the volume
            LOG.warning('Volume %(volume)s does not become a clone, Cinder goes on without: %(error)s',
                        {'volume': self._volume.id, 'error': error},
                        exc_info=not isinstance(error, exceptions.CopyFailed))
            return {}, False
        result = self._clone_now()
        if result is None:
            LOG.warning("Glance has image %(image)s in the store %(store)s, but volume %(volume)s cannot be "
                        "cloned from it: it is not in this backend's Ceph cluster, or not in the pool "
                        '%(pool)s. Check rbd_glance_store_name and rbd_glance_pool of the backend.',
                        {'image': self._image_id, 'store': store, 'volume': self._volume.id,
                         'pool': self._options.rbd_glance_pool})
            return {}, False
        return result

    def _clone_now(self) -> Optional[Result]:
        """Clone the image, of which Glance has just said that it is in the store."""
        try:
            location = self._image_service.get_location(self._context, self._image_id)
        except Exception as error:  # Cinder's or, of a 500 say, glanceclient's
            LOG.debug('Glance does not show the locations of image %(image)s: %(error)s',
                      {'image': self._image_id, 'error': error})
        else:
            update, cloned = self._clone(self._context, self._volume, location, self._image_meta,
                                         self._image_service)
            if cloned:
                return update, cloned
        return self._clone_from_cluster()

    def _clone_from_hidden_locations(self, store: str) -> Optional[Result]:
        """Clone the image from a location in this cluster that its record does not show (OSSN-0065)."""
        try:
            image = self._lasting_images().image(self._image_id)
        except Exception as error:  # Glance's or Cinder's: the copy shows what it is
            LOG.debug('Glance does not show image %(image)s: %(error)s',
                      {'image': self._image_id, 'error': error})
            return None
        if image.stores and store not in image.stores:
            return None
        return self._clone_from_cluster()

    def _clone_from_cluster(self) -> Optional[Result]:
        """Clone the image, which is in the store, from wherever it can be read in this cluster."""
        for url in self._hidden_urls():
            if self._can_be_read(url):
                LOG.debug('Image %(image)s has the location %(url)s, which Glance hides.',
                          {'image': self._image_id, 'url': url})
                return self._clone(self._context, self._volume, (url, None), self._image_meta,
                                   self._image_service)
        return None

    def _can_be_read(self, url: str) -> bool:
        try:
            return bool(self._driver._is_cloneable(url, self._image_meta))
        except Exception as error:  # no such pool, say, of librados and not of librbd: Cinder expects none
            LOG.debug('%(url)s cannot be read: %(error)s', {'url': url, 'error': error})
            return False

    def _hidden_urls(self) -> Iterator[str]:
        """Yield where the image may be: the cluster itself can show it sooner than Glance."""
        try:
            yield 'rbd://%s/%s/%s/%s' % (self._driver._get_fsid(), self._options.rbd_glance_pool,
                                         self._image_id, coordinator.SNAPSHOT)
            urls = image_client.privileged_images_for(self._context).locations(self._image_id)
        except Exception as error:  # the cluster's, Glance's or Keystone's
            LOG.debug('Glance does not show the locations of image %(image)s: %(error)s',
                      {'image': self._image_id, 'error': error})
            return
        for url in urls:
            if url.startswith('rbd://'):  # Cinder logs those it cannot use, and some hold passwords
                yield url

    def _wait_for_copy(self, store: str) -> None:
        """Wait until the image is in the store.

        :raises CopyFailed: it did not get there; the reason is in its text.
        :raises VolumeDeleted: it is not needed for this volume any more.
        """
        most = getattr(CONF, 'executor_thread_pool_size', None) or WORKERS
        with _waits.take(most // 2) as admitted:
            if not admitted:
                raise exceptions.CopyFailed(
                    image_id=self._image_id, store=store,
                    why='half of the %d threads of this service wait for copies already '
                        '(executor_thread_pool_size)' % most)
            wait = limits.Limits(self._options.rbd_glance_copy_timeout or limits.A_DAY, TURN_SECONDS,
                                 self._options.rbd_glance_copy_poll_interval)
            watch = _VolumeWatch(self._context, self._volume.id, self._image_id, self.clock)
            _flights.run((self._image_id, store), lambda: self._copy(store, wait, watch),
                         wait.turn + wait.copy, watch.check)
            watch.check(at_once=True)

    def _copy(self, store: str, wait: limits.Limits, watch: '_VolumeWatch') -> bool:
        def timeout() -> float:
            return min(wait.copy, REQUEST_SECONDS)

        try:
            requester = image_client.privileged_images_for(self._context, timeout)
        except Exception as error:  # keystoneauth's, of many kinds
            raise exceptions.CopyFailed(
                image_id=self._image_id, store=store,
                why='the credentials in [multistore_hooks] cannot be used: %s' % error) from error
        site = cluster.Cluster(access_of(self._driver))
        job = request.Job(self._image_id, store, '[%s] rbd_glance_store_name' % self._options.config_group,
                          image_client.requester(self._context))
        return waiter.CopyWaiter(
            self._lasting_images(timeout), requester, job, wait,
            coordinator.CephCoordinator(site, self._options.rbd_pool, self._options.rbd_glance_pool,
                                        self._image_id, store), clock=watch).run()

    def _lasting_images(self, *timeout: Callable[[], float]) -> Any:
        """Return what reads the image: a copy may take longer than the token of the user lives."""
        return image_client.LastingImages(
            image_client.images_for(self._context, *timeout),
            lambda: image_client.privileged_images_for(self._context, *timeout))


class _VolumeWatch:
    """A clock whose sleep ends with an error when the volume for which it is waited was deleted."""

    def __init__(self, context: Any, volume_id: str, image_id: str, clock: Any) -> None:
        self._context, self._volume_id, self._image_id, self._clock = context, volume_id, image_id, clock
        self._next = 0.0

    def monotonic(self) -> float:
        return float(self._clock.monotonic())

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        self.check()

    def check(self, at_once: bool = False) -> None:
        """Find out now and then whether the volume still exists.

        :raises VolumeDeleted: it does not, or is being deleted.
        """
        now = self.monotonic()
        if now < self._next and not at_once:
            return
        self._next = now + CHECK_EVERY
        try:
            status = objects.Volume.get_by_id(self._context, self._volume_id).status
        except exception.VolumeNotFound:
            status = 'deleted'
        except Exception as error:  # the database's: it may pass
            LOG.debug('The status of volume %(volume)s is not known: %(error)s',
                      {'volume': self._volume_id, 'error': error})
            return
        if status in ('deleting', 'deleted', 'error_deleting'):
            raise VolumeDeleted(volume=self._volume_id, image=self._image_id)
