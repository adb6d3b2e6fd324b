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
from multistore_hooks.upload import transfer
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

    def queued(self, token=contract.MEMBER):
        return self.glance.add_image(owner=token.split(':')[1])

    def fail_once(self, method, path, status, after):
        self.glance.faults.append(fake_glance.Fault(method, path, status, after=after))


class SessionContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient on a keystoneauth session."""


class PlainContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient without keystone, as Cinder has one with noauth."""

    make_client = staticmethod(contract.plain_client)


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
        images.upload(image_id, transfer.CountedBody(b'x' * 300000), 'ceph1-rbd')
        self.assertEqual(b'x' * 300000, self.glance.data['ceph1-rbd', image_id])

    def test_upload_that_is_unauthorized_for_good_is_an_error(self):
        images = self.images('stale')
        error = self.assertRaises(api.GlanceError, images.upload, self.queued(),
                                  transfer.CountedBody(b'data'))
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
                                  transfer.CountedBody(b'data'))
        self.assertEqual(503, error.status)
        self.assertIsInstance(error.original, GaveUp)


class SingleStoreTest(FakeTestCase):
    """A Glance without several stores, or without the discovery call."""

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance({})

    def test_discovery_tells_no_stores(self):
        self.assertEqual((), self.images().stores().stores)
