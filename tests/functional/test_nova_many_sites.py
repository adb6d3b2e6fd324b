# SPDX-License-Identifier: Apache-2.0
"""Four sites with three computes each boot one cold image, and Glance is killed while it copies.

The real Nova with the hooks and a real Glance; the sites are two pools of images, and two of disks, in each
of two real Ceph clusters. tests/unit/copy/test_many_sites.py has more sites, on a clock of its own.
"""

import collections
import contextlib
import os
import sqlite3
import unittest

import testtools

from lab import ceph
from lab import ceph_glance
from lab import held_file
from lab.nova import compute_hosts
from lab import poll
from tests.functional import copy_sites
from tests.functional import nova_runs
from tests.functional import shared

MEGABYTES = 64
COMPUTES = 3
#: Far more than all of it takes.
LIMIT = 3600
#: The pools of images and of disks of a site, twice in each cluster.
POOLS = (('images', 'vms'), ('images2', 'vms2'))
#: What only a host that leads requests.
LEADS = ('/import', '/tasks', '/v2/info/')


class Site:
    """A store, its cluster and pools, and its computes."""

    def __init__(self, store, cluster, images, disks):
        self.store, self.cluster, self.images, self.disks = store, cluster, images, disks
        self.hosts = []

    def start(self, glance):
        for _unused in range(COMPUTES):
            self.hosts.append(compute_hosts.Host(compute_hosts.document(
                self.cluster, glance.url, self.store, self.disks, poll_seconds=5, timeout_seconds=LIMIT,
                token=copy_sites.MEMBER, compute_driver=nova_runs.OURS, nova_root=nova_runs.root(),
                conf={'multistore_hooks': dict(
                    copy_sites.credentials(glance.url), glance_rbd_pool=self.images,
                    copy_turn_timeout=LIMIT)})))


@unittest.skipIf(ceph.unavailable() or copy_sites.MISSING, copy_sites.REASON)
class ManySitesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        folder = shared.folder('many-sites')
        pools = [pool for pair in POOLS for pool in pair]
        clusters = [ceph.Ceph(os.path.join(folder, name), pools=pools) for name in 'ab']
        ceph.start_all(clusters)
        for cluster in clusters:
            self.addCleanup(cluster.stop)
        self.sites = [Site('dcn%d%d' % (number, place), cluster, images, disks)
                      for number, cluster in enumerate(clusters)
                      for place, (images, disks) in enumerate(POOLS)]
        stores = {'central': 'file'}
        stores.update({site.store: ceph_glance.store(site.cluster, site.images) for site in self.sites})
        self.glance = ceph_glance.Glance(os.path.join(folder, 'glance'), stores, faults=True)
        self.glance.start()
        self.addCleanup(self.glance.kill)
        for site in self.sites:
            site.start(self.glance)
            for host in site.hosts:
                self.addCleanup(host.stop)
        self.hosts = [host for site in self.sites for host in site.hosts]
        for host in self.hosts:
            host.ready()

    def test_every_boot_is_a_clone_although_glance_is_killed(self):
        image = self.glance.add_image(copy_sites.random(MEGABYTES), ['central'], visibility='public')
        held = held_file.HeldFile(os.path.join(self.glance.dir('central'), image))
        for host in self.hosts:
            host.hold([copy_sites.boot(image)])
        for host in self.hosts:
            host.held()
        self.glance.forget_requests()
        for host in self.hosts:
            host.go()
        held.serve()
        poll.until('copy to the first site', lambda: len(self.glance.stores_of(image)) > 1)
        held.serve_half()       # by now Glance stages it for the second one
        self.glance.kill()
        held.release()
        self.glance.start()
        poll.until('refused request', lambda: 409 in self.statuses(image))
        self.age_tasks(image)
        ran = [host.results() for host in self.hosts]

        counts = self.counts(image, ran)
        print('many sites: %s' % ', '.join('%s: %s' % item for item in sorted(counts.items())))
        self.assertEqual([], [one['results'][0]['error'] for one in ran if one['results'][0]['error']])
        self.assertEqual(
            {'clones': 12, 'downloads': 0, 'stores copied to': 4, 'copies that succeeded': 4, 'accepted': 5},
            {name: counts[name] for name in (
                'clones', 'downloads', 'stores copied to', 'copies that succeeded', 'accepted')})
        # To wait costs a follower no requests: it sends no more than three boots that find the image.
        self.assertLessEqual(counts['most requests of a follower'], 3 * self.requests_of_a_warm_boot(image))
        for site in self.sites:
            self.assertEqual(copy_sites.random(MEGABYTES), site.cluster.read(
                '%s/%s@snap' % (site.images, image), MEGABYTES << 20))

    def counts(self, image, ran):
        """Return what came of the boots, and how many requests it took."""
        found = collections.Counter()
        for number, one in enumerate(ran):
            site, booted = self.sites[number // COMPUTES], one['results'][0]
            found['clones'] += (booted['outcome'], booted['parent']) == (
                'clone', '%s/%s@snap' % (site.images, image))
            asked = [request for request in one['requests'] if request['path'].endswith('/import')]
            found['requests for copies'] += len(asked)
            found['accepted'] += len([request for request in asked if request['status'] == 202])
            found['downloads'] += len([request for request in one['requests']
                                       if request['path'].endswith('/file')])
            if any(part in request['path'] for part in LEADS for request in one['requests']):
                found['hosts that led'] += 1
                found['requests of hosts that led'] += len(one['requests'])
            else:
                found['most requests of a follower'] = max(
                    len(one['requests']), found['most requests of a follower'])
        found['copies that succeeded'] = len(
            [copy for copy in self.glance.copies(image) if copy.status == 'success'])
        found['stores copied to'] = len(self.glance.stores_of(image)) - 1
        return found

    def requests_of_a_warm_boot(self, image):
        return len(self.hosts[0].run(copy_sites.boot(image, name='again'))['requests'])

    def statuses(self, image):
        """Return how Glance answered requests for copies since it was started again."""
        return [one['status'] for one in self.glance.requests('POST', image + '/import$')]

    def age_tasks(self, image):
        """Let an hour pass for Glance."""
        database = os.path.join(self.glance.root, 'glance.sqlite')
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            connection.execute("UPDATE tasks SET updated_at = '2020-01-01 00:00:00.000000' "
                               "WHERE image_id = ? AND status = 'processing'", (image,))
