# SPDX-License-Identifier: Apache-2.0
"""Nova's libvirt driver, whose snapshots follow their base image, and which has cold images copied
and cloned.

``compute_driver = multistore.LibvirtDriver``, once the patch has added the file
``nova/virt/multistore.py`` (``multistore-hooks patch apply nova``). Train and later. Snapshot,
backup, shelve and cross-cell resize all come through ``snapshot``.
"""

from typing import Any

from nova.compute import task_states
from nova import conf
from nova.virt.libvirt import driver

from multistore_hooks.nova import image_api
from multistore_hooks.nova import rbd
from multistore_hooks import options

CONF = conf.CONF


class LibvirtDriver(driver.LibvirtDriver):
    """Nova's own driver; its image API places uploads, its RBD backend copies, then clones."""

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        options.register_nova_opts(CONF)
        super().__init__(virtapi, read_only)
        self._image_api = image_api.API()
        self.image_backend.BACKEND['rbd'] = rbd.Rbd

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Take a snapshot of an instance into the image that was made for it.

        Where it goes is decided first, while nothing has been touched.

        :raises nova.exception.ImageBadRequest: ``snapshot_store`` cannot be used.
        """
        # Nova itself deletes the record of a failed snapshot or backup, and leaves that of a shelved server.
        shelving = (instance.task_state or '').startswith(task_states.SHELVING)
        with self._image_api.placed(context, image_id, instance.image_ref or None, _local_store(), shelving):
            super().snapshot(context, instance, image_id, update_task_state)

    def cache_image(self, context: Any, image_id: str) -> bool:
        """Get an image ready for boots: into this site's store if there is one, else as Nova does.

        Nova's API for it (``openstack aggregate cache image``) came with Ussuri.

        :returns: whether there was something to do.
        :raises nova.exception.ImageUnacceptable: the image did not get into the store.
        """
        store = _local_store()
        if store and rbd.cloneable(context, image_id):
            return rbd.ensure_in_store(context, image_id, store, rbd.rbd_driver())
        return super().cache_image(context, image_id)  # type: ignore[no-any-return]


def _local_store() -> Any:
    """Return the store in this compute's own Ceph cluster, or None."""
    if CONF.libvirt.images_type != 'rbd':
        return None
    return CONF.libvirt.images_rbd_glance_store_name or None
