# SPDX-License-Identifier: Apache-2.0
"""What becomes of images and servers on RBD: clones, caches, snapshots, hidden locations, other formats.

The real Nova with the hooks, a real Glance, two real Ceph clusters; stock Nova beside it where it differs
and ``test_lab_boot`` does not show it.
"""

import os
import subprocess

from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional.copy_sites import ADMIN
from tests.functional.copy_sites import base_file
from tests.functional.copy_sites import boot
from tests.functional.copy_sites import MEGABYTE
from tests.functional.copy_sites import MEMBER
from tests.functional.copy_sites import NEVER
from tests.functional.copy_sites import random
from tests.functional.copy_sites import SERVICE
from tests.functional import nova_runs

# As much of ISO 9660 as Glance and Nova look for.
ISO = bytes(0x8000) + b''.join(
    kind + b'CD001\x01'.ljust(2047, b'\0') for kind in (b'\x01', b'\xff')) + bytes(MEGABYTE)


def cache(image):
    return {'operation': 'cache_image', 'image_ref': image, 'token': ADMIN}


class ImagesTest(copy_sites.SitesTestCase):
    """How an image gets to a site, and what keeps Nova from cloning it."""

    def test_download_of_one_boot_does_not_keep_the_next_ones_from_cloning(self):
        image = self.image()
        host = self.host()
        host.ready()
        self.a.refuse_writes('images')
        try:
            self.assertFlat(self.boot(host, image))
        finally:
            self.a.allow_writes()
        self.assertIn(base_file(image), self.ran['base_files'])
        self.assertIn('see the glance-api log for the cause', self.said())
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_base_file_is_used_where_the_image_cannot_come(self):
        image = self.image()
        host = self.host(allowed=False)
        for _ in range(2):
            self.glance.forget_requests()
            self.assertFlat(self.boot(host, image))
        self.assertEqual([], self.downloads())

    def test_cached_image_is_in_the_store_and_the_next_boot_requests_nothing(self):
        image = self.image()
        ran = self.host().run(cache(image), cache(image))
        self.assertEqual(['cached', 'existing'], [one['outcome'] for one in ran['results']])
        self.assertNotIn(base_file(image), ran['base_files'])
        self.assertEqual({'central', 'dcn1'}, self.glance.stores_of(image))
        self.glance.forget_requests()
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([], self.asked() + self.downloads())

    def test_image_that_cannot_be_cached_is_reported(self):
        ran = self.host('dcn-1', **NEVER).run(cache(self.image()))
        self.assertEqual('error', ran['results'][0]['outcome'])

    def test_iso_is_not_copied_whereas_stock_copies_it_in_vain(self):
        for driver, copies in ((copy_sites.STOCK, [202]), (copy_sites.OURS, [])):
            image = self.image(data=ISO, disk_format='iso')
            self.glance.forget_requests()
            self.assertFlat(self.boot(self.host(driver=driver), image, token=ADMIN))
            self.assertEqual(copies, self.asked())

    def test_qcow2_takes_novas_own_way(self):
        image = self.image(data=self.qcow2(), disk_format='qcow2')
        self.assertFlat(self.boot(self.host(), image))
        self.assertEqual([], self.asked())
        self.assertEqual('cached', self.host(number=1).run(cache(image))['results'][0]['outcome'])

    def test_qcow2_that_is_in_novas_cache_is_nothing_to_warn_of(self):
        image = self.image(data=self.qcow2(), disk_format='qcow2')
        host = self.host()
        for _ in range(2):
            self.assertFlat(self.boot(host, image))
        self.assertIn(base_file(image), self.ran['base_files'])
        self.assertEqual([], [line['text'] for line in self.ran['log'] if line['level'] == 'WARNING'
                              and line['logger'].startswith('multistore_hooks')])

    def qcow2(self):
        path = nova_runs.disk(random(4))
        try:
            subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', path, path + '.qcow2'], check=True)
        except FileNotFoundError:
            self.skipTest('no qemu-img here (Debian: apt-get install qemu-utils)')
        with open(path + '.qcow2', 'rb') as stream:
            return stream.read()


class ServersTest(copy_sites.SitesTestCase):
    """From a boot to snapshots and the end."""

    def snapshot(self, host, token=SERVICE, image=None, name='server'):
        """Boot a server and take a snapshot of it; return the snapshot's result, which must be good."""
        self.base = image or self.image('dcn1')
        ran = host.run(boot(self.base, name=name), {
            'operation': 'snapshot', 'name': name, 'image_name': 'taken', 'token': token})
        self.assertCloned(ran['results'][0], self.base, self.a)
        taken = ran['results'][1]
        if 'block-block-rbd' in (taken['error'] or ''):
            self.skipTest('qemu-img cannot read RBD here (Debian: apt-get install qemu-block-extra)')
        self.assertIsNone(taken['error'])
        # Glance takes a location on by and by.
        self.wait_until(lambda: self.glance.image(taken['image_id'])['status'] == 'active')
        self.assertBytes(self.glance.download(taken['image_id']))
        return taken['image_id']

    def uploads(self):
        return len(self.glance.requests('PUT', '/file$'))

    def test_image_outlives_the_clone(self):
        image = self.image()
        booted = self.boot(self.host(), image)
        self.assertCloned(booted, image, self.a)
        deleted, = self.host().run({'operation': 'delete', 'name': 'server'})['results']
        self.assertIsNone(deleted['error'])
        self.assertNotIn(booted['disk'].split('/')[1], self.a.rbd('ls', 'vms').split())
        self.assertBytes(self.a.read('images/%s@snap' % image, 4 * MEGABYTE))
        self.assertCloned(self.boot(self.host(), image), image, self.a)

    def test_direct_snapshot_is_in_the_sites_store_by_name_and_is_unshelved_flat(self):
        taken = self.snapshot(self.host())
        self.assertEqual({'dcn1'}, self.glance.stores_of(taken))
        location, = self.glance.image(taken)['locations']
        self.assertEqual('dcn1', location['metadata']['store'])
        self.assertEqual('rbd://%s/images/%s/snap' % (self.a.fsid, taken), location['url'])
        unshelved, = self.host().run({'operation': 'unshelve', 'image_ref': taken, 'token': SERVICE,
                                      'base_image_ref': self.base, 'name': 'again'})['results']
        self.assertFlat(unshelved)
        self.assertBytes(self.a.read(unshelved['disk'], 4 * MEGABYTE))
        self.assertEqual(404, self.glance.request('GET', '/v2/images/' + taken).status)

    def test_direct_snapshot_that_glance_refuses_is_uploaded_to_the_same_store(self):
        self.snapshot(self.host())      # so that no upload is what counts
        before = self.uploads()
        taken = self.snapshot(self.host(), token=MEMBER)
        self.assertEqual(before + 2, self.uploads())    # its base image, and itself
        self.assertEqual({'dcn1'}, self.glance.stores_of(taken))
        self.assertIn(taken, self.a.rbd('ls', 'images').split())

    def test_location_of_a_direct_snapshot_names_the_store_on_glances_old_api(self):
        self.glance.fault('POST', '/locations$', status=501, times=None)
        taken = self.snapshot(self.host(), token=ADMIN)
        location, = self.glance.image(taken)['locations']
        self.assertEqual('dcn1', location['metadata']['store'])

    def test_named_store_for_snapshots_comes_before_the_direct_way(self):
        host = self.host(multistore_hooks={'snapshot_store': 'dcn10'})
        taken = self.snapshot(host)
        self.assertEqual({'dcn10'}, self.glance.stores_of(taken))
        self.assertNotIn(taken, self.a.rbd('ls', 'images').split())

    def test_near_store_named_for_snapshots_keeps_the_direct_way(self):
        before = self.uploads()
        taken = self.snapshot(self.host(multistore_hooks={'snapshot_store': 'dcn1'}))
        self.assertEqual({'dcn1'}, self.glance.stores_of(taken))
        self.assertEqual(before + 1, self.uploads())

    def test_disk_from_another_pool_than_the_named_stores_is_uploaded(self):
        before = self.uploads()
        host = self.host(multistore_hooks={'snapshot_store': 'dcn1', 'glance_rbd_pool': 'vms'})
        taken = self.snapshot(host)
        self.assertEqual({'dcn1'}, self.glance.stores_of(taken))
        self.assertEqual(before + 2, self.uploads())    # its base image, and itself


class LocationTest(copy_sites.SitesTestCase):
    """Glance responds to the location of a direct snapshot, and takes it on, or not, after that."""

    name, options = 'quota', {'conf': {'DEFAULT': {'user_storage_quota': '10MB'}}}

    def take(self, kind, token=SERVICE):
        """Boot a server, and take a snapshot of it or shelve it; return the error and the image's id."""
        if not hasattr(type(self), 'base'):
            type(self).base = self.image('dcn1')
        ran = self.host().run(boot(self.base, name=self.id()), {
            'operation': kind, 'name': self.id(), 'image_name': 'taken', 'token': token})
        if 'block-block-rbd' in (ran['results'][1]['error'] or ''):
            self.skipTest('qemu-img cannot read RBD here (Debian: apt-get install qemu-block-extra)')
        made = self.glance.requests('POST', '/locations$')[-1]['path'].split('/')[3]
        self.addCleanup(self.glance.request, 'DELETE', '/v2/images/' + made)
        return ran['results'][1]['error'], made

    def test_shelving_fails_where_glance_gives_the_location_up(self):
        # Over its owner's quota: Glance finds that out after it has accepted the location.
        full = self.glance.add_image(random(8), ('dcn1',), token=MEMBER)
        self.addCleanup(self.glance.request, 'DELETE', '/v2/images/' + full)
        error, image = self.take('shelve')
        self.assertIsNotNone(error)
        self.assertNotIn(image, self.a.rbd('ls', 'images').split())

    def assertTaken(self, error, image):
        self.assertIsNone(error)
        self.assertEqual({'dcn1'}, self.glance.stores_of(image))
        self.assertBytes(self.glance.download(image))

    def test_location_whose_response_was_lost_is_no_failure(self):
        for kind, action in (('snapshot', 'status'), ('shelve', 'reset')):
            self.glance.fault('POST', '/locations$', at='after', action=action)
            error, image = self.take(kind)
            self.assertTaken(error, image)
            self.glance.request('DELETE', '/v2/images/' + image)

    def old_api(self, **fault):
        """Let Glance know its old way to locations only: the second change of an image's record."""
        self.glance.fault('POST', '/locations$', status=501, times=None)
        self.glance.fault('PATCH', '/v2/images/', skip=1, **fault)
        return self.take('shelve', ADMIN)

    def test_location_whose_response_was_lost_is_no_failure_on_glances_old_api(self):
        self.assertTaken(*self.old_api(at='after'))

    def test_location_that_is_a_bad_request_leads_to_an_upload(self):
        self.assertTaken(*self.old_api(status=400))


class HiddenTest(copy_sites.SitesTestCase):
    """A Glance that shows no locations (OSSN-0065); stock Nova downloads from it whatever it does."""

    name, options = 'hidden', {'locations': False}

    def looked_up(self):
        return [one['status'] for one in self.glance.requests('GET', '/locations$')]

    def test_cold_image_is_copied_found_in_the_pool_and_cloned(self):
        image = self.image()
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([202], self.asked(image))
        self.assertEqual([], self.looked_up())
        self.assertEqual([], self.downloads())

    def test_cold_image_in_a_pool_that_is_not_known_is_found_by_the_location_api(self):
        image = self.image()
        host = self.host(multistore_hooks={'glance_rbd_pool': 'nowhere'})
        self.assertCloned(self.boot(host, image), image, self.a)
        self.assertEqual([200], self.looked_up())
        # Nova says of every location that it is given why it cannot be cloned.
        self.assertEqual([], [line for line in self.said().splitlines() if 'not cloneable' in line])
        self.assertEqual([], self.downloads())

    def test_image_that_is_here_is_found_in_the_pool_without_rights_to_locations(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.host(allowed=False), image), image, self.a)
        self.assertEqual([], self.looked_up() + self.asked() + self.downloads())

    def test_cold_image_is_found_in_the_pool_of_a_glance_without_the_location_api(self):
        self.glance.fault('GET', '/locations$', status=404, times=None)
        image = self.image()
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([202], self.asked(image))

    def test_pool_with_another_name_is_named_in_the_log_and_the_image_downloaded(self):
        image = self.image('dcn1')
        host = self.host(allowed=False, multistore_hooks={'glance_rbd_pool': 'nowhere'})
        self.assertFlat(self.boot(host, image))
        self.assertIn('[multistore_hooks] glance_rbd_pool', self.said())

    def test_cold_image_without_credentials_is_downloaded_and_the_next_boot_of_a_copied_one_clones(self):
        image = self.image()
        host = self.host(allowed=False)
        self.assertFlat(self.boot(host, image))
        self.assertIn('policy copy_image', self.said())
        self.glance.import_copy(image, ['dcn1'])
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_failed_copy(self):
        image = self.image()
        os.unlink(os.path.join(self.glance.dir('central'), image))
        self.assertRefused(self.boot(self.host(**NEVER), image), 'see the glance-api log for the cause')

    def test_both_sites_at_once(self):
        image = self.image(megabytes=64)

        ran = compute_hosts.run_all([self.host(), self.host('dcn10')], [[boot(image)]] * 2)
        for one, cluster in zip(ran, (self.a, self.b)):
            self.assertCloned(one['results'][0], image, cluster, 64)
        self.assertEqual({'central', 'dcn1', 'dcn10'}, self.glance.stores_of(image))

    def test_cached_image(self):
        image = self.image()
        self.assertEqual('cached', self.host().run(cache(image))['results'][0]['outcome'])
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([202], self.asked(image))
