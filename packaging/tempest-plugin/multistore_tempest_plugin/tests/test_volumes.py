# SPDX-License-Identifier: Apache-2.0
"""Volumes that are uploaded as images, and volume types that name a store."""

from tempest.common import utils
from tempest.common import waiters
from tempest import config
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils
from tempest.lib import decorators
from tempest.lib import exceptions

from multistore_tempest_plugin import base

CONF = config.CONF
STORE_KEY = 'image_service:store_id'


class VolumeTest(base.MultistoreTest):
    """Where the image of a volume goes."""

    features = ('volume_upload', 'colocate')

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.cinder:
            raise cls.skipException('Needs Cinder')

    def _type_for(self, store):
        for name, named in CONF.multistore.volume_types.items():
            if named == store:
                return name
        raise self.skipException(
            'Needs a volume type for the store %s in [multistore] volume_types' % store)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c01')
    @utils.services('volume', 'image')
    @base.needs('volume_upload')
    def test_upload_goes_to_the_store_of_the_volume_type(self):
        """A volume of a type that names a store, made from an image in another one."""
        store = self.other_store
        elsewhere = [name for name in CONF.multistore.stores if name != store][0]
        image = self.bootable_image([elsewhere])
        volume = self.volume_from(image, self._type_for(store))
        self.stores_are([store], self.upload(volume))

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c02')
    @utils.services('volume', 'image')
    @base.needs('volume_upload')
    def test_empty_volume_goes_to_the_store_of_its_type(self):
        """A volume that was not made from an image."""
        store = self.other_store
        volume = self.create_volume(volume_type=self._type_for(store))
        self.stores_are([store], self.upload(volume))

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c03')
    @utils.services('volume', 'image')
    @base.needs('volume_upload')
    def test_upload_goes_to_the_store_of_the_base_image(self):
        """The type names no store: the image that the volume was made from decides."""
        store = self.other_store
        image = self.bootable_image([store])
        volume = self.volume_from(image)
        self.assertIn(store, self.stores_of(image))
        expected = self.expected_of_upload(image)
        self.assert_stores(expected, self.upload(volume))

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c04')
    @utils.services('volume', 'image')
    @base.needs('colocate')
    def test_base_image_in_two_stores_and_so_is_the_upload(self):
        """The upload is copied to every store of its base image."""
        stores = CONF.multistore.stores[:2]
        volume = self.volume_from(self.bootable_image(stores))
        self.assert_stores(stores, self.upload(volume))


class ColdVolumeTest(base.MultistoreTest):
    """Volumes from a raw image that is not in the Ceph cluster of Cinder's backends."""

    features = ('volume_clone',)

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.cinder:
            raise cls.skipException('Needs Cinder')
        if not CONF.multistore.volume_store:
            raise cls.skipException('Needs [multistore] volume_store in tempest.conf')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c07')
    @utils.services('compute', 'volume', 'image')
    @base.needs('volume_clone')
    def test_server_boots_from_a_volume_of_a_cold_image(self):
        """Cinder has the image copied, which stock Cinder never does, and the server is active."""
        cold = self.store_without(CONF.multistore.volume_store)
        image = self.bootable_image([cold], disk_format='raw')
        volume = self.volume_from(image)
        self.assert_stores([cold, CONF.multistore.volume_store], image)
        self.boot_instance_from_resource(source_id=volume['id'], source_type='volume')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c08')
    @utils.services('volume', 'image')
    @base.needs('volume_clone')
    def test_two_volumes_of_a_cold_image_at_once_have_it_copied(self):
        """Two volumes at the same time; the image is in both stores afterwards, and nowhere else."""
        cold = self.store_without(CONF.multistore.volume_store)
        image = self.bootable_image([cold], disk_format='raw')
        volumes = [self.create_volume(imageRef=image, size=CONF.volume.volume_size, wait_until=None)
                   for _ in range(2)]
        for volume in volumes:
            waiters.wait_for_volume_resource_status(self.volumes_client, volume['id'], 'available')
        self.assert_stores([cold, CONF.multistore.volume_store], image)


class VolumeTypeTest(base.MultistoreTest):
    """A volume type that names a store which does not exist."""

    features = ('type_validation',)

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.cinder:
            raise cls.skipException('Needs Cinder')

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.admin_types = cls.os_admin.volume_types_client_latest

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c05')
    @utils.services('volume', 'image')
    @base.needs('type_validation')
    def test_new_type_with_an_unknown_store_is_refused(self):
        """Refused at once, and no type is left."""
        name = data_utils.rand_name('type', prefix=CONF.resource_name_prefix)
        self.assertRaises(exceptions.BadRequest, self._create, name, 'no-such-store')
        self.assertNotIn(name, [found['name'] for found in
                                self.admin_types.list_volume_types()['volume_types']])

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1c06')
    @utils.services('volume', 'image')
    @base.needs('type_validation')
    def test_type_keeps_its_store_when_an_unknown_one_is_refused(self):
        """An update with a wrong store changes nothing."""
        name = data_utils.rand_name('type', prefix=CONF.resource_name_prefix)
        store = self.other_store
        made = self._create(name, store)
        self.assertRaises(
            exceptions.BadRequest, self.admin_types.update_volume_type_extra_specs,
            made['id'], STORE_KEY, {STORE_KEY: 'no-such-store'})
        specs = self.admin_types.list_volume_types_extra_specs(made['id'])['extra_specs']
        self.assertEqual(store, specs[STORE_KEY])

    def _create(self, name, store):
        made = self.admin_types.create_volume_type(
            name=name, extra_specs={STORE_KEY: store})['volume_type']
        self.addCleanup(test_utils.call_and_ignore_notfound_exc,
                        self.admin_types.delete_volume_type, made['id'])
        return made
