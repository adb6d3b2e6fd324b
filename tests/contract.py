# SPDX-License-Identifier: Apache-2.0
"""What an ImageApi and the Glance behind it do: one suite for the fake and for a real Glance.

Stores of the Glance under test: rbd (default), ceph1-rbd, 'odd %2B name', web (read-only), off
(listed, but takes nothing), full (takes nothing more).
"""

import io
import time

from glanceclient import client as glanceclient
from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
import requests

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.upload import transfer

STORES = {'rbd': 'file', 'ceph1-rbd': 'file', 'odd %2B name': 'file', 'web': 'http',
          'off': 'disabled', 'full': 'full'}
DEFAULT = 'rbd'
ADMIN, MEMBER, OTHER = 'admin:admin:admin,member,reader', 'u1:p1:member,reader', 'u2:p2:member,reader'


def session_client(url, token, adapter=None):
    """Return a glanceclient on a keystoneauth session, as Nova and Cinder have one."""
    http = requests.Session()
    if adapter is not None:
        http.mount('http://', adapter)
    session = ks_session.Session(auth=token_endpoint.Token(url, token), session=http)
    return glanceclient.Client('2', session=session, endpoint_override=url)


def plain_client(url, token, adapter=None):
    """Return a glanceclient without keystone, as Cinder has one with auth_strategy=noauth."""
    made = glanceclient.Client('2', endpoint=url, token=token)
    if adapter is not None:
        made.http_client.session.mount('http://', adapter)
    return made


def run_with(make_client, attempts=1):
    """Return the ``run`` of a service that tries a 503 again, each time with a new client."""
    def run(verb, function):
        import glanceclient.exc
        for attempt in range(attempts):
            handed = client.Handed(make_client())
            try:
                return getattr(handed.images, verb)(function)
            except glanceclient.exc.HTTPServiceUnavailable:
                if attempt == attempts - 1:
                    raise
    return run


class ImageApiContract:
    """Mixed into a test case that says how to reach the Glance under test."""

    def images(self, token=MEMBER, attempts=1):
        """Return an ImageApi with the rights of a token."""
        raise NotImplementedError

    def queued(self, token=MEMBER):
        """Make an image record without data; return its id."""
        raise NotImplementedError

    def fail_once(self, method, path, status, after):
        """Make the next such request fail after so many bytes of its body."""
        raise NotImplementedError

    def active(self, data=b'data', store=None):
        image_id = self.queued()
        self.images().upload(image_id, transfer.CountedBody(data), store)
        return image_id

    def finish(self, image_id):
        """Wait until no copy of an image is going on; return the image."""
        deadline = time.monotonic() + 30
        while True:
            image = self.images().image(image_id)
            if not image.record.get('os_glance_import_task') or time.monotonic() > deadline:
                return image
            time.sleep(0.05)

    def test_discovery_tells_ids_default_and_read_only(self):
        stores = self.images().stores()
        self.assertEqual(set(STORES), set(stores.ids))
        self.assertEqual(DEFAULT, stores.default)
        self.assertEqual(['web'], [store.id for store in stores.stores if store.read_only])
        self.assertFalse(stores.follows_base_image)

    def test_image_in_no_store_yet(self):
        image = self.images().image(self.queued())
        self.assertEqual(('queued', None, ()), (image.status, image.size, image.stores))

    def test_upload_without_store_goes_to_the_default(self):
        image = self.images().image(self.active(b'12345'))
        self.assertEqual(('active', 5, (DEFAULT,)), (image.status, image.size, image.stores))

    def test_upload_goes_to_the_very_store_whose_name_contains_another(self):
        self.assertEqual(('ceph1-rbd',), self.images().image(self.active(store='ceph1-rbd')).stores)

    def test_a_store_id_is_sent_as_it_is(self):
        self.assertEqual(('odd %2B name',), self.images().image(self.active(store='odd %2B name')).stores)

    def test_upload_to_unknown_store_is_a_bad_request_and_the_image_stays_queued(self):
        image_id = self.queued()
        error = self.assertRaises(api.BadRequest, self.images().upload, image_id,
                                  transfer.CountedBody(b'data'), 'nope')
        self.assertIn('nope', str(error))
        self.assertEqual('queued', self.images().image(image_id).status)

    def test_upload_to_a_store_that_takes_nothing_is_gone(self):
        for store in ('web', 'off'):
            image_id = self.queued()
            self.assertRaises(api.Gone, self.images().upload, image_id,
                              transfer.CountedBody(b'data'), store)
            self.assertEqual('queued', self.images().image(image_id).status)

    def test_upload_to_a_full_store_is_too_large(self):
        image_id = self.queued()
        self.assertRaises(api.TooLarge, self.images().upload, image_id,
                          transfer.CountedBody(b'x' * 70000), 'full')
        self.assertEqual('queued', self.images().image(image_id).status)

    def test_a_second_upload_is_a_conflict(self):
        image_id = self.active()
        self.assertRaises(api.Conflict, self.images().upload, image_id, transfer.CountedBody(b'again'))

    def test_upload_after_a_503_in_the_middle_is_whole(self):
        image_id = self.queued()
        data = bytes(bytearray(range(256))) * 1024 * 12  # 3 MiB: some pieces of glanceclient's
        self.fail_once('PUT', '/file', 503, after=1024 * 1024)
        body = transfer.CountedBody(io.BytesIO(data))
        self.images(attempts=2).upload(image_id, body)
        image = self.images().image(image_id)
        self.assertEqual((len(data), 'active'), (image.size, image.status))
        self.assertEqual(len(data), body.sent)

    def test_missing_image_is_not_found(self):
        missing = '00000000-1111-2222-3333-444444444444'
        self.assertRaises(api.NotFound, self.images().image, missing)
        self.assertRaises(api.NotFound, self.images().delete, missing)
        self.assertRaises(api.NotFound, self.images().copy, missing, ['rbd'])
        self.assertRaises(api.NotFound, self.images().upload, missing, transfer.CountedBody(b'data'))

    def test_image_of_another_project_is_not_found(self):
        self.assertRaises(api.NotFound, self.images(OTHER).image, self.active())

    def test_deleted_image_is_gone_for_good(self):
        image_id = self.active()
        self.images().delete(image_id)
        self.assertRaises(api.NotFound, self.images().image, image_id)

    def test_copy_puts_the_image_into_the_other_store_too(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        image = self.finish(image_id)
        self.assertEqual({'rbd', 'ceph1-rbd'}, set(image.stores))
        self.assertEqual(((), ()), (image.importing_to, image.failed_import))

    def test_copy_that_fails_is_listed_as_failed(self):
        image_id = self.active(b'x' * 70000)
        self.images(ADMIN).copy(image_id, ['full'])
        image = self.finish(image_id)
        self.assertEqual((('rbd',), ('full',)), (image.stores, image.failed_import))

    def test_copy_to_where_it_is_already_is_a_bad_request(self):
        self.assertRaises(api.BadRequest, self.images(ADMIN).copy, self.active(), ['rbd'])

    def test_copy_to_unknown_store_is_a_conflict(self):
        self.assertRaises(api.Conflict, self.images(ADMIN).copy, self.active(), ['nope'])

    def test_copy_of_an_image_without_data_is_a_conflict(self):
        self.assertRaises(api.Conflict, self.images(ADMIN).copy, self.queued(), ['rbd'])

    def test_copy_by_a_member_is_forbidden(self):
        self.assertRaises(api.Forbidden, self.images().copy, self.active(), ['ceph1-rbd'])
