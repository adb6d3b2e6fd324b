# SPDX-License-Identifier: Apache-2.0
"""The requests to Cinder: their form, what is repeated, and the error for each response."""

import json

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as keystoneauth
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import requests
import requests.adapters

from multistore_hooks.volume_store import cinder_client
from tests.unit import base

ROOT = 'http://cinder/v3/7a1c0de5e7f04b0b9d4e6f8a9b0c1d2e'
VOLUME = {'id': 'v1', 'status': 'creating', 'size': 2, 'metadata': {}}


class Responses(requests.adapters.BaseAdapter):
    """Responds to each request with what stands next in a list: (status, body), or raises it."""

    def __init__(self, responses):
        super().__init__()
        self.responses, self.seen, self.timeouts = list(responses), [], []

    def send(self, request, **kwargs):
        self.seen.append(request)
        self.timeouts.append(kwargs.get('timeout'))
        found = self.responses.pop(0)
        if isinstance(found, Exception):
            raise found
        response = requests.Response()
        response.status_code, body = found
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.request, response.url = request, request.url
        response.headers['x-openstack-request-id'] = 'req-1'
        return response

    def close(self):
        pass


class CinderTest(base.TestCase):

    def cinder(self, *responses):
        transport = requests.Session()
        self.responses = Responses(responses)
        transport.mount('http://', self.responses)
        found = session.Session(auth=token_endpoint.Token(ROOT, 'secret-token'), session=transport, timeout=7)
        self.slept = []
        return cinder_client.Cinder(
            adapter.Adapter(found, service_type='block-storage'), 2, sleep=self.slept.append)

    def sent(self, number=0):
        request = self.responses.seen[number]
        return request.method, request.url[len(ROOT):], json.loads(request.body) if request.body else None

    def test_a_volume_is_created_with_its_type_or_without(self):
        cinder = self.cinder((202, {'volume': VOLUME}), (202, {'volume': VOLUME}))
        self.assertEqual('v1', cinder.create_volume(2, 'n', 'd', {'a': 'b'}, 'fast').id)
        cinder.create_volume(2, 'n', 'd', {}, None)
        self.assertEqual(('POST', '/volumes', {'volume': {
            'size': 2, 'name': 'n', 'description': 'd', 'metadata': {'a': 'b'}, 'volume_type': 'fast'}}),
            self.sent())
        self.assertNotIn('volume_type', self.sent(1)[2]['volume'])

    def test_every_request_has_a_version_and_a_timeout(self):
        cinder = self.cinder((200, {'volume': VOLUME}))
        cinder.volume('v1')
        self.assertEqual('volume 3.54', self.responses.seen[0].headers['OpenStack-API-Version'])
        self.assertEqual([7], self.responses.timeouts)

    def test_an_attachment_is_reserved_bound_completed_and_deleted(self):
        cinder = self.cinder((200, {'attachment': {'id': 'a1'}}),
                             (200, {'attachment': {'id': 'a1', 'connection_info': {'x': 1}}}),
                             (204, b''), (200, {'attachments': []}))
        self.assertEqual('a1', cinder.attachment_create('v1', 'ro'))
        self.assertEqual({'x': 1}, cinder.attachment_update('a1', {'host': 'here'}))
        cinder.attachment_complete('a1')
        cinder.attachment_delete('a1')
        # The name of no instance: Cinder's schema refuses a null there.
        self.assertEqual({'volume_uuid': 'v1', 'connector': None, 'mode': 'ro'},
                         self.sent()[2]['attachment'])
        self.assertEqual(('PUT', '/attachments/a1', {'attachment': {'connector': {'host': 'here'}}}),
                         self.sent(1))
        self.assertEqual(('POST', '/attachments/a1/action', {'os-complete': None}), self.sent(2))
        self.assertEqual(('DELETE', '/attachments/a1', None), self.sent(3))

    def test_an_attachment_is_known_unless_cinder_says_that_it_is_not(self):
        self.assertTrue(self.cinder((200, {'attachment': {'id': 'a1'}})).attachment_exists('a1'))
        self.assertEqual(('GET', '/attachments/a1', None), self.sent())
        self.assertFalse(self.cinder((404, b'')).attachment_exists('a1'))
        self.assertRaises(cinder_client.Denied, self.cinder((403, b'')).attachment_exists, 'a1')

    def test_each_status_has_its_error_which_names_request_and_reason(self):
        for status, kind in ((400, cinder_client.Refused), (409, cinder_client.Refused),
                             (401, cinder_client.Denied), (403, cinder_client.Denied),
                             (404, cinder_client.NotFound), (413, cinder_client.OverQuota),
                             (418, cinder_client.CinderError), (500, cinder_client.Unresponsive)):
            responses = [(status, {'badRequest': {'message': 'it\n is so', 'code': status}})] * 2
            cinder = self.cinder(*responses)
            error = self.assertRaises(kind, cinder.create_volume, 1, 'n', 'd', {}, None)
            self.assertEqual(status, error.status)
            self.assertEqual('Cinder: POST /volumes: %d: it is so (req-1)' % status, str(error))

    def test_the_token_is_in_no_error(self):
        error = self.assertRaises(cinder_client.Refused, self.cinder((400, b'<html>')).extend, 'v1', 2)
        self.assertNotIn('secret-token', str(error))

    def test_what_creates_is_requested_once(self):
        for function in (lambda cinder: cinder.create_volume(1, 'n', 'd', {}, None),
                         lambda cinder: cinder.attachment_create('v1', 'rw'),
                         lambda cinder: cinder.attachment_update('a1', {}),
                         lambda cinder: cinder.extend('v1', 3)):
            cinder = self.cinder((503, b''), (503, b''))
            self.assertRaises(cinder_client.Unresponsive, function, cinder)
            self.assertEqual(1, len(self.responses.seen))

    def test_what_may_be_repeated_is_after_no_response_and_only_so_often(self):
        for function in (lambda cinder: cinder.volume('v1'), lambda cinder: cinder.delete_volume('v1'),
                         lambda cinder: cinder.attachment_delete('a1'),
                         lambda cinder: cinder.attachment_complete('a1'),
                         lambda cinder: cinder.set_read_only('v1'),
                         lambda cinder: cinder.add_metadata('v1', {}),
                         lambda cinder: cinder.attachment_list('v1'),
                         lambda cinder: cinder.attachment_exists('a1')):
            cinder = self.cinder((503, b''), requests.exceptions.ConnectionError('gone'),
                                 requests.exceptions.ReadTimeout('slow'))
            self.assertRaises(cinder_client.Unresponsive, function, cinder)
            self.assertEqual(3, len(self.responses.seen))
            self.assertEqual(2, len(self.slept))

    def test_what_the_backend_does_meanwhile_has_the_time_of_an_attachment(self):
        cinder = self.cinder((200, {'attachment': {'id': 'a1', 'connection_info': {}}}), (200, b''),
                             (200, {'volume': VOLUME}))
        cinder._attach_timeout = 180
        cinder.attachment_update('a1', {})
        cinder.attachment_delete('a1')
        cinder.volume('v1')
        self.assertEqual([180, 180, 7], self.responses.timeouts)

    def test_the_format_of_a_file_on_a_share_is_the_one_that_the_attachment_shows(self):
        def update(*shown):
            return self.cinder((200, {'attachment': {'id': 'a1', 'connection_info': {
                'format': 'qcow2', 'export': 'x'}}}), *shown).attachment_update('a1', {})
        self.assertEqual({'format': 'raw', 'export': 'x'}, update(
            (200, {'attachment': {'id': 'a1', 'connection_info': {'format': 'raw'}}})))
        self.assertEqual(('GET', '/attachments/a1', None), self.sent(1))
        # Of a Cinder that does not show it, the guess is all that there is.
        self.assertEqual('qcow2', update((200, {'attachment': {'id': 'a1'}}))['format'])

    def test_a_cinder_that_attaches_to_servers_only_is_recognised(self):
        for response, does in (
                ((404, {'itemNotFound': {'message': 'Volume could not be found.'}}), True),
                ((400, {'badRequest': {'message': "'instance_uuid' is a required property"}}),
                 False),
                ((406, {'computeFault': {'message': 'Version 3.54 is not supported'}}), False)):
            self.assertIs(does, self.cinder(response).attaches_without_server())
        self.assertEqual('POST', self.sent()[0])
        self.assertRaises(cinder_client.Denied, self.cinder((403, b'')).attaches_without_server)

    def test_types_and_messages_are_read(self):
        cinder = self.cinder((200, {'volume_types': [{'id': 't1', 'name': 'fast'}]}),
                             (200, {'messages': [{'resource_uuid': 'v2', 'user_message': 'no'},
                                                 {'resource_uuid': 'v1', 'user_message': 'yes'}]}),
                             (200, {'messages': []}))
        self.assertEqual({'t1': 'fast'}, cinder.volume_types())
        self.assertEqual('yes', cinder.message('v1')['user_message'])
        self.assertIsNone(cinder.message('v1'))

    def test_a_volume_shows_the_hosts_that_it_is_attached_to(self):
        volume = self.cinder((200, {'volume': dict(VOLUME, attachments=[
            {'attachment_id': 'a1', 'host_name': 'here'}, {'attachment_id': 'a2'}])})).volume('v1')
        self.assertEqual({'a1': 'here', 'a2': None}, volume.hosts)

    def test_a_refusal_is_not_repeated(self):
        self.assertRaises(cinder_client.Refused, self.cinder((400, b'')).delete_volume, 'v1')

    def test_an_attachment_that_is_gone_is_deleted(self):
        self.cinder((503, b''), (404, b'')).attachment_delete('a1')

    def test_a_listing_is_the_volumes_own(self):
        cinder = self.cinder((200, {'attachments': [{'id': 'a1', 'status': 'reserved', 'volume_id': 'v1'},
                                                    {'id': 'a2', 'status': 'attached', 'volume_id': 'v2'}]}))
        self.assertEqual({'a1': 'reserved'}, cinder.attachment_list('v1'))

    def test_a_listing_is_of_all_projects_and_of_no_server(self):
        # Of an image volume in the project of its owner an administrator would else see nothing.
        reported = [{'id': 'a1', 'status': 'reserved', 'volume_id': 'v1', 'instance': None},
                    {'id': 'a2', 'status': 'reserved', 'volume_id': 'v1', 'instance': 'a shelved server'}]
        cinder = self.cinder((200, {'attachments': reported}))
        self.assertEqual({'a1': 'reserved'}, cinder.attachment_list('v1'))
        self.assertIn('all_tenants=1', self.responses.seen[0].url)

    def test_a_response_that_is_no_json_may_have_been_done(self):
        self.assertRaises(cinder_client.Unresponsive, self.cinder((200, b'<html>')).create_volume,
                          1, 'n', 'd', {}, None)

    def test_an_endpoint_that_is_not_there_names_the_options(self):
        for raised in (ValueError('Programming error choosing an endpoint.'),
                       keystoneauth.EndpointNotFound('no')):
            class NoEndpoint:
                def request(self, *args, **kwargs):
                    raise raised
            error = self.assertRaises(cinder_client.CinderError,
                                      cinder_client.Cinder(NoEndpoint()).volume, 'v1')
            self.assertIn('region_name', str(error))

    def test_the_project_is_keystones_or_the_urls(self):
        self.assertEqual(ROOT.rpartition('/')[2], self.cinder().project())

        class Named:
            def get_project_id(self):
                return 'p1'

        class Nobody(Named):
            def get_project_id(self):
                return None

            def get_endpoint(self):
                return 'http://cinder/v3'

        class Down(Named):
            def get_project_id(self):
                raise keystoneauth.ConnectFailure('down')

        self.assertEqual('p1', cinder_client.Cinder(Named()).project())
        self.assertRaises(cinder_client.CinderError, cinder_client.Cinder(Nobody()).project)
        self.assertRaises(cinder_client.Unresponsive, cinder_client.Cinder(Down()).project)
