# SPDX-License-Identifier: Apache-2.0
"""What a user, a record or a server can write gets neither into a log line, nor a path, nor a header."""

import urllib.parse

import hypothesis
from hypothesis import strategies
import testtools

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks.glance_api import text
from multistore_hooks.upload import counted_body
from tests import contract
from tests import fake_glance

#: Line ends of every kind, escape sequences, directions, dots, slashes, queries, and much of it.
HOSTILE = ('', '.', '..', '/', '../../v2/info/stores', 'a/b', 'a?b=c', 'a#b', 'a\nb', 'a\r\nX-Roles: admin',
           'a\x85b', 'a\u2028b', '\x1b[31mred', '\u202eabc', '\x00', '%2e%2e', '%0a', ' a', 'a ', 'é', '存储',
           'x' * 5000)
ANYTHING = strategies.one_of(strategies.sampled_from(HOSTILE), strategies.text())


class HostileTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance()
        self.paths = []

    def images(self):
        adapter = fake_glance.SocketlessAdapter(self.watch)
        return client.ClientImages(contract.run_with(
            lambda: contract.session_client('http://glance', contract.ADMIN, adapter)))

    def watch(self, environ, start_response):
        self.paths.append(environ['PATH_INFO'])
        return self.glance(environ, start_response)

    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(ANYTHING)
    def test_an_id_is_one_segment_of_the_path_or_nothing_is_sent(self, name):
        hypothesis.assume(not any('\ud800' <= char <= '\udfff' for char in name))
        images = self.images()
        for request, path in ((lambda: images.image(name), '/v2/images/%s'),
                              (lambda: images.delete(name), '/v2/images/%s'),
                              (lambda: images.copy(name, ['fast']), '/v2/images/%s/import'),
                              (lambda: images.delete_from_store('x', name), '/v2/stores/%s/x')):
            del self.paths[:]
            self.assertRaises(api.GlanceError, request)
            self.assertIn(self.paths, ([], [path % name]))

    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(ANYTHING)
    def test_the_name_of_a_store_is_the_whole_header_or_nothing_is_sent(self, name):
        image_id = self.glance.add_image()
        del self.glance.log[:]
        self.glance.stores = {'fast': fake_glance.FILE}
        error = self.assertRaises(api.GlanceError, self.images().upload, image_id,
                                  counted_body.CountedBody(b'data'), name)
        self.assertTrue(str(error).isprintable())
        for _method, _path, headers in self.glance.log:
            self.assertEqual(name, headers['x-image-meta-store'])
            self.assertNotIn('x-roles', headers)

    @hypothesis.given(ANYTHING)
    def test_an_error_of_a_server_is_one_printable_line(self, said):
        for error in (api.error_for(500, said), api.GlanceError(said)):
            self.assertTrue(str(error).isprintable())
            self.assertLessEqual(len(str(error)), text.LONGEST)

    @hypothesis.given(ANYTHING)
    def test_a_message_of_a_task_is_one_printable_line(self, said):
        task = api.Task.newest({'tasks': [{'id': 't', 'status': 'failure', 'message': said}]})
        self.assertTrue(task.message.isprintable())

    @hypothesis.given(ANYTHING)
    def test_what_is_no_uuid_is_no_id_and_what_is_one_has_one_form(self, written):
        self.assertIn(api.canonical_id(written), (None, written.lower()))

    def test_each_way_to_write_a_uuid_is_the_same_id(self):
        wanted = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9'
        for way in (wanted, wanted.upper(), '{%s}' % wanted, 'urn:uuid:' + wanted, 'urn:uuid:{%s}' % wanted,
                    wanted.replace('-', '')):
            self.assertEqual(wanted, api.canonical_id(way))
        for odd in (None, 7, b'x', [wanted], wanted + '\n', wanted + '0', ' ' + wanted):
            self.assertIsNone(api.canonical_id(odd), odd)

    def test_a_quoted_segment_is_what_a_server_reads(self):
        for name in HOSTILE:
            self.assertEqual(name, urllib.parse.unquote(client.path_segment(name)))
