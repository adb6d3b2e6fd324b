# SPDX-License-Identifier: Apache-2.0
"""Configuration files are read as the services read them, and what is wrong in them is reported."""

import os

from multistore_hooks.status.facts import config_files
from tests.unit.status import base


class ReadingTest(base.CheckCase):

    def test_where_names_file_section_and_option(self):
        conf = self.nova('[libvirt]\nimages_type = rbd\n')
        path = os.path.join(self.folder, 'nova.conf')
        self.assertEqual('rbd', conf.get('libvirt', 'images_type'))
        self.assertEqual('%s, [libvirt] images_type' % path, conf.where('libvirt', 'images_type'))
        self.assertTrue(conf.is_set('libvirt', 'images_type'))

    def test_option_that_is_not_set_has_nova_s_default_and_is_not_said_to_be_set(self):
        conf = self.nova('')
        self.assertEqual('default', conf.get('libvirt', 'images_type'))
        self.assertFalse(conf.is_set('libvirt', 'images_type'))
        self.assertIn('nova.conf, [libvirt] images_type', conf.where('libvirt', 'images_type'))

    def test_later_file_wins_and_is_named(self):
        first = self.file('nova.conf', '[DEFAULT]\ncompute_driver = a\n')
        second = self.file('more.conf', '[DEFAULT]\ncompute_driver = b\n')
        conf = config_files.read_nova([first, second])
        self.assertEqual('b', conf.get('DEFAULT', 'compute_driver'))
        self.assertIn('more.conf', conf.where('DEFAULT', 'compute_driver'))

    def test_folder_beside_the_file_is_read(self):
        path = self.file('nova.conf', '[DEFAULT]\ncompute_driver = a\n')
        self.file('nova.conf.d/10-site.conf', '[DEFAULT]\ncompute_driver = b\n')
        self.assertEqual('b', config_files.read_nova([path]).get('DEFAULT', 'compute_driver'))

    def test_environment_of_who_checks_is_not_the_service_s(self):
        os.environ['OS_DEFAULT__COMPUTE_DRIVER'] = 'mine'
        self.addCleanup(os.environ.pop, 'OS_DEFAULT__COMPUTE_DRIVER')
        self.assertIsNone(self.nova('').get('DEFAULT', 'compute_driver'))

    def test_wrong_values_are_all_reported_and_read_as_their_defaults(self):
        conf = self.nova('[libvirt]\nimages_rbd_glance_copy_timeout = soon\n'
                         '[service_user]\nsend_service_user_token = perhaps\n')
        self.assertEqual(600, conf.get('libvirt', 'images_rbd_glance_copy_timeout'))
        wrong = conf.wrong_values()
        self.assertEqual(2, len(wrong), wrong)
        self.assertIn('[libvirt] images_rbd_glance_copy_timeout', wrong[0].where)
        self.assertIn("'soon'", wrong[0].why)
        self.assertNotIn('LocationInfo', wrong[0].why)

    def test_value_that_refers_to_another_option(self):
        conf = self.glance('[DEFAULT]\nstate_path = /srv\nenabled_backends = a:file\n'
                           '[a]\nfilesystem_store_datadir = $state_path/a\n')
        self.assertEqual('/srv/a', conf.get('a', 'filesystem_store_datadir'))

    def test_value_that_refers_to_an_option_that_only_the_service_knows(self):
        conf = self.glance('[DEFAULT]\nenabled_backends = a:file\nelsewhere = /srv\n'
                           '[a]\nfilesystem_store_datadir = $elsewhere$or_not/a\n')
        self.assertEqual([], conf.wrong_values())
        self.assertEqual('/srv/a', conf.get('a', 'filesystem_store_datadir'))
        self.assertIn('[a] filesystem_store_datadir', conf.where('a', 'filesystem_store_datadir'))

    def test_what_cannot_be_read_is_one_line(self):
        missing = os.path.join(self.folder, 'none.conf')
        for path in (missing, self.file('bad.conf', 'nothing\n'), self.file('two.conf', '[a\nb = c\n')):
            error = self.assertRaises(config_files.Unreadable, config_files.read_nova, [path])
            self.assertIn(os.path.basename(path), str(error))
            self.assertNotIn('\n', str(error))
