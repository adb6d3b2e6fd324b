# SPDX-License-Identifier: Apache-2.0
"""The driver that glance_store loads: ``enabled_backends = STORE:volume``.

glance_store looks for StoreLocation in the module of the Store.
"""

import atexit
import contextlib
import errno
import os
import socket
import threading
import time
from typing import Any
from typing import Iterator
from typing import Optional
from typing import Tuple

from glance_store import capabilities
from glance_store import driver
from glance_store import exceptions
from glance_store import location as locations
from keystoneauth1 import exceptions as keystoneauth
from keystoneauth1 import loading
from oslo_log import log as logging

from multistore_hooks.volume_store import attachment as attachments
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import device as devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import location as uris
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import reading
from multistore_hooks.volume_store import records
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import upload

LOG = logging.getLogger(__name__)

#: The name of the entry point: glance_store wants it among the schemes.
NAME = 'volume'
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
#: Seconds that other hosts get, beyond their idle timeout, to let go of a volume that is deleted.
_LET_GO = 5
#: Seconds that a deletion is watched: Cinder accepts it before it tries.
_WATCHED = 3
#: Seconds between two looks at what is noted and used by nobody.
_RECOVER_EVERY = 60
#: The states of a volume that somebody reads, or has just read.
_PASSING = ('in-use', 'detaching', 'attaching', 'reserved')


class StoreLocation(locations.StoreLocation):
    """A location of an image on a volume."""

    def process_specs(self) -> None:
        self.scheme = self.specs.get('scheme', uris.SCHEME)
        self.volume_id = self.specs.get('volume_id')

    def get_uri(self) -> str:
        return uris.uri(self.backend_group, self.volume_id)

    def parse_uri(self, uri: str) -> None:
        try:
            self.volume_id = uris.volume_of(uri)
        except ValueError as error:
            LOG.info('Location %(uri)s: %(error)s.', {'uri': uri, 'error': error})
            raise exceptions.BadStoreUri(message=str(error)) from error
        self.scheme = uris.SCHEME


class Store(driver.Store):
    """Images on Cinder volumes.

    What it does with a volume is in upload.py and share.py; here glance_store's calls are translated,
    and their errors back.
    """

    _CAPABILITIES = (capabilities.BitMasks.READ_RANDOM | capabilities.BitMasks.WRITE_ACCESS
                     | capabilities.BitMasks.DRIVER_REUSABLE)
    OPTIONS = options.OPTS
    EXAMPLE_URL = 'cinder://STORE/VOLUME'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._url_prefix = uris.prefix(self.backend_group)
        self._set_up = threading.Lock()
        self._tools: Optional[attachments.Tools] = None
        self._shared: Any = None
        self._recovered = (0, 0.0)
        self._recovering: Optional[threading.Thread] = None

    def get_schemes(self) -> Tuple[str, ...]:
        return (NAME, uris.SCHEME)

    def configure_add(self) -> None:
        """Check the options; nobody is asked for anything yet.

        :raises exceptions.BadStoreConfiguration: what is missing; the store is then read-only.
        """
        self.tools()

    # -- what a subclass may put something in between of

    def make_brick(self, settings: Any) -> Any:
        """Return what os-brick's calls go through, a brick.Brick."""
        from multistore_hooks.volume_store import brick
        brick.prepare(settings, self.conf)
        return brick.Brick(settings)

    def open_device(self, volume_id: str, path: Any, writable: bool) -> devices.Device:
        """Return the device for the path, or the handle, that os-brick returned."""
        return devices.open_device(volume_id, path, writable)

    # -- glance_store's calls

    @driver.back_compat_add
    @capabilities.check
    def add(self, image_id: str, image_file: Any, image_size: int, hashing_algo: str,
            context: Any = None, verifier: Any = None) -> Any:
        """Store an image on a new volume.

        :param image_size: in bytes; 0 or None: not known.
        :returns: (location, bytes, md5, hash, {'store': this store})
        :raises exceptions.StorageFull: quota, or the backend.
        :raises exceptions.Invalid: the data have another size.
        """
        source = upload.Source(image_id, getattr(context, 'project_id', None), image_file,
                               image_size or 0, hashing_algo, verifier)
        with self._translated('upload', image_id):
            tools = self._begin()
            stored = upload.Upload(tools, self._wishes(), source).run()
        LOG.info('Image %(image)s, %(size)d bytes, is on volume %(volume)s of the store %(store)s.',
                 {'image': image_id, 'size': stored.size, 'volume': stored.volume_id, 'store': tools.store})
        metadata = {'store': self.backend_group} if self.backend_group else {}
        return (uris.uri(self.backend_group, stored.volume_id), stored.size, stored.md5, stored.multihash,
                metadata)

    @capabilities.check
    def get(self, location: Any, offset: int = 0, chunk_size: Optional[int] = None,
            context: Any = None) -> Tuple[Iterator[bytes], int]:
        """Return an iterator over an image, or a range of it, and the number of its bytes.

        :param chunk_size: the length of the range; None: to the end.
        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.Forbidden: the volume is no image of this store.
        """
        volume_id = location.store_location.volume_id
        with self._translated('read', volume_id):
            tools = self._begin()
            volume = self._image_volume(tools, volume_id)
            try:
                length = images.extent(images.size(volume), offset or 0, chunk_size)
            except ValueError as error:
                raise errors.NotUsable(volume=volume_id, why=error) from error
            lease = self._shared.lease(volume_id)
            return reading.Pieces(lease, offset or 0, length, tools.timeouts.io), length

    def get_size(self, location: Any, context: Any = None) -> int:
        """Return the size of an image in bytes.

        Glance asks for it when somebody adds a location to an image, and only then with a context.

        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.BadStoreUri: the volume is no image of this store, or that of another project
            than the context's. (Glance answers Forbidden with a 500 here, and this with a 400.)
        """
        volume_id = location.store_location.volume_id
        try:
            with self._translated('read', volume_id):
                tools = self._begin()
                volume = self._image_volume(tools, volume_id)
                _check_owner(tools, volume, context)
                try:
                    return images.size(volume)
                except ValueError as error:
                    raise errors.NotUsable(volume=volume_id, why=error) from error
        except exceptions.Forbidden as error:
            raise exceptions.BadStoreUri(message=str(error)) from error

    @capabilities.check
    def delete(self, location: Any, context: Any = None) -> None:
        """Delete an image's volume.

        :raises exceptions.NotFound: there is no such volume.
        :raises exceptions.Forbidden: the volume is no image of this store.
        :raises exceptions.InUseByStore: somebody reads it.
        :raises exceptions.HasSnapshot: Cinder needs it for a snapshot.
        """
        volume_id = location.store_location.volume_id
        with self._translated('delete', volume_id):
            tools = self._begin()
            self._image_volume(tools, volume_id)
            if not self._shared.drop(volume_id):
                raise exceptions.InUseByStore()
            self._delete(tools, volume_id)

    def is_image_associated_with_store(self, context: Any, volume_id: str) -> bool:
        """Return whether a location without a store, of the time of a single store, is of this one.

        Glance asks every store with the scheme cinder; no error may come of it.
        """
        try:
            tools = self._begin()
            volume = self._image_volume(tools, volume_id)
            wanted = self._option('volume_type') or tools.cinder.default_type()
        except Exception as error:  # another store's question must not fail over this one
            LOG.debug('Volume %(volume)s is not of the store %(store)s: %(error)s',
                      {'volume': volume_id, 'store': self._name, 'error': error})
            return False
        return volume.type == wanted

    # -- inside

    @property
    def _name(self) -> str:
        return self.backend_group or NAME

    @property
    def _group(self) -> str:
        return self.backend_group or 'glance_store'

    def tools(self) -> attachments.Tools:
        """Return what the store works with, made at the first call.

        :raises exceptions.BadStoreConfiguration: naming what is wrong.
        """
        with self._set_up:
            if self._tools is None:
                try:
                    self._tools = self._make_tools()
                except (ImportError, OSError, ValueError, keystoneauth.ClientException) as error:
                    reason = '[%s]: %s' % (self._group, ' '.join(str(error).split()))
                    LOG.error('Store %(store)s is not configured: %(reason)s',
                              {'store': self._name, 'reason': reason})
                    raise exceptions.BadStoreConfiguration(store_name=self._name, reason=reason) from error
                self._shared = share.Shared(self._tools)
                atexit.register(self._shared.drop_all)
            return self._tools

    def _make_tools(self) -> attachments.Tools:
        from multistore_hooks.volume_store import brick
        option = self._option
        folder = option('attachment_dir')
        if not os.path.isabs(folder):
            raise ValueError("attachment_dir is '%s': it has to begin with a /" % folder)
        options.register_credentials(self.conf, self._group)
        auth = loading.load_auth_from_conf_options(self.conf, self._group)
        if auth is None:
            raise ValueError("auth_type is not set: the store needs credentials of its own, as "
                             'keystoneauth names them')
        session = loading.load_session_from_conf_options(self.conf, self._group, auth=auth)
        adapter = loading.load_adapter_from_conf_options(self.conf, self._group, session=session, auth=auth)
        settings = brick.Settings(
            root_helper=option('root_helper'), host=option('attach_host') or socket.gethostname(),
            privsep_config=option('privsep_config'), my_ip=option('my_ip'),
            use_multipath=option('use_multipath'), enforce_multipath=option('enforce_multipath'),
            scan_attempts=option('device_scan_attempts'), mount_point_base=option('mount_point_base'))
        return attachments.Tools(
            store=self._name, cinder=cinder_client.Cinder(adapter, option('request_retries')),
            brick=self.make_brick(settings), open_device=self.open_device,
            records=records.Records(os.path.join(folder, self._name)), recover=leftovers.recover,
            timeouts=attachments.Timeouts(
                state=option('state_timeout'), attach=option('attach_timeout'), io=option('io_timeout'),
                idle=option('attachment_idle_timeout')))

    def _option(self, name: str) -> Any:
        """Return an option of the store's section, or else of ``[backend_defaults]``, or its default."""
        return options.value(self.conf, self._group, name)

    def _wishes(self) -> upload.Wishes:
        return upload.Wishes(volume_type=self._option('volume_type'),
                             zeroed_volumes=self._option('zeroed_volumes'),
                             extend_attached=self._option('extend_attached'),
                             verify=self._option('verify_uploads'))

    def _begin(self) -> attachments.Tools:
        """Return the tools.

        At the first call in a process, and now and then, clean up what others on this host have left,
        which were killed, and what Cinder or os-brick refused to clean up before.
        """
        tools = self.tools()
        process, until = self._recovered
        if process != os.getpid() or time.monotonic() >= until:
            self._recovered = os.getpid(), time.monotonic() + _RECOVER_EVERY
            left = tools.records.volumes()
            busy = self._recovering is not None and self._recovering.is_alive()
            if left and not busy:  # what takes long now, would take longer with a second one
                self._recovering = threading.Thread(target=_recover_all, args=(tools, left), daemon=True)
                self._recovering.start()
        return tools

    def _image_volume(self, tools: attachments.Tools, volume_id: str) -> images.Volume:
        """Return a volume that is an image of this store, whatever the location says.

        :raises errors.NotAnImage:
        """
        volume = tools.cinder.volume(volume_id)
        why = images.why_not_ours(volume, [tools.cinder.project()] + self._option('further_projects'))
        if why:
            raise errors.NotAnImage(volume=volume_id, store=tools.store, why=why)
        return volume

    @staticmethod
    def _delete(tools: attachments.Tools, volume_id: str) -> None:
        deadline, free_once = time.monotonic() + tools.timeouts.idle + _LET_GO, True
        while True:
            try:
                tools.cinder.delete_volume(volume_id)
                break
            except cinder_client.Refused as error:
                status = tools.cinder.volume(volume_id).status
                if status == 'deleting':
                    break
                LOG.info('Volume %(volume)s cannot be deleted now: %(error)s',
                         {'volume': volume_id, 'error': error})
                if status == 'available' and free_once:
                    free_once = False  # it was busy until a moment ago
                elif status not in _PASSING or time.monotonic() >= deadline:
                    # Cinder's text lists snapshots among the reasons, whatever the reason is.
                    if status == 'available' and 'snapshot' in str(error):
                        raise exceptions.HasSnapshot() from error
                    raise exceptions.InUseByStore() from error
                time.sleep(0.5)
        _watch(tools, volume_id)

    @contextlib.contextmanager
    def _translated(self, what: str, name: str) -> Iterator[None]:
        """Turn the driver's errors into glance_store's; others, as of the data's source, go through."""
        try:
            yield
        except errors.VolumeStoreError as error:
            LOG.error('Store %(store)s cannot %(what)s %(name)s: %(error)s',
                      {'store': self._name, 'what': what, 'name': name, 'error': error})
            raise _translate(error, name) from error


def _check_owner(tools: attachments.Tools, volume: images.Volume, context: Any) -> None:
    """Check that who adds a location may have it: its project, an administrator, a service.

    :raises errors.NotAnImage:
    """
    if context is None or getattr(context, 'is_admin', False):
        return
    if 'service' in (getattr(context, 'roles', None) or ()) or 'service' in (
            getattr(context, 'service_roles', None) or ()):
        return
    why = images.why_not_theirs(volume, getattr(context, 'project_id', None))
    if why:
        raise errors.NotAnImage(volume=volume.id, store=tools.store, why=why)


def _translate(error: errors.VolumeStoreError, name: str) -> Any:
    """Return glance_store's error for one of the driver's."""
    if isinstance(error, cinder_client.NotFound) and '/volumes/' in error.kwargs['request']:
        return exceptions.NotFound(image=name)
    if isinstance(error, cinder_client.OverQuota):
        return exceptions.StorageFull(message=str(error))
    if isinstance(error, errors.NotAnImage):
        return exceptions.Forbidden(message=str(error))
    if isinstance(error, errors.WrongSize):
        return exceptions.Invalid(message=str(error))
    if isinstance(error, errors.DeviceError) and error.errno in _FULL:
        return exceptions.StorageFull(message=str(error))
    if isinstance(error, errors.DeviceError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return exceptions.StorageWriteDenied(message=str(error))
    return exceptions.BackendException(str(error))


def _watch(tools: attachments.Tools, volume_id: str) -> None:
    """Look a moment whether Cinder does what it has accepted.

    :raises errors.WrongState: it could not, and the volume is there.
    """
    deadline, pause = time.monotonic() + _WATCHED, 0.1
    try:
        while time.monotonic() < deadline:
            status = tools.cinder.volume(volume_id).status
            if status != 'deleting':
                raise errors.WrongState(volume=volume_id, status=status, wanted='deleted', why='')
            time.sleep(pause)
            pause *= 2
    except cinder_client.NotFound:
        return
    except cinder_client.CinderError as error:
        LOG.debug('Nobody sees whether volume %s is deleted: %s', volume_id, error)


def _recover_all(tools: attachments.Tools, left: Any) -> None:
    for volume_id in left:
        try:
            leftovers.recover(tools, volume_id)
        except Exception:  # the others are to be looked at, too
            LOG.exception('What is left of volume %s on this host was not cleaned up.', volume_id)
