# SPDX-License-Identifier: Apache-2.0
"""The check of site images: an option without effect, and computes without the hook."""

from multistore_hooks.status.checks import site_images
from multistore_hooks.status.facts import pools
from tests import clock
from tests import fake_rbd
from tests.unit.status import base

IMAGE = '11111111-1111-1111-1111-111111111111'
ON = """
[DEFAULT]
compute_driver = multistore.LibvirtDriver
[libvirt]
images_type = rbd
images_rbd_pool = vms
rbd_user = nova
[multistore_hooks]
site_images = fallback
"""


class SiteImagesTest(base.CheckCase):

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock(), pools=('vms', 'images', 'bases'))

    def check(self, worst, old='', new='', more=''):
        facts = self.facts(nova=self.nova(ON.replace(old, new) + more if old else ON + more))
        facts.pools = pools.Pools((self.ceph.rados, self.ceph.rbd))
        found = site_images.check_site_images(facts)
        facts.pools.close()
        return self.texts(found, worst)

    def test_off_is_as_it_should_be(self):
        self.assertIn('site_images is off', self.check(0, 'site_images = fallback'))

    def test_without_nova_conf_nothing_is_checked(self):
        self.assertTrue(site_images.check_site_images(self.facts())[0].skipped)

    def test_option_without_the_driver_or_without_ceph_has_no_effect(self):
        self.assertIn('compute_driver is not multistore.LibvirtDriver',
                      self.check(2, 'multistore.Lib', 'libvirt.Lib'))
        self.assertIn("images_type is 'qcow2'", self.check(2, '= rbd', '= qcow2'))

    def test_direct_snapshot_of_a_compute_without_the_hook_is_seen(self):
        for pool in ('vms', 'bases'):
            own = 'site_image_pool = %s' % pool
            self.ceph.rbd.images[pool, IMAGE + '_disk'] = fake_rbd.Image(5)
            self.assertNotIn('names of Glance', self.check(0, more=own))
            self.ceph.rbd.images[pool, IMAGE] = fake_rbd.Image(5)
            self.assertIn('holds 1 RBD images with names of Glance (%s)' % IMAGE, self.check(1, more=own))

    def test_default_pool_is_a_warning_until_the_operator_names_a_pool(self):
        self.assertIn("the pool of the servers' disks, vms", self.check(1))
        self.assertIn('site_image_pool: is not set', self.check(1))
        for pool in ('vms', 'bases'):
            self.assertIn('site images are in the pool %s' % pool,
                          self.check(0, more='site_image_pool = %s' % pool))

    def test_images_in_glances_own_pool_are_glances(self):
        self.ceph.rbd.images['images', IMAGE] = fake_rbd.Image(5)
        self.check(0, more='site_image_pool = images')

    def test_cluster_that_is_away_cannot_be_judged(self):
        self.ceph.away = True
        self.assertIn('cannot determine what the pool vms holds', self.check(1))

    def test_without_the_bindings_of_ceph_nothing_is_checked(self):
        facts = self.facts(nova=self.nova(ON))
        facts.pools = pools.Pools()
        facts.pools._modules = None
        self.assertTrue(site_images.check_site_images(facts)[0].skipped)
