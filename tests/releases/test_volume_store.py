# SPDX-License-Identifier: Apache-2.0
"""A release of Glance with images on volumes of a Cinder 29, or a release of Cinder below a Glance 33."""

import os
import unittest

import testtools

from lab.volume_store import case
from lab.volume_store.lab import Lab
from lab.volume_store.lab import ours
from tests.functional import test_volume_store
from tests.releases import under_test

STORES = {'cheap': 'file', 'gold': ours('loop-gold'), 'paper': ours('nfs-paper')}
GLANCE = under_test.PROJECT == 'glance'
#: Newer series do, from 17.4.0 and 18.1.0 on, which the newest point releases are.
ATTACHES = GLANCE or under_test.MAJOR > 16


def make(folder):
    """Return the lab with the release in it."""
    release = {'python': under_test.PYTHON, 'pythonpath': under_test.path(under_test.STOCK)}
    if not GLANCE:
        return Lab(folder, STORES, default='cheap', cache_dir=under_test.CACHE, faults=True,
                   conf={'DEFAULT': {'http_retries': '1'}}, cinder_release=release)
    from tests.releases import test_glance
    conf = dict(test_glance.conf(), privsep_osbrick={
        'helper_command': '%s -m lab.privsep_helper' % under_test.PYTHON})
    return Lab(folder, STORES, default='cheap', cache_dir=case.CACHE, faults=True, conf=conf,
               eventlet=under_test.MAJOR < 21, lock_at_begin=under_test.MAJOR not in (28, 29, 30), **release)


class ReleaseCase(test_volume_store.FlowCase):
    """A test in that lab."""

    def started_lab(self):
        return case.running('release', make)


class Flows:
    """A part of what is tested on the newest releases."""

    sizes = (test_volume_store.SIZE,)

    test_what_is_uploaded_is_downloaded = test_volume_store.Basics.test_what_is_uploaded_is_downloaded
    test_an_image_of_unknown_size = test_volume_store.Basics.test_an_image_of_unknown_size
    test_ranges_are_the_bytes_requested = test_volume_store.Flows.test_ranges_are_the_bytes_requested
    test_a_deleted_image_takes_its_volume_along = (
        test_volume_store.Flows.test_a_deleted_image_takes_its_volume_along)

    @testtools.skipIf(GLANCE and under_test.MAJOR < 20, 'copy-image came with Ussuri')
    def test_copies_into_the_store_and_out_of_it(self):
        test_volume_store.Flows.test_copies_into_the_store_and_out_of_it(self)


class ServersOnlyTest(ReleaseCase):
    """A Cinder that attaches volumes to servers only."""

    store = 'gold'

    def test_glance_logs_it_at_the_start_and_an_upload_leaves_nothing(self):
        self.assertIn('ERROR multistore_hooks.volume_store.startup', self.glance.log_text())
        self.assertIn('Store gold: this Cinder attaches volumes to servers only. Cinder 17.4.0, 18.1.0, '
                      '19.0.0 or later is needed.', self.glance.log_text())
        image = self.glance.create_image()['id']
        self.addCleanup(self.forget, image)
        response = self.glance.upload(image, os.urandom(case.MIB), 'gold')
        self.assertGreaterEqual(response.status, 400, response)
        self.assertEqual('queued', self.glance.image(image)['status'])
        self.assertNothingLeft()


class LoopTest(Flows, ReleaseCase):
    """A block device."""

    store = 'gold'


class ShareTest(Flows, ReleaseCase):
    """Files on a share, as NFS has them."""

    store = 'paper'


def load_tests(loader, _tests, _pattern):
    """Return what concerns the release."""
    wanted = (LoopTest, ShareTest) if ATTACHES else (ServersOnlyTest,)
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, wanted))
