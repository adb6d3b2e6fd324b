# SPDX-License-Identifier: Apache-2.0
"""Nova's image API in our hands: where a snapshot goes, what arrived, and what Glance makes of a location."""

import gc
import io
import types

from keystoneauth1.identity import v3
from keystoneauth1 import session as ks_session
import requests

from multistore_hooks import options
from tests import clock
from tests import fake_glance
from tests.unit import base
from tests.unit.nova import standins

DATA = b'a server' * 1000
RBD_URL = 'rbd://%s/images/%%s/snap' % standins.FSID


class ImageApiTestCase(base.FakeGlanceTestCase):
    """The seam on stand-ins of Nova, a fake Glance and a clock of its own."""

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(standins.Cloud(self.glance))
        options.register_nova_opts(self.cloud.conf)
        from multistore_hooks.nova import image_api
        self.image_api = image_api
        self.clock = clock.Clock()
        self.api = image_api.API(self.clock)
        self.context = types.SimpleNamespace(request_id='req', global_id=None)
        self.image_id = self.queued()

    def set(self, name, value, group='multistore_hooks'):
        self.cloud.conf.set_override(name, value, group=group)

    def snapshot(self, base_image=None, location=None, must_be_active=False, delete_on_failure=False):
        """Take one snapshot, by upload or by location."""
        with self.api.with_placement(self.context, self.image_id, base_image, None, must_be_active,
                                     delete_on_failure):
            info = {'name': 'snapshot'}
            if location:
                return self.api.update(self.context, self.image_id, dict(info, location=location))
            return self.api.update(self.context, self.image_id, info, data=io.BytesIO(DATA))

    def refused(self, kind, *args, **kwargs):
        return self.assertRaises(getattr(self.cloud.exception, kind), self.snapshot, *args, **kwargs)

    def paths(self, image_id=None):
        """Return the requests so far, of an image or of all, as 'METHOD /path'."""
        return ['%s %s' % entry[:2] for entry in self.glance.log if not image_id or image_id in entry[1]]

    def respond(self, method, path, status, times=1):
        self.glance.faults.append(fake_glance.Fault(method, path, status, times))


class PlacementTest(ImageApiTestCase):

    def test_snapshot_goes_to_the_store_of_its_base_image(self):
        self.snapshot(self.base('reliable'))
        self.assertEqual(['reliable'], self.glance.where(self.image_id))
        self.assertEqual(DATA, self.glance.data['reliable', self.image_id])

    def test_named_store_comes_first(self):
        self.set('snapshot_store', 'cheap')
        self.snapshot(self.base('reliable'))
        self.assertEqual(['cheap'], self.glance.where(self.image_id))

    def test_named_store_that_does_not_exist_is_an_error_before_any_byte_and_the_record_is_deleted(self):
        self.set('snapshot_store', 'nope')
        error = self.refused('ImageBadRequest')
        self.assertIn("snapshot_store names the Glance store 'nope', which does not exist", str(error))
        self.assertEqual([], self.glance.requests('PUT', 'file'))
        self.assertNotIn(self.image_id, self.glance.images)

    def test_upload_that_nobody_placed_goes_to_the_default_store(self):
        self.api.update(self.context, self.image_id, {}, data=io.BytesIO(DATA))
        self.assertEqual(['fast'], self.glance.where(self.image_id))

    def test_update_without_data_is_novas_own(self):
        self.api.update(self.context, self.image_id, {'name': 'new'})
        self.assertEqual(['GET /v2/images/' + self.image_id], self.paths())

    def test_image_of_another_glance_is_novas_own(self):
        session, image_id = self.api._get_session_and_image_id(
            self.context, 'http://other/v2/images/' + self.image_id)
        self.assertEqual(self.image_id, image_id)
        self.assertIs(standins.Client, type(session._client._create_onetime_client(self.context, 2)))

    def test_error_of_glance_is_the_one_that_nova_expects(self):
        self.respond('PUT', 'file', 403)
        self.refused('ImageNotAuthorized')

    def test_data_that_cannot_be_sent_again_is_a_nova_exception_with_our_text(self):
        class Pipe:
            def __init__(self):
                self.data = io.BytesIO(DATA)

            def read(self, size=-1):
                return self.data.read(size)

        self.glance.faults.append(fake_glance.Fault('PUT', 'file', 503, after=100))
        error = self.assertRaises(self.cloud.exception.NovaException, self.api.update, self.context,
                                  self.image_id, {}, data=Pipe())
        self.assertIn('cannot', str(error))


class StoresMemoryTest(ImageApiTestCase):

    def discoveries(self):
        return len(self.glance.requests('GET', '/v2/info/stores'))

    def again(self, **kwargs):
        self.image_id = self.queued()
        self.snapshot(self.base('reliable'), **kwargs)

    def test_stores_are_requested_once_a_minute(self):
        for _ in range(3):
            self.again()
        self.assertEqual(1, self.discoveries())
        self.clock.now += 60
        self.again()
        self.assertEqual(2, self.discoveries())

    def test_store_that_is_new_is_not_refused_by_what_is_remembered(self):
        self.again()
        self.glance.stores['new'] = fake_glance.FILE
        self.set('snapshot_store', 'new')
        self.again()
        self.assertEqual(['new'], self.glance.where(self.image_id))

    def test_failed_discovery_is_not_remembered(self):
        self.respond('GET', '/v2/info/stores', 500)
        self.again()
        self.assertEqual(['fast'], self.glance.where(self.image_id))
        self.again()
        self.assertEqual(['reliable'], self.glance.where(self.image_id))


class CheckTest(ImageApiTestCase):

    def test_what_nova_reads_after_the_upload_is_the_check(self):
        base_image = self.base('reliable')
        self.snapshot(base_image)
        # Nova's update, the upload, and what Nova reads.
        self.assertEqual(['GET /v2/images/%s' % self.image_id, 'PUT /v2/images/%s/file' % self.image_id,
                          'GET /v2/images/%s' % self.image_id], self.paths(self.image_id))
        self.assertIn('is active with %d bytes in reliable' % len(DATA), self.log)

    def test_image_that_is_not_what_was_sent_is_an_error_and_deleted(self):
        class Truncating:
            def __init__(self, glance):
                self.glance = glance

            def __call__(self, environ, start_response):
                result = self.glance(environ, start_response)
                for image in self.glance.images.values():
                    if image['size'] == len(DATA):
                        image['size'] = 5
                return result

        self.cloud.application = Truncating(self.glance)
        error = self.refused('NovaException')
        self.assertIn('is not what was uploaded', str(error))
        self.assertNotIn(self.image_id, self.glance.images)

    def test_upload_is_checked_where_nova_does_not_read_the_image(self):
        self.cloud.reads_after_upload = False
        self.snapshot()
        self.assertIn('is active with %d bytes in fast' % len(DATA), self.log)
        self.assertEqual({}, self.api._sent)

    def test_failed_upload_leaves_nothing_to_check(self):
        self.respond('PUT', 'file', 403)
        self.refused('ImageNotAuthorized')
        self.assertEqual({}, self.api._sent)


class FailureTest(ImageApiTestCase):

    def test_record_of_a_failed_snapshot_is_left_to_nova(self):
        self.respond('PUT', 'file', 403)
        self.refused('ImageNotAuthorized')
        self.assertIn(self.image_id, self.glance.images)

    def test_record_of_a_failed_shelving_is_deleted(self):
        self.respond('PUT', 'file', 403)
        self.refused('ImageNotAuthorized', delete_on_failure=True)
        self.assertNotIn(self.image_id, self.glance.images)

    def test_record_is_deleted_when_glance_is_back(self):
        self.respond('PUT', 'file', 403)
        self.respond('DELETE', self.image_id, 503, times=4)
        self.refused('ImageNotAuthorized', delete_on_failure=True)
        self.assertNotIn(self.image_id, self.glance.images)

    def test_record_that_cannot_be_deleted_is_named_in_the_log(self):
        self.respond('PUT', 'file', 403)
        self.respond('DELETE', self.image_id, 403)
        self.refused('ImageNotAuthorized', delete_on_failure=True)
        self.assertIn('WARNING The record of image %s, whose snapshot failed, could not be deleted'
                      % self.image_id, self.log)
        self.assertEqual(0, self.clock.now)

    def test_record_that_is_gone_already_is_no_error(self):
        def gone(image_id):
            del self.glance.images[image_id]
        self.cloud.on_location = gone
        self.refused('ImageNotFound', location=RBD_URL % self.image_id, delete_on_failure=True)
        self.assertNotIn('could not be deleted', self.log)


class LocationTest(ImageApiTestCase):
    """A direct snapshot: Glance takes its location on at once, or after its response (2024.2)."""

    def setUp(self):
        super().setUp()
        self.set('images_rbd_glance_store_name', 'reliable', 'libvirt')

    def direct(self, **kwargs):
        return self.snapshot(location=RBD_URL % self.image_id, **kwargs)

    def image(self, **values):
        """Let the image's record be so from now on."""
        return lambda *_unused: self.glance.images[self.image_id].update(values)

    def test_location_names_the_store_of_this_site(self):
        self.cloud.on_location = self.image(status='active')
        self.direct()
        self.assertEqual([(self.image_id, RBD_URL % self.image_id, {'store': 'reliable'})],
                         self.cloud.locations)

    def test_location_in_another_pool_names_no_store(self):
        self.cloud.on_location = self.image(status='active')
        self.snapshot(location='rbd://%s/other/%s/snap' % (standins.FSID, self.image_id))
        self.assertEqual({}, self.cloud.locations[0][2])

    def test_location_that_is_taken_on_later_is_waited_for(self):
        self.cloud.on_location = self.image(os_glance_import_task='task')
        self.clock.at(20, self.image(status='active'))
        self.direct()
        self.assertLess(self.clock.now, 25)

    def test_location_that_glance_gives_up_leads_to_the_upload(self):
        self.cloud.on_location = self.image(os_glance_import_task='task')
        self.clock.at(20, self.image(os_glance_import_task=None))
        error = self.refused('ImageUnacceptable', location=RBD_URL % self.image_id)
        self.assertIn('Glance refuses its location', str(error))
        self.assertIn(self.image_id, self.glance.images)

    def test_location_that_is_not_allowed_leads_to_the_upload_at_once(self):
        self.cloud.on_location = self.fail('ImageNotAuthorized', image_id='x')
        self.refused('ImageUnacceptable', location=RBD_URL % self.image_id)
        self.assertEqual(0, self.clock.now)

    def fail(self, kind, **kwargs):
        def fail(_image_id):
            raise getattr(self.cloud.exception, kind)(**kwargs)
        return fail

    def test_response_that_was_lost_is_waited_for_longer(self):
        self.cloud.on_location = self.fail('GlanceConnectionFailed', server='glance', reason='reset')
        self.clock.at(15, self.image(status='active'))
        self.direct()
        self.clock = self.api._clock = clock.Clock()
        self.image_id = self.queued()
        self.refused('ImageUnacceptable', location=RBD_URL % self.image_id)
        self.assertGreaterEqual(self.clock.now, 30)

    def test_snapshot_that_glance_is_long_at_is_left_to_glance(self):
        self.cloud.on_location = self.image(os_glance_import_task='task')
        self.direct()
        self.assertIn('the snapshot is left to Glance', self.log)
        self.assertEqual(60, self.clock.now)
        self.assertIn(self.image_id, self.glance.images)

    def test_shelving_waits_longer_for_glance(self):
        self.cloud.on_location = self.image(os_glance_import_task='task')
        self.clock.at(3000, self.image(status='active'))
        self.direct(must_be_active=True, delete_on_failure=True)
        self.assertIn(self.image_id, self.glance.images)

    def test_shelving_fails_and_deletes_the_record_when_its_time_is_up(self):
        self.set('location_timeout', 100)
        self.cloud.on_location = self.image(os_glance_import_task='task')
        error = self.refused('NovaException', location=RBD_URL % self.image_id, must_be_active=True)
        self.assertIn('within 100 seconds', str(error))
        self.assertEqual(100, self.clock.now)
        self.assertNotIn(self.image_id, self.glance.images)

    def test_snapshot_whose_response_was_lost_is_not_left_to_a_glance_that_stays_away(self):
        def away(_image_id):
            self.respond('GET', self.image_id, 503, times=1000)
            raise self.cloud.exception.GlanceConnectionFailed(server='glance', reason='reset')
        self.cloud.on_location = away
        error = self.refused('NovaException', location=RBD_URL % self.image_id)
        self.assertIn('Glance did not say', str(error))


class Recorder(requests.adapters.BaseAdapter):
    """Keystone: keeps the timeout of each request and counts how often its connections are closed."""

    def __init__(self):
        super().__init__()
        self.timeouts, self.closed = [], 0

    def send(self, request, timeout=None, **_unused):
        self.timeouts.append(timeout)
        response = requests.Response()
        response.status_code, response.request, response.url = 201, request, request.url
        response.headers['X-Subject-Token'] = 'token'
        response._content = (b'{"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "methods": [], '
                             b'"user": {"id": "u", "name": "n", "domain": {"id": "d", "name": "d"}}}}')
        return response

    def close(self):
        self.closed += 1


class SessionTest(ImageApiTestCase):
    """Requests with a limit of their own, on the session that all of nova-compute shares."""

    def setUp(self):
        super().setUp()
        self.keystone = Recorder()
        self.cloud.session = ks_session.Session()
        self.cloud.session.session.mount('http://', self.keystone)
        self.cloud.auth = v3.Password('http://keystone/v3', username='n', password='p', user_domain_id='d')

    def test_keystone_is_waited_for_no_longer_than_glance(self):
        self.image_api.images_for(self.context, lambda: 7).image(self.image_id)
        self.assertEqual([7], self.keystone.timeouts)

    def test_connections_of_the_shared_session_stay_open(self):
        for _ in range(5):
            self.image_api.images_for(self.context, lambda: 7).image(self.image_id)
        gc.collect()
        self.assertEqual(0, self.keystone.closed)
        self.assertIsNone(self.cloud.session.timeout)

    def test_plugin_finds_the_rest_of_the_session(self):
        bounded = self.image_api._BoundedSession(self.cloud.session, 3)
        self.assertIs(self.cloud.session.session, bounded.session)
        bounded.get('http://keystone/', authenticated=False)
        bounded.head('http://keystone/', authenticated=False, timeout=9)
        self.assertEqual([3, 9], self.keystone.timeouts)

    def test_without_a_limit_nova_authenticates_as_ever(self):
        self.image_api.images_for(self.context).image(self.image_id)
        self.assertEqual([], self.keystone.timeouts)


class PrivilegedTest(ImageApiTestCase):

    def test_without_credentials_it_is_the_users_context(self):
        self.assertIs(self.context, self.image_api.privileged(self.context))

    def test_credentials_are_loaded_once(self):
        self.set('auth_type', 'admin_token')
        plugin = self.image_api.loading.get_plugin_loader('admin_token')
        self.cloud.conf.register_opts([option._to_oslo_opt() for option in plugin.get_options()],
                                      group='multistore_hooks')
        self.set('token', 't')
        self.set('endpoint', 'http://glance')
        first, second = (self.image_api.privileged(self.context) for _ in range(2))
        self.assertIs(first.user_auth_plugin, second.user_auth_plugin)
        self.assertEqual('req', first.request_id)
