# SPDX-License-Identifier: Apache-2.0
"""A share is unmounted when it is used by no process of the host any more, and not before."""

import os

import fixtures

from multistore_hooks.volume_store import share_mounts
from tests import clock
from tests.unit import base

SHARE, PLACE = '192.0.2.1:/export', '/var/lib/glance/mnt/0123'


def connection(name, export=SHARE):
    return {'driver_volume_type': 'nfs', 'export': export, 'name': name}


class ShareMountsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.table = os.path.join(self.folder, 'mounts')
        self.mounted(PLACE)
        self.useFixture(fixtures.MockPatchObject(share_mounts, '_MOUNTS', self.table))
        self.unmounted = []

    def mounted(self, *places):
        with open(self.table, 'w', encoding='utf-8') as stream:
            stream.writelines('%s %s nfs4 rw 0 0\n' % (SHARE, place) for place in places)

    def process(self, unmount=None):
        return share_mounts.ShareMounts(self.folder, unmount or self.unmounted.append, clock.Clock())

    def test_the_last_volume_of_the_last_process_takes_the_share_along(self):
        one, other = self.process(), self.process()
        one.hold(connection('a'))
        one.hold(connection('a'))
        one.hold(connection('b'))
        other.hold(connection('c'))
        for process, name in ((one, 'a'), (other, 'c')):
            process.let_go(connection(name), PLACE + '/' + name)
            self.assertEqual([], self.unmounted)
        one.let_go(connection('b'), PLACE + '/b')
        self.assertEqual([PLACE], self.unmounted)

    def test_another_share_keeps_none_mounted(self):
        process = self.process()
        process.hold(connection('a'))
        process.hold(connection('x', 'other:/export'))
        process.let_go(connection('a'), PLACE + '/a')
        self.assertEqual([PLACE], self.unmounted)

    def test_after_a_crash_the_next_process_unmounts_what_it_did_not_connect(self):
        self.process().let_go(connection('a'), PLACE + '/a')
        self.assertEqual([PLACE], self.unmounted)

    def test_what_is_not_mounted_or_not_known_is_left_alone(self):
        self.mounted('/elsewhere', PLACE + '0')
        self.process().let_go(connection('a'), PLACE + '/a')
        self.process().let_go(connection('a'), None)
        self.assertEqual([], self.unmounted)

    def test_a_share_that_is_busy_is_no_error(self):
        def busy(place):
            raise OSError(16, 'target is busy')
        process = self.process(busy)
        process.hold(connection('a'))
        process.let_go(connection('a'), PLACE + '/a')
        self.process().let_go(connection('a'), PLACE + '/a')  # and its lock is free again
        self.assertEqual([PLACE], self.unmounted)
