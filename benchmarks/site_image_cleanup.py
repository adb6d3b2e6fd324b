# SPDX-License-Identifier: Apache-2.0
"""What the periodic task costs at a site with many site images: seconds, and operations of the cluster.

A real Ceph cluster with small site images, each with clones, is cleaned up as nova-compute does it, once
while all were used lately, and once when none was for longer than the operator's limit: then the clones of
each are counted. Operations are those of clients, as the OSD counts them. One host of a site runs this every
ten minutes at most.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import typing

from benchmarks import report
from lab import ceph

CLONES = 5
MIB = 4
FEW = 20
DAY = 86400


class Site:
    """A cluster, and its site images."""

    def __init__(self, cluster: ceph.Ceph) -> None:
        from multistore_hooks.ceph import cluster as own
        from multistore_hooks.ceph import site_images
        import rados
        import rbd
        self.cluster = cluster
        self._rbd = rbd
        access = own.Access(rados, rbd, cluster.conf, cluster.user, own.call_natively)
        self._own = own.Cluster(access)
        self.images = site_images.SiteImages(self._own, access, 'vms')
        self._number = 0

    def add(self, number: int) -> None:
        """Add site images with their clones."""
        from multistore_hooks.ceph import site_image_record
        for _unused in range(number):
            image_id = '00000000-0000-0000-0000-%012d' % self._number
            self._number += 1
            made = site_image_record.SiteImage(
                site_image_record.new_name(image_id), image_id, MIB << 20,
                site_image_record.Requirement('sum', False, ()), time.time())
            self._own.call('vms', lambda ioctx, name=made.name: self._rbd.RBD().create(
                ioctx, name, MIB << 20, old_format=False))
            self.images.finish(made)
            self.images.publish(made)
            self._own.call('vms', lambda ioctx, name=made.name: [self._rbd.RBD().clone(
                ioctx, name, site_image_record.SNAPSHOT, ioctx, 'disk-%s-%d' % (name, clone))
                for clone in range(CLONES)])

    def operations(self) -> int:
        """Return how many operations of clients the OSD has served so far."""
        return int(json.loads(self.cluster.ceph('tell', 'osd.0', 'perf', 'dump', 'osd'))['osd']['op'])

    def clean_up(self, later: float) -> typing.Tuple[float, int, typing.Any]:
        """Clean up so many seconds from now; return seconds, operations, and what was done."""
        from multistore_hooks.ceph import site_image_cleanup
        before, started = self.operations(), time.monotonic()
        done = site_image_cleanup.clean_up(self.images, time.time() + later, DAY)
        seconds = time.monotonic() - started
        return seconds, self.operations() - before, done


def measure(results: report.Report, site: Site, number: int, times: int) -> typing.Dict[str, float]:
    """Add the rows of so many site images; return operations and seconds of the dearer run."""
    per_site: typing.Dict[str, float] = {}
    for what, later in (('used lately', 0.0), ('none used for long', 3.0 * DAY)):
        runs = [site.clean_up(later) for _unused in range(times)]
        for _seconds, _operations, done in runs:
            assert (len(done.kept), done.withdrawn, done.removed) == (number, (), ()), done
        label = '%d site images, %d clones, %s: ' % (number, number * CLONES, what)
        results.add(label + 'operations', '', [], [run[1] for run in runs])
        results.add(label + 'time', 's', [], [run[0] for run in runs])
        per_site = {'operations': min(run[1] for run in runs), 'time': min(run[0] for run in runs)}
    return per_site


def main() -> None:
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], bases=200, times=3)
    results = report.Report('site_image_cleanup', bases=given.bases, clones=given.bases * CLONES,
                            times=given.times)
    root = tempfile.mkdtemp(prefix='multistore-bench-')
    try:
        sys.path.insert(0, ceph.bindings(os.path.join(root, 'modules')))
        with ceph.Ceph(os.path.join(root, 'ceph'), size=8 << 30) as cluster:
            site = Site(cluster)
            site.add(FEW)
            few = measure(results, site, FEW, given.times)
            site.add(given.bases - FEW)
            many = measure(results, site, given.bases, given.times)
        for what, one in few.items():
            factor = given.bases / FEW
            results.add('growth of the %s with %.3g times as many, relative to that' % (what, factor),
                        '', [], [many[what] / one / factor], 'ours: at most 1.25')
    finally:
        shutil.rmtree(root, ignore_errors=True)
    results.finish(given.json)


if __name__ == '__main__':
    main()
