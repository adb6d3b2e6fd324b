# SPDX-License-Identifier: Apache-2.0
"""Each call to Ceph of a direct snapshot fails in turn: before, after it took effect, or after a hang.

Nova's flow is a stand-in here; tests/functional/test_nova_direct_snapshot.py has the real one.
"""

import io
import sys
from unittest import mock

import glanceclient.exc

from tests import clock
from tests import fake_rbd_driver
from tests.unit import exhaustive
from tests.unit.nova import standins
from tests.unit.nova import test_faults

SNAPSHOT = 'of-this-call'


class NovaRbd(standins.Rbd):
    """Nova's image backend, with the steps of its direct snapshot."""

    def direct_snapshot(self, context, snapshot_name, image_format, image_id, base_image_id):
        fsid = self.driver.get_fsid()
        pool = self._get_parent_pool(context, base_image_id, fsid)
        url = 'rbd://%s/%s/%s/%s'
        self.driver.create_snap(self.rbd_name, snapshot_name, protect=True)
        of_disk = {'url': url % (fsid, self.driver.pool, self.rbd_name, snapshot_name)}
        try:
            self.driver.clone(of_disk, image_id, dest_pool=pool)
            self.driver.flatten(image_id, pool=pool)
        finally:
            self.cleanup_direct_snapshot(of_disk)
        self.driver.create_snap(image_id, 'snap', pool=pool, protect=True)
        return url % (fsid, pool, image_id, 'snap')

    def _get_parent_pool(self, context, base_image_id, fsid):
        return self.driver.parent_info(self.rbd_name)[0]

    def cleanup_direct_snapshot(self, location, also_destroy_volume=False, ignore_errors=False):
        if location:
            _fsid, pool, image, snapshot = self.driver.parse_url(location['url'])
            self.driver.remove_snap(image, snapshot, pool=pool, force=True, ignore_errors=ignore_errors)
            if also_destroy_volume:
                self.driver.destroy_volume(image, pool=pool)


class DirectSnapshot(test_faults.Snapshot):
    """A snapshot whose calls to Ceph can fail too."""

    def __init__(self, cloud, late, *fault):
        self.driver = fake_rbd_driver.FakeRbdDriver(
            lambda name, act: self.faults.run('ceph', name, act, fake_rbd_driver.CephError),
            cloud.exception.ImageUnacceptable)
        super().__init__(cloud, late, *fault)

    @property
    def in_pool(self):
        return any(pool == 'images' and 'snap' in snapshots
                   for (pool, _name), (_parent, snapshots) in self.driver.images.items())

    @in_pool.setter
    def in_pool(self, is_there):
        """The cluster decides."""

    def _snapshot(self, api, direct):
        exceptions, info, location = self.cloud.exception, {'name': 'snapshot'}, None
        is_stock = type(api) is self.cloud.stock
        backend = NovaRbd if is_stock else sys.modules['multistore_hooks.nova.rbd'].Rbd
        disk = backend(path=fake_rbd_driver.DISK[1])
        disk.driver, disk._clock = self.driver, self.time

        def clean_up():
            disk.cleanup_direct_snapshot({'url': location} if location else None, also_destroy_volume=True,
                                         ignore_errors=True)
        try:
            location = disk.direct_snapshot(self.context, SNAPSHOT, 'raw', self.image_id, self.base_image)
            api.update(self.context, self.image_id, dict(info, location=location))
            return
        except (NotImplementedError, exceptions.ImageUnacceptable, exceptions.Forbidden):
            clean_up()
        except Exception:
            clean_up()
            raise
        api.update(self.context, self.image_id, info, data=io.BytesIO(test_faults.DATA))

    def left(self):
        """Return what is in the cluster and should not be."""
        found = [name for name in self.driver.images if name[0] == 'images' and not self.location]
        return found + ['snapshot ' + name for name in self.driver.images[fake_rbd_driver.DISK][1]]

    def wrong(self, shelving, lasting, log):
        left = [] if lasting and 'could not be removed' in log else self.left()
        found = [what for what in super().wrong(shelving, lasting, log) if 'pool' not in what]
        return found + ['left: %s' % (what,) for what in left]


class Refused(DirectSnapshot):
    """Glance refuses the location: the image is removed from the cluster, and the snapshot is uploaded."""

    def _take(self):
        raise glanceclient.exc.HTTPForbidden()


@exhaustive.on_one_python
class CephFaultsTest(test_faults.SnapshotTestCase):
    """Snapshots and shelvings inside the cluster."""

    Snapshot, services = DirectSnapshot, ('ceph',)

    def setUp(self):
        super().setUp()
        self.cloud.imagebackend.Rbd = NovaRbd
        import multistore_hooks.nova.rbd  # noqa: F401

    def stock_leaves(self, direct=True, late=False, shelving=False):
        """Return how many cases stock Nova has, and in how many it leaves something in the cluster."""
        requested = self.take(self.stock, direct, late, shelving).faults.requests
        left = [bool(self.take(self.stock, direct, late, shelving, number, kind, lasting).left())
                for number, request in enumerate(requested) if request[0] == 'ceph'
                for kind, lasting in test_faults.WAYS]
        return len(left), sum(left)

    def test_snapshot(self):
        self.check(99, direct=True)

    def test_shelving(self):
        self.check(99, direct=True, shelving=True)

    def test_snapshot_that_glance_refuses(self):
        self.Snapshot = Refused
        self.check(135, direct=True)

    def test_shelving_that_glance_refuses(self):
        self.Snapshot = Refused
        self.check(135, direct=True, shelving=True)

    def test_stock_nova_leaves_what_the_hook_removes(self):
        self.assertEqual((99, 70), self.stock_leaves())


class RemovalTest(test_faults.SnapshotTestCase):
    """What is removed is of this snapshot alone."""

    def setUp(self):
        super().setUp()
        from multistore_hooks.nova import direct_snapshot
        self.faults = {}
        self.driver = fake_rbd_driver.FakeRbdDriver(self.run_call, self.cloud.exception.ImageUnacceptable)
        self.made = direct_snapshot.RecordingDriver(self.driver)
        self.time = clock.Clock()

    def run_call(self, name, act):
        result = act()
        if name in self.faults:
            raise self.faults.pop(name)
        return result

    def begin(self):
        """Take a snapshot of the disk and clone it, as image IMAGE."""
        self.made.create_snap('server_disk', SNAPSHOT, protect=True)
        self.made.clone({'url': 'rbd://fsid/vms/server_disk/' + SNAPSHOT}, 'IMAGE', dest_pool='images')

    def test_image_that_was_there_before_stays(self):
        self.driver.images['images', 'IMAGE'] = [None, {'snap': True}]
        self.assertRaises(fake_rbd_driver.ImageExists, self.begin)
        self.made.remove(self.time)
        self.assertEqual([None, {'snap': True}], self.driver.images['images', 'IMAGE'])
        self.assertEqual({}, self.driver.images[fake_rbd_driver.DISK][1])

    def test_clone_whose_response_was_lost_is_known_by_its_parent(self):
        self.faults['clone'] = fake_rbd_driver.CephError('lost')
        self.assertRaises(fake_rbd_driver.CephError, self.begin)
        self.made.remove(self.time)
        self.assertEqual({fake_rbd_driver.DISK}, set(self.driver.images))

    def test_a_pool_that_ceph_refuses_is_not_waited_for(self):
        self.driver.clone = mock.Mock(side_effect=self.cloud.exception.Forbidden())
        self.driver.parent_info = mock.Mock(side_effect=PermissionError('open'))
        self.assertRaises(self.cloud.exception.Forbidden, self.begin)
        began = self.time.now
        self.made.remove(self.time)
        self.assertEqual(began, self.time.now)
        self.driver.parent_info.assert_not_called()
        self.assertEqual({}, self.driver.images[fake_rbd_driver.DISK][1])

    def test_a_removal_that_ceph_refuses_is_not_tried_again(self):
        self.begin()
        self.made.flatten('IMAGE', pool='images')
        self.driver.destroy_volume = mock.Mock(side_effect=PermissionError('not permitted'))
        began = self.time.now
        self.made.remove(self.time)
        self.assertEqual(began, self.time.now)
        self.driver.destroy_volume.assert_called_once()
        self.assertIn('the image IMAGE in the pool images could not be removed: not permitted', self.log)

    def test_other_snapshots_of_the_disk_stay(self):
        self.driver.images[fake_rbd_driver.DISK][1]['of-the-user'] = True
        self.begin()
        self.made.remove(self.time)
        self.assertEqual({'of-the-user': True}, self.driver.images[fake_rbd_driver.DISK][1])

    def test_a_removal_is_tried_again(self):
        self.begin()
        self.faults.update(dict.fromkeys(['unprotect', 'remove', 'open'], fake_rbd_driver.CephError('away')))
        self.made.remove(self.time)
        self.assertEqual(({fake_rbd_driver.DISK}, {}),
                         (set(self.driver.images), self.driver.images[fake_rbd_driver.DISK][1]))
        self.assertNotIn('could not be removed', self.log)
