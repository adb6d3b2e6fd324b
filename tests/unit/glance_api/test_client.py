# SPDX-License-Identifier: Apache-2.0
"""What the contract does not cover: other releases, timeouts, headers, and the errors of a service's own."""

from glanceclient import exc
import testtools

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from tests import contract
from tests import fake_glance


class OtherReleasesTest(testtools.TestCase):
    """Calls that not every Glance has."""

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance()
        self.image_id = self.glance.add_image(['fast'])

    def images(self, token=contract.ADMIN):
        adapter = fake_glance.SocketlessAdapter(self.glance)
        return client.ClientImages(contract.run_with(
            lambda: contract.session_client('http://glance', token, adapter)))

    def test_import_methods(self):
        self.assertEqual(('glance-direct', 'web-download', 'copy-image'), self.images().import_methods())

    def test_locations_are_for_administrators(self):
        self.glance.pool = 'images'
        url = 'rbd://fast/images/%s/snap' % self.image_id
        self.assertEqual((url,), self.images().locations(self.image_id))
        self.assertRaises(api.Forbidden, self.images('u:project:member').locations, self.image_id)

    def test_a_call_that_glance_does_not_have_returns_nothing(self):
        for status in (404, 405):
            for path, request, nothing in (
                    ('/v2/info/import', lambda: self.images().import_methods(), ()),
                    ('/tasks', lambda: self.images().newest_task(self.image_id), None),
                    ('/locations', lambda: self.images().locations(self.image_id), ()),
                    ('/v2/info/stores/detail', lambda: self.images().stores_detail(), ())):
                self.glance.faults.append(fake_glance.Fault('GET', path, status))
                self.assertEqual(nothing, request())

    def test_any_other_error_is_raised(self):
        for path, request in (('/v2/info/import', lambda: self.images().import_methods()),
                              ('/v2/info/stores', lambda: self.images().stores()),
                              ('/v2/images', lambda: list(self.images().list_images()))):
            self.glance.faults.append(fake_glance.Fault('GET', path, 500))
            self.assertEqual(500, self.assertRaises(api.GlanceError, request).status)


class RequestTest(testtools.TestCase):
    """The arguments that reach glanceclient."""

    def request(self, get_timeout=None, **kwargs):
        """Return what glanceclient's http_client got."""
        got = []

        class Http:
            def patch(self, path, **kwargs):
                got.append((path, kwargs))

        class Client:
            http_client = Http()
        client.ClientImages(lambda verb, function: function(Client), get_timeout).request(
            'update', 'patch', '/v2/images/x', **kwargs)
        return got[0]

    def test_each_attempt_may_take_what_is_left(self):
        self.assertEqual(('/v2/images/x', {'timeout': 7}), self.request(get_timeout=lambda: 7))

    def test_headers_are_not_shared_with_glanceclient_which_adds_to_them(self):
        headers = {'Content-Type': 'x'}
        _path, kwargs = self.request(headers=headers, data='[]')
        self.assertEqual({'headers': headers, 'data': '[]'}, kwargs)
        self.assertIsNot(headers, kwargs['headers'])


class TranslationTest(testtools.TestCase):
    """One translation of glanceclient's errors."""

    def test_the_status_is_found_where_glanceclient_has_no_class_for_it(self):
        for error, status in ((exc.HTTPNotFound('x'), 404), (exc.HTTPException('410 Gone: disabled'), 410),
                              (exc.HTTPException('no number'), None), (exc.HTTPConflict('410 x'), 409)):
            translated = client.translate_error(error)
            self.assertEqual((status, error), (translated.status, translated.original))

    def test_each_status_has_its_class(self):
        for status, kind in ((400, api.BadRequest), (403, api.Forbidden), (404, api.NotFound),
                             (409, api.Conflict), (410, api.Gone), (413, api.TooLarge),
                             (500, api.GlanceError)):
            self.assertIs(kind, type(api.error_for(status, 'x')))

    def test_errors_of_the_way_and_errors_of_the_request(self):
        for status in (None, 408, 429, 502, 503, 504):
            error = api.error_for(status, 'x')
            self.assertEqual((True, False), (api.is_away(error), api.is_client_error(error)), status)
        for status in (400, 401, 403, 404, 409, 410, 413):
            error = api.error_for(status, 'x')
            self.assertEqual((False, True), (api.is_away(error), api.is_client_error(error)), status)
        self.assertEqual((True, False), (api.is_away(OSError()), api.is_client_error(OSError())))
        self.assertEqual((False, False), (api.is_away(api.error_for(500, 'x')),
                                          api.is_client_error(api.error_for(500, 'x'))))
