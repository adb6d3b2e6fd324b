# SPDX-License-Identifier: Apache-2.0
"""The Glance filter in front of the fake Glance: what it asks, what it sends on, what it leaves alone."""

import fixtures
from oslo_config import cfg
import webob

from multistore_hooks.glance import base_image_filter
from multistore_hooks.glance_api import api
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
        self.filter = base_image_filter.BaseImageFilter(self.glance, self.colocate)
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

    def test_stores_are_asked_for_again_after_a_minute(self):
        self.follow(self.base('cheap'))
        until, stores = self.filter._stores
        self.filter._stores = (until - base_image_filter.STORES_LIFETIME, stores)
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

    def test_missing_image_gets_glances_own_answer(self):
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

    def test_stores_that_cannot_be_asked_for_are_a_warning_and_the_default(self):
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


class RefusedTest(FilterTestCase):

    stores = {'fast': fake_glance.FILE, 'off': fake_glance.DISABLED, 'full': fake_glance.FULL}

    def test_store_that_refuses_before_reading_is_replaced_by_the_default(self):
        image_id = self.follow(self.base('off'))
        self.assertEqual(b'snapshot', self.glance.data['fast', image_id])
        self.assertIn('sending it to the default store fast', self.log)

    def test_store_that_refuses_after_reading_is_told_to_the_caller(self):
        image_id = self.queued()
        response = self.upload(image_id, X_OpenStack_Base_Image_Ref=self.base('full'))
        self.assertEqual(413, response.status_code)
        self.assertIn('cannot be sent to the default store fast', self.log)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))

    def test_a_body_that_is_read_line_by_line_counts_as_read(self):
        self.glance.stores['off'] = fake_glance.FULL
        lines = []

        def iterating(environ, start_response):
            if environ['REQUEST_METHOD'] == 'PUT':
                lines.extend(environ['wsgi.input'])
            return self.glance(environ, start_response)
        self.pipeline = Context(base_image_filter.BaseImageFilter(iterating))
        response = self.upload(self.queued(), X_OpenStack_Base_Image_Ref=self.base('off'))
        self.assertEqual((413, [b'snapshot']), (response.status_code, lines))

    def test_behind_uwsgi_nothing_is_sent_again(self):
        # Glance reads a chunked body past wsgi.input there: a second try would send what is left.
        image_id = self.queued()
        request = webob.Request.blank(
            '/v2/images/%s/file' % image_id, method='PUT', environ={'uwsgi.version': b'2.0'},
            headers={'X-OpenStack-Base-Image-Ref': self.base('off')})
        request.body = b'snapshot'
        self.assertEqual(410, request.get_response(self.pipeline).status_code)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))

    def test_other_refusals_are_told_to_the_caller(self):
        self.glance.faults.append(fake_glance.Fault('PUT', '/file', 403, after=0))
        response = self.upload(self.queued(), X_OpenStack_Base_Image_Ref=self.base('off'))
        self.assertEqual(403, response.status_code)

    def test_default_store_that_refuses_is_told_to_the_caller(self):
        self.glance.stores['fast'] = fake_glance.DISABLED
        response = self.upload(self.queued(), X_OpenStack_Base_Image_Ref=self.base('fast'))
        self.assertEqual(410, response.status_code)
        self.assertEqual(1, len(self.glance.requests('PUT', '/file')))


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
        self.glance.faults.append(fake_glance.Fault('POST', '/import', 400))
        image_id = self.follow(self.base('reliable', 'cheap'))
        self.assertEqual(['reliable'], self.glance.where(image_id))
        self.assertIn('WARNING Image %s is in reliable, but Glance does not copy it' % image_id, self.log)

    def test_nothing_is_asked_after_the_upload_but_for_the_copy(self):
        base_image = self.base('reliable', 'cheap')
        self.filter._stores = (0, None)
        image_id = self.follow(base_image)
        after = self.asked()[self.asked().index('PUT /v2/images/%s/file' % image_id) + 1:]
        self.assertEqual(['POST /v2/images/%s/import' % image_id], after)

    def test_store_that_refused_the_upload_gets_no_copy(self):
        self.glance.stores['off'] = fake_glance.DISABLED
        self.glance.default = 'cheap'
        base_image = self.base('off')
        image_id = self.follow(base_image)
        self.assertEqual((['cheap'], 0), (self.glance.where(image_id), self.copies()))

    def test_copy_is_asked_for_as_glance_itself_when_it_has_such_rights(self):
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
