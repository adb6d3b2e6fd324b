# SPDX-License-Identifier: Apache-2.0
"""An image comes to a site in one way: by a copy, or as a site image; what a boot waits for meanwhile."""

import os

import fixtures

from tests import fake_glance
from tests import fake_rbd
from tests.unit.nova import standins
from tests.unit.nova import test_site_images


class WaysTestCase(test_site_images.SiteTestCase):
    """A boot at the site of the store dcn1, where the image is not yet; copies end when a test says so."""

    def setUp(self):
        super().setUp()
        self.glance.copies_at_once = False
        self.glance.stores.update(dcn1=fake_glance.FILE, dcn2=fake_glance.FILE)
        self.glance.images[self.image]['disk_format'] = 'raw'
        self.cloud.token = 'admin:p1:admin'
        self.context.project_id, self.context.roles = 'p1', ['member']
        self.set('images_rbd_glance_store_name', 'dcn1', 'libvirt')
        self.set('site_images', 'fallback')

        from multistore_hooks.nova import site_copy
        self.site_copy = site_copy
        self.useFixture(fixtures.MockPatchObject(standins.Rbd, 'clone', self.clone_as_nova))

    def clone_as_nova(self, context, image_id, copy_to_store=True):
        """Stand for Nova's own: no location is shown here."""
        raise self.cloud.exception.ImageUnacceptable(image_id=image_id, reason='not here')

    def finish(self):
        """End the copies, into the pool of dcn1 too."""
        self.glance.finish_copies()
        if ('dcn1', self.image) in self.glance.data:
            copy = self.ceph.rbd.images['images', self.image] = fake_rbd.Image(5)
            copy.snapshots['snap'] = True

    def record(self):
        return self.images().image(self.image)

    def disk(self):
        return self.rbd.Rbd(None, path='server_disk')

    def clone(self):
        """Boot; return how the disk was made."""
        self.disk().clone(self.context, self.image)
        is_copy = ('images', 'server_disk') in self.ceph.rbd.images
        return 'a clone of the copy' if is_copy else 'a clone of a site image'

    def boot_with_base_file(self):
        path = os.path.join(self.folder, 'base')
        open(path, 'w').close()
        disk = self.disk()
        disk.create_image(None, path, None, context=self.context, image_id=self.image)
        return 'a clone' if ('vms', 'server_disk') in self.ceph.rbd.images else 'the base file'

    def import_to(self, store):
        """Let an administrator have the image imported to a store."""
        self.images('admin:p1:admin').copy(self.image, [store])

    def asks(self):
        return len(self.glance.requests('POST', '/import'))

    def crossings(self):
        return len(self.fetched) + len([1 for store, _image in self.glance.data if store == 'dcn1'])

    def hold(self, seconds=10000):
        """Let another host bring the image to the site, for so many seconds."""
        site = self.site()
        lock = self.module.site_lock.SiteLock(site._cluster, 'vms', self.site_copy.claim_name(self.image),
                                              self.clock)
        self.assertTrue(lock.acquire())
        for second in range(5, seconds, 5):
            self.clock.at(second, lock.acquire)
        self.clock.at(seconds, lock.release)
        return lock


class OneWayTest(WaysTestCase):

    def test_copy_that_glance_makes_is_the_only_crossing(self):
        self.clock.at(30, self.finish)
        self.assertEqual(('a clone of the copy', 1), (self.clone(), self.crossings()))

    def test_site_that_gives_up_its_turn_makes_its_own_and_requests_no_copy(self):
        self.import_to('dcn2')
        self.assertEqual('a clone of a site image', self.clone())
        self.finish()
        self.assertEqual(('a clone of a site image', 1), (self.clone(), self.crossings()))
        self.assertEqual(((), ['dcn2', 'fast']), (self.record().importing_to, self.glance.where(self.image)))

    def test_no_copy_is_requested_while_another_host_makes_a_site_image(self):
        self.hold(40)
        self.clock.at(39, lambda: self.make_elsewhere())
        self.assertEqual(('a clone of a site image', 0), (self.clone(), self.asks()))
        self.assertEqual(1, self.crossings())
        self.assertIn('INFO Image %s is not in the store dcn1: another host of this site makes a site image'
                      % self.image, self.log)
        self.assertNotIn('WARNING', self.log)

    def make_elsewhere(self):
        with self.site() as other:
            other._make(self.context, self.wanted(), test_site_images.types.SimpleNamespace(lost=False))

    def test_boot_that_would_make_a_site_image_waits_for_an_import_to_its_store(self):
        self.set('site_images', 'only')
        self.import_to('dcn1')
        asked = self.asks()
        self.clock.at(200, self.finish)
        self.assertEqual('a clone of the copy', self.clone())
        self.assertEqual((1, asked), (self.crossings(), self.asks()))
        self.assertLess(self.clock.now, 230)

    def test_import_that_does_not_name_the_store_is_not_waited_for(self):
        self.set('site_images', 'only')
        self.import_to('dcn2')
        self.assertEqual(('a clone of a site image', 0), (self.clone(), self.clock.now))

    def test_import_that_ends_without_the_image_is_not_waited_for(self):
        self.set('site_images', 'only')
        self.glance.stores['dcn1'] = fake_glance.FULL
        self.import_to('dcn1')
        self.clock.at(50, self.finish)
        self.assertEqual('a clone of a site image', self.clone())
        self.assertLess(self.clock.now, 80)

    def test_copy_that_fails_leaves_a_site_image(self):
        self.glance.stores['dcn1'] = fake_glance.FULL
        self.clock.at(10, self.finish)
        self.assertEqual(('a clone of a site image', 1), (self.clone(), len(self.fetched)))

    def test_host_that_copies_keeps_others_from_making_a_site_image(self):
        taken = []
        self.clock.at(20, lambda: taken.append(self.site_lock().acquire()))
        self.clock.at(30, self.finish)
        self.assertEqual('a clone of the copy', self.clone())
        self.assertEqual(([False], True), (taken, self.site_lock().acquire()))

    def site_lock(self):
        return self.module.site_lock.SiteLock(self.site()._cluster, 'vms',
                                              self.site_copy.claim_name(self.image), self.clock)


class LimitsTest(WaysTestCase):

    def test_boot_waits_for_a_copy_and_for_a_site_image_no_longer_than_for_one_of_them(self):
        self.set('site_image_after', 0)
        self.import_to('dcn1')
        self.hold()
        self.assertIn('no time is left to wait for its site image', self.refused(self.clone))
        self.assertTrue(600 <= self.clock.now < 610, self.clock.now)

    def test_leader_whose_copy_took_too_long_makes_a_site_image_and_waits_no_more(self):
        self.import_to('dcn1')
        self.assertEqual('a clone of a site image', self.clone())
        self.assertTrue(600 <= self.clock.now < 610, self.clock.now)

    def test_without_another_way_a_boot_waits_for_both(self):
        self.set('never_download_image_if_on_rbd', True, 'workarounds')
        self.import_to('dcn1')
        self.hold(900)
        self.assertEqual('a clone of a site image', self.clone())

    def test_limit_of_a_day_is_not_for_a_host_that_may_download(self):
        self.set('site_images', 'only')
        self.set('images_rbd_glance_copy_timeout', 0, 'libvirt')
        self.hold()
        self.refused(self.clone)
        self.assertTrue(600 <= self.clock.now < 610, self.clock.now)

    def test_half_of_the_builds_may_wait_for_other_hosts_and_the_rest_goes_on_at_once(self):
        self.set('site_images', 'only')
        self.hold()
        taken = [self.site_copy.waiting_slots.take(5) for _unused in range(5)]
        for one in taken:
            one.__enter__()
        self.assertIn('half of the builds', self.refused(self.clone))
        self.assertEqual(0, self.clock.now)
        self.set('never_download_image_if_on_rbd', True, 'workarounds')
        self.hold_ends_at(20)
        self.assertEqual('a clone of a site image', self.clone())

    def hold_ends_at(self, seconds):
        del self.clock.events[:]
        for name in list(self.ceph.locks):
            self.clock.at(seconds, lambda name=name: self.ceph.locks.pop(name, None))

    def test_host_that_makes_the_site_image_takes_no_slot_of_those_that_wait(self):
        self.set('site_images', 'only')
        taken = [self.site_copy.waiting_slots.take(5) for _unused in range(5)]
        for one in taken:
            one.__enter__()
        self.assertEqual('a clone of a site image', self.clone())


class BaseFileTest(WaysTestCase):
    """An earlier download has left the image on this host: it can boot at once, as stock Nova does."""

    def setUp(self):
        super().setUp()
        self.set('site_images', 'only')
        self.set('copy_turn_timeout', 17)

    def no_threads(self):
        self.module._start = lambda function: None

    def test_it_waits_for_another_host_as_long_as_for_a_turn(self):
        self.no_threads()
        self.hold()
        self.assertEqual('the base file', self.boot_with_base_file())
        self.assertTrue(17 <= self.clock.now < 18, self.clock.now)

    def test_what_it_waited_for_a_copy_counts(self):
        self.set('site_images', 'fallback')
        self.set('site_image_after', 15)
        self.no_threads()
        self.import_to('dcn2')
        self.hold()
        self.assertEqual('the base file', self.boot_with_base_file())
        self.assertTrue(15 <= self.clock.now < 20, self.clock.now)

    def test_its_site_image_is_made_apart_and_the_boot_does_not_wait_for_the_download(self):
        made = []
        self.useFixture(fixtures.MockPatchObject(self.module, '_start', made.append))
        self.assertEqual('the base file', self.boot_with_base_file())
        self.assertTrue(17 <= self.clock.now < 18, self.clock.now)
        self.assertEqual([], self.fetched)
        self.assertEqual('the base file', self.boot_with_base_file())
        self.assertEqual(1, len(made))  # one thread for one image
        self.no_threads()
        made[0]()
        self.assertEqual((1, 'a clone'), (len(self.fetched), self.boot_with_base_file()))

    def test_site_image_that_is_made_in_time_is_cloned(self):
        self.assertEqual(('a clone', 0), (self.boot_with_base_file(), self.clock.now))

    def test_what_cannot_be_made_apart_leaves_the_base_file_and_is_tried_again_by_the_next_boot(self):
        def fail(path):
            raise self.ceph.rbd.Error('no space')
        self.fetch = fail
        self.assertEqual('the base file', self.boot_with_base_file())
        self.fetch = lambda path: None
        self.assertEqual('a clone', self.boot_with_base_file())
