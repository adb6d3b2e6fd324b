# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.volume.drivers.rbd."""

from cinder.volume.drivers import plain


class RBDDriver(plain.Driver):
    """``present`` are the URLs of images in the backend's cluster, ``tried`` those that it was given."""

    rados = rbd = None

    def __init__(self, configuration=None, **kwargs):
        super().__init__(configuration, **kwargs)
        self.present, self.tried = set(), []

    def _get_fsid(self):
        return 'fsid'

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        direct_url, locations = image_location
        for url in [location['url'] for location in locations or ()] or [direct_url]:
            self.tried.append(url)
            if url in self.present and image_meta['disk_format'] == 'raw':
                return {'cloned_from': url}, True
        return {}, False
