# SPDX-License-Identifier: Apache-2.0
"""Nova's RBD image backend, which has a cold image copied to its site's store and then clones it.

With ``[libvirt] images_rbd_glance_store_name`` unset it is Nova's own, in every release.
"""

import inspect
import os
from typing import Any
from typing import Optional

from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks import copying
from multistore_hooks import exceptions
from multistore_hooks.images import api
from multistore_hooks.nova import image_api
from multistore_hooks.nova import site as sites

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: A copy that was there and is gone again is waited for once more: Glance's own race can undo one.
TRIES = 2

_flights = copying.SingleFlight()
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
        for number in range(TRIES):
            try:
                return self._clone_from_here(context, image_id_or_uri, store)
            except exception.ImageUnacceptable:
                if number == TRIES - 1 or not cloneable(context, image_id_or_uri):
                    raise
            ensure_in_store(context, image_id_or_uri, store, self.driver)
        return None  # not reached

    def _clone_from_here(self, context: Any, image_id: str, store: str) -> Any:
        """Clone the image if it is in this compute's cluster, whether Glance shows its locations or not."""
        try:
            return super().clone(context, image_id, **_WITHOUT_COPY)
        except exception.ImageUnacceptable:
            location = self._hidden_location(context, image_id, store)
            if location is None:
                raise
        LOG.debug('Image %(image)s has the location %(url)s, which Glance hides.',
                  {'image': image_id, 'url': location['url']})
        return self.driver.clone(location, self.rbd_name)

    def _hidden_location(self, context: Any, image_id: str, store: str) -> Any:
        """Return a location in this cluster that image records do not show (OSSN-0065), or None."""
        image = image_api.images_for(context).image(image_id)
        if image.record.get('disk_format') != 'raw' or store not in image.stores:
            return None
        urls = list(_locations(context, image_id))
        urls.append('rbd://%s/%s/%s/%s' % (self.driver.get_fsid(), CONF.multistore_hooks.glance_rbd_pool,
                                           image_id, sites.SNAPSHOT))
        for url in urls:
            if self.driver.is_cloneable({'url': url}, image.record):
                return {'url': url}
        LOG.warning("Glance has image %(image)s in the store %(store)s, but it is not in this compute's Ceph "
                    'cluster, or not in the pool %(pool)s. Check [libvirt] images_rbd_glance_store_name and '
                    '[multistore_hooks] glance_rbd_pool.',
                    {'image': image_id, 'store': store, 'pool': CONF.multistore_hooks.glance_rbd_pool})
        return None

    def create_image(self, prepare_template: Any, base: str, size: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the instance's disk; an earlier download does not stand in a clone's way.

        Nova does not even try to clone where such a file is, and imports a whole copy of it for
        every disk.
        """
        image_id, context = kwargs.get('image_id'), kwargs.get('context')
        if (CONF.libvirt.images_rbd_glance_store_name and image_id and context
                and os.path.exists(base) and not self.exists()):
            try:
                self.clone(context, image_id)
            except (exception.ImageUnacceptable, exception.ImageNotFound) as error:
                LOG.info('Image %(image)s cannot be cloned (%(error)s): using the base file %(base)s.',
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


def rbd_driver() -> Any:
    """Return Nova's RBDDriver of this compute's cluster; it reads [libvirt] by itself in every release."""
    return imagebackend.rbd_utils.RBDDriver()


def ensure_in_store(context: Any, image_id: str, store: str, driver: Any) -> bool:
    """Wait until an image is in this site's store; tell whether it had to be copied there.

    :param driver: Nova's RBDDriver of this compute's cluster.
    :raises nova.exception.ImageUnacceptable: it did not get there; the reason is in the text.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    limits = copying.Limits(timeout=CONF.libvirt.images_rbd_glance_copy_timeout,
                            interval=CONF.libvirt.images_rbd_glance_copy_poll_interval)

    def wait() -> bool:
        return copying.Copy(
            image_api.images_for(context), image_api.images_for(image_api.privileged(context)), image_id,
            store, limits, sites.CephSite(driver, CONF.multistore_hooks.glance_rbd_pool, image_id)).run()

    try:
        return _flights.run((image_id, store), wait, limits.timeout + limits.interval)
    except exceptions.ImageGone as error:
        raise exception.ImageNotFound(image_id=image_id) from error
    except exceptions.CopyFailed as error:
        raise exception.ImageUnacceptable(image_id=image_id, reason=str(error)) from error


def cloneable(context: Any, image_id: str) -> bool:
    """Tell whether an image can be cloned wherever it is: an ISO, say, can be copied and never cloned."""
    try:
        record: Optional[Any] = image_api.images_for(context).image(image_id).record
    except api.GlanceError:
        return False
    return bool(record and record.get('disk_format') == 'raw')


def _locations(context: Any, image_id: str) -> Any:
    """Return what the location API tells, which by default is for administrators and services."""
    try:
        return image_api.images_for(image_api.privileged(context)).locations(image_id)
    except api.GlanceError as error:
        LOG.debug('Glance does not tell the locations of image %(image)s: %(error)s',
                  {'image': image_id, 'error': error})
        return ()
