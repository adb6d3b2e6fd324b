# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume manager with the hook: uploads, clones as images, and what is left when they fail."""

from cinder import exception
from cinder.image import glance
import cinder.volume.manager
import glanceclient.exc
import testtools

from multistore_hooks.cinder import manager
from multistore_hooks.cinder import patched
from multistore_hooks.cinder import upload_service
from multistore_hooks import exceptions
from multistore_hooks.upload import counted_body
from tests.unit.cinder import base


@testtools.skipIf(base.REAL, "Cinder's own manager needs a database")
class ManagerTestCase(base.TestCase):

    clones = False

    def setUp(self):
        super().setUp()
        self.service = glance.GlanceImageService()
        self.manager = manager.VolumeManager(image_service=self.service)
        self.manager.driver.configuration = cinder.volume.manager.Configuration(
            image_upload_use_cinder_backend=self.clones)

    def upload(self, volume, **image):
        self.image = self.queued()
        self.manager.copy_volume_to_image(base.Context(), volume, dict(
            {'id': self.image, 'disk_format': 'raw', 'container_format': 'bare'}, **image))
        return self.glance.where(self.image)


class UploadTest(ManagerTestCase):

    def test_the_data_goes_to_the_store_of_the_type(self):
        self.assertEqual(['cheap'], self.upload(base.Volume.naming('cheap')))

    def test_a_volume_without_a_type_goes_to_the_store_of_its_base_image(self):
        self.assertEqual(['cheap'], self.upload(base.Volume.made_from(self.base('cheap'))))

    def test_a_failed_upload_leaves_no_record(self):
        self.assertRaises(exceptions.StoreNotUsable, self.upload, base.Volume.naming('nowhere'))
        self.assertEqual({}, self.glance.images)

    def test_an_image_that_got_its_data_from_its_owner_meanwhile_stays(self):
        """Glance refuses the hook's own upload: it has written nothing, and deletes nothing."""
        image = self.queued()
        self.images().upload(image, counted_body.CountedBody(b'the data of the owner'))
        self.assertRaises(glanceclient.exc.HTTPConflict, self.manager.copy_volume_to_image, base.Context(),
                          base.Volume(), {'id': image})
        self.assertEqual(b'the data of the owner', self.glance.data['fast', image])


class CloneTest(ManagerTestCase):

    clones = True

    def setUp(self):
        super().setUp()
        self.added = []
        self.cinder_images.volume_stores = lambda: None
        self.cinder_images.add_volume = lambda *arguments: self.added.append(arguments)
        self.cinder_images.accepted = self.active

    def active(self, image_id):
        return self.cinder_images.image(image_id)._replace(status='active', stores=('gold',))

    def test_a_clone_becomes_the_image(self):
        self.assertEqual([], self.upload(base.Volume.naming('cheap')))
        self.assertEqual([(self.image, 'the-clone', 'cheap')], self.added)
        self.assertEqual([], self.manager.deleted)
        self.assertIn('WARNING Image %s was meant for the store cheap, but Glance put it into gold'
                      % self.image, self.log)

    def test_another_format_is_uploaded_without_a_word_about_stores(self):
        self.assertEqual(['fast'], self.upload(base.Volume.naming('fast'), disk_format='qcow2'))
        self.assertEqual([], self.added)
        self.assertNotIn('does not become a clone', self.log)

    def test_a_store_that_keeps_no_volumes_gets_an_upload(self):
        self.cinder_images.volume_stores = lambda: {'gold': None}
        self.assertEqual(['fast'], self.upload(base.Volume.naming('fast')))
        self.assertIn('does not become a clone of volume the volume, but is uploaded: the store fast does '
                      'not keep images on volumes', self.log)

    def test_a_refused_clone_is_deleted_and_the_volume_uploaded(self):
        self.cinder_images.add_volume = self.raising(base.image_client.LocationRefused('400', 400))
        self.assertEqual(['cheap'], self.upload(base.Volume.naming('cheap')))
        self.assertEqual(['the-clone'], self.manager.deleted)

    def test_a_clone_that_glance_is_known_not_to_have_taken_is_deleted_and_the_volume_uploaded(self):
        self.cinder_images.accepted = lambda image_id: None
        self.assertEqual(['cheap'], self.upload(base.Volume.naming('cheap')))
        self.assertEqual(['the-clone'], self.manager.deleted)

    def test_a_clone_that_may_be_taken_yet_is_deleted_only_after_the_image(self):
        self.cinder_images.accepted = self.raising(ValueError('no decision'))
        self.cinder_images.add_volume = self.raising(ValueError('500 from Glance'))
        error = self.assertRaises(exception.GlanceConnectionFailed, self.upload, base.Volume.naming('cheap'))
        self.assertIn('no decision; the response was: 500 from Glance', str(error))
        self.assertEqual(({}, ['the-clone']), (self.glance.images, self.manager.deleted))

    def test_a_clone_stays_when_the_image_cannot_be_deleted(self):
        self.cinder_images.accepted = self.raising(ValueError('no decision'))
        self.cinder_images.delete = self.raising(ValueError('no connection'))
        self.assertRaises(exception.GlanceConnectionFailed, self.upload, base.Volume.naming('cheap'))
        self.assertEqual([], self.manager.deleted)
        self.assertIn('ERROR Volume the-clone may be the data of image %s (no decision)' % self.image,
                      self.log)

    def test_an_image_that_is_not_queued_any_more_is_not_deleted(self):
        """Its owner, or Glance, has given it data after all."""
        def fill(image_id):
            self.glance.images[image_id]['status'] = 'active'
            raise ValueError('no decision')
        self.cinder_images.accepted = fill
        self.assertRaises(exception.GlanceConnectionFailed, self.upload, base.Volume.naming('cheap'))
        self.assertEqual(([self.image], []), (list(self.glance.images), self.manager.deleted))

    def test_an_image_that_is_gone_needs_no_clone(self):
        def delete(image_id):
            self.cinder_images.delete(image_id)
            self.cinder_images.image(image_id)
        self.cinder_images.accepted = delete
        self.assertRaises(exception.ImageNotFound, self.upload, base.Volume.naming('cheap'))
        self.assertEqual(['the-clone'], self.manager.deleted)

    @staticmethod
    def raising(error):
        def fail(*arguments):
            raise error
        return fail


class PatchedTest(base.TestCase):

    def test_cinders_own_manager_gets_a_placing_image_service_and_a_volume_with_a_type(self):
        volume, service = patched.place(None, base.Volume.naming('cheap'), glance.GlanceImageService(),
                                        {'id': 'x'})
        self.assertEqual('gold', volume.volume_type.name)
        self.assertIsInstance(service, upload_service.PlacingImageService)
        self.assertIs(service, patched.place(None, volume, service, {'id': 'x'})[1])
