# SPDX-License-Identifier: Apache-2.0
"""What the page about the command line shows is what the commands print, in the page's order."""

import json
import os

import fixtures
import testtools

from tests import documentation
from tests.functional import cli
from tests.functional import shared

PAGE = 'doc/source/command_line.rst'
ADMIN = 'admin:admin:admin,member,reader'


class PageTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('cli-page', stores={'reliable': 'file', 'fast': 'file', 'cheap': 'file'},
                                    default='fast')
        base = self.glance.add_image(b'base', ['reliable'], name='cirros')
        self.glance.add_image(b'data', ['reliable'], name='debian')
        self.glance.add_image(b'data', ['fast'], name='before-upgrade', base_image_ref=base,
                              image_type='snapshot')
        self.folder = self.useFixture(fixtures.TempDir()).path
        programs = os.path.join(self.folder, 'bin')
        os.mkdir(programs)
        for name in ('multistore-hooks', 'openstack'):
            path = os.path.join(programs, name)
            with open(path, 'w', encoding='utf-8') as script:
                script.write('#!/bin/sh\nexec %s "$@"\n' % ' '.join(cli.command(name)))
            os.chmod(path, 0o755)
        with open(os.path.join(self.folder, 'clouds.yaml'), 'w', encoding='utf-8') as stream:
            json.dump({'clouds': {'mycloud': {'auth_type': 'admin_token', 'auth': {
                'endpoint': self.glance.url, 'token': ADMIN}}}}, stream)
        self.environ = cli.environ(self.folder, OS_CLOUD='mycloud')
        self.environ.update(PATH=programs + os.pathsep + self.environ['PATH'], PYTHONWARNINGS='ignore')

    def test_commands_print_what_the_page_says(self):
        commands = [command for block in documentation.blocks(PAGE, documentation.read(PAGE))
                    # Those of another lab are run by test_documentation.
                    if block.mark and block.mark.what == __name__
                    for command in documentation.commands(block.text)]
        self.assertTrue(len(commands) > 5, commands)
        without = not cli.beside_python('openstack')
        for command in commands:
            if without and command.line.startswith('openstack '):
                continue  # test_cli.py says so
            code, out, err = cli.run(['bash', '-c', command.line], self.environ, self.folder)
            printed = err + out
            self.assertEqual(0, code, '%s\n%s' % (command.line, printed))
            self.assertTrue(documentation.matches(command.prints or '', printed),
                            '%s\nprints\n%s\nand not\n%s' % (command.line, printed, command.prints))
