# SPDX-License-Identifier: Apache-2.0
"""Any Cinder volume driver, whose uploads follow the volume type and the base image.

``load`` mixes ``PlacesUploads`` into whatever driver cinder.conf names, for
multistore_hooks.cinder.manager. It can also be mixed into one backend's driver by hand, for who
would change that backend and nothing else::

    class RBDDriver(driver.PlacesUploads, rbd.RBDDriver):
        pass

That does not reach the clone path (``image_upload_use_cinder_backend``), which no driver sees.
"""

import types
from typing import Any

from cinder.volume import manager
from oslo_utils import importutils

from multistore_hooks.cinder import image_service as image_services


class PlacesUploads:
    """Mixin, before a driver's own class: its uploads get an image service that places them."""

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any,
                             image_meta: Any) -> Any:
        """Upload a volume by the driver's own method, which hands the data to our image service.

        :raises StoreNotUsable: the named store cannot be used; nothing was done with the volume.
        """
        placed = image_services.placed(context, volume, image_service, image_meta['id'])
        return super().copy_volume_to_image(  # type: ignore[misc]
            context, image_services.typed(volume), placed, image_meta)


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
