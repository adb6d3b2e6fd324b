# SPDX-License-Identifier: Apache-2.0
"""An image gets into a store: each row of DESIGN section 5, on the fake Glance and without waiting."""

import testtools

from multistore_hooks import backoff
from multistore_hooks.copy import coordination
from multistore_hooks.copy import leader
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from tests import clock
from tests import contract
from tests import fake_glance
from tests.unit import base


class RefusedTest(testtools.TestCase):

    def test_responses_that_will_not_change(self):
        keystone = Exception('wrong password')
        keystone.http_status = 401
        self.assertEqual([True, True, False, False, False, False], [api.is_client_error(error) for error in (
            api.error_for(413, ''), keystone, api.error_for(503, ''), api.error_for(429, ''),
            api.error_for(None, ''), OSError(404, ''))])


class DelayTest(testtools.TestCase):

    def test_a_tenth_of_the_time_waited_within_limits(self):
        self.assertEqual([backoff.SHORTEST, backoff.SHORTEST, 3, 15],
                         [backoff.poll_interval(waited, 15) for waited in (0, 4, 30, 1000)])

    def test_an_interval_of_nothing_is_no_busy_loop(self):
        self.assertEqual(backoff.SHORTEST, backoff.poll_interval(1000, 0))


State, Status = coordination.State, coordination.Status


class Site(coordination.Coordinator):
    """A site whose leader and whose cluster a test sets."""

    def __init__(self, leads=True, held=False):
        self.leads, self.held, self.resigned = leads, held, False
        self.claimable, self.claims = True, []
        self.published, self.seen, self.in_the_way = [], None, ''

    def image_present(self):
        return self.held

    def obstacle(self):
        return self.in_the_way

    def try_lead(self):
        return self.leads

    def claim(self):
        self.claims.append('claim')
        return self.claimable

    def waive(self):
        self.claims.append('waive')

    def publish(self, status):
        self.published.append(status)

    def status(self):
        return self.seen

    def step_down(self):
        self.resigned = True


class Unreachable:
    """A Glance that cannot be reached for one verb."""

    def __init__(self, images, verb):
        self._images = images
        setattr(self, verb, self._fail)

    def __getattr__(self, verb):
        return getattr(self._images, verb)

    def _fail(self, *unused):
        raise OSError('no route to host')


class CopyTestCase(base.FakeGlanceTestCase):

    stores = {'file1': fake_glance.FILE, 'dcn1': fake_glance.FILE,
              'dcn10': fake_glance.FILE, 'broken': fake_glance.FULL}

    def setUp(self):
        super().setUp()
        self.glance.default = 'file1'
        self.glance.copies_at_once = False
        self.clock = clock.Clock()
        self.image_id = self.base('file1')
        self.record = self.glance.images[self.image_id]

    def job(self, store='dcn1', image_id=None):
        return request.Job(image_id or self.image_id, store, '[libvirt] images_rbd_glance_store_name',
                           'p1 member')

    def copy(self, store='dcn1', timeout=600, requester=contract.ADMIN, site=None, image_id=None, turn=None):
        wait = limits.Limits(timeout, timeout if turn is None else turn, 15)
        return waiter.CopyWaiter(self.images(), self.images(requester), self.job(store, image_id), wait, site,
                                 self.clock).run()

    def fail(self, **kwargs):
        error = self.assertRaises(exceptions.CopyFailed, self.copy, **kwargs)
        return str(error)

    def asks(self):
        return len(self.glance.requests('POST', '/import'))


class CopyTest(CopyTestCase):

    def test_one_bad_store_undoes_no_copy_of_the_others(self):
        self.images(contract.ADMIN).copy(self.image_id, ['broken', 'dcn1'])
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(['dcn1', 'file1'], self.glance.where(self.image_id))

    def test_image_that_is_there_costs_one_request(self):
        self.assertFalse(self.copy('file1'))
        self.assertEqual(1, len(self.glance.log))

    def test_cold_image_is_copied(self):
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual((['dcn1', 'file1'], 1), (self.glance.where(self.image_id), self.asks()))
        self.assertTrue(4 <= self.clock.now <= 4 + backoff.SHORTEST * 1.2, self.clock.now)

    def test_failed_copy_is_noticed_at_the_next_poll_with_what_the_task_says(self):
        self.clock.at(4, self.glance.finish_copies)
        said = self.fail(store='broken')
        # Glance's task succeeds, though a store failed: not all must succeed.
        self.assertIn('(its task %s)' % self.glance.tasks[self.image_id][0]['id'], said)
        self.assertTrue(self.clock.now < 5, self.clock.now)

    def test_stale_failure_does_not_fail_a_new_try(self):
        self.record['os_glance_failed_import'] = 'dcn1'
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())

    def test_lock_of_another_sites_copy_is_waited_for_and_then_it_is_our_turn(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        self.clock.at(4, self.glance.finish_copies)
        self.clock.at(9, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(['dcn1', 'dcn10', 'file1'], self.glance.where(self.image_id))

    def test_request_that_loses_the_race_for_the_lock_waits(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 409))
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(2, self.asks())

    def test_request_for_what_is_there_already_polls_again(self):
        def arrive(*unused):
            self.glance.put_data(self.image_id, 'dcn1')
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 400))
        self.clock.at(0.1, arrive)
        self.assertTrue(self.copy())

    def test_request_that_is_refused_for_ever_ends(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 400, times=99))
        self.assertIn('HTTP 400', self.fail())
        self.assertEqual(leader.MOST_REQUESTS, self.asks())

    def test_forbidden_copy_names_the_policy_and_the_option(self):
        said = self.fail(requester=contract.MEMBER)
        self.assertIn('policy copy_image', said)
        self.assertIn('[multistore_hooks]', said)
        self.assertEqual(1, self.asks())

    def test_missing_image(self):
        self.assertRaises(exceptions.ImageGone, self.copy, image_id='11111111-2222-3333-4444-555555555555')

    def test_image_that_is_deleted_in_the_middle(self):
        self.clock.at(3, lambda: self.glance.images.pop(self.image_id))
        self.assertRaises(exceptions.ImageGone, self.copy)

    def test_image_that_is_deleted_before_the_request(self):
        class Deleting:
            def __init__(self, images, delete):
                self.images, self.delete = images, delete

            def copy(self, image_id, stores):
                self.delete(image_id)
                self.images.copy(image_id, stores)
        requester = Deleting(self.images(contract.ADMIN), self.glance.images.pop)
        self.assertRaises(exceptions.ImageGone, waiter.CopyWaiter(
            self.images(), requester, self.job(), limits.Limits(600, 600, 15), None, self.clock).run)

    def test_image_that_the_requester_may_not_see_is_not_taken_for_gone(self):
        error = self.assertRaises(exceptions.CopyFailed, self.copy, requester='u2:p2:member')
        self.assertFalse(isinstance(error, exceptions.ImageGone))
        self.assertIn('cannot see the image', str(error))

    def test_image_without_data(self):
        self.assertIn('the status of the image is queued', self.fail(image_id=self.queued()))

    def test_unknown_store_is_reported_before_anything_is_requested(self):
        said = self.fail(store='nope')
        self.assertIn("images_rbd_glance_store_name names the Glance store 'nope', which", said)
        self.assertEqual(0, self.asks())

    def test_glance_without_copy_image_is_reported_before_anything_is_requested(self):
        self.glance.import_methods = ['glance-direct']
        self.assertIn('no import method copy-image', self.fail())
        self.assertEqual(0, self.asks())

    def test_glance_that_does_not_list_its_methods_gets_the_request_all_the_same(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/info/import', 403))
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())

    def test_other_refusals_end_it(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 405))
        self.assertIn('Glance refuses the copy', self.fail())
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 403))
        self.assertIn('does not show the image', self.fail())

    def test_refusals_are_about_the_requester(self):
        for method, path in (('GET', '/v2/images/'), ('POST', '/import')):
            for status in (401, 403):
                self.glance.faults.append(fake_glance.Fault(method, path, status))
                error = self.assertRaises(exceptions.CopyFailed, self.copy)
                self.assertTrue(error.requester_specific, (method, status))
        self.assertFalse(self.assertRaises(exceptions.CopyFailed, self.copy, store='nope').requester_specific)

    def test_errors_of_the_server_are_tried_again_a_few_times(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 500))
        self.clock.at(4, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 500, times=99))
        self.assertIn('HTTP 500', self.fail(store='dcn10'))

    def test_glance_that_is_away_for_a_while_is_waited_for(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 503, times=5))
        self.clock.at(40, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(1, self.log.count('WARNING Glance cannot be reached'))

    def test_glance_that_stays_away_ends_with_the_time(self):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 500, times=9999))
        said = self.fail(timeout=60)
        self.assertIn('longer than 60 seconds', said)
        self.assertIn('HTTP 500', said)

    def test_request_that_cannot_reach_glance_is_tried_again(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 503))
        self.clock.at(9, self.glance.finish_copies)
        self.assertTrue(self.copy())

    def test_copy_that_never_ends_is_given_up_in_time_and_names_the_lock(self):
        said = self.fail(timeout=100)
        self.assertIn(self.record['os_glance_import_task'], said)
        self.assertIn('copies to dcn1', said)
        self.assertTrue(100 <= self.clock.now <= 101, self.clock.now)

    def test_lock_without_a_copy_is_named_too(self):
        self.record['os_glance_import_task'] = 'left-by-a-killed-glance'
        self.assertIn('left-by-a-killed-glance holds the lock of the image, and copies to no store',
                      self.fail(timeout=50))

    def test_refusal_that_looks_like_a_lock_is_reported_in_the_end(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 409, times=9999))
        self.assertIn('the last request for a copy failed: HTTP 409', self.fail(timeout=50))

    def test_import_without_progress_is_tested_at_intervals(self):
        self.record.update(os_glance_import_task='left', os_glance_importing_to_stores='dcn1')
        self.fail(timeout=600)
        self.assertTrue(7 <= self.asks() <= 14, self.asks())

    def test_import_that_makes_progress_is_not_tested(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn1'])
        for minute in range(1, 10):
            self.clock.at(20 * minute, lambda so_far=minute: self.glance.tasks[self.image_id][-1].update(
                message='Copied %d MiB' % so_far))
        self.clock.at(190, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(1, self.asks())

    def test_lock_that_glance_gives_up_is_taken_over(self):
        self.record.update(os_glance_import_task='left', os_glance_importing_to_stores='dcn10')
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 409, times=59))
        self.clock.at(3600, lambda: self.record.pop('os_glance_import_task') and self.glance.faults.clear())

        def finish_all():
            self.glance.finish_copies()
            self.clock.at(self.clock.now + 30, finish_all)
        self.clock.at(3600, finish_all)
        self.assertTrue(self.copy(timeout=7200))
        self.assertTrue(self.clock.now < 3700, self.clock.now)

    def test_left_lock_that_a_request_ends_is_logged(self):
        self.record.update(os_glance_import_task='left', os_glance_importing_to_stores='dcn1')
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 202))
        self.clock.at(150, lambda: self.record.update(
            stores='file1,dcn1', os_glance_import_task=None, os_glance_importing_to_stores=''))
        self.assertTrue(self.copy())
        self.assertEqual(1, self.log.count('its task left does not hold the lock any more'))

    def test_the_wait_for_ones_turn_has_a_limit_of_its_own(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        said = self.fail(timeout=600, turn=60)
        self.assertIn('did not get its turn within 60 seconds; the task', said)
        self.assertIn('copies to dcn10', said)
        self.assertTrue(60 <= self.clock.now <= 61, self.clock.now)

    def test_the_limit_of_the_copy_begins_with_the_copy(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        self.clock.at(50, self.glance.finish_copies)
        self.clock.at(145, self.glance.finish_copies)
        self.assertTrue(self.copy(timeout=100, turn=60))
        self.images(contract.ADMIN).copy(self.image_id, ['broken'])
        began = self.clock.now
        self.assertIn('longer than 100 seconds', self.fail(store='broken', timeout=100, turn=60))
        self.assertTrue(100 <= self.clock.now - began <= 101, self.clock.now)

    def test_copy_that_ends_just_in_time_is_noticed_by_a_last_poll(self):
        self.clock.at(99.9, self.glance.finish_copies)
        self.assertTrue(self.copy(timeout=100))

    def test_without_time_for_a_turn_a_locked_image_is_given_up_after_one_request(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        self.assertIn('did not get its turn', self.fail(turn=0))
        self.assertEqual((2, 0), (self.asks(), self.clock.now))

    def test_without_time_for_a_turn_a_copy_to_this_store_is_waited_for(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn1'])
        self.clock.at(40, self.glance.finish_copies)
        self.assertTrue(self.copy(turn=0))

    def test_who_may_not_request_goes_on_waiting_for_anothers_copy(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn1'])
        self.clock.at(40, self.glance.finish_copies)
        self.assertTrue(self.copy(requester=contract.MEMBER))

    def test_copy_that_ends_before_it_came_to_the_store(self):
        def end():
            self.record.pop('os_glance_import_task', None)
            self.glance.tasks[self.image_id][-1].update(status='failure', message='no space left')
        self.clock.at(3, end)
        self.assertIn('no space left', self.fail())
        self.clock.at(self.clock.now + 4, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(2, self.asks())

    def test_copy_that_vanishes_is_requested_again_but_not_without_end(self):
        def undo():
            self.record.pop('os_glance_import_task', None)
            self.record['os_glance_importing_to_stores'] = ''
        for when in range(3, 60, 3):
            self.clock.at(when, undo)
        self.assertIn('accepted the copy, and did not make it', self.fail())
        self.assertEqual(leader.MOST_REQUESTS, self.asks())

    def test_waiting_polls_glance_less_and_less(self):
        self.clock.at(500, self.glance.finish_copies)
        self.copy()
        looks = len(self.glance.requests('GET', self.image_id + '$'))
        self.assertTrue(40 < looks < 90, looks)

    def test_progress_is_reported_as_often_as_the_operators_interval(self):
        self.clock.at(50, self.glance.finish_copies)
        self.copy()
        self.assertTrue(2 <= self.log.count('Copied 0 MiB') <= 4, self.log)

    def test_follower_sends_no_request_and_ends_with_the_leader(self):
        ends = ((State.DONE, None, ''), (State.FAILED, exceptions.CopyFailed, ''),
                (State.REFUSED, exceptions.CopyRefused, 'p1 member'),
                (State.ANOTHER_WAY, exceptions.ComesAnotherWay, ''))
        for state, expected, requester in ends:
            site = Site(leads=False)
            self.clock.at(self.clock.now + 10, lambda kind=state, to=requester, place=site: setattr(
                place, 'seen', Status(kind, 'it is full', to)))
            began = self.clock.now
            if expected is None:
                self.assertTrue(self.copy(site=site))
            else:
                error = self.assertRaises(expected, self.copy, site=site)
                self.assertIs(expected, type(error))
                reason = 'makes a site image' if state is State.ANOTHER_WAY else 'it is full'
                self.assertIn(reason, str(error))
            self.assertTrue(10 <= self.clock.now - began <= 10.6, self.clock.now)
            self.assertEqual([], self.glance.log)
            self.assertTrue(site.resigned)

    def test_refusal_of_other_rights_is_not_shared(self):
        site = Site(leads=False)
        site.seen = Status(State.REFUSED, 'not for members', 'p2 member')
        self.clock.at(5, lambda: setattr(site, 'leads', True))
        self.clock.at(9, self.glance.finish_copies)
        self.assertTrue(self.copy(site=site))

    def test_follower_learns_from_the_leader_which_limit_runs(self):
        site = Site(leads=False)
        site.seen = Status(State.TURN)
        self.assertIn('did not get its turn within 60 seconds', self.fail(site=site, turn=60))
        self.assertTrue(60 <= self.clock.now <= 61, self.clock.now)
        began, site.seen = self.clock.now, Status(State.COPYING)
        self.assertIn('longer than 100 seconds', self.fail(site=site, turn=60, timeout=100))
        self.assertTrue(100 <= self.clock.now - began <= 101, self.clock.now)
        self.assertEqual([], self.glance.log)

    def test_leader_publishes_how_things_are(self):
        site = Site()
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        self.clock.at(4, self.glance.finish_copies)
        self.clock.at(9, self.glance.finish_copies)
        self.copy(site=site)
        self.assertEqual([State.TURN, State.COPYING, State.DONE], [one.state for one in site.published])

    def test_leader_publishes_failures_and_refusals_but_not_the_end_of_its_own_time(self):
        site = Site()
        self.fail(store='nope', site=site)
        self.fail(requester=contract.MEMBER, site=site)
        self.assertEqual([(State.FAILED, ''), (State.REFUSED, 'p1 member')],
                         [(one.state, one.requester) for one in site.published if one.final])
        self.assertIn('policy copy_image', site.published[-1].reason)
        self.fail(site=site, timeout=30)
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/', 401))
        self.fail(site=site)
        self.assertEqual(2, len([one for one in site.published if one.final]))

    def test_copy_that_a_quota_ends_is_the_requesters_matter(self):
        def end():
            self.record.pop('os_glance_import_task', None)
            self.record['os_glance_importing_to_stores'] = ''
            self.glance.tasks[self.image_id][-1].update(
                status='failure', message='Request exceeded allowed resource\nlimit: image_stage_total')
        self.clock.at(3, end)
        site = Site()
        error = self.assertRaises(exceptions.QuotaExceeded, self.copy, site=site)
        self.assertNotIn('\n', str(error))
        self.assertIn('image_stage_total', str(error))
        self.assertEqual(1, self.asks())
        self.assertEqual([State.REFUSED], [one.state for one in site.published if one.final])

    def test_unfinished_image_in_the_pool_is_reported_before_a_request(self):
        site = Site()
        site.in_the_way = 'an unfinished image is in the way'
        self.assertIn('an unfinished image is in the way', self.fail(site=site))
        self.assertEqual(0, self.asks())
        self.clock.at(self.clock.now + 3, lambda: setattr(site, 'in_the_way', ''))
        self.clock.at(self.clock.now + 9, self.glance.finish_copies)
        self.assertTrue(self.copy(site=site))

    def test_image_in_no_store_of_this_glance_is_reported_before_a_request(self):
        self.record['stores'] = 'dcn2'
        self.assertIn('it is in dcn2, and this Glance has none of these stores, only file1', self.fail())
        self.assertEqual(0, self.asks())

    def test_checks_are_made_once(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 409, times=5))
        self.clock.at(20, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(1, len(self.glance.requests('GET', '/v2/info/stores')))
        self.assertEqual(1, len(self.glance.requests('GET', '/v2/info/import')))

    def test_errors_of_the_way_are_one_kind_and_waited_for(self):
        for status in (502, 503, 504):
            self.glance.faults.append(fake_glance.Fault('POST', '/import', status, times=4))
        self.clock.at(200, self.glance.finish_copies)
        self.assertTrue(self.copy())

    def test_who_comes_to_lead_goes_on_at_once(self):
        site = Site(leads=False)
        self.clock.at(5, lambda: setattr(site, 'leads', True))
        self.clock.at(9, self.glance.finish_copies)
        self.assertTrue(self.copy(site=site))
        self.assertEqual(1, self.asks())

    def test_leader_that_cannot_request_lets_another_one_lead(self):
        class Shared(Site):
            def step_down(self):
                self.resigned_at = clock.now if self.resigned_at is None else self.resigned_at
        clock = self.clock
        for looks in (False, True):
            site = Shared()
            site.resigned_at = None
            images, requester = self.images(), self.images(contract.ADMIN)
            started = clock.now
            sick = waiter.CopyWaiter(Unreachable(images, 'image') if looks else images,
                                     Unreachable(requester, 'copy'), self.job(),
                                     limits.Limits(60, 60, 15), site, clock)
            said = str(self.assertRaises(exceptions.CopyFailed, sick.run))
            self.assertIn('no route to host', said)
            self.assertTrue(site.resigned_at < started + 1, looks)

    def test_who_stood_aside_leads_again_where_nobody_else_does(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 503))
        self.clock.at(12, self.glance.finish_copies)
        self.assertTrue(self.copy())
        self.assertEqual(2, self.asks())
        self.assertTrue(self.clock.now < 14, self.clock.now)

    def test_rest_of_a_failed_copy_in_the_cluster_is_not_believed_and_not_polled_all_the_time(self):
        self.clock.at(500, self.glance.finish_copies)
        self.copy(site=Site(held=True))
        looks = len(self.glance.requests('GET', self.image_id + '$'))
        self.assertTrue(looks < 100, looks)

    def test_leader_resigns_when_it_fails(self):
        site = Site()
        self.fail(store='nope', site=site)
        self.assertTrue(site.resigned)


class ClaimTest(CopyTestCase):
    """Whoever brings the image to the site holds a claim: a copy is one way, a site image another."""

    def test_no_copy_is_requested_while_the_site_makes_its_own(self):
        site = Site()
        site.claimable = False
        self.assertIn('another host of this site makes a site image', self.fail(site=site))
        self.assertEqual((0, State.ANOTHER_WAY), (self.asks(), site.published[-1].state))

    def test_claim_is_kept_while_a_copy_runs_whoever_requested_it(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn1'])
        self.clock.at(30, self.glance.finish_copies)
        site = Site()
        self.assertTrue(self.copy(site=site))
        self.assertEqual({'claim'}, set(site.claims))

    def test_a_store_that_waits_for_its_turn_claims_nothing(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        site = Site()
        self.fail(site=site, turn=200)
        # Apart from the moment of a request that tests the other import.
        self.assertEqual('waive', site.claims[-1])
        self.assertNotIn('claim claim', ' '.join(site.claims))

    def test_import_that_holds_the_image_is_not_tested_by_a_request_while_the_site_makes_its_own(self):
        self.images(contract.ADMIN).copy(self.image_id, ['dcn10'])
        site, before = Site(), self.asks()
        site.claimable = False
        self.fail(site=site, turn=200)
        self.assertEqual(before, self.asks())
