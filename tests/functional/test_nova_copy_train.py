# SPDX-License-Identifier: Apache-2.0
"""Copy, then clone, inside Train's Nova, which has no copy at all and cannot be kept from downloading.

``MULTISTORE_TRAIN_PYTHON`` is an interpreter with the requirements of Nova 20, ``MULTISTORE_TRAIN_NOVA`` the
directory of its package ``nova`` if that is not installed there.
"""

import os
import unittest

from testtools.matchers import StartsWith

from lab import ceph
from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional.copy_sites import boot
from tests.functional.copy_sites import LARGE
from tests.functional.copy_sites import MEGABYTE
from tests.functional.copy_sites import SERVICE

PYTHON = os.environ.get('MULTISTORE_TRAIN_PYTHON')
REASON = ceph.unavailable(PYTHON) if PYTHON else 'MULTISTORE_TRAIN_PYTHON is not set'


@unittest.skipIf(REASON, REASON)
class TrainTest(copy_sites.SitesTestCase):

    python, nova_dir = PYTHON, os.environ.get('MULTISTORE_TRAIN_NOVA')

    def test_it_is_train(self):
        self.assertThat(self.host().ready()['nova'], StartsWith('20.'))

    def test_stock_downloads_a_cold_image_whoever_boots_it(self):
        image = self.image()
        host = self.host('', copy_sites.STOCK)
        self.assertFlat(self.boot(host, image, token=copy_sites.ADMIN))
        self.assertEqual([], self.asked())

    def test_cold_image_is_copied_and_cloned_at_both_sites_by_servers_of_one_host_too(self):
        image = self.image(megabytes=LARGE)
        hosts = [self.host(), self.host('dcn10')]
        ran = compute_hosts.run_all(hosts, [[boot(image, name=name) for name in 'ab']] * 2, parallel=2)
        for one, cluster in zip(ran, (self.a, self.b)):
            for booted in one['results']:
                self.assertCloned(booted, image, cluster, LARGE)
        self.assertEqual(2, len(self.glance.copies(image)))
        self.assertEqual([], self.downloads())

    def test_failed_copy_says_why_and_the_next_boot_clones(self):
        image = self.image()
        host = self.host()
        host.ready()
        self.a.refuse_writes('images')
        try:
            self.assertFlat(self.boot(host, image))
        finally:
            self.a.allow_writes()
        self.assertIn('see the glance-api log for the cause (its task', self.said())
        self.assertIn(copy_sites.base_file(image), self.ran['base_files'])
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_without_credentials_the_log_says_so_and_the_base_file_does_not_stay_in_the_way(self):
        image = self.image()
        host = self.host(allowed=False)
        self.assertFlat(self.boot(host, image))
        self.assertIn('policy copy_image', self.said())
        self.assertIn('[multistore_hooks]', self.said())
        self.glance.import_copy(image, ['dcn1'])
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_direct_snapshot_names_its_store_and_is_unshelved_flat(self):
        image = self.image('dcn1')
        ran = self.host().run(boot(image, SERVICE), {
            'operation': 'snapshot', 'name': 'server', 'image_name': 'taken', 'token': SERVICE})
        taken = ran['results'][1]['image_id']
        location, = self.glance.image(taken)['locations']
        self.assertEqual('dcn1', location['metadata']['store'])
        unshelved, = self.host().run({'operation': 'unshelve', 'image_ref': taken, 'token': SERVICE,
                                      'base_image_ref': image, 'name': 'again'})['results']
        self.assertFlat(unshelved)
        self.assertBytes(self.a.read(unshelved['disk'], 4 * MEGABYTE))


@unittest.skipIf(REASON, REASON)
class TrainHiddenTest(copy_sites.SitesTestCase):

    name, options = 'hidden', {'locations': False}
    python, nova_dir = PYTHON, os.environ.get('MULTISTORE_TRAIN_NOVA')

    def test_cold_image_is_copied_and_cloned(self):
        image = self.image()
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([202], self.asked(image))

    def test_image_that_is_here_is_found_in_the_pool(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.host(allowed=False), image), image, self.a)
