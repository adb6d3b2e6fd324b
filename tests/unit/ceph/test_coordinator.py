# SPDX-License-Identifier: Apache-2.0
"""Who of a site leads, what it publishes, and what the hosts see in their own cluster."""

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.ceph import site_lock
from multistore_hooks.copy import coordination
from tests.unit.ceph import test_site_lock

State, Status = coordination.State, coordination.Status


class CoordinatorTest(test_site_lock.CephTestCase):

    def host(self, store='dcn1', pool='images'):
        return coordinator.CephCoordinator(self.site(), 'vms', pool, 'i', store, self.clock)

    def test_one_leads_and_another_follows_when_it_steps_down(self):
        first, second = self.host(), self.host()
        self.assertEqual((True, False), (first.try_lead(), second.try_lead()))
        first.step_down()
        self.clock.sleep(coordinator.TRY_EVERY)
        self.assertTrue(second.try_lead())

    def test_stores_of_one_cluster_have_a_leader_each(self):
        self.assertTrue(self.host('ssd').try_lead())
        self.assertTrue(self.host('hdd').try_lead())

    def test_follower_that_ends_leaves_the_leader_alone(self):
        first, second = self.host(), self.host()
        self.ceph.images['images', 'i'] = {'snap'}
        first.try_lead()
        second.try_lead()
        second.step_down()
        second.close()
        self.clock.sleep(coordinator.TRY_EVERY)
        self.assertFalse(self.host().try_lead())

    def test_dead_leader_is_followed_within_its_lease(self):
        self.host().try_lead()
        second = self.host()
        while not second.try_lead():
            self.clock.sleep(1)
        self.assertTrue(self.clock.now <= site_lock.LEASE + 2, self.clock.now)

    def test_leader_that_renews_stays_the_only_one(self):
        first, second = self.host(), self.host()
        led = []
        for _unused in range(200):
            led.append((first.try_lead(), second.try_lead()))
            self.clock.sleep(1)
        self.assertEqual({(True, False)}, set(led))
        self.assertTrue(self.ceph.calls < 1000, self.ceph.calls)

    def test_failing_cluster_makes_leaders_only_after_a_while(self):
        first, second = self.host(), self.host()
        first.try_lead()
        second.try_lead()
        self.ceph.away = True
        self.clock.sleep(5)
        self.assertEqual((True, False), (first.try_lead(), second.try_lead()))
        self.ceph.away = False
        self.clock.sleep(2)
        self.assertFalse(second.try_lead())
        self.ceph.away = True
        self.clock.sleep(2)
        self.assertFalse(second.try_lead())
        self.clock.sleep(site_lock.LEASE)
        self.assertTrue(second.try_lead())

    def test_pool_that_may_not_be_written_makes_everybody_a_leader(self):
        self.ceph.denied.add('vms')
        self.assertTrue(self.host().try_lead())

    def test_configuration_file_that_is_missing_makes_a_leader_after_a_while_and_says_nothing_of_images(self):
        self.ceph.missing_files.add('ceph.conf')
        self.ceph.images['images', 'i'] = set()
        host = self.host()
        self.assertEqual((False, False, '', None),
                         (host.try_lead(), host.image_present(), host.obstacle(), host.status()))
        host.publish(Status(State.DONE))
        self.assertRaises(cluster.ClusterError, self.site().image_exists, 'images', 'i')
        self.clock.sleep(site_lock.LEASE)
        self.assertTrue(host.try_lead())
        host.step_down()

    def test_pool_that_is_removed_meanwhile_ends_no_wait(self):
        host = self.host()
        self.assertTrue(host.try_lead())
        self.ceph.pools.remove('vms')
        self.clock.sleep(site_lock.RENEW_EVERY)
        self.assertTrue(host.try_lead())
        host.publish(Status(State.DONE))
        self.assertIsNone(host.status())
        host.step_down()

    def test_outcome_is_for_those_that_waited(self):
        for state in (State.DONE, State.FAILED, State.ANOTHER_WAY):
            leader, follower = self.host(), self.host()
            leader.try_lead()
            follower.try_lead()
            self.assertIsNone(follower.status())
            leader.publish(Status(state, 'why'))
            leader.step_down()
            self.assertEqual(Status(state, 'why'), follower.status())
            self.clock.sleep(coordinator.TRY_EVERY)
            self.assertTrue(follower.try_lead())
            self.assertEqual(Status(state, 'why'), follower.status())
            follower.step_down()
            late = self.host()
            late.try_lead()
            self.assertIsNone(late.status())
            late.step_down()

    def test_refusal_is_believed_for_a_minute_by_late_ones_too(self):
        leader = self.host()
        leader.try_lead()
        leader.publish(Status(State.REFUSED, 'the policy', 'p1 member'))
        leader.step_down()
        late = self.host()
        late.try_lead()
        self.assertEqual(Status(State.REFUSED, 'the policy', 'p1 member'), late.status())
        self.clock.sleep(coordinator.REFUSAL_SECONDS + 1)
        self.assertIsNone(late.status())

    def test_progress_is_for_all_that_follow(self):
        leader = self.host()
        leader.try_lead()
        leader.publish(Status(State.COPYING))
        late = self.host()
        late.try_lead()
        self.assertEqual(State.COPYING, late.status().state)

    def test_progress_of_a_leader_that_is_gone_is_not_believed(self):
        leader = self.host()
        leader.try_lead()
        leader.publish(Status(State.COPYING))
        self.clock.sleep(site_lock.LEASE + 1)
        late = self.host()
        late.try_lead()
        self.assertIsNone(late.status())

    def test_image_is_present_with_its_snapshot_only(self):
        host = self.host()
        self.assertEqual((False, ''), (host.image_present(), host.obstacle()))
        self.ceph.images['images', 'i'] = set()
        self.assertFalse(host.image_present())
        self.assertIn('the pool images holds an unfinished RBD image i', host.obstacle())
        self.ceph.images['images', 'i'].add('snap')
        self.assertEqual((True, ''), (host.image_present(), host.obstacle()))

    def test_pool_that_cannot_be_read_is_read_again_later(self):
        host = self.host()
        self.ceph.images['images', 'i'] = {'snap'}
        self.ceph.away = True
        self.assertEqual((False, ''), (host.image_present(), host.obstacle()))
        self.ceph.away = False
        self.assertFalse(host.image_present())
        self.clock.sleep(coordinator.BACK_OFF)
        self.assertTrue(host.image_present())

    def test_nothing_raises_while_the_cluster_is_away(self):
        host = self.host()
        host.try_lead()
        self.ceph.away = True
        host.publish(Status(State.DONE))
        self.assertIsNone(host.status())
        host.step_down()
        host.close()
        self.assertEqual(0, self.ceph.connections)


class ClaimTest(test_site_lock.CephTestCase):
    """One host of a site at a time brings an image there, by a copy or in another way."""

    def claim(self):
        return site_lock.SiteLock(self.site(), 'vms', 'site_image.i', self.clock)

    def host(self, store='dcn1'):
        return coordinator.CephCoordinator(self.site(), 'vms', 'images', 'i', store, self.clock, self.claim())

    def test_another_way_and_a_copy_exclude_each_other(self):
        other, host = self.claim(), self.host()
        self.assertTrue(other.acquire())
        self.assertEqual((True, False), (host.try_lead(), host.claim()))
        other.release()
        self.assertEqual((True, False), (host.claim(), other.acquire()))
        host.waive()
        self.assertTrue(other.acquire())

    def test_leader_that_steps_down_leaves_no_claim(self):
        host = self.host()
        host.try_lead()
        host.claim()
        host.step_down()
        self.assertTrue(self.claim().acquire())

    def test_claim_lasts_while_its_holder_leads_and_ends_with_its_lease_when_it_died(self):
        host, other = self.host(), self.claim()
        host.try_lead()
        host.claim()
        for _unused in range(3 * site_lock.LEASE):
            self.clock.sleep(1)
            self.assertTrue(host.try_lead())
            self.assertFalse(other.acquire())
        self.clock.sleep(site_lock.LEASE)
        self.assertTrue(other.acquire())

    def test_one_that_waives_what_it_does_not_hold_takes_nothing_from_another(self):
        holder, host = self.host('ssd'), self.host('hdd')
        holder.claim()
        self.assertFalse(host.claim())
        host.waive()
        host.step_down()
        self.assertFalse(self.claim().acquire())

    def test_cluster_that_is_away_does_not_keep_anybody_from_a_copy(self):
        host = self.host()
        self.ceph.away = True
        self.assertTrue(host.claim())

    def test_where_nothing_but_copies_is_made_there_is_no_claim(self):
        host = coordinator.CephCoordinator(self.site(), 'vms', 'images', 'i', 'dcn1', self.clock)
        self.assertTrue(host.claim())
        host.waive()
        self.assertEqual({}, self.ceph.locks)
