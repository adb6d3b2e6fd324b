# SPDX-License-Identifier: Apache-2.0
"""The patches that ship: their form, and that they apply to what the releases look like."""

import ast
import os
import re
import shutil
import subprocess
import unittest

import ddt

from multistore_hooks.patching import patch
from multistore_hooks.patching import runner
from multistore_hooks.patching import series
from tests.unit.patching import base

FOLDER = series.find_folder()
ALL = [found for project in series.projects(FOLDER)
       for found in series.load(FOLDER, project).values()]
NOVA = ('20.6.1', '25.3.0', '34.0.0')


class TestForm(base.TestCase):

    def test_every_patch_is_read_and_every_file_is_used(self):
        for found in ALL:
            for release in found.releases():
                self.assertTrue(found.patches(release))
        for project in series.projects(FOLDER):
            used = {entry.patch for found in ALL if found.project == project
                    for entry in found.entries}
            self.assertEqual(used | {'series'}, set(os.listdir(os.path.join(FOLDER, project))))

    def test_every_patch_has_its_dep_3_header(self):
        for found in ALL:
            for entry in found.entries:
                with open(os.path.join(found.folder, entry.patch), encoding='ascii') as file:
                    header = file.read().split('\n---\n')[0]
                for field in (r'Description: \S', r'Author: multistore-hooks contributors\n',
                              r'Forwarded: \S', r'Last-Update: \d{4}-\d\d-\d\d'):
                    self.assertRegex(header, re.compile('^' + field, re.MULTILINE))
                self.assertRegex(header, r'\A((\w[\w-]*: | +)\S.*(\n|\Z))+\Z')

    def test_no_two_series_of_a_project_change_one_file(self):
        held = {}
        for found in ALL:
            for release in found.releases():
                for text in found.patches(release):
                    for change in text.changes:
                        name = held.setdefault((found.project, change.path), found.name)
                        self.assertEqual(name, found.name)


@ddt.ddt
class TestNovaDriver(base.TestCase):

    def setUp(self):
        super().setUp()
        self.driver = series.choose(series.load(FOLDER, 'nova'), 'nova', None)

    def test_it_is_the_needed_series_one_text_from_train_on(self):
        self.assertEqual('driver', self.driver.name)
        self.assertEqual(list(range(20, 35)), self.driver.releases())
        self.assertEqual(1, len(self.driver.entries))

    def test_it_adds_one_file_that_names_our_driver_and_nothing_else(self):
        text, = self.driver.patches(20)
        change, = text.changes
        self.assertEqual(('nova/virt/multistore.py', True), (change.path, change.adds))
        content, _ = patch.apply_change(change, None)
        self.assertEqual(3, len(content.splitlines()))
        doc, imported = ast.parse(content.decode('ascii')).body
        self.assertIsInstance(doc, ast.Expr)
        self.assertEqual(('multistore_hooks.nova.driver', ['LibvirtDriver']),
                         (imported.module, [name.name for name in imported.names]))

    @ddt.data(*NOVA)
    def test_it_goes_into_the_layout_of(self, version):
        root = os.path.join(self.folder, 'site-packages')
        for path in ('nova/__init__.py', 'nova/virt/__init__.py', 'nova/virt/driver.py',
                     'nova/virt/libvirt/__init__.py', 'nova/virt/libvirt/driver.py'):
            base.write(root, path, b'# as released\n')
        base.write(root, 'nova-%s.dist-info/METADATA' % version,
                   b'Metadata-Version: 2.1\nName: nova\nVersion: %s\n' % version.encode())
        before = base.snapshot(root)
        request = runner.Request('nova', root)
        report = runner.Runner(request).apply()
        self.assertEqual((runner.APPLIED, version), (report.state, report.release))
        added = {path for path in base.snapshot(root) if path not in before}
        self.assertEqual({'nova/virt/multistore.py'}, added)
        runner.Runner(request).revert()
        self.assertEqual(before, base.snapshot(root, state=True))

    @unittest.skipUnless(shutil.which('git'), 'git is not installed')
    def test_git_makes_the_same_of_it(self):
        path = os.path.join(self.driver.folder, self.driver.entries[0].patch)
        root = os.path.join(self.folder, 'tree')
        base.write(root, 'nova/virt/__init__.py', b'')
        subprocess.check_call(['git', 'apply', path], cwd=root, env=dict(
            os.environ, GIT_CEILING_DIRECTORIES=self.folder))
        edit, = patch.apply_all(self.driver.patches(20), {}.get)
        self.assertEqual({edit.path: edit.after}, base.contents(root, [edit.path]))
