# SPDX-License-Identifier: Apache-2.0
"""What ``compute_driver = multistore.LibvirtDriver`` makes of Nova's own driver."""

import types
from unittest import mock

from tests.unit import base
from tests.unit.nova import standins


class DriverTest(base.FakeGlanceTestCase):

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(standins.Cloud(self.glance))
        from multistore_hooks.nova import driver
        from multistore_hooks.nova import image_api
        from multistore_hooks.nova import image_cache
        from multistore_hooks.nova import rbd
        self.module, self.image_api, self.image_cache, self.rbd = driver, image_api, image_cache, rbd
        self.driver = driver.LibvirtDriver(None)
        self.context = types.SimpleNamespace(request_id='req', global_id=None)

    def snapshot(self, task_state='image_snapshot', image_ref='', take=None):
        """Take a snapshot; return what the image API was handed."""
        image_id, seen = self.queued(), []
        placed = self.driver._image_api.with_placement

        def with_placement(*args, **kwargs):
            seen.append((args, kwargs))
            return placed(*args, **kwargs)

        self.driver.take = take or self.driver.take
        with mock.patch.object(self.driver._image_api, 'with_placement', with_placement):
            instance = types.SimpleNamespace(task_state=task_state, image_ref=image_ref)
            self.driver.snapshot(self.context, instance, image_id, None)
        self.assertEqual(image_id, self.driver.taken[-1])
        return seen[0]

    def test_hook_is_in_place_and_says_so_once(self):
        self.assertIs(self.rbd.Rbd, self.driver.image_backend.BACKEND['rbd'])
        self.assertIsInstance(self.driver._image_api, self.image_api.API)
        self.assertEqual(1, self.log.count('multistore_hooks.nova.driver.LibvirtDriver is in place'))

    def test_base_image_and_local_store_are_handed_on(self):
        self.cloud.conf.set_override('images_rbd_glance_store_name', 'reliable', group='libvirt')
        args, _kwargs = self.snapshot(image_ref='base')
        self.assertEqual(('base', 'reliable'), args[2:])

    def test_volume_backed_server_has_no_base_image(self):
        self.assertEqual((None, None), self.snapshot()[0][2:])

    def test_disk_that_is_not_in_ceph_has_no_local_store(self):
        self.cloud.conf.set_override('images_rbd_glance_store_name', 'reliable', group='libvirt')
        self.cloud.conf.set_override('images_type', 'qcow2', group='libvirt')
        self.assertIsNone(self.snapshot()[0][3])

    def test_what_follows_decides_what_has_to_be_waited_for_and_cleaned_up(self):
        for state, must_be_active, delete_on_failure in (
                ('image_snapshot', False, False), ('image_backup', False, False), ('shelving', True, True),
                ('shelving_image_uploading', True, True), ('resize_prep', True, False), (None, True, False)):
            self.assertEqual({'must_be_active': must_be_active, 'delete_on_failure': delete_on_failure},
                             self.snapshot(state)[1], state)

    def test_shelving_that_fails_leaves_no_record(self):
        def fail(context, instance, image_id):
            raise ValueError(image_id)
        self.assertRaises(ValueError, self.snapshot, 'shelving', take=fail)
        self.assertEqual({}, self.glance.images)

    def test_site_images_that_have_no_effect_are_named_at_start(self):
        self.cloud.conf.set_override('site_images', 'only', group='multistore_hooks')
        for images_type, warned in (('rbd', False), ('qcow2', True)):
            self.cloud.conf.set_override('images_type', images_type, group='libvirt')
            self.module.LibvirtDriver(None)
            self.assertEqual(warned, 'WARNING [multistore_hooks] site_images has no effect' in self.log)

    def test_periodic_task_cleans_up_where_site_images_are_on(self):
        cleaned = []
        with mock.patch.multiple(self.image_cache.site_images, clean_up=cleaned.append):
            self.driver.manage_image_cache(self.context, [])
            self.assertEqual([], cleaned)
            self.cloud.conf.set_override('site_images', 'only', group='multistore_hooks')
            self.driver.manage_image_cache(self.context, [])
        self.assertEqual(['image cache'] * 2, self.driver.taken)
        self.assertEqual(1, len(cleaned))

    def test_image_for_which_no_site_image_is_made_is_cached_by_nova(self):
        self.cloud.conf.set_override('site_images', 'only', group='multistore_hooks')
        refused = self.cloud.exception.ImageUnacceptable(image_id='image', reason='it is an ISO')
        with mock.patch.object(self.image_cache, 'copy_or_make_site_image', side_effect=refused):
            self.assertEqual('by Nova', self.driver.cache_image(self.context, 'image'))
        self.assertIn('WARNING Image image is cached on this host alone', self.log)
        self.assertIn('it is an ISO', self.log)

    def test_cache_image_is_novas_without_a_local_store(self):
        self.assertEqual('by Nova', self.driver.cache_image(self.context, 'image'))

    def test_cache_image_has_an_image_copied_that_can_be_cloned(self):
        self.cloud.conf.set_override('images_rbd_glance_store_name', 'reliable', group='libvirt')
        for cloneable, cached in ((True, 'copied'), (False, 'by Nova')):
            with mock.patch.object(self.image_cache.clone_source, 'raw_image',
                                   lambda *_, **__: 'an image' if cloneable else None), \
                    mock.patch.object(self.image_cache, '_rbd_driver', standins.RBDDriver), \
                    mock.patch.object(self.image_cache.site_copy, 'ensure_in_store',
                                      lambda *_, **__: 'copied'):
                self.assertEqual(cached, self.driver.cache_image(self.context, 'image'))
