# SPDX-License-Identifier: Apache-2.0
"""The stores are requested once a minute, and nobody is refused by what is remembered."""

from multistore_hooks import exceptions
from multistore_hooks.upload import placements
from multistore_hooks.upload import stores_memory
from tests import fake_glance
from tests.unit import base


class StoresMemoryTest(base.FakeGlanceTestCase):

    def setUp(self):
        super().setUp()
        self.memory = stores_memory.StoresMemory(self.clock)

    def decide(self, store):
        return self.memory.decide_placement(self.images(), placements.UploadRequest(
            placements.StoreRef(store, 'x'))).store

    def requested(self):
        return len(self.glance.requests('GET', '/v2/info/stores'))

    def test_stores_are_requested_once_in_their_lifetime(self):
        self.decide('fast')
        self.clock.now += stores_memory.LIFETIME - 1
        self.decide('cheap')
        self.assertEqual(1, self.requested())
        self.clock.now += 1
        self.decide('cheap')
        self.assertEqual(2, self.requested())

    def test_store_that_came_meanwhile_is_not_refused(self):
        self.decide('fast')
        self.glance.stores['new'] = fake_glance.FILE
        self.assertEqual('new', self.decide('new'))
        self.assertEqual(2, self.requested())

    def test_unknown_store_is_refused_after_one_more_request(self):
        self.decide('fast')
        self.assertRaises(exceptions.StoreNotUsable, self.decide, 'nope')
        self.assertEqual(2, self.requested())

    def test_unknown_store_is_refused_at_once_by_what_was_just_requested(self):
        self.assertRaises(exceptions.StoreNotUsable, self.decide, 'nope')
        self.assertEqual(1, self.requested())

    def test_failure_is_not_remembered(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/stores', 500))
        self.assertTrue(self.memory.decide_placement(
            self.images(), placements.UploadRequest(placements.StoreRef('fast', 'x'))).degraded)
        self.decide('fast')
        self.assertEqual(2, self.requested())
