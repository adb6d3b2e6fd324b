# SPDX-License-Identifier: Apache-2.0
"""A release of Cinder with our classes named in cinder.conf: where its uploads go in a real Glance."""

import os

import testtools

from lab.cinder import run
from tests.functional import shared
from tests.functional import test_cinder_direct_upload
from tests.functional import test_cinder_drivers
from tests.releases import under_test

DATA = os.urandom(2 << 20)
STORES = {'fast': 'file', 'cheap': 'file', 'reliable': 'file'}
MEMBER = 'u1:p1:member,reader'
ADMIN = 'admin:admin:admin,member,reader'
OURS = 'multistore_hooks.cinder.manager.VolumeManager'
STOCK = 'cinder.volume.manager.VolumeManager'


def typed(store, **more):
    return dict({'type': {'name': 'of ' + store, 'extra_specs': {'image_service:store_id': store}}}, **more)


class CinderTestCase(testtools.TestCase):
    """A real Glance with several stores, the default is fast; volumes that hold DATA."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('cinder', stores=STORES, default='fast', faults=True)
        self.raw = os.path.join(shared.folder('volume'), 'volume.raw')
        with open(self.raw, 'wb') as volume:
            volume.write(DATA)

    def base(self, *stores):
        base_image = self.glance.add_image(b'base image', stores, token=MEMBER)
        return {'bootable': True, 'glance_metadata': {'image_id': base_image}}

    def cinder(self, manager, *volumes, tree=under_test.STOCK, **request):
        """Upload volumes with a cinder-volume of the release; return the results."""
        operations = [{'volume': dict(volume, bytes_from=self.raw), 'image': {'name': 'uploaded'}}
                      for volume in volumes]
        ran = run.run(dict({'glance_url': self.glance.url, 'token': MEMBER, 'volume_manager': manager,
                            'cache_dir': under_test.CACHE, 'operations': operations}, **request),
                      under_test.PYTHON, under_test.path(tree))
        self.assertEqual(under_test.MAJOR, int(ran['cinder'].split('.')[0]))
        return ran['results']

    def assertAreIn(self, stores, results):
        """Each image is in its store alone, as Glance says and as the files on disk say, and whole."""
        self.assertEqual([None] * len(stores), [result['error'] for result in results])
        for store, result in zip(stores, results):
            self.assertEqual({store}, self.glance.stores_of(result['image_id']))
            self.assertTrue(DATA == self.glance.data(store, result['image_id']), 'the bytes differ')

    def assertRefused(self, result, *words):
        """No byte was sent, nothing was left behind, and the volume can be used."""
        for word in words:
            self.assertIn(word, result['error'])
        self.assertEqual([], self.glance.requests('PUT', result['image_id'] + '/file$'))
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + result['image_id']).status)
        self.assertEqual('available', result['volume_status'])

    def check_placed(self, manager, tree):
        base = self.base('cheap')
        *placed, refused = self.cinder(
            manager, {}, {'type': False}, base, dict(base, type=False), typed('reliable', **base),
            typed('nowhere', **base), tree=tree)
        self.assertAreIn(['fast', 'fast', 'cheap', 'cheap', 'reliable'], placed)
        self.assertRefused(refused, "the Glance store 'nowhere', which does not exist", 'fast (default)')


class PlacementTest(CinderTestCase):

    def test_type_then_base_image_then_default_store(self):
        self.check_placed(OURS, under_test.STOCK)

    def test_with_the_optional_patch_and_cinders_own_manager(self):
        if under_test.PATCHED == under_test.STOCK:
            self.skipTest('there is no patch for this release')
        self.check_placed(STOCK, under_test.PATCHED)

    def test_upload_store_comes_before_the_base_images(self):
        results = self.cinder(OURS, self.base('cheap'), typed('cheap'),
                              conf={'multistore_hooks': {'upload_store': 'reliable'}})
        self.assertAreIn(['reliable', 'cheap'], results)

    def test_without_keystone_the_type_is_heeded_too(self):
        good, refused = self.cinder(OURS, typed('cheap'), typed('nowhere'), auth='noauth', token=ADMIN)
        self.assertAreIn(['cheap'], [good])
        self.assertRefused(refused, "'nowhere', which does not exist")

    def test_stock_manager_does_not_follow_the_base_image(self):
        self.assertAreIn(['fast'], self.cinder(STOCK, self.base('cheap')))


class CephTest(test_cinder_direct_upload.DirectUploadTestCase):
    """Volumes of the release in a real Ceph cluster, which has one of Glance's stores."""

    python, tree, cache = under_test.PYTHON, under_test.path(under_test.STOCK), under_test.CACHE

    def test_cold_image_is_copied_once_and_cloned_and_a_volume_is_uploaded_inside_its_cluster(self):
        self.begin()
        self.assertIn('(version %d.' % under_test.MAJOR, self.cinder.log)
        image = self.image('central')
        self.glance.forget_requests()
        for _number in range(2):
            self.assert_clone(self.create(image), image)
        self.assertEqual(([202], 0), (self.requested(), self.downloads()), self.cinder.log[-3000:])
        volume = self.volume()
        uploaded, record = self.upload(volume)
        self.assertEqual((0, test_cinder_direct_upload.SIZE, 'dcn1'),
                         (self.sent(), record['size'], record['stores']), self.cinder.log[-3000:])
        self.assert_image(uploaded)
        self.assert_nothing_is_left(volume)
        self.cinder.delete_volume(volume)
        self.assert_image(uploaded)


class DriversTest(testtools.TestCase):

    def test_every_in_tree_driver_has_the_hook(self):
        drivers = test_cinder_drivers.load_drivers(under_test.PYTHON, under_test.path(under_test.STOCK))
        self.assertEqual({}, {path: wrong for path, wrong in drivers.items() if wrong})
        self.assertLess(60, len(drivers))


class RetryTest(CinderTestCase):

    def test_image_is_whole_after_a_503_in_the_middle_of_the_upload(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1 << 20)
        self.assertAreIn(['reliable'], self.cinder(OURS, typed('reliable')))
        self.assertEqual([503, 204], [sent['status'] for sent in self.glance.requests('PUT', '/file$')])
