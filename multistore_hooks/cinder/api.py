# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume API, which refuses an upload to a store that cannot take it.

``[DEFAULT] volume_api_class = multistore_hooks.cinder.api.API`` in cinder.conf of the API service,
no patch. Train and later.

What Glance tells about its stores, it tells to everybody: which there are, and which are read-only.
That a store is *disabled*, because it could not be set up when Glance started, it tells nobody
before an upload (it answers 410 then; ``stores/detail`` does not show it either). Such an upload
fails in the volume service, with an error that names the store.
"""

from typing import Any
from typing import Dict

from cinder import exception
from cinder.volume import api
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import excutils
from oslo_utils import uuidutils

from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import upload_request
from multistore_hooks.upload import placements

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

#: Beginnings of properties that are Glance's own: a new image must not have them. From Yoga on
#: Cinder drops the first three itself, and what ``reserved_image_namespaces`` adds.
_RESERVED = ('os_glance', 'img_signature', 'signature_verified')
#: Glance refuses a new image with one of these.
_NOT_SETTABLE = ('direct_url', 'file', 'location', 'locations', 'schema', 'self', 'stores')


class API(api.API):
    """Cinder's own; an upload is checked first, and leaves nothing behind when it fails."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_service: Any = _Records(self.image_service)
        self.volume_rpcapi: Any = _Casts(self.volume_rpcapi)

    def copy_volume_to_image(self, context: Any, volume: Any, metadata: Any, force: Any) -> Any:
        """Create the image's record and ask the volume service for the upload, as Cinder does.

        :raises StoreNotUsable: the named store does not exist or is read-only; Cinder's API answers
            400 with its text. Nothing was created or changed then.
        :raises cinder.exception.ImageCompressionNotAllowed: likewise.
        """
        try:
            self._check(context, volume, metadata)
            return super().copy_volume_to_image(context, volume, metadata, force)
        except Exception:
            with excutils.save_and_reraise_exception():
                _forget_key(context, self.key_manager, metadata)

    def _check(self, context: Any, volume: Any, metadata: Any) -> None:
        if (metadata.get('container_format') == 'compressed'
                and not getattr(CONF, 'allow_compression_on_image_upload', True)):
            raise exception.ImageCompressionNotAllowed()
        named = upload_request.named_store(volume)
        if named:
            _check_store(context, named)

    def _merge_volume_image_meta(self, context: Any, volume: Any, image_meta: Dict[str, Any]) -> None:
        super()._merge_volume_image_meta(context, volume, image_meta)
        if 'properties' in image_meta:
            image_meta['properties'] = _settable(image_meta['properties'])
            if not image_meta['properties']:
                del image_meta['properties']  # Glance refuses an empty dictionary (bug 2144550)


def _check_store(context: Any, named: placements.StoreRef) -> None:
    try:
        stores = image_client.images_for(context).stores()
    except Exception as error:
        LOG.warning("The store '%(store)s', which %(by)s names, is not checked, because Glance's stores are "
                    'not known: %(error)s', {'store': named.store, 'by': named.source, 'error': error})
    else:
        placements.check_named(named, stores)


def _forget_key(context: Any, key_manager: Any, metadata: Any) -> None:
    """Delete the copy of a volume's encryption key that was made for an image which is not to be.

    Glance deletes it with the image; without an image nobody would.
    """
    key = metadata.get('cinder_encryption_key_id')
    if not key:
        return
    try:
        volume_utils.delete_encryption_key(context, key_manager, key)
    except Exception as error:
        LOG.warning('The encryption key %(key)s, which was to be that of a new image, could not be '
                    'deleted: %(error)s', {'key': key, 'error': error})


def _settable(properties: Dict[str, Any]) -> Dict[str, Any]:
    reserved = _RESERVED + tuple(getattr(CONF, 'reserved_image_namespaces', None) or ())
    return {name: value for name, value in properties.items()
            if name not in _NOT_SETTABLE and not name.startswith(reserved)}


class _Records:
    """Stands before Cinder's image service: a record whose creation failed is not left behind."""

    def __init__(self, image_service: Any) -> None:
        self._service = image_service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def create(self, context: Any, image_meta: Dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        # With an id of our own: when Glance's answer is lost, we know what to delete, and Cinder's
        # second attempt is a conflict rather than a second record.
        image_meta = dict(image_meta, id=image_meta.get('id') or uuidutils.generate_uuid())
        try:
            return self._service.create(context, image_meta, *args, **kwargs)
        except Exception:
            with excutils.save_and_reraise_exception():
                image_client.images_for(context).discard(image_meta['id'])


class _Casts:
    """Stands before the RPC API: an upload that cannot be asked for is taken back."""

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
