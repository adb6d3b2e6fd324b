# SPDX-License-Identifier: Apache-2.0
"""The lab's Glance is what it claims to be: each of its capabilities, against the real service."""

import http.client
import io
import signal
import socket
import subprocess
import sys

import ddt
import fixtures
import testtools

from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from lab import paths
from lab import poll
from lab.poll import LabError
from lab import processes

STORES = {'fast': 'file', 'cheap': 'file', 'web': 'http', 'off': 'disabled', 'tiny': 'full:1000'}
MEMBER = 'mallory:other:member,reader'
BIG = b'x' * (8 << 20)


class SharedGlance(testtools.TestCase):
    """Tests that share one Glance, and leave no fault behind."""

    options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = fixtures.TempDir()
        cls.folder.setUp()
        cls.addClassCleanup(cls.folder.cleanUp)
        cls.glance = Glance(cls.folder.path, **cls.options)
        cls.glance.start()
        cls.addClassCleanup(cls.glance.kill)

    def setUp(self):
        super().setUp()
        if self.glance.faults:
            self.glance.clear_faults()
            self.glance.forget_requests()


@ddt.ddt
class StoresTest(SharedGlance):
    """Kinds of stores, as discovery and uploads see them."""

    options = {'stores': STORES, 'default': 'cheap'}

    def test_discovery_lists_stores_default_and_read_only(self):
        listed = {store.pop('id'): store for store in
                  self.glance.request('GET', '/v2/info/stores').json()['stores']}
        self.assertEqual(set(STORES), set(listed))
        self.assertEqual(['cheap'], [name for name in listed if 'default' in listed[name]])
        self.assertEqual('true', listed['cheap']['default'])
        self.assertEqual(['web'], [name for name in listed if 'read-only' in listed[name]])
        self.assertEqual('true', listed['web']['read-only'])

    def test_upload_without_a_store_goes_to_the_default_and_is_on_disk(self):
        image = self.glance.create_image()['id']
        self.assertEqual(204, self.glance.upload(image, b'some data').status)
        self.assertEqual({'cheap'}, self.glance.stores_of(image))
        self.assertIn(image, self.glance.files('cheap'))
        self.assertNotIn(image, self.glance.files('fast'))
        self.assertEqual(b'some data', self.glance.data('cheap', image))
        self.assertEqual(b'some data', self.glance.download(image))

    def test_upload_of_a_file_is_sent_in_chunks_and_arrives_whole(self):
        image = self.glance.create_image()['id']
        self.assertEqual(204, self.glance.upload(image, io.BytesIO(BIG), store='fast').status)
        self.assertEqual(BIG, self.glance.data('fast', image))

    def test_copy_is_in_both_stores(self):
        image = self.glance.add_image(b'data', ['fast', 'cheap'])
        self.assertEqual({'fast', 'cheap'}, self.glance.stores_of(image))
        self.assertEqual(b'data', self.glance.data('cheap', image))

    @ddt.data(('off', 410), ('web', 410), ('tiny', 413), ('nope', 400))
    @ddt.unpack
    def test_refusals(self, store, status):
        for data in (b'x' * 2000, BIG, io.BytesIO(BIG)):
            image = self.glance.create_image()['id']
            self.assertEqual(status, self.glance.upload(image, data, store=store).status)
            shown = self.glance.image(image)
            self.assertEqual('queued', shown['status'])
            self.assertNotIn('stores', shown)
        self.assertNotIn(image, self.glance.files('tiny'))

    def test_full_store_takes_what_fits(self):
        image = self.glance.create_image()['id']
        self.assertEqual(204, self.glance.upload(image, b'x' * 600, store='tiny').status)
        self.assertEqual({'tiny'}, self.glance.stores_of(image))
        other = self.glance.create_image()['id']
        self.assertEqual(413, self.glance.upload(other, b'x' * 600, store='tiny').status)
        # There is room again once an image is gone.
        self.glance.request('DELETE', '/v2/images/%s' % image)
        self.assertEqual(204, self.glance.upload(other, b'x' * 600, store='tiny').status)

    def test_token_says_who_one_is(self):
        image = self.glance.create_image(visibility='private')['id']
        path = '/v2/images/%s' % image
        self.assertEqual(200, self.glance.request('GET', path).status)
        self.assertEqual(404, self.glance.request('GET', path, token=MEMBER).status)
        own = self.glance.add_image(b'data', ['fast'], token=MEMBER)
        self.assertEqual('other', self.glance.image(own, token=MEMBER)['owner'])
        response = self.glance.import_copy(own, ['cheap'], token=MEMBER, wait=False)
        self.assertEqual(403, response.status)

    def test_faults_need_the_filter(self):
        self.assertRaisesRegex(LabError, 'faults=True', self.glance.requests)


class FaultsTest(SharedGlance):
    """What the fault filter does, and that it does it no more often than it was configured to."""

    options = {'stores': {'fast': 'file'}, 'faults': True}

    def setUp(self):
        super().setUp()
        self.image_id = self.glance.create_image()['id']
        self.glance.forget_requests()

    def test_requests_are_recorded(self):
        self.glance.upload(self.image_id, b'12345', headers={'X-Custom': 'yes'})
        self.glance.image(self.image_id)
        put, = self.glance.requests('PUT', '/file$')
        self.assertEqual((204, 5, 'yes', None), (
            put['status'], put['body'], put['headers']['x-custom'], put['fault']))
        self.assertEqual(1, len(self.glance.requests('GET')))
        self.assertEqual(1, len(self.glance.requests('PUT', place='inner')))

    def test_503_once_in_the_middle_of_an_upload(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1000)
        self.assertEqual(503, self.glance.upload(self.image_id, BIG).status)
        self.assertEqual('queued', self.glance.image(self.image_id)['status'])
        self.assertEqual(set(), self.glance.files('fast') & {self.image_id})
        self.assertEqual(204, self.glance.upload(self.image_id, BIG).status)
        self.assertEqual(BIG, self.glance.data('fast', self.image_id))
        first, second = self.glance.requests('PUT')
        self.assertEqual((len(BIG), 'status', 503), (
            first['body'], first['fault'], first['status']))
        self.assertEqual((None, 204), (second['fault'], second['status']))

    def test_503_without_reading_the_rest_of_the_upload(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1000, drain=False)
        connection = http.client.HTTPConnection('127.0.0.1', self.glance.port, timeout=poll.SECONDS)
        self.addCleanup(connection.close)
        connection.putrequest('PUT', '/v2/images/%s/file' % self.image_id)
        connection.putheader('Content-Length', '1000000')
        # More than is read: gunicorn reads in pieces of 1024 bytes.
        connection.endheaders(b'x' * 4096)
        self.assertEqual(503, connection.getresponse().status)
        self.assertEqual(1000, self.glance.requests('PUT')[0]['body'])

    def test_reset_connection(self):
        self.glance.fault('PUT', '/file$', at='body', after_bytes=1000, action='reset')
        self.assertRaises(ConnectionResetError, self.glance.upload, self.image_id, b'x' * 2000)
        self.assertEqual(204, self.glance.upload(self.image_id, b'x').status)

    def test_hang_ends_when_faults_are_cleared(self):
        self.glance.fault('GET', '/v2/images/', action='hang')
        path = '/v2/images/%s' % self.image_id
        self.assertRaises(socket.timeout, self.glance.request, 'GET', path, timeout=0.3)
        connection = http.client.HTTPConnection('127.0.0.1', self.glance.port, timeout=poll.SECONDS)
        self.addCleanup(connection.close)
        self.glance.fault('GET', '/v2/images/', action='hang')
        connection.request('GET', path)
        poll.until('second request', lambda: len(self.glance.requests('GET')) == 2)
        self.glance.clear_faults()
        self.assertRaises(ConnectionError, connection.getresponse)
        self.assertEqual(200, self.glance.request('GET', path).status)

    def test_error_after_the_request_took_effect(self):
        self.glance.fault('PUT', '/file$', at='after', status=500)
        self.assertEqual(500, self.glance.upload(self.image_id, b'x').status)
        self.assertEqual('active', self.glance.image(self.image_id)['status'])

    def test_nth_matching_request(self):
        path = '/v2/images/%s' % self.image_id
        self.glance.fault('GET', '/v2/images/', skip=1, times=2, status=404)
        statuses = [self.glance.request('GET', path).status for _ in range(5)]
        self.assertEqual([200, 404, 404, 200, 200], statuses)
        self.assertEqual(200, self.glance.request('GET', '/v2/info/stores').status)

    def test_every_matching_request_of_an_inner_place(self):
        self.glance.fault('GET', '/v2/images/', place='inner', status=500, times=None,
                          headers={'X-Fault': 'yes'})
        for _ in range(3):
            response = self.glance.request('GET', '/v2/images/%s' % self.image_id)
            self.assertEqual((500, 'yes'), (response.status, response.headers['x-fault']))

    def test_mistakes_in_a_fault_are_reported(self):
        self.assertRaisesRegex(LabError, 'no such part of a fault: stauts',
                               self.glance.fault, 'GET', stauts=500)
        self.assertRaisesRegex(LabError, 'only an outer fault',
                               self.glance.fault, 'GET', place='inner', action='reset')


class FilterTest(SharedGlance):
    """Filters are in the pipeline, and faults can be put behind them."""

    options = {'stores': {'fast': 'file', 'cheap': 'file'}, 'faults': True,
               'filters': [BASE_IMAGE_FILTER]}

    def test_base_image_filter_is_in_the_pipeline(self):
        base = self.glance.add_image(b'base', ['cheap'])
        image = self.glance.create_image()['id']
        self.glance.forget_requests()
        self.glance.upload(image, b'data', headers={'X-OpenStack-Base-Image-Ref': base})
        self.assertEqual({'cheap'}, self.glance.stores_of(image))
        inner = self.glance.requests(place='inner')
        self.assertNotEqual([], [note for note in inner if base in note['path']])


class LifeTest(testtools.TestCase):
    """Starting, stopping, and what is left behind."""

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path

    def test_classic_glance_has_one_store_and_no_discovery(self):
        with Glance(self.root, {'only': 'file'}, multistore=False) as glance:
            self.assertEqual(404, glance.request('GET', '/v2/info/stores').status)
            image = glance.add_image(b'data')
            self.assertNotIn('stores', glance.image(image))
            self.assertEqual({image}, glance.files('only'))

    def test_killed_glance_comes_up_again_with_its_data_on_the_same_port(self):
        with Glance(self.root, {'fast': 'file'}) as glance:
            url = glance.url
            image = glance.add_image(b'data')
            glance.kill()
            self.assertIsNone(glance.pid)
            self.assertRaises(ConnectionRefusedError, glance.request, 'GET', '/')
            glance.start()
            self.assertEqual((url, b'data'), (glance.url, glance.download(image)))
            glance.stop()
            self.assertRaises(ConnectionRefusedError, glance.request, 'GET', '/')

    def test_exception_in_the_block_leaves_no_process(self):
        try:
            with Glance(self.root, {'fast': 'file'}) as glance:
                pid = glance.pid
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        poll.until('end of the group', lambda: not processes.members(pid))

    def test_starter_killed_by_sigkill_leaves_no_process(self):
        code = ('import sys, time; from lab.glance import Glance\n'
                'glance = Glance(sys.argv[1], {"fast": "file"}); glance.start()\n'
                'print(glance.pid, flush=True); time.sleep(600)')
        starter = subprocess.Popen([sys.executable, '-c', code, self.root], cwd=paths.CHECKOUT,
                                   stdout=subprocess.PIPE, universal_newlines=True)
        self.addCleanup(starter.wait)
        self.addCleanup(starter.kill)
        self.addCleanup(starter.stdout.close)
        pid = int(starter.stdout.readline())
        self.assertTrue(processes.members(pid))
        starter.kill()
        poll.until('end of the group', lambda: not processes.members(pid))

    def test_start_that_fails_shows_the_log_and_leaves_no_process(self):
        glance = Glance(self.root, {'fast': 'file'}, filters=[
            {'name': 'broken', 'factory': 'no.such.module:factory'}])
        error = self.assertRaises(LabError, glance.start)
        self.assertIn("No module named 'no'", str(error))
        self.assertIsNone(glance.pid)

    def test_taken_port_is_reported_in_one_line(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen(1)
            port = taken.getsockname()[1]
            error = self.assertRaises(LabError, Glance(
                self.root, {'fast': 'file'}, port=port).start)
        self.assertEqual('port %d on 127.0.0.1 cannot be used: Address already in use' % port,
                         str(error))

    def test_mistakes_in_stores_are_reported(self):
        self.assertRaisesRegex(LabError, 'default store b is none of a',
                               Glance, self.root, {'a': 'file'}, default='b')
        self.assertRaisesRegex(ValueError, 'store a: no such kind of store: tape',
                               Glance(self.root, {'a': 'tape'}).start)

    def test_command_line_prints_the_url_and_ends_on_ctrl_c(self):
        running = subprocess.Popen(
            [sys.executable, '-m', 'lab.glance', '--root', self.root, '--stores',
             'a:file,b:file', '--default', 'b'], cwd=paths.CHECKOUT, stdout=subprocess.PIPE,
            universal_newlines=True)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.addCleanup(running.stdout.close)
        url = running.stdout.readline().split()[0]
        connection = http.client.HTTPConnection(url[len('http://'):], timeout=poll.SECONDS)
        connection.request('GET', '/v2/info/stores')
        self.assertIn(b'"id": "b", "description": "lab", "default": "true"',
                      connection.getresponse().read())
        connection.close()
        running.send_signal(signal.SIGINT)
        self.assertEqual(0, running.wait(poll.SECONDS))
        connection = http.client.HTTPConnection(url[len('http://'):], timeout=poll.SECONDS)
        self.assertRaises(ConnectionRefusedError, connection.request, 'GET', '/')
