# SPDX-License-Identifier: Apache-2.0
"""RBD volumes uploaded to a Glance store in their own Ceph cluster: nothing goes through Glance.

Real Cinder services, a real Glance, a real cluster with cephx. Glance has a file store (central, the
default), and dcn1 in the cluster's pool images; Cinder's backend keeps its volumes in the pool volumes.
"""

import contextlib
import hashlib
import os
import sqlite3

from lab import glance
from lab import poll
from tests.functional import cinder_base
from tests.functional import test_cinder_image_clones

MEGABYTE = 1 << 20
SIZE = 16 * MEGABYTE
KEY = 'image_service:store_id'
COPIED = 'is copied inside its Ceph cluster'
cluster = test_cinder_image_clones.cluster


class DirectUploadTestCase(test_cinder_image_clones.ClonesTestCase):

    def begin(self, **options):
        self.start(**options)
        self.started(self.cinder)
        self.cinder.create_type('near', {KEY: 'dcn1'})

    def disk(self, volume):
        return 'volumes/volume-' + volume

    def volume(self, **options):
        """Create a volume of the type that names dcn1, and write this test's bytes to its beginning."""
        volume = self.cinder.create_volume(timeout=test_cinder_image_clones.PATIENCE, **dict(
            {'volume_type': 'near'}, **options))
        self.write(volume)
        return volume

    def write(self, volume):
        self.data = os.urandom(2 * MEGABYTE)
        source = os.path.join(self.directory, 'data')
        with open(source, 'wb') as file:
            file.write(self.data)
            file.truncate(SIZE)
        self.cluster.rbd('import', '--dest-pool', 'volumes', source, 'written')
        self.cluster.rbd('rm', self.disk(volume))
        self.cluster.rbd('mv', 'volumes/written', self.disk(volume))

    def upload(self, volume, status='active', **options):
        self.glance.forget_requests()
        image = self.cinder.upload(volume, **options)
        self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
        record = self.glance.image(image)
        self.assertEqual(status, record['status'], self.cinder.log[-3000:])
        return image, record

    def sent(self):
        """Return how many times data was sent to Glance."""
        return len(self.glance.requests('PUT', '/file$'))

    def assert_nothing_is_left(self, volume):
        self.assertEqual('', self.cluster.rbd('snap', 'ls', self.disk(volume)).strip())
        self.assertEqual([], [name for name in self.cluster.rbd('ls', 'images').split()
                              if name.startswith('multistore_hooks')])

    def assert_image(self, image):
        """The image is a flat RBD image with the volume's bytes and the snapshot that others clone."""
        self.assertNotIn('parent:', self.cluster.rbd('info', 'images/%s@snap' % image))
        self.assertEqual(self.data, self.cluster.read('images/%s@snap' % image, len(self.data)))


class DirectUploadTest(DirectUploadTestCase):

    def test_an_image_is_a_flat_copy_with_a_true_record_and_each_outlives_the_other(self):
        self.begin()
        volume = self.volume()
        image, record = self.upload(volume)
        self.assertEqual((0, SIZE, 'dcn1'), (self.sent(), record['size'], record['stores']),
                         self.cinder.log[-3000:])
        self.assertIn(COPIED, self.cinder.log)
        self.assert_image(image)
        self.assert_nothing_is_left(volume)
        whole = hashlib.sha512(self.data + b'\0' * (SIZE - len(self.data))).hexdigest()
        poll.until('hash', lambda: self.glance.image(image)['os_hash_value'] == whole)
        self.glance.wait_for_import(image)
        another, _record = self.upload(volume)
        self.glance.wait_for_import(another)
        self.glance.request('DELETE', '/v2/images/' + another)
        self.assertNotIn(another, self.cluster.rbd('ls', 'images'))
        self.cinder.delete_volume(volume)
        self.assert_image(image)
        self.assertEqual(self.data, self.glance.download(image)[:len(self.data)])

    def test_a_volume_of_a_base_image_in_use_is_copied_beside_that_image_by_the_location_api(self):
        self.begin(locations=False, default={'enable_force_upload': 'true'})
        base = self.image('dcn1')
        volume = self.create(base)
        self.assertEqual('images/%s@snap' % base, self.parent(volume))
        database = os.path.join(self.directory, 'cinder', 'cinder.sqlite')
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            connection.execute("UPDATE volumes SET status = 'in-use' WHERE id = ?", (volume,))
        image, record = self.upload(volume, force=True)
        self.assertEqual(('dcn1', 0), (record['stores'], self.sent()), self.cinder.log[-3000:])
        self.assert_image(image)
        self.assert_nothing_is_left(volume)

    def test_co_located_image_is_copied_inside_the_cluster_and_then_by_glance_to_the_other_store(self):
        for sent, credentials in ((0, True), (1, False)):
            self.begin(filters=[glance.BASE_IMAGE_FILTER], credentials=credentials)
            volume = self.create(self.image('central', 'dcn1'))
            self.write(volume)
            image, _record = self.upload(volume)
            poll.until('copies', lambda: self.glance.stores_of(image) == {'central', 'dcn1'})
            self.glance.wait_for_import(image)
            self.assertEqual(sent, self.sent(), self.cinder.log[-3000:])
            self.assertEqual(self.data, self.glance.data('central', image)[:len(self.data)])
            self.assert_image(image)
            self.assert_nothing_is_left(volume)
            self.cinder.stop()
            self.glance.kill()
            self.directory = self.useFixture(cinder_base.fixtures.TempDir()).path
        self.assertIn('Cinder has no credentials with which it could', self.cinder.log)

    def test_other_formats_and_other_stores_go_through_glance(self):
        self.begin()
        self.cinder.create_type('far', {KEY: 'central'})
        for options, upload, why in (({}, {'disk_format': 'qcow2'}, 'its format is qcow2 in bare'),
                                     ({'volume_type': 'far'}, {}, 'the store central is not known to be in')):
            volume = self.volume(**options)
            self.upload(volume, **upload)
            self.assertEqual(1, self.sent())
            self.assertIn(why, self.cinder.log)
            self.assert_nothing_is_left(volume)
        self.assertNotIn(COPIED, self.cinder.log)


class StreamInsteadTest(DirectUploadTestCase):

    def assert_streamed(self, why):
        volume = self.volume()
        image, record = self.upload(volume)
        self.assertEqual((1, 'dcn1', SIZE), (self.sent(), record['stores'], record['size']))
        self.assertIn(why, self.cinder.log)
        self.assertEqual(1, self.cinder.log.count('could not be copied inside the Ceph cluster'))
        self.assert_image(image)
        self.assert_nothing_is_left(volume)

    def test_locations_that_glance_refuses_leave_nothing_and_the_data_is_sent(self):
        self.begin(locations=False, credentials=False)
        self.assert_streamed("403")

    def test_a_ceph_user_who_may_not_write_there_leaves_nothing_and_the_data_is_sent(self):
        key = cluster().ceph('auth', 'get-or-create', 'client.cinder')  # another test may have made it
        cluster().ceph('auth', 'caps', 'client.cinder', 'mon', 'profile rbd', 'mgr', 'profile rbd', 'osd',
                       'profile rbd pool=volumes, profile rbd-read-only pool=images')
        with open(cluster().keyring, 'a', encoding='utf-8') as keyring:
            keyring.write(key)
        self.begin(rbd_user='cinder')
        self.assert_streamed('the Ceph user cinder may not write into the pool images')
        volume = self.volume()
        self.upload(volume)
        self.assertEqual(1, self.sent())
        self.assertIn('the Ceph user cinder was refused the pool images before', self.cinder.log)
        self.assertEqual(1, self.cinder.log.count('could not be copied inside the Ceph cluster'))
        self.assert_nothing_is_left(volume)


class LimitsTest(DirectUploadTestCase):
    """What Glance does not let into a store that it is sent, does not get there by a location."""

    def assert_ends_as_in_stock(self, **conf):
        self.begin(conf={'DEFAULT': conf})
        outcomes = []
        for stock in (False, True):
            if stock:
                self.cinder.stop()
                self.cinder = self.started(self.another_cinder('stock', stock=True))
                self.cinder.create_type('near', {KEY: 'dcn1'})
            volume = self.volume()
            image = self.cinder.upload(volume)
            self.cinder.wait_volume(volume)
            found = self.glance.request('GET', '/v2/images/' + image)
            outcomes.append(found.json()['status'] if found.status == 200 else 'gone')
            self.assertNotIn(image, self.cluster.rbd('ls', 'images'))
            self.assert_nothing_is_left(volume)
        return outcomes

    def test_a_quota_of_storage(self):
        self.assertNotIn('active', self.assert_ends_as_in_stock(user_storage_quota='1MB'))

    def test_a_limit_for_images(self):
        self.assertNotIn('active', self.assert_ends_as_in_stock(image_size_cap=str(MEGABYTE)))


class KilledTest(DirectUploadTestCase):
    """cinder-volume is killed, and finds at its next start what it has left."""

    def kill_and_restart(self, volume):
        self.cinder.stop()
        self.started(self.cinder)
        poll.until('removal', lambda: 'What an interrupted upload of' in self.cinder.log)
        self.assert_nothing_is_left(volume)

    def test_before_the_request_to_glance(self):
        self.begin()
        volume = self.volume()
        self.glance.fault('GET', '/v2/images/', action='hang', seconds=600, skip=1, times=None)
        self.cinder.upload(volume)
        poll.until('copy', lambda: 'multistore_hooks.upload.' in self.cluster.rbd('ls', 'images'))
        self.kill_and_restart(volume)

    def test_when_glance_may_have_got_the_request(self):
        self.begin(locations=False)
        volume = self.volume()
        self.glance.fault('POST', '/locations$', action='hang', seconds=600, times=None)
        image = self.cinder.upload(volume)
        poll.until('request', lambda: self.glance.requests('POST', '/locations$'))
        self.assertIn(image, self.cluster.rbd('ls', 'images'))
        self.glance.clear_faults()
        self.kill_and_restart(volume)
        self.assertNotIn(image, self.cluster.rbd('ls', 'images'))
