# SPDX-License-Identifier: Apache-2.0
"""What a volume says about the store of its image: its type, its base image, and cinder.conf."""

from typing import Any
from typing import Optional
from typing import Tuple

from cinder import exception
from oslo_config import cfg
from oslo_log import log as logging

from multistore_hooks.glance_api import api
from multistore_hooks import options
from multistore_hooks.upload import placements

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

options.register_cinder_opts(CONF)

STORE_KEY = 'image_service:store_id'


def request_for(volume: Any) -> placements.UploadRequest:
    """Return what is known of a volume's upload before a request to Glance."""
    return placements.UploadRequest(named=named_store(volume), base_image=_base_image(volume),
                                    resolve=CONF.multistore_hooks.resolve_base_image)


def named_store(volume: Any) -> Optional[placements.StoreRef]:
    """Return the store that the volume's type names, or ``upload_store``, or None."""
    volume_type, store = _store_of_type(volume)
    if store:
        return placements.StoreRef(store, "volume type '%s' (%s)" % (volume_type.name, STORE_KEY))
    store = CONF.multistore_hooks.upload_store
    return placements.StoreRef(store, '[multistore_hooks] upload_store') if store else None


def named_by(volume: Any) -> str:
    """Return what names the store, in words for users: extra specs and options are for administrators."""
    volume_type, store = _store_of_type(volume)
    return "volume type '%s'" % volume_type.name if store else 'the configuration of Cinder'


def _store_of_type(volume: Any) -> Tuple[Any, Optional[str]]:
    volume_type = type_of(volume)
    return volume_type, (volume_type.extra_specs or {}).get(STORE_KEY) if volume_type else None


def type_of(volume: Any) -> Any:
    """Return the volume's type; None for what was made before Train, and if its type is gone."""
    try:
        return volume.volume_type
    except exception.VolumeTypeNotFound:
        return None


def _base_image(volume: Any) -> Optional[str]:
    image_id = (volume.glance_metadata or {}).get('image_id')
    if not image_id:
        return None
    canonical = api.canonical_id(image_id)
    if canonical is None:
        # A user can set it (os-set_image_metadata), and it would go into a header and a path.
        LOG.warning('Volume %(volume)s has the image_id %(image)r, which is not a UUID: its image does '
                    "not follow a base image.", {'volume': volume.id, 'image': str(image_id)[:80]})
        return None
    return canonical
