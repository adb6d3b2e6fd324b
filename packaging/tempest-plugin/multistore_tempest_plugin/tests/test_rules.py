# SPDX-License-Identifier: Apache-2.0
"""Rules on which image is in which store, applied by a timer."""

from tempest.common import utils
from tempest import config
from tempest.lib import decorators

from multistore_tempest_plugin import base

CONF = config.CONF
TAG = 'multistore-%s'


class RulesTest(base.MultistoreTest):
    """The rules of the cloud: an image with the tag multistore-STORE is in that store."""

    features = ('rules',)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1d01')
    @utils.services('image')
    @base.needs('rules')
    def test_tagged_image_comes_to_the_store_that_its_rule_names(self):
        """The image stays where it is, too."""
        first, second = CONF.multistore.stores[:2]
        image = self.bootable_image([first])
        self.image_client.add_image_tag(image, TAG % second)
        self.assert_stores([first, second], image)
        self.assertIn(TAG % second, self.image_client.show_image(image)['tags'])
