# SPDX-License-Identifier: Apache-2.0
"""A volume as an image's data, and the records that may be deleted: what Glance's responses prove."""

import types

from cinder.image import glance
import fixtures
import glanceclient.exc
import testtools

from multistore_hooks.cinder import image_client
from multistore_hooks.glance_api import api
from tests import clock
from tests import contract
from tests import fake_glance
from tests.unit import base as unit_base
from tests.unit.cinder import base

QUEUED, ACTIVE = base.record('queued'), base.record('active')
LOCKED = base.record('queued', os_glance_import_task='t')
FAILED, RUNNING = ({'tasks': [{'id': 't', 'status': status}]} for status in ('failure', 'processing'))
LOST = glanceclient.exc.CommunicationError('reset')


class TestCase(unit_base.TestCase):

    def images(self, **responses):
        self.clock = clock.Clock()
        self.glance = base.Responses(**responses)
        return image_client.CinderImages(self.glance.run, self.glance.run, clock=self.clock)


class AddVolumeTest(TestCase):

    def add(self, **responses):
        self.images(**responses).add_volume('x', 'the-clone', 'gold')
        return self.glance.sent

    def test_the_older_call_comes_first(self):
        self.assertEqual(['patch_image'], self.add(patch_image=[ACTIVE]))

    def test_where_locations_are_hidden_the_newer_one_is_used(self):
        self.assertEqual(['patch_image', 'post_locations'], self.add(
            patch_image=[glanceclient.exc.HTTPForbidden('hidden')], post_locations=[{}]))

    def test_a_refusal_of_the_first_attempt_has_changed_nothing(self):
        for error in (glanceclient.exc.HTTPBadRequest(''), glanceclient.exc.HTTPConflict('')):
            self.assertRaises(image_client.LocationRefused, self.add, patch_image=[error])
        error = self.assertRaises(
            image_client.LocationRefused, self.add, patch_image=[glanceclient.exc.HTTPForbidden('hidden')],
            post_locations=[glanceclient.exc.HTTPNotFound('no such call')])
        self.assertIn('no such call', str(error))
        self.assertIn('hidden', str(error))

    def test_a_refusal_after_a_lost_response_may_have_been_caused_by_the_first_attempt(self):
        for responses in ({'patch_image': [LOST, glanceclient.exc.HTTPConflict('')]},
                          {'patch_image': [glanceclient.exc.HTTPForbidden('hidden')],
                           'post_locations': [LOST, glanceclient.exc.HTTPConflict('')]}):
            error = self.assertRaises(api.Conflict, self.add, **responses)
            self.assertNotIsInstance(error, image_client.LocationRefused)

    def test_an_error_of_glance_may_come_after_the_volume_was_taken(self):
        for error in (glanceclient.exc.HTTPInternalServerError(''), glanceclient.exc.HTTPBadGateway('')):
            failure = self.assertRaises(api.GlanceError, self.add, patch_image=[error])
            self.assertNotIsInstance(failure, image_client.LocationRefused)


class AcceptedTest(TestCase):

    def accepted(self, *looks, tasks=({'tasks': []},)):
        return self.images(get_image=looks, get_tasks=tasks).accepted('x')

    def test_an_active_image_is_returned(self):
        self.assertEqual('active', self.accepted(LOCKED, ACTIVE).status)

    def test_a_lagging_replica_is_waited_for(self):
        """The record is active, and one poll does not show it yet."""
        self.assertEqual('active', self.accepted(QUEUED, QUEUED, ACTIVE).status)
        self.assertEqual('active', self.accepted(glanceclient.exc.HTTPNotFound(''), QUEUED, ACTIVE).status)

    def test_a_glance_that_is_restarted_is_waited_for(self):
        self.assertEqual('active', self.accepted(glanceclient.exc.HTTPBadGateway(''), ACTIVE).status)

    def test_a_failed_task_proves_that_the_volume_was_not_taken(self):
        self.assertIsNone(self.accepted(LOCKED, QUEUED, tasks=[FAILED]))

    def test_a_queued_record_proves_nothing_however_long_it_is_queued(self):
        for tasks in ([{'tasks': []}], [RUNNING], [glanceclient.exc.HTTPForbidden('')]):
            error = self.assertRaises(api.GlanceError, self.accepted, QUEUED, tasks=tasks)
            self.assertIn('its status is queued', str(error))
            self.assertLessEqual(image_client.SETTLE_SECONDS, self.clock.now)

    def test_a_task_is_waited_for_as_long_as_it_holds_the_lock(self):
        error = self.assertRaises(api.GlanceError, self.accepted, LOCKED)
        self.assertIn('its task t has not ended', str(error))
        self.assertLessEqual(image_client.ACCEPT_SECONDS, self.clock.now)

    def test_an_image_that_stays_away_is_gone(self):
        self.assertRaises(api.NotFound, self.accepted, glanceclient.exc.HTTPNotFound(''))
        self.assertLessEqual(image_client.SETTLE_SECONDS, self.clock.now)


class DiscardTest(TestCase):

    def discard(self, *looks, **responses):
        self.images(get_image=looks, delete_image=[{}], patch_image=[{}], **responses).discard('x')
        return [sent for sent in self.glance.sent if sent != 'get_image']

    def test_a_record_without_data_is_deleted(self):
        self.assertEqual(['delete_image'], self.discard(QUEUED))
        self.assertEqual(['delete_image'], self.discard(base.record('saving')))
        self.assertIn('INFO The record of image x, which got no data, was deleted', self.log)

    def test_one_stale_poll_deletes_nothing(self):
        for looks in ((QUEUED, ACTIVE), (base.record('saving'), QUEUED, ACTIVE),
                      (QUEUED, base.record('importing'))):
            self.assertEqual([], self.discard(*looks))

    def test_a_protected_record_is_unprotected_first(self):
        self.assertEqual(['patch_image', 'delete_image'], self.discard(base.record('queued', protected=True)))

    def test_one_that_is_gone_needs_nothing(self):
        self.assertEqual([], self.discard(glanceclient.exc.HTTPNotFound('')))
        self.assertNotIn('ERROR', self.log)

    def test_one_that_glance_does_not_show_stays_and_is_logged(self):
        self.assertEqual([], self.discard(glanceclient.exc.HTTPForbidden('no')))
        self.assertIn('ERROR The record of image x, which got no data, could not be deleted', self.log)


class VolumeStoresTest(TestCase):

    def test_the_stores_that_keep_images_on_volumes(self):
        images = self.images(get_detail=[{'stores': [
            {'id': 'f', 'type': 'file'}, {'id': 'c', 'type': 'cinder', 'properties': {'volume_type': 'gold'}},
            {'id': 'v', 'type': 'volume', 'properties': None}]}])
        self.assertEqual({'c': 'gold', 'v': None}, images.volume_stores())

    def test_a_glance_that_does_not_show_them(self):
        self.assertIsNone(self.images(get_detail=[glanceclient.exc.HTTPForbidden('')]).volume_stores())


class Context:
    """A request's context, which keeps with whose rights a client was made."""

    project_id, roles = 'p1', ['reader', 'member']

    def __init__(self, application):
        self.used, self._application = [], application

    def get_auth_plugin(self):
        return 'the user'

    def glance_client(self, auth):
        self.used.append(auth)
        return contract.session_client('http://glance', contract.MEMBER,
                                       fake_glance.SocketlessAdapter(self._application))


@testtools.skipIf(base.REAL, "Cinder's own client needs an endpoint")
class RightsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.values = types.SimpleNamespace(
            multistore_hooks=types.SimpleNamespace(auth_section=None, auth_type=None),
            glance=types.SimpleNamespace(auth_type=None), auth_strategy='keystone')
        for name, stub in (('CONF', self.values), ('_Privileged._plugins', []),
                           ('loading.load_auth_from_conf_options', lambda conf, group: group)):
            self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_client.' + name, stub))
        self.context = Context(self.glance)
        self.image = self.base('cheap')

    def test_images_are_polled_with_the_users_rights(self):
        images = IMAGES_FOR(self.context, lambda: 5)
        self.assertEqual('active', images.image(self.image).status)
        self.assertEqual(['the user'], self.context.used)

    def test_copies_are_requested_with_the_credentials_of_the_library(self):
        self.values.multistore_hooks.auth_type = 'password'
        for _ in range(2):
            image_client.privileged_images_for(self.context).image(self.image)
        self.assertEqual(['multistore_hooks'] * 2, self.context.used)
        self.assertEqual('[multistore_hooks]', image_client.requester(self.context))

    def test_without_those_with_cinders_own_where_it_can_have_any(self):
        image_client.privileged_images_for(self.context).image(self.image)
        self.assertEqual(['[glance]'], self.context.used)
        self.assertEqual('project p1, roles member,reader', image_client.requester(self.context))
        self.values.glance.auth_type = 'password'
        self.assertEqual('[glance]', image_client.requester(self.context))

    def test_before_2025_2_with_the_users(self):
        class Older(glance.GlanceClientWrapper):
            def __init__(self):
                pass
        self.useFixture(fixtures.MonkeyPatch('cinder.image.glance.GlanceClientWrapper', Older))
        image_client.privileged_images_for(self.context).image(self.image)
        self.assertEqual(['the user'], self.context.used)


IMAGES_FOR = image_client.images_for
