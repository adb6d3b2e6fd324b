# SPDX-License-Identifier: Apache-2.0
"""What the optional patch of cinder/volume/manager.py calls.

For sites whose ``volume_manager`` is a class of their own already; see patches/cinder.
"""

from typing import Any
from typing import Tuple

from multistore_hooks.cinder import upload_service


def place(context: Any, volume: Any, image_service: Any, image_meta: Any) -> Tuple[Any, Any]:
    """Return the volume and the image service with which Cinder goes on: the upload is placed.

    :raises StoreNotUsable: the named store cannot be used; nothing was done with the volume.
    """
    service = upload_service.with_placement(context, volume, image_service, image_meta['id'])
    return upload_service.with_volume_type(volume), service
