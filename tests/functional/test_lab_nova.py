# SPDX-License-Identifier: Apache-2.0
"""The Nova of the lab is the real one: its stock driver uploads snapshots to a real Glance."""

import importlib.util
import os
import sys
import tempfile
import unittest

import testtools

from lab import glance
from lab.nova import compute_hosts
from lab.nova import tree
from lab.poll import LabError

TOKEN = 'demo:p1:member,reader'
UPLOADS = ('snapshot', 'backup', 'shelve', 'cross_cell')
MISSING = [name for name in ('nova', 'glance', 'gunicorn') if not importlib.util.find_spec(name)]

DRIVER = '''
from nova.virt.libvirt import driver
from oslo_log import log

LOG = log.getLogger(__name__)


class LibvirtDriver(driver.LibvirtDriver):
    def snapshot(self, context, instance, image_id, update_task_state):
        LOG.info('the driver of the added file')
        super().snapshot(context, instance, image_id, update_task_state)
'''


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class LabNovaTest(testtools.TestCase):
    """One Glance, fast its default store, and one run of the lab with all of its operations."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = tempfile.TemporaryDirectory(prefix='lab-')
        cls.addClassCleanup(root.cleanup)
        cls.root = root.name
        cls.glance = glance.Glance(os.path.join(cls.root, 'glance'), default='fast', faults=True)
        cls.glance.start()
        cls.addClassCleanup(cls.glance.stop)
        cls.bytes = os.urandom(1024 * 1024) + b'end of disk'.ljust(512, b'.')
        cls.disk = os.path.join(cls.root, 'disk')
        with open(cls.disk, 'wb') as disk:
            disk.write(cls.bytes)
        cls.base = cls.glance.add_image(b'base', ['cheap'], TOKEN, hw_disk_bus='scsi')
        cls.glance.forget_requests()
        ran = compute_hosts.run(cls.document(
            *[cls.operation(name) for name in UPLOADS],
            {'operation': 'volume_snapshot', 'image_name': 'of-volume'}))
        cls.results = {result['operation']: result for result in ran['results']}
        cls.uploads = cls.glance.requests('PUT', '/file$')

    @classmethod
    def document(cls, *operations, **more):
        return dict(more, glance_url=cls.glance.url, token=TOKEN, operations=list(operations),
                    conf={'glance': {'num_retries': 0}})

    @classmethod
    def operation(cls, name, image_ref=None):
        return {'operation': name, 'image_ref': image_ref or cls.base, 'image_name': 'of-disk',
                'disk': {'format': 'raw', 'bytes_from': cls.disk}}

    def image_of(self, operation):
        result = self.results[operation]
        self.assertIsNone(result['error'])
        return self.glance.image(result['image_id'])

    def test_every_upload_lands_in_the_default_store_with_the_disks_bytes(self):
        for operation in UPLOADS:
            image = self.image_of(operation)
            self.assertEqual('active', image['status'])
            self.assertEqual({'fast'}, self.glance.stores_of(image['id']))
            self.assertEqual(self.bytes, self.glance.data('fast', image['id']))

    def test_every_record_carries_what_nova_api_gives_it(self):
        for operation in UPLOADS:
            image = self.image_of(operation)
            self.assertEqual(self.base, image['base_image_ref'])
            self.assertEqual('backup' if operation == 'backup' else 'snapshot',
                             image['image_type'])
            self.assertEqual('snapshot', image['image_location'])
            self.assertEqual(('p1', 'raw', 'private'), (
                image['owner'], image['disk_format'], image['visibility']))

    def test_a_server_carries_its_boot_images_properties(self):
        self.assertEqual('scsi', self.image_of('snapshot')['hw_disk_bus'])

    def test_volume_snapshot_is_a_record_of_no_bytes(self):
        image = self.image_of('volume_snapshot')
        self.assertEqual(('of-volume', 'active', 0), (
            image['name'], image['status'], image['size']))
        self.assertEqual('', image['base_image_ref'])
        self.assertIn('snapshot_id', image['block_device_mapping'])

    def test_uploads_are_the_users_requests_and_name_no_store(self):
        self.assertEqual(len(UPLOADS) + 1, len(self.uploads))
        for upload in self.uploads:
            self.assertEqual(TOKEN, upload['headers']['x-auth-token'])
            self.assertIn('x-openstack-request-id', upload['headers'])
            self.assertNotIn('x-image-meta-store', upload['headers'])

    def test_the_base_image_may_be_gone_and_glance_may_hang_up(self):
        gone = '11111111-2222-4333-8444-555555555555'
        self.glance.fault('PUT', '/file$', action='reset', skip=1)
        self.addCleanup(self.glance.clear_faults)
        kept, refused = compute_hosts.run(self.document(
            self.operation('snapshot', gone), self.operation('snapshot')))['results']
        self.assertEqual(gone, self.glance.image(kept['image_id'])['base_image_ref'])
        self.assertIn('GlanceConnectionFailed', refused['error'])
        self.assertEqual(404, self.glance.request(
            'GET', '/v2/images/' + refused['image_id']).status, 'Nova deletes its record')

    def test_a_driver_is_loaded_by_name_from_a_file_added_to_a_copy_of_nova(self):
        installed = tree.locate(sys.executable)
        root = tree.overlay(installed, os.path.join(self.root, 'overlay'),
                            {'nova/virt/multistore_lab.py': DRIVER})
        result, = compute_hosts.run(self.document(
            self.operation('snapshot'), nova_root=root,
            compute_driver='multistore_lab.LibvirtDriver'))['results']
        self.assertIsNone(result['error'])
        self.assertEqual(self.bytes, self.glance.data('fast', result['image_id']))
        self.assertIn('INFO nova.virt.multistore_lab: the driver of the added file',
                      result['log'])
        self.assertFalse(os.path.exists(os.path.join(installed, 'virt', 'multistore_lab.py')))

    def test_a_driver_that_is_not_there_is_reported(self):
        error = self.assertRaises(LabError, compute_hosts.run, self.document(
            self.operation('snapshot'), compute_driver='nothere.LibvirtDriver'))
        self.assertIn('nothere', str(error))
