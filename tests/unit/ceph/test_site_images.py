# SPDX-License-Identifier: Apache-2.0
"""Site images: which may be made, which is cloned, and what is removed when; clones of both formats."""

import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_cleanup
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from tests import clock
from tests import fake_rbd

IMAGE = '11111111-1111-1111-1111-111111111111'
PLAIN = site_image_record.Requirement('sum', False, ())
DAY = 24 * 3600
RAW = {'status': 'active', 'disk_format': 'raw', 'container_format': 'bare'}


class DecisionTest(testtools.TestCase):

    def test_image_that_nova_can_convert_is_made(self):
        for disk_format in ('raw', 'qcow2', 'vmdk', 'vhd'):
            self.assertEqual('', site_image_record.why_not(dict(RAW, disk_format=disk_format), True))

    def test_what_nova_must_do_itself_is_not_made(self):
        for values, words in (({'status': 'deactivated'}, 'status is deactivated'),
                              ({'disk_format': 'iso'}, 'format is iso'),
                              ({'disk_format': None}, 'format is None'),
                              ({'container_format': 'ova'}, 'container format is ova'),
                              ({'os_encrypt_format': 'GPG'}, 'encrypted'),
                              ({'cinder_encryption_key_id': 'key'}, 'encrypted'),
                              ({'hw_ephemeral_encryption': 'True'}, 'encrypted')):
            self.assertIn(words, site_image_record.why_not(dict(RAW, **values), True))
        self.assertEqual('', site_image_record.why_not(dict(RAW, hw_ephemeral_encryption='false'), True))

    def test_format_that_nova_would_not_convert_is_not_made(self):
        self.assertIn('force_raw_images', site_image_record.why_not(dict(RAW, disk_format='qcow2'), False))
        self.assertEqual('', site_image_record.why_not(RAW, False))

    def test_names_are_never_used_twice_and_say_what_they_are(self):
        names = {site_image_record.new_name(IMAGE) for _ in range(100)}
        self.assertEqual(100, len(names))
        self.assertEqual({IMAGE}, {site_image_record.image_of(name) for name in names})

    def test_name_of_something_else_is_no_site_image(self):
        for name in (IMAGE, IMAGE + '_disk', site_image_record.PREFIX, site_image_record.PREFIX + IMAGE,
                     'snap', 'x' + site_image_record.new_name(IMAGE)):
            self.assertIsNone(site_image_record.image_of(name), name)

    def test_what_an_operator_names_after_a_site_image_is_none_and_stays(self):
        made = site_image_record.new_name(IMAGE)
        for name in (made + '_disk', made + '-copy', made + '.bak', made + '.0123456789abcdef', made + '\n',
                     made[:-1], made.replace(IMAGE, ''), made[:-1] + 'G'):
            self.assertIsNone(site_image_record.image_of(name), name)

    def made(self, at, requirement=PLAIN, name=''):
        return site_image_record.SiteImage(name or site_image_record.new_name(IMAGE), IMAGE, 5, requirement,
                                           at)

    def test_all_hosts_find_the_same_one(self):
        first, second = self.made(1, name='b'), self.made(1, name='c')
        self.assertEqual(first, site_image_record.find([second, self.made(2), first], PLAIN))

    def test_other_certificates_or_other_data_are_not_found(self):
        signed = site_image_record.Requirement('sum', True, ('a', 'b'))
        for other in (PLAIN, signed._replace(certificates=('a',)), signed._replace(checksum='other'),
                      signed._replace(verified=False)):
            self.assertIsNone(site_image_record.find([self.made(1, other)], signed))
            self.assertNotEqual(other.digest, signed.digest)
        self.assertIsNotNone(site_image_record.find([self.made(1, signed)], signed))

    def test_record_survives_being_kept(self):
        image = self.made(1.5, site_image_record.Requirement('sum', True, ('a', 'b')))
        self.assertEqual(image, site_image_record.SiteImage.load(image.dump()))

    def test_what_is_no_record_is_none(self):
        for value in (b'', b'1.5', b'{}', b'\xff', b'[]', b'{"name": "n"}', b'null'):
            self.assertIsNone(site_image_record.SiteImage.load(value))


class SiteImagesTestCase(testtools.TestCase):
    """A pool with clones of one format; subclasses repeat it with the other."""

    clone_format = 2

    def setUp(self):
        super().setUp()
        self.clock = clock.Clock()
        self.clock.now = 100 * DAY
        self.ceph = fake_rbd.ceph(self.clock, self.clone_format)
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, None, None, cluster.call_natively)
        self.images = site_images.SiteImages(cluster.Cluster(access), access, 'vms')

    def write(self, size=5, requirement=PLAIN):
        """Import an image, as a host does."""
        made = site_image_record.SiteImage(site_image_record.new_name(IMAGE), IMAGE, size, requirement,
                                           self.clock.now)
        self.ceph.rbd.images['vms', made.name] = fake_rbd.Image(5, self.clock.now)
        return made

    def publish(self):
        made = self.write()
        self.images.finish(made)
        self.images.publish(made)
        return made

    def clone(self, image, disk='disk'):
        self.ceph.rbd.clone('vms', image.name, site_image_record.SNAPSHOT, disk)

    def delete_clone(self, image):
        self.ceph.rbd.images['vms', image.name].children.clear()

    def clean_up(self, age=DAY):
        return site_image_cleanup.clean_up(self.images, self.clock.now, age)

    def exists(self, image):
        return ('vms', image.name) in self.ceph.rbd.images


class MakingTest(SiteImagesTestCase):

    def test_only_what_is_published_is_found(self):
        made = self.write()
        self.assertEqual((), self.images.published(IMAGE))
        self.images.finish(made)
        self.assertEqual((), self.images.published(IMAGE))
        self.images.publish(made)
        self.assertEqual((made,), self.images.published(IMAGE))
        self.assertEqual((), self.images.published('other'))

    def test_finished_image_is_protected_and_says_what_it_is(self):
        made = self.publish()
        kept = self.ceph.rbd.images['vms', made.name]
        self.assertEqual({site_image_record.SNAPSHOT: True}, kept.snapshots)
        self.assertEqual(made.dump().decode(), kept.metadata[site_images.METADATA])

    def test_image_of_another_size_is_no_site_image(self):
        made = self.write(size=6)
        self.assertRaises(cluster.ClusterError, self.images.finish, made)
        self.assertEqual({}, self.ceph.rbd.images['vms', made.name].snapshots)

    def test_two_makers_at_once_leave_two_whole_images_of_which_all_clone_one(self):
        makings = [self.publish(), self.publish()]
        found = site_image_record.find(self.images.published(IMAGE), PLAIN)
        self.assertIn(found, makings)
        self.assertTrue(all(self.images.is_whole(made.name) for made in makings))

    def test_recorded_use_publishes_nothing(self):
        made = self.publish()
        self.images.withdraw(made, self.clock.now)
        self.images.touch(made.name, self.clock.now)
        self.assertEqual((), self.images.published(IMAGE))

    def test_many_records_are_read_in_pages(self):
        for _ in range(501):
            made = site_image_record.SiteImage(site_image_record.new_name(IMAGE), IMAGE, 5, PLAIN, 1)
            self.images.publish(made)
        self.assertEqual(501, len(self.images.published(IMAGE)))

    def test_leftovers_of_hosts_that_died_go_and_what_is_published_stays(self):
        left, finished, good = self.write(), self.write(), self.publish()
        self.images.finish(finished)
        other = site_image_record.new_name('22222222-2222')
        self.ceph.rbd.images['vms', other] = fake_rbd.Image(5)
        self.ceph.rbd.images['vms', 'server_disk'] = fake_rbd.Image(5)
        self.assertEqual({left.name, finished.name},
                         set(site_image_cleanup.remove_leftovers(self.images, IMAGE)))
        self.assertEqual({('vms', good.name), ('vms', other), ('vms', 'server_disk')},
                         set(self.ceph.rbd.images))

    def test_what_a_live_host_writes_is_left_alone(self):
        made = self.write()
        self.ceph.rbd.images['vms', made.name].watchers = 1
        self.assertEqual((), site_image_cleanup.remove_leftovers(self.images, IMAGE))
        self.assertTrue(self.exists(made))

    def test_nothing_but_site_images_can_be_removed(self):
        self.ceph.rbd.images['vms', 'server_disk'] = fake_rbd.Image(5)
        self.assertRaises(ValueError, self.images.remove, 'server_disk')
        self.assertIn(('vms', 'server_disk'), self.ceph.rbd.images)


class MakingFormat1Test(MakingTest):
    """The same with clones of format 1."""

    clone_format = 1


class LifeTest(SiteImagesTestCase):

    def age(self, seconds=DAY + site_image_record.SKEW + 1):
        self.clock.now += seconds

    def test_unused_image_is_withdrawn_first_and_removed_by_a_later_run(self):
        made = self.publish()
        self.age()
        self.assertEqual((made.name,), self.clean_up().withdrawn)
        self.assertEqual(((), True), (self.images.published(IMAGE), self.exists(made)))
        self.assertEqual((), self.clean_up().removed)
        self.age(site_image_record.GRACE + 1)
        self.assertEqual((made.name,), self.clean_up().removed)
        self.assertFalse(self.exists(made))
        self.assertEqual({}, self.ceph.omaps['vms', site_images.INDEX])

    def test_image_with_a_clone_stays(self):
        made = self.publish()
        self.clone(made)
        self.age(100 * DAY)
        self.assertEqual((made.name,), self.clean_up().kept)
        self.assertEqual((made,), self.images.published(IMAGE))

    def test_image_whose_clone_is_in_the_trash_of_another_pool_stays(self):
        made, child = self.publish(), ('volumes', 'disk')
        self.ceph.rbd.images['vms', made.name].children.append(child)
        self.ceph.rbd.trashed.append(child)
        self.assertEqual((child + (True,),), self.images.clones(made.name))
        for _unused in range(3):
            self.age(100 * DAY)
            self.assertEqual((made.name,), self.clean_up().kept)
        self.assertTrue(self.exists(made))

    def test_image_that_was_used_lately_stays(self):
        made = self.publish()
        self.age()
        self.images.touch(made.name, self.clock.now)
        self.age(DAY)
        self.assertEqual((made.name,), self.clean_up().kept)

    def test_clocks_that_differ_by_minutes_do_not_matter(self):
        made = self.publish()
        self.age(1000)
        self.images.touch(made.name, self.clock.now - 200)
        self.age(DAY)
        self.assertEqual((made.name,), self.clean_up().kept)

    def retire(self):
        made = self.publish()
        self.age()
        self.clean_up()
        self.age(site_image_record.GRACE + 1)
        return made

    def test_image_that_was_cloned_after_it_was_withdrawn_is_published_again(self):
        made = self.retire()
        self.clone(made)
        self.assertEqual((made.name,), self.clean_up().kept)
        self.assertEqual((made,), self.images.published(IMAGE))
        self.delete_clone(made)
        self.age()
        self.clean_up()
        self.age(site_image_record.GRACE + 1)
        self.assertEqual((made.name,), self.clean_up().removed)

    def test_clone_at_every_step_of_a_removal_neither_loses_data_nor_leaves_anything_for_good(self):
        steps = []
        self.ceph.rbd.before = steps.append
        self.retire()
        del steps[:]
        self.clean_up()
        count = len(steps)
        self.assertGreaterEqual(count, 4)
        for number in range(count):
            self.ceph.rbd.images.clear()
            made = self.retire()
            left = [number]

            def before(step):
                left[0] -= 1
                if left[0] == -1:
                    try:
                        self.clone(made)
                    except self.ceph.rbd.Error:  # the host makes another one
                        return
            self.ceph.rbd.before = before
            self.clean_up()
            self.ceph.rbd.before = lambda step: None
            if ('vms', 'disk') in self.ceph.rbd.images:
                self.assertTrue(self.exists(made), number)  # the clone has its parent
                self.delete_clone(made)
            for _ in range(4):
                self.age()
                self.clean_up()
            self.assertFalse(self.exists(made), number)
            self.assertEqual((), self.images.list())

    def test_removal_that_is_interrupted_at_any_step_is_finished_by_a_later_run(self):
        steps = []
        self.retire()
        self.ceph.rbd.before = steps.append
        self.clean_up()
        for number in range(len(steps)):
            made = self.retire()
            left = [number]

            def before(step):
                left[0] -= 1
                if left[0] == -1:
                    raise self.ceph.rbd.Error('killed')
            self.ceph.rbd.before = before
            self.assertRaises(cluster.ClusterError, self.clean_up)
            self.ceph.rbd.before = lambda step: None
            for _ in range(3):
                self.age()
                self.clean_up()
            self.assertFalse(self.exists(made))
            self.assertEqual((), self.images.list())

    def test_image_that_was_never_published_goes_after_a_day(self):
        made = self.write()
        self.assertEqual((), self.clean_up().removed)
        self.age()
        self.assertEqual((made.name,), self.clean_up().removed)

    def test_record_without_an_image_goes(self):
        made = self.publish()
        del self.ceph.rbd.images['vms', made.name]
        self.age()
        self.clean_up()
        self.assertEqual((), self.images.list())

    def test_run_over_many_that_are_in_use_costs_a_few_requests(self):
        for _ in range(200):
            self.images.touch(self.publish().name, self.clock.now)
        self.ceph.calls = 0
        self.assertEqual(200, len(self.clean_up().kept))
        self.assertLessEqual(self.ceph.calls, 3)

    def test_run_over_many_that_none_used_lately_costs_a_request_for_each_whatever_its_clones(self):
        costs = []
        for bases, clones in ((20, 5), (180, 5), (0, 10)):
            for _ in range(bases):
                self.publish()
            for made in self.images.list():
                for number in range(clones):
                    self.clone(made.image, 'disk-%d-%s' % (number, made.image.name))
            self.age(100 * DAY)
            self.ceph.calls = 0
            self.clean_up()
            costs.append(self.ceph.calls)
        few, many, with_more_clones = costs
        self.assertLessEqual(few, 20 + 3)
        self.assertEqual((many - few, many), (180, with_more_clones))

    def test_listing_that_fails_removes_nothing(self):
        made = self.retire()
        self.ceph.away = True
        self.assertRaises(cluster.ClusterError, self.clean_up)
        self.ceph.away = False
        self.assertTrue(self.exists(made))


class LifeFormat1Test(LifeTest):
    """The same with clones of format 1."""

    clone_format = 1
