# SPDX-License-Identifier: Apache-2.0
"""Nova's RBD image backend, which has a cold image copied to its site's store and then clones it.

With ``[libvirt] images_rbd_glance_store_name`` unset it is Nova's own, in every release.
"""

import inspect
import os
import time
from typing import Any
from typing import Callable
from typing import Iterator
from typing import Optional
from typing import TypeVar

from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import single_flight
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.nova import image_api

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: One as it is, one after the copy, and one more: Glance's own race can undo a copy.
CLONE_TRIES = 3
#: How long one attempt of a request may take. To take an import on, Glance first connects to the store.
REQUEST_SECONDS = 30
#: How long a Glance that cannot be reached is waited for, in seconds, and between two attempts at most:
#: it may be restarted just when a boot begins.
RESTART_SECONDS, LONGEST_WAIT = 60, 5

T = TypeVar('T')

rbd_utils = imagebackend.rbd_utils
_flights = single_flight.SingleFlight()
# Train and Ussuri do not copy at all; what Victoria and later do is ours to do.
_WITHOUT_COPY = ({'copy_to_store': False}
                 if 'copy_to_store' in inspect.signature(imagebackend.Rbd.clone).parameters else {})


class Rbd(imagebackend.Rbd):
    """The image backend of an instance's disk."""

    def clone(self, context: Any, image_id_or_uri: str, *args: Any, **kwargs: Any) -> Any:
        """Clone an image into the instance's disk, after it was copied to this site if need be.

        :raises nova.exception.ImageUnacceptable: it cannot be cloned here; Nova then downloads it,
            or refuses to ([workarounds] never_download_image_if_on_rbd).
        :raises nova.exception.ImageNotFound: it does not exist.
        """
        store = CONF.libvirt.images_rbd_glance_store_name
        if not store or '/' in str(image_id_or_uri):
            return super().clone(context, image_id_or_uri, *args, **kwargs)
        for number in range(CLONE_TRIES):
            try:
                return _reached(image_id_or_uri, lambda: self._clone_as_it_is(context, image_id_or_uri))
            except exception.ImageUnacceptable:
                image = _raw_image(context, image_id_or_uri, patient=True)
                if image is None:
                    raise
                location = self._hidden_location(context, image, store)
                if location is not None:
                    return self.driver.clone(location, self.rbd_name)
                if number == CLONE_TRIES - 1:
                    raise
            ensure_in_store(context, image_id_or_uri, store, self.driver)
        return None  # not reached

    def _clone_as_it_is(self, context: Any, image_id: str) -> Any:
        return super().clone(context, image_id, **_WITHOUT_COPY)

    def _hidden_location(self, context: Any, image: api.Image, store: str) -> Any:
        """Return a location in this cluster that image records do not show (OSSN-0065), or None."""
        if store not in image.stores:
            return None
        for url in self._hidden_urls(context, image.id):
            if self._is_cloneable(url, image):
                LOG.debug('Image %(image)s has the location %(url)s, which Glance hides.',
                          {'image': image.id, 'url': url})
                return {'url': url}
        LOG.warning("Glance has image %(image)s in the store %(store)s, but it is not in this compute's Ceph "
                    'cluster, or not in the pool %(pool)s. Check [libvirt] images_rbd_glance_store_name and '
                    '[multistore_hooks] glance_rbd_pool.',
                    {'image': image.id, 'store': store, 'pool': CONF.multistore_hooks.glance_rbd_pool})
        return None

    def _hidden_urls(self, context: Any, image_id: str) -> Iterator[str]:
        """Yield where the image may be: the cluster itself can tell sooner than Glance."""
        yield 'rbd://%s/%s/%s/%s' % (self.driver.get_fsid(), CONF.multistore_hooks.glance_rbd_pool,
                                     image_id, coordinator.SNAPSHOT)
        for url in _locations(context, image_id):
            if url.startswith('rbd://'):  # of others Nova logs all, and some hold passwords
                yield url

    def _is_cloneable(self, url: str, image: api.Image) -> bool:
        try:
            return bool(self.driver.is_cloneable({'url': url}, image.record))
        except rbd_utils.rados.Error as error:  # no such pool, say, or none for this Ceph user
            LOG.debug('%(url)s cannot be looked at: %(error)s', {'url': url, 'error': error})
            return False

    def create_image(self, prepare_template: Any, base: str, size: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the instance's disk; an earlier download does not stand in a clone's way.

        Nova does not even try to clone where such a file is, and imports a whole copy of it for
        every disk.
        """
        image_id, context = kwargs.get('image_id'), kwargs.get('context')
        if (CONF.libvirt.images_rbd_glance_store_name and image_id and context
                and os.path.exists(base) and not self.exists()):
            try:
                if cloneable(context, image_id):
                    self.clone(context, image_id)
            except (exception.NovaException, api.GlanceError) as error:
                # Nova would not even have asked Glance: what ails it must not fail this boot.
                LOG.warning('Image %(image)s cannot be cloned (%(error)s): using the base file %(base)s.',
                            {'image': image_id, 'error': error, 'base': base})
        return super().create_image(prepare_template, base, size, *args, **kwargs)

    def direct_snapshot(self, context: Any, snapshot_name: str, image_format: str, image_id: str,
                        base_image_id: str) -> Any:
        """Snapshot inside the cluster, unless the operator named another store for snapshots.

        :raises NotImplementedError: Nova then uploads the snapshot.
        """
        named = CONF.multistore_hooks.snapshot_store
        if named and named != CONF.libvirt.images_rbd_glance_store_name:
            raise NotImplementedError()
        return super().direct_snapshot(context, snapshot_name, image_format, image_id, base_image_id)

    def _get_parent_pool(self, context: Any, base_image_id: str, fsid: str) -> Any:
        """Return the pool for a direct snapshot, as Nova infers it: it may be another store's.

        :raises nova.exception.ImageUnacceptable: that is not the store which the operator named.
        """
        pool = super()._get_parent_pool(context, base_image_id, fsid)
        if CONF.multistore_hooks.snapshot_store and pool != CONF.multistore_hooks.glance_rbd_pool:
            raise exception.ImageUnacceptable(
                image_id=base_image_id,
                reason='its snapshot would be in the pool %s, and [multistore_hooks] snapshot_store is in %s '
                       '(glance_rbd_pool)' % (pool, CONF.multistore_hooks.glance_rbd_pool))
        return pool


def rbd_driver() -> Any:
    """Return Nova's RBDDriver of this compute's cluster; it reads [libvirt] by itself in every release."""
    return rbd_utils.RBDDriver()


def _reached(image_id: str, question: Callable[[], T]) -> T:
    """Ask Glance something about an image, and again while it cannot be reached.

    :raises nova.exception.GlanceConnectionFailed: it has stayed away.
    :raises GlanceError: it answers something else, or a proxy in its place has not stopped to.
    """
    started, waited = time.monotonic(), 0.0
    while True:
        try:
            return question()
        except (exception.GlanceConnectionFailed, api.GlanceError) as error:
            if waited >= RESTART_SECONDS or getattr(error, 'status', 503) not in (502, 503, 504):
                raise
            LOG.info('Glance cannot be reached about image %(image)s, trying again: %(error)s',
                     {'image': image_id, 'error': error})
        time.sleep(backoff.poll_interval(waited, LONGEST_WAIT))
        waited = time.monotonic() - started


def ensure_in_store(context: Any, image_id: str, store: str, driver: Any) -> bool:
    """Wait until an image is in this site's store; tell whether it had to be copied there.

    :param driver: Nova's RBDDriver of this compute's cluster.
    :raises nova.exception.ImageUnacceptable: it did not get there; the reason is in the text.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    # To Nova itself 0 means: without a limit.
    copy_seconds = max(CONF.libvirt.images_rbd_glance_copy_timeout, 0) or limits.A_DAY
    wait_limits = limits.Limits(copy_seconds, copy_seconds, CONF.libvirt.images_rbd_glance_copy_poll_interval)

    def patience() -> float:
        return min(copy_seconds, REQUEST_SECONDS)

    def wait() -> bool:
        try:
            privileged = image_api.privileged(context)
        except Exception as error:  # keystoneauth's, of many kinds
            raise exceptions.CopyFailed(
                image_id=image_id, store=store,
                why='the credentials in [multistore_hooks] cannot be used: %s' % error) from error
        return waiter.CopyWaiter(
            image_api.images_for(context, patience), image_api.images_for(privileged, patience),
            request.Job(image_id, store, '[libvirt] images_rbd_glance_store_name', _requester(context)),
            wait_limits,
            coordinator.CephCoordinator(_site(driver), driver.pool, CONF.multistore_hooks.glance_rbd_pool,
                                        image_id, store)).run()

    try:
        return _flights.run((image_id, store), wait, wait_limits.turn + wait_limits.copy)
    except exceptions.ImageGone as error:
        raise exception.ImageNotFound(image_id=image_id) from error
    except exceptions.CopyFailed as error:
        # Nova itself says nothing when it downloads in place of a clone.
        LOG.warning('%s', error)
        raise exception.ImageUnacceptable(image_id=image_id, reason=str(error)) from error


def _site(driver: Any) -> cluster.Cluster:
    """Return a connection to this compute's own cluster, which connects when it is needed."""
    return cluster.Cluster(cluster.Access(rbd_utils.rados, rbd_utils.rbd, driver.ceph_conf, driver.rbd_user,
                                          cluster.call_natively))


def _requester(context: Any) -> str:
    """Return a name for the rights with which copies are requested."""
    if CONF.multistore_hooks.auth_section or CONF.multistore_hooks.auth_type:
        return '[multistore_hooks]'
    return '%s %s' % (context.project_id, ','.join(sorted(context.roles or ())))


def cloneable(context: Any, image_id: str) -> bool:
    """Tell whether an image can be cloned, wherever it is."""
    return _raw_image(context, image_id, patient=False) is not None


def _raw_image(context: Any, image_id: str, patient: bool) -> Optional[api.Image]:
    """Return an image, or None if it cannot be cloned wherever it is: an ISO could be copied in vain.

    :param patient: wait for a Glance that cannot be reached.
    """
    images = image_api.images_for(context, lambda: REQUEST_SECONDS)

    def look() -> api.Image:
        return images.image(image_id)

    try:
        image = _reached(image_id, look) if patient else look()
    except api.GlanceError as error:
        LOG.debug('Glance does not show the image %(image)s: %(error)s', {'image': image_id, 'error': error})
        return None
    return image if image.record.get('disk_format') == 'raw' else None


def _locations(context: Any, image_id: str) -> Any:
    """Return what the location API tells, which by default is for administrators and services."""
    try:
        return image_api.images_for(image_api.privileged(context),
                                    lambda: REQUEST_SECONDS).locations(image_id)
    except Exception as error:  # Glance's or Keystone's: there is another way
        LOG.debug('Glance does not tell the locations of image %(image)s: %(error)s',
                  {'image': image_id, 'error': error})
        return ()
