# SPDX-License-Identifier: Apache-2.0
"""Site images: a host killed at each call, each call to Ceph and each request to Glance failed in turn.

Whatever happens: no half image is cloned, the boot becomes a clone or is left to Nova, the next boot of the
site is a clone, and nothing is left in the cluster when the disks are gone.
"""

import os

import fixtures

from tests import fake_glance
from tests import fake_rbd
from tests.unit import exhaustive
from tests.unit.nova import standins
from tests.unit.nova import test_site_images

DAY = 86400
#: Calls of an ioctx that reach the cluster; ``check`` is the opening of an RBD image, or a listing.
CALLS = ('check', 'lock_exclusive', 'remove_object', 'set_xattr', 'get_xattr', 'get_xattrs', 'rm_xattr',
         'operate_write_op', 'operate_read_op')


class Killed(BaseException):
    """Ends a host without any clean-up: its later calls do nothing."""


class Points:
    """The points of a run at which something may happen.

    :param at: the number of the point, of those that are wanted.
    :param act: what happens there; called with the name of the point.
    :param wanted: says by the name whether a point counts.
    """

    def __init__(self, at=-1, act=None, wanted=lambda name: True):
        self._at, self._act, self._wanted = at, act, wanted
        self.count, self.acted, self.dead = 0, '', False

    def reach(self, name):
        if self.dead:
            raise Killed()
        if not self._wanted(name):
            return
        self.count += 1
        if self.count - 1 == self._at:
            self.acted = name
            self._act(name)

    def kill(self, name):
        self.dead = True
        raise Killed()


class _Ioctx:
    """An ioctx each of whose calls is a point before it, and one after it."""

    def __init__(self, test, inner):
        self._test, self._inner, self.pool = test, inner, inner.pool

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in CALLS:
            return found

        def call(*args, **kwargs):
            self._test.points.reach('before ' + name)
            result = found(*args, **kwargs)
            self._test.points.reach('after ' + name)
            return result
        return call


class CrashTestCase(test_site_images.SiteTestCase):

    clone_format = 2

    def setUp(self):
        super().setUp()
        self.points = Points()
        self.ceph.rbd.clone_format = self.clone_format
        self.ceph.rbd.before = lambda step: self.points.reach('before ' + step)
        self.ceph.rbd.after = lambda step: self.points.reach('after ' + step)
        self.fetch = lambda path: self.points.reach('end of the download')
        self.watch_ceph()
        self.watch_glance()
        self.useFixture(fixtures.MockPatchObject(standins.Rbd, 'clone', self.clone_as_nova))
        self.context.project_id, self.context.roles = 'p1', ['member']

    def clone_as_nova(self, context, image_id, copy_to_store=True):
        raise self.cloud.exception.ImageUnacceptable(image_id=image_id, reason='not here')

    def watch_ceph(self):
        connect = self.ceph.rados.Rados

        def connected(*args, **kwargs):
            connection = connect(*args, **kwargs)
            open_ioctx = connection.open_ioctx
            connection.open_ioctx = lambda pool: _Ioctx(self, open_ioctx(pool))
            return connection
        self.ceph.rados.Rados = connected

    def watch_glance(self):
        glance = self.cloud.application

        def application(environ, start_response):
            name = 'request %s %s' % (environ['REQUEST_METHOD'], environ['PATH_INFO'])
            self.points.reach(name)
            return glance(environ, start_response)
        self.cloud.application = application

    def add_image(self):
        self.image = self.glance.add_image(['fast'], test_site_images.DATA, owner='p1', disk_format='qcow2',
                                           container_format='bare', checksum='sum')

    def make_driver(self):
        driver = super().make_driver()
        kind = self.cloud.rbd_utils.RBDDriver
        ceph, test = self.ceph, self

        class Driver(kind):
            def import_image(self, path, name):
                test.points.reach('before import_image')
                ceph.rbd.images[self.pool, name] = fake_rbd.Image(1, ceph.clock.time())
                test.points.reach('in the middle of import_image')
                ceph.rbd.images[self.pool, name].size = os.path.getsize(path)
                test.points.reach('after import_image')

            def clone(self, location, disk, dest_pool=None):
                test.points.reach('before clone')
                test.check_whole(location)
                super().clone(location, disk)
                test.points.reach('after clone')

        self.cloud.rbd_utils.RBDDriver = Driver
        return type(driver) and Driver()

    def check_whole(self, location):
        """No half image is cloned, whatever a boot made of it."""
        _fsid, pool, name, snapshot = location['url'][len('rbd://'):].split('/')
        kept = self.ceph.rbd.images.get((pool, name))
        if kept is not None:
            self.assertEqual((len(test_site_images.DATA), True), (kept.size, kept.snapshots.get(snapshot)))

    def boot(self, disk='disk', certs=None):
        """Boot; return whether the disk is a clone: else it is left to Nova."""
        exception = self.cloud.exception
        try:
            self.rbd.Rbd(None, path=disk).clone(self.context, self.image)
        except (exception.ImageUnacceptable, exception.ImageNotFound, exception.ImageNotAuthorized):
            return False
        self.assertIn(('vms', disk), self.ceph.rbd.images)
        return True

    def run_one(self, points):
        """Boot while something happens at one point; then boot again, and let all disks go."""
        self.add_image()
        self.points = points
        try:
            self.boot('first')
        except Killed:
            self.assertTrue(points.dead)
        self.points, where = Points(), points.acted
        self.glance.faults.clear()
        self.clock.sleep(31)  # what was away is back
        self.assertTrue(self.boot('second'), where)
        self.assertEqual(1, len(self.site().images.published(self.image)), where)
        for disk in ('first', 'second'):
            self.ceph.rbd.images.pop(('vms', disk), None)
        for kept in self.ceph.rbd.images.values():
            kept.children.clear()
        for _unused in range(3):
            self.clock.now += 2 * DAY
            self.module.clean_up(self.driver, self.clock)
        self.assertEqual((set(), ()), (set(self.ceph.rbd.images), self.site().images.list()), where)

    def matrix(self, act, wanted=lambda name: True):
        """Run once for each point of a boot; return at how many something happened."""
        acted = number = 0
        while number == acted:
            points = Points(number, act, wanted)
            self.run_one(points)
            number += 1
            acted += bool(points.acted)
        return acted


def in_ceph(name):
    return not name.startswith('request')


class Crashes:
    """The tests, for a boot of one kind."""

    #: How many calls to Ceph, and requests to Glance, a boot makes at the least.
    most = (30, 2)

    def assertMany(self, kind, number):
        self.assertGreaterEqual(number, self.most[kind])

    def test_host_that_is_killed_at_each_call(self):
        self.assertMany(0, self.matrix(lambda name: self.points.kill(name)))

    def test_each_call_to_ceph_fails(self):
        for kind in (self.ceph.rados.TimedOut, self.ceph.rbd.Error, self.ceph.rados.PermissionError):
            def fail(name, error=kind):
                raise error('from %s' % name)
            self.assertMany(0, self.matrix(fail, in_ceph))

    def test_ceph_goes_away_at_each_call_and_comes_back(self):
        def away(name):
            self.ceph.away = True
            self.clock.at(self.clock.now + 30, lambda: setattr(self.ceph, 'away', False))
            raise self.ceph.rados.TimedOut('from %s' % name)
        self.assertMany(0, self.matrix(away, in_ceph))

    def test_each_request_to_glance_fails(self):
        for status in (401, 403, 404, 500, 503):
            def fail(name, code=status):
                _request, method, path = name.split()
                # Nova sends what was answered with 503 twice.
                self.glance.faults.append(fake_glance.Fault(method, path, code, times=1 + (code == 503)))
            self.assertMany(1, self.matrix(fail, lambda name: not in_ceph(name)))


@exhaustive.on_one_python
class CrashTest(Crashes, CrashTestCase):
    """Glance is asked for no copy."""


@exhaustive.on_one_python
class CrashFormat1Test(CrashTestCase):
    """The same with clones of format 1."""

    clone_format = 1

    def test_host_that_is_killed_at_each_call(self):
        self.assertGreaterEqual(self.matrix(lambda name: self.points.kill(name)), 30)


@exhaustive.on_one_python
class CopyRefusedTest(Crashes, CrashTestCase):
    """The same where Glance is asked for a copy first, and refuses it."""

    def setUp(self):
        super().setUp()
        self.most = (45, 8)
        self.set('site_images', 'fallback')
        self.set('images_rbd_glance_store_name', 'dcn1', 'libvirt')
        self.glance.stores['dcn1'] = fake_glance.FILE
        self.cloud.token = 'member:p1:member'

    def add_image(self):
        self.image = self.glance.add_image(['fast'], test_site_images.DATA, owner='p1', disk_format='raw',
                                           container_format='bare', checksum='sum', visibility='public')
