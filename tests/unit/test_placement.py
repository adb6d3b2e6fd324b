# SPDX-License-Identifier: Apache-2.0
"""Which store an upload goes to, as DESIGN section 4 and the specifications say."""

import testtools

from multistore_hooks import exceptions
from multistore_hooks.images import api
from multistore_hooks import placement
from multistore_hooks.placement import Named
from multistore_hooks.placement import Unknown
from multistore_hooks.placement import Wish

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
        decided = placement.decide(Wish(Named('cheap', 'the type'), BASE), THREE, base_in('reliable'))
        self.assertEqual(('cheap', BASE, True, False, None), (
            decided.store, decided.base_image, decided.named, decided.fallback, decided.otherwise))
        self.assertIn('the type', decided.reason)

    def test_unknown_named_store_is_an_error_with_the_stores_there_are(self):
        wish = Wish(Named('nope', '[multistore_hooks] snapshot_store'))
        error = self.assertRaises(exceptions.StoreNotUsable, placement.decide, wish,
                                  stores('fast', 'cheap', 'web', read_only=['web']))
        self.assertEqual("[multistore_hooks] snapshot_store names the Glance store 'nope', which does not "
                         'exist. The stores are: fast (default), cheap, web (read-only).', str(error))

    def test_a_part_of_a_stores_name_is_not_the_store(self):
        wish = Wish(Named('rbd', 'x'))
        self.assertRaises(exceptions.StoreNotUsable, placement.decide, wish, stores('ceph1-rbd'))

    def test_named_read_only_store_is_an_error(self):
        error = self.assertRaises(exceptions.StoreNotUsable, placement.decide, Wish(Named('web', 'x')),
                                  stores('fast', 'web', read_only=['web']))
        self.assertIn('read-only', str(error))

    def test_named_store_without_several_stores_is_an_error(self):
        error = self.assertRaises(exceptions.StoreNotUsable, placement.decide, Wish(Named('fast', 'x')),
                                  api.Stores())
        self.assertIn('does not have several stores', str(error))

    def test_named_store_is_tried_when_the_stores_are_not_known(self):
        decided = placement.decide(Wish(Named('cheap', 'x')), Unknown('HTTP 500'))
        self.assertEqual(('cheap', True, True), (decided.store, decided.named, decided.fallback))
        self.assertIn('HTTP 500', decided.reason)

    def test_named_store_is_tried_when_nobody_asked(self):
        self.assertEqual('cheap', placement.decide(Wish(Named('cheap', 'x'))).store)


class BaseImageTest(testtools.TestCase):

    def decide(self, *base, known=THREE, **wish):
        return placement.decide(Wish(base_image=BASE, **wish), known, base_in(*base))

    def test_only_store_of_the_base_image(self):
        decided = self.decide('cheap')
        self.assertEqual(('cheap', BASE, False, False, 'fast'), (
            decided.store, decided.base_image, decided.named, decided.fallback, decided.otherwise))

    def test_of_several_the_near_one(self):
        self.assertEqual('cheap', self.decide('reliable', 'fast', 'cheap', near='cheap').store)

    def test_else_the_default_one(self):
        self.assertEqual('fast', self.decide('reliable', 'fast', near='cheap').store)

    def test_else_the_first_listed(self):
        self.assertEqual('cheap', self.decide('cheap', 'reliable').store)

    def test_the_default_store_has_no_other_to_fall_back_to(self):
        self.assertIsNone(self.decide('fast').otherwise)

    def test_near_store_that_is_the_default_has_no_other(self):
        self.assertIsNone(self.decide('fast', near='fast').otherwise)

    def test_never_a_read_only_store(self):
        known = stores('web', 'fast', 'cheap', read_only=['web'])
        self.assertEqual('cheap', self.decide('web', 'cheap', known=known).store)
        self.assertEqual('cheap', self.decide('web', 'cheap', known=known, near='web').store)

    def test_never_an_unknown_store(self):
        self.assertEqual('cheap', self.decide('gone', 'cheap', near='gone').store)

    def test_no_store_that_takes_images_is_a_fallback_to_the_default(self):
        decided = self.decide('gone', known=THREE)
        self.assertEqual((None, True), (decided.store, decided.fallback))
        self.assertIn('gone', decided.reason)
        self.assertEqual("Glance's default store", decided.where)

    def test_hidden_stores_are_a_fallback_to_the_default(self):
        self.assertEqual((None, True), self.decide()[0:5:4])

    def test_unseen_base_image_is_a_fallback_to_the_default(self):
        decided = placement.decide(Wish(base_image=BASE), THREE, Unknown('HTTP 404'))
        self.assertEqual((None, BASE, True), (decided.store, decided.base_image, decided.fallback))
        self.assertIn('HTTP 404', decided.reason)

    def test_base_image_that_was_not_asked_for_is_a_fallback(self):
        self.assertTrue(placement.decide(Wish(base_image=BASE), THREE).fallback)

    def test_unknown_stores_are_a_fallback_to_the_default(self):
        decided = placement.decide(Wish(base_image=BASE), Unknown('HTTP 500'), base_in('cheap'))
        self.assertEqual((None, True), (decided.store, decided.fallback))

    def test_one_store_needs_no_choice_and_no_warning(self):
        for known in (None, api.Stores(), stores('fast')):
            self.assertEqual((None, False), self.decide('fast', known=known)[0:5:4])

    def test_without_base_image_the_default(self):
        decided = placement.decide(Wish())
        self.assertEqual((None, None, False), (decided.store, decided.base_image, decided.fallback))
        self.assertEqual("Glance's default store", decided.where)


class WhoResolvesTest(testtools.TestCase):

    def test_auto_leaves_it_to_a_glance_with_the_filter(self):
        decided = placement.decide(Wish(base_image=BASE), FILTERED)
        self.assertEqual((None, BASE, False, 'fast'), (
            decided.store, decided.base_image, decided.fallback, decided.otherwise))
        self.assertEqual('the store that Glance chooses', decided.where)

    def test_auto_decides_for_the_near_store_even_then(self):
        wish = Wish(base_image=BASE, near='cheap')
        self.assertEqual('cheap', placement.decide(wish, FILTERED, base_in('fast', 'cheap')).store)

    def test_auto_leaves_a_base_image_that_is_not_near_to_the_filter(self):
        wish = Wish(base_image=BASE, near='cheap')
        for base in (base_in('reliable'), Unknown('HTTP 500'), None):
            self.assertIsNone(placement.decide(wish, FILTERED, base).store)
            self.assertFalse(placement.decide(wish, FILTERED, base).fallback)

    def test_always_decides_although_there_is_a_filter(self):
        wish = Wish(base_image=BASE, resolve='always')
        self.assertEqual('cheap', placement.decide(wish, FILTERED, base_in('cheap')).store)

    def test_never_leaves_it_to_whatever_glance_does(self):
        decided = placement.decide(Wish(base_image=BASE, resolve='never'), THREE, base_in('cheap'))
        self.assertEqual((None, BASE, False), (decided.store, decided.base_image, decided.fallback))
        self.assertEqual('the store that Glance chooses', decided.where)


class WhatMustBeSeenTest(testtools.TestCase):

    def test_stores_for_a_name_or_a_base_image_that_is_resolved(self):
        self.assertTrue(placement.must_see_stores(Wish(Named('a', 'x'))))
        self.assertTrue(placement.must_see_stores(Wish(base_image=BASE)))
        self.assertTrue(placement.must_see_stores(Wish(Named('a', 'x'), resolve='never')))
        self.assertFalse(placement.must_see_stores(Wish(base_image=BASE, resolve='never')))
        self.assertFalse(placement.must_see_stores(Wish()))

    def test_base_image_when_it_decides(self):
        for wish, known, expected in (
                (Wish(base_image=BASE), THREE, True),
                (Wish(base_image=BASE), FILTERED, False),
                (Wish(base_image=BASE, near='cheap'), FILTERED, True),
                (Wish(base_image=BASE, resolve='always'), FILTERED, True),
                (Wish(base_image=BASE, resolve='never'), THREE, False),
                (Wish(Named('a', 'x'), BASE), THREE, False),
                (Wish(), THREE, False),
                (Wish(base_image=BASE), stores('fast'), False),
                (Wish(base_image=BASE), Unknown('x'), False)):
            self.assertEqual(expected, placement.must_see_base_image(wish, known), (wish, known))

    def test_stores_are_described_for_an_error(self):
        self.assertEqual('Its stores are not listed.', placement.describe(api.Stores()))
