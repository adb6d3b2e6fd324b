# SPDX-License-Identifier: Apache-2.0
"""A wait that outlives a token: with credentials it goes on with a new one, else it says what ended it."""

import glanceclient
from keystoneauth1 import plugin
from keystoneauth1 import session as ks_session
import requests

from multistore_hooks.copy import coordination
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.glance_api import client
from tests import clock
from tests import contract
from tests import fake_glance
from tests.unit import base

HOUR = 3600


class Keystone:
    """Issues tokens of one hour, and stands before a Glance that accepts no others."""

    def __init__(self, glance, now):
        self._glance, self._clock = glance, now
        self.issued, self._expires = [], {}

    def issue(self, rights):
        """Return a new token for rights as the fake Glance writes them."""
        token = 'token-%d' % len(self.issued)
        self.issued.append(rights)
        self._expires[token] = (rights, self._clock.now + HOUR)
        return token

    def __call__(self, environ, start_response):
        rights, expires = self._expires[environ['HTTP_X_AUTH_TOKEN']]
        if self._clock.now >= expires:
            start_response('401 Unauthorized', [('Content-Type', 'text/plain')])
            return [b'The token has expired']
        return self._glance(dict(environ, HTTP_X_AUTH_TOKEN=rights), start_response)


class Credentials(plugin.BaseAuthPlugin):
    """A user's name and password, say, or no more than one token of that user."""

    def __init__(self, keystone, rights, renews):
        super().__init__()
        self._keystone, self._rights, self._renews = keystone, rights, renews
        self._token = keystone.issue(rights)

    def get_token(self, session, **kwargs):
        return self._token

    def invalidate(self):
        if self._renews:
            self._token = self._keystone.issue(self._rights)
        return self._renews


class TokenTest(base.FakeGlanceTestCase):

    stores = {'file1': fake_glance.FILE, 'dcn1': fake_glance.FILE, 'dcn2': fake_glance.FILE}

    def setUp(self):
        super().setUp()
        self.glance.default, self.glance.copies_at_once = 'file1', False
        self.clock = clock.Clock()
        self.keystone = Keystone(self.glance, self.clock)
        self.image_id = self.base('file1')

    def over(self, rights, renews):
        """Return an ImageApi on a session of keystoneauth, as the services have it."""
        http = requests.Session()
        contract.mount(http, fake_glance.SocketlessAdapter(self.keystone))
        session = ks_session.Session(auth=Credentials(self.keystone, rights, renews), session=http)
        return client.ClientImages(contract.run_with(
            lambda: glanceclient.Client('2', session=session, endpoint_override='http://glance')))

    def wait(self, renews):
        """Wait 90 minutes for another store's import, and 10 more for the own copy."""
        self.images(contract.ADMIN).copy(self.image_id, ['dcn2'])
        self.clock.at(90 * 60, self.glance.finish_copies)
        self.clock.at(100 * 60, self.glance.finish_copies)
        job = request.Job(self.image_id, 'dcn1', '[libvirt] images_rbd_glance_store_name', 'p1 member')
        return waiter.CopyWaiter(
            self.over(contract.ADMIN, renews), self.over(contract.ADMIN, renews), job,
            limits.Limits(copy=600, turn=4 * HOUR, interval=60), coordination.NoCoordinator(),
            self.clock).run()

    def test_credentials_get_a_new_token_and_the_copy_is_made(self):
        self.assertTrue(self.wait(renews=True))
        self.assertEqual(['dcn1', 'dcn2', 'file1'], self.glance.where(self.image_id))
        self.assertEqual(4, len(self.keystone.issued))  # of each of the two one more
        self.assertGreater(self.clock.now, 100 * 60 - 1)

    def test_token_that_cannot_be_renewed_ends_this_wait_and_that_of_nobody_else(self):
        error = self.assertRaises(exceptions.NotAllowed, self.wait, renews=False)
        self.assertIn('The token has expired', str(error))
        self.assertTrue(error.requester_specific)
        self.assertTrue(HOUR <= self.clock.now < HOUR + 90, self.clock.now)
