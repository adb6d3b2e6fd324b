# SPDX-License-Identifier: Apache-2.0
"""Many volumes at two sites, at once, of one image that is in no site's store: stock Cinder and ours.

Each site is a Ceph cluster with Cinder services of its own; one Glance has a file store and a store in each
cluster. Both send requests with a member's token; ours has credentials for copies of its own. Bytes are
counted, not captured: the image's size times copies by Glance and downloads by Cinder. Then one more volume
at each site, beside one of an image that was always there: a bare clone.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from typing import NamedTuple
from typing import Optional

from benchmarks import report
from lab import ceph
from lab import ceph_glance
from lab.cinder import client
from lab.cinder import server
from lab import glance as lab

STOCK, OURS = 'cinder.volume.manager.VolumeManager', 'multistore_hooks.cinder.manager.VolumeManager'
STORES = ('dcn1', 'dcn10')
MEBIBYTE = 1 << 20
PATIENCE = 3600
#: Of each volume of stock's, at most: a download, its conversion, and the volume itself.
COPIES_OF_STOCK = 3
#: Of a Cinder's log so many warnings and errors, of so many characters, are printed when a volume fails.
LOG_LINES, LOG_WIDTH = 15, 400
#: A cinder-volume that is busy with many downloads does not report itself for a minute, and the scheduler
#: then has no backend for the next volume (stock, 6 of 1 GiB). How long that takes is the figure here.
DOWN_SECONDS = 3600


class Storm(NamedTuple):
    """What volumes cost."""

    copies: int
    clones: int
    downloads: int
    failures: int
    mib: int
    seconds: float
    #: One more volume at each site, and one of an image that was there before; None: it failed.
    next_one: Optional[float]
    bare: Optional[float]


FIGURES = (('copies by Glance', '', 'copies'), ('clones', '', 'clones'), ('downloads', '', 'downloads'),
           ('failed volumes', '', 'failures'), ('moved over the network', 'MiB', 'mib'),
           ('time to the last volume', 's', 'seconds'), ('one more volume at a site', 's', 'next_one'),
           ('a bare clone', 's', 'bare'))
TARGETS = {'copies': 'ours: one for each site', 'clones': 'ours: all', 'downloads': 'ours: 0',
           'failures': 'ours: 0', 'seconds': 0.4}


class Sites:
    """Two clusters, a Glance, and Cinder services of stock or ours at each site."""

    def __init__(self, folder, stack, names=STORES):
        self._folder, self._stack, self._names = folder, stack, names
        self.clusters = [ceph.Ceph(os.path.join(folder, store), pools=('images', 'volumes'), mgr=True)
                         for store in names]
        for cluster in self.clusters:
            stack.enter_context(cluster)
        stores = {'central': 'file'}
        stores.update({store: ceph_glance.store(cluster) for store, cluster in zip(names, self.clusters)})
        self.glance = ceph_glance.Glance(os.path.join(folder, 'glance'), stores, default='central',
                                         faults=True)
        self.glance.start()
        stack.callback(self.glance.stop)
        self._bindings = str(ceph.bindings(os.path.join(folder, 'modules')))

    @contextlib.contextmanager
    def cinders(self, manager, **options):
        """Run the services of all sites, with these options, for the duration of a ``with`` block."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self._cinder(manager, store, cluster, options))
                   for store, cluster in zip(self._names, self.clusters)]

    def _cinder(self, manager, store, cluster, options):
        overrides = {
            'DEFAULT': {'volume_manager': manager, 'quota_volumes': '-1', 'quota_gigabytes': '-1',
                        'service_down_time': str(DOWN_SECONDS), **options},
            'directory': {'volume_driver': 'lab.cinder.rbd.RbdDriver', 'rbd_pool': 'volumes',
                          'rbd_ceph_conf': cluster.conf, 'rbd_user': cluster.user,
                          'volume_backend_name': 'directory'}}
        if manager == OURS:
            overrides['directory'].update(rbd_glance_store_name=store, rbd_glance_pool='images')
            overrides['multistore_hooks'] = {'auth_type': 'admin_token', 'endpoint': self.glance.url,
                                             'token': lab.ADMIN}
        folder = tempfile.mkdtemp(prefix='%s-' % store, dir=self._folder)
        return server.Cinder(self.glance.url, folder, pythonpath=self._bindings, overrides=overrides,
                             cache_dir=os.path.join(self._folder, 'cache'))

    def storm(self, manager, volumes, mib):
        """Create volumes, as many at each site, and count what that took."""
        data = os.urandom(MEBIBYTE) * mib
        cold = self.glance.add_image(data, ['central'], token=client.MEMBER)
        warm = self.glance.add_image(data, ['central'] + list(self._names), token=client.MEMBER)
        del data
        with self.cinders(manager) as cinders:
            self.glance.forget_requests()
            made, failures, seconds = self._create(cinders, cold, volumes)
            copies = sum(note['status'] == 202 for note in self.glance.requests('POST', '/import$'))
            downloads = len(self.glance.requests('GET', '/file$'))
            next_one, bare = (self._slowest(cinders, image) for image in (cold, warm))
            clones = sum(self._is_clone(*one) for one in made)
        for cluster in self.clusters:
            for disk in cluster.rbd('ls', 'volumes').split():
                cluster.rbd('rm', 'volumes/' + disk)
        return Storm(copies, clones, downloads, failures, (copies + downloads) * mib, seconds, next_one, bare)

    @staticmethod
    def _slowest(cinders, image):
        """Create one volume at each site; return the longest time, or None if one failed."""
        times = []
        for cinder in cinders:
            began = time.monotonic()
            try:
                cinder.create_volume(image=image, timeout=PATIENCE)
            except Exception as error:  # a figure that is missing, not the end of the run
                report.say('one more volume failed: %s\n%s' % (error, failures_of(cinder)))
                return None
            times.append(time.monotonic() - began)
        return max(times)

    def _create(self, cinders, image, volumes):
        made, failures = [], []

        def create(number):
            site = number % len(cinders)
            try:
                made.append((site, cinders[site].create_volume(image=image, timeout=PATIENCE)))
            except Exception as error:  # a figure, not the end of the run
                failures.append(error)
                report.say('a volume failed: %s\n%s' % (error, failures_of(cinders[site])))

        threads = [threading.Thread(target=create, args=(number,)) for number in range(volumes)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return made, len(failures), time.monotonic() - began

    def _is_clone(self, site, volume):
        return 'parent: ' in self.clusters[site].rbd('info', 'volumes/volume-' + volume)


def failures_of(cinder):
    """Return the last lines of a Cinder's log that are warnings or errors."""
    lines = [line for line in cinder.log.splitlines() if ' WARNING ' in line or ' ERROR ' in line]
    return '\n'.join(line[:LOG_WIDTH] for line in lines[-LOG_LINES:])


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], volumes=20, mib=1024, times=1)
    results = report.Report('volume_storm', volumes=given.volumes, mib=given.mib, times=given.times,
                            sites=len(STORES))
    folder = tempfile.mkdtemp(prefix='volume-storm-')
    needed, free = COPIES_OF_STOCK * given.volumes * given.mib >> 10, shutil.disk_usage(folder).free >> 30
    if free < needed:
        report.say('%s has %d GiB left; stock may need %d' % (folder, free, needed))
    storms = {STOCK: [], OURS: []}
    try:
        with contextlib.ExitStack() as stack:
            sites = Sites(folder, stack)
            for number in range(given.times):
                for manager in sorted(storms, reverse=bool(number % 2)):
                    storms[manager].append(sites.storm(manager, given.volumes, given.mib))
                    report.say('%s: %s' % (manager, storms[manager][-1]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for what, unit, name in FIGURES:
        results.add(what, unit, *(
            [getattr(one, name) for one in storms[manager] if getattr(one, name) is not None]
            for manager in (STOCK, OURS)), target=TARGETS.get(name),
            better='more' if name == 'clones' else 'less')
    results.add('one more volume, relative to a bare clone', '', *(
        [one.next_one / one.bare for one in storms[manager] if one.next_one and one.bare]
        for manager in (STOCK, OURS)), target='ours: at most 1.2')
    results.finish(given.json)


if __name__ == '__main__':
    main()
