# SPDX-License-Identifier: Apache-2.0
"""Which store an upload goes to, as DESIGN section 4 and the specifications say."""

import testtools

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements
from multistore_hooks.upload.placements import StoreRef
from multistore_hooks.upload.placements import Unavailable
from multistore_hooks.upload.placements import UploadRequest

BASE = '11111111-2222-3333-4444-555555555555'


def stores(*ids, default='fast', read_only=(), filtered=False):
    return api.Stores(tuple(api.Store(store, store == default, store in read_only) for store in ids),
                      filtered)


THREE = stores('reliable', 'fast', 'cheap')
FILTERED = stores('reliable', 'fast', 'cheap', filtered=True)


def base_in(*store_ids):
    return api.Image.from_glance({'id': BASE, 'status': 'active', 'size': 1,
                                  'stores': ','.join(store_ids)})


class NamedStoreTest(testtools.TestCase):

    def test_named_store_comes_before_the_base_image(self):
        decided = placements.decide(UploadRequest(
            StoreRef('cheap', 'the type'), BASE), THREE, base_in('reliable'))
        self.assertEqual(('cheap', BASE, False, None), (
            decided.store, decided.base_image, decided.degraded, decided.fallback_store))
        self.assertIn('the type', decided.reason)

    def test_unknown_named_store_is_an_error_with_the_stores_there_are(self):
        request = UploadRequest(StoreRef('nope', '[multistore_hooks] snapshot_store'))
        error = self.assertRaises(exceptions.StoreNotUsable, placements.decide, request,
                                  stores('fast', 'cheap', 'web', read_only=['web']))
        self.assertEqual("[multistore_hooks] snapshot_store names the Glance store 'nope', which does not "
                         'exist. The stores are: fast (default), cheap, web (read-only).', str(error))

    def test_a_part_of_a_stores_name_is_not_the_store(self):
        request = UploadRequest(StoreRef('rbd', 'x'))
        self.assertRaises(exceptions.StoreNotUsable, placements.decide, request, stores('ceph1-rbd'))

    def test_named_read_only_store_is_an_error(self):
        error = self.assertRaises(exceptions.StoreNotUsable, placements.decide,
                                  UploadRequest(StoreRef('web', 'x')),
                                  stores('fast', 'web', read_only=['web']))
        self.assertIn('read-only', str(error))

    def test_named_store_without_several_stores_is_an_error(self):
        error = self.assertRaises(exceptions.StoreNotUsable, placements.decide,
                                  UploadRequest(StoreRef('fast', 'x')),
                                  api.Stores())
        self.assertIn('does not have several stores', str(error))

    def test_store_of_nearly_this_name_is_suggested(self):
        wanted = "does not exist (did you mean 'cheap'?)"
        for written in ('Cheap', ' cheap', 'CHEAP ', 'che-ap', 'c_heap'):
            self.assertEqual(wanted, placements.why_unusable(written, THREE))
        self.assertEqual('does not exist', placements.why_unusable('cheaper', THREE))
        self.assertIsNone(placements.why_unusable('cheap', THREE))

    def test_named_store_is_tried_when_the_stores_are_not_known(self):
        decided = placements.decide(UploadRequest(StoreRef('cheap', 'x')), Unavailable('HTTP 500'))
        self.assertEqual(('cheap', True), (decided.store, decided.degraded))
        self.assertIn('HTTP 500', decided.reason)

    def test_named_store_is_tried_when_it_was_not_checked(self):
        self.assertEqual('cheap', placements.decide(UploadRequest(StoreRef('cheap', 'x'))).store)


class BaseImageTest(testtools.TestCase):

    def decide(self, *base, known=THREE, **request):
        return placements.decide(UploadRequest(base_image=BASE, **request), known, base_in(*base))

    def test_only_store_of_the_base_image(self):
        decided = self.decide('cheap')
        self.assertEqual(('cheap', BASE, False, 'fast'), (
            decided.store, decided.base_image, decided.degraded, decided.fallback_store))

    def test_other_stores_are_those_of_the_base_image_that_take_images(self):
        self.assertEqual(('reliable', 'cheap'), self.decide('reliable', 'fast', 'cheap').other_stores)
        self.assertEqual(('fast',), self.decide('cheap', 'fast', local_store='cheap').other_stores)
        self.assertEqual((), self.decide('cheap', 'gone').other_stores)

    def test_of_several_the_local_one(self):
        self.assertEqual('cheap', self.decide('reliable', 'fast', 'cheap', local_store='cheap').store)

    def test_else_the_default_one(self):
        self.assertEqual('fast', self.decide('reliable', 'fast', local_store='cheap').store)

    def test_else_the_first_listed(self):
        self.assertEqual('cheap', self.decide('cheap', 'reliable').store)

    def test_the_default_store_has_no_other_to_fall_back_to(self):
        self.assertIsNone(self.decide('fast').fallback_store)

    def test_near_store_that_is_the_default_has_no_other(self):
        self.assertIsNone(self.decide('fast', local_store='fast').fallback_store)

    def test_never_a_read_only_store(self):
        known = stores('web', 'fast', 'cheap', read_only=['web'])
        self.assertEqual('cheap', self.decide('web', 'cheap', known=known).store)
        self.assertEqual('cheap', self.decide('web', 'cheap', known=known, local_store='web').store)

    def test_never_an_unknown_store(self):
        self.assertEqual('cheap', self.decide('gone', 'cheap', local_store='gone').store)

    def test_no_store_that_takes_images_is_a_fallback_to_the_default(self):
        decided = self.decide('gone', known=THREE)
        self.assertEqual((None, True), (decided.store, decided.degraded))
        self.assertIn('gone', decided.reason)
        self.assertEqual("Glance's default store", decided.where)

    def test_hidden_stores_are_a_fallback_to_the_default(self):
        self.assertEqual((None, True), self.decide()[0:4:3])

    def test_unseen_base_image_is_a_fallback_to_the_default(self):
        decided = placements.decide(UploadRequest(base_image=BASE), THREE, Unavailable('HTTP 404'))
        self.assertEqual((None, BASE, True), (decided.store, decided.base_image, decided.degraded))
        self.assertIn('HTTP 404', decided.reason)

    def test_base_image_that_was_not_requested_is_a_fallback(self):
        self.assertTrue(placements.decide(UploadRequest(base_image=BASE), THREE).degraded)

    def test_unknown_stores_are_a_fallback_to_the_default(self):
        decided = placements.decide(UploadRequest(base_image=BASE), Unavailable('HTTP 500'), base_in('cheap'))
        self.assertEqual((None, True), (decided.store, decided.degraded))

    def test_one_store_needs_no_choice_and_no_warning(self):
        for known in (None, api.Stores(), stores('fast')):
            self.assertEqual((None, False), self.decide('fast', known=known)[0:4:3])

    def test_without_base_image_the_default(self):
        decided = placements.decide(UploadRequest())
        self.assertEqual((None, None, False), (decided.store, decided.base_image, decided.degraded))
        self.assertEqual("Glance's default store", decided.where)


class WhoResolvesTest(testtools.TestCase):

    def test_auto_leaves_it_to_a_glance_with_the_filter(self):
        decided = placements.decide(UploadRequest(base_image=BASE), FILTERED)
        self.assertEqual((None, BASE, False, 'fast'), (
            decided.store, decided.base_image, decided.degraded, decided.fallback_store))
        self.assertEqual('the store that Glance chooses', decided.where)

    def test_auto_decides_for_the_near_store_even_then(self):
        request = UploadRequest(base_image=BASE, local_store='cheap')
        self.assertEqual('cheap', placements.decide(request, FILTERED, base_in('fast', 'cheap')).store)

    def test_auto_leaves_a_base_image_that_is_not_near_to_the_filter(self):
        request = UploadRequest(base_image=BASE, local_store='cheap')
        for base in (base_in('reliable'), Unavailable('HTTP 500'), None):
            self.assertIsNone(placements.decide(request, FILTERED, base).store)
            self.assertFalse(placements.decide(request, FILTERED, base).degraded)

    def test_always_decides_although_there_is_a_filter(self):
        request = UploadRequest(base_image=BASE, resolve='always')
        self.assertEqual('cheap', placements.decide(request, FILTERED, base_in('cheap')).store)

    def test_never_leaves_it_to_whatever_glance_does(self):
        decided = placements.decide(UploadRequest(base_image=BASE, resolve='never'), THREE, base_in('cheap'))
        self.assertEqual((None, BASE, False), (decided.store, decided.base_image, decided.degraded))
        self.assertEqual('the store that Glance chooses', decided.where)


class WhatMustBeSeenTest(testtools.TestCase):

    def test_stores_for_a_name_or_a_base_image_that_is_resolved(self):
        self.assertTrue(placements.must_see_stores(UploadRequest(StoreRef('a', 'x'))))
        self.assertTrue(placements.must_see_stores(UploadRequest(base_image=BASE)))
        self.assertTrue(placements.must_see_stores(UploadRequest(StoreRef('a', 'x'), resolve='never')))
        self.assertFalse(placements.must_see_stores(UploadRequest(base_image=BASE, resolve='never')))
        self.assertFalse(placements.must_see_stores(UploadRequest()))

    def test_base_image_when_it_decides(self):
        for request, known, expected in (
                (UploadRequest(base_image=BASE), THREE, True),
                (UploadRequest(base_image=BASE), FILTERED, False),
                (UploadRequest(base_image=BASE, local_store='cheap'), FILTERED, True),
                (UploadRequest(base_image=BASE, resolve='always'), FILTERED, True),
                (UploadRequest(base_image=BASE, resolve='never'), THREE, False),
                (UploadRequest(StoreRef('a', 'x'), BASE), THREE, False),
                (UploadRequest(), THREE, False),
                (UploadRequest(base_image=BASE), stores('fast'), False),
                (UploadRequest(base_image=BASE), Unavailable('x'), False)):
            self.assertEqual(expected, placements.must_see_base_image(request, known), (request, known))

    def test_stores_are_described_for_an_error(self):
        self.assertEqual('Its stores are not listed.', placements.describe(api.Stores()))
