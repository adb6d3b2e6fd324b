# SPDX-License-Identifier: Apache-2.0
"""Site images in nova-compute: who makes one, who waits, who is refused, and what is left when it fails."""

import os
import types

import fixtures
from keystoneauth1 import exceptions as ks_exceptions

from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from multistore_hooks import options
from tests import clock
from tests import contract
from tests import fake_glance
from tests import fake_rbd
from tests.unit import base
from tests.unit.nova import standins

DATA = b'disk' * 1000


class Clock(clock.Clock):
    """Also has the time of day."""

    def time(self):
        return 1.7e9 + self.now


class SiteTestCase(base.FakeGlanceTestCase):
    """One host of a site, and a second one that shares its cluster."""

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(standins.Cloud(self.glance))
        self.clock = Clock()
        self.ceph = fake_rbd.ceph(self.clock)
        self.cloud.rbd_utils.rados, self.cloud.rbd_utils.rbd = self.ceph.rados, self.ceph.rbd
        options.register_nova_opts(self.cloud.conf)
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.set('instances_path', self.folder, None)
        self.set('site_images', 'only')
        from multistore_hooks.nova import boot_needs
        from multistore_hooks.nova import image_cache
        from multistore_hooks.nova import rbd
        from multistore_hooks.nova import site_images
        self.needs = boot_needs
        self.module, self.rbd, self.image_cache = site_images, rbd, image_cache
        # Of threads those that make a site image run at once, and those that renew a lock not at all.
        site_images._start = lambda function: function() if function.__name__ == 'make' else None
        self.useFixture(fixtures.MockPatchObject(rbd.Rbd, '_clock', self.clock))
        self.context = types.SimpleNamespace(request_id='req', global_id=None)
        self.image = self.glance.add_image(['fast'], DATA, owner='p1', disk_format='qcow2',
                                           container_format='bare', checksum='sum')
        self.fetched = []
        self.fetch = lambda path: None
        self.cloud.libvirt_utils.fetch_image = self.fetch_image
        self.driver = self.make_driver()

    def cache(self, store=None):
        """Make the image ready for boots; return whether that was needed."""
        return self.image_cache.copy_or_make_site_image(self.context, self.image, store, self.clock)

    def set(self, name, value, group='multistore_hooks'):
        self.cloud.conf.set_override(name, value, group=group)

    def fetch_image(self, context, path, image_id, certs):
        """Download as Nova does."""
        self.fetched.append((image_id, certs))
        with open(path, 'wb') as stream:
            stream.write(DATA)
        with open(path + '.part', 'wb') as stream:
            stream.write(b'left')
        self.fetch(path)

    def make_driver(self):
        ceph = self.ceph

        class Driver(standins.RBDDriver):
            def import_image(self, path, name):
                ceph.rbd.step('import_image')
                ceph.rbd.images[self.pool, name] = fake_rbd.Image(os.path.getsize(path), ceph.clock.now)

            def is_cloneable(self, location, record):
                _fsid, pool, name, snapshot = location['url'][len('rbd://'):].split('/')
                kept = ceph.rbd.images.get((pool, name))
                return kept is not None and snapshot in kept.snapshots

            def clone(self, location, disk, dest_pool=None):
                _fsid, pool, name, snapshot = location['url'][len('rbd://'):].split('/')
                ceph.rbd.clone(pool, name, snapshot, disk)

        self.cloud.rbd_utils.RBDDriver = Driver
        return Driver()

    def wanted(self, certs=None):
        return self.needs.wanted_for(self.context, self.image, certs)

    def site(self):
        return self.module.Site(self.driver, self.clock)

    def boot(self, disk='disk', certs=None):
        """Clone the image as the backend does; return the site image."""
        wanted = self.wanted(certs)
        with self.site() as site:
            found = site.find(wanted) or site.ensure(self.context, wanted, 600)
            self.assertTrue(site.clone(wanted, found, disk))
            return found

    def refused(self, function, *args, kind='ImageUnacceptable'):
        return str(self.assertRaises(getattr(self.cloud.exception, kind), function, *args))

    def names(self):
        return {name for _pool, name in self.ceph.rbd.images if site_image_record.image_of(name)}


class BootTest(SiteTestCase):

    def test_image_is_downloaded_once_and_cloned_by_all(self):
        made = {self.boot(disk) for disk in 'abc'}
        self.assertEqual(1, len(made))
        self.assertEqual([(self.image, None)], self.fetched)
        self.assertEqual(3, len(self.ceph.rbd.images['vms', made.pop().name].children))

    def test_no_file_stays_on_the_host(self):
        self.boot()
        self.assertEqual([[]], [files for _path, folders, files in os.walk(self.folder) if not folders])

    def test_file_that_a_killed_process_left_goes_and_nothing_else(self):
        folder = os.path.join(self.folder, 'multistore_hooks', 'compute')
        os.makedirs(folder)
        for name in (site_image_record.new_name('other') + '.part', 'unknown'):
            open(os.path.join(folder, name), 'w').close()
        self.boot()
        self.assertEqual(['unknown'], os.listdir(folder))

    def test_pool_of_their_own(self):
        self.set('site_image_pool', 'images')
        made = self.boot()
        self.assertIn(('images', made.name), self.ceph.rbd.images)
        self.assertEqual('vms', self.driver.pool)

    def test_user_who_may_not_download_the_image_is_refused_though_the_site_has_it(self):
        self.boot()
        self.glance.faults.append(fake_glance.Fault('GET', '/file', 403))
        self.assertIn('does not let this user download it', self.refused(self.check_download))

    def check_download(self):
        self.needs.check_download(self.context, self.image)

    def test_store_that_cannot_read_a_part_is_requested_the_whole_of_which_nothing_is_read(self):
        self.check_download()
        self.glance.faults.append(fake_glance.Fault('GET', '/file', 400))
        self.check_download()
        self.assertEqual(['bytes=0-0', 'bytes=0-0', None], [
            headers.get('range') for _method, _path, headers in self.glance.requests('GET', '/file')])

    def test_glance_that_fails_is_not_said_to_refuse_the_user(self):
        for status, times in ((400, 2), (500, 1)):
            self.glance.faults.append(fake_glance.Fault('GET', '/file', status, times))
            self.assertIn('it is not known whether this user may download it',
                          self.refused(self.check_download))

    def test_deactivated_image_is_refused(self):
        self.boot()
        self.glance.images[self.image]['status'] = 'deactivated'
        self.assertIn('its status is deactivated', self.refused(self.wanted))

    def test_user_who_may_not_see_the_image_is_refused(self):
        self.cloud.token = contract.OTHER
        self.assertIn('does not let this user', self.refused(self.wanted))

    def test_other_certificates_make_another_site_image(self):
        self.set('verify_glance_signatures', True, 'glance')
        makings = [self.boot(disk, types.SimpleNamespace(ids=ids)).name
                   for disk, ids in (('a', ['x']), ('b', ['x', 'y']), ('c', ['y', 'x']))]
        self.assertNotEqual(makings[0], makings[1])
        self.assertEqual(makings[1], makings[2])

    def test_site_image_that_was_not_verified_does_not_serve_a_host_that_verifies(self):
        first = self.boot('a')
        self.set('verify_glance_signatures', True, 'glance')
        self.assertNotEqual(first.name, self.boot('b').name)

    def test_other_data_under_the_same_id_make_another_site_image(self):
        first = self.boot('a')
        self.glance.images[self.image]['checksum'] = 'another'
        self.assertNotEqual(first.name, self.boot('b').name)

    def test_record_of_an_image_that_is_gone_is_forgotten_and_the_boot_goes_on(self):
        first = self.boot('a')
        del self.ceph.rbd.images['vms', first.name]
        wanted = self.wanted()
        with self.site() as site:
            self.assertFalse(site.clone(wanted, first, 'b'))
        self.assertNotEqual(first.name, self.boot('b').name)

    def test_image_that_is_there_and_cannot_be_cloned_leaves_novas_own_way(self):
        first = self.boot('a')
        self.ceph.rbd.clone_format = 1
        self.ceph.rbd.images['vms', first.name].snapshots[site_image_record.SNAPSHOT] = False
        wanted = self.wanted()
        with self.site() as site:
            self.assertIn('cannot be cloned', self.refused(site.clone, wanted, first, 'b'))

    def test_use_is_recorded_every_few_minutes(self):
        made = self.boot('a')

        def used_at():
            with self.site() as site:
                return site.images.list()[0].used_at
        first = used_at()
        self.clock.now += 10
        self.boot('b')
        self.assertEqual(first, used_at())
        self.clock.now += self.module.TOUCH_EVERY
        self.boot('c')
        self.assertGreater(used_at(), first)
        self.assertEqual({made.name}, self.names())


class FollowersTest(SiteTestCase):
    """Another host leads: it holds the lock."""

    def lead(self):
        """Let another host lead."""
        site = self.site()
        lock = self.module.site_lock.SiteLock(site._cluster, 'vms', 'site_image.%s' % self.image, self.clock)
        self.assertTrue(lock.acquire())
        return site, lock

    def ensure(self):
        wanted = self.wanted()
        with self.site() as site:
            return site.ensure(self.context, wanted, site.patience(False))

    def test_follower_takes_what_the_leader_published(self):
        leader, lock = self.lead()
        self.clock.at(7, lambda: leader._make(self.context, self.wanted(), types.SimpleNamespace(lost=False)))
        made = self.ensure()
        self.assertEqual(({made.name}, 1), (self.names(), len(self.fetched)))

    def test_follower_leads_when_the_leader_has_died(self):
        self.lead()
        self.ensure()
        self.assertEqual(1, len(self.fetched))
        self.assertLess(self.clock.now, 25)

    def fail_elsewhere(self, requirement):
        _leader, lock = self.lead()

        def fail():
            lock.write({'requirement': requirement, 'reason': 'the disk is full'})
        self.clock.at(5, fail)
        self.clock.at(9, lock.release)

    def test_follower_does_not_try_again_what_has_just_failed(self):
        self.fail_elsewhere(self.wanted().requirement.digest)
        self.assertIn('the disk is full', self.refused(self.ensure))
        self.assertEqual([], self.fetched)

    def test_failure_with_other_certificates_is_not_the_followers(self):
        self.fail_elsewhere('of others')
        self.ensure()
        self.assertEqual(1, len(self.fetched))

    def test_failure_of_an_earlier_time_is_not_believed(self):
        _leader, lock = self.lead()
        lock.write({'requirement': self.wanted().requirement.digest, 'reason': 'long ago'})
        self.clock.at(5, lock.release)
        self.ensure()
        self.assertEqual(1, len(self.fetched))

    def test_leader_that_takes_too_long_leaves_novas_own_way(self):
        self.set('images_rbd_glance_copy_timeout', 60, 'libvirt')
        _leader, lock = self.lead()
        for second in range(0, 100, 5):
            self.clock.at(second, lock.acquire)
        self.assertIn('within 60 seconds', self.refused(self.ensure))

    def test_where_there_is_another_way_the_leader_is_waited_for_no_longer_than_patience(self):
        _leader, lock = self.lead()
        for second in range(0, 100, 5):
            self.clock.at(second, lock.acquire)
        wanted = self.wanted()
        with self.site() as site:
            self.assertIn('within 30 seconds', self.refused(site.ensure, self.context, wanted, 30))
        self.assertEqual(30, self.clock.now)

    def test_leader_whose_download_hangs_does_not_keep_the_lead_beyond_the_limit(self):
        self.set('images_rbd_glance_copy_timeout', 60, 'libvirt')
        started = []
        self.useFixture(fixtures.MockPatchObject(self.module, '_start', started.append))

        def hang(path):
            self.fetch = lambda path: None
            self.clock.at(500, started[0].__self__.stop)
            started[0]()  # in a thread of its own; here until it ends
            self.assertLess(self.clock.now, 100)
            self.assertTrue(started[0].__self__.lost)
        self.fetch = hang
        self.ensure()
        self.assertEqual(1, len(started))

    def test_cluster_that_is_away_leaves_novas_own_way(self):
        wanted = self.wanted()
        self.ceph.away = True
        with self.site() as site:
            self.refused(site.find, wanted)
            self.refused(site.ensure, self.context, wanted, 600)


class FailureTest(SiteTestCase):

    STEPS = ('import_image', 'metadata_set', 'create_snap', 'protect_snap')

    def ensure(self):
        wanted = self.wanted()
        with self.site() as site:
            return site.ensure(self.context, wanted, site.patience(False))

    def fail_at(self, step, error):
        def before(reached):
            if reached == step:
                raise error
        self.ceph.rbd.before = before

    def test_failure_at_any_step_leaves_nothing_and_the_next_boot_succeeds(self):
        for step in self.STEPS:
            self.fail_at(step, self.ceph.rbd.Error('no space'))
            self.assertIn('no space', self.refused(self.ensure))
            self.ceph.rbd.before = lambda step: None
            self.assertEqual(set(), self.names())
            self.assertIsNone(self.ceph.holder('vms', 'multistore_hooks.site_image.%s' % self.image))
            self.clock.now += 1
        self.assertEqual(len(self.STEPS), self.log.count('WARNING The site image of image'))
        self.assertIn('WARNING The site image of image %s could not be made: ' % self.image, self.log)
        self.boot()

    def test_host_that_is_killed_at_any_step_leaves_nothing_that_is_cloned_or_that_stays(self):
        class Killed(BaseException):
            """Ends a host without any clean-up."""

        for step in self.STEPS:
            self.fail_at(step, Killed())
            wanted = self.wanted()
            site = self.site()
            self.assertRaises(Killed, site._make, self.context, wanted, types.SimpleNamespace(lost=False))
            self.ceph.rbd.before = lambda step: None
            with self.site() as other:
                self.assertIsNone(other.find(wanted))
            made = self.boot(step)
            self.assertEqual({made.name}, self.names(), step)
            with self.site() as other:
                other.images.forget(made)
            self.ceph.rbd.images.clear()

    def test_host_that_goes_on_after_its_lock_was_lost_leaves_one_site_image(self):
        wanted = self.wanted()
        site = self.site()
        self.fetch = lambda path: self.fetch_by_other()
        self.others = []
        made = site._make(self.context, wanted, types.SimpleNamespace(lost=True))
        self.assertEqual(self.others[0].name, made.name)
        self.assertEqual({made.name}, self.names())

    def fetch_by_other(self):
        self.fetch = lambda path: None
        with self.site() as other:
            self.others.append(other._make(self.context, self.wanted(), types.SimpleNamespace(lost=False)))

    def test_published_image_is_not_discarded_when_its_response_is_lost(self):
        published = site_images.SiteImages.publish

        def lose(images, image):
            published(images, image)
            raise self.module.cluster.ClusterError('timed out')
        self.useFixture(fixtures.MockPatchObject(site_images.SiteImages, 'publish', lose))
        self.refused(self.ensure)
        with self.site() as site:
            self.assertEqual(self.names(), {site.find(self.wanted()).name})

    def fail_fetch(self, error):
        def fail(path):
            raise error
        self.fetch = fail

    def test_image_that_nova_refuses_is_refused_still_and_others_learn_it(self):
        self.fail_fetch(self.cloud.exception.ImageUnacceptable(image_id=self.image, reason='backed by: x'))
        self.assertIn('backed by: x', self.refused(self.ensure))
        with self.site() as site:
            lock = self.module.site_lock.SiteLock(site._cluster, 'vms', 'site_image.%s' % self.image,
                                                  self.clock)
            self.assertIn('backed by: x', lock.read().content['reason'])

    def test_image_that_was_deleted_or_is_not_for_this_user_is_novas_error_and_not_shared(self):
        for kind, values in (('ImageNotFound', {}), ('ImageNotAuthorized', {})):
            self.fail_fetch(getattr(self.cloud.exception, kind)(image_id=self.image, **values))
            self.refused(self.ensure, kind=kind)
        self.fetch = lambda path: None
        self.boot()


class LifeTest(SiteTestCase):

    def test_periodic_task_removes_what_nobody_uses(self):
        made = self.boot()
        self.ceph.rbd.images['vms', made.name].children.clear()
        for _ in range(2):
            self.clock.now += 2 * 86400
            self.module.clean_up(self.driver, self.clock)
        self.assertEqual(set(), self.names())
        self.assertIn('Removed the site image %s' % made.name, self.log)

    def test_nothing_is_removed_where_the_operator_says_so_or_the_feature_is_off(self):
        made = self.boot()
        self.ceph.rbd.images['vms', made.name].children.clear()
        self.clock.now += 9 * 86400
        for name, value, group in (('remove_unused_base_images', False, 'image_cache'),
                                   ('site_images', 'off', 'multistore_hooks')):
            self.set(name, value, group)
            for _ in range(2):
                self.module.clean_up(self.driver, self.clock)
                self.clock.now += 86400
            self.cloud.conf.clear_override(name, group=group)
            self.set('site_images', 'only')
        self.assertEqual({made.name}, self.names())

    def test_hosts_of_a_site_that_come_to_it_at_about_the_same_time_leave_it_to_one(self):
        made = self.boot()
        self.ceph.rbd.images['vms', made.name].children.clear()
        self.clock.now += 2 * 86400
        runs = self.useFixture(fixtures.MockPatchObject(
            self.module.site_image_cleanup, 'clean_up', wraps=self.module.site_image_cleanup.clean_up)).mock
        for _ in range(40):
            self.clock.now += 30
            self.module.clean_up(self.driver, self.clock)
        self.assertEqual(2, runs.call_count)

    def test_run_that_failed_is_not_the_last_one_for_others(self):
        self.boot()
        clean_up = self.module.site_image_cleanup.clean_up
        runs = self.useFixture(fixtures.MockPatchObject(
            self.module.site_image_cleanup, 'clean_up',
            side_effect=self.module.cluster.ClusterError('no route to host'))).mock
        self.module.clean_up(self.driver, self.clock)
        runs.side_effect = clean_up
        self.module.clean_up(self.driver, self.clock)
        self.assertEqual(2, runs.call_count)

    def test_cluster_that_is_away_is_a_warning(self):
        self.ceph.away = True
        self.module.clean_up(self.driver, self.clock)
        self.assertIn('WARNING Unused site images could not be removed', self.log)

    def test_image_is_made_beforehand_without_a_file_in_novas_cache(self):
        self.assertTrue(self.cache())
        self.assertFalse(self.cache())
        self.assertEqual(1, len(self.fetched))
        self.assertFalse(os.path.exists(os.path.join(self.folder, '_base')))

    def test_caching_an_image_again_keeps_its_site_image(self):
        self.cache()
        self.clock.now += 86000
        self.assertFalse(self.cache())
        self.clock.now += 86000
        for _unused in range(3):
            self.module.clean_up(self.driver, self.clock)
            self.clock.now += 700
        self.assertEqual(1, len(self.names()))

    def test_clean_up_sends_nothing_to_glance_whose_404_may_mean_no_more_than_a_missing_right(self):
        self.boot()
        del self.glance.log[:]
        self.clock.now += 9 * 86400
        self.module.clean_up(self.driver, self.clock)
        self.assertEqual(([], 1), (self.glance.log, len(self.names())))


class BackendTest(SiteTestCase):
    """The order in Rbd.clone."""

    def setUp(self):
        super().setUp()
        self.disk = self.backend('active')
        self.here = False
        self.copies = []

        def clone(_disk, context, image_id, copy_to_store=True):
            if not self.here:
                raise self.cloud.exception.ImageUnacceptable(image_id=image_id, reason='not here')
            return 'cloned by Nova'

        self.useFixture(fixtures.MockPatchObject(standins.Rbd, 'clone', clone))
        self.useFixture(fixtures.MockPatchObject(self.rbd.site_copy, 'ensure_in_store',
                                                 self.ensure_in_store))

    def backend(self, vm_state):
        return self.rbd.Rbd(types.SimpleNamespace(vm_state=vm_state), path='server_disk')

    def test_server_that_is_unshelved_needs_no_site_image(self):
        self.disk = self.backend('shelved_offloaded')
        self.refused(self.clone)
        self.assertEqual([], self.fetched)

    def test_only_does_not_request_a_copy_for_a_server_that_is_unshelved_either(self):
        self.raw()
        for mode, copies in (('only', 0), ('fallback', 1)):
            self.set('site_images', mode)
            self.disk = self.backend('shelved_offloaded')
            self.refused(self.clone)
            self.assertEqual(copies, len(self.copies), mode)
        self.here = True
        self.set('site_images', 'only')
        self.disk = self.backend('shelved_offloaded')
        self.assertEqual('cloned by Nova', self.clone())

    def forbid_downloads(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/file', 403, 99))

    def test_image_that_the_user_may_not_download_is_copied_all_the_same(self):
        self.raw()
        self.set('site_images', 'fallback')
        self.forbid_downloads()
        self.assertIn('does not let this user download it', self.refused(self.clone))
        self.assertEqual((1, []), (len(self.copies), self.fetched))

    def test_site_image_is_not_cloned_for_a_user_who_may_not_download_and_a_copy_is_tried(self):
        self.boot('another')
        self.raw()
        self.set('site_images', 'fallback')
        self.forbid_downloads()
        self.assertIn('does not let this user download it', self.refused(self.clone))
        self.assertEqual((1, False), (len(self.copies), ('vms', 'server_disk') in self.ceph.rbd.images))

    def test_refusal_is_final_where_glance_is_not_requested_a_copy(self):
        self.boot('another')
        self.glance.faults.append(fake_glance.Fault('GET', '/file', 403))
        self.assertIn('does not let this user download it', self.refused(self.clone))

    def test_site_image_is_not_cached_for_a_user_who_may_not_download(self):
        self.forbid_downloads()
        self.assertIn('does not let this user download it',
                      self.refused(self.cache))

    def test_image_is_made_ready_by_a_copy_where_it_can_be_cloned(self):
        self.raw()
        self.useFixture(fixtures.MockPatchObject(
            self.rbd.site_copy, 'ensure_in_store', lambda *_args, **given: self.copies.append(given) or True))
        self.assertTrue(self.cache('dcn1'))  # 'only': a site image
        self.assertEqual(([], 1), (self.copies, len(self.fetched)))
        self.set('site_images', 'fallback')
        self.assertTrue(self.cache('dcn1'))
        self.assertEqual(1, len(self.fetched))
        self.assertEqual([{'turn_seconds': self.cloud.conf.multistore_hooks.site_image_after,
                           'clock': self.clock}], self.copies)
        self.glance.images[self.image]['stores'] = 'fast,dcn1'
        self.assertFalse(self.cache('dcn1'))
        self.assertEqual(1, len(self.copies))

    def test_image_is_made_ready_as_a_site_image_where_no_copy_is_to_be_had(self):
        self.raw()
        self.set('site_images', 'fallback')
        self.assertTrue(self.cache('dcn1'))
        self.assertEqual((1, 1), (len(self.copies), len(self.fetched)))

    def ensure_in_store(self, context, image_id, store, driver, fallback=True, turn_seconds=None, clock=None):
        self.copies.append((store, turn_seconds))
        raise self.cloud.exception.ImageUnacceptable(image_id=image_id, reason='not allowed')

    def clone(self):
        return self.disk.clone(self.context, self.image)

    def parents(self):
        return [name for name in self.names() if ('vms', 'server_disk') in self.ceph.rbd.images]

    def test_copy_that_is_here_comes_first(self):
        self.here = True
        self.assertEqual('cloned by Nova', self.clone())
        self.assertEqual([], self.fetched)

    def test_site_image_is_made_where_nothing_is_here(self):
        self.clone()
        self.assertEqual(1, len(self.parents()))

    def test_off_is_as_before(self):
        self.set('site_images', 'off')
        self.disk = self.backend('active')
        self.refused(self.clone)
        self.assertEqual(([], set()), (self.fetched, self.names()))

    def raw(self):
        self.glance.images[self.image]['disk_format'] = 'raw'
        self.set('images_rbd_glance_store_name', 'dcn1', 'libvirt')
        self.glance.stores['dcn1'] = fake_glance.FILE

    def test_fallback_requests_a_copy_first_and_waits_for_its_turn_as_long_as_the_option_says(self):
        self.raw()
        self.set('site_images', 'fallback')
        self.set('site_image_after', 7)
        self.clone()
        self.assertEqual([('dcn1', 7)], self.copies)
        self.assertEqual(1, len(self.parents()))

    def test_only_never_requests_a_copy(self):
        self.raw()
        self.clone()
        self.assertEqual([], self.copies)
        self.assertEqual(1, len(self.parents()))

    def test_site_image_that_is_there_comes_before_a_copy(self):
        self.boot('another')
        self.raw()
        self.set('site_images', 'fallback')
        self.clone()
        self.assertEqual([], self.copies)

    def test_qcow2_is_not_requested(self):
        self.raw()
        self.glance.images[self.image]['disk_format'] = 'qcow2'
        self.set('site_images', 'fallback')
        self.clone()
        self.assertEqual([], self.copies)

    def create(self, **kwargs):
        """Make a disk where a file of the image is on the host already."""
        path = os.path.join(self.folder, 'base')
        open(path, 'w').close()
        return self.disk.create_image(None, path, None, context=self.context, **kwargs)

    def test_file_on_the_host_does_not_stand_in_the_way(self):
        self.assertEqual('made by Nova', self.create(image_id=self.image, trusted_certs='certificates'))
        self.assertEqual([(self.image, 'certificates')], self.fetched)
        self.assertEqual(1, len(self.parents()))

    def test_keystone_that_is_away_does_not_fail_a_boot_whose_image_is_on_the_host(self):
        def away(session):
            raise ks_exceptions.ConnectFailure('Unable to establish connection')
        self.cloud.auth.get_headers = away
        for mode in ('only', 'off'):
            self.set('site_images', mode)
            self.set('images_rbd_glance_store_name', 'dcn1', 'libvirt')
            self.disk = self.backend('active')
            self.assertEqual('made by Nova', self.create(image_id=self.image))
            self.assertIn('using the base file', self.log)

    def test_config_drive_swap_and_ephemeral_disks_are_novas_own(self):
        # Nova makes them without the id of an image.
        self.assertEqual('made by Nova', self.create(ephemeral_size=1))
        self.assertEqual(([], set()), (self.fetched, self.names()))

    def test_iso_and_images_of_another_glance_take_novas_own_way(self):
        self.glance.images[self.image]['disk_format'] = 'iso'
        self.assertIn('its disk format is iso', self.refused(self.clone))
        self.here = True
        self.assertEqual('cloned by Nova',
                         self.disk.clone(self.context, 'http://other/v2/images/' + self.image))
        self.assertEqual([], self.fetched)
