# SPDX-License-Identifier: Apache-2.0
"""What the volume API sees to beside the store."""

import types

from cinder import exception
import fixtures
import testtools

from multistore_hooks.cinder import api
from multistore_hooks import exceptions
from tests import fake_glance
from tests.unit.cinder import base


class PropertiesTest(base.TestCase):

    def test_what_glance_keeps_for_itself_is_dropped(self):
        kept = {'hw_disk_bus': 'scsi', 'my_os_glance': 'x', 'stores_of_mine': 'x'}
        self.assertEqual(kept, api._settable(dict(
            kept, os_glance_failed_import='', os_glance_importing_to_stores='', stores='fast',
            img_signature='x', img_signature_uuid='x', signature_verified='False', direct_url='x')))


class Keys:
    """Stands for the key manager."""

    def __init__(self, error=None):
        self.deleted = []
        self._error = error

    def delete(self, context, key):
        self.deleted.append(key)
        if self._error:
            raise self._error


class Records:
    """Stands for Cinder's image service; ``lost`` is raised after the record was made."""

    def __init__(self, glance, lost=None, refused=None, blind=None):
        self._glance, self._lost, self._refused, self._blind = glance, lost, refused, blind
        self.made = []

    def create(self, context, image_meta):
        if self._refused:
            raise self._refused
        record = self._glance.images.pop(self._glance.add_image(owner='p1'))
        self._glance.images[image_meta['id']] = dict(record, id=image_meta['id'])
        self.made.append(image_meta['id'])
        if self._lost:
            raise self._lost
        return dict(image_meta)

    def show(self, context, image_id):
        if self._blind:
            raise self._blind
        if image_id not in self.made:
            raise exception.ImageNotFound(image_id=image_id)
        return {'id': image_id}


class Casts:
    """Stands for the RPC API."""

    def __init__(self, error=None):
        self.casts, self._error = [], error

    def copy_volume_to_image(self, context, volume, image_meta):
        if self._error:
            raise self._error
        self.casts.append(image_meta['id'])


@testtools.skipIf(base.REAL, "Cinder's own API needs a database")
class UploadTest(base.TestCase):

    stores = {'fast': fake_glance.FILE, 'web': fake_glance.READ_ONLY}

    def setUp(self):
        super().setUp()
        self.keys, self.casts, self.volume = Keys(), Casts(), base.Volume()
        self.records = Records(self.glance)

    def upload(self, volume=None, is_admin=False, **metadata):
        self.volume = volume or self.volume
        made = api.API(image_service=self.records)
        made.key_manager, made.volume_rpcapi = self.keys, api._VolumeRPCAPI(self.casts)
        return made.copy_volume_to_image(base.Context(is_admin), self.volume,
                                         dict(metadata, cinder_encryption_key_id='key'), False)

    def assert_nothing_done(self):
        self.assertEqual(([], [], 'available'), (self.records.made, self.casts.casts, self.volume.status))

    def test_the_record_is_made_and_the_volume_service_gets_the_request(self):
        image = self.upload()['image_id']
        self.assertEqual(([image], [image]), (self.records.made, self.casts.casts))
        self.assertEqual([], self.keys.deleted)

    def test_a_member_learns_that_the_store_is_wrong_and_not_what_administrators_wrote(self):
        for store, why in (('web', 'is read-only'), ('secret', 'does not exist')):
            error = self.assertRaises(exceptions.StoreNotUsable, self.upload, base.Volume.naming(store))
            self.assertEqual("Volume type 'gold' names a Glance store that %s. Ask an administrator to "
                             'correct it.' % why, str(error))
            self.assertIn("WARNING Volume type 'gold' (image_service:store_id) names the Glance store '%s'"
                          % store, self.log)
            self.assert_nothing_done()

    def test_an_administrator_gets_the_whole_reason(self):
        error = self.assertRaises(exceptions.StoreNotUsable, self.upload, base.Volume.naming('web'), True)
        self.assertEqual("Volume type 'gold' (image_service:store_id) names the Glance store 'web', which is "
                         'read-only. The stores are: fast (default), web (read-only).', str(error))

    def test_nor_what_stands_in_cinders_configuration(self):
        self.conf.config(group='multistore_hooks', upload_store='secret')
        error = self.assertRaises(exceptions.StoreNotUsable, self.upload)
        self.assertEqual('The configuration of Cinder names a Glance store that does not exist. Ask an '
                         'administrator to correct it.', str(error))

    def test_where_glance_does_not_list_its_stores_the_upload_goes_on(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/stores', 500))
        self.upload(base.Volume.naming('secret'))
        self.assertEqual(1, len(self.casts.casts))
        self.assertIn("WARNING The store 'secret', named by volume type 'gold' (image_service:store_id), is "
                      'not checked', self.log)

    def test_compression_that_is_not_allowed_is_refused_before_a_record_is_made(self):
        self.useFixture(fixtures.MockPatchObject(
            api, 'CONF', types.SimpleNamespace(allow_compression_on_image_upload=False)))
        self.assertRaises(exception.ImageCompressionNotAllowed, self.upload, container_format='compressed')
        self.assert_nothing_done()

    def test_a_record_whose_response_was_lost_is_used(self):
        """Cinder's second attempt is refused, because the first one made the record."""
        self.records = Records(self.glance, lost=ValueError('409 Conflict'))
        image = self.upload()['image_id']
        self.assertEqual(([image], [image], []), (self.records.made, self.casts.casts, self.keys.deleted))
        self.assertIn('WARNING Creating image %s failed with 409 Conflict, but Glance has its record' % image,
                      self.log)

    def test_a_refused_record_is_an_error_and_its_key_is_deleted(self):
        self.records = Records(self.glance, refused=ValueError('403'))
        self.assertRaises(ValueError, self.upload)
        self.assert_nothing_done()
        self.assertEqual(['key'], self.keys.deleted)
        self.assertEqual('', self.log)

    def test_a_record_that_may_exist_is_logged_with_its_id_and_keeps_its_key(self):
        self.records = Records(self.glance, lost=ValueError('lost'), blind=ValueError('no connection'))
        self.assertRaises(ValueError, self.upload)
        image, = self.records.made
        self.assertIn('ERROR The record of image %s, which got no data, may exist' % image, self.log)
        self.assertEqual([], self.keys.deleted)
        self.assertIn('WARNING The encryption key key, which was made for the new image %s, was not deleted: '
                      'the image exists' % image, self.log)

    def test_the_key_stays_where_a_replica_shows_the_image_a_moment_later(self):
        self.records = Records(self.glance, lost=ValueError('lost'), blind=ValueError('no connection'))
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/[^/]+', 404, times=2))
        self.assertRaises(ValueError, self.upload)
        self.assertEqual((1, []), (len(self.glance.images), self.keys.deleted))

    def test_the_key_of_an_upload_that_was_never_requested_is_deleted_at_once(self):
        self.assertRaises(exceptions.StoreNotUsable, self.upload, base.Volume.naming('web'))
        self.assertEqual((['key'], 0), (self.keys.deleted, self.clock.now))

    def test_the_key_stays_while_glance_does_not_say_that_there_is_no_image(self):
        self.records = Records(self.glance, refused=ValueError('403'))
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/[^/]+', 500))
        self.assertRaises(ValueError, self.upload)
        self.assertEqual([], self.keys.deleted)
        self.assertIn('was not deleted: ', self.log)

    def test_a_key_that_cannot_be_deleted_is_logged(self):
        self.records = Records(self.glance, refused=ValueError('403'))
        self.keys = Keys(KeyError('barbican'))
        self.assertRaises(ValueError, self.upload)
        self.assertIn("WARNING The encryption key key, which was made for the new image", self.log)
        self.assertIn("was not deleted: 'barbican'", self.log)

    def test_when_the_volume_service_cannot_be_reached_record_status_and_key_are_rolled_back(self):
        self.casts = Casts(ValueError('no broker'))
        self.assertRaises(ValueError, self.upload)
        self.assertEqual({}, self.glance.images)
        self.assertEqual(('available', ['key']), (self.volume.status, self.keys.deleted))

    def test_an_upload_that_arrived_although_the_cast_failed_keeps_image_and_key(self):
        def upload(*arguments):
            self.glance.images[arguments[2]['id']]['status'] = 'active'
            raise ValueError('timeout')
        self.casts.copy_volume_to_image = upload
        self.assertRaises(ValueError, self.upload)
        self.assertEqual(1, len(self.glance.images))
        self.assertEqual([], self.keys.deleted)
