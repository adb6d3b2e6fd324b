# SPDX-License-Identifier: Apache-2.0
"""The contract of tests/contract.py, held by the library's client and the fake Glance."""

from glanceclient import client as glanceclient
from glanceclient import exc as glanceclient_exc
from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
import requests
import testtools

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.upload import counted_body
from tests import contract
from tests import fake_glance


class FakeTestCase(testtools.TestCase):
    """Reaches a fake Glance through a real glanceclient."""

    make_client = staticmethod(contract.session_client)

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance(dict(contract.STORES), contract.DEFAULT)

    def images(self, token=contract.MEMBER, attempts=1):
        adapter = fake_glance.SocketlessAdapter(self.glance)
        return client.ClientImages(contract.run_with(
            lambda: self.make_client('http://glance', token, adapter), attempts))

    def queued(self, token=contract.MEMBER, **properties):
        return self.glance.add_image(owner=token.split(':')[1], **properties)

    def fail_once(self, method, path, status, after):
        self.glance.faults.append(fake_glance.Fault(method, path, status, after=after))

    def hold_copies(self, image_id, store):
        self.glance.copies_at_once = False

    def wait_until_held(self, image_id):
        self.assertTrue(self.glance.images[image_id]['os_glance_import_task'])

    def holding(self, image_id):
        return set(self.glance.where(image_id))

    def release_copies(self, image_id):
        self.glance.copies_at_once = True
        self.glance.finish_copies()

    def lose(self, image_id, store):
        self.glance.lose(image_id, store)


class SessionContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient on a keystoneauth session."""


class PlainContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient without keystone, as Cinder has one with noauth."""

    make_client = staticmethod(contract.plain_client)


class QuotaContractTest(FakeTestCase, contract.QuotaContract):
    """A Glance with a quota."""

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance({'rbd': fake_glance.FILE, 'ceph1-rbd': fake_glance.FILE,
                                              'web': fake_glance.READ_ONLY}, 'rbd')
        self.glance.quota = 10000


class RaceTest(FakeTestCase):
    """What Glance does when requests about one image come between one another: the danger of evictions."""

    def evict(self, image_id, store):
        self.images(contract.ADMIN).delete_from_store(image_id, store)

    def test_two_evictions_can_delete_both_copies_of_an_image(self):
        image_id = self.glance.add_image(['rbd', 'ceph1-rbd'])
        self.glance.at('evict: checked', lambda: self.evict(image_id, 'ceph1-rbd'))
        self.evict(image_id, 'rbd')
        self.assertEqual([], self.glance.where(image_id))
        self.assertEqual(['ceph1-rbd'], self.glance.listed(image_id))

    def test_a_copy_that_ends_between_the_steps_of_an_eviction_is_lost_from_the_record(self):
        image_id = self.glance.add_image(['rbd', 'ceph1-rbd'])
        self.glance.at('evict: data deleted',
                       lambda: self.images(contract.ADMIN).copy(image_id, ['odd %2B name']))
        self.evict(image_id, 'rbd')
        self.assertEqual(['ceph1-rbd'], self.glance.listed(image_id))
        self.assertEqual(['ceph1-rbd', 'odd %2B name'], self.glance.where(image_id))

    def test_data_that_is_in_use_is_not_deleted(self):
        image_id = self.glance.add_image(['rbd', 'ceph1-rbd'])
        self.glance.in_use.add(('rbd', image_id))
        self.assertRaises(api.Conflict, self.evict, image_id, 'rbd')
        self.assertEqual(['ceph1-rbd', 'rbd'], self.glance.where(image_id))

    def test_an_import_that_must_succeed_everywhere_is_undone_for_one_store(self):
        image_id = self.glance.add_image(['rbd'])
        self.images(contract.ADMIN).request(
            'image_import', 'post', '/v2/images/%s/import' % image_id,
            {'method': {'name': 'copy-image'}, 'stores': ['ceph1-rbd', 'full', 'odd %2B name']})
        image = self.images(contract.ADMIN).image(image_id)
        self.assertEqual((('rbd',), ('full',), ('odd %2B name',)),
                         (image.stores, image.failed_import, image.importing_to))

    def test_a_quota_on_staging_fails_the_task_and_lists_nothing(self):
        image_id = self.glance.add_image(['rbd'])
        self.glance.staging_full = True
        admin = self.images(contract.ADMIN)
        admin.copy(image_id, ['ceph1-rbd'])
        image = admin.image(image_id)
        self.assertEqual(((), (), None), (image.importing_to, image.failed_import, image.import_task))
        self.assertEqual('failure', admin.newest_task(image_id).status)

    def test_an_image_that_is_deleted_during_its_upload_is_gone(self):
        image_id = self.queued()
        images = self.images()

        class Deleting(counted_body.CountedBody):
            def read(self, size=-1):
                images.delete(image_id) if not self.sent else None
                return super().read(size)
        error = self.assertRaises(api.Gone, images.upload, image_id, Deleting(b'x' * 300000))
        self.assertIn('deleted during the upload', str(error))


class Stale:
    """The plugin of a service whose token Keystone does not know any more, until it gets a new one."""

    def __init__(self, auth):
        self._auth, self.fresh = auth, False

    def __getattr__(self, name):
        return getattr(self._auth, name)

    def invalidate(self):
        stale, self.fresh = not self.fresh, True
        return stale

    def get_headers(self, session):
        return {'X-Auth-Token': contract.MEMBER if self.fresh else 'stale'}


class TokenTest(FakeTestCase):

    def test_upload_with_a_token_that_expired_is_sent_again_as_a_whole(self):
        session = ks_session.Session(auth=Stale(token_endpoint.Token('http://glance', '')))
        session.session = requests.Session()
        session.session.mount('http://', fake_glance.SocketlessAdapter(self.unauthorized))
        made = glanceclient.Client('2', session=session, endpoint_override='http://glance')
        images = client.ClientImages(contract.run_with(lambda: made))
        image_id = self.queued()
        images.upload(image_id, counted_body.CountedBody(b'x' * 300000), 'ceph1-rbd')
        self.assertEqual(b'x' * 300000, self.glance.data['ceph1-rbd', image_id])

    def test_upload_that_is_unauthorized_for_good_is_an_error(self):
        images = self.images('stale')
        error = self.assertRaises(api.GlanceError, images.upload, self.queued(),
                                  counted_body.CountedBody(b'data'))
        self.assertEqual(401, error.status)

    def images(self, token=contract.MEMBER, attempts=1):
        adapter = fake_glance.SocketlessAdapter(self.unauthorized)
        return client.ClientImages(contract.run_with(
            lambda: self.make_client('http://glance', token, adapter), attempts))

    def unauthorized(self, environ, start_response):
        if environ['HTTP_X_AUTH_TOKEN'] == 'stale':
            environ['wsgi.input'].read()
            start_response('401 Unauthorized', [('Content-Type', 'text/plain')])
            return [b'401 Unauthorized']
        return self.glance(environ, start_response)


class GivenUpTest(FakeTestCase):

    def test_service_that_gives_up_after_503_leaves_a_typed_error_with_its_own_inside(self):
        class GaveUp(Exception):
            """As GlanceConnectionFailed."""

        def run(verb, function):
            try:
                return contract.run_with(lambda: self.make_client(
                    'http://glance', contract.MEMBER,
                    fake_glance.SocketlessAdapter(self.glance)))(verb, function)
            except glanceclient_exc.HTTPServiceUnavailable as error:
                raise GaveUp(str(error))
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 503))
        error = self.assertRaises(api.GlanceError, client.ClientImages(run).upload, self.queued(),
                                  counted_body.CountedBody(b'data'))
        self.assertEqual(503, error.status)
        self.assertIsInstance(error.original, GaveUp)


class SingleStoreTest(FakeTestCase):
    """A Glance without several stores, or without the discovery call."""

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance({})

    def test_discovery_lists_no_stores(self):
        self.assertEqual((), self.images().stores().stores)
