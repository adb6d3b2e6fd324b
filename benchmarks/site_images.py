# SPDX-License-Identifier: Apache-2.0
"""Many computes of two sites boot at once an image that Glance does not copy: stock Nova and site images.

The rows: a qcow2 image; a raw image whose hosts have no Glance store in their cluster, as with a Glance on
one single store. As in ``boot_storm`` each compute is a process of its own, and bytes are counted, not
captured: the image's size times downloads by computes and imports of whole copies. The import of a site is
one more copy within that site. Beside them, a boot of one server from a site image that is there, and from
the copy of Glance.
"""

import os
import subprocess

from benchmarks import _sites
from benchmarks import report
from lab.nova import compute_hosts
from tests.functional import nova_runs


class Sites(_sites.Sites):
    """The sites of a row.

    :param disk_format: of the image.
    :param has_stores: the hosts know a Glance store in their cluster.
    """

    def __init__(self, number, disks, disk_format, has_stores):
        super().__init__(number, disks)
        self._disk_format, self._has_stores = disk_format, has_stores

    def image(self, mib):
        if self._disk_format == 'raw':
            return super().image(mib)
        raw, made = (os.path.join(self.root, name) for name in ('raw', 'qcow2'))
        with open(raw, 'wb') as stream:
            for _ in range(mib):
                stream.write(os.urandom(1 << 20))
        subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, made], check=True)
        image = self.glance.create_image(visibility='public', disk_format='qcow2')['id']
        with open(made, 'rb') as stream:
            answer = self.glance.upload(image, stream)
        assert answer.status == 204, answer
        os.unlink(raw)
        os.unlink(made)
        return str(image)

    def hosts(self, driver, number):
        fleet = self._fleets[driver]
        while len(fleet) < number:
            site = len(fleet) % len(self.stores)
            own = {'multistore_hooks': {'site_images': 'only'}} if driver == _sites.OURS else {}
            fleet.append(compute_hosts.Host(compute_hosts.document(
                self.clusters[site], self.glance.url, self.stores[site] if self._has_stores else '',
                poll_seconds=_sites.POLL_SECONDS, timeout_seconds=_sites.TIMEOUT_SECONDS,
                compute_driver=driver, nova_root=nova_runs.root(), conf=own)))
            if len(fleet) % 4 == 0:
                fleet[-1].ready()
        for host in fleet:
            host.ready()
        return fleet[:number]

    def warm_boots(self, mib, times):
        """Return the seconds of boots of one server, from a site image and from Glance's own copy."""
        host, = self.hosts(_sites.OURS, 1)
        seconds = []
        for stores in ((), self.stores[:1]):
            image = _sites.Sites.image(self, mib)
            if stores:
                self.glance.import_copy(image, stores)
            results = []
            for number in range(times + 1):
                name = '%s-%d' % (image, number)
                booted = host.run({'operation': 'boot', 'image_ref': image, 'name': name,
                                   'token': _sites.MEMBER, 'root_gb': 0})['results'][0]
                assert booted['outcome'] == 'clone', booted
                host.run({'operation': 'delete', 'name': name})
                results.append(booted['seconds'])
            seconds.append(results[1:])  # the first one makes the site image
            self.forget(image)
        return seconds


def row(results, label, given, disk_format, has_stores):
    """Boot with stock and with ours in turn, and add the figures."""
    with Sites(given.sites, (given.hosts + given.sites) * given.mib, disk_format, has_stores) as sites:
        storms = {_sites.STOCK: [], _sites.OURS: []}
        for driver in storms:
            sites.hosts(driver, given.hosts)
        for number in range(given.times):
            for driver in sorted(storms, reverse=bool(number % 2)):
                storms[driver].append(sites.storm(driver, given.hosts, given.mib, token=_sites.MEMBER))
                report.say('%s, %s: %s' % (label, driver, storms[driver][-1]))
        for what, unit, name, target in (
                ('clones', '', 'clones', 'ours: all'), ('downloads', '', 'downloads', 'ours: one a site'),
                ('failed boots', '', 'failures', 'ours: 0'),
                ('moved over the network', 'MiB', 'mib', 'at most 1/8'),
                ('time to the last boot', 's', 'seconds', 'not later')):
            results.add('%s: %s' % (label, what), unit, *(
                [getattr(one, name) for one in storms[driver]] for driver in (_sites.STOCK, _sites.OURS)),
                target=target, better='more' if name == 'clones' else 'less')
        if has_stores:
            site_image, copy = sites.warm_boots(64, given.times * 5)
            results.add('one boot of a warm site image (right) and of a copy (left)', 's', copy, site_image,
                        'at most 1.1')


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], hosts=20, sites=2, mib=1024, times=1)
    results = report.Report('site_images', **{
        name: getattr(given, name) for name in ('hosts', 'sites', 'mib', 'times')})
    row(results, 'qcow2', given, 'qcow2', True)
    row(results, 'raw, no store here', given, 'raw', False)
    results.finish(given.json)


if __name__ == '__main__':
    main()
