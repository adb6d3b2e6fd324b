# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.volume.drivers.rbd."""

from cinder.volume.drivers import plain


class RBDDriver(plain.Driver):
    """``present`` are the URLs of images in the backend's cluster, ``tried`` those that it was given."""

    rados = rbd = None
    is_away = False

    def __init__(self, configuration=None, **kwargs):
        super().__init__(configuration, **kwargs)
        self.present, self.tried = set(), []

    def _get_fsid(self):
        if self.is_away:
            raise OSError('rados.TimedOut')
        return 'fsid'

    def _is_cloneable(self, url, image_meta):
        self.tried.append(url)
        if '/no-such-pool/' in url:
            raise OSError('rados.ObjectNotFound')
        return url in self.present and image_meta['disk_format'] == 'raw'

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        direct_url, locations = image_location
        for url in [location['url'] for location in locations or ()] or [direct_url]:
            if url and self._is_cloneable(url, image_meta):
                return {'cloned_from': url}, True
        return {}, False
