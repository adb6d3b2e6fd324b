# SPDX-License-Identifier: Apache-2.0
"""What stock Nova makes of images on RBD, on a real Glance and real Ceph: the defects to mend.

These are statements about stock code, and about the lab that shows them. What the hooks make of
the same is tested elsewhere, with the same lab. Each host is a process of its own.
"""

import hashlib
import importlib.util
import os
import unittest

import testtools

from lab import ceph
from lab import ceph_glance
from lab import glance
from lab.nova import compute_hosts
from lab import poll
from lab.poll import LabError
from tests.functional import shared

MISSING = [name for name in ('nova', 'glance', 'gunicorn') if not importlib.util.find_spec(name)]
REASON = ceph.unavailable() or 'not installed here: %s' % ', '.join(MISSING)
MEGABYTE = 1 << 20
# So much that it is still being copied when Nova asks for the first time.
LARGE = 128
MEMBER = 'user:project:member,reader'
SERVICE = 'user:project:member,reader,service'
TIMEOUT_SECONDS = 60
# Of the host that waits for a copy that has failed.
SHORT_SECONDS = 4


def boot(image, token=MEMBER, name='server'):
    return {'operation': 'boot', 'image_ref': image, 'token': token, 'name': name}


def base_file(image):
    """Return the name that a downloaded image has in Nova's image cache."""
    return hashlib.sha1(image.encode()).hexdigest()


@unittest.skipIf(ceph.unavailable() or MISSING, REASON)
class BootTestCase(testtools.TestCase):
    """A Glance with a file store and an RBD store at each of two sites."""

    locations = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.a, cls.b = ceph.sites()
        stores = {'central': 'file', 'dcn1': ceph_glance.store(cls.a),
                  'dcn10': ceph_glance.store(cls.b)}
        cls.glance = ceph_glance.Glance(
            shared.folder('boot'), stores, locations=cls.locations, faults=True)
        cls.addClassCleanup(cls.glance.stop)
        cls.glance.start()
        cls.data = os.urandom(4 * MEGABYTE)

    @classmethod
    def host(cls, cluster, store, timeout=TIMEOUT_SECONDS, **conf):
        host = compute_hosts.Host(compute_hosts.document(
            cluster, cls.glance.url, store, timeout_seconds=timeout, conf=conf))
        cls.addClassCleanup(host.stop)
        return host

    def image(self, stores=None, megabytes=4, **properties):
        data = self.data * (megabytes // 4)
        return self.glance.add_image(data, stores, visibility='public', **properties)

    def parent(self, image):
        return 'images/%s@snap' % image

    def said(self, ran):
        return '\n'.join(line['text'] for line in ran['log'])


class StockBootTest(BootTestCase):
    """Two hosts at the site dcn1, and images here and there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hosts = [cls.host(cls.a, 'dcn1'), cls.host(cls.a, 'dcn1')]

    def boot_one(self, *arguments, **named):
        ran = self.hosts[0].run(boot(*arguments, **named))
        return ran['results'][0], ran

    def test_an_image_in_the_own_cluster_is_cloned(self):
        image = self.image(['dcn1'])
        booted, ran = self.boot_one(image)
        self.assertIsNone(booted['error'])
        self.assertEqual(('clone', self.parent(image)), (booted['outcome'], booted['parent']))
        self.assertEqual(self.data, self.a.read(booted['disk'], len(self.data)))
        self.assertTrue(booted['started'] < booted['cloned'] < booted['ended'])
        self.assertNotIn(base_file(image), ran['base_files'])
        self.assertEqual([], self.glance.copies(image))

    def test_an_image_elsewhere_is_copied_for_an_administrator_and_then_cloned(self):
        image = self.image()
        booted, ran = self.boot_one(image, glance.ADMIN)
        self.assertEqual(('clone', self.parent(image)), (booted['outcome'], booted['parent']))
        self.assertEqual({'central', 'dcn1'}, self.glance.stores_of(image))
        (copy,) = self.glance.copies(image)
        self.assertEqual((('dcn1',), 'success'), (copy.stores, copy.status))
        self.assertEqual([202], [request['status'] for request in ran['requests']
                                 if request['path'].endswith('/import')])
        self.assertEqual(self.data, self.a.read(booted['disk'], len(self.data)))

    def test_an_ordinary_member_may_not_copy_and_the_boot_fails(self):
        image = self.image()
        booted, ran = self.boot_one(image)
        self.assertThat(booted['error'], testtools.matchers.StartsWith('ImageNotAuthorized'))
        self.assertEqual('none', booted['outcome'])
        self.assertEqual([403], [request['status'] for request in ran['requests']
                                 if request['path'].endswith('/import')])
        self.assertEqual({'central'}, self.glance.stores_of(image))

    def test_dcn10_passes_for_dcn1_and_the_boot_downloads(self):
        image = self.image(['dcn10'], LARGE)
        booted, ran = self.boot_one(image, glance.ADMIN)
        self.assertIsNone(booted['error'])
        # "Copied" is said while the copy still runs.
        self.assertIn('copied to rbd store dcn1', self.said(ran))
        self.assertEqual('flat', booted['outcome'])
        self.glance.wait_for_import(image)

    def test_of_two_hosts_at_once_one_clones_and_the_other_downloads(self):
        image = self.image(megabytes=LARGE)
        ran = compute_hosts.run_all(self.hosts, [[boot(image, glance.ADMIN)]] * 2)
        booted = [one['results'][0] for one in ran]
        self.assertEqual([None, None], [one['error'] for one in booted])
        self.assertEqual(['clone', 'flat'], sorted(one['outcome'] for one in booted))
        self.assertEqual([202, 409], sorted(
            request['status'] for one in ran for request in one['requests']
            if request['path'].endswith('/import')))

    def test_a_copy_that_fails_is_waited_for_until_the_timeout(self):
        image = self.image()
        host = self.host(self.a, 'dcn1', SHORT_SECONDS)
        host.ready()
        self.a.refuse_writes('images')
        try:
            (booted,) = host.run(boot(image, glance.ADMIN))['results']
        finally:
            self.a.allow_writes()
        (copy,) = self.glance.copies(image)
        self.assertEqual('dcn1', self.glance.image(image)['os_glance_failed_import'])
        self.assertEqual((None, 'flat'), (booted['error'], booted['outcome']))
        # Glance knew long before.
        self.assertGreater(booted['ended'] - copy.changed, SHORT_SECONDS / 2)

    def test_once_downloaded_it_is_never_cloned_again(self):
        image = self.image(['dcn1'])
        cached = self.hosts[0].run(
            {'operation': 'cache_image', 'image_ref': image, 'token': glance.ADMIN})
        self.assertEqual('cached', cached['results'][0]['outcome'])
        self.assertIn(base_file(image), cached['base_files'])
        booted, _ = self.boot_one(image)
        self.assertEqual(('flat', None), (booted['outcome'], booted['error']))


class StockLifeTest(BootTestCase):
    """The servers of one host, from their boot to their end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one = cls.host(cls.a, 'dcn1')

    def test_servers_booted_at_the_same_time_are_clones_all(self):
        image = self.image(['dcn1'])
        ran = self.one.run(*[boot(image, name=str(number)) for number in range(4)], parallel=4)
        self.assertEqual(['clone'] * 4, [one['outcome'] for one in ran['results']])
        self.assertEqual(4, len({one['disk'] for one in ran['results']}))
        last_start = max(one['started'] for one in ran['results'])
        self.assertLess(last_start, min(one['ended'] for one in ran['results']))

    def test_an_image_outlives_the_server_that_was_cloned_from_it(self):
        image = self.image(['dcn1'])
        booted, deleted = self.one.run(boot(image), {
            'operation': 'delete', 'name': 'server'})['results']
        self.assertEqual(booted['disk'], deleted['disk'])
        self.assertEqual((None, 'none'), (deleted['error'], deleted['outcome']))
        self.assertEqual(self.data, self.glance.download(image))

    def test_a_direct_snapshot_is_in_the_cluster_and_is_unshelved_flat(self):
        image = self.image(['dcn1'])
        ran = self.one.run(boot(image, SERVICE), {
            'operation': 'snapshot', 'name': 'server', 'image_name': 'taken', 'token': SERVICE})
        taken = ran['results'][1]
        self.assertIsNone(taken['error'])
        snapshot = taken['image_id']
        # Glance takes a location on after its response (2024.2 and later).
        stores = poll.until('store of the snapshot', lambda: self.glance.stores_of(snapshot))
        self.assertEqual({'dcn1'}, stores)
        self.assertEqual(self.data, self.a.read('images/%s@snap' % snapshot, len(self.data)))
        (unshelved,) = self.one.run({
            'operation': 'unshelve', 'image_ref': snapshot, 'base_image_ref': image,
            'name': 'again', 'token': SERVICE})['results']
        self.assertEqual((None, 'flat'), (unshelved['error'], unshelved['outcome']))
        self.assertEqual(self.data, self.a.read(unshelved['disk'], len(self.data)))
        # Nova deletes it; that is why the disk is flattened.
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + snapshot).status)

    def test_a_direct_snapshot_that_glance_refuses_fails_and_is_lost(self):
        image = self.image(['dcn1'])
        booted, taken = self.one.run(boot(image), {
            'operation': 'snapshot', 'name': 'server', 'token': MEMBER})['results']
        self.assertIsNone(booted['error'])
        self.assertThat(taken['error'], testtools.matchers.StartsWith('ImageNotAuthorized'))

    def test_a_host_that_must_not_download_does_not_and_fails(self):
        host = self.host(self.a, '', workarounds={'never_download_image_if_on_rbd': 'true'})
        image = self.image()
        ran = host.run(boot(image))
        self.assertThat(ran['results'][0]['error'],
                        testtools.matchers.StartsWith('ImageUnacceptable'))
        self.assertEqual([], [one for one in ran['requests'] if one['path'].endswith('/file')])


class HiddenLocationsTest(BootTestCase):
    """A Glance that shows no locations, which is the secure setting."""

    locations = False

    def test_an_image_in_the_own_cluster_is_downloaded(self):
        image = self.image(['dcn1'])
        ran = self.host(self.a, 'dcn1').run(boot(image, glance.ADMIN))
        self.assertEqual('flat', ran['results'][0]['outcome'])
        self.assertEqual([400], [one['status'] for one in ran['requests']
                                 if one['path'].endswith('/import')])


@unittest.skipIf(ceph.unavailable() or MISSING, REASON)
class HostTest(testtools.TestCase):
    """What a test sees of a host that is not as it should be."""

    def test_a_host_that_does_not_start_says_why(self):
        cluster, _ = ceph.sites()
        with compute_hosts.Host(compute_hosts.document(
                cluster, 'http://127.0.0.1:9', compute_driver='nowhere.Driver')) as host:
            failed = self.assertRaises(LabError, host.ready)
        self.assertIn('nowhere', str(failed))

    def test_a_host_that_was_killed_is_distinguished_from_one_that_is_busy(self):
        cluster, _ = ceph.sites()
        with compute_hosts.Host(compute_hosts.document(cluster, 'http://127.0.0.1:9')) as host:
            host.ready()
            host.kill()
            self.assertRaises(LabError, host.run, {'operation': 'delete', 'name': 'none'})
