# SPDX-License-Identifier: Apache-2.0
"""Whose volume it is: foreign ones, the stock driver's, other credentials', those of a killed Glance."""

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import uuid

from lab import ceph_bindings
from lab.cinder import client
from lab.glance import ADMIN
from lab import poll
from lab.volume_store import case
from lab.volume_store.lab import OTHER
from lab.volume_store.lab import ours
from lab.volume_store.lab import PROJECTS
from lab.volume_store.lab import SERVICE
from lab.volume_store.lab import stock
from tests.functional import test_volume_store

MIB = case.MIB
SECRET = b'somebody else\'s' * 1000
SERVICE_TOKEN = '%s:%s:member,reader' % (SERVICE, PROJECTS[SERVICE])


class ForeignTest(test_volume_store.FlowCase):
    """Volumes that are no images of the store, whatever a location says."""

    def volume(self, token, metadata=None, name='volume', kind='loop'):
        """Create a volume of a project with something in it; return its id."""
        url = self.cinder.root + '/' + token.split(':')[1]
        made = self.cinder_request('POST', url + '/volumes', {'volume': {
            'size': 1, 'name': name, 'volume_type': kind, 'metadata': metadata or {}}}, token)['volume']['id']
        self.addCleanup(self.force_delete, made)
        self.wait_for(lambda: self.cinder.volumes()[made]['status'] == 'available')
        with open(self.cinder.path_of(made), 'r+b') as file:
            file.write(SECRET)
        return made

    def cinder_request(self, method, url, body, token):
        """Send a request to Cinder as a user of any project."""
        import requests
        response = requests.request(method, url, json=body, timeout=poll.SECONDS,
                                    headers={'X-Auth-Token': token})
        self.assertLess(response.status_code, 400, response.text)
        return response.json()

    def force_delete(self, volume):
        """Delete a volume if it is still there."""
        if volume in self.cinder.volumes():
            self.cinder.force_delete(volume)

    def image_at(self, store, volume):
        """Return an image whose location Glance's database says to be this volume, and its true volume."""
        image = self.upload(store, b'own data')
        own = self.volume_of(image, store)
        self.settle_attachments()
        self.set_location(image, 'cinder://%s/%s' % (store, volume))
        return image, own

    def set_location(self, image, url):
        """Write a location past Glance."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.glance.root, 'glance.sqlite'),
                                                timeout=poll.SECONDS)) as database, database:
            database.execute("UPDATE image_locations SET value = ? WHERE image_id = ? AND status = 'active'",
                             (url, image))

    def foreign(self):
        """Return volumes that are no images of a store of the service's project."""
        image = str(uuid.uuid4())
        forged = {'glance_image_id': image, 'image_id': image, 'image_size': '1000', 'image_owner': 'x'}
        yield 'of a user', self.volume(client.MEMBER)
        yield 'of a user, with the metadata of an image', self.volume(client.MEMBER, forged, 'image-' + image)
        yield 'of the service, but no image', self.volume(SERVICE_TOKEN)
        theirs = self.upload('other-gold', SECRET)
        yield 'of a store of other credentials', self.volume_of(theirs, 'other-gold')

    def test_a_foreign_volume_is_neither_read_nor_deleted(self):
        for what, volume in self.foreign():
            image, own = self.image_at('gold', volume)
            self.lab.proxy.clear()
            response = self.glance.request('GET', '/v2/images/%s/file' % image)
            self.assertNotIn(SECRET[:10], response.body, what)
            self.assertNotIn(response.status, (200, 204), what)
            response = self.glance.request('DELETE', '/v2/images/' + image)
            self.assertEqual(0, self.attached(), what)
            self.assertRegex(self.said(), 'olume %s is no image of the store gold' % volume)
            self.assertEqual(0, self.lab.proxy.count('DELETE', '/volumes/'), what)
            self.assertEqual('available', self.cinder.volumes()[volume]['status'], what)
            self.assertEqual(SECRET, self.lab.bytes_of(volume, len(SECRET)), what)
            self.set_location(image, 'cinder://gold/' + own)
            self.force_delete(own)

    def test_stock_reads_and_deletes_it(self):
        self.addCleanup(self.sweep)
        volume = self.volume(client.MEMBER)
        image, own = self.image_at('stock-loop', volume)
        self.addCleanup(self.force_delete, own)
        self.assertIn(b'somebody', self.glance.download(image))
        self.wait_for(lambda: not self.cinder.attachments())
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status)
        self.wait_for(lambda: volume not in self.cinder.volumes())


class AddedTest(test_volume_store.FlowCase):
    """A Glance that lets users add locations, as this lab's does (show_multiple_locations)."""

    def add(self, image, volume, token):
        """Add a volume of the store to an image; return Glance's response."""
        return self.glance.request(
            'PATCH', '/v2/images/' + image, token,
            data=json.dumps([{'op': 'add', 'path': '/locations/-', 'value': {
                'url': 'cinder://gold/' + volume, 'metadata': {'store': 'gold'}}}]).encode(),
            headers={'Content-Type': 'application/openstack-images-v2.1-json-patch'})

    def test_nobody_but_its_owner_adds_it_to_an_image_reads_it_and_deletes_it(self):
        image = self.upload('gold', SECRET, visibility='public')
        volume = self.volume_of(image, 'gold')
        thief = self.glance.create_image(token=client.MEMBER)['id']
        self.addCleanup(self.forget, thief)
        response = self.add(thief, volume, client.MEMBER)
        self.assertEqual(400, response.status, response)
        self.assertRegex(self.said(), 'olume %s is no image of the store gold' % volume)
        self.glance.request('DELETE', '/v2/images/' + thief, client.MEMBER)
        self.assertEqual(SECRET, self.glance.download(image))

    def test_its_owner_and_an_administrator_do(self):
        for token in (client.MEMBER, ADMIN):
            image = self.upload('gold', SECRET, token=client.MEMBER)
            other = self.glance.create_image(token=token)['id']
            response = self.add(other, self.volume_of(image, 'gold'), token)
            self.assertEqual(200, response.status, response)
            self.assertEqual(SECRET, self.glance.download(other))
            self.settle_attachments()
            self.forget(other)


class CredentialsTest(test_volume_store.FlowCase):
    """Two stores, two users, two projects."""

    def projects(self, *stores):
        """Upload to stores, one after the other; return the projects of the volumes."""
        found = []
        for store in stores:
            image = self.upload(store, b'data')
            volume = self.cinder.volumes()[self.volume_of(image, store)]
            self.assertEqual(b'data', self.glance.download(image))
            found.append(volume['os-vol-tenant-attr:tenant_id'])
        return found

    def test_each_store_uses_its_own(self):
        one, other = (PROJECTS[name] for name in (SERVICE, OTHER))
        self.assertEqual([one, other, one], self.projects('gold', 'other-gold', 'gold'))

    def test_stock_uses_the_first_for_both(self):
        self.addCleanup(self.sweep)
        found = self.projects('stock-loop', 'stock-other')
        self.assertEqual(1, len(set(found)))


class WayOverTest(test_volume_store.FlowCase):
    """A store changes its driver, and keeps its name and its images."""

    def restart(self, **kinds):
        """Start Glance again with other drivers for some stores."""
        self.settle_attachments()
        self.glance.kill()
        self.lab._stores.update(kinds)
        self.glance.start()
        self.logged = len(self.glance.log_text())

    def change(self, name, backend):
        """Upload by the stock driver, read and delete by ours, and back again."""
        self.addCleanup(self.restart, **{name: stock(backend + '-stock')})
        data = test_volume_store.picture()
        expected = (len(data), hashlib.sha512(data).hexdigest())
        old, other = (self.upload(name, data) for _ in range(2))
        volume = self.volume_of(old, name)
        self.restart(**{name: ours(backend + '-stock')})
        self.assertEqual(expected, self.digest(old))
        self.assertEqual(data[MIB - 1:3 * MIB], self.range(old, MIB - 1, 3 * MIB - 1))
        new = self.upload(name, data)
        self.settle_attachments()
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + old).status, self.said())
        self.wait_for(lambda: volume not in self.cinder.volumes())
        # Nothing was changed that would keep an operator from going back.
        self.restart(**{name: stock(backend + '-stock')})
        for image in (other, new):
            self.assertEqual(expected, self.digest(image))
            self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status)
        self.assertNothingLeft()

    def test_on_loop_devices(self):
        self.change('stock-loop', 'loop')

    def test_to_the_credentials_of_another_project(self):
        old = self.lab._stores['attached']
        self.addCleanup(self.restart, attached=old)
        image = self.upload('attached', b'data')
        volume = self.volume_of(image, 'attached')
        self.restart(attached=ours(old.volume_type, user=OTHER))
        self.assertNotIn(self.glance.request('GET', '/v2/images/%s/file' % image).status, (200, 204))
        self.assertRegex(self.said(), 'it is in the project %s' % PROJECTS[SERVICE])
        self.restart(attached=ours(
            old.volume_type, user=OTHER,
            further_projects=PROJECTS[SERVICE]))
        self.assertEqual(b'data', self.glance.download(image))
        self.settle_attachments()
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + image).status, self.said())
        self.wait_for(lambda: volume not in self.cinder.volumes())

    def test_in_ceph(self):
        if 'stock-rbd' not in self.lab._stores:
            self.skipTest(ceph_bindings.unavailable())
        self.change('stock-rbd', 'rbd')


class KilledTest(test_volume_store.FlowCase):
    """What a Glance that is killed leaves attached is undone by the one that is started."""

    def kill(self):
        """End Glance as a crash would."""
        os.killpg(self.glance.pid, signal.SIGKILL)
        self.glance.kill()

    def test_in_an_upload(self):
        image = self.glance.create_image()['id']
        self.addCleanup(self.forget, image)
        # The response cannot come, and is not waited for.
        self.break_off_upload_by(self.kill, image)
        self.assertNotEqual({}, self.cinder.volumes())
        self.glance.start()
        # The store does something, anything: it finds the notes.
        self.upload('gold', b'data')
        keep = set(self.images())
        self.wait_for(lambda: not self.cinder.attachments())
        self.wait_for(lambda: not self.leftovers())
        self.assertIn(image, keep)

    def break_off_upload_by(self, end, image):
        """Upload half of the data, let something happen, and hang up."""
        import http.client
        data = test_volume_store.picture()
        connection = http.client.HTTPConnection('127.0.0.1', self.glance.port, timeout=poll.SECONDS)
        connection.putrequest('PUT', '/v2/images/%s/file' % image)
        for name, value in (('X-Auth-Token', 'admin:admin:admin,member,reader,service'),
                            ('X-Image-Meta-Store', 'gold'), ('Content-Length', str(len(data))),
                            ('Content-Type', 'application/octet-stream')):
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(data[:len(data) // 2])
        self.wait_for(lambda: self.lab.glance.open_devices())
        end()
        connection.close()

    def test_in_a_download(self):
        data = os.urandom(64 * MIB)
        image = self.upload('gold', data)
        connection, response = self.begin_download(image)
        response.read(MIB)
        self.kill()
        connection.close()
        self.assertNotEqual({}, self.cinder.attachments())
        self.glance.start()
        self.assertEqual((len(data), hashlib.sha512(data).hexdigest()), self.digest(image))
        self.settle_attachments()
