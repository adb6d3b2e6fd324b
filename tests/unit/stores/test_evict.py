# SPDX-License-Identifier: Apache-2.0
"""An eviction never takes the last copy, whatever others do at the same time, and says what came of it."""

import os
import types
from unittest import mock

import fixtures
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from tests import clock
from tests import contract
from tests import fake_glance
from tests import fake_rbd
from tests.unit.stores import fakes


class EvictTest(fakes.EvictionTestCase):

    def test_copy_goes_when_another_is_proved(self):
        one = self.glance.add_image(['a', 'b'])
        self.assertEqual((evict.FREED, ''), self.evict(one, 'b'))
        self.assertEqual((['a'], ['a']), self.state_of(one))
        self.assertIn("Removing image %s from the store b: a holds it (seen in its own place)." % one,
                      self.log)

    def test_second_time_there_is_nothing_to_do(self):
        one = self.glance.add_image(['a', 'b'])
        self.evict(one, 'b')
        self.assertEqual(evict.ABSENT, self.evict(one, 'b')[0])

    def refused(self, image_id, store, why, **options):
        before = self.state_of(image_id)
        state, text = self.evict(image_id, store, **options)
        self.assertEqual(evict.REFUSED, state)
        self.assertIn(why, text)
        self.assertEqual(before, self.state_of(image_id))
        self.assertEqual([], self.glance.requests('DELETE', '/v2/stores'))
        self.assertEqual({}, self.glance.namespaces)

    def test_last_copy_stays(self):
        self.refused(self.glance.add_image(['a']), 'a', 'it is the last copy')

    def test_copy_that_the_record_lists_and_the_store_lost_proves_nothing(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.lose(one, 'a')
        self.refused(one, 'b', 'no other store is proved to hold it: a: it has no data of it')

    def test_copy_of_another_size_proves_nothing(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.data['a', one] = b'bas'
        self.refused(one, 'b', 'a: it has 3 bytes of 4')

    def test_place_that_is_away_proves_nothing(self):
        self.places['a'].away = 'no route'
        self.refused(self.glance.add_image(['a', 'b']), 'b', 'a: no route')

    def test_place_that_cannot_be_read_from_here_proves_nothing(self):
        del self.places['a']
        self.refused(self.glance.add_image(['a', 'b']), 'b', 'a: its place cannot be read from here')

    def test_any_other_store_is_proof_enough(self):
        one = self.glance.add_image(['a', 'b', 'c'])
        self.glance.lose(one, 'a')
        self.assertEqual(evict.FREED, self.evict(one, 'b')[0])

    def test_two_stores_in_one_place_do_not_prove_one_another(self):
        one = self.glance.add_image(['a', 'b'])
        self.places['a'].one_with = 'b'
        self.refused(one, 'b', 'a: it is the same place as b')

    def test_two_stores_that_glance_describes_alike_do_not_prove_one_another(self):
        self.details = fakes.rbd_details(a='images', b='images')
        self.refused(self.glance.add_image(['a', 'b']), 'b', 'a: it is the same place as b',
                     accept_reads=True)

    def test_place_of_the_other_store_is_known_by_the_url_of_the_image(self):
        del self.places['b']
        for url, state in (('cinder://b/volume', evict.REMOVED), ('file:///b/image', evict.REMOVED),
                           ('swift+https://b/image', evict.REMOVED), ('filesystem:///b', evict.REFUSED),
                           ('http://b/image', evict.REFUSED),
                           ('rbd://f/b/image/snap', evict.REMOVED), ('rbd://f/a/image/snap', evict.REFUSED),
                           ('rbd://image', evict.REFUSED), ('', evict.REFUSED)):
            one = self.glance.add_image(['a', 'b'], locations=[{'url': url, 'metadata': {'store': 'b'}}])
            self.assertEqual(state, self.evict(one, 'b')[0], url)

    def test_directories_of_other_names_may_be_one(self):
        path = self.useFixture(fixtures.TempDir()).path
        one = self.glance.add_image(['a', 'b'], b'base', locations=[
            {'url': 'file:///b/image', 'metadata': {'store': 'b'}}])
        with open(os.path.join(path, one), 'wb') as stream:
            stream.write(b'base')
        self.places = {'a': places.Directory(path)}
        self.refused(one, 'b', 'a: it is not known whether it is another place than b')
        self.details = {store: fakes.api.StoreDetail(store, 'file', {'data_dir': '/' + store})
                        for store in 'ab'}
        self.refused(one, 'b', 'a: it is not known whether it is another place than b')

    def test_place_that_was_named_for_the_wrong_store_does_not_prove_what_is_there(self):
        del self.places['b']
        self.places['a'].one_with = 'b'
        one = self.glance.add_image(['a', 'b'])
        self.details = dict(fakes.rbd_details(b='b'), a=fakes.api.StoreDetail('a', 'file', {}))
        self.refused(one, 'b', 'a: it is the same place as b')
        self.details.update(fakes.rbd_details(a='a'))
        self.refused(one, 'b', 'a: it is the same place as b')

    def test_image_that_is_being_copied(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a', 'b'])
        self.images().copy(one, ['c'])
        self.refused(one, 'b', 'an import of the image is going on')

    def test_copy_without_a_lock_is_an_import_too(self):
        one = self.glance.add_image(['a', 'b'], os_glance_importing_to_stores='c')
        self.refused(one, 'b', 'it is being copied to c')

    def test_what_a_failed_copy_left_in_the_record_is_no_import(self):
        one = self.glance.add_image(['a', 'b'], os_glance_importing_to_stores='c')
        self.glance.tasks[one] = [{'id': 't', 'status': 'failure', 'owner': 'admin'}]
        self.assertEqual(evict.FREED, self.evict(one, 'b')[0])

    def test_image_that_is_not_active(self):
        self.refused(self.glance.add_image(['a', 'b'], status='deactivated'), 'b', 'its status is '
                                                                                   'deactivated')

    def test_image_that_was_deleted(self):
        self.assertEqual(evict.GONE, self.evict('c0ffee00-0000-4000-8000-000000000000', 'a')[0])

    def test_member_may_not(self):
        one = self.glance.add_image(['a', 'b'], owner='p1')
        self.refused(one, 'b', 'Glance refuses the lock of image %s' % one, token=contract.MEMBER)

    def test_protected_hidden_and_shared_images_lose_a_copy_as_others_do(self):
        for more in ({'protected': True}, {'os_hidden': True}, {'visibility': 'shared'},
                     {'visibility': 'community'}, {'owner': 'another'}):
            one = self.glance.add_image(['a', 'b'], **more)
            self.assertEqual(evict.FREED, self.evict(one, 'b')[0], more)


class ReadsTest(fakes.EvictionTestCase):
    """A read through Glance is taken as proof only where the operator says so."""

    def setUp(self):
        super().setUp()
        self.places.clear()

    def test_read_is_proof_if_it_is_accepted(self):
        one = self.glance.add_image(['a', 'b'])
        self.assertEqual(evict.REFUSED, self.evict(one, 'b')[0])
        self.assertEqual(evict.REMOVED, self.evict(one, 'b', accept_reads=True)[0])

    def test_glance_that_does_not_know_the_parameter(self):
        self.glance.prefers = False
        one = self.glance.add_image(['a', 'b'])
        state, why = self.evict(one, 'b', accept_reads=True)
        self.assertEqual(evict.REFUSED, state)
        self.assertIn('this Glance does not read from a store of choice', why)

    def test_older_glance_whose_store_reads_no_ranges_does_not_pass_for_one_that_knows_the_parameter(self):
        self.glance.prefers = self.glance.reads_ranges = False
        one = self.glance.add_image(['a', 'b'])
        state, why = self.evict(one, 'b', accept_reads=True)
        self.assertEqual(evict.REFUSED, state)
        self.assertIn('this Glance does not read from a store of choice', why)

    def test_another_400_says_nothing_about_the_parameter(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/file$', 400))
        one = self.glance.add_image(['a', 'b'])
        state, why = self.evict(one, 'b', accept_reads=True)
        self.assertEqual(evict.REFUSED, state)
        self.assertIn('it cannot be read', why)

    def test_data_that_an_older_glance_sends_is_not_read(self):
        ended = []
        response = types.SimpleNamespace(close=lambda: ended.append(True))
        older = types.SimpleNamespace(http_client=types.SimpleNamespace(
            get=lambda path: (response, iter([]))))
        images = glance.StoreImages(lambda verb, function: function(older))
        self.assertEqual((False, [True]), (images.prefers('i'), ended))

    def test_read_of_other_bytes(self):
        one = self.glance.add_image(['a', 'b'], checksum='0' * 32)
        self.assertIn('its md5 differs from the record', self.evict(one, 'b', accept_reads=True)[1])

    def test_place_that_is_read_and_lacks_the_image_is_not_overruled_by_a_read(self):
        one = self.glance.add_image(['a', 'b'])
        self.places['a'] = fakes.MemoryPlace(self.glance, 'a')
        self.glance.lose(one, 'a')  # Glance would serve it from b, and not say so
        self.assertEqual(evict.REFUSED, self.evict(one, 'b', accept_reads=True)[0])


class UseTest(fakes.EvictionTestCase):
    """Clones are counted before a copy goes, and the result says what became of its bytes."""

    def test_copy_with_clones_stays(self):
        one = self.glance.add_image(['a', 'b'])
        self.places['b'].clones[one] = 3
        self.assertEqual((evict.REFUSED, 'used by 3 clones there: removing it would free nothing'),
                         self.evict(one, 'b'))

    def test_copy_with_clones_goes_to_the_trash_if_that_is_wanted(self):
        one = self.glance.add_image(['a', 'b'])
        self.places['b'].clones[one] = 3
        self.places['b'].trash.append(one)
        self.assertEqual((evict.TRASHED, '4 B there, held by 3 clones'), self.evict(one, 'b', in_use=True))

    def test_clone_that_came_meanwhile(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.at('evict: data deleted', lambda: self.places['b'].trash.append(one))
        self.assertEqual((evict.TRASHED, 'what holds 4 B there is not known'), self.evict(one, 'b'))

    def test_data_that_is_still_there_is_no_success(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.at('evict: data deleted', lambda: self.glance.data.update({('b', one): b'base'}))
        self.assertEqual((evict.FAILED, 'the record does not list the store any more, but its data is there'),
                         self.evict(one, 'b'))

    def test_store_that_refuses_as_its_data_is_in_use(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.in_use.add(('b', one))
        state, why = self.evict(one, 'b')
        self.assertEqual((evict.REFUSED, (['a', 'b'], ['a', 'b'])), (state, self.state_of(one)))
        self.assertIn('because it is in use', why)

    def test_use_that_is_not_known_is_said(self):
        one = self.glance.add_image(['a', 'b'])
        self.places['b'].away = 'no route'
        self.assertIn('a: it is not known whether it is another place than b', self.evict(one, 'b')[1])
        self.details = fakes.rbd_details(a='images', b='images2')
        self.assertEqual((evict.REFUSED, 'its place cannot be read, and its data might stay there: no route'),
                         self.evict(one, 'b'))
        self.assertEqual(['a', 'b'], self.glance.where(one))
        del self.places['b']
        self.assertEqual((evict.REMOVED, 'the place of the store cannot be read from here'),
                         self.evict(one, 'b'))

    def test_kinds_of_stores_without_clones_need_not_be_read(self):
        one = self.glance.add_image(['a', 'b'])
        del self.places['b']
        self.details = {store: fakes.api.StoreDetail(store, kind, {}) for store, kind in (
            ('a', 'rbd'), ('b', 'swift'))}
        self.assertEqual(evict.FREED, self.evict(one, 'b')[0])


class TogetherTest(fakes.EvictionTestCase):
    """Others at work at the same time."""

    def test_second_evictor_of_the_same_image_is_refused(self):
        one = self.glance.add_image(['a', 'b'])
        seen = []
        self.glance.at('evict: checked', lambda: seen.append(self.evict(one, 'a')))
        self.assertEqual(evict.FREED, self.evict(one, 'b')[0])
        self.assertEqual(evict.REFUSED, seen[0][0])
        self.assertIn('Another eviction of image %s is going on (host ' % one, seen[0][1])
        self.assertEqual((['a'], ['a']), self.state_of(one))

    def test_without_the_lock_both_copies_are_lost(self):
        # What stock does: the test of the fake, and the reason of the lock.
        one = self.glance.add_image(['a', 'b'])
        self.glance.at('evict: checked', lambda: self.images().delete_from_store(one, 'a'))
        self.images().delete_from_store(one, 'b')
        self.assertEqual([], self.glance.where(one))

    def test_stock_eviction_that_came_between_is_found_out(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.at('evict: checked', lambda: self.images().delete_from_store(one, 'a'))
        state, why = self.evict(one, 'b')
        self.assertEqual(evict.FAILED, state)
        self.assertEqual('another request removed it from a meanwhile: it has no data of it', why)
        self.assertIn('ERROR Image %s: its copy in b was removed as the store a held it' % one, self.log)

    def test_copy_that_began_meanwhile_is_not_disturbed(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a', 'b'])
        evictor = self.evictor()
        find = self.places['a'].find
        self.places['a'].find = lambda image_id: (self.images().copy(one, ['c']), find(image_id))[1]
        self.assertEqual((evict.REFUSED, 'its record changed meanwhile'), tuple(evictor.evict(one, 'b')))
        self.glance.finish_copies()
        self.assertEqual(['a', 'b', 'c'], self.glance.where(one))

    def test_import_that_has_copied_all_gives_its_lock_back_first(self):
        self.glance.locks_last = True
        one = self.glance.add_image(['a'])
        self.images().copy(one, ['b'])
        self.clock.at(20, self.glance.finish_copies)
        self.assertEqual(evict.FREED, self.evict(one, 'a')[0])
        self.assertEqual((['b'], ['b']), self.state_of(one))

    def test_import_that_begins_is_not_waited_for(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a', 'b'], os_glance_import_task='t')
        self.clock.at(10, lambda: self.glance.images[one].update(os_glance_importing_to_stores='c'))
        self.assertEqual((evict.REFUSED, 'an import of the image is going on (task t)'), self.evict(one, 'b'))
        self.assertLess(self.clock.now, 20)

    def test_lock_that_a_killed_glance_has_left_is_not_waited_for_without_a_limit(self):
        one = self.glance.add_image(['a', 'b'], os_glance_import_task='t')
        self.assertEqual((evict.REFUSED, 'an import of the image is going on (task t)'), self.evict(one, 'b'))
        self.assertEqual((evict.LOCK_CLEARS, {}), (round(self.clock.now), self.glance.namespaces))
        examined = self.evictor().examine(self.images().image(one), 'b')
        self.assertEqual((evict.REFUSED, evict.LOCK_CLEARS), (examined.state, round(self.clock.now)))

    def test_locks_that_a_killed_glance_has_left_on_many_images_are_waited_for_once(self):
        evictor = self.evictor()
        outcomes = [evictor.evict(self.glance.add_image(['a', 'b'], os_glance_import_task='t'), 'b')
                    for _ in range(3)]
        self.assertEqual([evict.REFUSED] * 3, [outcome.state for outcome in outcomes])
        self.assertEqual(evict.LOCK_CLEARS, round(self.clock.now))

    def test_record_that_a_copy_saved_over_the_eviction_is_no_success(self):
        one = self.glance.add_image(['a', 'b'])
        locations = list(self.glance._locations[one])
        image = self.images().image(one)
        evictor = self.evictor()
        with mock.patch.object(evictor._images, 'image', side_effect=[image] * 3):
            outcome = evictor.evict(one, 'b')
        self.assertEqual(evict.FAILED, outcome.state)
        self.assertIn('its record still lists the store, which has no data of it any more', outcome.why)
        self.assertEqual(2, len(locations))

    def test_response_that_was_lost_is_looked_up(self):
        one = self.glance.add_image(['a', 'b'])
        evictor = self.evictor()
        delete = evictor._images.delete_from_store

        def lost(image_id, store):
            delete(image_id, store)
            raise OSError('reset')

        with mock.patch.object(evictor._images, 'delete_from_store', lost):
            self.assertEqual(evict.FREED, evictor.evict(one, 'b').state)

    def test_error_before_anything_happened(self):
        one = self.glance.add_image(['a', 'b'])
        self.glance.faults.append(fake_glance.Fault('DELETE', '/v2/stores', 503, times=2))
        state, why = self.evict(one, 'b')
        self.assertEqual(evict.FAILED, state)
        self.assertIn('its record still lists the store, and its data is there', why)
        self.details = fakes.rbd_details(a='images', b='images2')
        del self.places['b']
        self.assertIn('which may have no data of it any more', self.evict(one, 'b')[1])
        self.assertEqual((['a', 'b'], ['a', 'b']), self.state_of(one))


class LockTest(fakes.EvictionTestCase):

    def setUp(self):
        super().setUp()
        self.one = self.glance.add_image(['a', 'b'])
        self.name = lock.NAME % self.one

    def lock(self):
        return lock.EvictionLock(self.images(), self.one)

    def left(self, text):
        self.images().take_name(self.name, text)

    def test_given_back_whatever_happens(self):
        def fail():
            with self.lock():
                raise ValueError()

        self.assertRaises(ValueError, fail)
        self.assertEqual({}, self.glance.namespaces)

    def test_held_by_one_at_a_time(self):
        with self.lock():
            error = self.assertRaises(lock.LockHeld, self.lock().__enter__)
            self.assertIn('glance md-namespace-delete %s' % self.name, str(error))

    def test_lock_of_a_process_that_is_gone_is_taken_over(self):
        self.left('%s; 1' % lock.holder().replace(
            'process %d ' % os.getpid(), 'process %d ' % 2 ** 22))
        with self.lock():
            self.assertRaises(lock.LockHeld, self.lock().__enter__)
        self.assertEqual({}, self.glance.namespaces)
        self.assertIn('taking over the lock that was left by host ', self.log)

    def test_lock_of_a_living_process_or_another_host_or_container_is_not(self):
        self.glance.namespace_time = '2026-01-01T05:59:00Z'
        gone = 'process %d ' % 2 ** 22
        for text in (lock.holder(), 'host elsewhere, %sof x; 1' % gone,
                     lock.holder().split('process')[0] + gone + 'of another boot pid:[1]; 1',
                     lock.holder().split('process')[0] + gone + 'of unknown; 1', 'nonsense', ''):
            self.left(text)
            self.assertRaises(lock.LockHeld, self.lock().__enter__)
            self.assertEqual([self.name], list(self.glance.namespaces))
            self.images().give_name_back(self.name)

    def test_lock_that_has_expired_is_taken_over(self):
        self.left('host elsewhere, process 1 of x; 1')
        self.glance.namespace_time = '2026-01-01T06:00:01Z'
        with self.lock():
            self.assertIn(lock.holder(), self.glance.namespaces[self.name]['description'])

    def test_two_that_take_over_do_not_both_get_it(self):
        self.left('host elsewhere, process 1 of x; 1')
        self.glance.namespace_time = '2026-01-01T06:00:01Z'
        second, first = self.lock(), self.lock()
        take = first._images.take_name

        def after_the_second(name, text):
            # The first has found the lock taken; before it looks at it, the second takes it over, and has it.
            if name.endswith('::break'):
                second.__enter__()
            take(name, text)

        with mock.patch.object(first._images, 'take_name', after_the_second):
            self.assertRaises(lock.LockHeld, first.__enter__)
        second.check()

    def test_while_another_takes_over(self):
        self.left('host elsewhere, process 1 of x; 1')
        self.images().take_name(self.name + '::break', 'x')
        self.glance.namespace_time = '2026-01-01T06:00:01Z'
        self.assertRaises(lock.LockHeld, self.lock().__enter__)

    def test_lock_that_was_lost_ends_the_eviction_before_anything_is_removed(self):
        find = self.places['a'].find

        def lose(image_id):
            self.images().give_name_back(self.name)
            self.left('host elsewhere, process 1 of x; 1')
            return find(image_id)

        self.places['a'].find = lose
        state, why = self.evict(self.one, 'b')
        self.assertEqual((evict.REFUSED,
                          'The lock of image %s was taken over by another eviction.' % self.one),
                         (state, why))
        self.assertEqual(['a', 'b'], self.glance.where(self.one))
        self.assertEqual([self.name], list(self.glance.namespaces))  # it is the other's

    def test_what_killed_processes_left_is_swept_away(self):
        self.left('%s; 1' % lock.holder().replace('process %d ' % os.getpid(), 'process %d ' % 2 ** 22))
        self.images().take_name(lock.NAME % 'x', lock.holder())
        self.images().take_name('another', 'of somebody')
        lock.sweep(self.images())
        self.assertEqual(['another', lock.NAME % 'x'], sorted(self.glance.namespaces))

    def test_response_that_was_lost(self):
        held = self.lock()
        take = held._images.take_name

        def lost(name, text):
            take(name, text)
            raise fakes.api.error_for(503, 'lost')

        with mock.patch.object(held._images, 'take_name', lost):
            with held:
                held.check()
        self.assertEqual({}, self.glance.namespaces)

    def test_lock_that_cannot_be_given_back_is_no_error(self):
        with self.lock():
            self.glance.faults.append(fake_glance.Fault('DELETE', '/v2/metadefs', 503))
        self.assertIn('WARNING The lock %s could not be given back' % self.name, self.log)


class PoolTest(testtools.TestCase):
    """The pool of an RBD store, on a fake cluster."""

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock())
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, None, None, cluster.call_natively)
        self.pool = places.Pool(cluster.Cluster(access), self.ceph.rbd, 'images', 'f')
        self.kept = self.ceph.rbd.images['images', 'one'] = fake_rbd.Image(4)
        self.kept.snapshots['snap'] = True

    def test_image_with_its_snapshot_is_complete(self):
        self.assertEqual((4, True), self.pool.find('one')[:2])
        self.assertEqual(['one'], [name for name, _found in self.pool.everything()])
        self.assertEqual(b'xxxx', b''.join(self.pool.read('one', 3)))

    def test_time_of_the_last_write(self):
        self.assertIsNone(self.pool.find('one').changed)  # of an image that an older cluster made
        self.kept.changed = 1767225600
        self.assertEqual(1767225600.0, self.pool.find('one').changed)
        with mock.patch.object(fake_rbd._Open, 'modify_timestamp', property(lambda opened: opened.missing)):
            self.assertIsNone(self.pool.find('one').changed)

    def test_image_without_snapshot_is_not(self):
        self.kept.snapshots.clear()
        self.assertIs(False, self.pool.find('one').complete)

    def test_image_that_is_not_there(self):
        self.assertIsNone(self.pool.find('two'))
        self.assertEqual(0, self.pool.children('two').clones)
        self.assertRaises(places.PlaceError, lambda: list(self.pool.read('two')))

    def test_clones_are_counted(self):
        self.assertEqual(places.Children(0, 0), self.pool.children('one'))
        self.ceph.rbd.clone('images', 'one', 'snap', 'disk')
        self.assertEqual(places.Children(1, 4), self.pool.children('one'))

    def test_trash(self):
        self.assertFalse(self.pool.in_trash('one'))
        self.ceph.rbd.trashed.append(('images', 'one'))
        self.assertTrue(self.pool.in_trash('one'))
        self.assertEqual(('one',), self.pool.trash())

    def test_cluster_that_is_away_is_not_an_empty_one(self):
        def away(*_unused):
            raise cluster.ClusterError('no route')

        self.pool._cluster.call = away
        for read in (lambda: self.pool.find('one'), lambda: self.pool.children('one'), self.pool.trash,
                     lambda: self.pool.in_trash('one'), lambda: list(self.pool.everything()),
                     self.pool.space):
            self.assertRaises(places.PlaceError, read)


class PlacesTest(fakes.EvictionTestCase):

    def test_whole_image_only(self):
        self.assertEqual('', places.holds(places.Found(4, True), 4))
        self.assertEqual('', places.holds(places.Found(4, None), 4))
        self.assertEqual('its upload was not completed there', places.holds(places.Found(4, False), 4))
        self.assertEqual('it has 5 bytes of 4', places.holds(places.Found(5, True), 4))
        self.assertEqual('it has no data of it', places.holds(None, 4))
