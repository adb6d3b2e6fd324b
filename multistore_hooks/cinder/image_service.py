# SPDX-License-Identifier: Apache-2.0
"""Cinder's image service for one upload, which goes where it was placed.

Whatever a driver does with a volume, it ends in ``image_service.update(context, image_id, {}, data)``, in every
release from Train on. Only that is replaced; everything else is asked of Cinder's own image service.
"""

from typing import Any
from typing import Optional

from cinder import exception
from cinder.image import glance
import glanceclient.exc
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import uuidutils

from multistore_hooks import exceptions
from multistore_hooks.images import api
from multistore_hooks.images import client
from multistore_hooks import placement as placements
from multistore_hooks import uploading

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

STORE_KEY = 'image_service:store_id'


class PlacedImageService:
    """Stands before Cinder's image service.

    :param image_service: what Cinder's manager handed to the driver.
    :raises cinder.exception.ImageUnacceptable: the store that the volume type or ``upload_store`` names
        cannot be used; nothing has been done with the volume then.
    """

    def __init__(self, context: Any, volume: Any, image_service: Any, image_id: str) -> None:
        self._service = image_service
        self._images = images_for(context)
        try:
            self._placement = uploading.place(self._images, wish_for(volume))
        except exceptions.StoreNotUsable as error:
            raise exception.ImageUnacceptable(image_id=image_id, reason=str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def update(self, context: Any, image_id: str, image_meta: Any, data: Any = None,
               purge_props: bool = True, store_id: Optional[str] = None,
               base_image_ref: Optional[str] = None) -> Any:
        """Upload the data, if there is any, then update the record as Cinder does.

        ``store_id`` and ``base_image_ref`` (Ussuri and later) repeat what the placement was made from.
        """
        if data is not None:
            self._upload(image_id, data)
        return self._service.update(context, image_id, image_meta, purge_props=purge_props)

    def _upload(self, image_id: str, data: Any) -> None:
        try:
            uploading.upload(self._images, image_id, data, self._placement)
        except api.GlanceError as error:
            raise _as_cinder_does(image_id, error) from error
        except exceptions.MultistoreError as error:
            raise exception.ImageCopyFailure(reason=str(error)) from error


def wish_for(volume: Any) -> placements.Wish:
    """Return what is known of a volume's upload before Glance is asked."""
    return placements.Wish(named=_named(volume), base_image=_base_image(volume),
                           resolve=CONF.multistore_hooks.resolve_base_image)


def _named(volume: Any) -> Optional[placements.Named]:
    volume_type = volume.volume_type  # None: before Train, and for what was made then
    store = (volume_type.extra_specs or {}).get(STORE_KEY) if volume_type else None
    if store:
        return placements.Named(store, "The volume type '%s' (%s)" % (volume_type.name, STORE_KEY))
    store = CONF.multistore_hooks.upload_store
    return placements.Named(store, '[multistore_hooks] upload_store') if store else None


def _base_image(volume: Any) -> Optional[str]:
    image_id = (volume.glance_metadata or {}).get('image_id')
    if not image_id:
        return None
    if not uuidutils.is_uuid_like(image_id):
        # A user can set it (os-set_image_metadata), and it would go into a header and a path.
        LOG.warning('Volume %(volume)s has the image_id %(image)r, which is no UUID: its image goes to no '
                    "base image's store.", {'volume': volume.id, 'image': image_id[:80]})
        return None
    return str(image_id)


def images_for(context: Any) -> client.ClientImages:
    """Return the library's view of the Glance that Cinder would use, with the rights of this context."""
    clients = _HandedClients()
    return client.ClientImages(lambda verb, function: clients.call(context, verb, function))


class _HandedClients(glance.GlanceClientWrapper):
    """Cinder's client wrapper, which hands each attempt's client to our function."""

    def _create_onetime_client(self, *args: Any, **kwargs: Any) -> client.Handed:
        return client.Handed(super()._create_onetime_client(*args, **kwargs))


def _as_cinder_does(image_id: str, error: api.GlanceError) -> BaseException:
    """Return Cinder's exception for what Glance answered: its callers know those."""
    original = error.original
    if isinstance(original, glanceclient.exc.HTTPOverLimit):
        return exception.ImageLimitExceeded(original)  # type: ignore[no-any-return]
    if original is None:
        return error
    return glance._translate_image_exception(image_id, original)  # type: ignore[no-any-return]
