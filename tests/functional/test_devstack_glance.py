# SPDX-License-Identifier: Apache-2.0
"""A real glance-api on the files that the devstack plugin wrote: the stores are there, and work.

File stores; a store on volumes of a real Cinder; and RBD stores in two real Ceph clusters, through
devstack-plugin-ceph's arrays and by given ceph.conf files.
"""

import configparser
import contextlib
import importlib.util
import json
import os
import shlex
import sysconfig
import unittest

import fixtures
import testtools

from lab import ceph
from lab import glance as lab_glance
from lab import processes
from lab.volume_store.lab import DRIVER
from lab.volume_store.lab import HERE
from lab.volume_store.lab import Lab
from lab.volume_store.lab import ours
from lab.volume_store.lab import registered
from lab.volume_store.lab import unavailable_with
from tests.devstack import gate as gates
from tests.functional import cli
from tests.functional import shared

MISSING = [name for name in ('glance', 'gunicorn') if not importlib.util.find_spec(name)]
REASON = 'not installed here: %s' % ', '.join(MISSING)
NO_VOLUMES = MISSING and REASON or unavailable_with(['loop'])
MEMBER = 'user:project:member,reader'
DATA = os.urandom(1 << 20)
QCOW2 = {'disk_format': 'qcow2', 'container_format': 'bare'}


class StackedTestCase(testtools.TestCase):
    """Stacks, and starts the Glance of it."""

    def gate(self, **settings):
        gate = gates.Gate(shared.folder('gate'), ENABLED_SERVICES='g-api,key')
        # In the end the files have to say where things really are.
        gate.set(**dict({'ENABLED_SERVICES': 'g-api,key'}, **settings))
        outcome = gate.run('twice')
        self.assertEqual(0, outcome.code, outcome.output)
        return gate

    def glance(self, gate):
        glance = self.useFixture(Running(gates.StackedGlance(gate))).glance
        return glance

    def assert_stores_work(self, glance, default, stores):
        listed = glance.listed()
        self.assertEqual(sorted(stores), sorted(store['id'] for store in listed))
        self.assertEqual([default], [store['id'] for store in listed
                                     if store.get('default') in ('true', True)])
        unnamed = glance.add_image(DATA)
        self.assertEqual({default}, glance.stores_of(unnamed))
        for store in stores:
            image = glance.add_image(DATA, [store])
            self.assertEqual({store}, glance.stores_of(image))
            self.assertEqual(DATA, glance.download(image))


class Running:
    """A fixture: a lab's Glance, which stops with the test."""

    def __init__(self, glance):
        self.glance = glance
        self._stack = contextlib.ExitStack()

    def setUp(self):
        self._stack.enter_context(self.glance)

    def cleanUp(self):
        self._stack.close()

    def getDetails(self):
        return {}


@unittest.skipIf(MISSING, REASON)
class FileStoresTest(StackedTestCase):
    """Three file stores, as a gate without Ceph has them."""

    def setUp(self):
        super().setUp()
        self.stacked = self.gate(MULTISTORE_STORES='cheap:file,fast:file,other-one:file',
                                 MULTISTORE_DEFAULT='fast', MULTISTORE_IMAGE_CONVERSION='raw')
        self.lab = self.glance(self.stacked)

    def folder(self, store):
        return self.stacked.path('data/multistore_hooks/stores/' + store)

    def test_stores_policy_filter_and_conversion(self):
        glance = self.lab
        self.assert_stores_work(glance, 'fast', ['cheap', 'fast', 'other-one'])
        image = glance.add_image(DATA, ['cheap'])
        for store in ('cheap', 'fast', 'other-one'):
            self.assertEqual(store == 'cheap', image in os.listdir(self.folder(store)))
        with open(os.path.join(self.folder('cheap'), image), 'rb') as stream:
            self.assertEqual(DATA, stream.read())
        # The filter says that it is there, and does what it says.
        response = glance.request('GET', '/v2/info/stores')
        self.assertEqual('base-image-ref', response.headers['x-openstack-multistore-hooks'])
        snapshot = glance.create_image()['id']
        glance.upload(snapshot, DATA, headers={'X-OpenStack-Base-Image-Ref': image})
        self.assertEqual({'cheap'}, glance.stores_of(snapshot))
        # The policy lets a member copy an image of somebody else.
        public = glance.add_image(DATA, ['cheap'], visibility='public')
        response = glance.import_copy(public, ['other-one'], token=MEMBER, wait=False)
        self.assertEqual(202, response.status, response.text)
        glance.wait_for_import(public)
        self.assertEqual({'cheap', 'other-one'}, glance.stores_of(public))

    def test_staging_is_a_folder_of_its_own(self):
        glance = self.lab
        image = glance.create_image()['id']
        response = glance.request('PUT', '/v2/images/%s/stage' % image, data=DATA)
        self.assertEqual(204, response.status, response.text)
        self.assertEqual([image], os.listdir(self.stacked.path('data/multistore_hooks/staging')))
        for store in ('cheap', 'fast', 'other-one'):
            self.assertEqual([], os.listdir(self.folder(store)))
        response = glance.request('POST', '/v2/images/%s/import' % image, json_body={
            'method': {'name': 'glance-direct'}, 'stores': ['cheap']})
        self.assertEqual(202, response.status, response.text)
        glance.wait_for_import(image)
        self.assertEqual({'cheap'}, glance.stores_of(image))
        self.assertEqual(DATA, glance.download(image))


@unittest.skipIf(MISSING, REASON)
class RulesTest(StackedTestCase):
    """Rules that systemd's timer has applied."""

    def test_the_service_of_the_timer_copies_what_is_tagged(self):
        """The command line of the unit, with its environment and clouds.yaml, as systemd would run it."""
        gate = self.gate(MULTISTORE_STORES='cheap:file,fast:file', MULTISTORE_RULES='by-tag')
        glance = self.glance(gate)
        image = glance.add_image(DATA, ['cheap'])
        self.assertEqual(204, glance.request('PUT', '/v2/images/%s/tags/multistore-fast' % image).status)
        service = configparser.RawConfigParser(strict=False)
        service.optionxform = str
        service.read(gate.path('etc/systemd/system/multistore-place.service'))
        gate.write('clouds.yaml', json.dumps({'clouds': {'devstack-admin': {
            'auth_type': 'admin_token', 'auth': {'endpoint': glance.url, 'token': lab_glance.ADMIN}}}}))
        for _ in range(2):
            done = cli.run(shlex.split(service['Service']['ExecStart']),
                           cli.environ(gate.folder, OS_CLOUD='devstack-admin', OS_REGION_NAME='RegionOne'),
                           gate.folder)
            self.assertEqual(0, done[0], done)
            self.assertEqual({'cheap', 'fast'}, glance.stores_of(image))


@unittest.skipIf(MISSING, REASON)
class PolicyTest(StackedTestCase):
    """Without our policy Glance's own holds."""

    def test_a_member_may_not_copy(self):
        glance = self.glance(self.gate(MULTISTORE_COPY_IMAGE_POLICY='none'))
        public = glance.add_image(DATA, ['cheap'], visibility='public')
        response = glance.import_copy(public, ['reliable'], token=MEMBER, wait=False)
        self.assertEqual(403, response.status)


@unittest.skipIf(MISSING, REASON)
class UpgradeTest(StackedTestCase):
    """From one store, configured as for Train, to several."""

    def test_images_of_the_one_store_stay_and_have_a_store(self):
        gate = self.gate(MULTISTORE_ENABLED='False')
        with gates.StackedGlance(gate) as glance:
            self.assertEqual(404, glance.request('GET', '/v2/info/stores').status)
            old = glance.add_image(DATA)
        gate.set(ENABLED_SERVICES='g-api,key', MULTISTORE_ENABLED='False',
                 MULTISTORE_STORES='cheap:file,fast:file', MULTISTORE_DEFAULT='fast')
        outcome = gate.run('upgrade')
        self.assertEqual(0, outcome.code, outcome.output)
        self.assertIn('systemctl restart devstack@g-api', gate.calls())
        glance = self.glance(gate)
        self.assert_stores_work(glance, 'fast', ['cheap', 'fast'])
        self.assertEqual({'cheap'}, glance.stores_of(old))
        self.assertEqual(DATA, glance.download(old))
        glance.import_copy(old, ['fast'])
        self.assertEqual({'cheap', 'fast'}, glance.stores_of(old))
        # Nothing of the old store goes with clean.
        self.assertEqual(0, gate.run('clean').code)
        self.assertIn(old, os.listdir(gate.path('data/glance/images')))


@unittest.skipIf(NO_VOLUMES, NO_VOLUMES or '')
class VolumeStoreTest(StackedTestCase):
    """A store on volumes of a real Cinder, with the section and the files for root that were written."""

    def test_images_are_volumes_that_root_is_requested_by_the_installed_files(self):
        lab = Lab(shared.folder('gate-cinder'), {'other': ours('loop')})
        self.addCleanup(lab.stop)
        lab.start()
        gate = self.gate(MULTISTORE_STORES='cheap:file,gold:volume', MULTISTORE_CINDER_TYPE_gold='loop',
                         ENABLED_SERVICES='g-api,key,c-vol', REGION_NAME='lab',
                         KEYSTONE_SERVICE_URI=lab.keystone.url)
        for name in ('glance-rootwrap', 'privsep-helper'):
            os.symlink(os.path.join(sysconfig.get_path('scripts'), name), gate.path('bin/' + name))
        # Where privsep makes its socket: the filters admit no other folder.
        self.useFixture(fixtures.EnvironmentVariable('TMPDIR', '/tmp'))
        glance = self.useFixture(Running(VolumesGlance(gate))).glance
        self.assert_stores_work(glance, 'cheap', ['cheap', 'gold'])
        image, = [one['metadata']['glance_image_id'] for one in lab.cinder.volumes().values()]
        self.assertEqual({'gold'}, glance.stores_of(image))
        helper = gate.path('bin/privsep-helper')
        self.assertTrue([pid for pid in processes.members(glance.pid) if helper in self.command(pid)])
        self.assertEqual(204, glance.request('DELETE', '/v2/images/' + image).status)
        self.assertEqual({}, lab.cinder.attachments())

    @staticmethod
    def command(pid):
        with open('/proc/%d/cmdline' % pid, encoding='utf-8') as stream:
            return stream.read().split('\0')


class VolumesGlance(gates.StackedGlance):
    """Finds a sudo that leaves a test which is root alone; it and the helpers of os-brick are its group."""

    def _environ(self):
        environ = super()._environ()
        environ['PATH'] = os.path.join(HERE, 'bin') + os.pathsep + environ['PATH']
        return environ

    def _write_files(self):
        if not registered('volume'):
            self._drivers = dict(self._drivers, volume=DRIVER)
        super()._write_files()


@unittest.skipIf(MISSING or ceph.unavailable(), MISSING and REASON or ceph.unavailable())
class RBDStoresTest(StackedTestCase):
    """File and RBD stores; clusters of their own, since pools and users are made in them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = shared.folder('gate-ceph')
        cls.one = ceph.Ceph(os.path.join(folder, 'one'), pools=('images', 'vms'))
        cls.two = ceph.Ceph(os.path.join(folder, 'two'), auth='none', pools=('images', 'vms'))
        cls.addClassCleanup(cls.one.remove)
        cls.addClassCleanup(cls.two.remove)
        ceph.start_all([cls.one, cls.two])

    def in_pool(self, cluster, pool, image):
        return image in cluster.rbd('ls', pool).split()

    def test_two_clusters_by_their_ceph_conf_files(self):
        glance = self.glance(self.gate(
            MULTISTORE_STORES='cheap:file,robust:rbd,site2:rbd', MULTISTORE_DEFAULT='cheap',
            MULTISTORE_RBD_CONF_robust=self.one.conf, MULTISTORE_RBD_USER_robust=self.one.user,
            MULTISTORE_RBD_CONF_site2=self.two.conf, MULTISTORE_RBD_USER_site2=self.two.user,
            MULTISTORE_OPTIONS_robust='rbd_store_chunk_size=4;weight=5'))
        self.assert_stores_work(glance, 'cheap', ['cheap', 'robust', 'site2'])
        image = glance.add_image(DATA, ['cheap', 'robust', 'site2'])
        self.assertTrue(self.in_pool(self.one, 'images', image))
        self.assertTrue(self.in_pool(self.two, 'images', image))

    def test_two_stores_by_the_arrays_of_the_ceph_plugin(self):
        glance = self.glance(self.gate(
            DEVSTACK_PLUGINS='devstack-plugin-ceph,multistore-hooks',
            LAB_CEPH_CONF=self.one.conf, LAB_CEPH_KEYRING=self.one.keyring,
            MULTISTORE_STORES='cheap:file,robust:rbd,site2:rbd', MULTISTORE_DEFAULT='robust'))
        self.assert_stores_work(glance, 'robust', ['cheap', 'robust', 'site2'])
        image = glance.add_image(DATA, ['site2'])
        self.assertFalse(self.in_pool(self.one, 'images', image))
        self.assertTrue(self.in_pool(self.one, 'images-site2', image))

    def test_a_cluster_that_refuses_the_user_ends_post_config(self):
        gate = gates.Gate(shared.folder('gate'), ENABLED_SERVICES='g-api,key',
                          MULTISTORE_STORES='robust:rbd', MULTISTORE_RBD_CONF_robust=self.one.conf,
                          MULTISTORE_RBD_USER_robust='stranger')
        outcome = gate.run('stack')
        self.assertNotEqual(0, outcome.code)
        self.assertIn('The RBD store robust cannot be reached as client stranger', outcome.output)
