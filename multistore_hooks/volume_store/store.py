# SPDX-License-Identifier: Apache-2.0
"""The driver that glance_store loads: ``enabled_backends = STORE:volume``.

glance_store looks for StoreLocation in the module of the Store.
"""

import atexit
import os
import threading
import time
from typing import Any
from typing import Iterator
from typing import Optional
from typing import Tuple

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions
import glance_store.location
import keystoneauth1.exceptions
from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import configuration
from multistore_hooks.volume_store import deletion
from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import open_device
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import reading
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import startup
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import translation
from multistore_hooks.volume_store import upload
from multistore_hooks.volume_store import volume_uri

LOG = logging.getLogger(__name__)

#: The name of the entry point: glance_store wants it among the schemes.
NAME = 'volume'


class StoreLocation(glance_store.location.StoreLocation):
    """A location of an image on a volume."""

    def process_specs(self) -> None:
        self.scheme = self.specs.get('scheme', volume_uri.SCHEME)
        self.volume_id = self.specs.get('volume_id')

    def get_uri(self) -> str:
        return volume_uri.uri(self.backend_group, self.volume_id)

    def parse_uri(self, uri: str) -> None:
        try:
            self.volume_id = volume_uri.volume_of(uri)
        except ValueError as error:
            LOG.info('Location %(uri)s: %(error)s.', {'uri': uri, 'error': error})
            raise exceptions.BadStoreUri(message=str(error)) from error
        self.scheme = volume_uri.SCHEME


class Store(driver.Store):
    """Images on Cinder volumes.

    upload.py and share.py know what is done with a volume; here glance_store's calls are translated to
    them, and their errors back.
    """

    _CAPABILITIES = (capabilities.BitMasks.READ_RANDOM | capabilities.BitMasks.WRITE_ACCESS
                     | capabilities.BitMasks.DRIVER_REUSABLE)
    OPTIONS = options.OPTS
    EXAMPLE_URL = 'cinder://STORE/VOLUME'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._url_prefix = volume_uri.prefix(self.backend_group)
        self._setting_up = threading.Lock()
        self._parts: Optional[Tuple[store_context.StoreContext, share.Shared]] = None
        self._recovery = leftovers.Recovery(time)

    def get_schemes(self) -> Tuple[str, ...]:
        return (NAME, volume_uri.SCHEME)

    def configure_add(self) -> None:
        """Check the options, and log what Cinder cannot do, which does not keep glance-api from starting.

        :raises exceptions.BadStoreConfiguration: what is missing; the store is then read-only.
        """
        self.parts()
        startup.check(self.make_check_cinder(), self._name, options.value(
            self.conf, self._group, 'volume_type'), startup.lacks_lock_path(
                self.conf, options.value(self.conf, self._group, 'root_helper')))

    # -- for subclasses that put something in between

    def make_brick(self, settings: Any) -> Any:
        """Return what os-brick's calls go through, a brick.Brick."""
        from multistore_hooks.volume_store import brick
        brick.prepare(settings, self.conf)
        return brick.Brick(settings)

    def open_device(self, volume_id: str, path: Any, writable: bool) -> devices.Device:
        """Return the device for the path, or the handle, that os-brick returned."""
        return open_device.open_device(volume_id, path, writable)

    def make_check_cinder(self) -> cinder_client.Cinder:
        """Return what the check at the start sends its requests by."""
        return configuration.make_cinder(self.conf, self._group, startup.REQUEST_SECONDS)

    # -- glance_store's calls

    @driver.back_compat_add
    @capabilities.check
    def add(self, image_id: str, image_file: Any, image_size: int, hashing_algo: str,
            context: Any = None, verifier: Any = None) -> Any:
        """Store an image on a new volume.

        :param image_size: in bytes; 0 or None: unknown.
        :returns: (location, bytes, md5, hash, {'store': this store})
        :raises exceptions.StorageFull: quota, or the backend.
        :raises exceptions.Invalid: the data have another size.
        """
        source = upload.Source(image_id, getattr(context, 'project_id', None), image_file,
                               image_size or 0, hashing_algo, verifier)
        with translation.translated(self._name, 'upload', image_id):
            parts, _shared = self._begin()
            stored = upload.Upload(parts, configuration.upload_options(self.conf, self._group), source).run()
        LOG.info('Image %(image)s, %(size)d bytes, is on volume %(volume)s of the store %(store)s.',
                 {'image': image_id, 'size': stored.size, 'volume': stored.volume_id, 'store': self._name})
        metadata = {'store': self.backend_group} if self.backend_group else {}
        return (volume_uri.uri(self.backend_group, stored.volume_id), stored.size, stored.md5,
                stored.multihash, metadata)

    @capabilities.check
    def get(self, location: Any, offset: int = 0, chunk_size: Optional[int] = None,
            context: Any = None) -> Tuple[Iterator[bytes], int]:
        """Return an iterator over an image, or a range of it, and the number of its bytes.

        :param chunk_size: the length of the range; None: to the end.
        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.Forbidden: the volume is no image of this store.
        :raises exceptions.Invalid: the range is outside the image.
        """
        volume_id = location.store_location.volume_id
        with translation.translated(self._name, 'read', volume_id):
            parts, shared = self._begin()
            size = images.size(self._image_volume(parts, volume_id))
            length = images.extent(size, offset or 0, chunk_size)
            if length is None:
                raise errors.BadRange(volume=volume_id, offset=offset, size=size)
            lease = shared.lease(volume_id)
            return reading.Pieces(lease, offset or 0, length, parts.timeouts.io), length

    def get_size(self, location: Any, context: Any = None) -> int:
        """Return the size of an image in bytes.

        Glance requests it when a location is added to an image, and only then with a context.

        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.BadStoreUri: the volume is no image of this store, or that of another project
            than the context's. (Glance responds to Forbidden with a 500 here, and this with a 400.)
        """
        volume_id = location.store_location.volume_id
        try:
            with translation.translated(self._name, 'read', volume_id):
                parts, _shared = self._begin()
                volume = self._image_volume(parts, volume_id)
                _check_owner(parts.store, volume, context)
                return images.size(volume)
        except exceptions.Forbidden as error:
            raise exceptions.BadStoreUri(message=str(error)) from error

    @capabilities.check
    def delete(self, location: Any, context: Any = None) -> None:
        """Delete an image's volume.

        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.Forbidden: the volume is no image of this store.
        :raises exceptions.InUseByStore: it is being read.
        :raises exceptions.HasSnapshot: Cinder needs it for a snapshot.
        """
        volume_id = location.store_location.volume_id
        with translation.translated(self._name, 'delete', volume_id):
            parts, shared = self._begin()
            self._image_volume(parts, volume_id)
            if not shared.drop(volume_id):
                raise deletion.InUse()
            deletion.delete(parts, volume_id)

    def is_image_associated_with_store(self, context: Any, volume_id: str) -> bool:
        """Return whether a location without a store, as a single store wrote it, is of this one.

        Glance calls every store with the scheme cinder; no error may come of it.
        """
        try:
            parts, _shared = self._begin()
            volume = self._image_volume(parts, volume_id)
            wanted = startup.name_of(parts.cinder, options.value(self.conf, self._group, 'volume_type'))
        except Exception as error:  # a location of another store must not fail because of this one
            LOG.debug('Volume %(volume)s is not of the store %(store)s: %(error)s',
                      {'volume': volume_id, 'store': self._name, 'error': error})
            return False
        return bool(volume.type == wanted)

    # -- inside

    @property
    def _name(self) -> str:
        return self.backend_group or NAME

    @property
    def _group(self) -> str:
        return self.backend_group or 'glance_store'

    def parts(self) -> Tuple[store_context.StoreContext, share.Shared]:
        """Return what the store works with, made at the first call.

        :raises exceptions.BadStoreConfiguration: naming what is wrong.
        """
        with self._setting_up:
            if self._parts is None:
                context = self._make_context()
                self._parts = context, share.Shared(context)
                atexit.register(self._parts[1].drop_all)
            return self._parts

    def _make_context(self) -> store_context.StoreContext:
        try:
            return configuration.make_context(self.conf, self._group, self._name, self.make_brick,
                                              self.open_device)
        except (ImportError, OSError, ValueError, keystoneauth1.exceptions.ClientException) as error:
            reason = '[%s]: %s' % (self._group, ' '.join(str(error).split()))
            LOG.error('Store %(store)s is not configured: %(reason)s',
                      {'store': self._name, 'reason': reason})
            raise exceptions.BadStoreConfiguration(store_name=self._name, reason=reason) from error

    def _begin(self) -> Tuple[store_context.StoreContext, share.Shared]:
        """Return what the store works with, and clean up, now and then, what others have left."""
        parts = self.parts()
        self._recovery.begin(parts[0], os.getpid())
        return parts

    def _image_volume(self, parts: store_context.StoreContext, volume_id: str) -> images.Volume:
        """Return a volume that is an image of this store, whatever the location says.

        :raises errors.NotAnImage:
        """
        volume = parts.cinder.volume(volume_id)
        projects = [parts.cinder.project()] + options.value(self.conf, self._group, 'further_projects')
        why = images.why_not_ours(volume, projects)
        if why:
            raise errors.NotAnImage(volume=volume_id, store=parts.store, why=why)
        return volume


def _check_owner(store: str, volume: images.Volume, context: Any) -> None:
    """Check that a location may be added with this context: of its project, an administrator, a service.

    :raises errors.NotAnImage:
    """
    if context is None or getattr(context, 'is_admin', False):
        return
    if 'service' in (getattr(context, 'roles', None) or ()) or 'service' in (
            getattr(context, 'service_roles', None) or ()):
        return
    why = images.why_not_theirs(volume, getattr(context, 'project_id', None))
    if why:
        raise errors.NotAnImage(volume=volume.id, store=store, why=why)
