# SPDX-License-Identifier: Apache-2.0
"""A plan is carried out within its limits, and every outcome is reported as it is."""

from multistore_hooks.stores import apply
from multistore_hooks.stores import evict
from multistore_hooks.stores import inventory
from multistore_hooks.stores import plans
from tests import fake_glance
from tests.unit.stores import fakes


class ApplyTestCase(fakes.EvictionTestCase):

    def setUp(self):
        super().setUp()
        self.events, self.seen = [], []
        self.room = lambda store, size: True

    def subject(self, image_id):
        return inventory.subject_of(self.images().image(image_id))

    def copy(self, image_id, *stores):
        return plans.Copy(self.subject(image_id), stores, tuple('rule' for _store in stores))

    def evict_step(self, image_id, store):
        return plans.Evict(self.subject(image_id), store, 'rule')

    def applier(self, **limits):
        return apply.Applier(self.images(), self.evictor(), apply.Limits(**limits), self.clock,
                             self.events.append, self.room, self.watch)

    def watch(self, going):
        """Keep the stores that an import is still to come to, and how many outcomes there were before."""
        self.seen.append((going.stores, going.pending, len(self.events)))

    def run_rounds(self, *rounds, **limits):
        """Carry rounds of (copies, evictions) out; return the outcomes in short."""
        plan = plans.Plan(tuple(plans.Round(tuple(copies), tuple(evictions)) for copies, evictions in rounds))
        outcomes = self.applier(**limits).run(plan)
        self.assertEqual(self.events, outcomes)
        return ['%s%s %s' % (outcome.action, outcome.store, outcome.state) for outcome in outcomes]


class CopiesTest(ApplyTestCase):

    def test_one_request_for_all_stores_of_an_image(self):
        one = self.glance.add_image(['a'])
        self.assertEqual(['+b copied', '+c copied'], self.run_rounds(([self.copy(one, 'b', 'c')], ())))
        self.assertEqual(1, len(self.glance.requests('POST', '/import$')))

    def test_import_is_shown_from_its_begin_to_its_end_and_ends_before_its_outcome(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a'])
        self.clock.at(30, self.glance.finish_copies)
        self.run_rounds(([self.copy(one, 'b', 'c')], ()))
        self.assertEqual((('b', 'c'), ('b', 'c'), 0), self.seen[0])
        self.assertEqual((('b', 'c'), (), 0), self.seen[-1])
        self.assertTrue(len(self.seen) > 2, self.seen)

    def test_copies_come_before_evictions(self):
        one = self.glance.add_image(['a'])
        self.assertEqual(['+b copied', '-a freed'], self.run_rounds(
            ([self.copy(one, 'b')], [self.evict_step(one, 'a')])))
        self.assertEqual((['b'], ['b']), self.state_of(one))

    def test_eviction_after_a_copy_waits_for_the_lock_of_its_import(self):
        self.glance.locks_last = True
        one = self.glance.add_image(['a'])
        self.clock.at(30, self.glance.finish_copies)
        self.assertEqual(['+b copied', '-a freed'], self.run_rounds(
            ([self.copy(one, 'b')], [self.evict_step(one, 'a')])))

    def test_copy_of_another_is_waited_for_and_its_lock_too(self):
        self.glance.copies_at_once, self.glance.locks_last = False, True
        one = self.glance.add_image(['a'])
        self.images().copy(one, ['b'])
        self.clock.at(30, self.glance.finish_copies)
        self.clock.at(60, self.glance.finish_copies)
        applier = self.applier()
        stores = self.images().stores()

        def make_plan():
            return plans.by_drain('a', ['b'], [self.subject(one)], plans.Limits(stores))

        plan = apply.converge(make_plan, applier)
        self.assertEqual(((), ['b']), (plan.unmet, self.glance.where(one)))

    def test_what_fails_leaves_the_rest_and_the_last_copy(self):
        self.glance.stores['c'] = fake_glance.FULL
        one, two = self.glance.add_image(['a']), self.glance.add_image(['a'])
        self.assertEqual(['+c failed', '+b copied', '-a refused', '-a freed'], self.run_rounds(
            ([self.copy(one, 'c'), self.copy(two, 'b')],
             [self.evict_step(one, 'a'), self.evict_step(two, 'a')])))
        self.assertEqual(['a'], self.glance.where(one))

    def test_copy_that_somebody_else_began_is_waited_for(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        self.images().copy(one, ['b'])
        self.clock.at(100, self.glance.finish_copies)
        self.assertEqual(['+b copied'], self.run_rounds(([copy], ())))
        self.assertEqual(1, len(self.glance.requests('POST', '/import$')))

    def test_other_import_is_waited_for_and_then_the_copy_is_requested(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        self.images().copy(one, ['c'])
        self.clock.at(100, self.glance.finish_copies)
        self.clock.at(200, self.glance.finish_copies)
        self.assertEqual(['+b copied'], self.run_rounds(([copy], ())))

    def test_copy_that_takes_too_long(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a'])
        self.assertEqual(['+b failed'], self.run_rounds(([self.copy(one, 'b')], ()), timeout=50))
        self.assertIn('it took longer than 50 seconds', self.events[0].why)

    def test_image_that_was_deleted(self):
        one = self.glance.add_image(['a'])
        copy, step = self.copy(one, 'b'), self.evict_step(one, 'a')
        del self.glance.images[one]
        self.assertEqual(['+b failed', '-a image is gone'], self.run_rounds(([copy], [step])))

    def test_image_that_was_deactivated(self):
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        self.glance.images[one]['status'] = 'deactivated'
        self.assertEqual(['+b failed'], self.run_rounds(([copy], ())))

    def test_store_that_glance_does_not_have_any_more(self):
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        del self.glance.stores['b']
        self.assertEqual(['+b failed'], self.run_rounds(([copy], ())))

    def test_trouble_that_passes(self):
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        self.glance.faults += [fake_glance.Fault('GET', '/v2/images/', 503, times=2),
                               fake_glance.Fault('POST', '/import', 503)]
        self.assertEqual(['+b copied'], self.run_rounds(([copy], ())))

    def test_copy_that_failed_between_two_polls_is_not_waited_for(self):
        one = self.glance.add_image(['a'])
        copy = self.copy(one, 'b')
        self.glance.lose(one, 'a')
        self.assertEqual(['+b failed'], self.run_rounds(([copy], ())))
        self.assertLess(self.clock.now, 60)

    def test_room_is_read_again_for_what_an_eviction_was_to_make(self):
        one, two = self.glance.add_image(['a']), self.glance.add_image(['a'])
        self.room = lambda store, size: store != 'b'
        self.assertEqual(['+b copied', '+b not begun', '+c copied'], self.run_rounds(
            ([self.copy(one, 'b')], ()), ([self.copy(two, 'b', 'c')], ())))

    def test_room_that_an_eviction_did_not_free_is_not_used(self):
        one, two, three = (self.glance.add_image(stores) for stores in (['a', 'b'], ['a'], ['a']))
        self.glance.lose(one, 'a')  # so nothing proves that its copy may go
        self.assertEqual(['-b refused', '+b not begun', '+b copied'], self.run_rounds(
            ((), [self.evict_step(one, 'b')]), ([self.copy(two, 'b'), self.copy(three, 'b')], ())))


class BoundsTest(ApplyTestCase):

    def most_at_once(self, count, **limits):
        """Copy images into b; return how many copies went on at once, at most."""
        self.glance.copies_at_once = False
        steps = [self.copy(self.glance.add_image(['a']), 'b') for _unused in range(count)]
        most = []

        def finish():
            most.append(len(self.glance._imports))
            self.glance.finish_copies()
            self.clock.at(self.clock.now + 30, finish)

        self.clock.at(30, finish)
        self.assertEqual(['+b copied'] * count, self.run_rounds((steps, ()), **limits))
        return max(most)

    def test_bound_for_each_store(self):
        self.assertEqual(2, self.most_at_once(5, per_store=2))

    def test_bound_for_all(self):
        self.assertEqual(3, self.most_at_once(7, per_store=9, imports=3))

    def test_full_store_does_not_hold_up_the_others(self):
        self.glance.copies_at_once = False
        steps = [self.copy(self.glance.add_image(['a']), 'b') for _unused in range(2)]
        steps.append(self.copy(self.glance.add_image(['a']), 'c'))
        going_on = []

        def finish():
            going_on.append(len(self.glance._imports))
            self.glance.finish_copies()
            self.clock.at(self.clock.now + 30, finish)

        self.clock.at(30, finish)
        self.run_rounds((steps, ()), per_store=1)
        self.assertEqual([2, 1], [count for count in going_on if count])


class StoppedTest(ApplyTestCase):

    def test_stopped_by_the_user_it_says_what_goes_on(self):
        self.glance.copies_at_once = False
        one = self.glance.add_image(['a'])
        plan = plans.Plan((plans.Round((self.copy(one, 'b', 'c'),), ()),))
        applier = self.applier()

        def stop():
            raise KeyboardInterrupt()

        self.clock.at(10, stop)
        self.assertRaises(KeyboardInterrupt, applier.run, plan)
        self.assertEqual([(one, ('b', 'c'))], [(image.id, stores) for image, stores in applier.going_on()])

    def test_outcomes_that_failed(self):
        for state, failed in ((apply.COPIED, False), (apply.FAILED, True), (apply.SKIPPED, True),
                              (evict.FREED, False), (evict.REFUSED, True), (evict.FAILED, True),
                              (evict.TRASHED, False), (evict.GONE, False)):
            self.assertEqual(failed, apply.Outcome(None, 'a', '+', state).failed, state)
