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
#: Seconds after the hour within which a leader finds that Glance has given up the lock.
PROBES = 120
DEFAULT, RAISED = {}, {'turn': limits.A_DAY, 'copy': limits.A_DAY}


def clouds(given, computes=None, stock=False, **more):
    """Return the clouds of all seeds, after their boots."""
    return [finished(many_sites.Cloud(given.sites, computes or given.computes, seed=seed, **more), stock)
            for seed in range(given.seeds)]


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
    seconds, sites = 60, 10
    cases = (
        ('while staging', 20, {}), ('between two imports', 60.4, {}), ('while writing', 45, {}),
        ('while writing, with site images', 45, {'site_image': seconds}))
    for label, moment, more in cases:
        found = [many_sites.Cloud(sites, 5, seconds, seed=seed, **dict(RAISED, **more))
                 for seed in range(given.seeds)]
        for cloud in found:
            cloud.sim.at(moment, cloud.glance.kill)
            finished(cloud)
        results.add('Glance killed %s: clones of %d boots' % (label, sites * 5), '', [],
                    [cloud.clones() for cloud in found], 'ours: %d' % (sites * 5), 'more')
        results.add('Glance killed %s: last clone after the hour and the serial work' % label, 's', [],
                    [cloud.last() - HOUR - sites * seconds for cloud in found], 'ours: at most %d' % PROBES)
    any_moment(results, seconds)


def any_moment(results, seconds):
    """Add the rows of Glance, and of the leaders, killed at every fifth second of the first three copies."""
    moments = [0.5] + list(range(5, 3 * seconds, 5))
    found = []
    for moment in moments:
        cloud = many_sites.Cloud(4, 3, seconds, **RAISED)
        cloud.sim.at(moment, cloud.glance.kill)
        cloud.sim.at(moment + 600, cloud.remove_unfinished)
        found.append(finished(cloud))
    name = 'Glance killed at %d moments, what it left unfinished removed in ten minutes: ' % len(moments)
    results.add(name + 'clones of 12 boots', '', [], [cloud.clones() for cloud in found], 'ours: 12', 'more')
    results.add(name + 'last clone after the hour and the serial work', 's', [],
                [cloud.last() - HOUR - 4 * seconds for cloud in found],
                'ours: at most %d' % PROBES)
    longest, left = [], []
    for moment in moments:
        cloud = many_sites.Cloud(4, 4, seconds, **RAISED)
        followed = []
        cloud.sim.at(moment, lambda cloud=cloud, followed=followed: kill_leaders(cloud, followed))
        finished(cloud)
        longest.append(max(followed or [0]))  # before the first leader there is nobody to follow
        left.append(len([boot for boot in cloud.boots if boot.how != 'clone' and not boot.process.dead]))
    results.add('all leaders killed at %d moments: until another leads' % len(moments), 's', [], longest,
                'ours: at most 30')
    results.add('all leaders killed at %d moments: boots left without a clone' % len(moments), '', [], left,
                'ours: 0')


def kill_leaders(cloud, followed):
    """Kill the leader of each site; add to a list how long each site is without one."""
    def watch(ceph, dead, since):
        if ceph.leader is not dead:
            followed.append(cloud.sim.now - since)
        else:
            cloud.sim.at(cloud.sim.now + 0.5, lambda: watch(ceph, dead, since))

    for ceph in cloud.sites.values():
        if ceph.leader is not None and not ceph.leader.ended:
            cloud.sim.kill(ceph.leader)
            watch(ceph, ceph.leader, cloud.sim.now)


def finished(cloud, stock=False):
    """Let a cloud boot; return it."""
    cloud.run(stock=stock)
    assert not [boot for boot in cloud.boots if boot.process.error], cloud.boots
    return cloud


def leaders(results, given):
    """Add the rows of one site with every interval, and a Glance that answers late."""
    for interval in (5, 15, 30, 60):
        found = [finished(many_sites.Cloud(2, given.computes, 300, interval=interval, slow=slow, seed=seed,
                                           **RAISED))
                 for slow in (0, 4, 10) for seed in range(given.seeds)]
        name = 'interval of %d s, responses that take up to 10 s: ' % interval
        results.add(name + 'boots of a site that send requests', '', [],
                    [cloud.leaders() for cloud in found], 'ours: 1')
        results.add(name + 'accepted requests of a site', '', [], [cloud.counting() for cloud in found],
                    'ours: 1')
        results.add(name + 'clones of %d boots' % (2 * given.computes), '', [],
                    [cloud.clones() for cloud in found], 'ours: all', 'more')


def without_a_turn(results, given):
    """Add the rows of boots that wait for no turn at all, as stock Nova's do."""
    for seconds in (15, 60, 600):
        stock = clouds(given, stock=True, seconds=seconds)
        ours = clouds(given, seconds=seconds, turn=0)
        results.add('copy of %d s, turn of 0 s: longest wait of a boot without a clone' % seconds, 's',
                    [cloud.longest_without() for cloud in stock], [cloud.longest_without() for cloud in ours],
                    'ours: at most 2')
        results.add('copy of %d s, turn of 0 s: clones of %d boots' % (seconds, given.sites * given.computes),
                    '', [cloud.clones() for cloud in stock], [cloud.clones() for cloud in ours], None, 'more')


def tokens(results, given):
    """Add the rows of tokens of an hour, where the copies take nearly two."""
    for label, token in (('credentials of its own', None), ("the user's token only", HOUR)):
        found = [finished(many_sites.Cloud(10, 5, 600, seed=seed, token=token, **RAISED))
                 for seed in range(given.seeds)]
        name = 'token of an hour, copies of 6000 s, %s: ' % label
        results.add(name + 'clones of 50 boots', '', [], [cloud.clones() for cloud in found],
                    None if token else 'ours: 50', 'more')
        results.add(name + 'longest wait of a boot without a clone', 's', [],
                    [cloud.longest_without() for cloud in found], 'ours: at most %d' % (HOUR + 60))


def others(results, given):
    """Add the rows of a refusal, a broken store, and warm boots beside cold ones."""
    found = []
    for seed in range(given.seeds):
        cloud = many_sites.Cloud(1, 100, 60, seed=seed)
        cloud.glance.refused = True
        found.append(finished(cloud))
    results.add('copies refused, 100 boots of a site: requests for copies', '', [],
                [len([1 for _at, verb, _site, _what in cloud.glance.log if verb == 'POST'])
                 for cloud in found], 'ours: 1')
    broken = []
    for seed in range(given.seeds):
        cloud = many_sites.Cloud(given.sites, 5, 15, seed=seed, **RAISED)
        cloud.glance.broken.add(cloud.names[0])
        broken.append(finished(cloud))
    results.add('one store of %d broken: clones of %d boots' % (given.sites, given.sites * 5), '', [],
                [cloud.clones() for cloud in broken], 'ours: %d' % (given.sites * 5 - 5), 'more')
    results.add('one store of %d broken: crossings of the WAN to any other site' % given.sites, '', [],
                [max(cloud.crossings_to(name) for name in cloud.names[1:]) for cloud in broken], 'ours: 1')
    warm = {True: [], False: []}
    for stock in warm:
        for seed in range(given.seeds):
            cloud = many_sites.Cloud(2, 0, 300, seed=seed)
            cloud.compute('site01').boot()
            compute = many_sites.Compute(cloud, 'site00', stock, download=10)
            for _unused in range(20):
                compute.boot(1)
            boots = [compute.boot(1, warm=True) for _unused in range(5)]
            cloud.sim.run()
            warm[stock].append(max(boot.ended - boot.began for boot in boots))
    results.add('5 warm boots behind 20 cold ones of a compute, downloads of 10 s: the last one', 's',
                warm[True], warm[False], 'ours: under the turn of 60')


def site_images(results, given):
    """Add the rows of sites that make their own where their turn does not come."""
    for seconds in (15, 60, 600):
        for label, wait in (('default', DEFAULT), ('raised', RAISED)):
            computes = given.computes if seconds < 600 else given.fewer
            if label == 'raised' and seconds == 600:
                continue  # as without site images: each site is served in turn
            found = clouds(given, computes, seconds=seconds, site_image=seconds, **wait)
            name = 'copy of %d s, %s limits, site images: ' % (seconds, label)
            results.add(name + 'clones of %d boots' % (given.sites * computes), '', [],
                        [cloud.clones() for cloud in found], 'ours: all', 'more')
            results.add(name + 'crossings of the WAN to a site', '', [],
                        [cloud.crossings() for cloud in found], 'ours: 1')
            results.add(name + 'last clone', 's', [], [cloud.last() for cloud in found],
                        'ours: at most %d' % (1.05 * given.sites * seconds if wait else 60 + seconds + 15))


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], sites=40, computes=25, fewer=5, seeds=3)
    results = report.Report('many_sites', **{
        name: getattr(given, name) for name in ('sites', 'computes', 'fewer', 'seeds')})
    for seconds in (15, 60, 600):
        storm(results, given, seconds, 'default', given.computes, DEFAULT)
        storm(results, given, seconds, 'raised', given.fewer if seconds == 600 else given.computes, RAISED)
    without_a_turn(results, given)
    leaders(results, given)
    killed(results, given)
    tokens(results, given)
    others(results, given)
    site_images(results, given)
    results.finish(given.json)


if __name__ == '__main__':
    main()
