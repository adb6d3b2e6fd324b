# SPDX-License-Identifier: Apache-2.0
"""Images in stores of every kind that the cloud has."""

import hashlib

from tempest.common import utils
from tempest import config
from tempest.lib import decorators

from multistore_tempest_plugin import base

CONF = config.CONF


class StoresTest(base.MultistoreTest):
    """Each store of the cloud takes an image, and returns it."""

    features = ('copy_image',)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1e01')
    @utils.services('image')
    @base.needs('copy_image')
    def test_image_is_whole_in_each_store_that_it_is_copied_to(self):
        """Copied there, it is removed from the store that it came from, and read."""
        first = CONF.multistore.stores[0]
        for store in CONF.multistore.stores[1:]:
            image = self.bootable_image([first, store])
            self.admin_images.delete_image_from_store(image, first)
            self.assert_stores([store], image)
            self._assert_whole(image, store)

    def _assert_whole(self, image_id, store):
        image = self.image_client.show_image(image_id)
        found = hashlib.new(image['os_hash_algo'])
        for piece in base.streamed(self.image_client, image_id):
            found.update(piece)
        self.assertEqual(image['os_hash_value'], found.hexdigest(), 'of the copy in ' + store)
