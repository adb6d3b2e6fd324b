# SPDX-License-Identifier: Apache-2.0
"""Volumes uploaded inside their Ceph cluster: when, what it leaves, and what happens when a step fails."""

import contextlib

from cinder import exception
from cinder.image import glance
from cinder.volume import manager
import fixtures
import glanceclient.exc
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import flat_copy
from multistore_hooks.cinder import colocated_copies
from multistore_hooks.cinder import direct_upload
from multistore_hooks.cinder import driver
from multistore_hooks.cinder import image_client
from multistore_hooks.copy import slots
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from tests import contract
from tests import fake_glance
from tests import fake_rbd
from tests.unit.cinder import base

PLAIN, RBD = 'cinder.volume.drivers.plain.Driver', 'cinder.volume.drivers.rbd.RBDDriver'
SERVICE = 'cinder:service:service,admin,member'
SIZE = 7


class Killed(BaseException):
    """The process is killed: nothing of it runs on."""


@testtools.skipIf(base.REAL, "Cinder's own driver needs a cluster")
class DirectUploadTestCase(base.TestCase):

    clone_format = 2

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(self.clock, self.clone_format, ('volumes', 'images', 'other'))
        self.disks = self.ceph.rbd.images
        self.disk = self.disks['volumes', base.Volume.name] = fake_rbd.Image(SIZE)
        self.glance.locate, self.glance.pool = self.locate, 'images'
        self.glance.details['cheap'] = {'type': 'rbd', 'pool': 'images', 'fsid': 'the-fsid'}
        self.to_glance, self.to_ceph = base.Calls(), base.Calls()
        self.token = SERVICE
        #: What goes on when an upload has ended.
        self.background = []
        self.cinder_images = image_client.CinderImages(self.as_user, self.as_service, clock=self.clock)
        across = cluster.Cluster.call_across
        for name, stub in (
                ('image_client.images_for', lambda context: self.cinder_images),
                ('image_client.privileged_images_for',
                 lambda context: image_client.CinderImages(self.as_service, self.as_service,
                                                           clock=self.clock)),
                ('direct_upload._Upload.clock', self.clock), ('direct_upload._slots', slots.Slots()),
                ('colocated_copies.Copies.in_background', self.background.append),
                ('direct_upload._refused', set())):
            self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.' + name, stub))
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.ceph.cluster.Cluster.call_across',
            lambda site, pools, function: self.to_ceph.wrap(across, site, pools, function)))
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.ceph.cluster.call_natively', lambda function, *arguments: function(*arguments)))
        self.driver = self.load()

    def load(self, **options):
        loaded = driver.load(manager.Configuration(**dict(
            {'volume_driver': RBD, 'rbd_pool': 'volumes', 'rbd_user': 'cinder', 'config_group': 'ceph',
             'rbd_glance_store_name': 'cheap'}, **options)), host='host@ceph')
        loaded.rados, loaded.rbd = self.ceph.rados, self.ceph.rbd
        return loaded

    def locate(self, url):
        """Return what is at a location, if that is an image as Glance's RBD store makes them."""
        fsid, pool, name, snapshot = url[len('rbd://'):].split('/')
        found = self.disks.get((pool, name))
        if fsid != self.ceph.fsid or found is None or not found.snapshots.get(snapshot):
            return None
        return ('cheap' if pool == 'images' else 'reliable'), b'x' * found.size

    def run_as(self, token):
        adapter = fake_glance.SocketlessAdapter(self.glance)
        run = contract.run_with(lambda: contract.session_client('http://glance', token, adapter))
        return lambda verb, function: self.to_glance.wrap(run, verb, function)

    def as_user(self, verb, function):
        return self.run_as(contract.MEMBER)(verb, function)

    def as_service(self, verb, function):
        return self.run_as(self.token)(verb, function)

    def upload(self, volume=None, loaded=None, image=None, **meta):
        """Upload as Cinder's manager does; return the image."""
        image = image or self.queued()
        (loaded or self.driver).copy_volume_to_image(
            base.Context(), volume or base.Volume.naming('cheap'), glance.GlanceImageService(),
            dict({'id': image, 'disk_format': 'raw', 'container_format': 'bare'}, **meta))
        return image

    def finish(self):
        """Let what goes on when an upload has ended come to its end."""
        while self.background:
            self.background.pop(0)()

    def sent(self):
        return len(self.glance.requests('PUT', '/file$'))

    def left(self):
        """Return what is left of uploads that have ended, in words."""
        found = ['%s/%s' % key for key in self.disks if key[1].startswith(flat_copy.PREFIX)]
        found += ['snapshot ' + name for name in self.disk.snapshots]
        return found + ['clone %s/%s' % child for child in self.disk.children] + [
            'journal ' + key for key in self.ceph.omaps.get(('volumes', flat_copy.JOURNAL), {})]

    def assert_direct(self, image, pool='images', store='cheap'):
        made = self.disks[pool, image]
        self.assertEqual((None, {'snap': True}), (made.parent, made.snapshots))
        record = self.glance.images[image]
        self.assertEqual(('active', SIZE, store), (record['status'], record['size'], record['stores']))
        self.assertEqual((0, []), (self.sent(), self.left()))

    def assert_streamed(self, image, store='cheap', disks=1):
        self.assertEqual(([store], 1), (self.glance.where(image), self.sent()))
        self.assertEqual(b'the data', self.glance.data[store, image])
        self.assertEqual((disks, []), (len(self.disks), self.left()))


class WhenTest(DirectUploadTestCase):

    def test_a_raw_volume_that_belongs_into_a_store_of_its_cluster_is_copied_there(self):
        self.assert_direct(self.upload())
        self.assertIn('INFO Volume the volume is copied inside its Ceph cluster', self.log)
        self.assertIn('is active with %d bytes in cheap' % SIZE, self.log)
        self.assertNotIn('WARNING', self.log)

    def test_without_the_option_and_with_other_drivers_nothing_changes(self):
        for options in ({'rbd_glance_store_name': ''}, {'volume_driver': PLAIN}):
            image = self.upload(loaded=self.load(**options))
            self.assertEqual(b'the data', self.glance.data['cheap', image])
        self.assertEqual(0, self.to_ceph.count)

    def test_another_store_of_the_cluster_is_as_good_where_glance_shows_it(self):
        self.glance.details['reliable'] = {'type': 'rbd', 'pool': 'other', 'fsid': 'the-fsid'}
        self.assert_direct(self.upload(base.Volume.naming('reliable')), 'other', 'reliable')

    def test_the_options_count_where_glance_does_not_show_its_stores(self):
        self.token = contract.MEMBER
        self.glance.shows_locations = True
        self.assert_direct(self.upload(loaded=self.load(rbd_glance_pool='images')))

    def test_the_option_names_the_cluster_of_a_glance_before_fsid(self):
        self.glance.details['cheap'] = {'type': 'rbd', 'pool': 'images'}
        self.assert_direct(self.upload())

    def test_stores_elsewhere_get_the_data(self):
        for detail in ({'type': 'rbd', 'pool': 'images', 'fsid': 'other'}, {'type': 'rbd', 'pool': 'images'},
                       {'type': 'file'}):
            self.glance.details['reliable'] = detail
            del self.glance.log[:]
            self.assert_streamed(self.upload(base.Volume.naming('reliable')), 'reliable')
        self.assertIn('the store reliable is not known to be in the Ceph cluster', self.log)
        self.assertNotIn('WARNING', self.log)

    def test_the_base_image_decides_as_for_every_upload(self):
        self.assert_direct(self.upload(base.Volume.made_from(self.base('cheap'))))
        near = self.upload(base.Volume.made_from(self.base('reliable')))
        self.assertEqual(['reliable'], self.glance.where(near))

    def test_the_default_store_counts_where_nothing_decides(self):
        self.glance.default = 'cheap'
        self.assert_direct(self.upload(base.Volume()))

    def test_what_glance_decides_without_telling_how_is_left_to_it(self):
        self.glance.headers = {'X-OpenStack-Multistore-Hooks': 'base-image-ref'}
        self.conf.config(resolve_base_image='never', group='multistore_hooks')
        self.glance.default = 'cheap'
        self.upload(base.Volume.made_from(self.base('reliable')))
        self.assertEqual((1, []), (self.sent(), self.left()))
        self.assertIn('Glance chooses its store', self.log)

    def test_a_glance_with_one_store_gets_the_data(self):
        self.glance.stores = {}
        self.upload(base.Volume())
        self.assertEqual((1, []), (self.sent(), self.left()))

    def test_other_formats_and_encrypted_volumes_are_cinders(self):
        for meta in ({'disk_format': 'qcow2'}, {'container_format': 'compressed'}):
            self.upload(**meta)
        volume = base.Volume.naming('cheap')
        volume.encryption_key_id = 'key'
        self.upload(volume)
        self.assertEqual((3, 0), (self.sent(), self.to_ceph.count))

    def test_after_a_failover_the_data_is_sent(self):
        self.driver._active_backend_id = 'the other cluster'
        self.assert_streamed(self.upload())
        self.assertEqual(0, self.to_ceph.count)

    def test_a_signed_image_is_verified_by_glance(self):
        self.assert_streamed(self.upload(image=self.queued(img_signature='x')))

    def test_an_image_that_has_data_already_is_not_touched(self):
        image = self.base('fast')
        self.assertRaises(glanceclient.exc.HTTPConflict, self.upload, image=image)
        self.assertEqual((['fast'], []), (self.glance.listed(image), self.left()))

    def test_data_that_its_owner_gives_an_image_meanwhile_stays_the_only_data(self):
        # The older call would add a location to an image that has data.
        self.glance.pool, self.glance.shows_locations = None, True
        image = self.queued()

        def interlude(step):
            if step == 'flatten':
                self.glance.images[image].update(status='active', size=4)
                self.glance.put_data(image, 'fast')
        self.ceph.rbd.before = interlude
        self.assertRaises(glanceclient.exc.HTTPConflict, self.upload, image=image)
        self.assertEqual((['fast'], []), (self.glance.listed(image), self.left()))
        self.assertNotIn(('images', image), self.disks)

    def test_a_quota_that_has_no_room_is_left_to_glance(self):
        for limit, direct in ((1024, False), (2048, True), (-1, True)):
            self.cinder_images.request = self.with_usage(self.cinder_images.request, limit)
            image = self.upload()
            self.assertEqual(direct, ('images', image) in self.disks, limit)

    @staticmethod
    def with_usage(request, limit):
        def requested(verb, method, path, *arguments, **more):
            if path == '/v2/info/usage':
                return None, {'usage': {'image_size_total': {'usage': 1000, 'limit': limit}}}
            return request(verb, method, path, *arguments, **more)
        return requested

    def test_more_volumes_than_half_of_cinders_native_threads_are_sent(self):
        with contextlib.ExitStack() as stack:
            for _number in range(direct_upload.AT_ONCE):
                stack.enter_context(direct_upload._slots.take(direct_upload.AT_ONCE))
            self.assert_streamed(self.upload())
        self.assertIn('8 volumes are being copied', self.log)
        del self.glance.log[:]
        self.assert_direct(self.upload())

    def test_an_error_that_is_none_of_ceph_before_anything_is_written_does_not_fail_the_upload(self):
        def broken(upload, store):
            raise RuntimeError('a library is broken')
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.direct_upload._Upload._target', broken))
        self.assert_streamed(self.upload())
        self.assertIn('is sent to Glance: a library is broken', self.log)


class ColocatedTest(DirectUploadTestCase):
    """The base image is in several stores, into all of which Glance's filter would bring an upload."""

    def setUp(self):
        super().setUp()
        self.glance.headers = {'X-OpenStack-Multistore-Hooks': 'base-image-ref'}
        self.glance.copies_at_once = True
        self.service_user(True)
        self.volume = base.Volume.made_from(self.base('fast', 'cheap'))

    def service_user(self, sends_token):
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_client.may_copy',
                                             lambda context: sends_token))

    def assert_in_all(self, image):
        self.assertEqual(['cheap', 'fast'], sorted(api.split_commas(self.glance.images[image]['stores'])))
        self.assertEqual((0, []), (self.sent(), self.left()))
        self.assertIn(('images', image), self.disks)

    def copies(self):
        return len(self.glance.requests('POST', '/import$'))

    def test_it_is_copied_inside_the_cluster_and_then_by_glance_to_the_others(self):
        image = self.upload(self.volume)
        self.assert_in_all(image)
        self.assertEqual(1, self.copies())
        self.assertIn('INFO Image %s is in cheap, and Glance copies it to the other stores of its base '
                      'image, fast.' % image, self.log)
        self.assertNotIn('WARNING', self.log)

    def test_a_base_image_in_no_store_of_the_backend_is_left_to_glance(self):
        self.upload(base.Volume.made_from(self.base('fast', 'reliable')))
        self.assertEqual((1, []), (self.sent(), self.left()))
        self.assertIn('its base image is in several stores, and not in cheap', self.log)

    def test_without_the_rights_for_copies_it_is_left_to_glance(self):
        self.service_user(False)
        self.upload(self.volume)
        self.assertEqual((1, 0), (self.sent(), self.copies()))
        self.assertIn('Cinder has no credentials with which', self.log)

    def test_where_the_filter_says_one_store_there_are_no_copies(self):
        self.glance.headers = {'X-OpenStack-Multistore-Hooks': 'base-image-ref, volumes-in-one-store'}
        self.glance.default = 'cheap'
        self.assert_direct(self.upload(self.volume))
        self.assertEqual(0, self.copies())

    def test_a_store_that_cinder_names_is_the_only_one(self):
        self.conf.config(resolve_base_image='always', group='multistore_hooks')
        self.glance.default = 'cheap'
        self.assert_direct(self.upload(self.volume))
        self.assert_direct(self.upload(base.Volume.naming(
            'cheap', glance_metadata=self.volume.glance_metadata)))
        self.assertEqual(0, self.copies())

    def test_the_task_that_computes_hashes_is_waited_for_when_the_upload_has_ended(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import$', 409, times=20))
        before = self.clock.now
        image = self.upload(self.volume)
        self.assertEqual((1, before), (self.copies(), self.clock.now))
        self.assertNotIn('other stores of its base', self.log)
        self.finish()
        self.assert_in_all(image)
        self.assertEqual(21, self.copies())
        self.assertLess(10, self.clock.now - before)

    def test_a_wait_is_in_a_thread_of_its_own_and_logs_as_the_request(self):
        began, stored = [], []
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.colocated_copies.threading.Thread.start',
            lambda thread: began.append(thread)))
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.colocated_copies.Copies.in_background',
                                             staticmethod(colocated_copies.in_background)))
        self.useFixture(fixtures.MonkeyPatch('tests.unit.cinder.base.Context.update_store',
                                             lambda context: stored.append(context)))
        self.glance.faults.append(fake_glance.Fault('POST', '/import$', 409))
        image = self.upload(self.volume)
        self.assertEqual((1, [], [True]), (self.copies(), stored, [thread.daemon for thread in began]))
        began[0].run()
        self.assert_in_all(image)
        self.assertEqual((2, 1), (self.copies(), len(stored)))

    def test_a_wait_keeps_no_place_of_other_copies(self):
        taken = []
        self.glance.faults.append(fake_glance.Fault('POST', '/import$', 409))
        self.clock.at(self.clock.now, lambda: taken.append(direct_upload._slots._taken))
        self.upload(self.volume)
        self.finish()
        self.assertEqual([0], taken)

    def test_copies_that_glance_refuses_are_logged_and_the_upload_has_succeeded(self):
        for status, words in ((403, '403'), (409, '409')):
            self.glance.faults.append(fake_glance.Fault('POST', '/import$', status, times=9999))
            before = self.clock.now
            image = self.upload(self.volume)
            self.finish()
            self.assertEqual('cheap', self.glance.images[image]['stores'])
            self.assertIn('WARNING Image %s is in cheap, but Glance does not copy it to the other stores of '
                          'its base image, fast: ' % image, self.log)
            self.assertIn(words, self.log)
            self.assertGreater(3700, self.clock.now - before)
            del self.glance.faults[:]

    def test_every_request_to_glance_in_turn(self):
        self.upload(self.volume)
        steps, ways = self.to_glance.count, {'direct': 0, 'streamed': 0, 'without copies': 0}
        for number in range(1, steps + 1):
            for after in (False, True):
                del self.glance.log[:]
                logged = len(self.log)
                self.to_glance.fail(number, after, OSError('lost'))
                image = self.upload(self.volume)
                self.finish()
                direct, log = ('images', image) in self.disks, self.log[logged:]
                found = self.glance.images[image]
                self.assertEqual(('active', 0 if direct else 1), (found['status'], self.sent()))
                self.assertEqual([], self.left(), (number, after))
                way = 'direct' if direct else 'streamed'
                if direct and 'fast' not in found['stores']:
                    way = 'without copies'
                self.assertEqual(way == 'without copies', 'Glance does not copy it to the other' in log,
                                 (number, after))
                ways[way] += 1
        # Only the request for the copies itself, when it does not take effect.
        self.assertEqual(1, ways['without copies'])
        self.assertLess(0, ways['direct'])


class LocationTest(DirectUploadTestCase):
    """The ways of a location to Glance."""

    def test_hidden_locations_and_no_rights_leave_nothing_and_the_data_is_sent(self):
        self.token = contract.MEMBER
        self.assert_streamed(self.upload())
        self.assertEqual(1, self.log.count('WARNING'))
        self.assertIn('could not be copied inside the Ceph cluster, and is sent to Glance', self.log)

    def test_an_old_glance_takes_it_by_the_older_call_with_its_store(self):
        self.glance.pool, self.glance.shows_locations = None, True
        self.assert_direct(self.upload())

    def test_the_newer_call_comes_first_and_computes_hashes(self):
        self.glance.shows_locations = True
        self.assert_direct(self.upload())
        self.assertEqual([], self.glance.requests('PATCH', ''))

    def test_the_librarys_credentials_are_tried_before_the_older_call(self):
        self.glance.shows_locations = True
        self.cinder_images = image_client.CinderImages(self.as_user, self.as_user, clock=self.clock)
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_client._has_credentials',
                                             lambda: True))
        self.assert_direct(self.upload())
        self.assertEqual((2, 0), (len(self.glance.requests('POST', '/locations$')),
                                  len(self.glance.requests('PATCH', ''))))

    def test_a_location_that_glance_cannot_use_leaves_nothing_and_the_data_is_sent(self):
        self.glance.locate = lambda url: None
        self.assert_streamed(self.upload())
        self.glance.locate, self.glance.shows_locations = lambda url: None, True
        self.token = contract.MEMBER
        del self.glance.log[:]
        self.assert_streamed(self.upload())

    def test_an_image_that_is_not_what_was_copied_is_an_error(self):
        self.glance.locate = lambda url: ('cheap', b'too short')
        error = self.assertRaises(exceptions.NotAsSent, self.upload)
        self.assertIn('7 bytes were sent, and Glance has 9 bytes', str(error))

    def test_an_image_in_another_store_than_was_meant_is_logged(self):
        self.glance.locate = lambda url: ('reliable', b'x' * SIZE)
        self.upload()
        self.assertIn('was meant for the store cheap, but Glance put it into reliable', self.log)


class FailureTest(DirectUploadTestCase):
    """One call fails: the image is made all the same, and nothing else is left."""

    def run_cases(self, calls, error, outcome):
        """Upload once for each call and way to fail; return how many images went which way."""
        calls.fail(None, False, None)
        self.upload()
        steps = calls.count
        self.disks.clear()
        for number in range(1, steps + 1):
            for after in (False, True):
                self.disks.clear()
                self.disk = self.disks['volumes', base.Volume.name] = fake_rbd.Image(SIZE)
                del self.glance.log[:]
                calls.fail(number, after, error)
                image = self.queued()
                try:
                    self.upload(image=image)
                except Exception as failure:
                    outcome((number, after), image, failure)
                else:
                    outcome((number, after), image, None)
        return steps

    def test_every_call_to_ceph_in_turn(self):
        ways = {'direct': 0, 'streamed': 0}

        def outcome(case, image, failure):
            self.assertIsNone(failure, case)
            is_direct = ('images', image) in self.disks
            ways['direct' if is_direct else 'streamed'] += 1
            self.assertEqual(0 if is_direct else 1, self.sent(), case)
            self.assertEqual('active', self.glance.images[image]['status'], case)
            direct_upload.remove_leftovers(self.driver, self.clock)  # of a journal that could not be written
            self.assertEqual([], self.left(), case)
            self.assertEqual(is_direct, ('images', image) in self.disks, case)

        steps = self.run_cases(self.to_ceph, cluster.ClusterError('lost'), outcome)
        # All but the last one, which takes the copy out of the journal: Glance has it by then.
        self.assertEqual({'direct': 2, 'streamed': 2 * (steps - 1)}, ways)

    def test_every_request_to_glance_in_turn(self):
        ways = {'direct': 0, 'streamed': 0, 'failed': 0}

        def outcome(case, image, failure):
            self.assertEqual([], self.left(), case)
            is_direct = ('images', image) in self.disks
            if failure is not None:
                ways['failed'] += 1
                self.assertFalse(is_direct, case)
                return
            ways['direct' if is_direct else 'streamed'] += 1
            self.assertEqual('active', self.glance.images[image]['status'], case)
            self.assertEqual(0 if is_direct else 1, self.sent(), case)

        self.run_cases(self.to_glance, OSError('lost'), outcome)
        self.assertEqual(0, ways['failed'])
        self.assertLess(0, ways['direct'])
        self.assertLess(0, ways['streamed'])

    def test_a_location_whose_response_was_lost_is_a_success_if_glance_took_it(self):
        self.fail_location(after=True)
        self.assert_direct(self.upload())

    def test_a_location_that_was_lost_is_believed_lost_only_after_a_while(self):
        self.fail_location(after=False)
        before = self.clock.now
        self.assert_streamed(self.upload())
        self.assertLessEqual(30, self.clock.now - before)

    def fail_location(self, after, then=None):
        add = image_client.CinderImages.post_location

        def failing(images, image_id, url):
            if after:
                add(images, image_id, url)
            if then:
                then(image_id)
            raise OSError('lost')
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.image_client.CinderImages.post_location', failing))

    def test_while_glance_may_be_at_it_nothing_is_sent_and_the_image_goes_first(self):
        """A task that does not end: the copy is removed only once the image is."""
        self.fail_location(False, lambda image: self.glance.images[image].update(
            os_glance_import_task='a task'))
        image = self.queued()
        self.assertRaises(exception.GlanceConnectionFailed, self.upload, image=image)
        self.assertNotIn(image, self.glance.images)
        self.assertEqual((0, 1, []), (self.sent(), len(self.disks), self.left()))

    def test_an_image_that_cannot_be_deleted_then_keeps_the_copy_and_a_restart_resolves_it(self):
        self.fail_location(False, lambda image: self.glance.images[image].update(status='importing'))
        image = self.queued()
        self.assertRaises(exception.GlanceConnectionFailed, self.upload, image=image)
        self.assertIn(('images', image), self.disks)
        self.assertIn('ERROR The RBD image images/%s may be the data of image' % image, self.log)
        direct_upload.remove_leftovers(self.driver, self.clock)
        self.assertIn(('images', image), self.disks)
        self.glance.images[image]['status'] = 'queued'
        direct_upload.remove_leftovers(self.driver, self.clock)
        self.assertEqual((1, []), (len(self.disks), self.left()))

    def test_an_image_that_was_deleted_meanwhile_leaves_nothing(self):
        self.fail_location(False, lambda image: self.glance.images.pop(image))
        self.assertRaises(exception.ImageNotFound, self.upload)
        self.assertEqual((0, 1, []), (self.sent(), len(self.disks), self.left()))

    def test_a_pool_that_may_not_be_written_leaves_nothing_and_the_data_is_sent(self):
        self.ceph.denied.add('images')
        self.assert_streamed(self.upload())
        self.assertEqual(1, self.log.count('WARNING'))
        self.assertIn('[ceph] rbd_user: the Ceph user cinder may not write into the pool images', self.log)

    def test_a_pool_that_was_refused_is_not_tried_again_by_its_user(self):
        self.ceph.denied.add('images')
        self.upload()
        steps = self.to_ceph.count
        del self.glance.log[:]
        self.to_ceph.count = 0
        self.assert_streamed(self.upload())
        self.assertEqual((1, 1), (self.to_ceph.count, self.log.count('WARNING')))
        self.assertLess(1, steps)
        self.assertIn('the Ceph user cinder was refused the pool images before', self.log)
        # Of another user, and of another pool, nothing is known.
        self.ceph.denied.clear()
        del self.glance.log[:]
        self.assert_direct(self.upload(loaded=self.load(rbd_user='other')))

    def test_an_outage_is_no_refusal(self):
        self.upload()
        for number in range(1, self.to_ceph.count + 1):
            self.to_ceph.fail(number, False, cluster.ClusterError('away'))
            self.upload()
        self.assertEqual(set(), direct_upload._refused)

    def test_a_cluster_that_stays_away_is_no_obstacle_and_a_restart_removes_what_is_left(self):
        self.upload()
        steps = self.to_ceph.count
        for number in range(2, steps):
            del self.glance.log[:]
            self.to_ceph.fail(number, True, cluster.ClusterError('away'), again=True)
            image = self.upload()
            self.assertEqual((1, 'active'), (self.sent(), self.glance.images[image]['status']))
            self.to_ceph.fail(None, False, None)
            direct_upload.remove_leftovers(self.driver, self.clock)
            self.assertEqual([], self.left(), number)
            self.assertNotIn(('images', image), self.disks)
        self.assertIn('cinder-volume tries again when it is restarted', self.log)


class FailureFormat1Test(FailureTest):

    clone_format = 1


class KilledTest(DirectUploadTestCase):
    """The process is killed at any step; the next one of this service removes what is left."""

    def run_cases(self, calls):
        self.upload()
        for number in range(1, calls.count + 1):
            for after in (False, True):
                self.disks.clear()
                self.disk = self.disks['volumes', base.Volume.name] = fake_rbd.Image(SIZE)
                calls.fail(number, after, Killed())
                image = self.queued()
                with contextlib.suppress(Killed):
                    self.upload(image=image)
                calls.fail(None, False, None)
                direct_upload.remove_leftovers(self.driver, self.clock)
                self.assertEqual([], self.left(), (number, after))
                is_active = self.glance.images[image]['status'] == 'active'
                self.assertEqual(is_active, ('images', image) in self.disks, (number, after))

    def test_at_every_call_to_ceph(self):
        self.run_cases(self.to_ceph)

    def test_at_every_request_to_glance(self):
        self.run_cases(self.to_glance)

    def leave(self, owner='host@ceph'):
        """Let a copy be left that was not yet offered."""
        entry = flat_copy.new_entry(self.queued(), base.Volume.name, 'images', owner)
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, '', 'cinder',
                                lambda function, *arguments: function(*arguments))
        flat_copy.FlatCopy(cluster.Cluster(access), access, 'volumes', entry).write()
        return entry

    def test_what_other_services_and_this_process_itself_are_at_stays(self):
        self.leave('another@ceph')
        entry = self.leave()
        direct_upload._running.add(entry.name)
        self.addCleanup(direct_upload._running.discard, entry.name)
        before = self.left()
        direct_upload.remove_leftovers(self.driver, self.clock)
        self.assertEqual(before, self.left())

    def test_the_start_of_the_service_removes_it(self):
        started = []
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.direct_upload.remove_leftovers', started.append))
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.direct_upload.threading.Thread', Thread))
        self.driver.check_for_setup_error()
        self.assertTrue(self.driver.checked)
        self.load(rbd_glance_store_name='').check_for_setup_error()
        self.load(volume_driver=PLAIN).check_for_setup_error()
        self.assertEqual([self.driver], started)

    def test_a_cluster_that_is_away_does_not_stop_the_start(self):
        self.ceph.away = True
        direct_upload.remove_leftovers(self.driver, self.clock)
        self.assertIn('WARNING Uploads that were interrupted could not be cleaned up', self.log)


class Thread:
    """Runs at once."""

    def __init__(self, target, args, daemon):
        self.start = lambda: target(*args)
