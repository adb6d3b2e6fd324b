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

from nova.compute import vm_states
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
from multistore_hooks.nova import site_images
from multistore_hooks.nova import snapshot_pool

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

    #: Of the server, when its root disk is made.
    _trusted_certs: Any = None
    _uses_site_images = False

    def __init__(self, instance: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(instance, *args, **kwargs)
        # The disk of a server that is unshelved is made flat next, and nobody else boots from its image.
        unshelving = instance is not None and instance.vm_state == vm_states.SHELVED_OFFLOADED
        self._uses_site_images = site_images.is_on() and not unshelving

    def clone(self, context: Any, image_id_or_uri: str, *args: Any, **kwargs: Any) -> Any:
        """Clone an image into the instance's disk, after it was copied to this site if need be.

        :raises nova.exception.ImageUnacceptable: it cannot be cloned here; Nova then downloads it,
            or refuses to ([workarounds] never_download_image_if_on_rbd).
        :raises nova.exception.ImageNotFound: it does not exist.
        """
        store = CONF.libvirt.images_rbd_glance_store_name
        if '/' in str(image_id_or_uri) or not (store or self._uses_site_images):
            return super().clone(context, image_id_or_uri, *args, **kwargs)
        if self._uses_site_images:
            return self._clone_or_site_image(context, image_id_or_uri, store)
        return self._clone_from_store(context, image_id_or_uri, store)

    def _clone_from_store(self, context: Any, image_id: str, store: str,
                          turn_seconds: Optional[int] = None) -> Any:
        """Clone an image, after Glance has copied it to the store if need be."""
        for number in range(CLONE_TRIES):
            try:
                return self._clone_what_is_here(context, image_id, store)
            except exception.ImageUnacceptable:
                if number == CLONE_TRIES - 1 or _raw_image(context, image_id, patient=True) is None:
                    raise
            ensure_in_store(context, image_id, store, self.driver, turn_seconds)
        return None  # not reached

    def _clone_what_is_here(self, context: Any, image_id: str, store: str) -> Any:
        """Clone the image's own copy in this cluster.

        :raises nova.exception.ImageUnacceptable: there is none.
        """
        try:
            return _reached(image_id, lambda: self._clone_as_it_is(context, image_id))
        except exception.ImageUnacceptable:
            image = _raw_image(context, image_id, patient=True) if store else None
            location = self._hidden_location(context, image, store) if image else None
            if location is None:
                raise
            return self.driver.clone(location, self.rbd_name)

    def _clone_or_site_image(self, context: Any, image_id: str, store: str) -> Any:
        """Clone the image's own copy, or a site image that is there; else have one of the two made."""
        try:
            return self._clone_what_is_here(context, image_id, store)
        except exception.ImageUnacceptable as error:
            LOG.debug('%s', error)
        wanted = site_images.wanted_for(context, image_id, self._trusted_certs)
        with site_images.Site(self.driver) as site:
            found = site.find(wanted)
            if found is not None and site.clone(wanted, found, self.rbd_name):
                return None
            if (store and site_images.asks_for_copies()
                    and wanted.record.record.get('disk_format') == 'raw'):
                try:
                    return self._clone_from_store(context, image_id, store,
                                                  CONF.multistore_hooks.site_image_after)
                except exception.ImageUnacceptable as error:
                    LOG.debug('%s', error)
            for _ in range(CLONE_TRIES):
                if site.clone(wanted, site.ensure(context, wanted), self.rbd_name):
                    return None
        raise exception.ImageUnacceptable(image_id=image_id,
                                          reason='its site image was removed again and again')

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
        self._trusted_certs = kwargs.get('trusted_certs')
        if ((CONF.libvirt.images_rbd_glance_store_name or self._uses_site_images) and image_id and context
                and os.path.exists(base) and not self.exists()):
            try:
                if self._uses_site_images or cloneable(context, image_id):
                    self.clone(context, image_id)
            except Exception as error:  # Nova's, Glance's, Ceph's or, of Keystone, keystoneauth's
                # Nova would not even have asked Glance: its failure must not fail this boot.
                LOG.warning('Image %(image)s cannot be cloned (%(error)s): using the base file %(base)s.',
                            {'image': image_id, 'error': error, 'base': base})
        return super().create_image(prepare_template, base, size, *args, **kwargs)

    def direct_snapshot(self, context: Any, snapshot_name: str, image_format: str, image_id: str,
                        base_image_id: str) -> Any:
        """Snapshot inside the cluster, unless the operator named another store for snapshots.

        :raises NotImplementedError: Nova then uploads the snapshot.
        :raises nova.exception.ImageUnacceptable: the same, after Nova has logged why.
        """
        named = CONF.multistore_hooks.snapshot_store
        if named and named != CONF.libvirt.images_rbd_glance_store_name:
            raise NotImplementedError()
        try:
            return super().direct_snapshot(context, snapshot_name, image_format, image_id, base_image_id)
        except rbd_utils.rados.ObjectNotFound as error:  # no such pool: nothing was written there
            raise exception.ImageUnacceptable(
                image_id=image_id, reason='[multistore_hooks] glance_rbd_pool %s cannot be used: %s'
                                          % (CONF.multistore_hooks.glance_rbd_pool, error)) from error

    def _get_parent_pool(self, context: Any, base_image_id: str, fsid: str) -> Any:
        """Return the pool for a direct snapshot.

        :raises nova.exception.ImageUnacceptable: there is none; Nova then uploads the snapshot.
        """
        choice = self._snapshot_pool()
        if choice.kind is snapshot_pool.Kind.POOL:
            return choice.pool
        if choice.kind is snapshot_pool.Kind.UPLOAD:
            raise exception.ImageUnacceptable(image_id=base_image_id, reason=choice.reason)
        pool = super()._get_parent_pool(context, base_image_id, fsid)
        if CONF.multistore_hooks.snapshot_store and pool != CONF.multistore_hooks.glance_rbd_pool:
            raise exception.ImageUnacceptable(
                image_id=base_image_id,
                reason='its snapshot would be in the pool %s, and [multistore_hooks] snapshot_store is in %s '
                       '(glance_rbd_pool)' % (pool, CONF.multistore_hooks.glance_rbd_pool))
        return pool

    def _snapshot_pool(self) -> snapshot_pool.Choice:
        try:
            _pool, parent, _snapshot = self.driver.parent_info(self.rbd_name)
        except exception.ImageUnacceptable:
            parent = None
        return snapshot_pool.choose(parent, CONF.libvirt.images_rbd_glance_store_name or '',
                                    CONF.multistore_hooks.glance_rbd_pool)


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


def ensure_in_store(context: Any, image_id: str, store: str, driver: Any,
                    turn_seconds: Optional[int] = None) -> bool:
    """Wait until an image is in this site's store; tell whether it had to be copied there.

    :param driver: Nova's RBDDriver of this compute's cluster.
    :param turn_seconds: how long copies to other stores are waited for; None: as long as the copy.
    :raises nova.exception.ImageUnacceptable: it did not get there; the reason is in the text.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    # To Nova itself 0 means: without a limit.
    copy_seconds = max(CONF.libvirt.images_rbd_glance_copy_timeout, 0) or limits.A_DAY
    wait_limits = limits.Limits(copy_seconds, copy_seconds if turn_seconds is None else turn_seconds,
                                CONF.libvirt.images_rbd_glance_copy_poll_interval)

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


def cache(context: Any, image_id: str, store: Optional[str]) -> bool:
    """Have an image copied to the store of this site, or a site image made; return whether that was needed.

    :raises nova.exception.ImageUnacceptable: neither is possible.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    driver = rbd_driver()
    wanted = site_images.wanted_for(context, image_id, None)
    if store in wanted.record.stores:
        return False
    if store and site_images.asks_for_copies() and wanted.record.record.get('disk_format') == 'raw':
        try:
            return ensure_in_store(context, image_id, store, driver, CONF.multistore_hooks.site_image_after)
        except exception.ImageUnacceptable as error:
            LOG.debug('%s', error)
    with site_images.Site(driver) as site:
        found = site.find(wanted)
        site.touch(found or site.ensure(context, wanted))
        return found is None


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
