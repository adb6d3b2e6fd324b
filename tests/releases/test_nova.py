# SPDX-License-Identifier: Apache-2.0
"""A release of Nova, patched, and our driver in it: where its snapshots go in a real Glance."""

import os
import uuid

import testtools

from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional import nova_runs
from tests.functional import shared
from tests.releases import under_test

DATA = os.urandom(2 << 20)
STORES = {'fast': 'file', 'rbd': 'file', 'ceph1-rbd': 'file', 'web': 'http'}
KINDS = ('snapshot', 'backup', 'shelve') + (('cross_cell',) if under_test.MAJOR > 20 else ())
OURS, STOCK = nova_runs.OURS, nova_runs.STOCK


class NovaTestCase(testtools.TestCase):
    """A real Glance with several stores, the default is fast; servers whose disks hold DATA."""

    def setUp(self):
        super().setUp()
        self.useFixture(under_test.overlaid())
        # Up to 29 Nova says qcow2 of the empty image of a volume's snapshot, which Glance 33 refuses.
        self.glance = shared.glance('nova', stores=STORES, default='fast', faults=True,
                                    conf={'image_format': {'require_image_format_match': 'false'}})
        self.disk = nova_runs.disk(DATA)

    def base(self, *stores):
        return self.glance.add_image(b'base image', stores, token=nova_runs.TOKEN)

    def operation(self, kind, base_image):
        return nova_runs.operation(kind, base_image, self.disk)

    def nova(self, driver, *operations, **conf):
        """Run operations in a nova-compute of the release; return their results."""
        document = {'glance_url': self.glance.url, 'token': nova_runs.TOKEN, 'compute_driver': driver,
                    'nova_root': under_test.PATCHED, 'operations': list(operations), 'conf': conf}
        ran = compute_hosts.run(document, python=under_test.PYTHON)
        self.assertEqual(under_test.MAJOR, int(ran['nova'].split('.')[0]))
        return ran['results']

    def assertIsIn(self, store, result, data=DATA):
        """The image is in this store alone, as Glance says and as the files on disk say, and whole."""
        self.assertIsNone(result['error'])
        self.assertEqual({store}, self.glance.stores_of(result['image_id']))
        self.assertTrue(data == self.glance.data(store, result['image_id']), 'the bytes differ')

    def assertRefused(self, result, *words):
        """No byte was sent, and nothing was left behind."""
        for word in words:
            self.assertIn(word, result['error'])
        self.assertEqual([], self.glance.requests('PUT', result['image_id'] + '/file$'))
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + result['image_id']).status)


class PlacementTest(NovaTestCase):

    def test_every_kind_of_snapshot_goes_to_the_base_images_store(self):
        base_image = self.base('ceph1-rbd')
        for result in self.nova(OURS, *(self.operation(kind, base_image) for kind in KINDS)):
            self.assertIsIn('ceph1-rbd', result)
            sent = self.glance.requests('PUT', result['image_id'] + '/file$')[-1]['headers']
            self.assertEqual(base_image, sent['x-openstack-base-image-ref'])

    def test_without_base_image_it_goes_to_the_default_store(self):
        of_volume, of_deleted = self.nova(
            OURS, {'operation': 'volume_snapshot', 'image_ref': '', 'image_name': 'of a volume'},
            self.operation('snapshot', str(uuid.uuid4())))
        self.assertIsIn('fast', of_volume, b'')
        self.assertIsIn('fast', of_deleted)
        self.assertIn('WARNING multistore_hooks', ''.join(of_deleted['log']))

    def test_dedicated_store_comes_before_the_base_images(self):
        result, = self.nova(OURS, self.operation('snapshot', self.base('ceph1-rbd')),
                            multistore_hooks={'snapshot_store': 'rbd'})
        self.assertIsIn('rbd', result)

    def test_dedicated_store_that_is_not_there_is_one_clear_error_before_any_byte(self):
        result, = self.nova(OURS, self.operation('snapshot', self.base('rbd')),
                            multistore_hooks={'snapshot_store': 'nope'})
        self.assertRefused(result, "snapshot_store names the Glance store 'nope', which does not exist",
                           'fast (default)')

    def test_stock_driver_of_the_patched_nova_is_stock(self):
        result, = self.nova(STOCK, self.operation('snapshot', self.base('rbd')))
        self.assertIsIn('fast', result)


class RetryTest(NovaTestCase):

    def test_image_is_whole_after_a_503_in_the_middle_of_the_upload(self):
        base_image = self.base('rbd')
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1 << 20)
        result, = self.nova(OURS, self.operation('snapshot', base_image), glance={'num_retries': '1'})
        self.assertEqual([503, 204], [sent['status'] for sent in self.glance.requests('PUT', '/file$')][-2:])
        self.assertIsIn('rbd', result)


class CopyTest(copy_sites.SitesTestCase):
    """Two sites, each with a real Ceph cluster, and a Glance with a store in each; hosts of ours there."""

    python, nova_dir = under_test.PYTHON, os.path.join(under_test.STOCK, 'nova')

    def setUp(self):
        super().setUp()
        self.useFixture(under_test.overlaid())

    def test_cold_image_is_copied_for_an_ordinary_member_and_cloned(self):
        image = self.image()
        booted = self.boot(self.host(), image)
        self.assertCloned(booted, image, self.a)
        self.assertEqual({'central', 'dcn1'}, self.glance.stores_of(image))
        self.assertEqual(([202], []), (self.asked(image), self.downloads()))

    def test_image_that_is_here_is_cloned_and_nothing_is_requested(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([], self.asked(image))
