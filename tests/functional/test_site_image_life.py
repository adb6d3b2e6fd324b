# SPDX-License-Identifier: Apache-2.0
"""The life of site images on a real Ceph cluster, with clones of both formats and Nova's least capabilities.

The same on a fake is tests/unit/ceph/test_site_images.py; what librbd makes of it is here.
"""

import sys
import time
import unittest

import testtools

from lab import ceph
from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_cleanup
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from tests.functional import shared

USER, DISKS, POOL = 'least', 'vms', 'bases'
IMAGE = '11111111-1111-1111-1111-111111111111'
DATA = b'site image ' * 1000
DAY = 24 * 3600
#: Between two runs: what was withdrawn may be removed then.
LATER = 2 * site_image_record.GRACE


class Stepping:
    """The module rbd, which calls a function before each step of a removal."""

    STEPS = ('list_children2', 'list_snaps', 'unprotect_snap', 'remove_snap', 'remove')

    def __init__(self, rbd):
        self._rbd, self.before = rbd, lambda step: None

    def __getattr__(self, name):
        return getattr(self._rbd, name)

    def Image(self, *args, **kwargs):
        return self._stepping(self._rbd.Image(*args, **kwargs))

    def RBD(self):
        return self._stepping(self._rbd.RBD())

    def _stepping(self, wrapped):
        module = self

        class Wrapper:
            def __getattr__(self, name):
                if name in module.STEPS:
                    module.before(name)
                return getattr(wrapped, name)

            def __enter__(self):
                return self

            def __exit__(self, *_error):
                wrapped.close()
        return Wrapper()


@unittest.skipIf(ceph.unavailable(), ceph.unavailable())
class LifeTest(testtools.TestCase):

    _made = []

    def setUp(self):
        super().setUp()
        self.a, _b = ceph.sites()
        if not self._made:
            self._made.append(ceph.bindings(shared.folder('life-bindings')))
            self.a.ceph('osd', 'pool', 'create', POOL, '8')
            self.a.rbd('pool', 'init', POOL)
            key = self.a.ceph('auth', 'get-or-create', 'client.' + USER, 'mon', 'profile rbd', 'mgr',
                              'profile rbd', 'osd', 'profile rbd pool=%s, profile rbd pool=%s, profile '
                              'rbd-read-only pool=images' % (DISKS, POOL))
            with open(self.a.keyring, 'a', encoding='utf-8') as keyring:
                keyring.write(key)
        if self._made[0] not in sys.path:
            sys.path.append(self._made[0])
            self.addCleanup(sys.path.remove, self._made[0])
        import rados
        import rbd
        self.rbd = Stepping(rbd)
        self.access = cluster.Access(rados, self.rbd, self.a.conf, USER, cluster.call_natively)
        self.site = cluster.Cluster(self.access)
        self.addCleanup(self.site.close)
        self.images = site_images.SiteImages(self.site, self.access, POOL)
        self.disks, self.now = [], time.time() + 2 * DAY
        self.addCleanup(self.forget_everything)

    def forget_everything(self):
        """Leave the pool empty for the next test."""
        self.rbd.before = lambda step: None
        for disk in self.disks:
            self.delete(disk)
        self.run_to_the_end()

    def run_to_the_end(self):
        for _run in range(4):
            self.clean_up()

    def clean_up(self):
        self.now += LATER
        return site_image_cleanup.clean_up(self.images, self.now, DAY)

    def write(self, size=len(DATA)):
        made = site_image_record.SiteImage(
            site_image_record.new_name(IMAGE), IMAGE, size,
            site_image_record.Requirement('sum', False, ()), time.time() - DAY)

        def write(ioctx):
            self.rbd.RBD().create(ioctx, made.name, len(DATA), old_format=False, features=1)
            with self.rbd.Image(ioctx, made.name) as image:
                image.write(DATA, 0)
        self.site.call(POOL, write)
        return made

    def publish(self):
        made = self.write()
        self.images.finish(made)
        self.images.publish(made)
        return made

    def withdraw(self):
        """Return a site image that the next run would remove."""
        made = self.publish()
        self.images.withdraw(made, time.time() - DAY)
        return made

    def clone(self, made, clone_format):
        """Clone a site image as another host does; return the disk, or None where Ceph refuses."""
        disk = 'disk-%d-%s' % (len(self.disks), made.name[-16:])
        other = cluster.Cluster(self.access, dict(cluster.TIMEOUTS, rbd_default_clone_format=clone_format))
        try:
            other.call_across((POOL, DISKS), lambda bases, disks: self.rbd.RBD().clone(
                bases, made.name, site_image_record.SNAPSHOT, disks, disk, features=1))
        except (cluster.ClusterError, cluster.Missing):
            return None
        finally:
            other.close()
        self.disks.append(disk)
        return disk

    def delete(self, disk):
        self.site.call(DISKS, lambda ioctx: self.access.rbd.RBD().remove(ioctx, disk))

    def exists(self, made):
        return made.name in self.images.names()

    def assertNothingLeft(self):
        self.run_to_the_end()
        self.assertEqual(((), ()), (self.images.names(), self.images.list()))

    def steps(self):
        """Return the steps of the removal of what was withdrawn."""
        steps = []
        self.withdraw()
        self.rbd.before = steps.append
        self.assertEqual(1, len(self.clean_up().removed))
        self.rbd.before = lambda step: None
        self.assertLessEqual(set(self.rbd.STEPS), set(steps))
        return steps

    def at(self, number, act):
        """Do something before the step of that number."""
        left = [number]

        def before(step):
            left[0] -= 1
            if left[0] == -1:
                act()
        self.rbd.before = before

    def test_clone_at_any_step_of_a_removal_keeps_its_data_and_nothing_stays_for_good(self):
        count = len(self.steps())
        for clone_format in '12':
            cloned = 0
            for number in range(count):
                made, disks = self.withdraw(), []
                self.at(number, lambda: disks.append(self.clone(made, clone_format)))
                self.clean_up()
                self.rbd.before = lambda step: None
                self.assertEqual(1, len(disks))
                if disks[0]:
                    cloned += 1
                    self.assertTrue(self.exists(made), (clone_format, number))
                    self.assertEqual(DATA, self.a.read('%s/%s' % (DISKS, disks[0]), len(DATA)))
                    self.run_to_the_end()
                    self.assertTrue(self.exists(made), (clone_format, number))
                    self.delete(self.disks.pop())
                self.assertNothingLeft()
            self.assertGreater(cloned, 1)

    def test_removal_that_ends_at_any_step_is_finished_by_a_later_run(self):
        for number in range(len(self.steps())):
            self.withdraw()

            def fail():
                raise self.rbd.Error('the host is killed')
            self.at(number, fail)
            self.assertRaises(cluster.ClusterError, self.clean_up)
            self.rbd.before = lambda step: None
            self.assertNothingLeft()

    def test_disk_in_the_trash_keeps_its_site_image(self):
        for clone_format in '12':
            made = self.publish()
            disk = self.clone(made, clone_format)
            moved = self.site.call(DISKS, lambda ioctx: self.move_to_trash(ioctx, disk))
            self.assertEqual((site_images.Clone(DISKS, disk, True),), self.images.clones(made.name))
            self.run_to_the_end()
            self.assertEqual((made,), self.images.published(IMAGE))
            self.site.call(DISKS, lambda ioctx: self.rbd.RBD().trash_remove(ioctx, moved))
            self.disks.remove(disk)
            self.assertNothingLeft()

    def move_to_trash(self, ioctx, disk):
        with self.rbd.Image(ioctx, disk) as image:
            image_id = image.id()
        self.rbd.RBD().trash_move(ioctx, disk, 0)
        return image_id

    def test_image_of_another_size_is_none_and_what_is_one_says_so(self):
        made = self.write(size=len(DATA) + 1)
        self.assertRaises(cluster.ClusterError, self.images.finish, made)
        self.assertFalse(self.images.is_whole(made.name))
        good = self.publish()
        self.assertTrue(self.images.is_whole(good.name))
        marked = self.a.rbd('image-meta', 'get', '%s/%s' % (POOL, good.name), site_images.METADATA)
        self.assertEqual(good, site_image_record.SiteImage.load(marked.strip().encode()))

    def test_what_is_no_site_image_stays(self):
        made = self.publish()
        names = (made.name + '-copy', IMAGE)
        for name in names:
            self.a.rbd('create', '--size', '1', '%s/%s' % (POOL, name))
            self.addCleanup(self.a.rbd, 'rm', '--no-progress', '%s/%s' % (POOL, name))
        self.run_to_the_end()
        self.assertEqual(sorted(names), sorted(self.a.rbd('ls', POOL).split()))

    def test_cluster_that_cannot_be_read_keeps_everything(self):
        made = self.withdraw()
        refused = cluster.Cluster(self.access._replace(user='nobody'))
        self.addCleanup(refused.close)
        self.assertRaises(cluster.ClusterError, site_image_cleanup.clean_up,
                          site_images.SiteImages(refused, self.access, POOL), self.now, DAY)
        self.assertTrue(self.exists(made))
