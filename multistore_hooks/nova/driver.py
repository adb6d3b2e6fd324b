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
from nova import exception
from nova.virt.libvirt import driver
from oslo_log import log as logging

from multistore_hooks.nova import image_api
from multistore_hooks.nova import image_cache
from multistore_hooks.nova import rbd
from multistore_hooks.nova import site_images
from multistore_hooks import options

CONF = conf.CONF
LOG = logging.getLogger(__name__)


class LibvirtDriver(driver.LibvirtDriver):
    """Nova's own driver; its image API places uploads, its RBD backend copies, then clones."""

    def __init__(self, virtapi: Any, read_only: bool = False) -> None:
        options.register_nova_opts(CONF)
        super().__init__(virtapi, read_only)
        self._image_api = image_api.API()
        self.image_backend.BACKEND['rbd'] = rbd.Rbd
        LOG.info('%(driver)s is in place: %(api)s places snapshots, %(backend)s makes the disks of servers '
                 'with images_type rbd.',
                 {'driver': _name(type(self)), 'api': _name(image_api.API), 'backend': _name(rbd.Rbd)})
        if CONF.multistore_hooks.site_images != options.OFF and not site_images.is_on():
            LOG.warning('[multistore_hooks] site_images has no effect: [libvirt] images_type is %s, not rbd.',
                        CONF.libvirt.images_type)

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Take a snapshot of an instance into the image that was made for it.

        Where it goes is decided first, while nothing has been touched.

        :raises nova.exception.ImageBadRequest: ``snapshot_store`` cannot be used.
        """
        state = instance.task_state or ''
        with self._image_api.with_placement(
                context, image_id, instance.image_ref or None, _local_store(),
                # What comes next deletes or moves the server's disk, except after these two.
                must_be_active=state not in (task_states.IMAGE_SNAPSHOT, task_states.IMAGE_BACKUP),
                # Nova itself deletes the record of a failed snapshot or backup, and leaves that of shelving.
                delete_on_failure=state.startswith(task_states.SHELVING)):
            super().snapshot(context, instance, image_id, update_task_state)

    def cache_image(self, context: Any, image_id: str) -> bool:
        """Get an image ready for boots: into this site's store if there is one, else as Nova does.

        Nova's API for it (``openstack aggregate cache image``) came with Ussuri.

        :returns: whether there was something to do.
        :raises nova.exception.ImageUnacceptable: the image did not get into the store.
        """
        store = _local_store()
        if site_images.is_on():
            try:
                return image_cache.copy_or_make_site_image(context, image_id, store)
            except exception.ImageUnacceptable as error:
                LOG.warning('Image %(image)s is cached on this host alone, as Nova does: %(error)s',
                            {'image': image_id, 'error': error})
        elif store:
            copied = image_cache.copy_to_store(context, image_id, store)
            if copied is not None:
                return copied
        return super().cache_image(context, image_id)  # type: ignore[no-any-return]

    def manage_image_cache(self, context: Any, all_instances: Any) -> None:
        """Remove cached images that are not used, in the cluster too; Nova calls this from time to time."""
        super().manage_image_cache(context, all_instances)
        if site_images.is_on():
            image_cache.clean_up()


def _name(kind: type) -> str:
    return '%s.%s' % (kind.__module__, kind.__qualname__)


def _local_store() -> Any:
    """Return the store in this compute's own Ceph cluster, or None."""
    if CONF.libvirt.images_type != 'rbd':
        return None
    return CONF.libvirt.images_rbd_glance_store_name or None
