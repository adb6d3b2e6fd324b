# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the way to Glance is one typed line."""

import argparse

import ddt
from glanceclient import exc
from keystoneauth1 import exceptions as ksa
from keystoneauth1 import session as ksa_session
from keystoneauth1 import token_endpoint
import requests_mock

from multistore_hooks.cli import session
from multistore_hooks.glance_api import api
from tests.unit import base

URL = 'http://glance:9292'


@ddt.ddt
class ExplainTest(base.TestCase):

    @ddt.data((ksa.Unauthorized('no'), session.NotAccepted),
              (ksa.SSLError('SSL exception'), session.TlsFailed),
              (ksa.ConnectFailure('certificate verify failed'), session.TlsFailed),
              (ksa.ConnectFailure('refused'), session.Unreachable),
              (ksa.ConnectTimeout('late'), session.Unreachable),
              (ksa.DiscoveryFailure('no version'), session.Unreachable),
              (exc.CommunicationError('no address'), session.Unreachable),
              (exc.InvalidEndpoint('late'), session.Unreachable),
              (ksa.MissingRequiredOptions([]), session.NoCredentials),
              (OSError('invalid path to a TLS CA certificate bundle'), session.TlsFailed))
    @ddt.unpack
    def test_kind_of_error(self, error, expected):
        reported = session.explain(error, 'here', 'Glance')
        self.assertIs(expected, type(reported))
        self.assertNotIn('\n', str(reported))

    def test_reason_is_dug_out_of_the_layers(self):
        reported = session.explain(ksa.ConnectFailure(
            "Unable to establish connection to http://k/v3: HTTPConnectionPool(host='k', port=1): Max "
            "retries exceeded with url: /v3 (Caused by "
            "NewConnectionError('<urllib3.connection.HTTPConnection object "
            "at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused',))"), 'here')
        self.assertEqual('Glance cannot be reached with the credentials of here: Unable to establish '
                         'connection to http://k/v3: [Errno 111] Connection refused.', str(reported))

    def test_what_is_not_about_reaching_glance_is_left_alone(self):
        self.assertIsNone(session.explain(KeyError('x')))


class ConnectionTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.mock = self.useFixture(_Mock()).mock
        self.connection = session.Connection(
            ksa_session.Session(token_endpoint.Token(URL + '/v2/', 'token')),
            session.Endpoint(), 'this test')

    def test_version_in_the_address_is_dropped(self):
        self.assertEqual(URL, self.connection.endpoint())

    def test_stores(self):
        self.mock.get(URL + '/v2/info/stores', json={'stores': [{'id': 'a', 'default': 'true'}]})
        self.assertEqual('a', self.connection.images.stores().default)

    def test_page_of_a_load_balancer(self):
        self.mock.get(URL + '/v2/info/stores', text='<html>', headers={'Content-Type': 'text/html'})
        self.assertRaises(session.NotGlance, self.connection.images.stores)

    def test_401_of_glance(self):
        self.mock.get(URL + '/v2/images/i', status_code=401)
        error = self.assertRaises(session.NotAccepted, self.connection.images.image, 'i')
        self.assertIn('this test', str(error))

    def test_other_refusals_are_glance_s_own_errors(self):
        self.mock.get(URL + '/v2/images/i', status_code=404)
        self.assertRaises(api.NotFound, self.connection.images.image, 'i')
        self.mock.get(URL + '/v2/x', status_code=403)
        self.assertRaises(api.Forbidden, self.connection.run, 'get',
                          lambda glance: glance.http_client.get('/v2/x'))

    def test_nobody_there(self):
        self.mock.get(URL + '/v2/images/i', exc=ConnectionRefusedError('refused'))
        error = self.assertRaises(session.Unreachable, self.connection.images.image, 'i')
        self.assertIn('refused', str(error))

    def test_request_does_not_wait_for_ever(self):
        self.assertEqual(session.TIMEOUT, self.connection.session.timeout)


class OptionsTest(base.TestCase):

    def test_every_option_can_be_given_and_none_need(self):
        parser = argparse.ArgumentParser()
        session.add_options(parser)
        given = vars(parser.parse_args(['--os-cloud', 'c', '--os-image-endpoint-override', URL]))
        self.assertEqual({'os_cloud': 'c', 'os_image_endpoint_override': URL},
                         {name: value for name, value in given.items() if value is not None})


class _Mock(requests_mock.mocker.MockerCore):
    """requests-mock as a fixture that needs no testtools of its own."""

    def setUp(self):
        self.start()
        self.mock = self

    def cleanUp(self):
        self.stop()

    def getDetails(self):
        return {}
