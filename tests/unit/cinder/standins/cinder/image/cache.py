# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.image.cache: ``entries`` are the ids of cached images."""


class ImageVolumeCache:

    entries = set()

    def __init__(self, db, volume_api):
        pass

    def get_entry(self, context, volume, image_id, image_meta):
        return {'image_id': image_id} if image_id in self.entries else None
