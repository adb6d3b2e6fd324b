# SPDX-License-Identifier: Apache-2.0
"""A whole copy of a disk in another pool: what it is made of, and what is left when it is undone."""

import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import flat_copy
from tests import clock
from tests import fake_rbd

IMAGE = '3d0e1f1a-0000-4000-8000-000000000001'


class FlatCopyTestCase(testtools.TestCase):

    clone_format = 2

    def setUp(self):
        super().setUp()
        self.clock = clock.Clock()
        self.ceph = fake_rbd.ceph(self.clock, self.clone_format, ('volumes', 'images'))
        self.images = self.ceph.rbd.images
        self.disk = self.images['volumes', 'disk'] = fake_rbd.Image(5)
        self.access = cluster.Access(self.ceph.rados, self.ceph.rbd, '', 'cinder',
                                     lambda function, *arguments: function(*arguments))
        self.site = cluster.Cluster(self.access)
        self.copy = self.copy_of(flat_copy.new_entry(IMAGE, 'disk', 'images', 'host@rbd'))

    def copy_of(self, entry):
        return flat_copy.FlatCopy(self.site, self.access, 'volumes', entry, self.clock)

    def journal(self, owner='host@rbd'):
        return flat_copy.unfinished(self.site, self.access, 'volumes', owner)

    def assert_nothing_is_left(self):
        self.assertEqual({('volumes', 'disk')}, set(self.images))
        self.assertEqual(({}, []), (self.disk.snapshots, self.disk.children))
        self.assertEqual((), self.journal())


class WritingTest(FlatCopyTestCase):

    def test_copy_is_flat_and_protected_and_the_disk_as_it_was(self):
        self.assertEqual(5, self.copy.write())
        made = self.images['images', self.copy.entry.name]
        self.assertEqual((None, {'snap': True}), (made.parent, made.snapshots))
        self.assertEqual(({}, []), (self.disk.snapshots, self.disk.children))

    def test_copy_has_the_name_of_the_image_only_when_it_is_offered(self):
        self.copy.write()
        self.assertNotIn(('images', IMAGE), self.images)
        self.copy.offer()
        self.copy.close()
        self.assertEqual({('volumes', 'disk'), ('images', IMAGE)}, set(self.images))
        self.assertEqual((), self.journal())

    def test_copy_has_the_features_of_images_and_can_always_be_cloned(self):
        for option, features in (('61', 61), ('60', 61), ('', 1), ('layering', 1)):
            self.ceph.options['rbd_default_features'] = option
            self.copy.write()
            self.assertEqual(features, self.images['images', self.copy.entry.name].features)
            self.copy.undo()

    def test_journal_has_it_before_the_first_step_and_says_whose_it_is(self):
        seen = []
        self.ceph.rbd.before = lambda step: seen.append(self.copy.entry in self.raw_journal())
        self.copy.write()
        self.assertEqual({True}, set(seen))
        self.assertEqual((), self.journal('another@rbd'))

    def raw_journal(self):
        values = self.ceph.omaps['volumes', flat_copy.JOURNAL].values()
        return [flat_copy.Entry.load(value) for value in values]

    def test_entry_survives_being_kept_and_what_is_no_entry_is_none(self):
        entry = self.copy.entry._replace(rbd_id='1f')
        self.assertEqual(entry, flat_copy.Entry.load(entry.dump()))
        foreign = entry._replace(name='volume-1')
        for value in (b'', b'{}', b'[]', b'\xff', foreign.dump()):
            self.assertIsNone(flat_copy.Entry.load(value))


class WritingFormat1Test(WritingTest):

    clone_format = 1


class UndoTest(FlatCopyTestCase):

    def test_everything_that_was_made_is_removed(self):
        self.copy.write()
        self.copy.undo()
        self.assert_nothing_is_left()
        self.copy.write()
        self.copy.offer()
        self.copy.undo()
        self.assert_nothing_is_left()

    def test_image_of_somebody_else_with_the_same_name_stays(self):
        self.copy.write()
        self.images['images', IMAGE] = other = fake_rbd.Image(7)
        self.assertRaises(cluster.ClusterError, self.copy.offer)
        self.copy.undo()
        self.assertIs(other, self.images.pop(('images', IMAGE)))
        self.assert_nothing_is_left()

    def test_other_snapshots_of_the_disk_stay(self):
        self.disk.snapshots['snapshot-1'] = True
        self.copy.write()
        self.copy.undo()
        self.assertEqual({'snapshot-1': True}, self.disk.snapshots)

    def test_pool_that_may_not_be_written_is_not_needed_to_undo(self):
        self.ceph.denied.add('images')
        self.assertRaises(cluster.PoolUnusable, self.copy.write)
        self.copy.undo()
        self.ceph.denied.clear()
        self.assert_nothing_is_left()

    def test_copy_that_somebody_has_cloned_stays_and_is_in_the_journal(self):
        self.copy.write()
        self.copy.offer()
        self.ceph.rbd.clone('images', IMAGE, 'snap', 'server')
        self.ceph.rbd.clone_format = 1
        self.assertRaises(cluster.ClusterError, self.copy.undo)
        self.assertIn(('images', IMAGE), self.images)
        self.assertEqual((self.copy.entry,), self.journal())

    def test_removal_waits_for_a_client_that_has_lost_its_connection(self):
        self.copy.write()
        made = self.images['images', self.copy.entry.name]
        made.watchers = 1
        self.clock.at(30, lambda: setattr(made, 'watchers', 0))
        self.copy.undo()
        self.assert_nothing_is_left()

    def test_disk_that_was_deleted_meanwhile_is_no_obstacle(self):
        self.copy.write()
        del self.images['volumes', 'disk']
        self.copy.undo()
        self.assertEqual(({}, ()), (self.images, self.journal()))

    def test_killed_at_any_step_another_process_finds_and_removes_all(self):
        steps = []
        self.ceph.rbd.before = steps.append
        self.copy.write()
        self.copy.offer()
        self.copy.undo()
        for number in range(1, len(steps) + 1):
            left = [number]

            def before(step):
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
            self.ceph.rbd.before = before
            try:
                self.copy.write()
                self.copy.offer()
                self.copy.undo()
            except KeyboardInterrupt:
                pass
            self.ceph.rbd.before = lambda step: None
            for entry in self.journal():
                self.copy_of(entry).undo()
            self.assert_nothing_is_left()
            self.copy = self.copy_of(flat_copy.new_entry(IMAGE, 'disk', 'images', 'host@rbd'))


class UndoFormat1Test(UndoTest):

    clone_format = 1
