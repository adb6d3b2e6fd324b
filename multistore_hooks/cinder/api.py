# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume API, which refuses an upload to a store that cannot take it.

``[DEFAULT] volume_api_class = multistore_hooks.cinder.api.API`` in cinder.conf of the API service,
no patch. Train and later.

Glance lists its stores for everybody, and which of them are read-only. It does not show which store is
*disabled*, because it could not be set up when Glance started (``stores/detail`` does not either): an
upload to that one is refused with 410. It fails in the volume service, with an error that names the
store.
"""

from typing import Any
from typing import Dict
from typing import Optional

from cinder import exception
from cinder.volume import api
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import excutils
from oslo_utils import uuidutils

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_request
from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.upload import placements

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

#: Beginnings of properties that are Glance's own: a new image must not have them. From Yoga on
#: Cinder drops the first three itself, and what ``reserved_image_namespaces`` adds.
_RESERVED = ('os_glance', 'img_signature', 'signature_verified')
#: Glance refuses a new image with one of these.
_NOT_SETTABLE = ('direct_url', 'file', 'location', 'locations', 'schema', 'self', 'stores')


class StoreNotUsableForUser(exceptions.StoreNotUsable):
    """The same for users who are no administrators: they may not see extra specs and options."""

    msg_fmt = _('%(named_by)s names a Glance store that %(why)s. Ask an administrator to correct it.')


class API(api.API):
    """Cinder's own; an upload is checked first, and leaves nothing behind when it fails."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_service: Any = _ImageService(self.image_service)
        self.volume_rpcapi: Any = _VolumeRPCAPI(self.volume_rpcapi)

    def copy_volume_to_image(self, context: Any, volume: Any, metadata: Any, force: Any) -> Any:
        """Create the image's record and request the upload from the volume service, as Cinder does.

        :raises StoreNotUsable: the named store does not exist or is read-only; the response is 400 with
            this text, for administrators with the store's name. Nothing was created or changed then.
        :raises cinder.exception.ImageCompressionNotAllowed: likewise.
        """
        # An id of our own, by which the record is found if Glance's response is lost.
        image_id = uuidutils.generate_uuid()
        checked = False
        try:
            self._check(context, volume, metadata)
            checked = True
            return super().copy_volume_to_image(context, volume, dict(metadata, id=image_id), force)
        except Exception:
            with excutils.save_and_reraise_exception():
                _delete_unused_key(context, self.key_manager, metadata, image_id if checked else None)

    def _check(self, context: Any, volume: Any, metadata: Any) -> None:
        if (metadata.get('container_format') == 'compressed'
                and not getattr(CONF, 'allow_compression_on_image_upload', True)):
            raise exception.ImageCompressionNotAllowed()
        named = upload_request.named_store(volume)
        if named:
            _check_store(context, named, upload_request.named_by(volume))

    def _merge_volume_image_meta(self, context: Any, volume: Any, image_meta: Dict[str, Any]) -> None:
        super()._merge_volume_image_meta(context, volume, image_meta)
        if 'properties' in image_meta:
            image_meta['properties'] = _settable(image_meta['properties'])
            if not image_meta['properties']:
                del image_meta['properties']  # Glance refuses an empty dictionary (bug 2144550)


def _check_store(context: Any, named: placements.StoreRef, named_by: str) -> None:
    try:
        stores = image_client.images_for(context).stores()
    except Exception as error:
        LOG.warning("The store '%(store)s', named by %(by)s, is not checked, because Glance's stores are "
                    'not known: %(error)s', {'store': named.store, 'by': named.source, 'error': error})
        return
    try:
        placements.check_named(named, stores)
    except exceptions.StoreNotUsable as error:
        if context.is_admin:
            raise
        LOG.warning('%s', error)
        raise StoreNotUsableForUser(**dict(error.kwargs, named_by=named_by)) from error


def _delete_unused_key(context: Any, key_manager: Any, metadata: Any, image_id: Optional[str]) -> None:
    """Delete the copy of a volume's encryption key that was made for an image, if there is no such image.

    Glance deletes it with the image; without an image nothing would. While Glance does not say that there
    is none, the key stays: the image may have it.

    :param image_id: None if no image was requested.
    """
    key = metadata.get('cinder_encryption_key_id')
    if not key:
        return
    try:
        absent = image_id is None or image_client.images_for(context).is_absent(image_id)
        why = _delete_key(context, key_manager, key) if absent else 'the image exists'
    except Exception as error:
        why = error
    if why:
        LOG.warning('The encryption key %(key)s, which was made for the new image %(image)s, was not '
                    'deleted: %(why)s', {'key': key, 'image': image_id, 'why': why})


def _delete_key(context: Any, key_manager: Any, key: str) -> Any:
    try:
        volume_utils.delete_encryption_key(context, key_manager, key)
    except Exception as error:
        return error
    return None


def _settable(properties: Dict[str, Any]) -> Dict[str, Any]:
    reserved = _RESERVED + tuple(getattr(CONF, 'reserved_image_namespaces', None) or ())
    return {name: value for name, value in properties.items()
            if name not in _NOT_SETTABLE and not name.startswith(reserved)}


class _ImageService:
    """Stands before Cinder's image service: a record whose creation ended with an error is found."""

    def __init__(self, image_service: Any) -> None:
        self._service = image_service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def create(self, context: Any, image_meta: Dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Create a record. If Glance has made it in spite of an error, that is a success.

        So it is when its response was lost: Cinder's second attempt is then a conflict with the first.
        """
        try:
            return self._service.create(context, image_meta, *args, **kwargs)
        except Exception as error:
            with excutils.save_and_reraise_exception() as failure:
                made = self._made(context, image_meta.get('id'))
                if made is not None:
                    failure.reraise = False
                    LOG.warning('Creating image %(image)s failed with %(error)s, but Glance has its record; '
                                'treating it as created.', {'image': image_meta['id'], 'error': error})
                    return made
        return None  # not reached

    def _made(self, context: Any, image_id: Optional[str]) -> Any:
        if not image_id:
            return None
        try:
            return self._service.show(context, image_id)
        except exception.ImageNotFound:
            return None
        except Exception as error:
            LOG.error('The record of image %(image)s, which got no data, may exist: Glance does not show it '
                      '(%(error)s). Check, and delete it by hand.', {'image': image_id, 'error': error})
            return None


class _VolumeRPCAPI:
    """Stands before the RPC API: when the volume service cannot be reached, the upload is rolled back."""

    def __init__(self, volume_rpcapi: Any) -> None:
        self._rpcapi = volume_rpcapi

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rpcapi, name)

    def copy_volume_to_image(self, context: Any, volume: Any, image_meta: Any) -> Any:
        try:
            return self._rpcapi.copy_volume_to_image(context, volume, image_meta)
        except Exception:
            with excutils.save_and_reraise_exception():
                image_client.images_for(context).discard(image_meta['id'])
                volume.conditional_update(
                    {'status': volume.model.previous_status, 'previous_status': None},
                    {'status': 'uploading'})
