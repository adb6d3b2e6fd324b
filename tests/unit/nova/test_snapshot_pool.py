# SPDX-License-Identifier: Apache-2.0
"""Which pool a direct snapshot goes to: the decision, and the backend that follows it."""

from unittest import mock

import fixtures

from multistore_hooks import options
from tests.unit import base
from tests.unit.nova import standins

SITE_IMAGE = 'multistore_hooks.site_image.11111111-1111.0123456789abcdef'
GLANCES = '11111111-1111'


class SnapshotPoolTest(base.FakeGlanceTestCase):

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(standins.Cloud(self.glance))
        options.register_nova_opts(self.cloud.conf)
        from multistore_hooks.nova import rbd
        self.disk = rbd.Rbd()

    def pool(self, parent, store='', snapshot_store=None):
        """Return where a direct snapshot goes, for a disk with this parent."""
        self.cloud.conf.set_override('images_rbd_glance_store_name', store, group='libvirt')
        self.cloud.conf.set_override('snapshot_store', snapshot_store, group='multistore_hooks')
        self.cloud.conf.set_override('glance_rbd_pool', 'glance', group='multistore_hooks')
        parents = {'return_value': ('pool', parent, 'snap')} if parent else {
            'side_effect': self.cloud.exception.ImageUnacceptable(image_id='disk', reason='no parent')}
        with mock.patch.object(self.disk.driver, 'parent_info', **parents):
            return self.disk.direct_snapshot(None, 'name', 'raw', 'image', 'base')

    def fail_to_infer(self):
        """Let Glance hide the locations, by which Nova knows the pool of a flat disk."""
        unknown = self.cloud.exception.ImageUnacceptable(image_id='base', reason='no pool')
        self.useFixture(fixtures.MockPatchObject(standins.Rbd, '_get_parent_pool', side_effect=unknown))

    def test_flat_disk_goes_where_nova_infers(self):
        self.assertEqual("Nova's", self.pool(None, 'dcn1'))

    def test_flat_disk_of_which_nova_infers_nothing_goes_to_the_pool_of_this_site(self):
        self.fail_to_infer()
        self.assertEqual('glance', self.pool(None, 'dcn1'))
        for parent, store in ((None, ''), (GLANCES, 'dcn1')):
            self.assertRaises(self.cloud.exception.ImageUnacceptable, self.pool, parent, store)

    def test_clone_of_a_site_image_goes_to_the_pool_of_this_site(self):
        self.assertEqual('glance', self.pool(SITE_IMAGE, 'dcn1'))

    def test_clone_of_glances_image_goes_where_nova_infers(self):
        for store in ('', 'dcn1'):
            self.assertEqual("Nova's", self.pool(GLANCES, store))

    def test_without_a_store_of_this_site_nova_infers_it_for_a_flat_disk(self):
        self.assertEqual("Nova's", self.pool(None))

    def test_without_a_store_of_this_site_a_clone_of_a_site_image_is_uploaded(self):
        error = self.assertRaises(self.cloud.exception.ImageUnacceptable, self.pool, SITE_IMAGE)
        self.assertIn('images_rbd_glance_store_name', str(error))

    def test_store_named_for_snapshots_decides(self):
        for parent in (None, SITE_IMAGE, GLANCES):
            self.assertRaises(NotImplementedError, self.pool, parent, 'dcn1', 'other')
        for parent in (None, SITE_IMAGE):
            self.assertEqual('glance', self.pool(parent, 'dcn1', 'dcn1'))

    def test_clone_from_another_pool_than_the_named_stores_is_uploaded(self):
        error = self.assertRaises(self.cloud.exception.ImageUnacceptable, self.pool, GLANCES, 'dcn1', 'dcn1')
        self.assertIn("would be in the pool Nova's", str(error))

    def test_pool_that_does_not_exist_leads_to_the_upload(self):
        no_pool = self.cloud.rbd_utils.rados.ObjectNotFound('no pool')
        with mock.patch.object(standins.Rbd, 'direct_snapshot', side_effect=no_pool):
            error = self.assertRaises(self.cloud.exception.ImageUnacceptable, self.pool, None, 'dcn1')
        self.assertIn('glance_rbd_pool', str(error))
