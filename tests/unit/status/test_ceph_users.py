# SPDX-License-Identifier: Apache-2.0
"""What the Ceph users of the services may do, and what the pools hold."""

import ddt

from multistore_hooks.status.checks import ceph
from multistore_hooks.status.checks import ceph_users
from multistore_hooks.status.checks import pool_contents
from multistore_hooks.status.facts import pools
from tests import clock
from tests import fake_rbd
from tests.unit.status import base

NOVA = ('[libvirt]\nimages_type = rbd\nimages_rbd_pool = vms\nimages_rbd_glance_store_name = dcn1\n'
        'rbd_user = nova\nimages_rbd_ceph_conf = /etc/ceph/dcn1.conf\n')
CINDER = ('[DEFAULT]\nenabled_backends = a, b\n[a]\nvolume_driver = cinder.volume.drivers.rbd.RBDDriver\n'
          'rbd_pool = volumes\nrbd_glance_store_name = dcn1\n[b]\nvolume_driver = x.Y\n'
          '[backend_defaults]\nrbd_user = cinder\nrbd_ceph_conf = /etc/ceph/dcn1.conf\n')
GLANCE = ('[DEFAULT]\nenabled_backends = dcn1:rbd, f:file\n[dcn1]\nrbd_store_user = glance\n'
          'rbd_store_ceph_conf = /etc/ceph/dcn1.conf\n')


class CephCase(base.CheckCase):
    """A fake cluster with the pools vms, images and volumes."""

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock())
        self.ceph.pools.add('volumes')

    def facts(self, **given):
        return super().facts(ceph_pools=pools.Pools((self.ceph.rados, self.ceph.rbd)), **given)


@ddt.ddt
class UsersTest(CephCase):

    def check(self):
        return ceph_users.check_users(self.facts(
            nova=self.nova(NOVA), cinder=self.cinder(CINDER), glance=self.glance(GLANCE)))

    def test_users_that_may_do_all(self):
        text = self.texts(self.check(), 0)
        for pair in ('client.nova: images', 'client.nova: vms', 'client.cinder: images',
                     'client.cinder: volumes', 'client.glance: images'):
            self.assertIn(pair, text)

    def test_a_pool_that_cannot_be_read_and_then_can(self):
        self.ceph.denied.add('images')
        text = self.texts(self.check(), 2)
        self.assertIn('glance_rbd_pool: the Ceph user client.nova cannot read the pool images (not in '
                      'the pool images): no image can be cloned', text)
        self.assertIn("[a] rbd_glance_pool: the Ceph user client.cinder cannot read the pool images", text)
        self.assertIn("Give the user the OSD capability 'profile rbd-read-only pool=images'", text)
        self.ceph.denied.clear()
        self.texts(self.check(), 0)

    def test_a_pool_that_does_not_exist(self):
        self.ceph.pools.remove('volumes')
        self.assertIn("cannot read the pool volumes (error opening pool 'volumes')",
                      self.texts(self.check(), 2))

    @ddt.data(('vms', 'no disk of a server can be made', 2), ('volumes', 'no volume can be made', 2))
    @ddt.unpack
    def test_a_pool_that_cannot_be_written(self, pool, effect, worst):
        self.ceph.read_only.add(pool)
        self.assertIn('cannot write the pool %s (error on remove of xattr): %s' % (pool, effect),
                      self.texts(self.check(), worst))

    def test_without_the_right_to_write_glances_pool_snapshots_and_uploads_still_have_a_way(self):
        self.ceph.read_only.add('images')
        nova = self.facts(nova=self.nova(NOVA))
        said = self.texts(ceph_users.check_users(nova), 0)
        self.assertIn('snapshots are uploaded through Glance', said)
        self.assertIn('they may do what the hooks need', said)
        cinder = self.facts(cinder=self.cinder(CINDER))
        self.assertIn('[a] rbd_glance_pool: the Ceph user client.cinder cannot write the pool images (error '
                      'on remove of xattr): volumes are uploaded through Glance',
                      self.texts(ceph_users.check_users(cinder), 0))
        glance = self.facts(glance=self.glance(GLANCE))
        self.assertIn('takes no images and no copies', self.texts(ceph_users.check_users(glance), 2))

    def test_site_images_need_their_pool(self):
        self.ceph.pools.add('site')
        self.ceph.read_only.add('site')
        nova = self.nova(NOVA + '[multistore_hooks]\nsite_images = fallback\nsite_image_pool = site\n')
        self.assertIn('no site image can be made',
                      self.texts(ceph_users.check_users(self.facts(nova=nova)), 2))

    def test_nothing_is_written(self):
        before = dict(self.ceph.objects), dict(self.ceph.omaps), dict(self.ceph.rbd.images)
        self.check()
        self.assertEqual(before, (self.ceph.objects, self.ceph.omaps, self.ceph.rbd.images))

    def test_a_cluster_that_is_away_is_no_failure_and_is_waited_for_once_for_each_user(self):
        self.ceph.away = True
        rados, connects = self.ceph.rados, []
        reach = rados.Rados
        rados.Rados = lambda **given: connects.append(given['rados_id']) or reach(**given)
        self.assertIn('cannot determine what client.nova may do', self.texts(self.check(), 1))
        self.assertEqual(['cinder', 'glance', 'nova'], sorted(connects))

    def test_without_files_or_bindings_it_is_skipped(self):
        self.assertTrue(ceph_users.check_users(self.facts())[0].skipped)
        facts = self.facts(nova=self.nova(NOVA))
        facts.pools._modules = None
        self.assertTrue(ceph_users.check_users(facts)[0].skipped)

    def test_hosts_without_ceph_need_nothing(self):
        self.texts(ceph_users.check_users(self.facts(nova=self.nova(''), glance=self.glance(''))), 0)


class BackendsTest(CephCase):
    """A backend's store is in its own cluster, and its pool is the store's."""

    def check(self, fsid, pool):
        self.file('dcn1.conf', '[global]\nfsid = A\nmon host = 127.0.0.1:1\n')
        cinder = self.cinder(CINDER.replace('/etc/ceph', self.folder))
        cloud = base.Responses(details={'dcn1': {'type': 'rbd', 'properties': {'fsid': fsid, 'pool': pool}}})
        return ceph.check_backends(self.facts(cinder=cinder, cloud=cloud))

    def test_store_of_another_cluster(self):
        self.assertIn("[a] rbd_glance_store_name: names the store 'dcn1', which is in the cluster B",
                      self.texts(self.check('B', 'images'), 2))
        self.texts(self.check('A', 'images'), 0)

    def test_another_pool(self):
        self.assertIn("[a] rbd_glance_pool: is 'images', but the store 'dcn1' keeps its images in the pool "
                      "'glance'", self.texts(self.check('A', 'glance'), 2))

    def test_no_backend_names_a_store(self):
        self.texts(ceph.check_backends(self.facts(cinder=self.cinder(''))), 0)
        self.assertTrue(ceph.check_backends(self.facts())[0].skipped)


class ContentsTest(CephCase):

    def setUp(self):
        super().setUp()
        self.images = [self.image('1'), self.image('2'), self.image('3', stores='central')]
        self.put('1'), self.put('2')

    def image(self, image_id, stores='central,dcn1', **more):
        return dict({'id': image_id, 'status': 'active', 'size': 8, 'stores': stores}, **more)

    def put(self, image_id, size=8, complete=True):
        kept = self.ceph.rbd.images['images', image_id] = fake_rbd.Image(size)
        if complete:
            kept.snapshots['snap'] = True

    def check(self, text=NOVA):
        return pool_contents.check_contents(self.facts(nova=self.nova(text), cloud=base.Responses(
            images=self.images)))

    def test_a_pool_that_holds_what_the_records_say(self):
        self.assertIn("the store 'dcn1' (images)", self.texts(self.check(), 0))

    def test_a_copy_that_the_record_lists_and_the_pool_lacks_and_then_has(self):
        del self.ceph.rbd.images['images', '2']
        text = self.texts(self.check(), 2)
        self.assertIn("Glance lists in the store 'dcn1' the images 2, which the pool images does not "
                      'hold', text)
        self.assertIn('glance stores-delete --store dcn1', text)
        self.put('2')
        self.texts(self.check(), 0)

    def test_an_unfinished_copy_and_one_that_goes_on(self):
        self.put('3', complete=False)
        self.assertIn("is not there by the record of the images 3, but the pool images holds data of them",
                      self.texts(self.check(), 2))
        self.images[2]['os_glance_importing_to_stores'] = 'dcn1'
        self.texts(self.check(), 0)
        self.images[2].update(os_glance_importing_to_stores='', os_glance_import_task='t')
        self.texts(self.check(), 0)

    def test_a_copy_of_another_size(self):
        self.put('2', size=4)
        self.assertIn('whose data in the pool images is another size', self.texts(self.check(), 2))

    def test_a_pool_without_any_of_the_images(self):
        self.ceph.rbd.images.clear()
        self.assertIn('the images 1, 2, which the pool', self.texts(self.check(), 2))

    def test_what_changes_between_the_two_polls_is_not_reported(self):
        cloud = base.Responses(images=self.images)
        listed = [dict(image) for image in self.images]
        listed[2]['stores'] = 'central,dcn1'   # the record was read before it was evicted there
        cloud.images = lambda: listed
        facts = self.facts(nova=self.nova(NOVA), cloud=cloud)
        self.texts(pool_contents.check_contents(facts), 0)
        del self.images[1]                     # deleted between the list and the pool
        del self.ceph.rbd.images['images', '2']
        cloud._images = self.images
        self.texts(pool_contents.check_contents(facts), 0)

    def test_many_are_counted(self):
        seen = [pool_contents.check.Finding(pool_contents.check.MISSING, 'dcn1', str(number), '')
                for number in range(8)]
        held = pool_contents.Held('dcn1', pools.User('conf', None), 'images', 'here')
        self.assertIn('0, 1, 2, 3, 4 and 3 more', self.texts(pool_contents.decide(held, seen)))

    def test_one_pool_is_read_once(self):
        facts = self.facts(nova=self.nova(NOVA), cinder=self.cinder(CINDER), glance=self.glance(GLANCE))
        self.assertEqual(1, len(pool_contents.stores_of(facts)))

    def test_a_cluster_that_is_away_is_no_failure(self):
        self.ceph.away = True
        self.assertIn('cannot determine what the pool', self.texts(self.check(), 1))

    def test_without_glance_it_is_skipped(self):
        found = pool_contents.check_contents(self.facts(nova=self.nova(NOVA)))
        self.assertTrue(found[0].skipped)
