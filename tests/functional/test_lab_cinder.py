# SPDX-License-Identifier: Apache-2.0
"""The lab for Cinder shows what stock Cinder does, on a real Glance.

These are statements about the lab and about stock code; what the hooks make
of it is tested elsewhere, with the same lab.
"""
import json
import os
import shutil
import subprocess
import unittest

import fixtures
import requests
import testtools

from lab.cinder import run
from lab.cinder import server
from lab import glance
from lab.poll import LabError
from lab import standins

CHEAP = {'name': 'gold', 'extra_specs': {'image_service:store_id': 'cheap'}}
NOWHERE = {'name': 'tin', 'extra_specs': {'image_service:store_id': 'nowhere'}}
SIZE = (1 << 20) + 4096
STAND_IN = os.path.join(standins.BIN, 'qemu-img')

_shared = {}


def setUpModule():
    """Start one Glance for all tests; keep Cinder's migrated database for them."""
    directory = fixtures.TempDir()
    directory.setUp()
    unittest.addModuleCleanup(directory.cleanUp)
    served = glance.Glance(os.path.join(directory.path, 'glance'),
                           {'fast': 'file', 'cheap': 'file'}, default='fast')
    unittest.addModuleCleanup(served.stop)
    served.start()
    _shared.update(glance=served, cache_dir=os.path.join(directory.path, 'cache'))


def _upload(volume, **image):
    return {'volume': volume, 'image': image}


class LabTestCase(testtools.TestCase):
    """Every test has a Glance with the stores fast (default) and cheap, and a volume's bytes."""

    def setUp(self):
        super().setUp()
        self.glance = _shared['glance']
        self.cache_dir = _shared['cache_dir']
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.bytes = os.urandom(SIZE)
        self.bytes_from = os.path.join(self.directory, 'volume.raw')
        with open(self.bytes_from, 'wb') as volume:
            volume.write(self.bytes)

    def in_stores(self, image_id):
        """Return {store: whether the file there has the volume's bytes}, from the disk itself."""
        return {store: self.glance.data(store, image_id) == self.bytes
                for store in self.glance.stores if image_id in self.glance.files(store)}

    def is_gone(self, image_id):
        """Return whether Glance has no such image any more."""
        return self.glance.request('GET', '/v2/images/' + image_id).status == 404


class VolumeProgramTest(LabTestCase):
    """lab.cinder.volume with Cinder's own manager."""

    def upload(self, *operations, **request):
        """Run the operations and return their results."""
        request.update(glance_url=self.glance.url, operations=list(operations),
                       cache_dir=self.cache_dir)
        response = run.run(request)
        self.assertEqual('cinder.volume.manager.VolumeManager', response['volume_manager'])
        return response['results']

    def volume(self, **more):
        """Return the description of a volume with this test's bytes."""
        return dict(more, bytes_from=self.bytes_from)

    def test_an_untyped_and_a_typed_volume_land_where_stock_cinder_puts_them(self):
        default, typed = self.upload(
            _upload(self.volume(), name='default'),
            _upload(self.volume(type=CHEAP), name='typed'))
        self.assertEqual([None, None], [default['error'], typed['error']])
        self.assertEqual({'fast': True}, self.in_stores(default['image_id']))
        self.assertEqual({'cheap': True}, self.in_stores(typed['image_id']))
        self.assertEqual('typed', self.glance.image(typed['image_id'])['name'])

    def test_a_base_image_changes_nothing_in_stock_cinder(self):
        base = self.glance.add_image(b'base' * 1024, ['cheap'], visibility='public')
        result, = self.upload(_upload(self.volume(
            bootable=True, glance_metadata={'image_id': base})))
        self.assertIsNone(result['error'])
        self.assertEqual({'fast': True}, self.in_stores(result['image_id']))

    def test_noauth_drops_the_store_that_the_type_names(self):
        results = self.upload(
            _upload(self.volume(type=CHEAP)), _upload(self.volume(type=NOWHERE)), auth='noauth')
        for result in results:
            self.assertIsNone(result['error'])
            self.assertEqual({'fast': True}, self.in_stores(result['image_id']))

    def test_an_unknown_store_ends_in_an_error_without_an_image(self):
        result, = self.upload(_upload(self.volume(type=NOWHERE)))
        self.assertIn('nowhere', result['error'])
        self.assertEqual('available', result['volume_status'])
        self.assertEqual({}, self.in_stores(result['image_id']))
        self.assertTrue(self.is_gone(result['image_id']))
        self.assertIn('ERROR cinder.volume.manager', ' '.join(result['log']))

    def test_stock_cinder_cannot_upload_a_volume_without_a_type(self):
        untyped, after = self.upload(_upload(self.volume(type=False)), _upload(self.volume()))
        self.assertEqual("AttributeError: 'NoneType' object has no attribute 'extra_specs'",
                         untyped['error'])
        self.assertIsNone(untyped['volume_type'])
        self.assertIsNone(after['error'])

    @testtools.skipUnless(shutil.which('qemu-img'), 'no qemu-img on this machine')
    def test_a_raw_volume_is_uploaded_as_qcow2(self):
        result, = self.upload(_upload(self.volume(type=CHEAP), disk_format='qcow2'))
        self.assertIsNone(result['error'])
        uploaded = os.path.join(self.glance.dir('cheap'), result['image_id'])
        back = os.path.join(self.directory, 'back.raw')
        subprocess.check_call(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', uploaded, back])
        with open(back, 'rb') as raw:
            self.assertEqual(self.bytes, raw.read())

    def test_without_qemu_img_a_raw_volume_is_uploaded_by_the_stand_in(self):
        self.useFixture(fixtures.EnvironmentVariable('PATH', self.path_without_qemu_img()))
        response = run.run({'glance_url': self.glance.url, 'cache_dir': self.cache_dir,
                           'operations': [_upload(self.volume()),
                                          _upload(self.volume(), disk_format='qcow2')]})
        self.assertEqual('stand-in for raw', response['qemu_img'])
        raw, qcow2 = response['results']
        self.assertIsNone(raw['error'])
        self.assertEqual({'fast': True}, self.in_stores(raw['image_id']))
        self.assertIn('cannot handle format qcow2; install qemu-img', qcow2['error'])

    def path_without_qemu_img(self):
        """Return a PATH with every program of this machine's but qemu-img."""
        programs = os.path.join(self.directory, 'programs')
        os.mkdir(programs)
        for folder in os.get_exec_path():
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                link = os.path.join(programs, name)
                if name != 'qemu-img' and not os.path.lexists(link):
                    os.symlink(os.path.join(folder, name), link)
        return programs

    def test_a_manager_that_is_not_there_is_reported_in_one_line(self):
        failure = self.assertRaises(
            LabError, run.run,
            {'glance_url': self.glance.url, 'operations': [], 'cache_dir': self.cache_dir,
             'volume_manager': 'no_such_module.VolumeManager'})
        self.assertIn('no_such_module', str(failure))
        self.assertNotIn('\n', str(failure))


class ServerTest(LabTestCase):
    """lab.cinder.server: the services over HTTP."""

    def start(self, **options):
        """Start Cinder and return it; it ends with the test."""
        state_dir = os.path.join(self.directory, 'cinder')
        cinder = server.Cinder(self.glance.url, state_dir, cache_dir=self.cache_dir, **options)
        self.addCleanup(cinder.stop)
        return cinder.start()

    def volume_with_bytes(self, cinder, **options):
        """Create a volume from an image that has this test's bytes, cut to their size."""
        image = self.glance.add_image(self.bytes, ['cheap'], visibility='public')
        volume = cinder.create_volume(image=image, **options)
        self.assertEqual(image, cinder.volume(volume)['volume_image_metadata']['image_id'])
        cinder.shrink(volume, SIZE)
        return volume

    def test_a_volume_from_an_image_is_uploaded_to_its_types_store(self):
        cinder = self.start()
        cinder.create_type(CHEAP['name'], CHEAP['extra_specs'])
        volume = self.volume_with_bytes(cinder, volume_type='gold')
        image = cinder.upload(volume, 'uploaded')
        self.assertEqual('available', cinder.wait_volume(volume)['status'])
        self.assertEqual({'cheap': True}, self.in_stores(image))
        cinder.delete_volume(volume)

    def test_an_upload_that_glance_refuses_leaves_a_message_for_the_user(self):
        cinder = self.start()
        cinder.create_type(NOWHERE['name'], NOWHERE['extra_specs'])
        volume = cinder.create_volume(volume_type='tin')
        cinder.shrink(volume, SIZE)
        image = cinder.upload(volume)
        cinder.wait_volume(volume)
        self.assertTrue(self.is_gone(image))
        self.assertEqual([volume], [reported['resource_uuid'] for reported in cinder.messages()])

    def test_noauth_drops_the_store_that_the_type_names(self):
        cinder = self.start(auth='noauth')
        cinder.create_type(NOWHERE['name'], NOWHERE['extra_specs'])
        volume = self.volume_with_bytes(cinder, volume_type='tin')
        image = cinder.upload(volume)
        cinder.wait_volume(volume)
        self.assertEqual({'fast': True}, self.in_stores(image))

    def test_nothing_is_left_running_after_the_end(self):
        cinder = self.start()
        url = cinder.url
        cinder.stop()
        cinder.url = url
        self.assertRaises(requests.ConnectionError, cinder.request, 'GET', '/volumes')


class StandInTest(testtools.TestCase):
    """The stand-in for qemu-img, as a program."""

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'disk')

    def run_program(self, *words):
        """Run it and return what it printed."""
        return subprocess.check_output([STAND_IN] + list(words), stderr=subprocess.STDOUT).decode()

    def test_a_raw_file_is_described_grown_and_copied(self):
        content = b'a' * 4096 + bytes(3 << 20) + b'z' * 100 + bytes(2 << 20)
        with open(self.path, 'wb') as disk:
            disk.write(content)
        self.run_program('convert', '-t', 'none', '-f', 'raw', '-O', 'raw', self.path,
                         self.path + '2')
        with open(self.path + '2', 'rb') as copy:
            self.assertEqual(content, copy.read())
        self.run_program('resize', '-f', 'raw', self.path + '2', '1G')
        reported = json.loads(self.run_program('info', '--output=json', self.path + '2'))
        self.assertEqual(('raw', 1 << 30), (reported['format'], reported['virtual-size']))
        self.assertLess(reported['actual-size'], 3 << 20)
        self.assertIn('file format: raw', self.run_program('info', self.path))

    def test_another_format_is_refused(self):
        with open(self.path, 'wb') as disk:
            disk.write(b'QFI\xfb' + bytes(1000))
        failure = self.assertRaises(subprocess.CalledProcessError,
                                    self.run_program, 'info', self.path)
        self.assertIn(b'is qcow2; install qemu-img', failure.output)
