# SPDX-License-Identifier: Apache-2.0
"""Data without a record goes only when all says that it may, twice, and to the trash."""

import json
import os

import fixtures

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from multistore_hooks.stores import proofs
from multistore_hooks.stores import remove_data
from multistore_hooks.stores import sightings
from tests import clock
from tests import fake_glance
from tests import fake_rbd
from tests.unit import base
from tests.unit.stores import fakes

ORPHAN = 'c0ffee00-0000-4000-8000-000000000000'
NOW, HOUR, DAY = 1767225600.0, 3600, 86400


class RemoveTestCase(fakes.EvictionTestCase):
    """The store b is a pool, with data that no record lists."""

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock())
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, None, None, cluster.call_natively)
        self.pool = places.Pool(cluster.Cluster(access), self.ceph.rbd, 'images', 'f')
        self.details = {store: fakes.api.StoreDetail(store, kind, {}) for store, kind in (
            ('a', 'file'), ('b', 'rbd'))}
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'seen')
        self.now = NOW
        self.data = self.hold(ORPHAN)

    def hold(self, name, age=2 * DAY):
        """Put data into the pool."""
        data = self.ceph.rbd.images['images', name] = fake_rbd.Image(4)
        data.changed = self.now - age
        return data

    def remove(self, name=ORPHAN, dry_run=False):
        """Remove, as a run of the command does, and return what came of it."""
        images = self.images()
        places_ = dict(self.places, b=self.pool)
        return remove_data.DataRemover(remove_data.Tools(
            images, proofs.Prover(images, places_, self.details), 'b', self.pool, list(images.everything()),
            sightings.Sightings(self.path), 7 * DAY, lambda: self.now)).remove(name, dry_run)

    def stays(self, why, name=ORPHAN):
        """Check that data stays, for this reason, and that its first sight does not count any more."""
        came = self.remove(name)
        self.assertEqual(evict.REFUSED, came.state)
        self.assertIn(why, came.why)
        self.assertIn(('images', name), self.ceph.rbd.images)
        self.assertEqual([], self.ceph.rbd.trashed)
        self.assertEqual({}, self.glance.namespaces)
        with open(self.path, encoding='utf-8') as stream:
            self.assertEqual({}, json.load(stream)['seen'])

    def seen(self, name=ORPHAN, after=HOUR):
        """See data for the first time, and let time go by."""
        self.assertEqual(remove_data.NOT_YET, self.remove(name).state)
        self.now += after


class RemoveTest(RemoveTestCase):

    def test_seen_twice_an_hour_apart_it_goes_to_the_trash_with_a_delay(self):
        self.seen()
        self.assertEqual(evict.Outcome(evict.TRASHED, 'rbd trash restore brings it back'), self.remove())
        self.assertEqual([('images', ORPHAN)], self.ceph.rbd.trashed)
        self.assertEqual([7 * DAY], [delay for _data, delay in self.ceph.rbd.moved.values()])
        self.assertEqual(evict.ABSENT, self.remove().state)
        self.assertIn('INFO Moving %s in the pool images of cluster f to the trash' % ORPHAN, self.log)

    def test_second_sight_less_than_an_hour_later_is_none(self):
        self.seen(after=HOUR - 60)
        why = 'it may go if it is the same in 1 minutes: run the command again'
        self.assertEqual((remove_data.NOT_YET, why), tuple(self.remove()))
        self.now += 60
        self.assertEqual(evict.TRASHED, self.remove().state)

    def test_what_changed_between_the_sights_is_seen_anew(self):
        self.seen()
        self.data.size = 5
        self.seen()
        self.data.changed += 60
        self.seen()
        self.assertEqual(evict.TRASHED, self.remove().state)

    def test_sight_of_a_time_to_come_does_not_count(self):
        self.seen(after=-DAY)
        self.seen()
        self.assertEqual(evict.TRASHED, self.remove().state)

    def test_sight_of_another_pool_does_not_count(self):
        self.seen()
        self.pool._fsid = 'another'
        self.assertEqual(remove_data.NOT_YET, self.remove().state)

    def test_young_data_stays(self):
        self.data.changed = self.now - DAY + 1
        self.stays('it was changed less than 24 hours ago')
        self.data.changed = self.now + DAY
        self.stays('it was changed less than 24 hours ago')

    def test_where_the_pool_does_not_show_the_age_the_sights_are_a_day_apart(self):
        self.data.changed = 0
        self.seen(after=DAY - 60)
        self.seen(after=60)
        self.assertEqual(evict.TRASHED, self.remove().state)

    def test_watched_data_stays(self):
        self.seen()
        self.data.watchers = 1
        self.stays('open at 1 client')

    def test_data_whose_watchers_are_not_known_stays(self):
        self.patch(fake_rbd._Open, 'watchers_list', property(lambda opened: opened.missing))
        self.stays('the clients of image %s are not known' % ORPHAN)

    def test_data_that_is_opened_at_the_last_moment_stays(self):
        self.seen()
        self.ceph.rbd.before = lambda step: setattr(self.data, 'watchers', int(step == 'trash_move'))
        came = self.remove()
        self.assertEqual((evict.REFUSED, []), (came.state, self.ceph.rbd.trashed))

    def test_data_with_clones_stays(self):
        self.seen()
        self.data.snapshots['snap'] = True
        self.ceph.rbd.clone('images', ORPHAN, 'snap', 'disk')
        self.stays('used by 1 clone')

    def test_what_is_no_image_of_glance_stays(self):
        for name in ('volume-1', site_image_record.new_name(ORPHAN)):
            self.hold(name)
            self.assertEqual(evict.REFUSED, self.remove(name).state)

    def test_location_of_another_image_keeps_it(self):
        self.seen()
        other = self.glance.add_image(['a'])
        self.glance.images[other]['locations'] = [{'url': 'rbd://f/images/%s/snap' % ORPHAN}]
        self.stays('a location of image %s names it' % other)

    def test_record_that_the_listing_does_not_have_keeps_it(self):
        self.seen()
        self.glance.add_image(['a', 'b'], id=ORPHAN)
        self.patch(glance.StoreImages, 'everything', lambda images: iter(()))
        self.stays('its record lists the store')

    def test_direct_snapshot_without_location_yet_keeps_it(self):
        self.glance.add_image([], id=ORPHAN, status='queued')
        self.stays('its status is queued')

    def test_recorded_at_the_last_moment_it_is_restored(self):
        self.seen()

        def record(step):
            if step == 'trash_move':
                self.glance.add_image(['a', 'b'], id=ORPHAN)

        self.ceph.rbd.before = record
        self.assertEqual(evict.Outcome(evict.REFUSED, 'its record lists the store; it was restored'),
                         self.remove())
        self.assertEqual([], self.ceph.rbd.trashed)
        self.assertIn(('images', ORPHAN), self.ceph.rbd.images)

    def test_what_cannot_be_restored_is_an_error(self):
        self.seen()

        def record(step):
            if step == 'trash_move':
                self.glance.add_image(['a', 'b'], id=ORPHAN)
            if step == 'trash_restore':
                raise self.ceph.rbd.Error('no route')

        self.ceph.rbd.before = record
        self.assertEqual(evict.FAILED, self.remove().state)
        self.assertIn('ERROR %s is in the trash of the pool images' % ORPHAN, self.log)

    def test_two_removals_at_once_are_kept_apart(self):
        self.seen()
        self.images().take_name(lock.NAME % ORPHAN, lock.holder())
        came = self.remove()
        self.assertEqual(evict.REFUSED, came.state)
        self.assertIn('Another eviction of image', came.why)

    def test_dry_run_changes_nothing(self):
        self.assertEqual(remove_data.NOT_YET, self.remove(dry_run=True).state)
        self.now += HOUR
        self.seen()
        self.assertEqual(evict.Outcome(evict.POSSIBLE, 'it was the same for 60 minutes'),
                         self.remove(dry_run=True))
        self.assertEqual([], self.ceph.rbd.trashed)

    def test_glance_that_is_away_keeps_it(self):
        self.seen()
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/' + ORPHAN, 503))
        self.assertRaises(fakes.api.GlanceError, self.remove)
        self.assertEqual([], self.ceph.rbd.trashed)


class UnfinishedTest(RemoveTestCase):
    """A copy of which the record knows nothing goes when another one is proved."""

    def setUp(self):
        super().setUp()
        self.one = self.glance.add_image(['a'])
        self.hold(self.one)

    def test_it_goes(self):
        self.seen(self.one)
        self.assertEqual(evict.TRASHED, self.remove(self.one).state)
        self.assertEqual((['a'], ['a']), self.state_of(self.one))

    def test_without_proof_of_another_copy_it_stays(self):
        self.seen(self.one)
        self.glance.lose(self.one, 'a')
        self.stays('no other store is proved to hold it: a: it has no data of it', self.one)

    def test_copy_in_progress_stays(self):
        self.glance.copies_at_once = False
        self.images().copy(self.one, ['b'])
        self.stays('an import of the image is going on', self.one)

    def test_copy_without_a_lock_stays(self):
        self.glance.images[self.one]['os_glance_importing_to_stores'] = 'b'
        self.stays('it is being copied to b', self.one)


class SightingsTest(base.TestCase):

    def test_file_that_cannot_be_used_is_found_out_at_once(self):
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'seen')
        for text in ('', '[]', '{"seen": {"x": 1}}', '{"seen": {"x": ["a", 1, 1]}}', '\xff'):
            with open(path, 'w', encoding='latin-1') as stream:
                stream.write(text)
            error = self.assertRaises(sightings.SightingsError, sightings.Sightings, path)
            self.assertIn('it was not written by this command', str(error))
        self.assertRaises(sightings.SightingsError, sightings.Sightings, folder)
        self.assertRaises(sightings.SightingsError, sightings.Sightings, '/nonexistent/seen')
        self.assertEqual(['seen'], os.listdir(folder))
