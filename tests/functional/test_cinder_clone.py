# SPDX-License-Identifier: Apache-2.0
"""The clone path: a clone of the volume becomes the image, in a real Glance's Cinder stores.

Glance asks the same real Cinder about the volume. The bytes are those of the clone's file.
"""

import importlib.util

from lab.cinder import client
from lab import glance
from lab import keystone
from lab import poll
from lab import ports
from tests.functional import cinder_base

SERVICE = client.MEMBER + ',service'
CLONES = {'directory': {'image_upload_use_cinder_backend': 'true',
                        'volume_driver': 'lab.cinder.cloning.CloningDriver'}}
KEY = 'image_service:store_id'


class CloneTestCase(cinder_base.CinderTestCase):
    """Stores: fast (default) and cheap are files, gold and silver Cinder stores for types of their names."""

    def setUp(self):
        if not importlib.util.find_spec('cinderclient'):
            self.skipTest('glance_store needs python-cinderclient for its Cinder store')
        super().setUp()

    def start(self, show, token, stock=False, filters=(), **overrides):
        """Start keystone's stand-in, Cinder and Glance; ``token`` is who asks for uploads."""
        auth = keystone.Keystone(client.PROJECT)
        auth.__enter__()
        self.addCleanup(auth.__exit__)
        port = ports.free()
        chosen = dict(CLONES, **overrides)
        if stock:
            chosen['DEFAULT'] = dict(chosen.get('DEFAULT', {}), volume_manager=cinder_base.STOCK_MANAGER,
                                     volume_api_class='cinder.volume.api.API')
        self.cinder = self.start_cinder('http://127.0.0.1:%d' % port, chosen)
        auth.catalog.update({kind: self.cinder.url for kind in ('block-storage', 'volumev3', 'volume')})
        mine = {'cinder_store_auth_address': auth.auth_url, 'cinder_store_user_name': 'glance',
                'cinder_store_password': 'x', 'cinder_store_project_name': 'service',
                'cinder_store_user_domain_name': 'Default',
                'cinder_store_project_domain_name': 'Default'}
        stores = {'fast': 'file', 'cheap': 'file'}
        stores.update({name: ('cinder', dict(mine, cinder_volume_type=name))
                       for name in ('gold', 'silver')})
        self.start_glance(stores, filters, port=port, faults=True, conf={'DEFAULT': {
            'show_multiple_locations': 'true' if show else 'false', 'do_secure_hash': 'false'}})
        self.token = token

    def upload(self, volume_type=None, specs=None, base=None, settle=True):
        """Upload a new volume; return its image's record, or None, and the clones that there are."""
        if volume_type:
            self.cinder.create_type(volume_type, specs)
        volume = self.volume_with_bytes(self.cinder, image=base, volume_type=volume_type)
        self.glance.forget_requests()
        action = {'os-volume_upload_image': {'image_name': 'x', 'disk_format': 'raw',
                                             'container_format': 'bare'}}
        image = self.cinder.request('POST', '/volumes/%s/action' % volume, action, self.token)[
            'os-volume_upload_image']['image_id']
        self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
        if settle:
            # The volume is available before Glance has taken the clone on, and before one is deleted.
            poll.until('end of the upload', lambda: self.is_settled(image))
        found = self.glance.request('GET', '/v2/images/' + image)
        return (found.json() if found.status == 200 else None), self.clones_of(image)

    def is_settled(self, image):
        """Return whether an image is active or gone, and no volume is being deleted."""
        found = self.glance.request('GET', '/v2/images/' + image)
        return (found.status == 404 or found.json()['status'] == 'active') and not [
            one for one in self.cinder.request('GET', '/volumes/detail')['volumes']
            if one['status'] == 'deleting']

    def clones(self):
        """Return {id: image} of all clones that were to become an image.

        Glance's Cinder store calls its volumes the same, and leaves some behind when it fails.
        """
        volumes = self.cinder.request('GET', '/volumes/detail')['volumes']
        return {one['id']: one['name'][len('image-'):] for one in volumes
                if one['name'].startswith('image-') and one['source_volid']}

    def clones_of(self, image):
        return [clone for clone, of in self.clones().items() if of == image]

    def assert_clone(self, store, uploaded):
        """Check that the image is a clone with the volume's bytes, in this store."""
        image, clones = uploaded
        self.assertEqual(('active', store), (image['status'], image['stores']))
        self.assertEqual(1, len(clones))
        with open(self.cinder.path_of(clones[0]), 'rb') as clone:
            self.assertEqual(self.content, clone.read())
        if 'locations' in image:
            self.assertEqual(['cinder://%s/%s' % (store, clones[0])],
                             [one['url'] for one in image['locations']])
        self.assertEqual([], self.glance.requests('PUT', '/file$'))

    def assert_uploaded(self, store, uploaded):
        """Check that the image was uploaded to this store, and no clone is left."""
        image, clones = uploaded
        self.assertEqual(('active', store, []), (image['status'], image['stores'], clones))
        self.assertEqual({store}, self.where(image['id']))


class CloneTest(CloneTestCase):

    def test_where_locations_are_shown(self):
        self.start(True, client.MEMBER)
        self.assert_clone('gold', self.upload('gold', {KEY: 'gold'}))
        # The store is named, and the type is not the one that the store is for.
        self.assert_clone('gold', self.upload('other', {KEY: 'gold'}))
        # Not named: Glance goes by the type.
        self.assert_clone('silver', self.upload('silver'))
        # A store that keeps no volumes; Glance says so to administrators and services only.
        self.assert_uploaded('cheap', self.upload('files', {KEY: 'cheap'}))
        # No store is for this type: Glance cannot use the clone.
        self.assert_uploaded('fast', self.upload())

    def test_where_locations_are_hidden_and_cinder_is_a_service(self):
        self.start(False, SERVICE)
        self.assert_clone('gold', self.upload('gold', {KEY: 'gold'}))
        self.assert_clone('silver', self.upload('silver'))
        self.assert_uploaded('fast', self.upload())
        self.assert_uploaded('cheap', self.upload('files', {KEY: 'cheap'}))
        # Glance shows the kinds of its stores to services: no clone was tried.
        self.assertEqual([], self.glance.requests('POST', '/locations$'))
        self.assertIn('the store cheap does not keep images on volumes', self.cinder.log)

    def test_where_locations_are_hidden_and_cinder_is_nobody(self):
        self.start(False, client.MEMBER)
        self.assert_uploaded('fast', self.upload('silver'))
        self.assert_uploaded('cheap', self.upload('files', {KEY: 'cheap'}))

    def test_base_image_decides_as_for_an_upload(self):
        self.start(True, client.MEMBER, filters=[glance.BASE_IMAGE_FILTER])
        cheap, both = self.base_image('cheap'), self.base_image('fast', 'cheap')
        self.assert_uploaded('cheap', self.upload(base=cheap))
        image, clones = self.upload(base=both)
        self.glance.wait_for_import(image['id'])
        self.assertEqual({'fast', 'cheap'}, self.where(image['id']))
        self.assertEqual([], clones)
        # A named store comes first.
        self.assert_clone('gold', self.upload('gold', {KEY: 'gold'}, base=cheap))

    def test_a_store_that_is_not_there_is_reported_before_a_clone_is_made(self):
        self.start(True, client.MEMBER, multistore_hooks={'upload_store': 'nowhere'},
                   DEFAULT={'volume_api_class': 'cinder.volume.api.API'})
        image, clones = self.upload()
        self.assertEqual((None, []), (image, clones))
        self.assertNotIn('Creating image volume entry', self.cinder.log)
        self.assertIn("upload_store names the Glance store 'nowhere', which does not exist",
                      self.cinder.log)

    def test_stock_cinder_does_worse(self):
        self.start(False, SERVICE, stock=True)
        image, clones = self.upload(settle=False)
        left = (image and image['status'], len(clones))
        if left == ('active', 0):
            self.skipTest('this release knows the older location call only, and uploads')
        # From 2025.1 on reported as a success, with an image that never gets data and a clone of no use;
        # before, the upload failed for want of a volume type.
        self.assertIn(left, [('queued', 1), (None, 1), (None, 0)])


class LostResponseTest(CloneTestCase):
    """Glance took the clone, or may have, and its response did not arrive."""

    def start(self, show, token, timeout=poll.SECONDS):
        super().start(show, token, DEFAULT={'glance_num_retries': '0', 'glance_request_timeout': timeout})

    def test_a_clone_that_was_taken_stays(self):
        self.start(True, client.MEMBER)
        self.glance.fault('PATCH', '/v2/images/', at='after', action='reset')
        self.assert_clone('gold', self.upload('gold', {KEY: 'gold'}))

    def test_without_a_response_image_and_clone_go_and_the_error_says_why(self):
        self.start(True, client.MEMBER, timeout=5)
        self.glance.fault('PATCH', '/v2/images/', action='hang', seconds=600)
        self.assertEqual((None, []), self.upload('gold', {KEY: 'gold'}))
        self.assertIn('Connection to glance failed', self.cinder.log)

    def test_a_clone_stays_when_glance_can_neither_report_nor_delete(self):
        self.start(True, client.MEMBER)
        self.glance.fault('PATCH', '/v2/images/', at='after', action='reset')
        self.glance.fault('GET', '/v2/images/[0-9a-f-]+$', status=500, times=None)
        self.glance.fault('DELETE', '/v2/images/', status=500, times=None)
        self.cinder.create_type('gold', {KEY: 'gold'})
        volume = self.volume_with_bytes(self.cinder, volume_type='gold')
        image = self.cinder.upload(volume)
        self.cinder.wait_volume(volume)
        self.glance.clear_faults()
        self.assertEqual('active', self.glance.image(image)['status'])
        clone, = self.clones_of(image)
        self.assertIn('Volume %s may be the data of image %s' % (clone, image), self.cinder.log)
