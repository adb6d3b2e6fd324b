# SPDX-License-Identifier: Apache-2.0
"""Many sites want one image: the waiter, the coordinator and the single flight together, in no time.

benchmarks/many_sites.py does the same for 40 sites with 25 computes each.
"""

import itertools

from multistore_hooks.copy import limits
from tests import many_sites
from tests.unit import base

HOUR = 3600


class ManySitesTest(base.TestCase):

    def cloud(self, sites=4, computes=3, seconds=60, turn=limits.A_DAY, copy=7200, **more):
        return many_sites.Cloud(sites, computes, seconds, turn=turn, copy=copy, **more)

    def ways(self, cloud):
        """Return how the boots of each site ended."""
        self.assertEqual([], [boot.process.error for boot in cloud.boots if boot.process.error])
        return {site: {boot.how for boot in cloud.boots if boot.site == site} for site in cloud.names}

    def assertAllClones(self, cloud):
        self.assertEqual({frozenset(['clone'])}, {frozenset(ways) for ways in self.ways(cloud).values()})

    def test_every_site_is_served_in_turn(self):
        for seed in range(3):
            cloud = self.cloud(seed=seed)
            cloud.run()
            self.assertAllClones(cloud)
            self.assertTrue(cloud.last() < 1.05 * 4 * 60, cloud.last())
            self.assertEqual((1, 1, 1), (cloud.counting(), cloud.leaders(), cloud.crossings()))

    def test_one_leader_and_one_request_for_any_interval_and_slow_responses(self):
        for interval, slow in itertools.product((5, 15, 30, 60), (0, 4, 10)):
            cloud = self.cloud(sites=1, computes=6, seconds=300, interval=interval, slow=slow)
            cloud.run()
            self.assertAllClones(cloud)
            self.assertEqual((1, 1), (cloud.counting(), cloud.leaders()), (interval, slow))

    def test_sites_that_wait_share_a_rate_of_requests(self):
        cloud = self.cloud(sites=20, computes=1, seconds=200)
        cloud.run(until=600)
        self.assertTrue(cloud.rate() < 4, cloud.rate())

    def test_boots_wait_for_their_turn_no_longer_than_its_limit(self):
        cloud = self.cloud(seconds=200, turn=60)
        cloud.run()
        self.assertEqual(3, cloud.clones())
        self.assertTrue(cloud.longest_without() < 62, cloud.longest_without())

    def test_with_site_images_every_boot_is_a_clone_and_the_image_comes_to_a_site_once(self):
        for seed in range(3):
            cloud = self.cloud(sites=5, seconds=40, turn=60, seed=seed, site_image=100)
            late = [cloud.compute(site).boot(after) for site in cloud.names for after in (62, 90, 130, 170)]
            cloud.run()
            self.assertAllClones(cloud)
            self.assertEqual(1, cloud.crossings())
            # Some were served in turn, the others made their own, and waited for nobody else.
            self.assertEqual({0, 1}, {ceph.site_images for ceph in cloud.sites.values()})
            self.assertLess(max(boot.ended - boot.began for boot in cloud.boots), 60 + 100 + 15)
            self.assertEqual(20, len(late))

    def test_without_a_turn_boots_take_the_next_way_as_fast_as_stock(self):
        cloud, stock = self.cloud(turn=0, slow=1), self.cloud(slow=1)
        cloud.run()
        stock.run(stock=True)
        self.assertEqual((3, 1), (cloud.clones(), stock.clones()))
        self.assertTrue(cloud.longest_without() < 20, cloud.longest_without())

    def test_glance_that_is_killed_between_or_while_staging_serves_all_in_the_end(self):
        for moment in (0.2, 20, 61, 80):
            cloud = self.cloud()
            cloud.sim.at(moment, cloud.glance.kill)
            cloud.run()
            self.assertAllClones(cloud)
            self.assertTrue(cloud.last() < HOUR + 4 * 60 + 120, (moment, cloud.last()))

    def test_glance_that_is_killed_while_writing_serves_all_others_and_the_site_says_why(self):
        cloud = self.cloud()
        cloud.sim.at(45, cloud.glance.kill)
        cloud.run()
        ways = self.ways(cloud)
        first = [site for site, how in ways.items() if how == {'download'}]
        self.assertEqual((1, 9), (len(first), cloud.clones()))
        self.assertTrue(cloud.last() < HOUR + 4 * 60 + 120, cloud.last())
        for boot in cloud.boots:
            if boot.site == first[0]:
                self.assertIn('holds an unfinished RBD image', boot.why)

    def test_glance_that_is_killed_while_writing_serves_all_once_its_unfinished_image_is_removed(self):
        cloud = self.cloud()
        cloud.sim.at(45, cloud.glance.kill)
        cloud.sim.at(600, cloud.remove_unfinished)
        cloud.run()
        self.assertAllClones(cloud)
        self.assertTrue(cloud.last() < HOUR + 4 * 60 + 120, cloud.last())

    def test_with_site_images_glance_that_is_killed_while_writing_leaves_no_site_without_a_clone(self):
        cloud = self.cloud(site_image=60)
        cloud.sim.at(45, cloud.glance.kill)
        cloud.run()
        self.assertAllClones(cloud)
        self.assertEqual(1, cloud.crossings())

    def test_leader_that_is_killed_is_followed_within_half_a_minute(self):
        for moment in (0.5, 3, 40, 100, 170):
            cloud = self.cloud(computes=4, spread=0.1)
            victims = []

            def kill(running=cloud, killed=victims):
                waiting = [ceph for ceph in running.sites.values() if not ceph.leader.ended]
                killed.append(waiting[-1])
                running.sim.kill(waiting[-1].leader)
            cloud.sim.at(moment, kill)

            def check(running=cloud, killed=victims):
                ceph, = killed
                followers = [boot.process for boot in running.boots if boot.site == name_of(running, ceph)
                             and not boot.process.dead]
                self.assertIn(ceph.leader, followers)
            cloud.sim.at(moment + 30, check)
            cloud.run()
            self.assertEqual(15, cloud.clones(), moment)

    def test_refusal_costs_a_site_one_request(self):
        cloud = self.cloud(sites=2, computes=25)
        cloud.glance.refused = True
        cloud.run()
        self.assertEqual({'download'}, set.union(*self.ways(cloud).values()))
        self.assertEqual(2, len([1 for _at, verb, _site, _what in cloud.glance.log if verb == 'POST']))
        self.assertEqual([], [boot.ended for boot in cloud.boots if boot.ended > 15])

    def test_broken_store_concerns_its_site_alone(self):
        for sites, computes in ((4, 3), (40, 1)):
            cloud = self.cloud(sites, computes, seconds=15)
            cloud.glance.broken.add('site02')
            cloud.run()
            ways = self.ways(cloud)
            self.assertEqual({'download'}, ways.pop('site02'))
            self.assertEqual({'clone'}, set.union(*ways.values()))
            self.assertEqual(1, cloud.counting())

    def test_boots_that_come_late_have_their_own_time(self):
        cloud = self.cloud(sites=2, computes=1, seconds=100, turn=70)
        late = cloud.compute('site01').boot(50)
        later = cloud.compute('site00').boot(50)
        cloud.run()
        self.assertEqual(['clone', 'clone'], [late.how, later.how])

    def test_task_that_holds_the_image_without_a_copy_is_waited_for_as_for_a_turn(self):
        for turn, ways, longest in ((limits.A_DAY, {'clone'}, 1000), (60, {'download'}, 62)):
            cloud = self.cloud(sites=1, turn=turn)
            cloud.glance.task = 'computes the hash of a direct snapshot'
            cloud.sim.at(900, lambda cloud=cloud: setattr(cloud.glance, 'task', None))
            cloud.run()
            self.assertEqual({'site00': ways}, self.ways(cloud))
            self.assertLess(max(boot.ended - boot.began for boot in cloud.boots), longest)

    def test_warm_boots_do_not_wait_for_cold_ones(self):
        cloud = many_sites.Cloud(2, 0, 300)
        cloud.compute('site01').boot()
        compute = many_sites.Compute(cloud, 'site00', download=10)
        for _unused in range(20):
            compute.boot(1)
        warm = [compute.boot(1, warm=True) for _unused in range(5)]
        cloud.sim.run()
        self.assertEqual({'warm'}, {boot.how for boot in warm})
        self.assertTrue(max(boot.ended for boot in warm) < 60, [boot.ended for boot in warm])

    def test_token_of_an_hour_ends_the_waits_of_its_boots_alone(self):
        for token, clones in ((None, 12), (HOUR, 9)):
            cloud = self.cloud(seconds=1100, token=token)
            cloud.run()
            self.assertEqual(clones, cloud.clones())
            self.assertTrue(cloud.longest_without() < HOUR + 60, cloud.longest_without())


def name_of(cloud, ceph):
    """Return the site of a cluster."""
    return next(name for name, one in cloud.sites.items() if one is ceph)
