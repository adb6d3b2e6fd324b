# SPDX-License-Identifier: Apache-2.0
"""The image service of one upload: what goes to Glance, and whether a clone may be the image."""

import io

from cinder import exception
import glanceclient.exc

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from tests import fake_glance
from tests.unit.cinder import base


class Service:
    """Stands for Cinder's image service."""

    def __init__(self):
        self.updates = []

    def update(self, context, image_id, image_meta, data=None, purge_props=True):
        self.updates.append((image_id, image_meta, data))
        return {'id': image_id}

    def show(self, context, image_id):
        return 'shown'


class PlacingTestCase(base.TestCase):

    def placing(self, volume, image_id=None):
        from multistore_hooks.cinder import upload_service
        self.service = Service()
        return upload_service.PlacingImageService(None, volume, self.service,
                                                  image_id or self.queued())


class UploadTest(PlacingTestCase):

    def test_data_goes_to_the_store_and_no_request_follows_that_could_fail(self):
        image = self.queued()
        self.placing(base.Volume.naming('cheap')).update(None, image, {}, io.BytesIO(b'data'),
                                                         store_id='fast', base_image_ref='x')
        self.assertEqual(['cheap'], self.glance.where(image))
        self.assertEqual([], self.service.updates)

    def test_what_else_is_to_be_updated_goes_to_cinders_own_service(self):
        image = self.queued()
        self.placing(base.Volume()).update(None, image, {'a': 'b'}, b'data')
        self.assertEqual([(image, {'a': 'b'}, None)], self.service.updates)
        self.assertEqual('shown', self.placing(base.Volume()).show(None, image))

    def test_a_named_store_that_is_not_there_is_an_error_at_once(self):
        error = self.assertRaises(exceptions.StoreNotUsable, self.placing, base.Volume.naming('x'))
        self.assertIn("Volume type 'gold' (image_service:store_id) names the Glance store 'x'", str(error))

    def test_what_cinder_does_not_hand_over_is_left_alone(self):
        from multistore_hooks.cinder import upload_service
        foreign = Service()
        self.assertIs(foreign, upload_service.with_placement(None, base.Volume(), foreign, 'x'))


class BlameTest(PlacingTestCase):
    """What an error names: the store, if that may have refused the upload; else what Cinder says of it."""

    def fail(self, status, volume=None, deleted=False):
        image = self.queued()
        service = self.placing(volume or base.Volume.naming('cheap'), image)
        self.glance.faults.append(fake_glance.Fault('PUT', '/file$', status))
        if deleted:
            del self.glance.images[image]
        return self.assertRaises(Exception, service.update, None, image, {}, b'data')  # noqa: H202

    def test_a_quota_is_cinders_own_error_and_the_store_is_named_beside_it(self):
        error = self.fail(413)
        self.assertIsInstance(error, exception.ImageLimitExceeded)
        self.assertIn("413", str(error))
        self.assertIn("the store cheap, named by volume type 'gold' (image_service:store_id)", str(error))

    def test_a_store_that_takes_no_images(self):
        error = self.fail(410)
        self.assertIsInstance(error, exceptions.StoreNotUsable)
        self.assertIn("Volume type 'gold' (image_service:store_id) names the Glance store 'cheap', which "
                      'takes no images: it is read-only, or Glance could not set it up when it started. '
                      'Glance responded: ', str(error))

    def test_an_image_that_was_deleted_meanwhile_is_no_fault_of_the_store(self):
        self.assertIsInstance(self.fail(410, deleted=True), exception.ImageNotFound)

    def test_a_store_that_glance_calls_wrong(self):
        self.assertIn("'cheap', which refused the image. Glance responded: ", str(self.fail(400)))

    def test_where_no_store_was_named_the_errors_are_cinders(self):
        for status, expected in ((413, exception.ImageLimitExceeded), (400, exception.Invalid),
                                 (403, exception.ImageNotAuthorized), (404, exception.ImageNotFound),
                                 (409, glanceclient.exc.HTTPConflict),
                                 (500, glanceclient.exc.HTTPInternalServerError)):
            self.assertIsInstance(self.fail(status, base.Volume()), expected, status)


class CloneTest(PlacingTestCase):
    """Of the stores reliable, fast and cheap, cheap keeps images on volumes of the type gold."""

    volume_stores = {'cheap': 'gold'}

    def takes_clone(self, volume):
        self.cinder_images.volume_stores = lambda: self.volume_stores
        return self.placing(volume).takes_clone()

    def test_without_a_store_glance_decides(self):
        self.assertTrue(self.takes_clone(base.Volume()))

    def test_a_named_store_must_keep_volumes_of_the_type(self):
        self.assertTrue(self.takes_clone(base.Volume.naming('cheap')))
        self.assertFalse(self.takes_clone(base.Volume.naming('cheap', name='other')))
        self.assertFalse(self.takes_clone(base.Volume.naming('fast')))
        self.assertIn('the store fast does not keep images on volumes', self.log)

    def test_a_store_for_any_type_takes_any(self):
        self.volume_stores = {'cheap': None}
        self.assertTrue(self.takes_clone(base.Volume.naming('cheap', name='other')))

    def test_where_glance_does_not_report_it_is_tried(self):
        self.volume_stores = None
        self.assertTrue(self.takes_clone(base.Volume.naming('fast')))

    def test_a_base_image_decides_like_a_name(self):
        self.assertFalse(self.takes_clone(base.Volume.made_from(self.base('fast'))))
        self.volume_stores = {'cheap': None}
        self.assertTrue(self.takes_clone(base.Volume.made_from(self.base('cheap'))))

    def test_with_the_filter_a_base_image_in_several_stores_is_left_to_it(self):
        self.volume_stores = {'cheap': None, 'reliable': None}
        self.glance.headers = {api.FILTER_HEADER: api.FILTER_TOKEN}
        self.assertTrue(self.takes_clone(base.Volume.made_from(self.base('cheap'))))
        self.assertFalse(self.takes_clone(base.Volume.made_from(self.base('cheap', 'reliable'))))
        self.assertIn('Glance co-locates it', self.log)

    def test_with_a_filter_that_uses_one_store_a_clone_may_be_in_it(self):
        self.volume_stores = {'cheap': None, 'reliable': None}
        self.glance.headers = {api.FILTER_HEADER: '%s, %s' % (api.FILTER_TOKEN, api.ONE_STORE_TOKEN)}
        self.assertTrue(self.takes_clone(base.Volume.made_from(self.base('cheap', 'reliable'))))

    def test_an_upload_is_not_lost_to_the_question_whether_glance_co_locates_it(self):
        self.glance.headers = {api.FILTER_HEADER: api.FILTER_TOKEN}
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 503, times=99))
        self.assertTrue(self.takes_clone(base.Volume.made_from(self.base('cheap', 'reliable'))))
        self.assertEqual(1, len(self.glance.requests('GET', '/v2/images/')))

    def test_without_the_filter_it_is_not(self):
        self.volume_stores = {'cheap': None, 'reliable': None}
        self.assertTrue(self.takes_clone(base.Volume.made_from(self.base('cheap', 'reliable'))))
