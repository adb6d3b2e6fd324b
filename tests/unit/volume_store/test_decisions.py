# SPDX-License-Identifier: Apache-2.0
"""Locations, sizes, ownership, zeros, options: what is decided without asking anybody."""

import random

from oslo_config import cfg
import testtools

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import volume_attachment
from multistore_hooks.volume_store import volume_uri
from multistore_hooks.volume_store import zeros

VOLUME = '0f1e2d3c-4b5a-4968-8776-655443322110'
IMAGE = 'aa1e2d3c-4b5a-4968-8776-6554433221bb'
PROJECT, OTHER = '7a1c0de5e7f04b0b9d4e6f8a9b0c1d2e', '8b2d1ef6f8a15c1cae5f7a9bac1d2e3f'


class LocationTest(testtools.TestCase):

    def test_locations_are_those_of_the_stock_driver(self):
        self.assertEqual('cinder://gold/' + VOLUME, volume_uri.uri('gold', VOLUME))
        self.assertEqual('cinder://' + VOLUME, volume_uri.uri(None, VOLUME))
        self.assertEqual(('cinder://gold', 'cinder://'), (volume_uri.prefix('gold'), volume_uri.prefix(None)))

    def test_both_forms_are_read(self):
        for found in ('cinder://gold/' + VOLUME, 'cinder://' + VOLUME):
            self.assertEqual(VOLUME, volume_uri.volume_of(found))

    def test_a_volume_has_one_spelling(self):
        for found in (VOLUME.upper(), VOLUME.replace('-', ''), '{%s}' % VOLUME):
            self.assertEqual(VOLUME, volume_uri.volume_of('cinder://gold/' + found))

    def test_anything_else_is_refused(self):
        for found in ('file:///etc/shadow', 'cinder://gold/x', 'cinder://', 'cinder://a/b/' + VOLUME,
                      'cinder://gold/' + VOLUME + '/', 'cinder://gold/../' + VOLUME + '?x'):
            self.assertRaises(ValueError, volume_uri.volume_of, found)


class ImagesTest(testtools.TestCase):

    def volume(self, gib=1, project=PROJECT, name='', **metadata):
        return images.Volume(VOLUME, 'available', gib, metadata, project, name=name)

    def test_the_metadata_are_the_specifications_and_what_cinder_and_the_stock_driver_read(self):
        self.assertEqual(
            {'image_id': IMAGE, 'glance_image_id': IMAGE, 'image_owner': 'me', 'image_size': '5'},
            images.metadata(IMAGE, 'me', 5))

    def test_what_is_not_known_is_not_reported(self):
        self.assertEqual({'image_id', 'glance_image_id'}, set(images.metadata(IMAGE, None, 0)))

    def test_an_image_of_either_driver_or_of_cinder_is_ours(self):
        for found in (self.volume(glance_image_id=IMAGE), self.volume(image_id=IMAGE),
                      self.volume(glance_image_id=IMAGE, project=None),
                      self.volume(glance_image_id=IMAGE, project='7a1c0de5-e7f0-4b0b-9d4e-6f8a9b0c1d2e'),
                      self.volume(name='image-' + IMAGE, image_owner='somebody'),
                      self.volume(name='image-' + IMAGE, image_owner=OTHER, project=OTHER, readonly='True'),
                      self.volume(glance_image_id=IMAGE, image_owner=OTHER, project=OTHER, readonly='True')):
            self.assertIsNone(images.why_not_ours(found, [PROJECT]), found)
            self.assertIsNone(images.why_not_ours(found, ['new', PROJECT]), found)

    def test_what_is_no_image_or_in_another_project_is_not_ours(self):
        for found in (self.volume(), self.volume(glance_image_id=''), self.volume(image_size='5'),
                      self.volume(name='image-' + IMAGE), self.volume(name='image-x', image_owner='me'),
                      self.volume(glance_image_id=IMAGE, project=OTHER),
                      self.volume(name='image-' + IMAGE, image_owner=PROJECT, project=OTHER),
                      # One that was transferred to another project, with metadata that suit it.
                      self.volume(glance_image_id=IMAGE, image_owner=OTHER, project=OTHER),
                      self.volume(glance_image_id=IMAGE, image_owner=OTHER, project=OTHER, readonly='False'),
                      self.volume(glance_image_id=IMAGE, image_owner='somebody', project=OTHER)):
            self.assertIsNotNone(images.why_not_ours(found, [PROJECT, 'new']), found)

    def test_the_size_is_given_by_the_metadata_or_else_by_the_volume(self):
        self.assertEqual(5, images.size(self.volume(image_size='5')))
        self.assertEqual(2 * images.GIB, images.size(self.volume(gib=2)))

    def test_a_size_that_cannot_be_is_refused(self):
        for reported in ('', '-1', 'x', '1e3', str(images.GIB + 1)):
            self.assertRaises(errors.NotUsable, images.size, self.volume(image_size=reported))

    def test_volumes_have_whole_gib(self):
        self.assertEqual([1, 1, 1, 2], [images.gib_for(size) for size in (
            0, 1, images.GIB, images.GIB + 1)])

    def test_a_range_without_a_length_is_the_remainder(self):
        self.assertEqual([10, 7, 2, 0, 4], [
            images.extent(10, 0, None), images.extent(10, 3, None), images.extent(10, 3, 2),
            images.extent(10, 10, None), images.extent(10, 6, 99)])
        for offset, length in ((11, None), (-1, None), (0, -1)):
            self.assertIsNone(images.extent(10, offset, length))

    def test_what_cinder_returns_is_taken_over(self):
        found = images.Volume.from_cinder({
            'id': VOLUME, 'status': 'in-use', 'size': 3, 'metadata': {'readonly': 'True'},
            'os-vol-tenant-attr:tenant_id': 'p', 'volume_type': 't', 'encrypted': True, 'description': None})
        self.assertEqual(('in-use', 3, 'p', 't', True, '', True), (
            found.status, found.gib, found.project, found.type, found.encrypted, found.description,
            found.read_only))


class UnusableTest(testtools.TestCase):

    def test_what_would_not_be_the_images_bytes_is_refused(self):
        self.assertIsNone(volume_attachment.unusable({'driver_volume_type': 'rbd', 'encrypted': False}))
        self.assertIsNone(volume_attachment.unusable({'format': 'raw'}))
        for connection in ({'encrypted': True}, {'format': 'qcow2'}):
            self.assertIsNotNone(volume_attachment.unusable(connection))


class ZerosTest(testtools.TestCase):

    def test_runs_cover_the_data_and_only_zeros_are_called_so(self):
        dice = random.Random(5)
        for _each in range(60):
            blocks = [bytes(zeros.BLOCK) if dice.random() < 0.5 else
                      bytes(dice.choice((0, zeros.BLOCK - 1, 77))) + b'\1' + bytes(zeros.BLOCK)
                      for _block in range(dice.randrange(6))]
            data = b''.join(block[:zeros.BLOCK] for block in blocks) + bytes(dice.randrange(99))
            at = 0
            for start, end, zero in zeros.runs(data):
                self.assertEqual(at, start)
                self.assertEqual(zero, not any(data[start:end]), (start, end))
                self.assertTrue(end == len(data) or end % zeros.BLOCK == 0)
                at = end
            self.assertEqual(len(data), at)

    def test_neighbours_are_one_run(self):
        self.assertEqual([(0, 3 * zeros.BLOCK, True)], list(zeros.runs(bytes(3 * zeros.BLOCK))))
        self.assertEqual([(0, 3 * zeros.BLOCK, False)], list(zeros.runs(b'x' * (3 * zeros.BLOCK))))
        self.assertEqual([], list(zeros.runs(b'')))

    def test_a_single_byte_in_the_middle_is_seen(self):
        for at in (1, 100, zeros.BLOCK // 2 - 1, zeros.BLOCK - 2):
            data = bytearray(zeros.BLOCK)
            data[at] = 1
            self.assertEqual([(0, zeros.BLOCK, False)], list(zeros.runs(bytes(data))))


class OptionsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        for group in ('gold', options.SHARED_GROUP):
            self.conf.register_opts(options.OPTS, group=group)
        options.register_credentials(self.conf, 'gold')
        self.conf([])

    def test_a_request_never_waits_for_ever(self):
        self.assertEqual(options.REQUEST_TIMEOUT, self.conf.gold.timeout)
        for name in ('state_timeout', 'attach_timeout', 'io_timeout'):
            self.assertTrue(options.value(self.conf, 'gold', name) > 0, name)

    def test_the_section_comes_before_the_shared_one_and_that_before_the_default(self):
        def value():
            return options.value(self.conf, 'gold', 'io_timeout')
        self.assertEqual(300, value())
        self.conf.set_override('io_timeout', 7, group=options.SHARED_GROUP)
        self.assertEqual(7, value())
        self.conf.set_override('io_timeout', 5, group='gold')
        self.assertEqual(5, value())

    def test_every_option_has_help_and_no_name_of_glances_own(self):
        names = [option.dest for option in options.list_opts()[0][1]]
        self.assertEqual(len(names), len(set(names)), names)
        self.assertEqual(set(), {'store_description', 'weight'} & set(names))
        for option in options.OPTS:
            self.assertTrue(len(option.help) > 30, option.name)

    def test_two_stores_have_credentials_of_their_own(self):
        options.register_credentials(self.conf, 'silver')
        self.conf.set_override('endpoint_override', 'http://one', group='gold')
        self.assertIsNone(self.conf.silver.endpoint_override)
