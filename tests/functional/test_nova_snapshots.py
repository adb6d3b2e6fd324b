# SPDX-License-Identifier: Apache-2.0
"""Where the real Nova's snapshots go: stock, with the driver, with and without the filter."""

import os
import uuid

import testtools

from lab.glance import BASE_IMAGE_FILTER
from tests.functional import nova_runs
from tests.functional import shared

OURS, STOCK = nova_runs.OURS, nova_runs.STOCK
STORES = {'fast': 'file', 'rbd': 'file', 'ceph1-rbd': 'file', 'odd %2B name': 'file', 'web': 'http',
          'off': 'disabled', 'full': 'full'}
DATA = os.urandom(3 << 20)
MEMBER = nova_runs.TOKEN


class SnapshotTestCase(testtools.TestCase):
    """Shares one Glance, and takes snapshots of servers whose disk holds DATA."""

    name, options = 'plain', {'stores': STORES, 'default': 'fast', 'faults': True}

    def setUp(self):
        super().setUp()
        self.glance = shared.glance(self.name, **self.options)
        self.glance.clear_faults()
        self.disk = nova_runs.disk(DATA)

    def base(self, *stores):
        return self.glance.add_image(b'base image', stores, token=MEMBER)

    def operation(self, base_image, kind='snapshot'):
        return nova_runs.operation(kind, base_image, self.disk)

    def snapshot(self, driver, base_image, kinds=('snapshot',), **conf):
        """Take snapshots that have to succeed; return their image ids."""
        results = nova_runs.compute(self.glance, driver,
                                    *(self.operation(base_image, kind) for kind in kinds), **conf)
        self.assertEqual([None] * len(results), [result['error'] for result in results])
        self.said = [line for result in results for line in result['log']]
        return [result['image_id'] for result in results]

    def fail(self, driver, base_image, **conf):
        """Take a snapshot that has to fail; return the error and the image id."""
        result, = nova_runs.compute(self.glance, driver, self.operation(base_image), **conf)
        self.assertIsNotNone(result['error'])
        return result['error'], result['image_id']

    def assertIsIn(self, stores, image_id, data=DATA):
        """The image is in just these stores, as Glance says and as the files on disk say, and whole."""
        self.assertEqual(set(stores), self.glance.stores_of(image_id))
        on_disk = {store for store, kind in self.glance._kinds.items()
                   if kind == 'file' and image_id in self.glance.files(store)}
        self.assertEqual(set(stores), on_disk)
        for store in stores:
            self.assertTrue(data == self.glance.data(store, image_id), 'the bytes differ in ' + store)

    def headers(self, image_id):
        """Return the three headers of the last upload of an image."""
        sent = self.glance.requests('PUT', image_id + '/file$')[-1]['headers']
        return tuple(sent.get(name) for name in (
            'x-image-meta-store', 'x-openstack-base-image-ref', 'x-openstack-multistore-hooks'))


class WithoutFilterTest(SnapshotTestCase):

    def test_stock_snapshot_goes_to_the_default_store(self):
        image_id, = self.snapshot(STOCK, self.base('rbd'))
        self.assertIsIn({'fast'}, image_id)

    def test_every_kind_of_snapshot_goes_to_the_base_images_store_with_both_headers(self):
        base_image = self.base('rbd')
        for image_id in self.snapshot(OURS, base_image, ('snapshot', 'backup', 'shelve', 'cross_cell')):
            self.assertIsIn({'rbd'}, image_id)
            self.assertEqual(('rbd', base_image, 'snapshot'), self.headers(image_id))

    def test_store_whose_name_contains_another(self):
        image_id, = self.snapshot(OURS, self.base('ceph1-rbd'))
        self.assertIsIn({'ceph1-rbd'}, image_id)

    def test_store_with_an_odd_name(self):
        image_id, = self.snapshot(OURS, self.base('odd %2B name'))
        self.assertIsIn({'odd %2B name'}, image_id)

    def test_base_image_in_two_stores_one_of_them_the_default(self):
        image_id, = self.snapshot(OURS, self.base('rbd', 'fast'))
        self.assertIsIn({'fast'}, image_id)

    def test_dedicated_store_comes_before_the_base_image(self):
        base_image = self.base('rbd')
        image_id, = self.snapshot(OURS, base_image, multistore_hooks={'snapshot_store': 'ceph1-rbd'})
        self.assertIsIn({'ceph1-rbd'}, image_id)
        self.assertEqual(('ceph1-rbd', base_image, 'snapshot'), self.headers(image_id))

    def test_deleted_base_image_is_a_warning_and_the_default_store(self):
        image_id, = self.snapshot(OURS, str(uuid.uuid4()))
        self.assertIsIn({'fast'}, image_id)
        self.assertIn("Glance's default store", ''.join(self.said))
        self.assertTrue([line for line in self.said if line.startswith('WARNING multistore_hooks')])

    def test_dedicated_store_that_does_not_exist_is_one_clear_error_before_any_byte(self):
        error, image_id = self.fail(OURS, self.base('rbd'), multistore_hooks={'snapshot_store': 'nope'})
        self.assertIn("[multistore_hooks] snapshot_store names the Glance store 'nope', which does not exist",
                      error)
        self.assertIn('fast (default)', error)
        self.assertEqual([], self.glance.requests('PUT', image_id + '/file$'))
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + image_id).status)

    def test_shelving_into_a_store_that_does_not_exist_leaves_no_record(self):
        # Nova itself deletes the record when a snapshot fails, and leaves it when a shelve does.
        result, = nova_runs.compute(self.glance, OURS, self.operation(self.base('rbd'), 'shelve'),
                                    multistore_hooks={'snapshot_store': 'nope'})
        self.assertIn("'nope', which does not exist", result['error'])
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + result['image_id']).status)

    def test_shelving_that_fails_leaves_no_record(self):
        base_image = self.base('rbd')
        self.glance.fault('PUT', '/file$', status=413, times=None)
        result, = nova_runs.compute(self.glance, OURS, self.operation(base_image, 'shelve'))
        self.assertIn('Quota exceeded', result['error'])
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + result['image_id']).status)
        self.assertFalse([line for line in result['log'] if 'could not be deleted' in line])

    def test_dedicated_store_that_is_read_only_is_one_clear_error_before_any_byte(self):
        error, image_id = self.fail(OURS, self.base('rbd'), multistore_hooks={'snapshot_store': 'web'})
        self.assertIn("'web', which is read-only", error)
        self.assertEqual([], self.glance.requests('PUT', image_id + '/file$'))

    def test_dedicated_store_that_refuses_is_an_error_and_leaves_nothing(self):
        for store in ('off', 'full'):
            _error, image_id = self.fail(OURS, self.base('rbd'), multistore_hooks={'snapshot_store': store})
            self.assertEqual(404, self.glance.request('GET', '/v2/images/' + image_id).status)

    def test_resolve_base_image_never_sends_the_header_alone(self):
        base_image = self.base('rbd')
        image_id, = self.snapshot(OURS, base_image, multistore_hooks={'resolve_base_image': 'never'})
        self.assertEqual((None, base_image, 'snapshot'), self.headers(image_id))

    def test_volume_backed_snapshot_goes_to_the_default_store(self):
        result, = nova_runs.compute(self.glance, OURS, {
            'operation': 'volume_snapshot', 'image_ref': '', 'image_name': 'of a volume'})
        self.assertIsNone(result['error'])
        self.assertIsIn({'fast'}, result['image_id'], b'')


class RefusingStoreTest(SnapshotTestCase):
    """The base image's store is there, and takes no more."""

    name = 'refusing'
    options = {'stores': {'fast': 'file', 'small': 'full:1000'}, 'default': 'fast', 'faults': True}

    def test_full_store_of_the_base_image_is_replaced_by_the_default(self):
        image_id, = self.snapshot(OURS, self.base('small'))
        self.assertIsIn({'fast'}, image_id)
        self.assertIn('was not accepted: the store small is full', ''.join(self.said))

    def test_upload_that_ends_in_an_error_of_glances_own_is_sent_once(self):
        base_image = self.base('small')
        self.glance.fault('PUT', '/file$', status=500, times=None)
        _error, image_id = self.fail(OURS, base_image)
        self.assertEqual(1, len(self.glance.requests('PUT', image_id + '/file$')))
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + image_id).status)

    def test_store_that_is_disabled_after_the_base_image_was_made_is_replaced_by_the_default(self):
        base_image = self.base('small')
        for _ in range(2):  # the upload to the base image's store, as an operator's outage would have it
            self.glance.fault('PUT', '/file$', status=410, at='before', times=1)
            image_id, = self.snapshot(OURS, base_image)
            self.assertIsIn({'fast'}, image_id)


class WithFilterTest(SnapshotTestCase):

    name = 'filtered'
    options = dict(SnapshotTestCase.options, filters=[BASE_IMAGE_FILTER])

    def test_stock_snapshot_goes_to_the_base_images_store(self):
        base_image = self.base('rbd')
        image_id, backup_id = self.snapshot(STOCK, base_image, ('snapshot', 'backup'))
        self.assertIsIn({'rbd'}, image_id)
        self.assertIsIn({'rbd'}, backup_id)
        self.assertEqual((None, None, None), self.headers(image_id))

    def test_stock_snapshot_of_a_deleted_base_image_goes_to_the_default_store(self):
        image_id, = self.snapshot(STOCK, str(uuid.uuid4()))
        self.assertIsIn({'fast'}, image_id)

    def test_the_driver_leaves_it_to_the_filter(self):
        base_image = self.base('rbd')
        image_id, = self.snapshot(OURS, base_image)
        self.assertIsIn({'rbd'}, image_id)
        self.assertEqual((None, base_image, 'snapshot'), self.headers(image_id))

    def test_snapshot_of_a_base_image_in_two_stores_goes_to_one(self):
        for driver in (STOCK, OURS):
            image_id, = self.snapshot(driver, self.base('rbd', 'ceph1-rbd'))
            self.glance.wait_for_import(image_id)
            self.assertIsIn({'rbd'}, image_id)

    def test_dedicated_store_comes_before_the_filter(self):
        image_id, = self.snapshot(OURS, self.base('rbd'), multistore_hooks={'snapshot_store': 'ceph1-rbd'})
        self.assertIsIn({'ceph1-rbd'}, image_id)


class RetryTest(SnapshotTestCase):
    """Glance responds with 503 once, in the middle of an upload."""

    def setUp(self):
        super().setUp()
        self.base_image = self.base('rbd')
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1 << 20)

    def test_stock_nova_reports_success_on_a_damaged_image(self):
        image_id, = self.snapshot(STOCK, self.base_image, glance={'num_retries': '1'})
        image = self.glance.image(image_id)
        self.assertEqual('active', image['status'])
        self.assertTrue(image['size'] < len(DATA), image['size'])

    def test_with_the_driver_the_image_is_whole(self):
        image_id, = self.snapshot(OURS, self.base_image, glance={'num_retries': '1'})
        self.assertIsIn({'rbd'}, image_id)

    def test_store_that_stays_unavailable_is_replaced_by_the_default(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1 << 20,
                          text='Insufficient permissions on image storage media')
        image_id, = self.snapshot(OURS, self.base_image, glance={'num_retries': '1'})
        self.assertIsIn({'fast'}, image_id)

    def test_glance_that_stays_unavailable_is_an_error_and_leaves_nothing(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1 << 20)
        error, image_id = self.fail(OURS, self.base_image, glance={'num_retries': '0'})
        self.assertIn('GlanceConnectionFailed', error)
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + image_id).status)


class LostResponseTest(SnapshotTestCase):
    """Glance has the whole image, and its response is lost."""

    def test_upload_that_arrived_is_no_failure(self):
        base_image = self.base('rbd')
        for action in ('status', 'reset'):
            self.glance.fault('PUT', '/file$', at='after', action=action)
            image_id, = self.snapshot(OURS, base_image)
            self.assertIsIn({'rbd'}, image_id)


class SingleStoreTest(SnapshotTestCase):
    """A Glance of one store, without the discovery call: all is as stock."""

    name, options = 'one', {'stores': {'only': 'file'}, 'multistore': False, 'faults': True}

    def test_snapshot_goes_where_it_always_went(self):
        image_id, = self.snapshot(OURS, self.glance.add_image(b'base image', token=MEMBER))
        self.assertTrue(self.glance.data('only', image_id) == DATA, 'the bytes differ')  # noqa: H204
        self.assertFalse([line for line in self.said if line.startswith('WARNING multistore_hooks')])

    def test_dedicated_store_is_one_clear_error(self):
        error, _image_id = self.fail(OURS, str(uuid.uuid4()), multistore_hooks={'snapshot_store': 'only'})
        self.assertIn('does not have several stores', error)


class OneOfOneTest(SnapshotTestCase):
    """A Glance with several stores of which there is one."""

    name, options = 'one-of-one', {'stores': {'fast': 'file'}, 'default': 'fast', 'faults': True}

    def test_snapshot_goes_there_without_a_warning(self):
        image_id, = self.snapshot(OURS, self.base('fast'))
        self.assertIsIn({'fast'}, image_id)
        self.assertFalse([line for line in self.said if line.startswith('WARNING multistore_hooks')])
