# SPDX-License-Identifier: Apache-2.0
"""Site images inside Train's Nova: the tests of the newest, in the environment of test_nova_copy_train."""

import unittest

from testtools.matchers import StartsWith

from tests.functional import test_nova_copy_train as train
from tests.functional import test_nova_site_images as newest


@unittest.skipIf(train.REASON, train.REASON)
class OnTrain:
    """Hosts that run Nova 20."""

    python, nova_dir = train.TrainTest.python, train.TrainTest.nova_dir

    def test_it_is_train(self):
        self.assertThat(self.host().ready()['nova'], StartsWith('20.'))


class TrainBootTest(OnTrain, newest.BootTest):

    # Train takes the format from the data, and refuses no other one in the record.
    test_image_that_nova_refuses_is_refused_still = None

    def test_user_who_may_not_download_it_is_refused_though_the_site_has_it(self):
        # Train has no option that forbids its own download, which the user may not do, either.
        image = self.qcow2_image()
        host = self.site_host()
        self.assertFromSite(self.boot(host, image), image, self.a)
        self.glance.fault('GET', '/file$', status=403, times=2)
        self.assertEqual('none', self.boot(host, image)['outcome'])

    def test_deactivated_image_is_refused_though_the_site_has_it(self):
        # The same: it is Glance that refuses Train's own download.
        image = self.qcow2_image()
        host = self.site_host()
        self.assertFromSite(self.boot(host, image), image, self.a)
        self.glance.request('POST', '/v2/images/%s/actions/deactivate' % image)
        booted = self.boot(host, image)
        self.assertEqual('none', booted['outcome'])
        self.assertIn('Not authorized for image', booted['error'])


class TrainSnapshotTest(OnTrain, newest.SnapshotTest):
    pass


class TrainHiddenTest(OnTrain, newest.HiddenTest):

    # Train adds a location to the record, which Glance refuses where locations are hidden: it uploads.
    test_direct_snapshot_of_a_clone_of_a_site_image_is_in_glances_pool = None
    test_server_that_is_unshelved_is_flat_and_its_direct_snapshot_is_in_glances_pool = None
    test_flat_disk_is_taken_inside_the_cluster = None


class TrainLeaderTest(OnTrain, newest.LeaderTest):
    pass


class TrainLeastPrivilegeTest(OnTrain, newest.LeastPrivilegeTest):
    pass


class TrainStorageTest(OnTrain, newest.StorageTest):

    # Train has no `openstack aggregate cache image`.
    test_image_that_was_cached_is_cloned_and_no_file_stays = None
