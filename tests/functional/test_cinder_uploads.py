# SPDX-License-Identifier: Apache-2.0
"""Where uploaded volumes go: the tables of both Cinder specifications, on a real Glance."""

from lab import glance
from tests.functional import cinder_base
from tests.functional.cinder_base import typed

UNKNOWN = '11111111-2222-3333-4444-555555555555'


class UploadTest(cinder_base.CinderTestCase):
    """Each test uploads several volumes in one process, with the bytes looked for on the disk."""

    def assert_placed(self, expected, operations, **request):
        """Run the uploads, and look where each one is; None stands for an upload that fails."""
        results = self.run_uploads(*operations, **request)
        for store, result in zip(expected, results):
            self.assertEqual('available', result['volume_status'], result)
            self.assertEqual(store is None, result['error'] is not None, result)
            if store:
                wanted = {store} if isinstance(store, str) else store
                self.glance.wait_for_import(result['image_id'])
                self.assertEqual(wanted, self.where(result['image_id']), result)
                self.assertEqual(set(self.glance.stores_of(result['image_id'])), wanted)
            elif result['image_id']:
                self.assertNotIn(result['image_id'], self.images())
        return results

    def rows(self, base, two):
        op = self.operation
        return [op(), op(bootable=False), op(base=base), op(typed('reliable')),
                op(typed('reliable'), bootable=False), op(typed('reliable'), base),
                op(False, base), op(False), op(base=two)]

    def test_without_filter_the_service_itself_finds_the_store(self):
        self.start_glance()
        base, two = self.base_image('cheap'), self.base_image('cheap', 'reliable')
        self.assert_placed(['fast', 'fast', 'cheap', 'reliable', 'reliable', 'reliable', 'cheap',
                            'fast', 'cheap'], self.rows(base, two))

    def test_with_filter_the_image_ends_in_all_stores_of_its_base_image(self):
        self.start_glance(filters=[glance.BASE_IMAGE_FILTER])
        base, two = self.base_image('cheap'), self.base_image('cheap', 'reliable')
        self.assert_placed(['fast', 'fast', 'cheap', 'reliable', 'reliable', 'reliable', 'cheap',
                            'fast', {'cheap', 'reliable'}], self.rows(base, two))

    def test_without_keystone_the_store_is_named_too(self):
        self.start_glance()
        base = self.base_image('cheap')
        self.assert_placed(['cheap', 'reliable'],
                           [self.operation(base=base), self.operation(typed('reliable'), base)],
                           auth='noauth', token=glance.ADMIN)

    def test_stock_cinder_goes_to_the_default_store(self):
        self.start_glance()
        self.assert_placed(['fast'], [self.operation(base=self.base_image('cheap'))],
                           volume_manager=cinder_base.STOCK_MANAGER)

    def test_upload_store_comes_after_the_type_and_before_the_base_image(self):
        self.start_glance()
        base = self.base_image('fast')
        self.assert_placed(['cheap', 'cheap', 'reliable'],
                           [self.operation(base=base), self.operation(),
                            self.operation(typed('reliable'), base)],
                           conf={'multistore_hooks': {'upload_store': 'cheap'}})

    def test_upload_store_that_is_not_there_is_refused_and_the_option_logged(self):
        self.start_glance()
        result, = self.assert_placed([None], [self.operation()],
                                     conf={'multistore_hooks': {'upload_store': 'nowhere'}})
        self.assertEqual('api', result['stage'])
        self.assertIn('The configuration of Cinder names a Glance store that does not exist. Ask an '
                      'administrator', result['error'])
        self.assertIn("[multistore_hooks] upload_store names the Glance store 'nowhere', which does not "
                      'exist. The stores are: reliable, fast (default), cheap', ' '.join(result['log']))

    def test_a_qcow2_image_goes_the_same_way(self):
        self.start_glance()
        result, = self.run_uploads(self.operation(base=self.base_image('cheap'), disk_format='qcow2'))
        if 'qemu-img' in str(result['error']):
            self.skipTest('qemu-img is not installed, and its stand-in knows raw only')
        self.assertIsNone(result['error'])
        self.assertEqual(b'QFI\xfb', self.glance.data('cheap', result['image_id'])[:4])

    def test_a_named_store_that_cannot_be_used_fails_before_a_byte_moves_where_glance_reports(self):
        self.start_glance(faults=True)
        results = self.assert_placed([None] * 4, [
            self.operation(typed(store)) for store in ('nowhere', 'web', 'off', 'full')])
        self.assertEqual(['api', 'api', 'manager', 'manager'], [one['stage'] for one in results])
        for store, expected, result in zip(
                ('nowhere', 'web', 'off', 'full'),
                ("Volume type 'type of %s' names a Glance store that does not exist.",
                 "Volume type 'type of %s' names a Glance store that is read-only.",
                 "Volume type 'type of %s' (image_service:store_id) names the Glance store 'off', which "
                 'takes no images', "named by volume type 'type of %s' (image_service:store_id)"), results):
            self.assertIn(expected % store, result['error'])
        # Nobody reports that a store is disabled, or full, but an upload.
        self.assertEqual(2, len(self.glance.requests('PUT', '/file$')))

    def test_without_api_class_the_volume_service_refuses_before_a_byte_moves(self):
        self.start_glance(faults=True)
        result, = self.assert_placed(
            [None], [self.operation(typed('nowhere'))],
            conf={'DEFAULT': {'volume_api_class': 'cinder.volume.api.API'}})
        self.assertEqual('manager', result['stage'])
        self.assertIn('The stores are: reliable', result['error'])
        self.assertEqual([], self.glance.requests('PUT', '/file$'))

    def test_a_base_image_that_cannot_be_used_changes_nothing_but_a_log_line(self):
        self.start_glance()
        foreign = self.base_image('cheap', token=cinder_base.OTHER)
        gone = self.base_image('cheap')
        self.glance.request('DELETE', '/v2/images/' + gone)
        bases = ['evil\r\nX-Image-Meta-Store: cheap', '../../info', 'x' * 300, UNKNOWN, foreign, gone]
        results = self.assert_placed(['fast'] * len(bases), [self.operation(base=base) for base in bases])
        for base, result in zip(bases, results):
            warned = [line for line in result['log'] if line.startswith('WARNING multistore_hooks')]
            self.assertEqual(1, len(warned), result['log'])
            self.assertIn(repr(base[:80])[1:-1], warned[0])
            self.assertNotIn('\r', warned[0])

    def test_an_image_of_another_project_changes_nothing_with_the_filter_either(self):
        self.start_glance(filters=[glance.BASE_IMAGE_FILTER])
        foreign = self.base_image('cheap', token=cinder_base.OTHER)
        self.assert_placed(['fast'], [self.operation(base=foreign)])

    def test_a_base_image_in_no_usable_store_is_warned_about(self):
        self.start_glance()
        queued = self.glance.create_image(token=cinder_base.MEMBER)['id']
        result, = self.assert_placed(['fast'], [self.operation(base=queued)])
        self.assertIn('WARNING multistore_hooks', result['log'][0])

    def test_a_glance_with_one_store_is_used_as_ever(self):
        self.start_glance(stores={'only': 'file'}, default='only', multistore=False)
        base = self.base_image()
        results = self.run_uploads(self.operation(), self.operation(base=base),
                                   self.operation(typed('only')))
        self.assertEqual([None, None], [one['error'] for one in results[:2]])
        self.assertIn('cannot be used: this Glance does not have several stores', results[2]['error'])

    def test_a_503_in_the_middle_ends_in_a_whole_image_where_stock_ends_in_a_short_one(self):
        self.start_glance(faults=True)
        for manager, whole in ((cinder_base.MANAGER, True), (cinder_base.STOCK_MANAGER, False)):
            self.glance.fault('PUT', '/file$', at='body', after_bytes=1, status=503)
            result, = self.run_uploads(self.operation(), volume_manager=manager)
            self.assertIsNone(result['error'])
            size = self.glance.image(result['image_id'])['size']
            self.assertEqual(whole, size == cinder_base.SIZE, '%s: %s' % (manager, size))
