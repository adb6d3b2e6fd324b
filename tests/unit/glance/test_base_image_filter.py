# SPDX-License-Identifier: Apache-2.0
"""The Glance filter in front of the fake Glance: what it asks, what it sends on, what it leaves alone."""

import io

import fixtures
from oslo_config import cfg
import webob

from multistore_hooks.glance import base_image_filter
from multistore_hooks.glance import request_body
from multistore_hooks.glance_api import api
from multistore_hooks.upload import stores_memory
from tests import contract
from tests import fake_glance
from tests.unit import base

Colocate = base_image_filter.Colocate


class Context:
    """The place of Glance's context middleware: puts the context where the sub-requests find it."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        headers = {'x-auth-token': environ.get('HTTP_X_AUTH_TOKEN', contract.MEMBER)}
        request = webob.Request(environ)
        request.context = fake_glance.FakeGlance._context(headers, {})
        return self.app(environ, start_response)


class FilterTestCase(base.FakeGlanceTestCase):

    colocate = Colocate()

    def setUp(self):
        super().setUp()
        self.filter = base_image_filter.BaseImageFilter(self.glance, self.colocate, self.clock)
        self.pipeline = Context(self.filter)

    def upload(self, image_id, data=b'snapshot', store=None, **headers):
        """PUT an image's data through the filter; return the response."""
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        if store:
            headers['X-Image-Meta-Store'] = store
        request = webob.Request.blank('/v2/images/%s/file' % image_id, method='PUT', headers=headers)
        request.body = data
        return request.get_response(self.pipeline)

    def follow(self, base_image, **kwargs):
        """Upload a new image that names its base image by the header; return its id."""
        image_id = self.queued()
        self.assertEqual(204, self.upload(image_id, X_OpenStack_Base_Image_Ref=base_image,
                                          **kwargs).status_code)
        return image_id

    def asked(self):
        """Return the requests that reached Glance, as method and path."""
        return ['%s %s' % entry[:2] for entry in self.glance.log]


class FollowTest(FilterTestCase):

    def test_header_leads_to_the_store_of_the_base_image(self):
        image_id = self.follow(self.base('cheap'))
        self.assertEqual(b'snapshot', self.glance.data['cheap', image_id])
        self.assertEqual(['cheap'], self.glance.where(image_id))

    def test_property_of_stock_novas_record_leads_there_too(self):
        image_id = self.queued(base_image_ref=self.base('cheap'))
        self.assertEqual(204, self.upload(image_id).status_code)
        self.assertEqual(['cheap'], self.glance.where(image_id))

    def test_header_comes_before_the_property(self):
        image_id = self.queued(base_image_ref=self.base('cheap'))
        self.upload(image_id, X_OpenStack_Base_Image_Ref=self.base('reliable'))
        self.assertEqual(['reliable'], self.glance.where(image_id))

    def test_named_store_comes_before_the_base_image(self):
        image_id = self.follow(self.base('cheap'), store='reliable')
        self.assertEqual(['reliable'], self.glance.where(image_id))
        self.assertEqual(1, len(self.glance.log))

    def test_of_several_stores_the_default_one(self):
        self.filter = base_image_filter.BaseImageFilter(self.glance, Colocate('primary', 'primary'))
        self.pipeline = Context(self.filter)
        self.assertEqual(['fast'], self.glance.where(self.follow(self.base('cheap', 'fast'))))

    def test_one_subrequest_for_each_upload_once_the_stores_are_known(self):
        base_image = self.base('cheap')
        self.follow(base_image)
        del self.glance.log[:]
        image_id = self.follow(base_image)
        self.assertEqual(['GET /v2/images/%s' % base_image, 'PUT /v2/images/%s/file' % image_id],
                         self.asked())

    def test_stores_are_requested_again_after_a_minute(self):
        self.follow(self.base('cheap'))
        self.clock.now += stores_memory.LIFETIME - 1
        self.follow(self.base('cheap'))
        self.assertEqual(1, len(self.glance.requests('GET', 'stores')))
        self.clock.now += 1
        self.follow(self.base('cheap'))
        self.assertEqual(2, len(self.glance.requests('GET', 'stores')))

    def test_subrequests_carry_neither_the_body_nor_its_headers(self):
        self.follow(self.base('cheap'), Transfer_Encoding='chunked')
        for _method, path, headers in self.glance.log[:-1]:
            self.assertNotIn('transfer-encoding', headers)
            self.assertNotIn('x-openstack-base-image-ref', headers)
        self.assertEqual('chunked', self.glance.log[-1][2]['transfer-encoding'])

    def test_image_without_base_image_goes_to_the_default(self):
        image_id = self.queued()
        self.assertEqual(204, self.upload(image_id).status_code)
        self.assertEqual(['fast'], self.glance.where(image_id))

    def test_missing_image_gets_glances_own_response(self):
        self.assertEqual(404, self.upload('11111111-2222-3333-4444-555555555555').status_code)

    def test_deleted_base_image_is_a_warning_and_the_default(self):
        image_id = self.follow('11111111-2222-3333-4444-555555555555')
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn("WARNING Image %s goes to Glance's default store: its base image" % image_id, self.log)

    def test_base_image_that_the_caller_may_not_see_is_as_good_as_deleted(self):
        image_id = self.follow(self.glance.add_image(['cheap'], owner='p2'))
        self.assertEqual(['fast'], self.glance.where(image_id))

    def test_base_image_that_is_no_uuid_is_a_warning_and_the_default(self):
        image_id = self.follow('../../v2/info/stores')
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn('no UUID', self.log)
        self.assertEqual(['PUT /v2/images/%s/file' % image_id], self.asked())

    def test_empty_header_is_no_base_image(self):
        self.assertEqual(['fast'], self.glance.where(self.follow('')))

    def test_stores_that_cannot_be_read_are_a_warning_and_the_default(self):
        self.glance.faults.append(fake_glance.Fault('GET', 'stores', 500))
        image_id = self.follow(self.base('cheap'))
        self.assertEqual(['fast'], self.glance.where(image_id))
        self.assertIn('WARNING', self.log)

    def test_glance_with_one_store_is_left_alone(self):
        self.glance.stores = {}
        image_id = self.follow(self.base())
        self.assertEqual(['only'], self.glance.where(image_id))

    def test_store_is_not_named_by_a_part_of_its_name(self):
        self.glance.stores = {'fast': fake_glance.FILE,
                              'ceph1-rbd': fake_glance.FILE, 'rbd': fake_glance.FILE}
        self.assertEqual(['ceph1-rbd'], self.glance.where(self.follow(self.base('ceph1-rbd'))))
        self.assertEqual(['rbd'], self.glance.where(self.follow(self.base('rbd'))))


class Pieces:
    """Gives out bytes; all servers' input stands on it."""

    def __init__(self, data):
        self._rest = io.BytesIO(data)


class Gunicorn(Pieces):
    """As gunicorn's Body: read, readline, readlines, and an iterator over lines."""

    def read(self, size=None):
        return self._rest.read(-1 if size is None else size)

    def readline(self, size=None):
        return self._rest.readline(-1 if size is None else size)

    def readlines(self, size=None):
        return self._rest.readlines()

    def __iter__(self):
        return iter(self._rest)


class Eventlet(Gunicorn):
    """As eventlet's Input, which besides reads into a buffer."""

    def readinto(self, buffer):
        return self._rest.readinto(buffer)


class ModWsgi(Gunicorn):
    """As mod_wsgi's, whose methods take positional arguments only, and a number."""

    def read(self, *args):
        return self._rest.read(*args)


SERVERS = (Gunicorn, Eventlet, ModWsgi)


class RefusedTest(FilterTestCase):

    stores = {'fast': fake_glance.FILE, 'off': fake_glance.DISABLED, 'full': fake_glance.FULL}

    def put(self, store, data=b'snapshot', app=None, chunked=False, server=Gunicorn, **environ):
        """Upload an image whose base image is in a store; return its id and the response."""
        image_id = self.queued()
        request = webob.Request.blank('/v2/images/%s/file' % image_id, method='PUT', environ=environ,
                                      headers={'X-OpenStack-Base-Image-Ref': self.base(store)})
        request.environ['wsgi.input'] = server(data)
        if chunked:
            request.headers['Transfer-Encoding'] = 'chunked'
        else:
            request.environ['CONTENT_LENGTH'] = str(len(data))
        pipeline = Context(base_image_filter.BaseImageFilter(app or self.glance, clock=self.clock))
        return image_id, request.get_response(pipeline)

    def test_store_that_refuses_before_reading_is_replaced_by_the_default(self):
        image_id = self.follow(self.base('off'))
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])
        self.assertIn('WARNING Image %s was not accepted: the store off takes no images' % image_id, self.log)
        self.assertIn('Sending it to the default store fast.', self.log)

    def test_behind_every_server_a_method_that_is_looked_up_has_read_nothing(self):
        # Glance's reader of an image asks for what the body has before it hands it to a store.
        def looking(environ, start_response):
            for name in ('read', 'readline', 'readinto', 'seek', 'fileno'):
                getattr(environ['wsgi.input'], name, None)
            return self.glance(environ, start_response)
        for server in SERVERS:
            for chunked in (False, True):
                image_id, response = self.put('off', app=looking, chunked=chunked, server=server)
                self.assertEqual(204, response.status_code)
                self.assertEqual(b'snapshot', self.glance.data['fast', image_id])

    def test_behind_every_server_what_was_read_is_counted_however_it_was_read(self):
        ways = {'read': lambda body: body.read(3), 'all': lambda body: body.read(),
                'readline': lambda body: body.readline(), 'readlines': lambda body: body.readlines(),
                'iteration': lambda body: next(iter(body)),
                'readinto': lambda body: body.readinto(bytearray(3)) if hasattr(body, 'readinto') else
                body.read(3)}
        for server in SERVERS:
            for name, way in sorted(ways.items()):
                read = 3 if name in ('read', 'readinto') else 8

                def reading(environ, start_response):
                    if environ['REQUEST_METHOD'] == 'PUT':
                        way(environ['wsgi.input'])
                    return self.glance(environ, start_response)
                image_id, response = self.put('off', app=reading, server=server)
                self.assertEqual(410, response.status_code, name)
                self.assertIn('WARNING Image %s was not accepted: the store off takes no images: it is '
                              'read-only' % image_id, self.log)
                self.assertIn('cannot be sent to the default store fast instead: %d bytes of it were read.'
                              % read, self.log)
                self.assertNotIn(('fast', image_id), self.glance.data)

    def test_a_method_that_a_server_has_not_is_not_there(self):
        body = request_body.CountedInput({'wsgi.input': Gunicorn(b'')})
        self.assertFalse(hasattr(body, 'readinto'))
        self.assertTrue(hasattr(body, 'read'))

    def test_store_that_refuses_after_reading_is_the_clients_response(self):
        image_id, response = self.put('full')
        self.assertEqual(413, response.status_code)
        self.assertIn('the store full is full (413', self.log)
        self.assertIn('cannot be sent to the default store fast instead: 8 bytes of it were read.', self.log)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))

    def test_behind_uwsgi_a_body_of_known_length_is_sent_to_the_default(self):
        image_id, response = self.put('off', **{'uwsgi.version': b'2.0'})
        self.assertEqual(204, response.status_code)
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])

    def test_behind_uwsgi_a_chunked_body_is_not_sent_again(self):
        # Glance reads it past wsgi.input there: a second attempt would send what is left.
        _image_id, response = self.put('off', chunked=True, **{'uwsgi.version': b'2.0'})
        self.assertEqual(410, response.status_code)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))
        self.assertIn('instead: it is a chunked body behind uWSGI', self.log)

    def test_other_refusals_are_the_clients_response(self):
        for status in (403, 404, 409, 500, 502, 503, 504):
            self.glance.faults.append(fake_glance.Fault('PUT', '/file', status, after=0))
            _image_id, response = self.put('off')
            self.assertEqual(status, response.status_code)
        self.assertNotIn('not accepted', self.log)

    def test_default_store_that_refuses_is_the_clients_response(self):
        self.glance.stores['fast'] = fake_glance.DISABLED
        response = self.upload(self.queued(), X_OpenStack_Base_Image_Ref=self.base('fast'))
        self.assertEqual(410, response.status_code)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))

    def test_default_store_that_refuses_too_is_the_clients_response(self):
        self.glance.stores['fast'] = fake_glance.FULL
        self.assertEqual(413, self.put('off')[1].status_code)
        self.assertEqual(2, len(self.glance.requests('PUT', '/file')))

    def test_client_that_closes_its_connection_is_no_refusal_of_the_store(self):
        class Closed(Gunicorn):
            def read(self, size=None):
                raise OSError('Connection reset by peer')

        def failing(environ, start_response):
            if environ['REQUEST_METHOD'] == 'PUT':
                try:
                    environ['wsgi.input'].read(1)
                except OSError as error:
                    start_response('400 Bad Request', [('Content-Type', 'text/plain')])
                    return [str(error).encode()]
            return self.glance(environ, start_response)
        _image_id, response = self.put('off', app=failing, server=Closed)
        self.assertEqual(400, response.status_code)
        self.assertNotIn('not accepted', self.log)

    def test_client_that_sends_less_than_announced_is_no_refusal_of_the_store(self):
        def short(environ, start_response):
            if environ['REQUEST_METHOD'] == 'PUT':
                while environ['wsgi.input'].read(5):
                    pass
                self.glance.faults.append(fake_glance.Fault('PUT', '/file', 400, after=0))
            return self.glance(environ, start_response)
        image_id = self.queued()
        request = webob.Request.blank('/v2/images/%s/file' % image_id, method='PUT', headers={
            'X-OpenStack-Base-Image-Ref': self.base('off')})
        request.environ.update({'wsgi.input': Gunicorn(b'snap'), 'CONTENT_LENGTH': '8'})
        response = request.get_response(Context(base_image_filter.BaseImageFilter(short, clock=self.clock)))
        self.assertEqual(400, response.status_code)
        self.assertNotIn('not accepted', self.log)

    def test_image_that_was_deleted_meanwhile_is_not_sent_again(self):
        def deleting(environ, start_response):
            if environ['REQUEST_METHOD'] == 'PUT':
                self.glance.faults.append(fake_glance.Fault('PUT', '/file', 410, after=0))
                self.glance.images.pop(environ['PATH_INFO'].split('/')[3])
            return self.glance(environ, start_response)
        _image_id, response = self.put('off', app=deleting)
        self.assertEqual(410, response.status_code)
        self.assertIn('instead: the image was deleted.', self.log)


class HostileTest(FilterTestCase):
    """What a user controls: the path, the headers, and the properties of a record."""

    #: Values of the header or of the property; none is a base image, and none gets into a path.
    BASES = ('../../v2/info/stores', '11111111-2222-3333-4444-555555555555\nWARNING forged',
             '%0aWARNING forged', '11111111-2222-3333-4444-555555555555/file', 'x' * 100000, '{', '\x1b[31m',
             "' OR 1=1 --",
             '11111111-2222-3333-4444-555555555555?x=1', '１１１１１１１１-2222-3333-4444-55555555555/', '\u202e')

    def lines(self):
        return [line for line in self.log.splitlines() if line]

    def test_no_property_and_no_header_forges_a_line_or_a_request(self):
        for hostile in self.BASES:
            del self.glance.log[:]
            image_id = self.queued(base_image_ref=hostile)
            self.assertEqual(204, self.upload(image_id).status_code)
            self.assertEqual(['fast'], self.glance.where(image_id))
            self.assertEqual({'/v2/images/' + image_id, '/v2/images/%s/file' % image_id},
                             {entry[1] for entry in self.glance.log}, hostile)
        self.assertEqual(len(self.BASES), len(self.lines()), self.log)
        for line in self.lines():
            self.assertTrue(line.startswith('WARNING The upload of image '), line)
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), 400)

    def test_a_property_that_is_no_text_is_no_base_image(self):
        for odd in (7, True, ['x'], {'a': 'b'}):
            image_id = self.queued(base_image_ref=odd)
            self.assertEqual(204, self.upload(image_id).status_code)
            self.assertEqual(['fast'], self.glance.where(image_id))

    def test_a_path_that_is_not_an_images_file_passes_untouched(self):
        for path in ('/v2/images/%s\nWARNING forged/file', '/v2/images/%s/file\n', '/v2/images/%s/file/',
                     '/v2/images/%s\r/file', '/v2/images/../%s/file', '//v2/images/%s/file',
                     '/v2/images/\x1b[31m/file', '/V2/images/%s/file'):
            image_id = self.queued(base_image_ref=self.base('cheap'))
            path = path.replace('%s', image_id)
            del self.glance.log[:]
            request = webob.Request.blank('/', method='PUT')
            request.environ['PATH_INFO'] = path
            request.get_response(self.pipeline)
            self.assertEqual([('PUT', path)], [entry[:2] for entry in self.glance.log])
        self.assertEqual([], self.lines())

    def test_ids_that_are_written_another_way_are_the_same_base_image(self):
        base_image = self.base('cheap')
        for way in (base_image.upper(), '{%s}' % base_image, 'urn:uuid:' + base_image,
                    base_image.replace('-', '')):
            self.assertEqual(['cheap'], self.glance.where(self.follow(way)))

    def test_odd_sizes_do_not_break_the_count(self):
        for announced in ('', '-1', 'x', '9' * 30):
            body = request_body.CountedInput({'wsgi.input': Gunicorn(b'data'), 'CONTENT_LENGTH': announced})
            self.assertEqual(b'data', body.read(10))
            self.assertEqual(4, body.sent)


class ColocateTest(FilterTestCase):

    def copies(self):
        return len(self.glance.requests('POST', '/import'))

    def with_colocate(self, colocate):
        self.pipeline = Context(base_image_filter.BaseImageFilter(self.glance, colocate))

    def test_volume_goes_to_all_stores_of_its_base_image(self):
        image_id = self.follow(self.base('reliable', 'cheap'))
        self.assertEqual(['cheap', 'reliable'], self.glance.where(image_id))
        self.assertIn('Glance copies it to the other stores', self.log)

    def test_snapshot_goes_to_one_of_them(self):
        image_id = self.follow(self.base('reliable', 'cheap'), X_OpenStack_Multistore_Hooks='snapshot')
        self.assertEqual(['reliable'], self.glance.where(image_id))
        image_id = self.queued(base_image_ref=self.base('reliable', 'cheap'))
        self.upload(image_id)
        self.assertEqual(['reliable'], self.glance.where(image_id))

    def test_both_can_be_set(self):
        self.with_colocate(Colocate('primary', 'all'))
        self.assertEqual(['reliable'], self.glance.where(self.follow(self.base('reliable', 'cheap'))))
        image_id = self.queued(base_image_ref=self.base('reliable', 'cheap'))
        self.upload(image_id)
        self.assertEqual(['cheap', 'reliable'], self.glance.where(image_id))

    def test_one_store_needs_no_copy(self):
        self.follow(self.base('cheap'))
        self.assertEqual(0, self.copies())

    def test_read_only_and_unknown_stores_get_no_copy(self):
        self.glance.stores['web'] = fake_glance.READ_ONLY
        self.follow(self.base('cheap', 'web'))
        self.assertEqual(0, self.copies())

    def test_no_copy_after_a_failed_upload(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 500))
        response = self.upload(self.queued(), X_OpenStack_Base_Image_Ref=self.base('cheap', 'fast'))
        self.assertEqual(500, response.status_code)
        self.assertEqual(0, self.copies())

    def test_refused_copy_is_a_warning_and_the_upload_stays(self):
        lines = self.logged_in_except_blocks()
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 400))
        image_id = self.follow(self.base('reliable', 'cheap'))
        self.assertEqual(['reliable'], self.glance.where(image_id))
        self.assertIn('WARNING Image %s is in reliable, but Glance does not copy it' % image_id, self.log)
        self.assertEqual([], lines)

    def test_no_request_follows_the_upload_but_for_the_copy(self):
        base_image = self.base('reliable', 'cheap')
        self.clock.now += stores_memory.LIFETIME
        image_id = self.follow(base_image)
        after = self.asked()[self.asked().index('PUT /v2/images/%s/file' % image_id) + 1:]
        self.assertEqual(['POST /v2/images/%s/import' % image_id], after)

    def test_store_that_refused_the_upload_gets_no_copy(self):
        self.glance.stores['off'] = fake_glance.DISABLED
        self.glance.default = 'cheap'
        base_image = self.base('off')
        image_id = self.follow(base_image)
        self.assertEqual((['cheap'], 0), (self.glance.where(image_id), self.copies()))

    def test_copy_is_requested_as_glance_itself_when_it_has_such_rights(self):
        class Ussuri(Context):
            def __call__(self, environ, start_response):
                class Plain:
                    is_admin, project_id = True, 'p1'
                webob.Request(environ).context = Plain()
                return self.app(environ, start_response)
        self.pipeline = Ussuri(self.filter)
        image_id = self.follow(self.base('reliable', 'cheap'))
        self.assertEqual(['cheap', 'reliable'], self.glance.where(image_id))


class OtherRequestsTest(FilterTestCase):

    def test_discovery_announces_the_filter(self):
        stores = self.images(application=self.pipeline).stores()
        self.assertTrue(stores.follows_base_image)
        self.assertEqual(('reliable', 'fast', 'cheap'), stores.ids)

    def test_discovery_announces_that_volumes_come_to_one_store(self):
        self.assertTrue(self.images(application=self.pipeline).stores().colocates_volumes)
        for snapshots in ('all', 'primary'):
            pipeline = Context(base_image_filter.BaseImageFilter(self.glance, Colocate('primary', snapshots)))
            stores = self.images(application=pipeline).stores()
            self.assertEqual((True, False), (stores.follows_base_image, stores.colocates_volumes))

    def test_discovery_of_one_store_announces_nothing(self):
        self.glance.stores = {}
        response = webob.Request.blank('/v2/info/stores').get_response(self.pipeline)
        self.assertEqual((404, None), (response.status_code, response.headers.get(api.FILTER_HEADER)))

    def test_everything_else_passes_untouched(self):
        base_image = self.base('cheap')
        image = '/v2/images/' + base_image
        for method, path in (('GET', image), ('GET', image + '/file'), ('PUT', image + '/stage'),
                             ('DELETE', image)):
            del self.glance.log[:]
            seen = []
            pipeline = base_image_filter.BaseImageFilter(
                lambda environ, start: seen.append(environ) or self.glance(environ, start))
            request = webob.Request.blank(path, method=method)
            request.get_response(Context(pipeline))
            self.assertEqual(1, len(self.glance.log))
            self.assertIs(request.environ, seen[0])


class FactoryTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        self.useFixture(fixtures.MockPatchObject(base_image_filter, 'CONF', self.conf))

    def build(self, **local_conf):
        self.conf([])
        return base_image_filter.filter_factory({}, **local_conf)('app')._colocate

    def test_defaults_are_what_the_specifications_say(self):
        self.assertEqual(('all', 'primary'), self.build())

    def test_glances_configuration_is_read(self):
        base_image_filter.options.register_glance_opts(self.conf)
        self.conf.set_override('colocate_volumes', 'primary', 'multistore_hooks')
        self.conf.set_override('colocate_snapshots', 'all', 'multistore_hooks')
        self.assertEqual(('primary', 'all'), self.build())

    def test_the_filters_own_section_comes_first(self):
        self.assertEqual(('primary', 'all'), self.build(colocate_volumes='primary', colocate_snapshots='all'))
        self.assertEqual(('all', 'all'), self.build(colocate='all'))
        self.assertEqual(('primary', 'all'), self.build(colocate='all', colocate_volumes='primary'))

    def test_mistakes_in_the_section_are_named(self):
        for wrong in ({'colocate': 'everywhere'}, {'colocation': 'all'}):
            error = self.assertRaises(ValueError, self.build, **wrong)
            self.assertIn(list(wrong)[0], str(error))
