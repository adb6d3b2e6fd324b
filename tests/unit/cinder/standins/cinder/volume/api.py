# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.volume.api: the steps of an upload's request, in Cinder's order."""

from oslo_utils import excutils


class API:

    def __init__(self, image_service=None):
        self.image_service, self.volume_rpcapi, self.key_manager = image_service, None, None

    def copy_volume_to_image(self, context, volume, metadata, force):
        volume.status = 'uploading'
        try:
            self._merge_volume_image_meta(context, volume, metadata)
            made = self.image_service.create(context, metadata)
        except Exception:
            with excutils.save_and_reraise_exception():
                volume.status = 'available'
        self.volume_rpcapi.copy_volume_to_image(context, volume, made)
        return {'image_id': made['id']}

    def _merge_volume_image_meta(self, context, volume, image_meta):
        image_meta['properties'] = dict(volume.glance_metadata or {})
