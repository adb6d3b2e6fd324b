# SPDX-License-Identifier: Apache-2.0
"""What an ImageApi and the Glance behind it do: one suite for the fake and for a real Glance.

Stores of the Glance under test: rbd (default), ceph1-rbd, 'odd %2B name', web (read-only), off
(listed, but takes nothing), full (takes nothing more).
"""

import io
import time
from unittest import mock
import uuid

from glanceclient import client as glanceclient
from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
import requests

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.upload import counted_body

STORES = {'rbd': 'file', 'ceph1-rbd': 'file', 'odd %2B name': 'file', 'web': 'http',
          'off': 'disabled', 'full': 'full'}
DEFAULT = 'rbd'
MISSING = '00000000-1111-2222-3333-444444444444'
ADMIN, MEMBER, OTHER = 'admin:admin:admin,member,reader', 'u1:p1:member,reader', 'u2:p2:member,reader'


def session_client(url, token, adapter=None):
    """Return a glanceclient on a keystoneauth session, as Nova and Cinder have one."""
    http = requests.Session()
    if adapter is not None:
        mount(http, adapter)
    session = ks_session.Session(auth=token_endpoint.Token(url, token), session=http)
    return glanceclient.Client('2', session=session, endpoint_override=url)


def plain_client(url, token, adapter=None):
    """Return a glanceclient without keystone, as Cinder has one with auth_strategy=noauth."""
    made = glanceclient.Client('2', endpoint=url, token=token)
    if adapter is not None:
        mount(made.http_client.session, adapter)
    return made


def mount(http, adapter):
    """Have a requests session send all by an adapter; no proxy of the environment has a part in it."""
    http.mount('http://', adapter)
    http.trust_env = False


def run_with(make_client, attempts=1):
    """Return the ``run`` of a service that tries a 503 again, each time with a new client."""
    def run(verb, function):
        import glanceclient.exc
        for attempt in range(attempts):
            handed = client.RetryLoopClient(make_client())
            try:
                return getattr(handed.images, verb)(function)
            except glanceclient.exc.HTTPServiceUnavailable:
                if attempt == attempts - 1:
                    raise
    return run


class Reached:
    """Mixed into a test case that says how to reach the Glance under test."""

    def images(self, token=MEMBER, attempts=1):
        """Return an ImageApi with the rights of a token."""
        raise NotImplementedError

    def queued(self, token=MEMBER, **properties):
        """Make an image record without data; return its id."""
        raise NotImplementedError

    def fail_once(self, method, path, status, after):
        """Make the next such request fail after so many bytes of its body."""
        raise NotImplementedError

    def hold_copies(self, image_id, store):
        """Let copies of an image that is in a store not end until they are released."""
        raise NotImplementedError

    def wait_until_held(self, image_id):
        """Wait until a copy has begun to read the data that is held."""
        raise NotImplementedError

    def holding(self, image_id):
        """Return the set of the stores that hold data of an image, whatever its record lists."""
        raise NotImplementedError

    def release_copies(self, image_id):
        """Let the copies that are held go on to their end."""
        raise NotImplementedError

    def lose(self, image_id, store):
        """Let a store lose the data of an image, as a store that is away."""
        raise NotImplementedError

    def active(self, data=b'data', store=None):
        image_id = self.queued()
        self.images().upload(image_id, counted_body.CountedBody(data), store)
        return image_id

    def finish(self, image_id):
        """Wait until no copy of an image is going on; return the image."""
        deadline = time.monotonic() + 30
        while True:
            image = self.images(ADMIN).image(image_id)
            if not image.record.get('os_glance_import_task') or time.monotonic() > deadline:
                return image
            time.sleep(0.05)


class ImageApiContract(Reached):
    """Behaviour of the Glance with the stores above."""

    def test_discovery_lists_ids_default_and_read_only(self):
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
                                  counted_body.CountedBody(b'data'), 'nope')
        self.assertIn('nope', str(error))
        self.assertEqual('queued', self.images().image(image_id).status)

    def test_upload_to_a_store_that_takes_nothing_is_gone(self):
        for store in ('web', 'off'):
            image_id = self.queued()
            self.assertRaises(api.Gone, self.images().upload, image_id,
                              counted_body.CountedBody(b'data'), store)
            self.assertEqual('queued', self.images().image(image_id).status)

    def test_upload_to_a_full_store_is_too_large(self):
        image_id = self.queued()
        self.assertRaises(api.TooLarge, self.images().upload, image_id,
                          counted_body.CountedBody(b'x' * 70000), 'full')
        self.assertEqual('queued', self.images().image(image_id).status)

    def test_a_second_upload_is_a_conflict(self):
        image_id = self.active()
        self.assertRaises(api.Conflict, self.images().upload, image_id, counted_body.CountedBody(b'again'))

    def test_upload_after_a_503_in_the_middle_is_whole(self):
        image_id = self.queued()
        data = bytes(bytearray(range(256))) * 1024 * 12  # 3 MiB: some pieces of glanceclient's
        self.fail_once('PUT', '/file', 503, after=1024 * 1024)
        body = counted_body.CountedBody(io.BytesIO(data))
        self.images(attempts=2).upload(image_id, body)
        image = self.images().image(image_id)
        self.assertEqual((len(data), 'active'), (image.size, image.status))
        self.assertEqual(len(data), body.sent)

    def test_missing_image_is_not_found(self):
        self.assertRaises(api.NotFound, self.images().image, MISSING)
        self.assertRaises(api.NotFound, self.images().delete, MISSING)
        self.assertRaises(api.NotFound, self.images().copy, MISSING, ['rbd'])
        self.assertRaises(api.NotFound, self.images().upload, MISSING, counted_body.CountedBody(b'data'))

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

    def test_images_are_listed_by_pages_with_glances_own_filters(self):
        name = 'listed-%s' % uuid.uuid4()
        made = [self.queued(name=name) for _number in range(3)]
        with mock.patch.object(client, 'PAGE', 2):
            found = list(self.images().list_images(name=name))
        self.assertEqual(made[::-1], [image.id for image in found])
        self.assertEqual([], list(self.images().list_images(name=name, status='active')))
        self.assertEqual([], list(self.images(OTHER).list_images(name=name)))
        self.assertEqual(3, len(list(self.images(ADMIN).list_images(name=name))))

    def test_hidden_images_are_listed_by_themselves(self):
        name = 'hidden-%s' % uuid.uuid4()
        hidden = self.queued(name=name, os_hidden=True)
        self.assertEqual([], list(self.images().list_images(name=name)))
        found = self.images().list_images(name=name, os_hidden='true')
        self.assertEqual([hidden], [image.id for image in found])

    def test_a_list_that_is_full_to_its_end_is_complete(self):
        name = 'pages-%s' % uuid.uuid4()
        made = {self.queued(name=name) for _number in range(4)}
        with mock.patch.object(client, 'PAGE', 2):
            self.assertEqual(made, {image.id for image in self.images().list_images(name=name)})

    def test_one_of_two_copies_is_deleted(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['odd %2B name'])
        self.finish(image_id)
        self.images(ADMIN).delete_from_store(image_id, 'odd %2B name')
        image = self.images().image(image_id)
        self.assertEqual(('active', ('rbd',)), (image.status, image.stores))

    def test_the_only_copy_is_not_deleted(self):
        image_id = self.active()
        self.assertRaises(api.Forbidden, self.images(ADMIN).delete_from_store, image_id, 'rbd')
        self.assertEqual(('rbd',), self.images().image(image_id).stores)

    def test_a_copy_that_cannot_be_deleted_is_refused(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.finish(image_id)
        admin = self.images(ADMIN)
        self.assertRaises(api.NotFound, admin.delete_from_store, image_id, 'odd %2B name')
        self.assertRaises(api.Conflict, admin.delete_from_store, image_id, 'nope')
        self.assertRaises(api.Conflict, admin.delete_from_store, self.queued(), 'rbd')
        self.assertRaises(api.NotFound, admin.delete_from_store, MISSING, 'rbd')
        self.assertRaises(api.Forbidden, self.images().delete_from_store, image_id, 'rbd')
        self.assertRaises(api.NotFound, self.images(OTHER).delete_from_store, image_id, 'rbd')
        self.assertEqual({'rbd', 'ceph1-rbd'}, set(self.images().image(image_id).stores))

    def test_a_copy_is_deleted_though_the_other_one_has_no_data(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.finish(image_id)
        self.lose(image_id, 'ceph1-rbd')
        self.images(ADMIN).delete_from_store(image_id, 'rbd')
        image = self.images().image(image_id)
        self.assertEqual(('active', ('ceph1-rbd',)), (image.status, image.stores))

    def test_the_lock_comes_before_what_is_wrong_with_a_request(self):
        image_id = self.active()
        self.hold_copies(image_id, 'rbd')
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        image = self.images().image(image_id)
        self.assertTrue(image.import_task)
        for store in ('rbd', 'nope', 'odd %2B name'):
            error = self.assertRaises(api.Conflict, self.images(ADMIN).copy, image_id, [store])
            self.assertIn('active task', str(error))
        self.release_copies(image_id)
        self.assertEqual({'rbd', 'ceph1-rbd'}, set(self.finish(image_id).stores))

    def test_a_deletion_during_a_copy_is_undone_in_the_record_but_not_in_the_store(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['odd %2B name'])
        self.finish(image_id)
        self.hold_copies(image_id, 'rbd')
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.wait_until_held(image_id)
        self.images(ADMIN).delete_from_store(image_id, 'odd %2B name')
        self.assertEqual({'rbd'}, set(self.images().image(image_id).stores))
        self.release_copies(image_id)
        self.assertEqual({'rbd', 'odd %2B name', 'ceph1-rbd'}, set(self.finish(image_id).stores))
        self.assertEqual({'rbd', 'ceph1-rbd'}, self.holding(image_id))

    def test_an_import_clears_the_failures_of_its_own_stores_only(self):
        image_id = self.active(b'x' * 70000)
        self.images(ADMIN).copy(image_id, ['full'])
        self.finish(image_id)
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        image = self.finish(image_id)
        self.assertEqual(({'rbd', 'ceph1-rbd'}, ('full',)), (set(image.stores), image.failed_import))

    def test_a_store_that_fails_does_not_fail_the_task(self):
        image_id = self.active(b'x' * 70000)
        self.images(ADMIN).copy(image_id, ['full', 'ceph1-rbd'])
        image = self.finish(image_id)
        self.assertEqual(({'rbd', 'ceph1-rbd'}, ('full',), ()),
                         (set(image.stores), image.failed_import, image.importing_to))
        self.assertEqual('success', self.images(ADMIN).newest_task(image_id).status)

    def test_a_task_is_shown_to_the_project_that_started_it(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.finish(image_id)
        self.assertIsNone(self.images().newest_task(image_id))

    def test_a_copy_without_a_source_fails_without_a_failed_store(self):
        image_id = self.active()
        self.lose(image_id, 'rbd')
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        image = self.finish(image_id)
        self.assertEqual((('rbd',), ('ceph1-rbd',), (), None),
                         (image.stores, image.importing_to, image.failed_import, image.import_task))
        self.assertEqual('failure', self.images(ADMIN).newest_task(image_id).status)

    def test_a_copy_comes_from_another_store_when_the_default_one_has_lost_it(self):
        image_id = self.active()
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.finish(image_id)
        self.lose(image_id, 'rbd')
        self.images(ADMIN).copy(image_id, ['odd %2B name'])
        image = self.finish(image_id)
        self.assertEqual({'rbd', 'ceph1-rbd', 'odd %2B name'}, set(image.stores))


class QuotaContract(Reached):
    """Behaviour of a Glance whose projects may store 10,000 bytes (user_storage_quota).

    Stores: rbd (default), ceph1-rbd, web (read-only).
    """

    def project(self, roles='member,reader'):
        """Return the token of a project of which nobody else stores anything."""
        return 'u:%s:%s' % (uuid.uuid4().hex, roles)

    def uploaded(self, token, size):
        image_id = self.queued(token=token)
        self.images(token).upload(image_id, counted_body.CountedBody(b'x' * size))
        return image_id

    def test_an_upload_beyond_the_quota_is_too_large(self):
        member = self.project()
        self.uploaded(member, 4000)
        second = self.queued(token=member)
        self.assertRaises(api.TooLarge, self.images(member).upload, second,
                          counted_body.CountedBody(b'x' * 7000))
        # Glance 33 notices it, for a body of unknown size, when the store has taken it, and cannot go back.
        self.assertEqual('saving', self.images(member).image(second).status)
        self.assertRaises(api.Conflict, self.images(member).upload, second, counted_body.CountedBody(b'x'))
        self.uploaded(member, 6000)

    def test_each_copy_counts(self):
        member = self.project()
        image_id = self.uploaded(member, 6000)
        self.images(ADMIN).copy(image_id, ['ceph1-rbd'])
        self.assertEqual({'rbd', 'ceph1-rbd'}, set(self.finish(image_id).stores))
        self.assertRaises(api.TooLarge, self.uploaded, member, 1)

    def test_a_copy_counts_against_the_quota_of_who_requests_it(self):
        image_id = self.uploaded(self.project(), 2000)
        admin = self.project('admin,member,reader')
        self.uploaded(admin, 9000)
        self.images(admin).copy(image_id, ['ceph1-rbd'])
        image = self.finish(image_id)
        self.assertEqual((('rbd',), ('ceph1-rbd',)), (image.stores, image.failed_import))

    def test_stores_in_detail_are_for_administrators(self):
        details = {detail.id: detail.type for detail in self.images(ADMIN).stores_detail()}
        self.assertEqual({'rbd': 'file', 'ceph1-rbd': 'file', 'web': 'http'}, details)
        self.assertRaises(api.Forbidden, self.images().stores_detail)
