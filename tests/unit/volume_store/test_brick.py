# SPDX-License-Identifier: Apache-2.0
"""What os-brick is asked for, and how its helper is started."""

import importlib
import importlib.util
import os

import fixtures
import testtools

from tests.unit import base
from tests.unit.volume_store import standins

CONNECTION = {'driver_volume_type': 'iscsi', 'target_lun': 1}


@testtools.skipIf(importlib.util.find_spec('os_brick'), 'the functional tests run on the real os-brick')
class BrickTest(base.TestCase):
    """On the stand-ins alone: the real os-brick would look for devices."""

    def setUp(self):
        super().setUp()
        self.useFixture(standins.StandIns())
        self.module = importlib.import_module('multistore_hooks.volume_store.brick')
        self.calls = importlib.import_module('os_brick').CALLS
        self.commands = importlib.import_module('oslo_concurrency.processutils').CALLS
        self.addCleanup(self.calls.clear)
        self.addCleanup(self.commands.clear)

    def settings(self, root_helper='sudo rootwrap', **more):
        return self.module.Settings(root_helper=root_helper, host='localhost', **more)

    def test_the_properties_of_the_host_are_determined_once(self):
        brick = self.module.Brick(self.settings(my_ip='192.0.2.7', use_multipath=True))
        first, second = brick.properties(), brick.properties()
        self.assertEqual((first, '192.0.2.7'), (second, first['ip']))
        self.assertEqual([('properties', 'sudo rootwrap', '192.0.2.7', True, False, 'localhost')], self.calls)
        first['ip'] = 'changed'
        self.assertEqual('192.0.2.7', brick.properties()['ip'])

    def test_without_root_os_brick_is_not_requested_them(self):
        self.useFixture(fixtures.MockPatchObject(self.module.os, 'geteuid', lambda: 1000))
        found = self.module.Brick(self.settings(root_helper='')).properties()
        self.assertEqual(([], 'localhost', False), (self.calls, found['host'], found['do_local_attach']))
        self.assertIn(found['ip'], ('127.0.0.1', '::1'))

    def test_a_volume_is_connected_extended_and_disconnected_by_its_protocol(self):
        brick = self.module.Brick(self.settings(scan_attempts=7))
        info = brick.connect(CONNECTION)
        brick.extend(CONNECTION)
        brick.disconnect(CONNECTION, info)
        brick.disconnect(CONNECTION, info, force=True)
        self.assertEqual('/dev/sdx', info['path'])
        name, protocol, helper, options = self.calls[0]
        self.assertEqual(('factory', 'iscsi', 'sudo rootwrap', 7, '/var/lib/glance/mnt'), (
            name, protocol, helper, options['device_scan_attempts'], options['iscsi_mount_point_base']))
        self.assertEqual([('connect', CONNECTION), ('extend', CONNECTION),
                          ('disconnect', CONNECTION, info, False, False),
                          ('disconnect', CONNECTION, info, True, False)],
                         [call for call in self.calls if call[0] != 'factory'])

    def test_the_share_of_the_last_volume_is_unmounted_as_root(self):
        folder = self.useFixture(fixtures.TempDir()).path
        table = os.path.join(folder, 'mounts')
        with open(table, 'w', encoding='utf-8') as stream:
            stream.write('server:/export /mnt/x nfs4 rw 0 0\n')
        from multistore_hooks.volume_store import share_mounts
        self.useFixture(fixtures.MockPatchObject(share_mounts, '_MOUNTS', table))
        brick = self.module.Brick(self.settings(lock_folder=folder))
        for protocol, unmounted in (('nfs', 1), ('iscsi', 0)):
            del self.calls[:]
            shared = {'driver_volume_type': protocol, 'export': 'server:/export', 'name': 'v'}
            brick.connect(shared)
            brick.disconnect(shared, {'path': '/mnt/x/v'})
            as_root = {'run_as_root': True, 'root_helper': 'sudo rootwrap'}
            self.assertEqual([('execute', ('umount', '/mnt/x'), as_root)] * unmounted,
                             [call for call in self.calls if call[0] == 'execute'])

    def test_a_device_is_handed_over_as_root_and_never_by_way_of_a_link(self):
        folder = self.useFixture(fixtures.TempDir()).path
        device, link = os.path.join(folder, 'device'), os.path.join(folder, 'link')
        os.symlink(device, link)
        self.module.Brick(self.settings()).chown(link, 42)
        self.assertEqual([(('chown', '--no-dereference', '42', device),
                           {'run_as_root': True, 'root_helper': 'sudo rootwrap'})], self.commands)

    def test_the_helper_is_that_of_the_first_folder_that_has_one(self):
        folder = self.useFixture(fixtures.TempDir()).path
        helper = os.path.join(folder, 'privsep-helper')
        with open(helper, 'w', encoding='utf-8'):
            pass
        self.assertEqual('sudo rootwrap %s --config-file /c' % helper, self.module.helper_command(
            self.settings(privsep_config='/c'), '/nowhere', folder))
        self.assertEqual('sudo rootwrap privsep-helper --config-file /c', self.module.helper_command(
            self.settings(privsep_config='/c'), '/nowhere'))
        self.assertIn('WARNING There is no privsep-helper in /nowhere; searching the path for it.', self.log)
        self.assertEqual(helper, self.module.helper_command(self.settings(root_helper=''), folder))

    def test_another_command_for_the_helper_is_kept_and_reported(self):
        from oslo_config import cfg
        conf = cfg.ConfigOpts()
        self.module.prepare(self.settings(), conf)
        self.addCleanup(cfg.CONF.clear_default, 'helper_command', group='privsep_osbrick')
        self.assertEqual([('setup', conf)], self.calls)
        mine = cfg.CONF.privsep_osbrick.helper_command
        self.assertIn('privsep-helper', mine)
        self.module.prepare(self.settings(), conf)
        self.assertNotIn('was already set', self.log)
        self.module.prepare(self.settings(root_helper='sudo other'), conf)
        self.assertEqual(mine, cfg.CONF.privsep_osbrick.helper_command)
        self.assertIn("The privsep helper for os-brick uses '%s', not 'sudo other" % mine, self.log)
