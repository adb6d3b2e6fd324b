# SPDX-License-Identifier: Apache-2.0
"""Where a project's package is, and of which release."""

import os
import subprocess
import sys

import ddt
import fixtures

from multistore_hooks.patching import errors
from multistore_hooks.patching import release
from tests.unit.patching import base

NOVA = b'Metadata-Version: 2.1\nName: nova\nVersion: 20.6.1\nSummary: x\n\nVersion: 99\n'


@ddt.ddt
class TestVersion(base.TestCase):

    def find(self, *folders):
        return release.find_version('nova', folders or [self.folder])

    @ddt.data(
        'nova-20.6.1.dist-info/METADATA',        # a wheel
        'nova-20.6.1.egg-info/PKG-INFO',         # Debian's package
        'nova-20.6.1-py3.6.egg-info/PKG-INFO',   # RDO's package
        'nova-20.6.1.egg-info',                  # distutils, one file
        'nova.egg-info/PKG-INFO',                # pip install -e
        'PKG-INFO',                              # an unpacked source distribution
    )
    def test_found_in_every_kind_of_metadata(self, path):
        base.write(self.folder, path, NOVA)
        self.assertEqual('20.6.1', self.find())

    def test_other_packages_do_not_count(self):
        base.write(self.folder, 'nova-powervm-9.0.egg-info/PKG-INFO', NOVA.replace(
            b'nova', b'nova-powervm'))
        base.write(self.folder, 'PKG-INFO', NOVA.replace(b'nova', b'mine'))
        base.write(self.folder, 'python_novaclient-18.0.dist-info/METADATA', NOVA)
        self.assertIsNone(self.find())

    @ddt.data(b'', b'\xff\xfe\0', b'Name: nova\n', b'Version: 3\n', b'\nName: nova\nVersion: 3\n')
    def test_damaged_metadata_is_none(self, data):
        base.write(self.folder, 'nova-1.dist-info/METADATA', data)
        self.assertIsNone(self.find())

    def test_unreadable_metadata_is_none(self):
        os.makedirs(os.path.join(self.folder, 'nova-20.6.1.dist-info', 'METADATA'))
        self.assertIsNone(self.find())

    def test_two_of_one_release_are_no_matter(self):
        base.write(self.folder, 'nova-20.6.1.dist-info/METADATA', NOVA)
        base.write(self.folder, 'nova.egg-info/PKG-INFO', NOVA.replace(b'6.1', b'6.2.dev3'))
        self.assertEqual('20.6.1', self.find())

    def test_two_releases_are_refused(self):
        base.write(self.folder, 'nova-20.6.1.dist-info/METADATA', NOVA)
        base.write(self.folder, 'nova-21.0.0.dist-info/METADATA', NOVA.replace(b'20.6', b'21.0'))
        error = self.assertRaises(errors.UnknownRelease, self.find)
        self.assertIn('20.6.1, 21.0.1', str(error))

    def test_the_first_folder_that_knows_decides(self):
        base.write(self.folder, 'a/x', b'')
        base.write(self.folder, 'b/nova-20.6.1.dist-info/METADATA', NOVA)
        base.write(self.folder, 'c/nova-21.6.1.dist-info/METADATA', NOVA.replace(b'20', b'21'))
        folders = [os.path.join(self.folder, name) for name in ('none', 'a', 'b', 'c')]
        self.assertEqual('20.6.1', self.find(*folders))

    def test_a_folder_of_odd_characters(self):
        base.write(self.folder, '[a]*/nova-20.6.1.dist-info/METADATA', NOVA)
        self.assertEqual('20.6.1', self.find(os.path.join(self.folder, '[a]*')))

    @ddt.data(('20.6.1', 20), ('34.0.0.0rc1', 34), ('26.1.0.dev7', 26), ('34', 34),
              ('2015.1.4', 2015), ('', None), (None, None), ('train', None), ('20-x', None),
              ('-1', None), ('99999999.1', None))
    @ddt.unpack
    def test_major(self, version, number):
        self.assertEqual(number, release.major(version))


class TestRoot(base.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.folder] + sys.path))

    def test_found_and_not_imported(self):
        base.write(self.folder, 'soave/__init__.py', b'raise RuntimeError("imported")\n')
        self.assertEqual(self.folder, release.find_root('soave'))

    def test_found_when_only_our_file_is_left_of_the_package(self):
        base.write(self.folder, 'soave/virt/multistore.py', b'')
        self.assertEqual(self.folder, release.find_root('soave'))

    def test_not_installed(self):
        error = self.assertRaises(errors.BadInput, release.find_root, 'soave')
        self.assertIn('--root', str(error))
        self.assertIn(sys.executable, str(error))

    def test_a_module_is_no_package(self):
        base.write(self.folder, 'soave.py', b'')
        self.assertRaises(errors.BadInput, release.find_root, 'soave')

    def test_a_broken_finder_is_reported_as_not_installed(self):
        module = type(sys)('soave')
        module.__spec__ = None
        self.useFixture(fixtures.MonkeyPatch('sys.modules', dict(sys.modules, soave=module)))
        self.assertRaises(errors.BadInput, release.find_root, 'soave')

    def test_an_editable_installation(self):
        base.write(self.folder, 'checkout/soave/__init__.py', b'')
        base.write(self.folder, 'site/soave.pth', os.path.join(
            self.folder, 'checkout').encode() + b'\n')
        code = ('import site; site.addsitedir(%r); from multistore_hooks.patching import release; '
                'print(release.find_root("soave"))' % os.path.join(self.folder, 'site'))
        found = subprocess.check_output(
            [sys.executable, '-c', code], env=base.environ())
        self.assertEqual(os.path.join(self.folder, 'checkout'), found.decode().strip())
