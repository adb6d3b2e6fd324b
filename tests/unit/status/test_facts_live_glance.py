# SPDX-License-Identifier: Apache-2.0
"""The questions to Glance: what is sent, what a response means, and that none is sent twice."""

import ddt
from keystoneauth1 import session as ksa_session
from keystoneauth1 import token_endpoint
import requests_mock
import testtools

from multistore_hooks.cli import session
from multistore_hooks.glance_api import api
from multistore_hooks.status.facts import live_glance

URL = 'http://glance'


@ddt.ddt
class CloudTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.mock = requests_mock.Mocker()
        self.mock.start()
        self.addCleanup(self.mock.stop)
        self.cloud = live_glance.Cloud(session.Connection(
            ksa_session.Session(token_endpoint.Token(URL, 'token')), session.Endpoint(), 'this test'))

    @ddt.data((404, live_glance.YES), (400, live_glance.NO), (500, live_glance.NO),
              (403, live_glance.UNKNOWN),
              (204, live_glance.UNKNOWN))
    @ddt.unpack
    def test_driver_by_the_refusal_of_an_upload(self, status, expected):
        self.mock.put(requests_mock.ANY, status_code=status)
        self.assertEqual(expected, self.cloud.loaded('my store'))
        sent = self.mock.last_request
        self.assertEqual('my store', sent.headers['X-Image-Meta-Store'])
        self.assertRegex(sent.path, '^/v2/images/[0-9a-f-]{36}/file$')

    def test_question_is_sent_once(self):
        self.mock.get(URL + '/v2/info/stores', status_code=500)
        for _time in range(3):
            self.assertRaises(api.GlanceError, self.cloud.stores)
        self.assertEqual(1, self.mock.call_count)

    def test_no_more_requests_go_to_a_glance_that_is_not_there(self):
        self.mock.get(requests_mock.ANY, exc=ConnectionRefusedError('refused'))
        self.assertRaises(session.Unreachable, self.cloud.stores)
        for ask in (self.cloud.images, self.cloud.details, self.cloud.import_methods,
                    self.cloud.volume_types):
            self.assertRaises(session.Unreachable, ask)
        self.assertEqual(1, self.mock.call_count)

    def test_all_pages_of_images_up_to_a_number(self):
        def page(request, _context):
            return {'images': [{'id': '1'}] * 900, 'next': '/v2/images?limit=500&marker=1'}

        self.mock.get(URL + '/v2/images', json=page)
        self.assertEqual(live_glance.MOST_IMAGES, len(self.cloud.images()))
        self.assertEqual(3, self.mock.call_count)

    @ddt.data((403, False), (404, False), (500, True))
    @ddt.unpack
    def test_details_that_are_not_given(self, status, fail):
        self.mock.get(URL + '/v2/info/stores/detail', status_code=status)
        self.assertIsNone(self.cloud.details())
        self.assertEqual(fail, self.cloud.details_fail)

    def test_details(self):
        store = {'id': 'a', 'type': 'rbd', 'properties': {'fsid': 'f'}}
        self.mock.get(URL + '/v2/info/stores/detail', json={'stores': [store]})
        self.assertEqual({'a': store}, self.cloud.details())

    def test_volume_types(self):
        self.mock.get(URL + '/types', json={'volume_types': [{'name': 'gold'}]})
        self.assertEqual([{'name': 'gold'}], self.cloud.volume_types())

    @ddt.data({'status_code': 403}, {'text': 'no JSON'}, {'json': ['else']},
              {'exc': ConnectionRefusedError('no')})
    def test_volume_types_that_cannot_be_had(self, response):
        self.mock.get(URL + '/types', **response)
        self.assertIsNone(self.cloud.volume_types())

    def test_copy_is_requested_into_no_store(self):
        self.mock.post(URL + '/v2/images/i/import', status_code=403)
        self.assertEqual(live_glance.NO, live_glance.may_copy(self.cloud.connection, 'i')[0])
        self.assertEqual({'method': {'name': 'copy-image'}, 'stores': [live_glance.NO_STORE],
                          'all_stores_must_succeed': False}, self.mock.last_request.json())
