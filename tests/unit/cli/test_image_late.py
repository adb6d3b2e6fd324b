# SPDX-License-Identifier: Apache-2.0
"""What the image commands need of OpenStack's clients is not imported for the others."""

import subprocess
import sys

import testtools

from multistore_hooks.cli import main

PROGRAM = '''
import sys
from multistore_hooks.cli import main
main.main(sys.argv[1:])
print('imported:', *sorted({name.partition('.')[0] for name in sys.modules} & {
    'glanceclient', 'keystoneauth1', 'openstack', 'requests', 'oslo_config', 'yaml'}))
'''


class LateTest(testtools.TestCase):

    def imported(self, *argv):
        done = subprocess.run([sys.executable, '-c', PROGRAM] + list(argv), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)
        return done.stdout.strip().splitlines()[-1].split()[1:]

    def test_patch_commands_import_no_client(self):
        self.assertEqual([], self.imported('patch', 'status', 'nova', '--root', '/nonexistent'))

    def test_image_commands_do(self):
        self.assertIn('glanceclient', self.imported('image', 'stores', 'x'))

    def test_each_command_can_be_loaded(self):
        for name, target in main.COMMANDS.items():
            self.assertTrue(callable(main.Later(name, target).load()), name)
