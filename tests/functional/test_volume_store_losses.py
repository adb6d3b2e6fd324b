# SPDX-License-Identifier: Apache-2.0
"""Where glance_store's own driver loses data, and ours does not: each on both, with the same real devices.

Devices that fail are real: a loop device whose file system is full, or whose file was cut short.
"""

import hashlib
import http.client
import os
import re
import subprocess

from lab.volume_store import case
from tests.functional import test_volume_store

MIB, GIB = case.MIB, case.GIB


class Repeated:
    """A file of a size, whose bytes repeat; it is sent without a length."""

    def __init__(self, piece, size):
        self._piece, self._size, self._done = piece, size, 0

    def read(self, length=MIB):
        """Return the next bytes; less than asked for at the end of a piece."""
        first = self._done % len(self._piece)
        data = self._piece[first:first + min(length, self._size - self._done)]
        self._done += len(data)
        return data


class LossTest(test_volume_store.FlowCase):
    """One test for each way to lose data."""

    def upload_to(self, store, data):
        """Return the image, and the response to its upload."""
        image = self.glance.create_image()['id']
        self.addCleanup(self.forget, image)
        return image, self.glance.upload(image, data, store)

    def bytes_read(self, image):
        """Return what can be downloaded."""
        connection, response = self.begin_download(image)
        try:
            return response.read()
        except http.client.IncompleteRead as error:
            return error.partial
        finally:
            connection.close()

    # -- a device that returns errors for writes

    def test_a_device_that_cannot_write_stock_says_success(self):
        self.addCleanup(self.sweep)
        data = os.urandom(40 * MIB)
        image, response = self.upload_to('stock-tiny', data)
        self.assertEqual(204, response.status, response)
        shown = self.glance.image(image)
        self.assertEqual(('active', hashlib.sha512(data).hexdigest()),
                         (shown['status'], shown['os_hash_value']))
        self.assertNotEqual(data, self.lab.bytes_of(self.volume_of(image, 'stock-tiny'), len(data)))

    def test_a_device_that_cannot_write_is_an_error(self):
        image, response = self.upload_to('small', os.urandom(40 * MIB))
        self.assertIn(response.status, (413, 500, 503), response)
        shown = self.glance.image(image)
        self.assertEqual(('queued', []), (shown['status'], shown['locations']))
        self.assertRegex(self.said(), 'ERROR multistore_hooks.*(Input/output error|No space left)')
        self.assertNothingLeft()

    # -- a device that returns errors for reads

    def cut_short(self, store, attached):
        """Let Glance find out the hash of an image whose volume was cut short; return image and hashes.

        The image is one that came as a location, as from Cinder: Glance reads it once for its hash.

        :param attached: the loop device is there before, and keeps its size: reading it then fails
        """
        data = os.urandom(24 * MIB)
        uploaded, response = self.upload_to(store, data)
        self.assertEqual(204, response.status)
        self.wait_for(lambda: not self.cinder.attachments())
        volume = self.volume_of(uploaded, store)
        path = self.cinder.path_of(volume)
        if attached:
            subprocess.run(['losetup', '--find', path], check=True)
        os.truncate(path, 8 * MIB)
        self.logged = len(self.glance.log_text())
        image = self.glance.create_image()['id']
        self.addCleanup(self.forget, image)
        response = self.glance.request('POST', '/v2/images/%s/locations' % image, json_body={
            'url': 'cinder://%s/%s' % (store, volume)})
        self.assertEqual(202, response.status, response)
        return image, hashlib.sha512(data[:8 * MIB]).hexdigest()

    def stock_takes_it(self, attached):
        """Glance has the hash of the part that could be read for that of the image."""
        self.addCleanup(self.sweep)
        image, wrong = self.cut_short('stock-loop', attached)
        self.wait_for(lambda: self.glance.image(image)['os_hash_value'])
        shown = self.glance.image(image)
        self.assertEqual(('active', 24 * MIB, wrong),
                         (shown['status'], shown['size'], shown['os_hash_value']))

    def ours_does_not(self, attached, why):
        """Glance has no hash, and the log says why."""
        self.addCleanup(self.sweep)
        image, _wrong = self.cut_short('gold', attached)
        self.wait_for(lambda: re.search(why, self.said()))
        self.settle_attachments()
        self.assertIsNone(self.glance.image(image)['os_hash_value'])

    def test_an_error_in_the_middle_of_a_download_stock_takes_for_the_end(self):
        self.stock_takes_it(attached=True)

    def test_an_error_in_the_middle_of_a_download_is_an_error(self):
        self.ours_does_not(True, 'olume .*Input/output error')

    def test_a_volume_cut_short_stock_takes_for_the_image(self):
        self.stock_takes_it(attached=False)

    def test_a_volume_cut_short_is_an_error(self):
        self.ours_does_not(False, 'olume .*the volume ends there')

    def fail_while_read(self, store):
        """Cut the file of a volume short while it is downloaded; return the image and what came."""
        data = os.urandom(96 * MIB)
        image, response = self.upload_to(store, data)
        self.assertEqual(204, response.status)
        path = self.cinder.path_of(self.volume_of(image, store))
        self.logged = len(self.glance.log_text())
        connection, response = self.begin_download(image)
        try:
            found = response.read(MIB)
            os.truncate(path, 64 * MIB)
            try:
                found += response.read()
            except http.client.IncompleteRead as error:
                found += error.partial
            except ConnectionError:
                pass
        finally:
            connection.close()
        self.assertEqual(data[:len(found)], found)
        self.assertLess(len(found), len(data))
        return image

    def test_an_error_in_the_middle_of_a_download_is_reported(self):
        image = self.fail_while_read('gold')
        self.wait_for(lambda: 'ERROR' in self.said())
        self.assertRegex(self.said(),
                         'volume %s.*(Input/output error|ends there)' % self.volume_of(image, 'gold'))
        self.settle_attachments()

    # -- a share

    def grow_on_a_share(self, store):
        """Upload more than a GiB of unknown size; return its hash and what is downloaded."""
        piece, size = os.urandom(MIB), GIB + 20 * MIB
        expected = hashlib.sha512()
        for _ in range(size // MIB):
            expected.update(piece)
        image, response = self.upload_to(store, Repeated(piece, size))
        self.assertEqual(204, response.status, self.said()[-3000:])
        shown = self.glance.image(image)
        self.assertEqual((size, expected.hexdigest()), (shown['size'], shown['os_hash_value']))
        found = self.digest(image)
        self.forget(image)
        return (size, expected.hexdigest()), found

    def test_more_than_a_gib_of_unknown_size_on_a_share_stock_spoils_it(self):
        self.addCleanup(self.sweep)
        expected, found = self.grow_on_a_share('stock-nfs')
        self.assertEqual(expected[0], found[0])
        self.assertNotEqual(expected, found)

    def test_more_than_a_gib_of_unknown_size_on_a_share(self):
        expected, found = self.grow_on_a_share('paper')
        self.assertEqual(expected, found)
        self.assertNothingLeft()

    def test_more_than_a_gib_of_unknown_size_on_a_block_device(self):
        expected, found = self.grow_on_a_share('attached')
        self.assertEqual(expected, found)
        # It was extended once, and made read-only once.
        self.assertEqual(2, self.lab.proxy.count('POST', '/volumes/[^/]*/action$'))
        self.assertNothingLeft()

    def test_a_volume_on_a_share_keeps_its_size(self):
        sizes = {}
        for store in ('stock-nfs', 'paper'):
            image, response = self.upload_to(store, b'x' * MIB)
            self.assertEqual(204, response.status)
            sizes[store] = os.path.getsize(self.cinder.path_of(self.volume_of(image, store)))
        self.assertEqual({'stock-nfs': MIB, 'paper': GIB}, sizes)

    # -- an image deleted while it is read

    def delete_while_read(self, store):
        """Delete an image in the middle of a download; return the response, and whether all bytes came."""
        data = os.urandom(64 * MIB)
        image, response = self.upload_to(store, data)
        self.assertEqual(204, response.status)
        connection, download = self.begin_download(image)
        try:
            found = download.read(MIB)
            response = self.glance.request('DELETE', '/v2/images/' + image)
            try:
                found += download.read()
            except http.client.IncompleteRead as error:
                found += error.partial
        finally:
            connection.close()
        return image, response.status, found == data

    def test_an_image_deleted_while_it_is_read_stock_fails(self):
        self.addCleanup(self.sweep)
        _image, status, _whole = self.delete_while_read('stock-loop')
        self.assertEqual(500, status)

    def test_an_image_deleted_while_it_is_read_stays_and_is_read_to_its_end(self):
        image, status, whole = self.delete_while_read('gold')
        self.assertEqual((409, True), (status, whole))
        self.assertEqual('active', self.glance.image(image)['status'])
        self.settle_attachments()
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status)
        self.assertNothingLeft()

    # -- what was there before

    def test_zeros_are_zeros_on_a_device_that_held_something(self):
        size = 20 * MIB + 777
        data = test_volume_store.picture(size)
        image, response = self.upload_to('dirty', data)
        self.assertEqual(204, response.status, self.said()[-3000:])
        self.assertEqual(data, self.glance.download(image))
        stored = self.lab.bytes_of(self.volume_of(image, 'dirty'), 60 * MIB)
        # Nobody who gets a clone reads there what was on the backend before.
        self.assertEqual(bytes(60 * MIB - size), stored[size:])
