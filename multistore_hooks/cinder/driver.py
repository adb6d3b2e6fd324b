# SPDX-License-Identifier: Apache-2.0
"""Any Cinder volume driver, whose uploads follow the volume type and the base image.

``load`` puts ``PlacesUploads`` before the class of whatever driver cinder.conf names, for
multistore_hooks.cinder.manager. It can also be mixed into one backend's driver by hand, for operators
who want to change that backend and nothing else::

    class RBDDriver(driver.PlacesUploads, rbd.RBDDriver):
        pass

That does not reach the clone path (``image_upload_use_cinder_backend``), which no driver sees.
"""

import types
from typing import Any

from cinder import exception
from cinder.volume import manager
from oslo_log import log as logging
from oslo_utils import importutils

from multistore_hooks.cinder import direct_upload
from multistore_hooks.cinder import image_clones
from multistore_hooks.cinder import upload_service

LOG = logging.getLogger(__name__)


class PlacesUploads:
    """Mixin, before a driver's own class.

    Its uploads get an image service that places them. Of the RBD driver, an image that is not in the
    backend's cluster is copied there before it is cloned, and a volume whose image belongs into a store of
    the same cluster is copied there by the cluster.
    """

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any,
                             image_meta: Any) -> Any:
        """Upload a volume: inside its Ceph cluster if that is possible (see ``direct_upload.upload``).

        Else by the driver's own method, which hands the data to our image service.

        :raises StoreNotUsable: the named store cannot be used; nothing was done with the volume.
        """
        service = upload_service.with_placement(context, volume, image_service, image_meta['id'])
        if (isinstance(service, upload_service.PlacingImageService)
                and direct_upload.upload(self, context, volume, service, image_meta)):
            return None
        return super().copy_volume_to_image(  # type: ignore[misc]
            context, upload_service.with_volume_type(volume), service, image_meta)

    def clone_image(self, context: Any, volume: Any, image_location: Any, image_meta: Any,
                    image_service: Any) -> Any:
        """Make a volume a clone of an image by the driver's own method; see ``image_clones.clone_image``."""
        return image_clones.clone_image(self, super().clone_image,  # type: ignore[misc]
                                        context, volume, image_location, image_meta, image_service)

    def check_for_setup_error(self) -> None:
        """Check the backend when its service starts, and remove what a killed process has left."""
        super().check_for_setup_error()  # type: ignore[misc]
        direct_upload.begin_removal_of_leftovers(self)


def load(configuration: Any, **kwargs: Any) -> Any:
    """Return the driver that the backend's section names, with PlacesUploads before its class.

    :param configuration: the backend's configuration, as Cinder's manager hands it to a driver.
    :raises cinder.exception.VolumeDriverException: the service is in a cluster, and the driver cannot be.
    """
    path = configuration.volume_driver
    if path in manager.MAPPING:
        LOG.warning('volume_driver = %(old)s is deprecated: name %(new)s in cinder.conf.',
                    {'old': path, 'new': manager.MAPPING[path]})
        path = manager.MAPPING[path]
    # As Cinder makes it: the path may be that of a class, of a function that makes a driver, or of a class
    # that makes one of another class (NetApp).
    driver = importutils.import_object(path, configuration=configuration, **kwargs)
    if kwargs.get('cluster_name') and not driver.SUPPORTS_ACTIVE_ACTIVE:
        # Cinder would say the same, of driver.load.
        raise exception.VolumeDriverException(
            message='The driver %s does not support clusters (active-active).' % path)
    if not image_clones.is_rbd(driver):
        image_clones.register(configuration)
        if configuration.rbd_glance_store_name:
            LOG.warning('rbd_glance_store_name is set for the driver %s, which is not the RBD driver: it has '
                        'no effect.', path)
    return with_hook(driver)


def with_hook(driver: Any) -> Any:
    """Return a driver that was just made, with PlacesUploads before its class.

    No class of Cinder is changed: the driver gets a class of its own, with the name and the module of the
    former one, because Cinder logs them. A driver that has the mixin already stays as it is.
    """
    cls = type(driver)
    if not isinstance(driver, PlacesUploads):
        try:
            driver.__class__ = types.new_class(
                cls.__name__, (PlacesUploads, cls), {}, lambda namespace: namespace.update(
                    __module__=cls.__module__, __qualname__=cls.__qualname__, __doc__=cls.__doc__))
        except TypeError as error:
            LOG.error('The driver %(module)s.%(driver)s cannot carry the hook (%(error)s): '
                      "uploads of this backend follow neither [multistore_hooks] upload_store nor the "
                      "volume's base image.",
                      {'module': cls.__module__, 'driver': cls.__qualname__, 'error': error})
            return driver
    LOG.info('Uploads of the driver %(module)s.%(driver)s follow the volume type and the base image.',
             {'module': cls.__module__, 'driver': cls.__qualname__})
    return driver
