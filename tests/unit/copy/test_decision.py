# SPDX-License-Identifier: Apache-2.0
"""What to do next about a copy: the rows of the table, and what was seen before."""

import testtools

from multistore_hooks.copy import decision
from multistore_hooks.glance_api import api

PollState, Step = decision.PollState, decision.Step


def image(stores='file1', importing='', failed='', task=None):
    return api.Image.from_glance({
        'id': 'i', 'status': 'active', 'size': 1, 'stores': stores, 'os_glance_import_task': task,
        'os_glance_importing_to_stores': importing, 'os_glance_failed_import': failed})


class DecideTest(testtools.TestCase):

    def decide(self, seen, state=PollState(), now=100.0, store='dcn1'):
        return decision.decide(seen, store, decision.observe(state, seen, store), now)

    def test_image_in_the_store_is_done(self):
        self.assertIs(Step.DONE, self.decide(image('file1,dcn1')))

    def test_a_store_whose_name_contains_ours_is_not_ours(self):
        self.assertIs(Step.REQUEST, self.decide(image('file1,dcn10')))
        self.assertIs(Step.REQUEST, self.decide(image(failed='dcn10')))
        self.assertIs(Step.DONE, self.decide(image('dcn1', importing='dcn10')))

    def test_location_that_is_visible_while_it_is_imported_is_not_done(self):
        self.assertIs(Step.COPYING, self.decide(image('file1,dcn1', importing='dcn1')))

    def test_copy_of_another_compute_is_waited_for(self):
        self.assertIs(Step.COPYING, self.decide(image(importing='dcn1', task='t')))

    def test_lock_of_another_stores_copy_is_waited_for(self):
        self.assertIs(Step.TURN, self.decide(image(importing='dcn2', task='t')))

    def test_nothing_of_it_means_a_request(self):
        self.assertIs(Step.REQUEST, self.decide(image()))

    def test_stale_failure_of_an_earlier_try_does_not_fail_a_new_one(self):
        self.assertIs(Step.REQUEST, self.decide(image(failed='dcn1')))

    def test_stale_failure_just_after_the_request_is_waited_out(self):
        state = PollState(failed_before=True, requests=1, requested_at=99)
        self.assertIs(Step.APPEARS, self.decide(image(failed='dcn1'), state))
        self.assertIs(Step.APPEARS, self.decide(image(failed='dcn1', task='t'), state, now=500))

    def test_failure_that_stays_after_the_request_is_ours(self):
        state = PollState(failed_before=True, requests=1, requested_at=90)
        self.assertIs(Step.FAILED, self.decide(image(failed='dcn1'), state))

    def test_failure_after_our_copy_was_seen_is_ours(self):
        state = PollState(failed_before=True, seen_importing=True, requests=1, requested_at=99)
        self.assertIs(Step.FAILED, self.decide(image(failed='dcn1'), state))

    def test_failure_of_the_copy_that_we_waited_for_is_ours(self):
        state = decision.observe(PollState(), image(importing='dcn1'), 'dcn1')
        self.assertIs(Step.FAILED, self.decide(image(failed='dcn1'), state))

    def test_entry_that_an_early_failure_leaves_behind_is_no_copy(self):
        locks = PollState(has_locks=True)
        self.assertIs(Step.REQUEST, self.decide(image(importing='dcn1'), locks))
        self.assertIs(Step.COPYING, self.decide(image(importing='dcn1', task='t'), locks))
        self.assertIs(Step.DONE, self.decide(image('dcn1', importing='dcn1'), locks))
        # The first Ussuri had no locks: there it is a copy.
        self.assertIs(Step.COPYING, self.decide(image(importing='dcn1')))

    def test_early_failure_of_our_copy_is_ours(self):
        new = PollState(has_locks=True, failed_before=False, requests=1, requested_at=99)
        self.assertIs(Step.FAILED, self.decide(image(importing='dcn1'), new))
        again = new._replace(stale_before=True)
        self.assertIs(Step.APPEARS, self.decide(image(importing='dcn1'), again))
        self.assertIs(Step.FAILED, self.decide(image(importing='dcn1'), again, now=105))

    def test_copy_that_does_not_show_at_once_is_waited_for(self):
        self.assertIs(Step.APPEARS, self.decide(image(), PollState(requests=1, requested_at=96)))

    def test_copy_that_vanished_is_requested_again(self):
        self.assertIs(Step.REQUEST, self.decide(image(), PollState(requests=1, requested_at=94)))

    def test_our_import_that_has_not_begun_is_no_other_stores(self):
        ours = PollState(requests=1, requested_at=0)
        self.assertIs(Step.APPEARS, self.decide(image(task='t'), ours, now=500))
        self.assertIs(Step.TURN, self.decide(image(task='t'), ours._replace(seen_importing=True), now=500))
