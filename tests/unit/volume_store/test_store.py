# SPDX-License-Identifier: Apache-2.0
"""What glance_store sees of the driver; on the real glance_store where it is installed."""

import hashlib
import importlib
import io
import os
import threading

import fixtures

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import deletion
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from tests import clock
from tests.unit.volume_store import base
from tests.unit.volume_store import standins

VOLUME = '0f1e2d3c-4b5a-4968-8776-655443322110'
IMAGE = 'aa1e2d3c-4b5a-4968-8776-6554433221bb'
DATA = os.urandom(12345)


class Context:
    """Glance's, of a request."""

    def __init__(self, project_id='owner', is_admin=False, roles=(), service_roles=()):
        self.project_id, self.is_admin = project_id, is_admin
        self.roles, self.service_roles = list(roles), list(service_roles)


class StoreTest(base.VolumeTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(standins.StandIns())
        self.driver = importlib.import_module('multistore_hooks.volume_store.store')
        self.exceptions = importlib.import_module('glance_store.exceptions')
        from oslo_config import cfg
        self.conf = cfg.ConfigOpts()
        self.store = self.make('gold')

    def make(self, name):
        test = self

        class Store(self.driver.Store):
            def _make_context(self):
                return test.context()

            def make_check_cinder(self):
                return test.cinder
        conf = self.conf
        store = Store(conf, backend=name)
        conf([])
        store.configure()
        return store

    def location(self, uri):
        from glance_store import location
        return location.Location('cinder', self.driver.StoreLocation, self.conf, uri=uri, backend='gold')

    def add(self, data=DATA):
        return self.store.add(IMAGE, io.BytesIO(data), len(data), 'sha256', context=Context())

    def test_it_is_found_by_its_own_name_and_by_the_scheme_of_the_locations(self):
        self.assertEqual(('volume', 'cinder'), self.store.get_schemes())
        self.assertEqual('cinder://gold', self.store.url_prefix)
        self.assertIs(self.driver.StoreLocation, self.driver.Store(
            self.conf, backend='gold').get_store_location_class())

    def test_an_image_is_added_read_and_deleted(self):
        uri, size, md5, multihash, metadata = self.add()
        self.assertEqual((len(DATA), hashlib.md5(DATA).hexdigest(), hashlib.sha256(DATA).hexdigest(),
                          {'store': 'gold'}), (size, md5, multihash, metadata))
        where = self.location(uri)
        self.assertEqual(uri, where.get_store_uri())
        found, size = self.store.get(where)
        self.assertEqual((DATA, len(DATA)), (b''.join(found), size))
        self.assertEqual(len(DATA), self.store.get_size(where))
        self.store.delete(where)
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_the_old_form_of_add_returns_four_things(self):
        self.assertEqual(4, len(self.store.add(IMAGE, io.BytesIO(DATA), len(DATA), Context())))

    def test_a_range_has_its_own_length(self):
        where = self.location(self.add()[0])
        for offset, length, expected in ((5, None, DATA[5:]), (5, 10, DATA[5:15]),
                                         (len(DATA) - 2, 10, DATA[-2:])):
            found, size = self.store.get(where, offset=offset, chunk_size=length)
            self.assertEqual((expected, len(expected)), (b''.join(found), size))

    def test_a_range_outside_the_image_has_an_error_of_its_own(self):
        where = self.location(self.add()[0])
        for offset, length in ((len(DATA) + 1, None), (-1, None), (0, -1)):
            error = self.assertRaises(self.exceptions.Invalid, self.store.get, where, offset=offset,
                                      chunk_size=length)
            self.assertIn('Range starting at byte %d is outside image on volume' % offset, str(error))
            self.assertIn('(%d bytes)' % len(DATA), str(error))
        self.assertEqual([], self.left())

    def test_what_is_not_there_is_not_found(self):
        where = self.location('cinder://gold/' + VOLUME)
        for function in (self.store.get, self.store.get_size, self.store.delete):
            self.assertRaises(self.exceptions.NotFound, function, where)

    def test_a_volume_that_is_no_image_or_of_another_project_is_neither_read_nor_deleted(self):
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes
        for change in ({'metadata': {}}, {'project': 'another'}):
            kept = self.cinder.volumes[volume]
            self.cinder._set(volume, **change)
            for function in (self.store.get, self.store.delete):
                self.assertRaises(self.exceptions.Forbidden, function, where)
            # Glance knows this one when somebody adds a location.
            self.assertRaises(self.exceptions.BadStoreUri, self.store.get_size, where)
            self.cinder.volumes[volume] = kept
        self.assertNotIn('cinder.delete_volume', self.faults.calls)

    def test_who_adds_a_location_owns_the_image_or_is_trusted(self):
        # Glance asks for the size with the context of who adds the location.
        where = self.location(self.add()[0])
        for found in (Context(), Context(project_id='own-er'), Context(is_admin=True, project_id='other'),
                      Context(roles=['service'], project_id='other'),
                      Context(service_roles=['service'], project_id='other')):
            self.assertEqual(len(DATA), self.store.get_size(where, context=found))
        for found in (Context(project_id='other'), Context(project_id=None),
                      Context(project_id='other', roles=['member'])):
            self.assertRaises(self.exceptions.BadStoreUri, self.store.get_size, where, context=found)
        volume, = self.cinder.volumes
        self.cinder._set(volume, metadata={'glance_image_id': IMAGE})
        self.assertRaises(self.exceptions.BadStoreUri, self.store.get_size, where, context=Context())
        self.assertEqual(images.GIB, self.store.get_size(where))

    def test_images_of_a_former_project_stay_images_where_it_is_named(self):
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes
        self.cinder._set(volume, project='former')
        self.assertRaises(self.exceptions.Forbidden, self.store.get, where)
        self.conf.set_override('further_projects', ['other', 'former'], group='gold')
        self.assertEqual(DATA, b''.join(self.store.get(where)[0]))
        self.store.delete(where)
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))

    def test_an_image_that_is_read_is_not_deleted(self):
        data = os.urandom(5 << 20)
        where = self.location(self.add(data)[0])
        found, _size = self.store.get(where)
        self.assertRaises(self.exceptions.InUseByStore, self.store.delete, where)
        self.assertEqual(data, b''.join(found))
        self.store.delete(where)

    def test_a_snapshot_keeps_an_image(self):
        where = self.location(self.add()[0])

        def refuse(volume_id):
            raise cinder_client.Refused(request='DELETE', why='400: it has 1 dependent snapshots')
        self.cinder.delete_volume = refuse
        self.assertRaises(self.exceptions.HasSnapshot, self.store.delete, where)

    def test_a_volume_that_is_just_being_detached_is_no_snapshot(self):
        # Cinder's own text lists all that may keep a volume, whatever does.
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes
        elsewhere, delete = self.cinder.attachment_create(volume, 'ro'), self.cinder.delete_volume

        def reported(volume_id):
            try:
                delete(volume_id)
            except cinder_client.Refused:
                raise cinder_client.Refused(
                    request='DELETE', why='400: status must be available and must not be migrating, '
                                          'attached, belong to a group, have snapshots') from None
        self.cinder.delete_volume = reported
        timer = threading.Timer(0.3, self.cinder.attachment_delete, (elsewhere,))
        timer.start()
        self.store.delete(where)
        self.assertEqual({}, self.cinder.volumes)

    def test_a_volume_that_stays_in_use_elsewhere_is_in_use_however_slow_cinder_is(self):
        self.add()
        volume, = self.cinder.volumes
        self.cinder.attachment_update(self.cinder.attachment_create(volume, 'ro'), {'host': 'there'})
        self.cinder._set(volume, status='in-use')
        for seconds in (0, 0.4, 7, 100):
            passing, delete = clock.Clock(), self.cinder.delete_volume

            def slow(volume_id):
                passing.now += seconds
                delete(volume_id)
            context = self.context()._replace(clock=passing)
            with fixtures.MockPatchObject(self.cinder, 'delete_volume', slow):
                self.assertRaises(deletion.InUse, deletion.delete, context, volume)
        self.assertIn(volume, self.cinder.volumes)

    def test_who_deletes_what_is_being_deleted_has_deleted_it(self):
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes
        self.cinder._set(volume, status='deleting')

        def reported(volume_id):
            raise cinder_client.Refused(request='DELETE', why='400: it must not have snapshots')
        self.cinder.delete_volume = reported
        self.useFixture(fixtures.MockPatchObject(deletion, 'WATCH_SECONDS', 0))
        self.store.delete(where)

    def test_a_deletion_that_cinder_accepts_and_fails_is_an_error(self):
        where = self.location(self.add()[0])
        self.cinder.error_deleting = True
        self.assertRaises(self.exceptions.BackendException, self.store.delete, where)

    def test_a_deletion_that_cinder_gives_up_later_is_logged(self):
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes

        def deleting(volume_id):
            self.cinder._set(volume_id, status='deleting')
        self.cinder.delete_volume = deleting
        self.useFixture(fixtures.MockPatchObject(deletion, 'WATCH_SECONDS', 0))
        begun = threading.Event()
        self.useFixture(fixtures.MockPatchObject(deletion, 'watch_on', lambda *_unused: begun.set()))
        self.store.delete(where)
        self.assertTrue(begun.wait(30))

    def test_what_is_said_of_a_deletion_that_was_given_up(self):
        self.add()
        volume, = self.cinder.volumes
        said = 'ERROR Volume %s of the store gold was not deleted, although Cinder had accepted that' % volume
        self.cinder._set(volume, status='error_deleting')
        deletion.watch_on(self.context(), volume)
        self.assertIn(said, self.log)
        self.assertIn("its state is 'error_deleting'. Delete it by hand.", self.log)
        self.cinder._set(volume, status='deleting')
        deletion.watch_on(self.context(state=0), volume)
        self.assertIn("its state is 'deleting'. Delete it by hand.", self.log)
        before = self.log
        self.cinder.volumes.clear()
        deletion.watch_on(self.context(), volume)
        self.assertEqual(before, self.log)

    def test_errors_are_those_that_glance_knows(self):
        translation = importlib.import_module('multistore_hooks.volume_store.translation')
        for error, kind in (
                (cinder_client.NotFound(request='GET /volumes/x', why=''), self.exceptions.NotFound),
                (cinder_client.NotFound(request='PUT /attachments/x', why=''),
                 self.exceptions.BackendException),
                (cinder_client.OverQuota(request='', why=''), self.exceptions.StorageFull),
                (errors.NoBackend(volume='', why=''), self.exceptions.StorageFull),
                (cinder_client.Denied(request='', why=''), self.exceptions.BackendException),
                (errors.WrongSize(image='i', expected=1, actual=2), self.exceptions.Invalid),
                (errors.BadRange(volume='v', offset=9, size=5), self.exceptions.Invalid),
                (errors.DeviceError(what='', volume='', offset=0, why='', errno=28),
                 self.exceptions.StorageFull),
                (errors.DeviceError(what='', volume='', offset=0, why='', errno=13),
                 self.exceptions.StorageWriteDenied),
                (errors.DeviceError(what='', volume='', offset=0, why='', errno=5),
                 self.exceptions.BackendException)):
            self.assertIs(kind, type(translation.translate(error, 'name')), error)

    def test_locations_without_a_store_are_taken_over_by_the_volumes_type(self):
        self.add()
        volume, = self.cinder.volumes
        self.cinder.default_type = lambda: 'fast'
        self.assertFalse(self.store.is_image_associated_with_store(None, volume))
        self.cinder._set(volume, type='fast')
        self.assertTrue(self.store.is_image_associated_with_store(None, volume))
        self.cinder._set(volume, metadata={})
        self.assertFalse(self.store.is_image_associated_with_store(None, volume))
        self.assertFalse(self.store.is_image_associated_with_store(None, VOLUME))

    def test_the_type_of_a_store_may_be_given_by_its_id(self):
        self.add()
        volume, = self.cinder.volumes
        self.cinder._set(volume, type='fast')
        self.cinder.types = {VOLUME: 'fast', IMAGE: 'slow'}
        for given, ours in ((VOLUME, True), (IMAGE, False), ('fast', True), ('slow', False)):
            self.conf.set_override('volume_type', given, group='gold')
            self.assertIs(ours, self.store.is_image_associated_with_store(None, volume), given)

    def test_what_would_make_every_upload_fail_is_logged_at_the_start(self):
        self.cinder.types = {VOLUME: 'fast'}
        for given, known in (('fast', True), (VOLUME, True), ('fsat', False), (IMAGE, False)):
            self.conf.set_override('volume_type', given, group='gold')
            self.store.configure()
            said = "Store gold: the volume type '%s' (volume_type) does not exist" % given
            self.assertEqual(not known, said in self.log, given)
        self.assertNotIn('to servers only', self.log)
        self.cinder.attaches_without_server = lambda: False
        self.store.configure()
        self.assertIn('ERROR Store gold: this Cinder attaches volumes to servers only.', self.log)

        def away():
            raise cinder_client.Unresponsive(request='GET /types', why='connection refused')
        self.cinder.attaches_without_server = away
        self.store.configure()
        self.assertIn('WARNING Store gold: Cinder cannot be checked: Cinder: GET /types', self.log)
        self.cinder.attaches_without_server = lambda: {}['the response of a proxy']
        self.store.configure()
        self.assertIn("Cinder cannot be checked: 'the response of a proxy'", self.log)
        self.add()  # it takes images all the same

    def test_a_missing_lock_path_is_logged_where_os_brick_needs_it(self):
        from oslo_config import cfg
        said = 'Store gold: [oslo_concurrency] lock_path is not set'
        self.conf.register_opts([cfg.StrOpt('lock_path')], group='oslo_concurrency')
        for helper, path, missing in (('', None, 0), ('sudo', '/var/lib/glance/lock', 0), ('sudo', None, 1)):
            self.conf.set_override('root_helper', helper, group='gold')
            self.conf.set_override('lock_path', path, group='oslo_concurrency')
            before = self.log.count(said)
            self.store.configure()
            self.assertEqual(missing, self.log.count(said) - before, (helper, path))

    def test_without_credentials_it_cannot_be_configured(self):
        store = self.driver.Store(self.conf, backend='silver')
        self.conf([])
        error = self.assertRaises(self.exceptions.BadStoreConfiguration, store.parts)
        self.assertIn('[silver]: auth_type is not set', str(error))

    def test_a_folder_of_records_that_depends_on_where_glance_was_started_is_refused(self):
        for folder in ('', 'attachments'):
            store = self.driver.Store(self.conf, backend='silver')
            self.conf([])
            self.conf.set_override('attachment_dir', folder, group='silver')
            error = self.assertRaises(self.exceptions.BadStoreConfiguration, store.parts)
            self.assertIn("[silver]: attachment_dir is '%s'" % folder, str(error))

    def test_what_takes_long_to_clean_up_is_begun_once(self):
        going, seen = threading.Event(), []
        self.addCleanup(going.set)

        def slow(_tools, left):
            seen.append(left)
            going.wait(10)
        self.useFixture(fixtures.MockPatchObject(leftovers, 'recover_all', slow))
        self.useFixture(fixtures.MockPatchObject(leftovers, 'EVERY', 0))
        where = self.location(self.add()[0])
        self.context().journal.write(VOLUME, {})
        for _each in range(3):
            self.store.get_size(where)
        self.assertEqual([[VOLUME]], seen)

    def test_what_others_have_left_is_cleaned_up_at_the_first_call(self):
        where = self.location(self.add()[0])
        volume, = self.cinder.volumes
        with self.context().journal.acquire(volume, 1) as lock:
            lock.write({'attachment': self.cinder.attachment_create(volume, 'ro')})
        self.make('gold').get_size(where)
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5)
        self.assertEqual([], self.left())
