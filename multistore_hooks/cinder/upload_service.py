# SPDX-License-Identifier: Apache-2.0
"""Cinder's image service for one upload, which goes where it was placed.

Whatever a driver does with a volume, it ends in ``image_service.update(context, image_id, {},
data)``, and a clone that becomes the image in ``image_service.add_location(...)``, in every release
from Train on. Only these two are replaced; everything else goes to Cinder's own image service.
"""

from typing import Any
from typing import Optional
from typing import Tuple

from cinder import exception
from cinder.image import glance
from cinder import objects
import glanceclient.exc
from oslo_log import log as logging

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_request
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import blame
from multistore_hooks import options
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer

LOG = logging.getLogger(__name__)


class PlacingImageService:
    """Stands before Cinder's image service.

    :param image_service: what Cinder's manager handed on.
    :raises StoreNotUsable: the store that the volume type or ``upload_store`` names does not exist
        or is read-only; nothing has been done with the volume then.
    """

    def __init__(self, context: Any, volume: Any, image_service: Any, image_id: str) -> None:
        self._service = image_service
        self._volume = volume
        self._image_id = image_id
        self._images = image_client.images_for(context)
        self._request = upload_request.request_for(volume)
        self._placement = transfer.decide_placement(self._images, self._request)
        self._clone_store = self._placement.store
        self._lost: Optional[Exception] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def update(self, context: Any, image_id: str, image_meta: Any, data: Any = None,
               purge_props: bool = True, store_id: Optional[str] = None,
               base_image_ref: Optional[str] = None) -> Any:
        """Upload the data, if there is any, then update the record, if there is anything to update.

        ``store_id`` and ``base_image_ref`` (Ussuri and later) repeat what the placement was made
        from.

        :raises MultistoreError: what arrived is not what was sent, or it cannot be sent again.
        :raises cinder.exception.CinderException: what Cinder raises for Glance's response.
        """
        if data is not None:
            self._upload(image_id, data)
            if not image_meta:
                return image_meta  # nothing is left that could fail after a success
        return self._service.update(context, image_id, image_meta, purge_props=purge_props)

    def _upload(self, image_id: str, data: Any) -> None:
        try:
            transfer.upload(self._images, image_id, data, self._placement)
        except api.GlanceError as error:
            if error.status == api.Gone.status and self._is_deleted(image_id):
                raise exception.ImageNotFound(image_id=image_id) from error
            if self._request.named and blame.cause_of_error(error).is_store:
                raise _refused(self._request.named, error) from error
            raise _as_cinder_does(image_id, error) from error

    def _is_deleted(self, image_id: str) -> bool:
        """Return whether the image was deleted during its upload: Glance's 410 may mean that too."""
        try:
            self._images.image(image_id)
        except api.NotFound:
            return True
        except Exception as error:
            LOG.debug('Glance does not show image %(image)s: %(error)s', {'image': image_id, 'error': error})
        return False

    # -- A clone of the volume as the image (option image_upload_use_cinder_backend)

    def takes_clone(self) -> bool:
        """Return whether a clone would be in the right store, as far as that is known.

        False: the image has to be uploaded. Where Glance co-locates, an upload comes to all the
        stores of a base image that is in several; a clone is in one.
        """
        placement = self._resolved()
        if placement.colocated:
            return self._upload_instead('Glance co-locates it with its base image')
        self._clone_store = placement.store
        if placement.store is None:
            return True  # Glance goes by the volume's type, as always
        stores = self._images.volume_stores()
        if stores is None:
            return True  # Glance refuses the clone if it cannot use it
        if placement.store not in stores:
            return self._upload_instead('the store %s does not keep images on volumes' % placement.store)
        volume_type = upload_request.type_of(self._volume)
        if stores[placement.store] not in (None, volume_type and volume_type.name):
            return self._upload_instead('the store %s is for volumes of the type %s' % (
                placement.store, stores[placement.store]))
        return True

    def target_stores(self) -> Tuple[str, ...]:
        """Return the stores that the image belongs into; none if that is not known here.

        They are several where Glance co-locates: it puts an upload into one, and copies it to the others.
        """
        placement = self._resolved()
        if placement.degraded:
            return ()
        if placement.store:
            return (placement.store,) + (placement.other_stores if placement.colocated else ())
        try:
            stores = self._images.stores()
        except Exception as error:  # the upload does not depend on it
            LOG.debug('Glance does not show its stores: %s', error)
            return ()
        # With resolve_base_image = never it is still Glance's to follow the base image.
        if stores.default is None or self._request.base_image and stores.follows_base_image:
            return ()
        return (stores.default,)

    def _resolved(self) -> placements.Placement:
        """Return the placement with its store also where Glance would infer that from the base image."""
        if self._request.base_image and self._placement.store is None and (
                self._request.resolve == options.AUTO):
            return transfer.decide_placement(
                self._images, self._request._replace(resolve=options.ALWAYS))
        # A store that this process names is the only one, whatever Glance would do without.
        return self._placement._replace(colocated=False)

    def _upload_instead(self, why: str) -> bool:
        LOG.info('Image %(image)s does not become a clone of volume %(volume)s, but is uploaded: %(why)s.',
                 {'image': self._image_id, 'volume': self._volume.id, 'why': why})
        return False

    def add_location(self, context: Any, image_id: str, url: str, metadata: Any) -> Any:
        """Make a clone of the volume the image's data.

        Cinder's manager deletes the clone when it gets one of three exceptions, and keeps it for
        any other: so the outcome is found out first, whatever the response was.

        :param url: ends with the id of the clone.
        :raises cinder.exception.ImageUnacceptable: the clone is known not to be the image's data, and the
            image will not become active with it.
        :raises cinder.exception.GlanceConnectionFailed: it may be: the clone must stay.
        """
        clone, response = url.rsplit('/', 1)[-1], ''
        try:
            self._images.add_volume(image_id, clone, self._clone_store)
        except image_client.LocationRefused as error:
            raise exception.ImageUnacceptable(image_id=image_id, reason=error) from error
        except Exception as error:
            # Without a response, or with one to a second attempt: Glance may have it, or still be at it.
            response = '; the response was: %s' % error
        try:
            image = self._images.accepted(image_id)
        except api.NotFound as error:
            raise exception.ImageUnacceptable(image_id=image_id, reason=error) from error
        except Exception as error:
            raise self._give_up(image_id, clone, '%s%s' % (error, response)) from error
        if image is None:
            raise exception.ImageUnacceptable(image_id=image_id,
                                              reason='Glance could not use the volume%s' % response)
        self._log_clone(image, clone)
        return image.record

    def _give_up(self, image_id: str, clone: str, error: str) -> Any:
        """Delete the image, which may still become active; return the exception that says so to Cinder.

        The image first: once it is gone, nothing can need the clone any more. An image that is not
        queued is not touched, it may have got its data from another request.
        """
        try:
            status = self._images.image(image_id).status
            if status == 'queued':
                self._images.delete(image_id)
            else:
                raise api.GlanceError('its status is %s' % status)
        except api.NotFound:
            LOG.debug('Image %s is gone already.', image_id)
        except Exception as failure:
            LOG.error('Volume %(clone)s may be the data of image %(image)s (%(error)s), and the image could '
                      'not be deleted (%(failure)s). Check both, and delete what is not needed.',
                      {'clone': clone, 'image': image_id, 'error': error, 'failure': failure})
            return exception.GlanceConnectionFailed(reason=error)
        self._lost = exception.GlanceConnectionFailed(reason=error)
        return exception.ImageUnacceptable(image_id=image_id, reason=error)

    def check_lost(self) -> None:
        """Raise the reason if the image was given up: it cannot be uploaded either."""
        if self._lost is not None:
            raise self._lost

    def _log_clone(self, image: api.Image, clone: str) -> None:
        found = {'image': image.id, 'clone': clone, 'store': self._clone_store,
                 'stores': ', '.join(image.stores) or 'a store that Glance does not show'}
        LOG.info('Image %(image)s is active on the volume %(clone)s, in %(stores)s.', found)
        if self._clone_store and image.stores and self._clone_store not in image.stores:
            LOG.warning('Image %(image)s was meant for the store %(store)s, but Glance put it into '
                        "%(stores)s, which is for volumes of the clone's type.", found)


def with_placement(context: Any, volume: Any, image_service: Any, image_id: str) -> Any:
    """Return an image service that places an upload.

    One that does so already is returned as it is, and so is one that is not Cinder's own: what it
    stands for is not the Glance of our requests.

    :raises StoreNotUsable: see PlacingImageService.
    """
    if isinstance(image_service, glance.GlanceImageService):
        return PlacingImageService(context, volume, image_service, image_id)
    return image_service


def with_volume_type(volume: Any) -> Any:
    """Return the volume, with an empty type if it has none: Cinder would fail without one."""
    if upload_request.type_of(volume) is not None:
        return volume
    volume = volume.obj_clone()
    volume.volume_type = objects.VolumeType(extra_specs={})
    volume.obj_reset_changes(['volume_type'])
    return volume


def _refused(named: placements.StoreRef, error: api.GlanceError) -> BaseException:
    """Return the exception for an upload that a named store refused, if it was the store."""
    if error.status == api.TooLarge.status:
        # A quota of the user's, Glance's limit for an image, or a full store: Cinder has its own message.
        return exception.ImageLimitExceeded('%s (the store %s, named by %s)' % (  # type: ignore
            error, named.store, named.source))
    return exceptions.StoreNotUsable(named_by=named.source, store=named.store,
                                     why=blame.cause_of_error(error).text,
                                     there_are='Glance responded: %s' % error)


def _as_cinder_does(image_id: str, error: api.GlanceError) -> BaseException:
    """Return Cinder's exception for a response of Glance: its callers know those."""
    original = error.original
    if isinstance(original, glanceclient.exc.HTTPOverLimit):
        return exception.ImageLimitExceeded(original)  # type: ignore[no-any-return]
    if original is None:
        return error
    return glance._translate_image_exception(image_id, original)  # type: ignore[no-any-return]
