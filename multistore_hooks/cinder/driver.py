# SPDX-License-Identifier: Apache-2.0
"""Any Cinder volume driver, whose uploads follow the volume type and the base image.

``PlacesUploads`` can be mixed into one backend's driver; ``load`` does so with whatever driver cinder.conf
names, for multistore_hooks.cinder.manager.
"""

import types
from typing import Any

from cinder import objects
from cinder.volume import manager
from oslo_config import cfg
from oslo_utils import importutils

from multistore_hooks.cinder import image_service as image_services
from multistore_hooks import options


class PlacesUploads:
    """Mixin, before a driver's own class: its uploads get an image service that places them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        options.register_cinder_opts(cfg.CONF)
        super().__init__(*args, **kwargs)

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any,
                             image_meta: Any) -> Any:
        """Upload a volume: the driver's own method does it, and hands the data to our image service.

        :raises cinder.exception.ImageUnacceptable: the named store cannot be used.
        """
        placed = image_services.PlacedImageService(context, volume, image_service, image_meta['id'])
        return super().copy_volume_to_image(  # type: ignore[misc]
            context, _typed(volume), placed, image_meta)


def _typed(volume: Any) -> Any:
    """Return the volume, with an empty type if it has none: Ussuri and later look into it blindly."""
    if volume.volume_type is not None:
        return volume
    volume = volume.obj_clone()
    volume.volume_type = objects.VolumeType(extra_specs={})
    volume.obj_reset_changes(['volume_type'])
    return volume


def load(configuration: Any, **kwargs: Any) -> Any:
    """Return the driver that the backend's section names, with PlacesUploads before its class.

    The new class keeps the name and the module of the driver's own: Cinder logs them.

    :param configuration: the backend's configuration, as Cinder's manager hands it to a driver.
    """
    path = configuration.volume_driver
    cls = importutils.import_class(manager.MAPPING.get(path, path))
    placing = types.new_class(cls.__name__, (PlacesUploads, cls), {}, lambda namespace: namespace.update(
        __module__=cls.__module__, __qualname__=cls.__qualname__, __doc__=cls.__doc__))
    return placing(configuration=configuration, **kwargs)
