# SPDX-License-Identifier: Apache-2.0
"""Each row of DESIGN section 5's table: the real Nova with the hooks, a real Glance, two real Ceph clusters.

What stock Nova makes of the same is in ``test_lab_boot``.
"""

import os
import socket

from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional.copy_sites import ADMIN
from tests.functional.copy_sites import base_file
from tests.functional.copy_sites import boot
from tests.functional.copy_sites import LARGE
from tests.functional.copy_sites import MEMBER
from tests.functional.copy_sites import NEVER

# Of hosts whose wait shall end; others wait for a minute.
SHORT_SECONDS = 6
# Of hosts that get on for another reason than that their time is over: the test would fail before.
NEVER_ENDS = 3600


class RowsTest(copy_sites.SitesTestCase):

    def test_cold_image_is_copied_for_an_ordinary_member_and_cloned(self):
        image = self.image()
        booted = self.boot(self.host(), image)
        self.assertCloned(booted, image, self.a)
        self.assertEqual({'central', 'dcn1'}, self.glance.stores_of(image))
        self.assertEqual([202], self.asked(image))
        self.assertEqual([], self.downloads())
        self.assertEqual([], [name for name in self.ran['base_files'] if name == base_file(image)])

    def test_image_that_is_here_is_cloned_and_nothing_is_requested(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.host(), image), image, self.a)
        self.assertEqual([], self.asked())

    def test_dcn1_is_not_dcn10(self):
        image = self.image('dcn10', megabytes=LARGE)
        self.assertCloned(self.boot(self.host(), image), image, self.a, LARGE)
        self.assertEqual([202], self.asked(image))

    def test_hosts_of_a_site_and_servers_of_a_host_share_one_copy(self):
        image = self.image(megabytes=LARGE)
        hosts = [self.host(), self.host(number=1)]
        ran = compute_hosts.run_all(hosts, [[boot(image, name=name) for name in 'ab']] * 2, parallel=2)
        for one in ran:
            for booted in one['results']:
                self.assertCloned(booted, image, self.a, LARGE)
        self.assertEqual([202], self.asked(image))

    def test_lock_held_by_another_sites_copy_is_waited_for(self):
        image = self.image(megabytes=LARGE)
        ran = compute_hosts.run_all([self.host(), self.host('dcn10')], [[boot(image)]] * 2)
        for one, cluster in zip(ran, (self.a, self.b)):
            self.assertCloned(one['results'][0], image, cluster, LARGE)
        first, second = self.glance.copies(image)
        self.assertEqual(['success'] * 2, [first.status, second.status])
        self.assertEqual({('dcn1',), ('dcn10',)}, {first.stores, second.stores})
        self.assertEqual([], self.downloads())

    def test_copy_by_somebody_else_to_the_same_store_is_waited_for(self):
        image = self.image(megabytes=LARGE)
        self.glance.import_copy(image, ['dcn1'], wait=False)
        self.assertCloned(self.boot(self.host(), image), image, self.a, LARGE)
        self.assertEqual(1, len(self.glance.copies(image)))

    def test_host_that_cannot_request_lets_another_host_of_the_site_request(self):
        image = self.image()
        sick = self.host(allowed=False, timeout=NEVER_ENDS, multistore_hooks={
            'auth_type': 'password', 'auth_url': 'http://127.0.0.1:9/v3', 'username': 'u', 'password': 'p',
            'project_name': 'p', 'user_domain_name': 'd', 'project_domain_name': 'd'})
        well = self.host()
        for host in (sick, well):
            host.ready()
        sick.start([boot(image)])
        self.wait_until(lambda: 'Glance cannot be reached' in sick.log)
        # Long before the other one's time is over.
        self.assertCloned(self.boot(well, image), image, self.a)
        self.assertCloned(sick.results()['results'][0], image, self.a)

    def test_glance_that_cannot_be_reached_when_a_boot_begins_is_waited_for(self):
        host = self.host()
        host.ready()
        for looks in (2, 3):
            image = self.image()
            # Two come before the disk is made. Nova itself gives up after the fourth failure.
            self.glance.fault('GET', '/v2/images/', status=503, times=6, skip=looks)
            self.assertCloned(self.boot(host, image), image, self.a)

    def test_image_deleted_in_the_middle(self):
        image = self.image(megabytes=LARGE)
        host = self.host()
        host.start([boot(image)])
        self.wait_for_copy(image)
        deleted = self.glance.request('DELETE', '/v2/images/' + image)
        booted = host.results()['results'][0]
        self.assertEqual(204, deleted.status, deleted)
        self.assertIn('ImageNotFound', booted['error'])
        self.assertEqual('none', booted['outcome'])


class FailuresTest(copy_sites.SitesTestCase):
    """Hosts that must not download, so that each failure is seen as Nova's callers see it."""

    def never(self, *arguments, **named):
        return self.host(*arguments, **dict(NEVER, **named))

    def refuse_writes(self):
        self.a.refuse_writes('images')
        self.addCleanup(self.a.allow_writes)

    def test_failed_copy_is_noticed_at_the_next_poll_and_a_later_boot_requests_it_again(self):
        image = self.image()
        host = self.never(timeout=NEVER_ENDS)
        host.ready()
        self.refuse_writes()
        for _ in range(2):      # the second one finds what the first one left
            booted = self.boot(host, image)
            self.assertRefused(booted, 'see the glance-api log for the cause', 'its task')
            copy = self.glance.copies(image)[-1]
            self.assertIn(copy.stores, [('dcn1',)])
            self.assertEqual('dcn1', self.glance.image(image)['os_glance_failed_import'])
        self.assertEqual([202, 202], self.asked(image))
        self.a.allow_writes()
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_failed_copy_that_several_hosts_wait_for_is_requested_once(self):
        image = self.image()
        hosts = [self.never(), self.never(number=1)]
        for host in hosts:
            host.ready()
        self.refuse_writes()
        for one in compute_hosts.run_all(hosts, [[boot(image)]] * 2):
            self.assertRefused(one['results'][0], 'see the glance-api log for the cause')
        self.assertEqual([202], self.asked(image))

    def test_keystone_that_never_responds_does_not_keep_a_boot_beyond_its_time(self):
        keystone = socket.socket()
        self.addCleanup(keystone.close)
        keystone.bind(('127.0.0.1', 0))
        keystone.listen(50)
        host = self.never(allowed=False, timeout=SHORT_SECONDS, multistore_hooks={
            'auth_type': 'v3password', 'auth_url': 'http://127.0.0.1:%d/v3' % keystone.getsockname()[1],
            'username': 'u', 'password': 'p', 'project_name': 'p', 'user_domain_name': 'd',
            'project_domain_name': 'd'})
        host.start([boot(self.image())])
        self.assertRefused(host.results()['results'][0], 'longer than %d seconds' % SHORT_SECONDS)

    def test_without_credentials_the_refusal_names_policy_and_options(self):
        image = self.image()
        booted = self.boot(self.never(allowed=False), image)
        self.assertRefused(booted, 'policy copy_image', '[multistore_hooks]', '403')
        self.assertEqual([403], self.asked())

    def test_credentials_in_another_section_are_used(self):
        image = self.image()
        host = self.never(allowed=False, multistore_hooks={'auth_section': 'copier'},
                          copier=copy_sites.credentials(self.glance.url))
        self.assertCloned(self.boot(host, image), image, self.a)

    def test_store_that_glance_does_not_know(self):
        booted = self.boot(self.never('dcn-1'), self.image())
        self.assertRefused(booted, "images_rbd_glance_store_name names the Glance store 'dcn-1'",
                           'does not exist')
        self.assertEqual([], self.asked())

    def test_image_in_stores_of_another_glance_alone(self):
        image = self.image()
        self.change('UPDATE image_locations SET value = ?, meta_data = ? WHERE image_id = ?',
                    'file:///elsewhere/' + image, '{"store": "far"}', image)
        booted = self.boot(self.never(), image)
        self.assertRefused(booted, 'it is in far, and this Glance has none of these stores, only')
        self.assertEqual([], self.asked(image))

    def test_quota_of_staging_is_named_after_one_request(self):
        image = self.image()
        # What Glance responds where image_stage_total is used up: that limit is Keystone's.
        self.glance.fault('POST', '/import$', status=413, times=None, text='image_stage_total\nis over limit')
        booted = self.boot(self.never(), image)
        self.assertRefused(booted, 'a quota of the project that requested the copy is used up',
                           'counts an image of that project twice')
        self.assertEqual([413], self.asked(image))
        self.assertLess(booted['error'].count('\n'), 1)

    def test_store_of_another_cluster(self):
        image = self.image('central')
        booted = self.boot(self.never('central'), image)
        self.assertRefused(booted)
        self.assertIn('but that store is not the pool', self.said())
        # Now the host knows that a copy there would be of no use.
        image = self.image('dcn1')
        booted = self.boot(self.never('central'), image)
        self.assertCloned(booted, image, self.a)
        self.assertEqual([], self.asked())

    def test_image_whose_data_is_nowhere(self):
        image = self.image()
        os.unlink(os.path.join(self.glance.dir('central'), image))
        booted = self.boot(self.never(), image)
        self.assertRefused(booted, 'see the glance-api log for the cause', 'its task')

    def test_wrong_credentials_end_the_wait_at_once(self):
        # No Keystone is here; what responds on this path responds as Keystone to a wrong password.
        self.glance.fault('POST', '/v3/auth/tokens', status=401, times=None)
        host = self.never(allowed=False, timeout=NEVER_ENDS, multistore_hooks={
            'auth_type': 'v3password', 'auth_url': self.glance.url + '/v3', 'username': 'nova',
            'password': 'wrong', 'user_domain_id': 'default', 'project_name': 'service',
            'project_domain_id': 'default'})
        booted = self.boot(host, self.image())
        self.assertRefused(booted, '401')

    def test_incomplete_credentials_are_named(self):
        host = self.never(allowed=False, multistore_hooks={'auth_type': 'v3password'})
        booted = self.boot(host, self.image())
        self.assertRefused(booted, 'the credentials in [multistore_hooks] cannot be used')

    def test_glance_that_is_killed_in_the_middle_leaves_a_lock_that_is_named_and_not_kept(self):
        image = self.image(megabytes=LARGE)
        host = self.never(timeout=SHORT_SECONDS)
        host.ready()
        host.start([boot(image)])
        self.wait_for_copy(image)
        self.glance.kill()
        self.glance.start()
        booted = host.results()['results'][0]
        task = self.glance.image(image)['os_glance_import_task']
        self.assertRefused(booted, 'longer than %d seconds' % SHORT_SECONDS,
                           'the task %s holds the lock' % task, 'copies to dcn1')
        # Another boot does no better, while Glance believes that the copy goes on.
        self.assertRefused(self.boot(host, image), task)
        self.assertIn(409, self.asked(image))
        # After an hour it does not any more, if it is asked.
        self.age_tasks(image)
        self.assertCloned(self.boot(self.never(), image), image, self.a, LARGE)

    def test_copy_that_is_listed_and_lost_is_reported_and_mended_as_the_log_says(self):
        image = self.image('dcn1')
        self.glance.import_copy(image, ['central'])
        self.a.rbd('snap', 'unprotect', 'images/%s@snap' % image)
        self.a.rbd('snap', 'rm', 'images/%s@snap' % image)
        self.a.rbd('rm', 'images/' + image)
        self.assertRefused(self.boot(self.never(), image))
        self.assertIn('does not hold it. If [libvirt] images_rbd_glance_store_name and', self.said())
        self.assertIn('glance stores-delete --store dcn1 ' + image, self.said())
        self.assertEqual([], [status for status in self.asked(image) if status != 202][1:])
        self.assertEqual(204, self.glance.request('DELETE', '/v2/stores/dcn1/' + image).status)
        self.assertCloned(self.boot(self.never(), image), image, self.a)

    def test_unfinished_image_in_the_pool_is_reported_before_a_request(self):
        image = self.image()
        self.a.rbd('create', '--size', '4', 'images/' + image)
        self.assertRefused(self.boot(self.never(), image), 'the pool images holds an unfinished RBD image',
                           'rbd -p images rm ' + image)
        self.assertEqual([], self.asked(image))
        self.a.rbd('rm', 'images/' + image)
        self.assertCloned(self.boot(self.never(), image), image, self.a)

    def age_tasks(self, image):
        self.change("UPDATE tasks SET updated_at = '2020-01-01 00:00:00.000000' WHERE image_id = ?", image)

    def test_glance_that_is_away_for_a_while_is_waited_for(self):
        image = self.image(megabytes=LARGE)
        host = self.never()
        host.ready()
        self.glance.fault('GET', '/v2/images/%s$' % image, status=500, skip=5, times=3)
        self.assertCloned(self.boot(host, image), image, self.a, LARGE)
        self.assertIn('Glance cannot be reached about image', self.said())

    def test_request_that_hangs_does_not_outlive_the_deadline_by_much(self):
        image = self.image()
        host = self.never(timeout=SHORT_SECONDS)
        host.ready()
        self.glance.fault('POST', '/import$', action='hang', seconds=NEVER_ENDS, times=None)
        booted = self.boot(host, image)
        self.glance.clear_faults()
        self.assertRefused(booted, 'longer than %d seconds' % SHORT_SECONDS)

    def test_site_whose_cluster_is_away_does_not_outlive_the_deadline_by_much(self):
        image = self.image(megabytes=LARGE)
        host = self.never(timeout=SHORT_SECONDS)
        host.ready()
        host.start([boot(image)])
        self.wait_for_copy(image)
        self.a.stop()
        try:
            booted = host.results()['results'][0]
        finally:
            self.a.start()
        self.assertIn('ImageUnacceptable', booted['error'])


class OldGlanceTest(copy_sites.SitesTestCase):

    name, options = 'no-copy', {'import_methods': ('glance-direct',)}

    def test_glance_without_copy_image(self):
        booted = self.boot(self.host(**NEVER), self.image())
        self.assertRefused(booted, 'no import method copy-image', 'glance-direct')
        self.assertEqual([], self.asked())

    def test_image_that_is_here_is_cloned(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.host(**NEVER), image), image, self.a)


class UnconfiguredTest(copy_sites.SitesTestCase):
    """Without images_rbd_glance_store_name the hooks do what stock Nova does."""

    def requests(self, driver, image):
        host = self.host('', driver, allowed=False)
        host.ready()
        booted = self.boot(host, image)
        return booted['outcome'], booted['error'], [
            (one['verb'], one['path'].replace(image, 'IMAGE'), one['status']) for one in self.ran['requests']]

    def test_same_requests_and_same_disks_as_stock(self):
        for stores, outcome in ((['dcn1'], 'clone'), ([], 'flat')):
            stock, ours = (self.requests(driver, self.image(*stores))
                           for driver in (copy_sites.STOCK, copy_sites.OURS))
            self.assertEqual(outcome, stock[0])
            self.assertEqual(stock, ours)

    def test_credentials_are_not_used_for_anything_else(self):
        self.boot(self.host(), self.image())
        tokens = {one['headers'].get('x-auth-token') for one in self.glance.requests('POST', '/import$')}
        self.assertEqual({ADMIN}, tokens)
        tokens = {one['headers'].get('x-auth-token') for one in self.glance.requests(path='/v2/images/[^/]*$')
                  if one['method'] == 'GET'}
        self.assertEqual({MEMBER, ADMIN}, tokens | {ADMIN})
