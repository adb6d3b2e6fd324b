# SPDX-License-Identifier: Apache-2.0
"""Boots at a Ceph site: clone, copy and clone, or Nova's own way; what is logged and how long it takes."""

import os
import tempfile
import types
from unittest import mock

from keystoneauth1 import exceptions as ks_exceptions

from multistore_hooks.glance_api import api
from tests import clock
from tests import fake_ceph
from tests import fake_glance
from tests.unit import base
from tests.unit.nova import standins
from tests.unit import ways


class Disk:
    """Nova's image backend, as far as the making of a disk goes; ``cloned`` holds the URLs."""

    def __init__(self, test):
        self.test, self.rbd_name, self.driver = test, 'server_disk', Driver(test)
        self.made = []

    def exists(self):
        return bool(self.made)

    def clone(self, context, image_id_or_uri, copy_to_store=True):
        exception = self.test.cloud.exception
        if self.test.reached:
            raise self.test.reached.pop(0)
        image = self.test.glance.images.get(image_id_or_uri)
        if image is None:
            raise exception.ImageNotFound(image_id=image_id_or_uri)
        for url in self.test.urls(image):
            if self.driver.is_cloneable({'url': url}, image):
                return self.driver.clone({'url': url}, self.rbd_name)
        raise exception.ImageUnacceptable(image_id=image_id_or_uri, reason='No locations are accessible')

    def create_image(self, prepare_template, base_file, size, safe=False, *args, **kwargs):
        if not self.exists():
            prepare_template(target=base_file, *args, **kwargs)
        if not self.exists():
            self.made.append('flat')


def imagebackend_of(module):
    """Return the class of Nova that ours is derived from."""
    return module.Rbd.__mro__[1]


class Driver(standins.RBDDriver):
    """Nova's RBDDriver on the fake cluster."""

    def __init__(self, test):
        self._test = test

    def is_cloneable(self, location, record):
        self._test.is_looked_at.append(location['url'])
        pool, image, snapshot = location['url'].split('/')[3:]
        present = snapshot in self._test.ceph.images.get((pool, image), ())
        return present and record.get('disk_format') == 'raw'

    def clone(self, location, name):
        self._test.disk.made.append(location['url'])
        return location['url']


class RbdTestCase(base.FakeGlanceTestCase):
    """A compute at the site of the store dcn1, whose pool is ``images``."""

    stores = {'central': fake_glance.FILE, 'dcn1': fake_glance.FILE, 'dcn2': fake_glance.FILE}

    def setUp(self):
        super().setUp()
        self.glance.default, self.glance.copies_at_once = 'central', False
        self.clock = clock.Clock()
        self.ceph = fake_ceph.FakeCeph(self.clock)
        self.cloud = self.useFixture(standins.Cloud(self.glance))
        self.cloud.token = 'admin:p1:admin'
        self.cloud.imagebackend.Rbd = Disk
        self.cloud.rbd_utils.rados, self.cloud.rbd_utils.rbd = self.ceph.rados, self.ceph.rbd
        from multistore_hooks.nova import rbd
        from multistore_hooks.nova import site_copy
        from multistore_hooks import options
        self.rbd, self.site_copy = rbd, site_copy
        options.register_nova_opts(self.cloud.conf)
        self.set(images_rbd_glance_store_name='dcn1')
        self.reached, self.is_looked_at, self.hidden = [], [], False
        self.vm_state = 'building'  # this stands for the instance too
        self.context = types.SimpleNamespace(request_id='req', global_id=None, project_id='p1',
                                             roles=['member'])
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base_file = os.path.join(folder.name, 'base')
        self.image_id = self.base('central', disk_format='raw')
        self.disk = self.new_disk()

    def new_disk(self):
        disk = self.rbd.Rbd(self)
        disk._clock = self.clock
        return disk

    def set(self, group='libvirt', **values):
        for name, value in values.items():
            self.cloud.conf.set_override(name, value, group=group)

    def urls(self, image):
        """Return the locations that Glance shows of an image."""
        if self.hidden or image.get('importing'):
            return []
        return ['rbd://%s/images/%s/snap' % (standins.FSID, image['id'])
                for store in image['stores'].split(',') if store.startswith('dcn')]

    def finish(self):
        """End the copies, into the pool too."""
        self.glance.finish_copies()
        for store, image in self.glance.data:
            if store == 'dcn1':
                self.ceph.images['images', image] = {'snap'}

    def boot(self, image_id=None, prepare=None):
        """Make the disk of a server as Nova does; return how."""
        image_id = image_id or self.image_id

        def fetch(target, context, image_id):
            try:
                self.disk.clone(context, image_id)
            except self.cloud.exception.ImageUnacceptable:
                self.downloads = getattr(self, 'downloads', 0) + 1

        self.disk.create_image(prepare or fetch, self.base_file, 0, context=self.context, image_id=image_id)
        return 'clone' if self.disk.made[0].startswith('rbd://') else self.disk.made[0]

    def asks(self):
        return len(self.glance.requests('POST', '/import'))

    def base_is_there(self):
        with open(self.base_file, 'w', encoding='utf-8'):
            pass


class CloneTest(RbdTestCase):

    def test_image_that_is_here_is_cloned(self):
        self.image_id = self.base('central', 'dcn1', disk_format='raw')
        self.finish()
        self.assertEqual(('clone', 0), (self.boot(), self.asks()))

    def test_cold_image_is_copied_and_then_cloned(self):
        self.clock.at(5, self.finish)
        self.assertEqual(('clone', 1), (self.boot(), self.asks()))
        self.assertTrue(self.clock.now < 7, self.clock.now)
        self.assertEqual(0, self.ceph.connections)

    def test_way_of_the_id_of_a_cold_image_is_short(self):
        self.hidden = True  # the longest way: Glance does not show where the copy is
        self.clock.at(5, self.finish)
        passed = ways.files_passed(self.image_id, self.boot)
        self.assertEqual('clone', self.boot())
        self.assertEqual(['ceph/cluster.py', 'ceph/coordinator.py', 'glance_api/client.py',
                          'nova/clone_source.py', 'nova/rbd.py', 'nova/site_copy.py'], passed)

    def test_without_a_local_store_it_is_novas_own(self):
        self.set(images_rbd_glance_store_name='')
        self.assertEqual(('flat', 0), (self.boot(), self.asks()))

    def test_hidden_locations_are_found_in_the_pool(self):
        self.hidden = True
        self.clock.at(5, self.finish)
        self.assertEqual('clone', self.boot())

    def test_image_that_cannot_be_cloned_is_not_copied(self):
        self.assertEqual(('flat', 0), (self.boot(self.base('central', disk_format='qcow2')), self.asks()))
        self.assertEqual(1, self.downloads)

    def test_missing_image_is_novas_error(self):
        self.assertRaises(self.cloud.exception.ImageNotFound, self.boot, 'missing')

    def test_failed_copy_is_waited_for_once_and_leads_to_a_download(self):
        self.glance.stores['dcn1'] = fake_glance.FULL
        self.clock.at(5, self.glance.finish_copies)
        self.assertEqual(('flat', 1), (self.boot(), self.asks()))
        self.assertEqual((1, 1), (self.downloads, self.log.count('WARNING')))

    def test_clone_that_came_while_another_boot_downloaded_is_used(self):
        self.glance.stores['dcn1'] = fake_glance.FULL
        self.clock.at(5, self.glance.finish_copies)

        def waits_for_the_download(target, context, image_id):
            self.glance.data['dcn1', image_id] = b'base'
            self.glance.images[image_id]['stores'] = 'central,dcn1'
            self.finish()
        for hidden in (False, True):
            self.hidden, self.disk = hidden, self.new_disk()
            self.assertEqual('clone', self.boot(prepare=waits_for_the_download))

    def test_base_file_is_used_where_the_copy_fails_and_the_reason_is_logged(self):
        self.base_is_there()
        self.glance.stores['dcn1'] = fake_glance.FULL
        self.clock.at(5, self.glance.finish_copies)
        self.assertEqual('flat', self.boot(prepare=lambda **_: None))
        self.assertIn('WARNING Image %s cannot be cloned' % self.image_id, self.log)

    def test_base_file_of_an_image_that_cannot_be_cloned_is_used_without_a_word(self):
        self.base_is_there()
        self.assertEqual('flat', self.boot(self.base('central', disk_format='qcow2'), lambda **_: None))
        self.assertEqual('', self.log)

    def test_any_error_of_the_way_leaves_the_base_file(self):
        self.base_is_there()
        self.reached.append(OSError('Keystone is away'))
        self.assertEqual('flat', self.boot(prepare=lambda **_: None))
        self.assertIn('Keystone is away', self.log)

    def test_without_a_base_file_such_an_error_is_the_boots(self):
        self.reached.append(OSError('Keystone is away'))
        self.assertRaises(OSError, self.boot)

    def fail_record(self, status, times):
        self.glance.faults.append(fake_glance.Fault('GET', '/v2/images/[^/]*$', status, times))

    def test_glance_that_is_restarted_is_waited_for(self):
        away = self.cloud.exception.GlanceConnectionFailed(server='g', reason='refused')
        self.fail_record(503, 6)
        self.reached += [away] * 5
        self.clock.at(40, self.finish)
        self.assertEqual('clone', self.boot())
        for _unused in range(2):
            self.disk = self.new_disk()
            self.assertEqual('flat', self.boot(self.base('central', disk_format='iso')))
        self.assertEqual([], self.reached)

    def test_keystone_that_is_restarted_is_waited_for(self):
        self.reached += [ks_exceptions.ConnectFailure('refused')] * 5
        self.clock.at(20, self.finish)
        self.assertEqual('clone', self.boot())

    def test_glance_that_stays_away_is_not_waited_for_without_a_limit(self):
        away = self.cloud.exception.GlanceConnectionFailed(server='g', reason='refused')
        self.reached += [away] * 999
        self.assertRaises(type(away), self.boot, self.base('central', disk_format='iso'))
        self.assertTrue(60 <= self.clock.now <= 61, self.clock.now)
        self.fail_record(503, 999)
        self.assertRaises((type(away), api.GlanceError), self.boot)
        self.assertTrue(120 <= self.clock.now <= 122, self.clock.now)

    def test_an_error_of_the_server_is_not_waited_for(self):
        self.reached.append(api.error_for(500, 'broken'))
        self.assertRaises(api.GlanceError, self.boot,
                          self.base('central', disk_format='iso'))
        self.assertEqual(0, self.clock.now)


class StoresTest(RbdTestCase):
    """Several stores of Glance are in this compute's cluster, in pools of their own; dcn1 is named."""

    def setUp(self):
        super().setUp()
        self.pools = {'dcn1': 'images', 'dcn2': 'slow', 'central': 'elsewhere'}

    def urls(self, image):
        stores = [] if self.hidden else image['stores'].split(',')
        return ['rbd://%s/%s/%s/snap' % (standins.FSID, self.pools[store], image['id']) for store in stores]

    def image(self, *stores, **record):
        self.image_id = self.base(*stores, disk_format='raw')
        image = self.glance.images[self.image_id]
        image.update(record)
        for store in stores:
            if store != 'central':
                self.ceph.images[self.pools[store], self.image_id] = {'snap'}
        if not self.hidden:
            image['locations'] = [{'url': url, 'metadata': {'store': store}}
                                  for url, store in zip(self.urls(image), image['stores'].split(','))]

    def pool(self):
        self.assertEqual('clone', self.boot())
        return self.disk.made[0].split('/')[3]

    def test_copy_in_the_store_that_is_named_is_cloned_whatever_comes_first(self):
        for hidden in (False, True):
            self.hidden = hidden
            self.image('dcn2', 'dcn1')
            self.disk = self.new_disk()
            self.assertEqual(('images', 0), (self.pool(), self.asks()))

    def test_image_in_another_store_of_the_cluster_is_copied_to_the_store_that_is_named(self):
        self.image('dcn2')
        self.clock.at(5, self.finish)
        self.assertEqual(('images', 1), (self.pool(), self.asks()))

    def test_where_no_copy_is_to_be_had_another_store_of_the_cluster_will_do(self):
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 403, times=9))
        self.image('dcn2')
        self.assertEqual('slow', self.pool())
        self.assertIn('INFO Image %s is not in the store dcn1: the disk' % self.image_id, self.log)

    def test_copy_that_is_being_made_is_not_cloned_and_not_another_either(self):
        self.image('dcn2')
        self.images('admin:p1:admin').copy(self.image_id, ['dcn1'])
        self.ceph.images['images', self.image_id] = {'snap'}  # left by a copy that was undone
        self.clock.at(30, self.finish)
        self.assertEqual('images', self.pool())
        self.assertLess(29, self.clock.now)

    def test_store_that_is_listed_and_lost_leaves_another_one_in_the_cluster(self):
        self.image('dcn1', 'dcn2')
        del self.ceph.images['images', self.image_id]
        self.assertEqual(('slow', 0), (self.pool(), self.asks()))

    def test_no_copy_is_requested_to_a_store_that_was_seen_to_be_in_another_cluster(self):
        self.pools['dcn1'] = 'of-another-cluster'
        self.image('dcn1')
        del self.ceph.images['of-another-cluster', self.image_id]
        self.assertEqual('flat', self.boot())
        self.assertIn('but that store is not the pool', self.log)
        self.image('dcn2')
        self.disk = self.new_disk()
        self.assertEqual(('slow', 0), (self.pool(), self.asks()))

    def test_image_that_glance_deletes_is_not_cloned(self):
        self.image('dcn1', status='pending_delete')
        self.assertEqual('flat', self.boot())

    def test_copy_that_is_deleted_just_then_leaves_novas_own_way(self):
        for kind in ('ImageNotFound', 'InvalidArgument'):
            self.image('dcn1')
            self.disk = self.new_disk()
            error = type(kind, (Exception,), {})('gone')
            with mock.patch.object(Driver, 'clone', side_effect=error):
                self.assertEqual('flat', self.boot())


class LostCopyTest(RbdTestCase):

    def setUp(self):
        super().setUp()
        self.image_id = self.base('central', 'dcn1', disk_format='raw')

    def test_copy_that_is_listed_and_lost_is_reported_once_with_what_to_do(self):
        self.assertEqual(('flat', 0, 0), (self.boot(), self.asks(), self.clock.now))
        # Of two attempts: the second one in case a copy had just ended. A third would find the same.
        self.assertEqual(6, len(self.glance.requests('GET', '/v2/images/%s$' % self.image_id)))
        self.assertEqual(1, self.log.count('WARNING'))
        self.assertIn('the pool images of this compute\'s Ceph cluster does not hold it', self.log)
        self.assertIn('glance stores-delete --store dcn1 %s' % self.image_id, self.log)
        self.assertEqual(0, self.ceph.connections)

    def test_wrong_pool_is_reported_once_for_all_boots(self):
        self.set('multistore_hooks', glance_rbd_pool='typo')
        for _unused in range(3):
            self.disk = self.new_disk()
            self.assertEqual('flat', self.boot())
        self.assertEqual(1, self.log.count('WARNING'))
        self.assertIn('The pool typo ([multistore_hooks] glance_rbd_pool) cannot be read', self.log)

    def test_copy_that_ended_between_two_requests_is_cloned(self):
        looks = []

        def urls(image):
            looks.append(1)
            return [] if len(looks) == 1 else ['rbd://%s/vms-images/%s/snap' % (standins.FSID, image['id'])]
        self.ceph.images['vms-images', self.image_id] = {'snap'}
        with mock.patch.object(self, 'urls', urls):
            self.assertEqual('clone', self.boot())


class LimitsTest(RbdTestCase):

    def test_another_stores_import_is_waited_for_as_long_as_the_turn(self):
        self.images('admin:p1:admin').copy(self.image_id, ['dcn2'])
        self.assertEqual('flat', self.boot())
        self.assertTrue(60 <= self.clock.now <= 61, self.clock.now)
        self.assertIn('did not get its turn within 60 seconds', self.log)

    def test_where_no_download_is_allowed_the_turn_is_waited_for_as_long_as_the_copy(self):
        self.set('workarounds', never_download_image_if_on_rbd=True)
        self.images('admin:p1:admin').copy(self.image_id, ['dcn2'])
        self.clock.at(300, self.finish)
        self.clock.at(400, self.finish)
        self.assertEqual('clone', self.boot())

    def test_base_file_is_another_way_too(self):
        self.set('workarounds', never_download_image_if_on_rbd=True)
        self.base_is_there()
        self.images('admin:p1:admin').copy(self.image_id, ['dcn2'])
        self.assertEqual('flat', self.boot(prepare=lambda **_: None))
        self.assertTrue(60 <= self.clock.now <= 61, self.clock.now)

    def test_boot_waits_no_longer_for_its_turn_while_the_image_cache_waits_too(self):
        self.useFixture(base.fixtures.MockPatchObject(
            self.site_copy, '_flights', self.site_copy.single_flight.SingleFlight(self.clock)))
        self.images('admin:p1:admin').copy(self.image_id, ['dcn2'])
        ended = []
        self.clock.at(5, lambda: ended.append((self.boot(), self.clock.now)))
        self.assertRaises(self.cloud.exception.ImageUnacceptable, self.site_copy.ensure_in_store,
                          self.context, self.image_id, 'dcn1', self.disk.driver, turn_seconds=600,
                          clock=self.clock)
        (how, when), = ended
        self.assertEqual('flat', how)
        self.assertLess(when, 80)

    def test_turn_of_zero_takes_the_next_way_at_once(self):
        self.set('multistore_hooks', copy_turn_timeout=0)
        self.images('admin:p1:admin').copy(self.image_id, ['dcn2'])
        self.assertEqual(('flat', 0), (self.boot(), self.clock.now))

    def test_a_copy_without_limit_is_waited_for_a_day(self):
        # Polled seldom, since what takes no time on this clock takes some for each poll.
        self.set(images_rbd_glance_copy_timeout=0, images_rbd_glance_copy_poll_interval=600)
        self.clock.at(20 * 3600, self.finish)
        self.assertEqual('clone', self.boot())

    def test_half_of_the_builds_may_wait_and_the_rest_goes_on_at_once(self):
        most = self.site_copy.most_waiting()
        self.assertEqual(5, most)
        taken = [self.site_copy.waiting_slots.take(most) for _unused in range(most)]
        self.assertEqual([True] * most, [one.__enter__() for one in taken])
        self.assertEqual(('flat', 0, 0), (self.boot(), self.asks(), self.clock.now))
        self.assertIn('half of the builds that this nova-compute runs at once', self.log)
        for one in taken:
            one.__exit__(None, None, None)
        self.disk = self.new_disk()
        self.clock.at(5, self.finish)
        self.assertEqual('clone', self.boot())

    def test_where_no_download_is_allowed_all_may_wait(self):
        self.set('workarounds', never_download_image_if_on_rbd=True)
        taken = [self.site_copy.waiting_slots.take(5) for _unused in range(5)]
        for one in taken:
            one.__enter__()
        self.clock.at(5, self.finish)
        self.assertEqual('clone', self.boot())

    def test_a_boot_that_may_not_download_ends_without_one_more_request_to_the_cluster(self):
        self.set('workarounds', never_download_image_if_on_rbd=True)
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 403, times=100))
        with mock.patch.object(imagebackend_of(self.rbd), 'create_image',
                               side_effect=AssertionError('asked')):
            self.assertRaises(self.cloud.exception.ImageUnacceptable, self.boot)

    def test_number_of_builds_that_may_wait(self):
        for builds, most in ((1, 1), (2, 1), (7, 3), (0, 5)):
            self.cloud.conf.set_override('max_concurrent_builds', builds)
            self.assertEqual(most, self.site_copy.most_waiting())
        with mock.patch.object(self.site_copy.cluster, 'on_eventlet', lambda: True):
            self.assertIsNone(self.site_copy.most_waiting())

    def test_requester_is_named_by_what_policies_and_quotas_look_at(self):
        self.assertEqual('p1 member', self.site_copy.requester(self.context))
        self.set('multistore_hooks', auth_type='password')
        self.assertEqual('[multistore_hooks]', self.site_copy.requester(self.context))
