# SPDX-License-Identifier: Apache-2.0
"""The series files, and the folder of the patches."""

import os
from unittest import mock

import ddt

from multistore_hooks.patching import errors
from multistore_hooks.patching import series
from tests.unit.patching import base


@ddt.ddt
class TestSeries(base.TestCase):

    def setUp(self):
        super().setUp()
        self.patches = base.make_patches(self.folder)

    def load(self, text=None):
        if text is not None:
            base.write(self.folder, 'nova/series', text.encode())
        return series.load(self.folder, 'nova')

    def names(self, found, release):
        return [text.name for text in found.patches(release)]

    def test_each_release_gets_its_patches_in_the_order_of_the_file(self):
        found = self.load()
        self.assertEqual(['one', 'three'], sorted(found))
        for release in (20, 27, 34):
            self.assertEqual(['first.patch', 'second.patch'],
                             self.names(found['three'], release))
        self.assertEqual(list(range(20, 35)), found['three'].releases())
        self.assertEqual([20, 21, 30], found['one'].releases())
        self.assertEqual(['second.patch'], self.names(found['one'], 30))
        self.assertEqual([], self.names(found['one'], 25))

    def test_the_needed_series_is_the_one_taken_by_default(self):
        found = self.load()
        self.assertEqual('three', series.choose(found, 'nova', None).name)
        self.assertEqual('one', series.choose(found, 'nova', 'one').name)

    def test_an_unknown_series_is_reported_with_those_there_are(self):
        error = self.assertRaises(
            errors.BadInput, series.choose, self.load(), 'nova', 'upload')
        self.assertIn("'upload'", str(error))
        self.assertIn('one, three', str(error))

    def test_a_project_may_need_none(self):
        found = self.load('series manager optional\n15-29 first.patch\n')
        error = self.assertRaises(errors.NotNeeded, series.choose, found, 'nova', None)
        self.assertIn('needs no patch', str(error))
        self.assertIn('--series: manager', str(error))

    @ddt.data(
        ('20-34 first.patch\n', 'line 1'),
        ('series a needed\nseries a optional\n', 'line 2'),
        ('series a needed\nseries b needed\n', 'more than one'),
        ('series a\n', 'line 1'),
        ('series a sometimes\n', 'line 1'),
        ('series ../a needed\n', 'line 1'),
        ('series a needed\n\n20-34\n', 'line 3'),
        ('series a needed\n34-20 first.patch\n', 'line 2'),
        ('series a needed\n20- first.patch\n', 'line 2'),
        ('series a needed\ntrain first.patch\n', 'line 2'),
        ('series a needed\n20-34 ../first.patch\n', 'line 2'),
        ('series a needed\n20-34 /first.patch\n', 'line 2'),
        ('series a needed\n20-34 first.patch -p1\n', 'line 2'),
        ('series a needed\n20-34 first.diff\n', 'line 2'),
    )
    @ddt.unpack
    def test_what_is_not_in_the_documented_form_is_refused_by_line(self, text, where):
        error = self.assertRaises(errors.BadPatch, self.load, text)
        self.assertIn(where, str(error))
        self.assertIn(os.path.join(self.folder, 'nova/series'), str(error))

    def test_a_missing_or_bad_patch_is_named(self):
        found = self.load('series a needed\n20 gone.patch\n21 bad.patch\n')
        base.write(self.folder, 'nova/bad.patch', b'nothing\n')
        self.assertIn('gone.patch: No such file',
                      str(self.assertRaises(errors.BadPatch, found['a'].patches, 20)))
        self.assertIn('patch bad.patch: ',
                      str(self.assertRaises(errors.BadPatch, found['a'].patches, 21)))

    def test_projects_are_the_folders_with_a_series(self):
        base.write(self.folder, 'cinder/series', b'')
        base.write(self.folder, 'docs/other', b'')
        base.write(self.folder, 'README.rst', b'')
        self.assertEqual(['cinder', 'nova'], series.projects(self.folder))
        for name in ('glance', '', '..', '../nova', 'docs'):
            error = self.assertRaises(errors.BadInput, series.load, self.folder, name)
            self.assertIn('cinder, nova', str(error))

    def test_a_folder_that_is_not_there_is_reported(self):
        error = self.assertRaises(errors.BadInput, series.projects, self.folder + '/gone')
        self.assertIn('/gone: No such file', str(error))


@ddt.ddt
class TestFindFolder(base.TestCase):

    def find(self, package, shared):
        """Look for the patches as if the package were installed there."""
        module = os.path.join(self.folder, package, 'multistore_hooks/patching/series.py')
        if shared:
            base.write(self.folder, shared + '/nova/series', b'')
        with mock.patch.object(series, '__file__', module):
            return series.find_folder()

    @ddt.data(
        ('checkout', 'checkout/patches'),
        ('venv/lib/python3.6/site-packages', 'venv/share/multistore-hooks/patches'),
        ('venv/lib64/python3.13/site-packages', 'venv/share/multistore-hooks/patches'),
        ('home/.local/lib/python3.11/site-packages', 'home/.local/share/multistore-hooks/patches'),
        ('target', 'target/share/multistore-hooks/patches'),
        ('usr/lib/python3/dist-packages', 'usr/share/multistore-hooks/patches'),
        ('usr/local/lib/python3.11/dist-packages', 'usr/local/share/multistore-hooks/patches'),
    )
    @ddt.unpack
    def test_found_wherever_it_was_installed(self, package, shared):
        self.assertEqual(os.path.join(self.folder, shared), self.find(package, shared))

    def test_not_looked_for_outside_of_the_prefix(self):
        self.assertRaises(errors.BadInput, self.find, 'a/b/c/d/e', 'share/multistore-hooks/patches')

    def test_a_foreign_folder_named_patches_is_none(self):
        base.write(self.folder, 'site/patches/other', b'')
        error = self.assertRaises(errors.BadInput, self.find, 'site', None)
        self.assertIn('share/multistore-hooks/patches', str(error))
