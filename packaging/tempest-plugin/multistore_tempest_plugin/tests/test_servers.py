# SPDX-License-Identifier: Apache-2.0
"""Servers made from an image: where their snapshots go, and how they boot from a cold image."""

from tempest.common import compute
from tempest.common import utils
from tempest.common import waiters
from tempest import config
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils
from tempest.lib import decorators

from multistore_tempest_plugin import base

CONF = config.CONF


class SnapshotTest(base.MultistoreTest):
    """The store of a snapshot is its base image's."""

    features = ('snapshot',)

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.compute_feature_enabled.snapshot:
            raise cls.skipException('Needs [compute-feature-enabled] snapshot = true')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b01')
    @utils.services('compute', 'image')
    @base.needs('snapshot')
    def test_snapshot_goes_to_the_store_of_its_base_image(self):
        """Boot from an image in a store that is not the default, snapshot, look."""
        image = self.bootable_image([self.other_store])
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        expected = self.expected_of_snapshot(image)
        snapshot = self.create_server_snapshot(server)
        self.assertEqual('active', snapshot['status'])
        self.stores_are(expected, snapshot['id'])

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b02')
    @utils.services('compute', 'image')
    @base.needs('snapshot')
    def test_backup_goes_to_the_store_of_its_base_image(self):
        """The same for a backup, which the server's user asks for by another call."""
        image = self.bootable_image([self.other_store])
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        expected = self.expected_of_snapshot(image)
        name = data_utils.rand_name('backup', prefix=CONF.resource_name_prefix)
        self.servers_client.create_backup(server['id'], backup_type='daily', rotation=1, name=name)
        # How the response names the image depends on the microversion; its own name does not.
        backups = self.image_client.list_images({'name': name})['images']
        self.assertEqual(1, len(backups), backups)
        backup = backups[0]['id']
        self.addCleanup(test_utils.call_and_ignore_notfound_exc,
                        self.image_client.delete_image, backup)
        waiters.wait_for_image_status(self.image_client, backup, 'active')
        self.stores_are(expected, backup)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b03')
    @utils.services('compute', 'image')
    @base.needs('snapshot')
    def test_shelved_server_is_in_the_store_of_its_image_and_comes_back(self):
        """Shelve, look where the image is, unshelve: the server is active again."""
        if not CONF.compute_feature_enabled.shelve:
            raise self.skipException('Needs [compute-feature-enabled] shelve = true')
        image = self.bootable_image([self.other_store])
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        expected = self.expected_of_snapshot(image)
        compute.shelve_server(self.servers_client, server['id'], force_shelve_offload=True)
        shelved = self.image_client.list_images({'name': server['name'] + '-shelved'})['images']
        self.assertEqual(1, len(shelved), shelved)
        self.stores_are(expected, shelved[0]['id'])
        self.servers_client.unshelve_server(server['id'])
        waiters.wait_for_server_status(self.servers_client, server['id'], 'ACTIVE')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b04')
    @utils.services('compute', 'image')
    @base.needs('snapshot')
    def test_snapshot_without_its_base_image_goes_to_the_default_store(self):
        """The base image is gone: nothing is lost."""
        if CONF.multistore_feature_enabled.clone or CONF.multistore_feature_enabled.site_images:
            raise self.skipException('An image with clones on RBD cannot be deleted for sure')
        image = self.bootable_image([self.other_store])
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        self.image_client.delete_image(image)
        self.image_client.wait_for_resource_deletion(image)
        snapshot = self.create_server_snapshot(server)
        self.stores_are([CONF.multistore.default_store], snapshot['id'])


class ColdBootTest(base.MultistoreTest):
    """A raw image that is not in the Ceph cluster of the compute nodes.

    With never_download_image_if_on_rbd a boot that does not clone fails; so an active server is one
    that was cloned.
    """

    features = ('clone',)

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.multistore.compute_store:
            raise cls.skipException('Needs [multistore] compute_store in tempest.conf')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b05')
    @utils.services('compute', 'image')
    @base.needs('clone')
    def test_cold_image_boots_by_clone(self):
        """One boot: the image is in both stores afterwards, and the server is active."""
        cold = self.cold_store
        image = self.bootable_image([cold], disk_format='raw')
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        self.assertEqual('ACTIVE', self.servers_client.show_server(
            server['id'])['server']['status'])
        self.assert_stores([cold, CONF.multistore.compute_store], image)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b06')
    @utils.services('compute', 'image')
    @base.needs('clone')
    def test_two_cold_boots_at_once_both_clone(self):
        """Two boots of one cold image at the same time: one copy serves both."""
        cold = self.cold_store
        image = self.bootable_image([cold], disk_format='raw')
        servers = [self.create_server(image_id=image, wait_until=None) for _ in range(2)]
        for server in servers:
            waiters.wait_for_server_status(self.servers_client, server['id'], 'ACTIVE')
        self.assert_stores([cold, CONF.multistore.compute_store], image)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b07')
    @utils.services('compute', 'image')
    @base.needs('clone')
    def test_second_boot_needs_no_second_copy(self):
        """The image is warm now: its stores stay as they are."""
        cold = self.cold_store
        image = self.bootable_image([cold], disk_format='raw')
        self.create_server(image_id=image, wait_until='ACTIVE')
        self.assert_stores([cold, CONF.multistore.compute_store], image)
        self.create_server(image_id=image, wait_until='ACTIVE')
        self.stores_are([cold, CONF.multistore.compute_store], image)


class SiteImageTest(base.MultistoreTest):
    """An image that Ceph cannot clone, as it is qcow2: the hosts of the cluster make a site image.

    With never_download_image_if_on_rbd a boot that does not clone fails; so an active server is one
    that was cloned, and as no store got the image, from a site image.
    """

    features = ('site_images',)

    def _image(self):
        # In a store of another site, as it has to cross.
        return self.cold_store, self.bootable_image([self.cold_store], disk_format='qcow2')

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b08')
    @utils.services('compute', 'image')
    @base.needs('site_images')
    def test_two_boots_of_a_qcow2_image_at_once_both_clone(self):
        """Two servers at the same time; the image is in its one store afterwards."""
        cold, image = self._image()
        servers = [self.create_server(image_id=image, wait_until=None) for _ in range(2)]
        for server in servers:
            waiters.wait_for_server_status(self.servers_client, server['id'], 'ACTIVE')
        self.stores_are([cold], image)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b09')
    @utils.services('compute', 'image')
    @base.needs('site_images')
    def test_qcow2_image_at_two_hosts_clones(self):
        """A server at one host, then one at another: both are clones."""
        if CONF.compute.min_compute_nodes < 2:
            raise self.skipException('Needs [compute] min_compute_nodes of 2 or more')
        if not compute.is_scheduler_filter_enabled('DifferentHostFilter'):
            raise self.skipException('Needs DifferentHostFilter in [compute-feature-enabled] '
                                     'scheduler_enabled_filters')
        cold, image = self._image()
        first = self.create_server(image_id=image, wait_until='ACTIVE')
        second = self.create_server(image_id=image, wait_until='ACTIVE',
                                    scheduler_hints={'different_host': first['id']})
        hosts = {self.os_admin.servers_client.show_server(server['id'])['server']['OS-EXT-SRV-ATTR:host']
                 for server in (first, second)}
        self.assertEqual(2, len(hosts), hosts)
        self.stores_are([cold], image)

    @decorators.idempotent_id('7d0c0d2e-5a0c-4a44-8a05-0e7f5f6f1b0a')
    @utils.services('compute', 'image')
    @base.needs('site_images')
    def test_server_of_a_site_image_is_snapshot_into_the_store_of_the_cluster(self):
        """Glance can read the snapshot, and a server boots from it."""
        if not CONF.multistore.compute_store:
            raise self.skipException('Needs [multistore] compute_store in tempest.conf')
        if not CONF.compute_feature_enabled.snapshot:
            raise self.skipException('Needs [compute-feature-enabled] snapshot = true')
        _cold, image = self._image()
        server = self.create_server(image_id=image, wait_until='ACTIVE')
        snapshot = self.create_server_snapshot(server)
        self.stores_are([CONF.multistore.compute_store], snapshot['id'])
        self.create_server(image_id=snapshot['id'], wait_until='ACTIVE')
