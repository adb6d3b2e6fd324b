# SPDX-License-Identifier: Apache-2.0
"""Many computes of two sites boot one image at once that is in no site's store: stock Nova and ours.

Each compute is a process of its own, up and waiting before the start. Stock Nova boots with an
administrator's token, because by default Glance lets nobody else copy; ours boots with a member's, and
has credentials of its own. Bytes are counted, not captured: the image's size times copies by Glance,
downloads by computes, and imports by computes. Requests are those of computes to Glance; a compute
waits from its line that it begins to, to the request that finds the image there. Both use Nova's default
poll interval of 15 seconds. An image of less than a gigabyte is copied so quickly on one machine that the
work of many computes on its processors counts for more than the copies. That work alone is measured too:
the same boots of an image that is at every site already.
"""

from benchmarks import _sites
from benchmarks import report

FIGURES = (('copies by Glance', '', 'copies'), ('clones', '', 'clones'),
           ('flat downloads', '', 'downloads'), ('failed boots', '', 'failures'),
           ('moved over the network', 'MiB', 'mib'), ('requests to Glance', '', 'requests'),
           ('requests of a site while it waits', '1/s', 'rate'), ('time to the last boot', 's', 'seconds'))
TARGETS = {'copies': 'ours: one for each site', 'clones': 'ours: all', 'downloads': 'ours: 0',
           'failures': 'ours: 0', 'rate': 'ours: at most 2'}


def figures(results, label, stock, ours):
    """Add all figures of storms, stock and ours."""
    for what, unit, name in FIGURES:
        results.add('%s%s' % (label, what), unit, [getattr(one, name) for one in stock],
                    [getattr(one, name) for one in ours], TARGETS.get(name),
                    'more' if name == 'clones' else 'less')


def main_storm(results, sites, given):
    """Storms of stock and ours in turn, and beside each pair the copies alone."""
    storms = {_sites.STOCK: [], _sites.OURS: []}
    alone, warm = [], []
    for driver in storms:
        sites.hosts(driver, given.hosts)
    for number in range(given.times):
        alone.append(sites.copies_alone(given.mib))
        for driver in sorted(storms, reverse=bool(number % 2)):
            storms[driver].append(sites.storm(driver, given.hosts, given.mib))
            report.say('%s: %s' % (driver, storms[driver][-1]))
        warm.append(sites.storm(_sites.OURS, given.hosts, given.mib, warm=True).seconds)
    figures(results, '', storms[_sites.STOCK], storms[_sites.OURS])
    results.add('the copies in a row, alone', 's', [], alone)
    results.add('last boot, relative to that', '', *(
        [one.seconds / base for one, base in zip(storms[driver], alone)]
        for driver in (_sites.STOCK, _sites.OURS)), target='ours: under 1.15')
    results.add('boots of an image that is there already', 's', [], warm)
    results.add('last boot, relative to copies and such boots', '', [], [
        one.seconds / (base + boots) for one, base, boots in zip(storms[_sites.OURS], alone, warm)])


def member(results, sites, given):
    """Stock Nova with an ordinary user's token."""
    failed = sites.storm(_sites.STOCK, 2, 16, _sites.MEMBER)
    results.add('failed boots of 2 by a member, policy as shipped', '', [failed.failures],
                [sites.storm(_sites.OURS, 2, 16).failures])


def growth(results, sites, given, numbers):
    """The cost with more and more hosts."""
    storms = {_sites.STOCK: {}, _sites.OURS: {}}
    for driver in storms:
        for number in numbers:
            storms[driver][number] = sites.storm(driver, number, given.growth_mib)
            report.say('%s, %d hosts: %s' % (driver, number, storms[driver][number]))
        sites.dismiss(driver)
    for number in numbers:
        figures(results, 'N=%d, %d MiB: ' % (number, given.growth_mib),
                [storms[_sites.STOCK][number]], [storms[_sites.OURS][number]])


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], hosts=20, sites=2, mib=1024, times=3,
                             growth='5,10,20,40', growth_mib=128)
    results = report.Report('boot_storm', **{
        name: getattr(given, name) for name in ('hosts', 'sites', 'mib', 'times')})
    numbers = [int(number) for number in given.growth.split(',') if number]
    disks = max([(given.hosts + given.sites) * given.mib] + [number * given.growth_mib for number in numbers])
    with _sites.Sites(given.sites, disks) as sites:
        member(results, sites, given)
        main_storm(results, sites, given)
        growth(results, sites, given, numbers)
        results.finish(given.json)


if __name__ == '__main__':
    main()
