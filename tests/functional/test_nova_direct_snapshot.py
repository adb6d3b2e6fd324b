# SPDX-License-Identifier: Apache-2.0
"""Each call to Ceph of a direct snapshot by the real Nova's image backend fails in turn; nothing is left.

The whole snapshot is tests/unit/nova/test_direct_snapshot.py, on a stand-in that this keeps true.
"""

import sys
from unittest import mock

import testtools

from tests import clock
from tests import fake_rbd_driver

WHEN = ('before', 'after')


class Backend:
    """One direct snapshot by an image backend, of which a call to Ceph fails.

    :param kind: the backend's class.
    """

    def __init__(self, kind, at=None, when='before', lasting=False):
        from nova import exception
        from nova.virt.libvirt import imagebackend
        self._at, self._when, self._lasting, self.calls = at, when, lasting, []
        self.driver = fake_rbd_driver.FakeRbdDriver(self._run, exception.ImageUnacceptable)
        with mock.patch.object(imagebackend.rbd_utils, 'RBDDriver', lambda *_args, **_kwargs: self.driver):
            self.disk = kind(path='vms/server_disk')
        self.disk._clock = clock.Clock()
        self.succeeded = False

    def _run(self, name, act):
        self.calls.append(name)
        number = len(self.calls) - 1
        fails = self._at is not None and (number == self._at or self._lasting and number > self._at)
        if fails and self._when == 'before':
            raise fake_rbd_driver.CephError('injected')
        result = act()
        if fails:
            raise fake_rbd_driver.CephError('injected')
        return result

    def take(self):
        try:
            self.location = self.disk.direct_snapshot(None, 'of-this-call', 'raw', 'IMAGE', 'base')
            self.succeeded = True
        except fake_rbd_driver.CephError:
            pass

    def left(self):
        """Return what is in the cluster, other than the disk and an image that was reported."""
        images = [name for name in self.driver.images if name[0] == 'images' and not self.succeeded]
        return images + list(self.driver.images[fake_rbd_driver.DISK][1])


class DirectSnapshotTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        from multistore_hooks.nova import rbd
        from multistore_hooks import options
        from nova import conf
        from nova.virt.libvirt import imagebackend
        options.register_nova_opts(conf.CONF)
        self.ours, self.stock = rbd.Rbd, imagebackend.Rbd

    def cases(self, kind):
        """Let each call fail in both ways; return how many cases left something, and failed, of how many."""
        good = Backend(kind)
        good.take()
        self.assertEqual((True, []), (good.succeeded, good.left()))
        self.assertEqual([None, {'snap': True}], good.driver.images['images', 'IMAGE'])
        made = [Backend(kind, at, when) for at in range(len(good.calls)) for when in WHEN]
        for one in made:
            one.take()
        return good.calls, [one for one in made if one.left()], len(made)

    def test_nothing_is_left_where_stock_nova_leaves_it(self):
        calls, left, cases = self.cases(self.ours)
        stock_calls, stock_left, _cases = self.cases(self.stock)
        sys.stderr.write('\n%d cases: ours left something in %d, stock in %d\n'
                         % (cases, len(left), len(stock_left)))
        self.assertEqual(stock_calls, calls)
        self.assertEqual([], [one.left() for one in left])
        self.assertLess(10, len(stock_left))

    def test_image_that_glance_refuses_is_removed_in_spite_of_one_failure(self):
        for when in WHEN:
            good = Backend(self.ours)
            good.take()
            begun = len(good.calls)
            for kind, nothing_left in ((self.ours, True), (self.stock, False)):
                one = Backend(kind, begun, when)
                one.take()
                try:
                    one.disk.cleanup_direct_snapshot({'url': one.location}, also_destroy_volume=True,
                                                     ignore_errors=True)
                except fake_rbd_driver.CephError:
                    self.assertFalse(nothing_left)
                self.assertEqual(nothing_left, ('images', 'IMAGE') not in one.driver.images)
