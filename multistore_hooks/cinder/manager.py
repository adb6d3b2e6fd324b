# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume manager, whose uploads follow the volume type and the base image.

``[DEFAULT] volume_manager = multistore_hooks.cinder.manager.VolumeManager`` in cinder.conf, no
patch. Train and later; every backend and every driver, and both ways of uploading.
"""

from typing import Any
from typing import Optional

from cinder.volume import manager
from oslo_utils import excutils

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_service


class VolumeManager(manager.VolumeManager):
    """Cinder's own manager; drivers and the clone path get an image service that places uploads."""

    def __init__(self, volume_driver: Optional[str] = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(volume_driver or 'multistore_hooks.cinder.driver.load', *args, **kwargs)

    def copy_volume_to_image(self, context: Any, volume_id: str, image_meta: Any) -> Any:
        """Upload a volume as Cinder does; when that fails, no record without data stays behind.

        Cinder's own clean-up leaves it when the driver is not initialised, when the image is
        protected, and when Glance fails once more.
        """
        try:
            return super().copy_volume_to_image(context, volume_id, image_meta)
        except Exception:
            with excutils.save_and_reraise_exception():
                image_client.images_for(context).discard(image_meta['id'])

    def _clone_image_volume_and_add_location(self, ctx: Any, volume: Any, image_service: Any,
                                             image_meta: Any) -> Any:
        """Make a clone the image if it would be in the right store; return whether it is.

        :raises StoreNotUsable: the named store cannot be used; no clone was made.
        """
        if (image_meta['disk_format'], image_meta['container_format']) != ('raw', 'bare'):
            return False  # Cinder's own rule, which comes before the store's
        service = upload_service.with_placement(ctx, volume, image_service, image_meta['id'])
        placing = service if isinstance(service, upload_service.PlacingImageService) else None
        if placing and not placing.takes_clone():
            return False
        done = super()._clone_image_volume_and_add_location(
            ctx, upload_service.with_volume_type(volume), service, image_meta)
        if placing:
            placing.check_lost()
        return done
