# SPDX-License-Identifier: Apache-2.0
"""Images on Cinder volumes: what a user does, byte for byte, on a loop device, in Ceph, and on a share.

A real Glance with our driver, a real Cinder, os-brick as it is.
"""

import concurrent.futures
import hashlib
import os
import re
import uuid

from keystoneauth1 import adapter
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import testtools

from lab.cinder import client
from lab import glance
from lab import poll
from lab.poll import LabError
from lab.volume_store import case
from lab.volume_store.lab import PROJECTS
from lab.volume_store.lab import SERVICE
from lab.volume_store.lab import unavailable_with
from multistore_hooks.volume_store import cinder_client
from tests.functional import shared

MIB, GIB = case.MIB, case.GIB
#: Odd, longer than any piece, with holes at odd places.
SIZE = 9 * MIB + 12345
EDGES = ((0, 0), (1, 1), (4095, 4096), (4 * MIB - 1, 4 * MIB + 1), (SIZE - 1, SIZE - 1), (3, SIZE - 4))


def picture(size=SIZE):
    """Return bytes with long runs of zeros, which begin and end at no boundary."""
    data = bytearray(os.urandom(size))
    for first, last in ((MIB + 17, 3 * MIB + 5), (5 * MIB, 6 * MIB), (8 * MIB - 1, size)):
        if first < last <= size:
            data[first:last] = bytes(last - first)
    return bytes(data)


class Basics:
    """What shows how a backend differs from others."""

    sizes = (1, SIZE)

    def test_what_is_uploaded_is_downloaded(self):
        for size in self.sizes:
            data = picture(size)
            image = self.upload(self.store, data)
            self.assertEqual((size, hashlib.sha512(data).hexdigest()), self.digest(image))
            shown = self.glance.image(image)
            self.assertEqual(
                (size, hashlib.md5(data).hexdigest(), hashlib.sha512(data).hexdigest(), self.store),
                (shown['size'], shown['checksum'], shown['os_hash_value'], shown['stores']))
            self.assertEqual(data, self.lab.bytes_of(self.volume_of(image), size))
            self.forget(image)
        self.assertNothingLeft()

    def test_an_image_of_unknown_size(self):
        data = picture()
        image = self.upload(self.store, case.Chunked(data))
        self.assertEqual((SIZE, hashlib.sha512(data).hexdigest()), self.digest(image))
        volume = self.cinder.volumes()[self.volume_of(image)]
        self.assertEqual((1, str(SIZE)), (volume['size'], volume['metadata']['image_size']))

    def test_many_readers_at_once_share_one_attachment(self):
        data = picture()
        image = self.upload('patient-' + self.store, data)
        self.assertEqual({}, self.cinder.attachments())
        self.lab.proxy.clear()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: self.digest(image), range(12)))
        self.assertEqual({(SIZE, hashlib.sha512(data).hexdigest())}, set(found))
        self.assertEqual(1, self.attached())
        self.forget(image)
        self.assertNothingLeft()

    def test_an_image_whose_volume_is_in_use_is_not_deleted(self):
        data = picture()
        image = self.upload(self.store, data)
        self.settle_attachments()
        volume = self.volume_of(image)
        attachment = self.cinder.attach(volume)
        try:
            self.assertEqual('in-use', self.cinder.volumes()[volume]['status'])
            response = self.glance.request('DELETE', '/v2/images/' + image)
            self.assertEqual(409, response.status, response)
            self.assertEqual('active', self.glance.image(image)['status'])
            self.assertIn(volume, self.cinder.volumes())
        finally:
            self.cinder.detach(attachment)
        self.assertEqual((SIZE, hashlib.sha512(data).hexdigest()), self.digest(image))
        self.settle_attachments()
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status)
        self.assertNothingLeft()

    def uploaded_by_cinder(self, backend, data):
        """Return the image that Cinder makes of a volume with data; its type makes such images clones."""
        kind = self.kind.volume_type + '-of-images'
        self.make_type(kind, {'volume_backend_name': backend, 'image_service:store_id': self.store})
        source = self.upload(self.store, data, token=client.MEMBER)
        volume = self.cinder.create_volume(source, volume_type=kind)
        self.addCleanup(self.cinder.force_delete, volume)
        self.glance.forget_requests()
        image = self.cinder.upload(volume)
        self.addCleanup(self.forget, image)
        self.cinder.wait_volume(volume)
        self.wait_for(lambda: self.glance.image(image)['status'] == 'active')
        return image

    def test_volumes_that_cinder_uploads_by_cloning_are_images(self):
        data = picture()
        image = self.uploaded_by_cinder(self.kind.volume_type.partition('-')[0], data)
        self.assertEqual([], self.glance.requests('PUT', '/file$'), 'it was uploaded, not cloned: ' + ''.join(
            line for line in self.cinder.log.splitlines(True) if re.search(' (ERROR|WARNING) ', line)))
        clone = self.cinder.volumes()[self.volume_of(image)]
        self.assertNotIn('image_size', clone['metadata'])
        self.assertEqual(data, self.range(image, 0, SIZE - 1))
        self.assertEqual(GIB, self.glance.image(image)['size'])
        self.assertEqual(bytes(10), self.range(image, GIB - 10, GIB - 1))
        self.settle_attachments()
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status, self.said())
        self.wait_for(lambda: clone['id'] not in self.cinder.volumes())


class Flows(Basics):
    """Everything else, which all do alike."""

    def test_the_volume_is_what_the_specification_says(self):
        image = self.upload(self.store, picture(), token='u:a' + '0' * 31 + ':member,reader')
        self.assertEqual([], self.lab.left())
        volume = self.cinder.volumes()[self.volume_of(image)]
        self.assertEqual(
            (1, 'available', [], self.kind.volume_type, PROJECTS[SERVICE],
             'image-' + image),
            (volume['size'], volume['status'], volume['attachments'], volume['volume_type'],
             volume['os-vol-tenant-attr:tenant_id'], volume['name']))
        metadata = volume['metadata']
        self.assertEqual((image, str(SIZE), 'a' + '0' * 31, 'True'),
                         (metadata['glance_image_id'], metadata['image_size'], metadata['image_owner'],
                          metadata['readonly']))
        self.assertEqual({}, self.cinder.attachments())

    def test_ranges_are_the_bytes_requested(self):
        data = picture()
        image = self.upload(self.store, data)
        for first, last in EDGES:
            self.assertEqual(data[first:last + 1], self.range(image, first, last), (first, last))
        response = self.glance.request('GET', '/v2/images/%s/file' % image,
                                       headers={'Range': 'bytes=%d-' % MIB})
        self.assertEqual((206, data[MIB:]), (response.status, response.body))
        response = self.glance.request('GET', '/v2/images/%s/file' % image, headers={'Range': 'bytes=-77'})
        self.assertEqual((206, data[-77:]), (response.status, response.body))

    def test_a_hundred_ranges_cost_one_attachment(self):
        data = picture()
        image = self.upload('patient-' + self.store, data)
        self.lab.proxy.clear()
        for number in range(100):
            first = number * SIZE // 101
            self.assertEqual(data[first:first + 4096], self.range(image, first, first + 4095))
        self.assertEqual(1, self.attached())
        self.forget(image)
        self.assertNothingLeft()
        self.assertEqual(1, self.lab.proxy.count('DELETE', '/attachments/'))

    def test_a_deleted_image_takes_its_volume_along(self):
        image = self.upload(self.store, picture())
        volume = self.volume_of(image)
        self.assertIn(volume, self.cinder.volumes())
        self.range(image, 0, 10)   # still attached for a moment
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status, self.said())
        self.assertNothingLeft()

    def test_copies_into_the_store_and_out_of_it(self):
        data = picture()
        into = self.upload('cheap', data)
        self.glance.import_copy(into, [self.store])
        self.assertEqual({'cheap', self.store}, self.glance.stores_of(into))
        self.assertEqual(data, self.lab.bytes_of(self.volume_of(into), SIZE))
        out = self.upload(self.store, data)
        self.glance.import_copy(out, ['cheap'])
        self.assertEqual({'cheap', self.store}, self.glance.stores_of(out))
        self.assertEqual(data, self.glance.data('cheap', out))
        # Only the copy on a volume is deleted.
        volume = self.volume_of(into)
        self.assertEqual(204, self.glance.request(
            'DELETE', '/v2/stores/%s/%s' % (self.store, into)).status)
        self.assertEqual(data, self.glance.download(into))
        self.wait_for(lambda: volume not in self.cinder.volumes())

    def test_cinder_clones_a_raw_image(self):
        data = picture()
        # Cinder clones for the owner of the image.
        image = self.upload(self.store, data, token=client.MEMBER)
        self.settle_attachments()
        self.glance.forget_requests()
        volume = self.cinder.create_volume(image, volume_type=self.kind.volume_type)
        self.addCleanup(self.cinder.force_delete, volume)
        self.assertEqual([], self.glance.requests('GET', '/file$'), 'it was downloaded, not cloned')
        self.assertEqual(data, self.lab.bytes_of(volume, SIZE))
        # What is behind the image is nobody else's data.
        self.assertEqual(bytes(MIB), self.lab.bytes_of(volume, SIZE + MIB)[SIZE:])
        self.cinder.force_delete(volume)
        self.doCleanups()
        self.assertNothingLeft()

    def test_an_upload_that_the_client_breaks_off_leaves_nothing(self):
        image = self.glance.create_image()['id']
        self.addCleanup(self.forget, image)
        self.break_off_upload(image, picture())
        self.wait_for(lambda: self.glance.image(image)['status'] == 'queued')
        self.assertNothingLeft()

    def test_a_download_that_the_client_breaks_off_is_detached(self):
        image = self.upload(self.store, os.urandom(64 * MIB))
        connection, response = self.begin_download(image)
        response.read(MIB)
        connection.close()
        self.settle_attachments()


class FlowCase(case.Case):
    """What the flows need."""

    @property
    def kind(self):
        """Return the store's driver, type and user."""
        return self.lab._stores[self.store]

    def wait_for(self, condition):
        """Wait until a condition is true."""
        try:
            poll.until('it', condition)
        except LabError as error:
            self.fail('%s\n%s' % (error, self.said()[-3000:]))

    def settle_attachments(self):
        """Wait until nothing is attached any more, and no device is left."""
        self.wait_for(lambda: not self.cinder.attachments())
        self.wait_for(lambda: not self.lab.left())

    def make_type(self, name, specs):
        """Create a volume type, if it is not there."""
        found = self.cinder.request('GET', '/types', token=client.ADMIN)['volume_types']
        if name not in [one['name'] for one in found]:
            self.cinder.create_type(name, specs)

    def break_off_upload(self, image, data):
        """Announce some data, send half of it, and hang up."""
        import http.client
        connection = http.client.HTTPConnection('127.0.0.1', self.glance.port, timeout=poll.SECONDS)
        connection.putrequest('PUT', '/v2/images/%s/file' % image)
        for name, value in (('X-Auth-Token', 'admin:admin:admin,member,reader,service'),
                            ('X-Image-Meta-Store', self.store), ('Content-Length', str(len(data))),
                            ('Content-Type', 'application/octet-stream')):
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(data[:len(data) // 2])
        # There shall be a volume to leave behind.
        self.wait_for(self.attached)
        connection.close()


class LoopTest(Flows, FlowCase):
    """Files on loop devices; a connection is a block device."""

    store = 'gold'
    sizes = (1, 511, 4096, 4097, SIZE)

    def test_the_check_at_the_start_has_nothing_against_this_cinder(self):
        log = self.glance.log_text()
        for said in ('Cinder cannot be checked', 'attaches volumes to servers only',
                     '(volume_type) does not exist'):
            self.assertNotIn(said, log)
        transport = session.Session(auth=token_endpoint.Token(self.cinder.url, client.ADMIN))
        cinder = cinder_client.Cinder(adapter.Adapter(transport, service_type='block-storage'))
        self.assertTrue(cinder.attaches_without_server())
        self.assertIn(self.kind.volume_type, cinder.volume_types().values())
        self.assertIsNone(cinder.message(str(uuid.uuid4())))
        self.assertEqual({}, self.cinder.attachments())


class RbdTest(Flows, FlowCase):
    """RBD images in a real cluster, by os-brick in user space."""

    store = 'ruby'


class DetailTest(testtools.TestCase):
    """Glance's stores in detail, of which Glance has a table of its own."""

    def detail(self, **stores):
        """Return what a Glance with these stores responds with."""
        folder = shared.folder('detail')
        stores = {name: (kind, {'filesystem_store_datadir': os.path.join(folder, name)})
                  for name, kind in stores.items()}
        with glance.Glance(folder, stores) as running:
            self.assertEqual(200, running.request('GET', '/v2/info/stores').status)
            return running.request('GET', '/v2/info/stores/detail')

    def test_a_kind_that_is_not_in_the_table_is_an_error_whatever_its_driver_is(self):
        reason = unavailable_with([])
        if reason:
            self.skipTest(reason)
        self.assertEqual(['file'], [one['type'] for one in self.detail(one='file').json()['stores']])
        # The very same driver, by the other name that glance_store has for it.
        self.assertEqual(500, self.detail(one='file', other='glance.store.filesystem.Store').status)


class StockTest(FlowCase):
    """What glance_store's own driver needs for the same."""

    def test_each_range_costs_stock_an_attachment(self):
        image = self.upload('stock-loop', picture())
        self.lab.proxy.clear()
        for number in range(5):
            self.range(image, number, number + 4095)
        self.assertEqual(5, self.attached())


class MultiattachTest(Basics, FlowCase):
    """On loop devices, with volumes that may have several attachments."""

    store = 'shared'


class ShareTest(Basics, FlowCase):
    """Files on a share, as NFS has them."""

    store = 'paper'
