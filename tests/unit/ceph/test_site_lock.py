# SPDX-License-Identifier: Apache-2.0
"""The lock that the hosts of a site share, its records, and the connection to the cluster."""

import sys
import threading
import types
from unittest import mock

import fixtures
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_lock
from tests import clock
from tests import fake_ceph


class CephTestCase(testtools.TestCase):
    """A test with a cluster, and hosts that use it."""

    def setUp(self):
        super().setUp()
        self.clock = clock.Clock()
        self.ceph = fake_ceph.FakeCeph(self.clock)
        self.native = []

    def run_natively(self, function, *args):
        self.native.append(function)
        return function(*args)

    def site(self):
        return cluster.Cluster(cluster.Access(self.ceph.rados, self.ceph.rbd, 'ceph.conf', 'nova',
                                              self.run_natively))

    def lock(self, name='copy.i.dcn1'):
        return site_lock.SiteLock(self.site(), 'vms', name, self.clock)


class ClusterTest(CephTestCase):

    def test_image_and_snapshot(self):
        site = self.site()
        self.assertFalse(site.image_exists('images', 'i'))
        self.ceph.images['images', 'i'] = set()
        self.assertTrue(site.image_exists('images', 'i'))
        self.assertFalse(site.image_exists('images', 'i', 'snap'))
        self.ceph.images['images', 'i'].add('snap')
        self.assertTrue(site.image_exists('images', 'i', 'snap'))

    def test_every_call_is_made_the_way_that_was_handed_in(self):
        site = self.site()
        site.image_exists('images', 'i')
        site.close()
        self.assertEqual(2, len(self.native))

    def test_connection_has_limits_and_is_closed(self):
        site = self.site()
        site.image_exists('images', 'i')
        self.assertEqual(1, self.ceph.connections)
        self.assertEqual({'5'}, set(site._connection.conf.values()))
        site.close()
        self.assertEqual(0, self.ceph.connections)

    def test_cluster_that_was_away_is_connected_to_anew(self):
        site = self.site()
        self.ceph.away = True
        self.assertRaises(cluster.ClusterError, site.image_exists, 'images', 'i')
        self.ceph.away = False
        self.assertFalse(site.image_exists('images', 'i'))
        self.ceph.away = True
        self.assertRaises(cluster.ClusterError, site.image_exists, 'images', 'i')
        self.assertEqual(0, self.ceph.connections)
        self.ceph.away = False
        self.assertFalse(site.image_exists('images', 'i'))

    def test_pool_that_is_not_there_or_not_allowed(self):
        self.assertRaises(cluster.PoolUnusable, self.site().image_exists, 'glance', 'i')
        self.ceph.denied.add('images')
        self.assertRaises(cluster.PoolUnusable, self.site().image_exists, 'images', 'i')

    def test_without_eventlet_a_call_is_direct(self):
        self.assertEqual(3, cluster.call_natively(max, 1, 3))

    def test_on_eventlet_a_call_is_made_in_a_native_thread(self):
        threads = []
        tpool = types.SimpleNamespace(
            execute=lambda function, *args: threads.append(function) or function(*args))
        with mock.patch.object(cluster, 'on_eventlet', lambda: True), \
                mock.patch.dict(sys.modules, {'eventlet': types.SimpleNamespace(tpool=tpool)}):
            self.assertEqual(3, cluster.call_natively(max, 1, 3))
        self.assertEqual([max], threads)

    def test_on_eventlet_a_call_is_in_a_native_thread_whatever_has_replaced_the_sleep(self):
        self.useFixture(fixtures.MonkeyPatch('time.sleep', lambda seconds: None))  # as os-brick does
        green = lambda *arguments: None  # noqa: E731
        green.__module__ = 'eventlet.green.select'
        self.useFixture(fixtures.MonkeyPatch('select.select', green))
        self.load('eventlet', tpool=types.SimpleNamespace(
            execute=lambda function, *arguments: ('native', function(*arguments))))
        self.assertEqual(('native', 3), cluster.call_natively(max, 1, 3))

    def load(self, name, **content):
        """Let a module be loaded."""
        module = types.ModuleType(name)
        vars(module).update(content)
        loaded = mock.patch.dict('sys.modules', {name: module})
        loaded.start()
        self.addCleanup(loaded.stop)


class SiteLockTest(CephTestCase):

    def test_one_holder_at_a_time(self):
        first, second = self.lock(), self.lock()
        self.assertEqual((True, False, True), (first.acquire(), second.acquire(), first.acquire()))
        first.release()
        self.assertTrue(second.acquire())

    def test_locks_of_two_names_are_two(self):
        self.assertTrue(self.lock('copy.i.dcn1').acquire())
        self.assertTrue(self.lock('copy.i.dcn2').acquire())

    def test_holder_that_dies_loses_it_with_its_lease(self):
        first, second = self.lock(), self.lock()
        first.acquire()
        self.clock.sleep(site_lock.LEASE - 1)
        self.assertFalse(second.acquire())
        self.clock.sleep(2)
        self.assertTrue(second.acquire())
        self.assertFalse(first.acquire())

    def test_release_leaves_no_object(self):
        lock = self.lock()
        lock.acquire()
        self.assertEqual(1, len(self.ceph.objects))
        lock.release()
        self.assertEqual({}, self.ceph.objects)

    def test_a_lock_that_was_lost_is_not_taken_from_its_new_holder(self):
        first, second = self.lock(), self.lock()
        first.acquire()
        self.clock.sleep(site_lock.LEASE + 1)
        second.acquire()
        first.release()
        self.lock().release()
        self.assertTrue(self.ceph.holder('vms', second.object))

    def test_cluster_that_is_away_is_an_error_and_not_a_lock(self):
        self.ceph.away = True
        self.assertRaises(cluster.ClusterError, self.lock().acquire)

    def test_record_is_read_by_others(self):
        self.assertIsNone(self.lock().read())
        self.lock().write({'state': 'DONE'})
        record = self.lock().read()
        self.assertEqual({'state': 'DONE'}, record.content)
        self.assertEqual(self.clock.time(), record.at)
        self.lock().write({'state': 'DONE'})
        self.assertNotEqual(record.id, self.lock().read().id)
        self.assertIsNone(self.lock('copy.i.dcn2').read())

    def test_record_outlives_the_lock(self):
        lock = self.lock()
        lock.acquire()
        lock.write({'state': 'DONE'})
        lock.release()
        self.assertEqual({'state': 'DONE'}, self.lock().read().content)

    def test_old_records_are_removed_by_the_next_writer(self):
        for number in range(3):
            self.lock('copy.%d' % number).write({})
            self.clock.sleep(site_lock.KEEP / 2 + 1)
        self.assertEqual(2, len(self.ceph.objects['vms', site_lock.RECORDS]))
        self.assertIsNone(self.lock('copy.0').read())

    def test_record_of_another_making_is_not_an_error(self):
        self.lock().write({})
        for name in self.ceph.objects['vms', site_lock.RECORDS]:
            self.ceph.objects['vms', site_lock.RECORDS][name] = b'\xff'
        self.assertEqual({}, self.lock().read().content)
        self.lock('another').write({})
        self.assertEqual(1, len(self.ceph.objects['vms', site_lock.RECORDS]))

    def test_held_lock_is_renewed_in_the_background(self):
        first, second = self.lock(), self.lock()
        first.acquire()
        renewing = []
        with first.kept(renewing.append, 3600) as keeper:
            self.clock.at(100, keeper.stop)
            renewing[0]()  # in a thread of its own; here until it is stopped
            self.assertFalse(second.acquire())
        self.assertGreaterEqual(self.clock.now, 100)
        self.assertFalse(keeper.lost)

    def test_lock_that_is_lost_in_the_background_is_known_to_be(self):
        first, second = self.lock(), self.lock()
        first.acquire()
        keeper = site_lock.Keeper(first, self.clock, 3600)
        self.ceph.locks.clear()
        second.acquire()
        keeper.run()
        self.assertTrue(keeper.lost)

    def test_renewing_goes_on_while_the_cluster_is_away(self):
        lock = self.lock()
        lock.acquire()
        keeper = site_lock.Keeper(lock, self.clock, 3600)
        self.ceph.away = True
        self.clock.at(10, lambda: setattr(self.ceph, 'away', False))
        self.clock.at(40, keeper.stop)
        keeper.run()
        self.assertFalse(keeper.lost)
        self.assertFalse(self.lock().acquire())

    def test_renewal_under_way_ends_before_the_lock_is_released(self):
        lock, ends = self.lock(), []
        begun, may_end, stopped = threading.Event(), threading.Event(), threading.Event()
        lock.acquire()
        self.clock.at(1, lambda: stopped.wait(60))  # between two renewals
        keeper, acquire = site_lock.Keeper(lock, self.clock, 3600), lock.acquire

        def acquire_slowly():
            begun.set()
            may_end.wait(60)
            ends.append('renewal')
            return acquire()

        def stop():
            keeper.stop()
            ends.append('stop')
            lock.release()
            stopped.set()

        lock.acquire = acquire_slowly
        threads = [threading.Thread(target=function, daemon=True) for function in (keeper.run, stop)]
        threads[0].start()
        self.assertTrue(begun.wait(60))
        threads[1].start()
        threads[1].join(0.2)  # enough for a stop that does not wait; one that does is right at any time
        may_end.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(['renewal', 'stop'], ends)
        self.assertTrue(self.lock().acquire())

    def test_stopped_keeper_renews_no_more(self):
        lock = self.lock()
        keeper = site_lock.Keeper(lock, self.clock, 3600)
        keeper.stop()
        keeper.run()
        self.assertTrue(self.lock().acquire())

    def test_lock_is_renewed_no_more_after_the_limit(self):
        lock = self.lock()
        lock.acquire()
        keeper = site_lock.Keeper(lock, self.clock, 60)
        self.clock.at(200, keeper.stop)
        keeper.run()
        self.assertTrue(keeper.lost)
        self.assertEqual(60, self.clock.now)
        self.clock.sleep(site_lock.LEASE + 1)
        self.assertTrue(self.lock().acquire())

    def test_object_that_is_missing_once_does_not_end_the_renewing(self):
        lock = self.lock()
        lock.acquire()
        keeper, renewals = site_lock.Keeper(lock, self.clock, 3600), []

        def acquire():
            renewals.append(self.clock.now)
            if len(renewals) == 1:
                raise cluster.Missing('no such object')
            return True

        lock.acquire = acquire
        self.clock.at(12, keeper.stop)
        keeper.run()
        self.assertEqual([0, 5, 10], renewals)
        self.assertFalse(keeper.lost)
