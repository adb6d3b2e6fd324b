# SPDX-License-Identifier: Apache-2.0
"""Nova's RBD image backend, which has a cold image copied to its site's store and then clones it.

With ``[libvirt] images_rbd_glance_store_name`` unset it is Nova's own, in every release.
"""

import contextlib
import functools
import inspect
import os
import time
from typing import Any
from typing import Callable
from typing import Optional

from nova.compute import vm_states
from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks.nova import boot_needs
from multistore_hooks.nova import clone_source
from multistore_hooks.nova import direct_snapshot
from multistore_hooks.nova import site_copy
from multistore_hooks.nova import site_images
from multistore_hooks.nova import snapshot_pool

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: One as it is, one after the copy, and one more: Glance's own race can undo a copy.
CLONE_TRIES = 3
#: The status of an image whose data Glance deletes.
GOING = ('pending_delete', 'deleted')

rbd_utils = imagebackend.rbd_utils
# Train and Ussuri do not copy at all; what Victoria and later do is ours to do.
_WITHOUT_COPY = ({'copy_to_store': False}
                 if 'copy_to_store' in inspect.signature(imagebackend.Rbd.clone).parameters else {})


class Rbd(imagebackend.Rbd):
    """The image backend of an instance's disk."""

    #: Of the server, when its root disk is made.
    _trusted_certs: Any = None
    _instance: Any = None
    #: Why a clone of this disk failed: it is not waited for a second time.
    _refused: Optional[Exception] = None
    #: An earlier download has left the image on this compute.
    _has_base = False
    #: With which all is waited for; a test's is another.
    _clock: Any = time
    driver: Any  # Nova's RBDDriver

    def __init__(self, instance: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(instance, *args, **kwargs)
        self._instance = instance

    @property
    def _uses_site_images(self) -> bool:
        if not site_images.is_on():
            return False
        # The disk of a server that is unshelved is made flat next, and nobody else boots from its image.
        return self._instance is None or bool(self._instance.vm_state != vm_states.SHELVED_OFFLOADED)

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
        if self._refused is not None:
            raise self._refused
        try:
            if not site_images.requests_copies():
                return self._clone_what_is_here(context, image_id_or_uri, store)
            return self._clone_from_store(context, image_id_or_uri, store)
        except exception.ImageUnacceptable as error:
            self._refused = error
            raise

    def _clone_from_store(self, context: Any, image_id: str, store: str,
                          turn_seconds: Optional[int] = None) -> Any:
        """Clone an image from the local store, after Glance has copied it there if need be.

        If it cannot be had there, a copy in another store of this cluster will do.
        """
        try:
            return self._copy_and_clone(context, image_id, store, turn_seconds)
        except exception.ImageUnacceptable:
            with contextlib.suppress(exception.ImageUnacceptable):
                made = self._clone_what_is_here(context, image_id, store, patient=False)
                LOG.info('Image %(image)s is not in the store %(store)s: the disk %(disk)s is a clone of its '
                         'copy in another store of this cluster.',
                         {'image': image_id, 'store': store, 'disk': self.rbd_name})
                return made
            raise

    def _copy_and_clone(self, context: Any, image_id: str, store: str, turn_seconds: Optional[int]) -> Any:
        for number in range(CLONE_TRIES):
            try:
                return self._clone_what_is_here(context, image_id, store, elsewhere=False)
            except exception.ImageUnacceptable:
                image = clone_source.raw_image(context, image_id, self._clock)
                if image is None:
                    raise
                listed = image.is_in(store)
                if number == CLONE_TRIES - 1 or (listed and number):
                    # Waiting changes nothing about a copy that is listed and cannot be cloned.
                    clone_source.report_missing(self.driver, image, store)
                    raise
            if not listed:  # else a copy may have ended between the two requests
                site_copy.ensure_in_store(context, image_id, store, self.driver,
                                          fallback=self._has_base or site_copy.download_allowed(),
                                          turn_seconds=turn_seconds, clock=self._clock)
        raise AssertionError('the last try ends the loop')

    def _clone_what_is_here(self, context: Any, image_id: str, store: str, elsewhere: bool = True,
                            patient: bool = True) -> Any:
        """Clone the image's own copy in this cluster: that in the local store if there is one.

        :param elsewhere: a copy in another store of this cluster will do.
        :param patient: wait for a Glance that cannot be reached.
        :raises nova.exception.ImageUnacceptable: there is none.
        """
        image = clone_source.raw_image(context, image_id, self._clock if patient else None) if store else None
        listed = image is not None and image.is_in(store)
        if image is not None:
            if image.status in GOING:
                raise exception.ImageUnacceptable(image_id=image_id, reason='its status is %s' % image.status)
            location = clone_source.location_in(self.driver, image, store) if listed else None
            if location is not None:
                return self._clone_location(image_id, location)
            if not (listed or elsewhere or clone_source.is_misnamed(store)) and image.stores:
                raise exception.ImageUnacceptable(image_id=image_id,
                                                  reason='it is not in the store %s' % store)
        try:
            if not patient:
                return self._clone_as_it_is(context, image_id)
            return clone_source.until_reached(
                image_id, lambda: self._clone_as_it_is(context, image_id), self._clock)
        except exception.ImageUnacceptable:
            location = clone_source.hidden_location(context, self.driver, image) if image and listed else None
            if location is None:
                raise
            return self._clone_location(image_id, location)

    def _clone_location(self, image_id: str, location: Any) -> Any:
        try:
            return self.driver.clone(location, self.rbd_name)
        except Exception as error:
            # By their names: Nova imports this module where python3-rbd is not installed, too.
            if type(error).__name__ not in ('ImageNotFound', 'InvalidArgument'):
                raise
            # Glance has just begun to delete it, and has unprotected its snapshot.
            raise exception.ImageUnacceptable(image_id=image_id, reason='%s cannot be cloned: %s'
                                                                        % (location['url'], error)) from error

    def _clone_or_site_image(self, context: Any, image_id: str, store: str) -> Any:
        """Clone the image's own copy, or a site image that is there; else have one of the two made."""
        try:
            # Where Glance can be reached, the local store comes before others of this cluster.
            return self._clone_what_is_here(context, image_id, store,
                                            elsewhere=not (store and site_images.requests_copies()))
        except exception.ImageUnacceptable as error:
            LOG.debug('%s', error)
        wanted = boot_needs.wanted_for(context, image_id, self._trusted_certs)
        with site_images.Site(self.driver, self._clock) as site:
            found = site.find(wanted)
            copies = (store and site_images.requests_copies()
                      and wanted.record.record.get('disk_format') == 'raw')
            try:
                if found is not None:
                    boot_needs.check_download(context, image_id)
                    if site.clone(wanted, found, self.rbd_name):
                        return None
            except exception.ImageUnacceptable as error:
                if not copies:
                    raise
                # To clone a copy of Glance's needs no download.
                LOG.debug('%s', error)
            if copies:
                try:
                    return self._clone_from_store(context, image_id, store,
                                                  CONF.multistore_hooks.site_image_after)
                except exception.ImageUnacceptable as error:
                    LOG.debug('%s', error)
            boot_needs.check_download(context, image_id)
            return self._make_site_image(context, image_id, store, site, wanted)

    def _make_site_image(self, context: Any, image_id: str, store: str, site: site_images.Site,
                         wanted: boot_needs.Wanted) -> Any:
        """Clone a site image that is made now, or the image's own copy if that comes first."""
        has_another_way = self._has_base or site_copy.download_allowed()
        if self._has_base:
            site_images.make_apart(self.driver, context, wanted, self._clock)
        for _ in range(CLONE_TRIES):
            made = site.ensure(context, wanted, site.patience(self._has_base), leads=not self._has_base,
                               most_waiting=site_copy.most_waiting() if has_another_way else None)
            if made is None:
                return self._clone_what_is_here(context, image_id, store)
            if site.clone(wanted, made, self.rbd_name):
                return None
        raise exception.ImageUnacceptable(image_id=image_id,
                                          reason='its site image was removed again and again')

    def _clone_as_it_is(self, context: Any, image_id: str) -> Any:
        return super().clone(context, image_id, **_WITHOUT_COPY)

    def create_image(self, prepare_template: Callable[..., Any], base: str, size: Any, *args: Any,
                     **kwargs: Any) -> Any:
        """Make the instance's disk; an earlier download does not stand in a clone's way.

        Nova does not even try to clone where such a file is, and imports a whole copy of it for
        every disk. Elsewhere it waits for a clone while it holds the lock of that file.
        """
        image_id, context = kwargs.get('image_id'), kwargs.get('context')
        self._trusted_certs = kwargs.get('trusted_certs')
        hooked = CONF.libvirt.images_rbd_glance_store_name or self._uses_site_images
        if not (hooked and image_id and context):
            return super().create_image(prepare_template, base, size, *args, **kwargs)

        def prepare(*prepare_args: Any, **prepare_kwargs: Any) -> None:
            prepare_template(*prepare_args, **prepare_kwargs)
            if not self.exists() and not self._uses_site_images:
                # Another boot may have waited with more luck while this one waited for a download.
                self._clone_if_present(context, image_id)

        if not self.exists():
            self._try_to_clone(context, image_id, base)
        return super().create_image(prepare, base, size, *args, **kwargs)

    def _try_to_clone(self, context: Any, image_id: str, base: str) -> None:
        """Clone the image; if it cannot be cloned, Nova goes on with the base file, or with its own way."""
        self._has_base = os.path.exists(base)
        try:
            if self._uses_site_images:
                # Without a base file Nova comes to it by itself, and then waits for a download only once.
                if self._has_base:
                    self.clone(context, image_id)
            elif not self._has_base or clone_source.raw_image(context, image_id):
                self.clone(context, image_id)
        except exception.ImageUnacceptable as error:
            if self._has_base:
                self._warn_of_base(image_id, error, base)
            elif not site_copy.download_allowed():
                # Nova would raise the same, after it has sent requests to the cluster, which may be away, and
                # without a limit.
                raise
        except Exception as error:
            # Nova would have sent no request to Glance or Keystone: their errors must not fail this boot.
            if not self._has_base:
                raise
            self._warn_of_base(image_id, error, base)

    @staticmethod
    def _warn_of_base(image_id: str, error: Exception, base: str) -> None:
        LOG.warning('Image %(image)s cannot be cloned (%(error)s): using the base file %(base)s.',
                    {'image': image_id, 'error': error, 'base': base})

    def _clone_if_present(self, context: Any, image_id: str) -> None:
        """Clone the image if it is in this cluster by now; nothing is waited for."""
        try:
            self._clone_what_is_here(context, image_id, CONF.libvirt.images_rbd_glance_store_name,
                                     patient=False)
        except Exception as error:
            LOG.debug('Image %(image)s cannot be cloned: %(error)s', {'image': image_id, 'error': error})

    def direct_snapshot(self, context: Any, snapshot_name: str, image_format: str, image_id: str,
                        base_image_id: str) -> Any:
        """Snapshot inside the cluster, unless the operator named another store for snapshots.

        If that fails, what was made in the cluster for this snapshot is removed.

        :raises NotImplementedError: Nova then uploads the snapshot.
        :raises nova.exception.ImageUnacceptable: the same, after Nova has logged why.
        """
        named = CONF.multistore_hooks.snapshot_store
        if named and named != CONF.libvirt.images_rbd_glance_store_name:
            raise NotImplementedError()
        nova_driver = self.driver
        self.driver = recorded = direct_snapshot.RecordingDriver(nova_driver)
        try:
            return super().direct_snapshot(context, snapshot_name, image_format, image_id, base_image_id)
        except Exception as error:
            recorded.remove(self._clock)
            # By its name: Nova imports this module where python3-rados is not installed, too.
            if type(error).__name__ != 'ObjectNotFound':
                raise
            # There is no such pool, so nothing was written there.
            raise exception.ImageUnacceptable(
                image_id=image_id, reason='[multistore_hooks] glance_rbd_pool %s cannot be used: %s'
                                          % (CONF.multistore_hooks.glance_rbd_pool, error)) from error
        finally:
            self.driver = nova_driver

    def cleanup_direct_snapshot(self, location: Any, also_destroy_volume: bool = False,
                                ignore_errors: bool = False) -> None:
        """Remove the disk's snapshot, or a direct snapshot's image that Glance did not take on.

        :param also_destroy_volume: the image; nothing else will remove it, so this is tried for a while.
        """
        clean_up = functools.partial(super().cleanup_direct_snapshot, location,
                                     also_destroy_volume=also_destroy_volume, ignore_errors=ignore_errors)
        if not (location and also_destroy_volume):
            clean_up()
            return
        errors = direct_snapshot.try_to_remove('the image %s' % location['url'], clean_up, self._clock)
        if errors:
            raise errors[0]

    def _get_parent_pool(self, context: Any, base_image_id: str, fsid: str) -> Any:
        """Return the pool for a direct snapshot.

        :raises nova.exception.ImageUnacceptable: there is none; Nova then uploads the snapshot.
        """
        choice = self._snapshot_pool()
        if choice.kind is snapshot_pool.Kind.POOL:
            return choice.pool
        if choice.kind is snapshot_pool.Kind.UPLOAD:
            raise exception.ImageUnacceptable(image_id=base_image_id, reason=choice.reason)
        try:
            pool = super()._get_parent_pool(context, base_image_id, fsid)
        except exception.ImageUnacceptable:
            if not choice.pool:
                raise
            return choice.pool
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
                                    CONF.multistore_hooks.glance_rbd_pool,
                                    is_named=bool(CONF.multistore_hooks.snapshot_store))
