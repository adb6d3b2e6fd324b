# SPDX-License-Identifier: Apache-2.0
"""The hook is before every driver that Cinder can load, or cinder-volume logs at its start that it is not."""

from cinder import exception
from cinder.image import glance
from cinder.volume import manager
import testtools

from multistore_hooks.cinder import driver
from multistore_hooks.cinder import manager as our_manager
from multistore_hooks.cinder import upload_service
from tests.unit.cinder import base
from tests.unit import ways

PLAIN = 'cinder.volume.drivers.plain.'


class WithMixin(driver.PlacesUploads):
    """A driver as the documentation shows it for one backend."""

    SUPPORTS_ACTIVE_ACTIVE = False

    def __init__(self, configuration=None, **kwargs):
        self.configuration = configuration


@testtools.skipIf(base.REAL, 'these drivers are stand-ins')
class LoadTest(base.TestCase):

    def load(self, path, **options):
        return driver.load(manager.Configuration(volume_driver=path), host='h', **options)

    def assert_hooked(self, loaded):
        """An upload by the driver's own method goes through the placing image service."""
        image = self.queued()
        loaded.copy_volume_to_image(None, base.Volume.naming('cheap'), glance.GlanceImageService(),
                                    {'id': image})
        self.assertEqual(['cheap'], self.glance.where(image))
        self.assertIn('INFO Uploads of the driver', self.log)
        self.assertNotIn('ERROR', self.log)

    def test_a_class_is_made_as_cinder_makes_it_and_keeps_its_name(self):
        loaded = self.load(PLAIN + 'Driver')
        self.assert_hooked(loaded)
        self.assertEqual({'host': 'h'}, loaded.made_with)
        self.assertEqual(('Driver', PLAIN[:-1]), (type(loaded).__name__, type(loaded).__module__))

    def test_way_of_an_images_id_is_short(self):
        loaded, image = self.load(PLAIN + 'Driver'), self.queued()
        passed = ways.files_passed(image, lambda: loaded.copy_volume_to_image(
            None, base.Volume.naming('cheap'), glance.GlanceImageService(), {'id': image}))
        self.assertEqual(['cinder/upload_service.py', 'glance_api/client.py', 'upload/fallback.py',
                          'upload/transfer.py'], passed)
        self.assertEqual(['cheap'], self.glance.where(image))

    def test_a_class_that_makes_a_driver_of_another_class(self):
        loaded = self.load(PLAIN + 'Proxy')
        self.assert_hooked(loaded)
        self.assertEqual({'host': 'h', 'app_version': '1'}, loaded.made_with)

    def test_a_function_that_makes_a_driver(self):
        self.assert_hooked(self.load(PLAIN + 'factory'))

    def test_a_class_with_a_metaclass(self):
        self.assert_hooked(self.load(PLAIN + 'WithMetaclass'))

    def test_a_driver_that_has_the_mixin_keeps_its_class(self):
        loaded = self.load(__name__ + '.WithMixin')
        self.assertIs(WithMixin, type(loaded))
        self.assertIn('INFO Uploads of the driver %s.WithMixin' % __name__, self.log)

    def test_no_class_of_cinder_is_changed(self):
        from cinder.volume.drivers import plain
        before = dict(vars(plain.Driver))
        first, second = self.load(PLAIN + 'Driver'), self.load(PLAIN + 'Driver')
        self.assertEqual(before, dict(vars(plain.Driver)))
        self.assertNotIsInstance(plain.Driver(), driver.PlacesUploads)
        self.assertIsInstance(first, plain.Driver)
        self.assertIsNot(type(first), type(second))

    def test_a_driver_that_cannot_carry_the_hook_works_on_and_is_logged(self):
        loaded = self.load(PLAIN + 'Sealed')
        self.assertNotIsInstance(loaded, driver.PlacesUploads)
        self.assertIn('ERROR The driver %sSealed cannot carry the hook' % PLAIN, self.log)
        self.assertNotIn('INFO', self.log)

    def test_a_deprecated_path_is_logged_as_cinder_does(self):
        self.assert_hooked(self.load('cinder.volume.drivers.old.Driver'))
        self.assertIn('WARNING volume_driver = cinder.volume.drivers.old.Driver is deprecated: name '
                      'cinder.volume.drivers.plain.Driver in cinder.conf', self.log)

    def test_in_a_cluster_the_error_names_the_driver(self):
        error = self.assertRaises(exception.VolumeDriverException, self.load, PLAIN + 'Driver',
                                  cluster_name='c')
        self.assertIn(PLAIN + 'Driver does not support clusters', str(error))
        self.assert_hooked(self.load(PLAIN + 'ActiveActive', cluster_name='c'))

    def test_cinders_manager_loads_every_driver_so(self):
        made = our_manager.VolumeManager(image_service=glance.GlanceImageService())
        self.assert_hooked(made.driver)


class NoTypeTest(base.TestCase):

    def test_a_volume_without_a_type_gets_an_empty_one_for_the_driver(self):
        volume = base.Volume()
        with_type = upload_service.with_volume_type(volume)
        self.assertEqual({}, with_type.volume_type.extra_specs)
        self.assertIsNone(volume.volume_type)
        typed = base.Volume.naming('cheap')
        self.assertIs(typed, upload_service.with_volume_type(typed))
