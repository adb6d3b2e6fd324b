# SPDX-License-Identifier: Apache-2.0
"""Many sites that all want one cold image: stock Nova's loop and ours, on a clock of its own.

The waiter, the coordinator, the single flight and the slots are the package's; Glance (one import of an
image at a time, through its staging area), the clusters of the sites and Nova around them are models
(tests/many_sites.py). The same seed gives the same run. "Default limits" are a turn of 60 seconds and a copy
of 600 seconds; with "raised limits" both are a day. Stock takes a response of 409 for a failure, and
downloads.
In the rows of the longest copy with raised limits there are fewer computes for each site (--fewer): followers
send no requests.
"""

from benchmarks import report
from multistore_hooks.copy import limits
from tests import many_sites

HOUR = 3600
DEFAULT, RAISED = {}, {'turn': limits.A_DAY, 'copy': limits.A_DAY}


def clouds(given, computes=None, stock=False, at=None, **more):
    """Return the clouds of all seeds, after their boots.

    :param at: (seconds, what to do with the cloud).
    """
    found = []
    for seed in range(given.seeds):
        cloud = many_sites.Cloud(given.sites, computes or given.computes, seed=seed, **more)
        if at is not None:
            cloud.sim.at(at[0], lambda cloud=cloud: at[1](cloud))
        cloud.run(stock=stock)
        assert not [boot for boot in cloud.boots if boot.process.error], cloud.boots
        found.append(cloud)
    return found


def storm(results, given, seconds, label, computes, wait):
    """Add the rows of a copy of so many seconds, with some limits."""
    stock = clouds(given, computes, stock=True, seconds=seconds)
    ours = clouds(given, computes, seconds=seconds, **wait)
    boots, serial = given.sites * computes, given.sites * seconds
    name = 'copy of %d s, %s limits: ' % (seconds, label)

    def add(what, unit, figure, target=None, better='less', both=True):
        results.add(name + what, unit, [figure(cloud) for cloud in stock] if both else [],
                    [figure(cloud) for cloud in ours], target, better)

    add('clones of %d boots' % boots, '', lambda cloud: cloud.clones(), 'ours: all' if wait else None, 'more')
    if wait:
        add("last clone, relative to Glance's serial work", '', lambda cloud: cloud.last() / serial,
            'ours: at most 1.05', both=False)
    else:
        add('longest wait of a boot without a clone', 's', lambda cloud: cloud.longest_without(),
            'ours: at most 62, or the copy')
    add('requests a second, busiest minute but the first', '1/s', lambda cloud: cloud.rate(),
        'ours: at most 4')
    add('accepted requests of a site', '', lambda cloud: cloud.counting(), 'ours: 1')
    add('boots of a site that send requests', '', lambda cloud: cloud.leaders(), 'ours: 1' if wait else None)
    add('crossings of the WAN to a site', '', lambda cloud: cloud.crossings(), 'ours: 1' if wait else None)


def killed(results, given):
    """Add the rows of a Glance that is killed, and of leaders that are."""
    seconds = 60
    for moment, label in ((20, 'while staging'), (60.4, 'between two imports'), (45, 'while writing')):
        found = clouds(given, 5, seconds=seconds, at=(moment, lambda cloud: cloud.glance.kill()), **RAISED)
        # What Glance was writing cannot be written again before an administrator has removed it.
        served = given.sites * 5 - (5 if moment == 45 else 0)
        results.add('Glance killed %s: clones of %d boots' % (label, given.sites * 5), '', [],
                    [cloud.clones() for cloud in found], 'ours: %d' % served, 'more')
        results.add('Glance killed %s: last clone after the hour and the serial work' % label, 's', [],
                    [cloud.last() - HOUR - given.sites * seconds for cloud in found],
                    'ours: at most %d (0.05 of the work)' % (60 + 0.05 * given.sites * seconds))

    def kill_leaders(cloud):
        cloud.followed = []
        for ceph in cloud.sites.values():
            if not ceph.leader.ended:
                cloud.sim.kill(ceph.leader)
                watch(cloud, ceph, ceph.leader, cloud.sim.now)

    def watch(cloud, ceph, dead, since):
        if ceph.leader is dead:
            cloud.sim.at(cloud.sim.now + 0.5, lambda: watch(cloud, ceph, dead, since))
        else:
            cloud.followed.append(cloud.sim.now - since)

    found = clouds(given, 5, seconds=seconds, at=(100, kill_leaders), **RAISED)
    results.add('all leaders killed: until another leads', 's', [], [max(cloud.followed) for cloud in found],
                'ours: at most 30')
    results.add('all leaders killed: boots left without a clone', '', [],
                [len([boot for boot in cloud.boots if boot.how != 'clone' and not boot.process.dead])
                 for cloud in found], 'ours: 0')


def others(results, given):
    """Add the rows of a refusal, a broken store, and warm boots beside cold ones."""
    found = []
    for seed in range(given.seeds):
        cloud = many_sites.Cloud(1, 100, 60, seed=seed)
        cloud.glance.refused = True
        cloud.run()
        found.append(cloud)
    results.add('copies refused, 100 boots of a site: requests for copies', '', [],
                [len([1 for _at, verb, _site, _what in cloud.glance.log if verb == 'POST'])
                 for cloud in found], 'ours: 1')
    broken = []
    for seed in range(given.seeds):
        cloud = many_sites.Cloud(given.sites, 5, 15, seed=seed, **RAISED)
        cloud.glance.broken.add(cloud.names[0])
        cloud.run()
        broken.append(cloud.clones())
    results.add('one store broken: clones of %d boots' % (given.sites * 5), '', [], broken,
                'ours: %d' % (given.sites * 5 - 5), 'more')
    warm = {True: [], False: []}
    for stock in warm:
        for seed in range(given.seeds):
            cloud = many_sites.Cloud(2, 0, 300, seed=seed)
            cloud.compute('site01').boot()
            compute = many_sites.Compute(cloud, 'site00', stock, download=10)
            for _unused in range(20):
                compute.boot(1)
            boots = [compute.boot(1) for _unused in range(5)]
            cloud.sim.run()
            warm[stock].append(max(boot.ended for boot in boots))
    results.add('5 warm boots behind 20 cold ones of a compute', 's', warm[True], warm[False],
                'ours: under the turn of 60')


def site_images(results, given):
    """Add the rows of sites that make their own where their turn does not come, with default limits."""
    for seconds in (15, 60, 600):
        found = clouds(given, given.fewer, seconds=seconds, site_image=seconds)
        name = 'copy of %d s, default limits, site images: ' % seconds
        results.add(name + 'clones of %d boots' % (given.sites * given.fewer), '', [],
                    [cloud.clones() for cloud in found], 'ours: all', 'more')
        results.add(name + 'crossings of the WAN to a site', '', [], [cloud.crossings() for cloud in found],
                    'ours: 1')
        results.add(name + 'last clone', 's', [], [cloud.last() for cloud in found],
                    'ours: at most %d (turn, copy or site image)' % (60 + seconds + 15))


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], sites=40, computes=25, fewer=5, seeds=3)
    results = report.Report('many_sites', **{
        name: getattr(given, name) for name in ('sites', 'computes', 'fewer', 'seeds')})
    for seconds in (15, 60, 600):
        storm(results, given, seconds, 'default', given.computes, DEFAULT)
        storm(results, given, seconds, 'raised', given.fewer if seconds == 600 else given.computes, RAISED)
    killed(results, given)
    others(results, given)
    site_images(results, given)
    results.finish(given.json)


if __name__ == '__main__':
    main()
