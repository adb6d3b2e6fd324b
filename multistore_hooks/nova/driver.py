# SPDX-License-Identifier: Apache-2.0
"""Nova's libvirt driver, whose snapshots follow their base image.

``compute_driver = multistore.LibvirtDriver``, once the patch has added the file ``nova/virt/multistore.py``
(``multistore-hooks patch apply nova``). Train and later. Snapshot, backup, shelve and cross-cell resize all
come through ``snapshot``.
"""

from typing import Any

from nova import conf
from nova.virt.libvirt import driver

from multistore_hooks.nova import image_api
from multistore_hooks import options

CONF = conf.CONF


class LibvirtDriver(driver.LibvirtDriver):
    """Nova's own driver with an image API that places uploads."""

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        super().__init__(virtapi, read_only)
        options.register_nova_opts(CONF)
        self._image_api = image_api.API()

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Take a snapshot of an instance into the image that was made for it.

        Where it goes is decided first, while nothing has been touched.

        :raises nova.exception.ImageBadRequest: ``snapshot_store`` cannot be used.
        """
        # The store that is near would be [libvirt] images_rbd_glance_store_name, of Victoria and later.
        near = None
        if CONF.libvirt.images_type == 'rbd':
            near = getattr(CONF.libvirt, 'images_rbd_glance_store_name', None)
        with self._image_api.placed(context, image_id, instance.image_ref or None, near or None):
            super().snapshot(context, instance, image_id, update_task_state)
