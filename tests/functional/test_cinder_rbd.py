# SPDX-License-Identifier: Apache-2.0
"""Volumes on RBD in a real Ceph cluster, uploaded to a Glance with a store there and one elsewhere."""

import os

from lab import ceph
from lab import ceph_glance
from lab import glance
from lab.poll import LabError
from tests.functional import cinder_base

KEY = 'image_service:store_id'
GIB = 1 << 30


class RbdTest(cinder_base.CinderTestCase):

    def setUp(self):
        why = ceph.unavailable(cinder_base.PYTHON)
        if why:
            self.skipTest(why)
        super().setUp()
        self.cluster = self.useFixture(_Cluster(os.path.join(self.directory, 'ceph'))).cluster
        modules = ceph.bindings(os.path.join(self.directory, 'modules'), cinder_base.PYTHON)
        self.useFixture(cinder_base.fixtures.MonkeyPatch(
            'tests.functional.cinder_base.PYTHONPATH',
            os.pathsep.join(path for path in (cinder_base.PYTHONPATH, str(modules)) if path)))
        self.glance = ceph_glance.Glance(
            os.path.join(self.directory, 'glance'),
            {'fast': 'file', 'cheap': 'file', 'robust': ceph_glance.store(self.cluster)},
            filters=[glance.BASE_IMAGE_FILTER])
        self.glance.start()
        self.addCleanup(self.glance.kill)
        self.cinder = self.start_cinder(overrides={'directory': {
            'volume_driver': 'lab.cinder.rbd.RbdDriver', 'rbd_pool': 'volumes',
            'rbd_ceph_conf': self.cluster.conf, 'rbd_user': self.cluster.user,
            'volume_backend_name': 'directory'}})

    def volume_with_bytes(self, cinder, **options):
        volume = cinder.create_volume(**options)
        self.cluster.rbd('resize', '--allow-shrink', '--size', '%dB' % cinder_base.SIZE,
                         'volumes/volume-' + volume)
        self.write(volume)
        return volume

    def write(self, volume):
        self.cluster.rbd('rm', 'volumes/volume-' + volume)
        self.cluster.rbd('import', '--image-feature', 'layering', self.raw, 'volumes/volume-' + volume)

    def where(self, image_id):
        """Return the stores that have the image's bytes, the pool's looked at by Ceph's own tool."""
        found = super().where(image_id)
        out = os.path.join(self.directory, 'exported')
        try:
            self.cluster.rbd('export', 'images/%s@snap' % image_id, out)
        except LabError:
            return found
        with open(out, 'rb') as file:
            found |= {'robust'} if file.read() == self.content else set()
        os.unlink(out)
        return found

    def uploaded(self, volume, **options):
        image = self.cinder.upload(volume, **options)
        self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
        self.assertIn(image, self.images(), self.cinder.log[-3000:])
        self.glance.wait_for_import(image)
        return image

    def test_a_raw_volume_goes_where_it_belongs(self):
        self.cinder.create_type('gold', {KEY: 'robust'})
        both = self.base_image('cheap', 'robust', data=b'base' * 16384)
        for expected, options in (({'fast'}, {}), ({'robust'}, {'volume_type': 'gold'}),
                                  ({'cheap', 'robust'}, {'image': both}),
                                  ({'robust'}, {'image': both, 'volume_type': 'gold'})):
            volume = self.volume_with_bytes(self.cinder, **options)
            self.assertEqual(expected, self.where(self.uploaded(volume)), options)


class _Cluster(cinder_base.fixtures.Fixture):

    def __init__(self, directory):
        super().__init__()
        self.cluster = ceph.Ceph(directory, pools=('images', 'volumes'), mgr=True)

    def _setUp(self):
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.cluster.__enter__()
