# SPDX-License-Identifier: Apache-2.0
"""Volumes from images that are in no store of their Ceph cluster: copied there by Glance, then cloned.

Real Cinder services, a real Glance, a real cluster with cephx. Glance has a file store (central, the
default), and dcn1 in the cluster's pool images; Cinder's backend keeps its volumes in the pool volumes.
"""

import atexit
import os
import subprocess
import threading
import time

from testtools.matchers import StartsWith

from lab import ceph
from lab import ceph_glance
from lab.cinder import client
from lab import glance as lab
from lab import ini
from lab import poll
from tests.functional import cinder_base
from tests.functional import shared

MEGABYTE = 1 << 20
#: Seconds after which a test gives up: no test is decided by it.
PATIENCE = 600
_shared = {}


def cluster():
    """Return the cluster that the tests of this process share."""
    if 'cluster' not in _shared:
        made = ceph.Ceph(os.path.join(shared.folder('clones-ceph'), 'a'), pools=('images', 'volumes'),
                         mgr=True)
        made.__enter__()
        atexit.register(made.__exit__, None, None, None)
        _shared['cluster'] = made
    return _shared['cluster']


class ClonesTestCase(cinder_base.CinderTestCase):

    #: Of the Cinder: its interpreter, where it is unpacked, and the folder of its migrated database.
    python, tree, cache = cinder_base.PYTHON, cinder_base.PYTHONPATH, cinder_base.CACHE

    def setUp(self):
        why = ceph.unavailable(self.python)
        if why:
            self.skipTest(why)
        super().setUp()
        self.cluster = cluster()
        modules = ceph.bindings(os.path.join(self.directory, 'modules'), self.python)
        self.pythonpath = os.pathsep.join(path for path in (self.tree, str(modules)) if path)

    def start(self, locations=True, policy=None, stock=False, credentials=True, pool='images',
              import_methods=('glance-direct', 'copy-image'), filters=(), conf=None, **options):
        """Start a Glance, and a Cinder whose backend names dcn1."""
        self.glance = ceph_glance.Glance(
            os.path.join(self.directory, 'glance'),
            {'central': 'file', 'dcn1': ceph_glance.store(self.cluster)}, default='central', faults=True,
            policy=policy, import_methods=import_methods, locations=locations, filters=filters,
            conf=conf)
        self.glance.start()
        self.addCleanup(self.glance.kill)
        self.cinder = self.another_cinder('cinder', stock, credentials, pool, **options)

    def another_cinder(self, name, stock=False, credentials=True, pool='images', default=None, sections=None,
                       **options):
        """Return a running Cinder with its own services and database, on the same pool."""
        backend = {'volume_driver': 'lab.cinder.rbd.RbdDriver', 'rbd_pool': 'volumes',
                   'rbd_ceph_conf': self.cluster.conf, 'rbd_user': self.cluster.user,
                   'volume_backend_name': 'directory', 'rbd_glance_store_name': 'dcn1',
                   'rbd_glance_pool': pool, 'rbd_glance_copy_poll_interval': '1'}
        backend.update(options)
        overrides = dict(sections or {}, directory=backend, DEFAULT=dict(default or {}))
        if credentials:
            overrides['multistore_hooks'] = {'auth_type': 'admin_token', 'endpoint': self.glance.url,
                                             'token': lab.ADMIN}
        if stock:
            overrides['DEFAULT'].update(volume_manager=cinder_base.STOCK_MANAGER)
        return cinder_base.server.Cinder(
            self.glance.url, os.path.join(self.directory, name), python=self.python,
            pythonpath=self.pythonpath, cache_dir=self.cache,
            overrides=ini.merged(dict(cinder_base.OURS), overrides))

    def started(self, cinder):
        self.addCleanup(cinder.stop)
        return cinder.start()

    def image(self, *stores, megabytes=4, **properties):
        self.data = os.urandom(MEGABYTE) * megabytes
        return self.glance.add_image(self.data, stores, token=client.MEMBER, **properties)

    def create(self, image, cinder=None, **options):
        return (cinder or self.cinder).create_volume(image=image, timeout=PATIENCE, **options)

    def parent(self, volume):
        """Return the snapshot that a volume is a clone of, as Ceph shows it, or None."""
        for line in self.cluster.rbd('info', 'volumes/volume-' + volume).splitlines():
            if line.strip().startswith('parent:'):
                return line.split()[1]
        return None

    def assert_clone(self, volume, image):
        self.assertEqual('images/%s@snap' % image, self.parent(volume))
        self.assertEqual(self.data, self.cluster.read('volumes/volume-' + volume, len(self.data)))

    def assert_flat(self, volume):
        self.assertIsNone(self.parent(volume))
        self.assertEqual(self.data, self.cluster.read('volumes/volume-' + volume, len(self.data)))

    def requested(self):
        """Return the status of each request for a copy."""
        return [one['status'] for one in self.glance.requests('POST', '/import$')]

    def downloads(self):
        return len(self.glance.requests('GET', '/file$'))


class CopyThenCloneTest(ClonesTestCase):

    def test_a_cold_image_is_copied_once_and_every_volume_is_a_clone(self):
        self.start()
        self.started(self.cinder)
        image = self.image('central')
        self.glance.forget_requests()
        first = self.create(image)
        self.assert_clone(first, image)
        self.assertEqual(([202], 0), (self.requested(), self.downloads()))
        self.assertIn('Image %s is in the store dcn1' % image, self.cinder.log)
        self.assert_clone(self.create(image), image)
        self.assertEqual(([202], 0), (self.requested(), self.downloads()))

    def test_many_volumes_of_two_services_of_a_site_cost_one_copy(self):
        self.start()
        other = self.started(self.another_cinder('other'))
        self.started(self.cinder)
        image = self.image('central', megabytes=64)
        self.glance.forget_requests()
        volumes, failures = [], []

        def create(cinder):
            try:
                volumes.append(self.create(image, cinder))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=create, args=(cinder,))
                   for cinder in (self.cinder, other) for _number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures, [line[:300] for cinder in (self.cinder, other)
                                        for line in cinder.log.splitlines() if ' ERROR ' in line][:60])
        self.assertEqual({'images/%s@snap' % image}, {self.parent(volume) for volume in volumes})
        self.assertEqual(8, len(volumes))
        self.assertEqual((1, 0), (self.requested().count(202), self.downloads()))

    def test_without_the_option_cinder_is_as_it_was(self):
        self.start(rbd_glance_store_name='')
        self.started(self.cinder)
        image = self.image('central')
        self.glance.forget_requests()
        self.assert_flat(self.create(image))
        self.assertEqual(([], 1), (self.requested(), self.downloads()))

    def test_what_glance_does_not_copy_is_downloaded_as_by_cinder(self):
        for name, options, said in (
                ('policy', {'credentials': False}, 'Glance does not allow the copy'),
                ('methods', {'import_methods': ('glance-direct',)}, 'no import method copy-image'),
                ('store', {'rbd_glance_store_name': 'nowhere'},
                 "names the Glance store 'nowhere', which does not exist")):
            self.start(**options)
            self.started(self.cinder)
            self.assert_flat(self.create(self.image('central')))
            self.assertIn(said, self.cinder.log, name)
            self.assertIn('does not become a clone, Cinder goes on without', self.cinder.log, name)
            self.cinder.stop()
            self.glance.kill()
            self.directory = self.useFixture(cinder_base.fixtures.TempDir()).path

    def test_a_volume_that_is_larger_than_its_image_and_of_a_multi_attach_type_is_a_clone_with_its_size(self):
        self.start()
        self.started(self.cinder)
        self.cinder.create_type('shared', {'multiattach': '<is> True'})
        image = self.image('central')
        volume = self.create(image, size=2, volume_type='shared')
        self.assert_clone(volume, image)
        self.assertIn('size 2 GiB', self.cluster.rbd('info', 'volumes/volume-' + volume))
        self.assertTrue(self.cinder.volume(volume)['multiattach'])


class AsCinderTest(ClonesTestCase):
    """What cannot be cloned, or is cloned faster, is Cinder's own affair: Glance is asked for no copy."""

    def qcow2(self):
        path = os.path.join(self.directory, 'image.qcow2')
        subprocess.run(['qemu-img', 'create', '-f', 'qcow2', path, '8M'], check=True,
                       stdout=subprocess.DEVNULL)
        with open(path, 'rb') as file:
            return self.glance.add_image(file.read(), ['central'], token=client.MEMBER, disk_format='qcow2')

    def encrypted(self):
        """Create an encrypted volume type; return its name."""
        made = self.cinder.create_type('encrypted')
        self.cinder.request('POST', '/types/%s/encryption' % made, {'encryption': {
            'provider': 'luks', 'cipher': 'aes-xts-plain64', 'key_size': 256,
            'control_location': 'front-end'}}, client.ADMIN)
        return 'encrypted'

    def test_an_image_that_cannot_be_cloned_anywhere_is_not_copied(self):
        self.start()
        self.cinder = self.another_cinder('keys', sections={'key_manager': {
            'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager', 'fixed_key': 'ab' * 32}})
        self.started(self.cinder)
        for image, options in ((self.qcow2(), {}),
                               (self.image('central'), {'volume_type': self.encrypted()})):
            self.glance.forget_requests()
            self.assertIsNone(self.parent(self.create(image, **options)))
            self.assertEqual(([], 1), (self.requested(), self.downloads()), options)
        large = self.image('central', min_disk=2)
        self.glance.forget_requests()
        refused = self.assertRaises(client.Refused, self.create, large)
        self.assertEqual((400, [], 0), (refused.status, self.requested(), self.downloads()))

    def test_what_is_in_the_image_cache_is_cloned_from_there(self):
        self.start(credentials=False)
        self.cinder = self.another_cinder(
            'cache', credentials=False, image_volume_cache_enabled='true',
            default={'cinder_internal_tenant_project_id': client.PROJECT,
                     'cinder_internal_tenant_user_id': 'demo'})
        self.started(self.cinder)
        image = self.image('central')
        self.glance.forget_requests()
        self.assert_flat(self.create(image))  # Glance refuses the copy
        self.assertEqual(([403], 1), (self.requested(), self.downloads()))
        second = self.create(image)
        self.assertThat(self.parent(second), StartsWith('volumes/volume-'))
        self.assertEqual(self.data, self.cluster.read('volumes/volume-' + second, len(self.data)))
        self.assertEqual(([403], 1), (self.requested(), self.downloads()))

    def test_a_volume_that_gets_another_image_downloads_it(self):
        self.start()
        self.started(self.cinder)
        volume = self.create(self.image('dcn1'))
        image = self.image('central')
        self.glance.forget_requests()
        self.cinder.microversion = 'volume 3.68'
        self.cinder.request('POST', '/volumes/%s/action' % volume, {'os-reimage': {'image_id': image}})
        self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
        self.assertEqual(self.data, self.cluster.read('volumes/volume-' + volume, len(self.data)))
        self.assertEqual(([], 1), (self.requested(), self.downloads()))


class HiddenLocationsTest(ClonesTestCase):

    def test_a_cold_image_is_copied_and_cloned(self):
        self.start(locations=False)
        self.started(self.cinder)
        image = self.image('central')
        self.glance.forget_requests()
        self.assert_clone(self.create(image), image)
        self.assertEqual(([202], 0), (self.requested(), self.downloads()))

    def test_an_image_that_is_there_is_found_in_the_pool_without_any_credentials(self):
        self.start(locations=False, credentials=False)
        self.started(self.cinder)
        image = self.image('dcn1')
        self.glance.forget_requests()
        self.assert_clone(self.create(image), image)
        self.assertEqual(([], 0), (self.requested(), self.downloads()))

    def test_where_the_pool_is_another_one_the_location_api_is_used(self):
        self.start(locations=False, pool='another')
        self.started(self.cinder)
        image = self.image('dcn1')
        self.glance.forget_requests()
        self.assert_clone(self.create(image), image)
        self.assertEqual(0, self.downloads())

    def test_stock_cinder_downloads_it(self):
        self.start(locations=False, stock=True)
        self.started(self.cinder)
        self.assert_flat(self.create(self.image('dcn1')))


class WaitTest(ClonesTestCase):
    """What else cinder-volume does while volumes wait for a copy that does not end."""

    def hold(self, image):
        """Let Glance be busy with another import of the image, which a volume waits for."""
        self.glance.fault('POST', image + '/import$', status=409, times=None)

    def begin(self, image, **options):
        return self.cinder.request('POST', '/volumes', {'volume': dict(
            {'name': 'waiting', 'size': 1, 'imageRef': image}, **options)})['volume']['id']

    def wait_for(self, what):
        poll.until(what, lambda: what in self.cinder.log)

    def test_other_work_goes_on_and_the_rest_of_the_volumes_is_downloaded(self):
        self.start()
        self.cinder = self.another_cinder('few', default={'executor_thread_pool_size': '8'})
        self.started(self.cinder)
        done = self.cinder.create_volume(timeout=PATIENCE)
        image = self.image('central')
        self.hold(image)
        waiting = [self.begin(image) for _number in range(6)]
        self.wait_for('half of the 8 threads of this service wait for copies already')
        # Two of six do not wait, whatever the order; the others do not stop a deletion.
        self.cinder.delete_volume(done)
        poll.until('two volumes that do not wait', lambda: 2 <= sum(
            self.cinder.volume(volume)['status'] == 'available' for volume in waiting))
        self.assertEqual(4, sum(self.cinder.volume(volume)['status'] == 'creating' for volume in waiting))

    def test_a_volume_that_is_deleted_while_it_waits_ends_the_wait_and_leaves_nothing(self):
        self.start()
        self.started(self.cinder)
        image = self.image('central')
        self.hold(image)
        volume, other = self.begin(image), self.begin(image)
        self.wait_for('Asking Glance to copy image')
        time.sleep(1)
        for one in (volume, other):
            self.cinder.request('POST', '/volumes/%s/action' % one, {'os-force_delete': {}}, client.ADMIN)
        self.wait_for('Volume %s was deleted while it waited for image %s' % (volume, image))
        self.wait_for('Volume %s was deleted while it waited for image %s' % (other, image))
        self.assertEqual(set(), {'volume-' + volume, 'volume-' + other}
                         & set(self.cluster.rbd('ls', 'volumes').split()))
