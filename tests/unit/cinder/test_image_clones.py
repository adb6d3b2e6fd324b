# SPDX-License-Identifier: Apache-2.0
"""Volumes of RBD backends: cloned as it is, copied and cloned, or Cinder's own way."""

import inspect
import threading
import types

import cinder.db.api
from cinder import exception
from cinder import objects
from cinder.volume import manager
import fixtures
import glanceclient.exc
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator as ceph_coordinator
from multistore_hooks.cinder import driver
from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import image_clones
from multistore_hooks.copy import coordination
from multistore_hooks.copy import single_flight
from multistore_hooks.copy import slots
from multistore_hooks.glance_api import api
from tests import clock
from tests import contract
from tests import fake_ceph
from tests import fake_glance
from tests.unit.cinder import base

#: Before a test puts another in its place.
CEPH_COORDINATOR = ceph_coordinator.CephCoordinator
PLAIN, RBD = 'cinder.volume.drivers.plain.Driver', 'cinder.volume.drivers.rbd.RBDDriver'


class ImageService:
    """Stands for Cinder's image service: the locations that Glance shows."""

    def __init__(self, *urls):
        self.urls = urls

    def get_location(self, context, image_id):
        if not self.urls:
            return None, None
        return self.urls[0], [{'url': url} for url in self.urls]


class Coordinator(coordination.NoCoordinator):
    """Records how it was made."""

    made, sites = [], []

    def __init__(self, site, *arguments):
        self.made.append(arguments)
        self.sites.append(site)


@testtools.skipIf(base.REAL, "Cinder's own driver needs a cluster")
class ClonesTestCase(base.TestCase):

    store, schemes = 'cheap', []

    def setUp(self):
        super().setUp()
        self.glance.copies_at_once = True
        self.clock = clock.Clock()
        self.conf_values = types.SimpleNamespace(allowed_direct_url_schemes=self.schemes,
                                                 executor_thread_pool_size=8)
        del Coordinator.made[:], Coordinator.sites[:]
        privileged = self.images(contract.ADMIN)
        for name, stub in (('coordinator.CephCoordinator', Coordinator), ('CONF', self.conf_values),
                           ('_Clone.clock', self.clock), ('_waits', slots.Slots()),
                           ('_flights', single_flight.SingleFlight(self.clock)),
                           ('image_client.privileged_images_for', lambda *arguments: privileged),
                           ('image_client.images_for', lambda *arguments: self.cinder_images),
                           ('image_client.requester', lambda context: 'somebody')):
            self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_clones.' + name, stub))
        self.volume = base.Volume()
        self.volume.status = 'creating'
        self.useFixture(fixtures.MonkeyPatch('cinder.objects.Volume.by_id', {self.volume.id: self.volume}))
        self.driver = self.load(RBD, rbd_glance_store_name=self.store)

    def load(self, path, **options):
        return driver.load(manager.Configuration(volume_driver=path, rbd_pool='volumes', rbd_user='cinder',
                                                 config_group='fast', **options))

    def url(self, image, pool='images'):
        return 'rbd://fsid/%s/%s/snap' % (pool, image)

    def clone(self, image, *urls, shown_later=(), loaded=None, **more):
        """Clone as Cinder's flow does; ``urls`` are the locations that it has been shown."""
        service = ImageService(*(shown_later or urls))
        location = ImageService(*urls).get_location(None, image)
        return (loaded or self.driver).clone_image(
            base.Context(), self.volume, location, dict({'id': image, 'disk_format': 'raw'}, **more), service)

    def copies(self):
        return len(self.glance.requests('POST', '/import$'))


class CloneTest(ClonesTestCase):

    def test_an_image_that_can_be_cloned_is_cloned_and_glance_is_left_alone(self):
        image = self.base('cheap')
        self.driver.present.add(self.url(image))
        self.assertEqual(({'cloned_from': self.url(image)}, True), self.clone(image, self.url(image)))
        self.assertEqual([], self.glance.log)

    def test_a_cold_image_is_copied_and_then_cloned(self):
        image = self.base('fast')
        self.driver.present.add(self.url(image))
        self.assertEqual(({'cloned_from': self.url(image)}, True),
                         self.clone(image, 'file:///x', shown_later=['file:///x', self.url(image)]))
        self.assertEqual((['cheap', 'fast'], 1), (sorted(self.glance.where(image)), self.copies()))
        self.assertEqual([('volumes', 'images', image, 'cheap')], Coordinator.made)
        self.assertIn('INFO Image %s is in the store cheap' % image, self.log)
        self.assertNotIn('WARNING', self.log)

    def test_the_cluster_is_reached_as_cinder_reaches_it(self):
        image, ceph = self.base('fast'), fake_ceph.FakeCeph(self.clock)
        for conf_file in ('', '/etc/ceph/other.conf'):
            loaded = self.load(RBD, rbd_glance_store_name='cheap', rbd_ceph_conf=conf_file,
                               rbd_cluster_name='other')
            loaded.rados, loaded.rbd = ceph.rados, ceph.rbd
            self.clone(image, 'file:///x', loaded=loaded)
            self.assertFalse(Coordinator.sites.pop().image_exists('images', image))
            self.assertEqual({'rados_id': 'cinder', 'clustername': 'other', 'conffile': conf_file},
                             ceph.reached)
            image = self.base('fast')

    def test_without_the_option_nothing_changes(self):
        for loaded in (self.load(RBD), self.load(PLAIN, rbd_glance_store_name='cheap')):
            image = self.base('fast')
            self.assertEqual(({}, False), self.clone(image, 'file:///x', loaded=loaded))
        self.assertEqual([], self.glance.log)

    def test_an_option_that_the_driver_cannot_heed_is_logged_when_it_is_loaded(self):
        self.assertNotIn('WARNING', self.log)
        self.load(PLAIN, rbd_glance_store_name='cheap')
        self.assertIn('WARNING rbd_glance_store_name is set for the driver %s, which is not' % PLAIN,
                      self.log)

    def test_what_cannot_be_cloned_or_is_cloned_faster_is_left_to_cinder(self):
        image = self.base('fast')
        self.conf_values.allowed_direct_url_schemes = ['cinder']
        self.assertEqual(({}, False), self.clone(image, 'file:///x', disk_format='qcow2'))
        self.assertEqual(({}, False), self.clone(image, 'file:///x', 'cinder://gold/volume'))
        self.volume.encryption_key_id = 'key'
        self.assertEqual(({}, False), self.clone(image, 'file:///x'))
        self.assertEqual([], self.glance.log)

    def test_after_a_failover_nothing_is_copied(self):
        self.driver._active_backend_id = 'the other cluster'
        self.assertEqual(({}, False), self.clone(self.base('fast'), 'file:///x'))
        self.assertEqual([], self.glance.log)

    def test_an_image_on_a_volume_that_cinder_does_not_clone_is_copied(self):
        image = self.base('fast')
        self.driver.present.add(self.url(image))
        self.assertTrue(self.clone(image, 'cinder://gold/volume')[1])
        self.assertEqual(1, self.copies())


class ImageCacheTest(ClonesTestCase):
    """What has an entry in Cinder's image cache is Cinder's."""

    def setUp(self):
        super().setUp()
        self.image, self.entries = self.base('fast'), []
        self.useFixture(fixtures.MonkeyPatch('cinder.db.api.image_cache', self.entries))
        self.driver = self.load(RBD, rbd_glance_store_name='cheap', image_volume_cache_enabled=True)
        self.driver.present.add(self.url(self.image))

    def cache(self, host='host@fast', cluster_name=None, image=None):
        self.entries.append({'image_id': image or self.image, 'host': host, 'cluster_name': cluster_name})

    def assert_left_to_cinder(self):
        self.assertEqual(({}, False), self.clone(self.image, 'file:///x'))
        self.assertEqual([], self.glance.log)

    def test_an_image_with_an_entry_is_left_to_cinder_and_so_is_the_entry(self):
        """Also one that is out of date: Cinder replaces it, which takes its API of volumes."""
        self.cache()
        self.assert_left_to_cinder()
        self.assertEqual(1, len(self.entries))

    def test_a_clustered_service_shares_the_entries_of_its_cluster(self):
        self.volume.is_clustered, self.volume.cluster_name = True, 'together@fast'
        self.cache(host='another@fast', cluster_name='together@fast')
        self.assert_left_to_cinder()

    def test_an_image_without_an_entry_of_this_backend_is_copied(self):
        self.cache(image='another')
        self.cache(host='host@slow')
        self.assertTrue(self.clone(self.image, 'file:///x')[1])

    def test_a_cache_that_cannot_be_read_is_no_failure_of_the_volume(self):
        def fail(*arguments, **filters):
            raise OSError('the database is away')
        self.useFixture(fixtures.MonkeyPatch('cinder.db.api.image_volume_cache_get_all', fail))
        self.assert_left_to_cinder()
        self.assertIn('WARNING Volume the volume does not become a clone, Cinder goes on without: the image '
                      'cache of Cinder cannot be read (the database is away)', self.log)


class DatabaseTest(base.TestCase):

    def test_every_cinder_has_what_its_image_cache_is_read_by(self):
        # Of the services' own Cinder, too: see tox -e cinder.
        self.assertEqual(['context', 'filters'],
                         list(inspect.signature(cinder.db.api.image_volume_cache_get_all).parameters))


class HiddenTest(ClonesTestCase):

    def test_an_image_that_is_in_the_store_is_found_in_the_pool(self):
        image = self.base('cheap')
        self.driver.present.add(self.url(image))
        self.assertEqual(({'cloned_from': self.url(image)}, True), self.clone(image))
        self.assertEqual((0, []), (self.copies(), self.glance.requests('GET', '/locations$')))

    def test_where_glance_does_not_list_stores_the_pool_alone_decides(self):
        image = self.base('cheap')
        self.driver.present.add(self.url(image))
        self.glance.images[image]['stores'] = ''
        self.assertEqual(({'cloned_from': self.url(image)}, True), self.clone(image))

    def test_in_another_pool_by_the_location_api(self):
        image = self.base('cheap')
        url = self.url(image, 'another')
        self.driver.present.add(url)
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.image_clones.image_client.privileged_images_for',
            lambda *arguments: types.SimpleNamespace(locations=lambda image_id: ('file:///password', url))))
        self.assertEqual(({'cloned_from': url}, True), self.clone(image))
        # The driver logs what it cannot use, and some locations hold passwords.
        self.assertNotIn('file:///password', self.driver.tried)

    def test_a_pool_that_cannot_be_read_is_no_failure_of_the_volume(self):
        """Cinder's driver lets errors of librados through."""
        image = self.base('cheap')
        self.driver.configuration._options['rbd_glance_pool'] = 'no-such-pool'
        self.assertEqual(({}, False), self.clone(image))
        self.assertIn('WARNING Glance has image %s in the store cheap' % image, self.log)

    def test_a_cluster_that_is_away_is_no_failure_of_the_volume_either(self):
        self.driver.is_away = True
        self.assertEqual(({}, False), self.clone(self.base('cheap')))

    def test_an_image_that_is_in_other_stores_is_not_looked_for(self):
        """Another image of the same pool would have the same id, and its data may be incomplete."""
        image = self.base('fast')
        self.driver.present.add(self.url(image))
        self.assertTrue(self.clone(image)[1])
        self.assertEqual(1, self.copies())


class FallbackTest(ClonesTestCase):

    def assert_cinders_way(self, image, *said):
        self.assertEqual(({}, False), self.clone(image, 'file:///x'))
        for text in said:
            self.assertIn(text, self.log)
        self.assertEqual(1, self.log.count('WARNING'), self.log)
        self.assertNotIn('Traceback', self.log)

    def test_a_copy_that_glance_refuses(self):
        image = self.base('fast')
        self.glance.faults.append(fake_glance.Fault('POST', '/import$', 403))
        self.assert_cinders_way(image, 'WARNING Volume the volume does not become a clone, Cinder goes on '
                                'without: Image %s is not in the store cheap: ' % image,
                                'Glance does not allow the copy')

    def test_a_store_that_glance_lacks(self):
        self.driver.configuration._options['rbd_glance_store_name'] = 'nowhere'
        self.assert_cinders_way(self.base('fast'), "[fast] rbd_glance_store_name names the Glance store "
                                "'nowhere', which does not exist")

    def test_credentials_that_cannot_be_used(self):
        def fail(*arguments):
            raise ValueError('no such plugin')
        self.useFixture(fixtures.MonkeyPatch(
            'multistore_hooks.cinder.image_clones.image_client.privileged_images_for', fail))
        self.assert_cinders_way(self.base('fast'),
                                'the credentials in [multistore_hooks] cannot be used: no such plugin')

    def test_a_copy_that_is_in_another_cluster(self):
        image = self.base('fast')
        self.assert_cinders_way(image, 'WARNING Glance has image %s in the store cheap, but volume the '
                                'volume cannot be cloned from it' % image, 'the pool images')

    def test_locations_that_glance_does_not_show_are_no_failure(self):
        image = self.base('fast')
        self.driver.present.add(self.url(image))

        class Refusing(ImageService):
            def get_location(self, context, image_id):
                raise glanceclient.exc.HTTPInternalServerError()
        self.assertTrue(self.driver.clone_image(base.Context(), self.volume, (None, None),
                                                {'id': image, 'disk_format': 'raw'}, Refusing())[1])

    def test_an_error_that_nobody_expects_is_logged_with_its_trace_and_cinder_goes_on(self):
        def fail(*arguments, **more):
            raise KeyError('a defect')
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_clones.waiter.CopyWaiter', fail))
        self.assertEqual(({}, False), self.clone(self.base('fast'), 'file:///x'))
        self.assertIn("Cinder goes on without: 'a defect'", self.log)
        self.assertIn('Traceback', self.log)

    def test_at_most_half_of_the_threads_wait(self):
        image = self.base('fast')
        image_clones._waits._taken = 4
        self.assert_cinders_way(image, 'half of the 8 threads of this service wait for copies already')
        self.assertEqual((0, 4), (self.copies(), image_clones._waits._taken))
        image_clones._waits._taken = 3
        self.driver.present.add(self.url(image))
        self.assertTrue(self.clone(image, 'file:///x')[1])
        self.assertEqual(3, image_clones._waits._taken)

    def test_while_other_copies_hold_the_image_a_volume_waits_for_its_turn_no_longer_than_a_minute(self):
        image = self.base('fast')
        self.glance.images[image].update(os_glance_import_task='t', os_glance_importing_to_stores='reliable')
        self.glance.faults.append(fake_glance.Fault('POST', '/import$', 409, times=999))
        self.assert_cinders_way(image, 'it did not get its turn within 60 seconds')
        self.assertLess(self.clock.now, 70)


class FaultsTest(ClonesTestCase):
    """One call of a cold image's way fails, or hangs: the volume is a clone, or Cinder goes on by itself."""

    def setUp(self):
        super().setUp()
        self.to_glance, self.to_ceph = base.Calls(), base.Calls()
        self.ceph = fake_ceph.FakeCeph(self.clock)
        self.driver.rados, self.driver.rbd = self.ceph.rados, self.ceph.rbd
        requester = image_client.CinderImages(self.counted(contract.ADMIN), self.counted(contract.ADMIN),
                                              clock=self.clock)
        reader = image_client.CinderImages(self.counted(contract.MEMBER), self.counted(contract.MEMBER),
                                           clock=self.clock)
        across = cluster.Cluster.call_across
        for name, stub in (
                ('cinder.image_clones.coordinator.CephCoordinator', self.coordinator),
                ('cinder.image_clones.image_client.privileged_images_for', lambda *arguments: requester),
                ('cinder.image_clones.image_client.images_for', lambda *arguments: reader),
                ('ceph.cluster.Cluster.call_across', lambda site, pools, function: self.to_ceph.wrap(
                    across, site, pools, function)),
                ('ceph.cluster.call_natively', lambda function, *arguments: function(*arguments))):
            self.useFixture(fixtures.MonkeyPatch('multistore_hooks.' + name, stub))

    def coordinator(self, *arguments):
        return CEPH_COORDINATOR(*arguments, clock=self.clock)

    def counted(self, token):
        adapter = fake_glance.SocketlessAdapter(self.glance)
        run = contract.run_with(lambda: contract.session_client('http://glance', token, adapter))
        return lambda verb, function: self.to_glance.wrap(run, verb, function)

    def cold(self):
        image = self.base('fast')
        self.driver.present.add(self.url(image))
        return image

    def run_cases(self, calls, errors):
        """Create a volume for each call and way to fail; return how many are clones, and how many not."""
        calls.fail(None, False, None)
        self.assertTrue(self.clone(self.cold(), 'file:///x')[1])
        steps, ways = calls.count, {True: 0, False: 0}
        self.assertLess(2, steps)
        for number in range(1, steps + 1):
            for error in errors:
                for after, hang in ((False, None), (True, None), (False, lambda: self.clock.sleep(30))):
                    image, logged = self.cold(), len(self.log)
                    calls.fail(number, after, error, hang=hang)
                    update, cloned = self.clone(image, 'file:///x')
                    ways[cloned] += 1
                    case = number, error, after, hang
                    self.assertEqual({'cloned_from': self.url(image)} if cloned else {}, update, case)
                    if not cloned:
                        self.assertIn('does not become a clone, Cinder goes on', self.log[logged:], case)
                    self.assertNotIn('Traceback', self.log[logged:], case)
                    self.assertEqual(0, image_clones._waits._taken, case)
                    self.assertEqual('active', self.glance.images[image]['status'], case)
        return ways

    def test_every_request_to_glance_in_turn(self):
        ways = self.run_cases(self.to_glance, [OSError('lost')] + [
            api.error_for(status, 'no') for status in (400, 403, 404, 409, 500, 503)])
        self.assertLess(0, ways[True])
        self.assertLess(ways[False], ways[True])

    def test_every_call_to_ceph_in_turn(self):
        ways = self.run_cases(self.to_ceph, [cluster.ClusterError('away')])
        self.assertEqual(0, ways[False])


class TokenTest(ClonesTestCase):
    """The user's token expires after an hour; the copy of the image takes longer."""

    def setUp(self):
        super().setUp()
        self.glance.copies_at_once = False
        self.driver.configuration._options['rbd_glance_copy_timeout'] = 0
        self.image = self.base('fast')
        self.driver.present.add(self.url(self.image))
        self.clock.at(4000, self.glance.finish_copies)

    def let_expire(self, *names):
        adapter = fake_glance.SocketlessAdapter(self.glance)
        send = contract.run_with(lambda: contract.session_client('http://glance', contract.ADMIN, adapter))

        def run(verb, function):
            if self.clock.now >= 3600:
                raise api.error_for(401, 'The request you have made requires authentication.')
            return send(verb, function)
        expiring = image_client.CinderImages(run, run, clock=self.clock)
        for name in names:
            self.useFixture(fixtures.MonkeyPatch(
                'multistore_hooks.cinder.image_clones.image_client.' + name, lambda *arguments: expiring))

    def test_with_other_rights_for_copies_it_is_a_clone(self):
        self.let_expire('images_for')
        self.assertTrue(self.clone(self.image, 'file:///x')[1])
        self.assertLess(4000, self.clock.now)

    def test_without_them_cinder_goes_on_when_it_has_expired(self):
        self.let_expire('images_for', 'privileged_images_for')
        self.assertEqual(({}, False), self.clone(self.image, 'file:///x'))
        self.assertIn('does not become a clone, Cinder goes on without: Image %s is not in the store cheap: '
                      'Glance does not show the image' % self.image, self.log)
        self.assertLess(3600, self.clock.now)


class Sleepers:
    """A clock on which every sleep lasts until ``wake``; ``threads`` are those that sleep, or have slept."""

    def __init__(self):
        self.now = 0.0
        self.threads, self._changed, self._awake = set(), threading.Condition(), threading.Event()

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        with self._changed:
            self.threads.add(threading.current_thread())
            self._changed.notify_all()
        self._awake.wait()
        self.now += seconds

    def wait_for(self, count):
        """Return when so many threads sleep."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.threads) >= count)

    def wake(self):
        self._awake.set()


class ManyTest(ClonesTestCase):
    """200 volumes of one backend and of one cold image, while its copy does not end."""

    VOLUMES = 200

    def begin(self, workers, waiting):
        """Create them, each in a thread; return when so many of them wait and the others are done."""
        self.conf_values.executor_thread_pool_size = workers
        self.results, self.leader, self.followers = [], Sleepers(), Sleepers()
        self.addCleanup(self.followers.wake)
        self.addCleanup(self.leader.wake)
        for name, stub in (('_Clone.clock', self.leader),
                           ('_flights', single_flight.SingleFlight(self.followers))):
            self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_clones.' + name, stub))
        self.image, self.glance.copies_at_once = self.base('fast'), False
        self.driver.present.add(self.url(self.image))
        self.threads = [threading.Thread(target=lambda: self.results.append(
            self.clone(self.image, 'file:///x')[1]), daemon=True) for _number in range(self.VOLUMES)]
        for thread in self.threads:
            thread.start()
        self.leader.wait_for(1)
        self.followers.wait_for(waiting - 1)
        for thread in set(self.threads) - self.leader.threads - self.followers.threads:
            thread.join()

    def end(self):
        """Let the copy end, and wait for all."""
        self.glance.finish_copies()
        self.leader.wake()
        for thread in self.leader.threads:
            thread.join()
        self.followers.wake()
        for thread in self.threads:
            thread.join()

    def test_with_enough_workers_all_wait_for_one_copy_and_hold_nothing_but_a_worker(self):
        self.begin(workers=2 * self.VOLUMES, waiting=self.VOLUMES)
        self.assertEqual([], self.results)
        self.assertEqual((1, 1), (self.copies(), len(Coordinator.made)))
        requests = len(self.glance.log)
        # Whatever else the service does finds the locks of the wait free.
        for lock in (image_clones._waits._lock, image_clones._flights._lock):
            self.assertTrue(lock.acquire(blocking=False))
            lock.release()
        self.end()
        self.assertEqual([True] * self.VOLUMES, self.results)
        self.assertEqual((1, 1), (self.copies(), len(Coordinator.made)))
        # Only the one that leads polls Glance; each clones by itself, which takes no more than these.
        polls = [entry for entry in self.glance.log[requests:] if entry[0] == 'GET']
        self.assertLessEqual(len(polls), 2 * self.VOLUMES + 2)

    def test_with_the_default_half_of_the_workers_wait_and_the_other_volumes_do_not_at_all(self):
        self.begin(workers=64, waiting=32)
        self.assertEqual([False] * (self.VOLUMES - 32), self.results)
        self.assertEqual(32, image_clones._waits._taken)
        self.end()
        self.assertEqual(32, self.results.count(True))
        self.assertEqual(0, image_clones._waits._taken)


class DeletedTest(ClonesTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.base('fast')
        self.glance.copies_at_once = False
        self.driver.present.add(self.url(self.image))

    def test_the_wait_ends_when_its_volume_is_deleted(self):
        for ending in (lambda: setattr(self.volume, 'status', 'deleting'), objects.Volume.by_id.clear):
            self.volume.status = 'creating'
            objects.Volume.by_id[self.volume.id] = self.volume
            self.clock.at(self.clock.now + 20, ending)
            began = self.clock.now
            self.assertRaises(exception.VolumeNotFound, self.clone, self.image, 'file:///x')
            self.assertLess(self.clock.now - began, 30)
            self.assertIn('INFO Volume the volume was deleted while it waited for image %s' % self.image,
                          self.log)
            self.assertEqual(0, image_clones._waits._taken)

    def test_a_volume_that_is_deleted_at_the_last_moment_is_not_cloned(self):
        self.clock.at(3, lambda: (self.glance.finish_copies(), setattr(self.volume, 'status', 'deleting')))
        self.assertRaises(exception.VolumeNotFound, self.clone, self.image, 'file:///x')

    def test_a_database_that_is_away_ends_no_wait(self):
        objects.Volume.by_id[self.volume.id] = ValueError('the database is away')
        self.clock.at(20, self.glance.finish_copies)
        self.assertTrue(self.clone(self.image, 'file:///x')[1])

    def test_others_go_on_waiting(self):
        """The wait of the first volume serves all; it ends, and the next one takes over."""
        ended, results = threading.Event(), []

        class Clock:
            monotonic = staticmethod(lambda: 0.0)
            sleep = staticmethod(lambda seconds: ended.wait(60))

        flights = single_flight.SingleFlight(Clock)

        def second():
            try:
                results.append(flights.run((self.image, 'cheap'), lambda: True, 100))
            except Exception as error:
                results.append(error)

        def first():
            other = threading.Thread(target=second)
            other.start()
            threads.append(other)
            raise image_clones.VolumeDeleted(volume='v', image=self.image)
        threads = []
        self.assertRaises(image_clones.VolumeDeleted, flights.run, (self.image, 'cheap'), first, 100)
        ended.set()
        threads[0].join()
        self.assertEqual([True], results)
