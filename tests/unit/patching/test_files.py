# SPDX-License-Identifier: Apache-2.0
"""The file operations: never outside of the tree, never through a link."""

import errno
import fcntl
import os
from unittest import mock

from multistore_hooks.patching import errors
from multistore_hooks.patching import files
from tests.unit.patching import base


class TestTree(base.TestCase):

    def setUp(self):
        super().setUp()
        base.write(self.folder, 'outside/secret', b'secret')
        base.write(self.folder, 'root/nova/x', b'x')
        self.root = os.path.join(self.folder, 'root')
        os.symlink('../outside', os.path.join(self.root, 'out'))
        os.symlink('nova', os.path.join(self.root, 'in'))
        os.symlink('../../outside/secret', os.path.join(self.root, 'nova/link'))
        self.tree = files.Tree(self.root)
        self.outside = base.snapshot(os.path.join(self.folder, 'outside'))

    def test_no_operation_goes_through_a_link_to_a_folder(self):
        before = base.snapshot(self.root)
        for folder in ('out', 'in'):
            inner, other = folder + '/secret', folder + '/x'
            for name, args in (
                    ('read', [inner]), ('list', [folder]), ('has_folder', [folder]),
                    ('is_locked', [inner]), ('mkdir', [folder + '/new']), ('lock', [inner]),
                    ('create', [folder + '/new']), ('sync_folder', [folder]),
                    ('replace', [inner, 'nova/y']), ('replace', ['nova/x', other]),
                    ('unlink', [inner]), ('unlink', [other]), ('rmdir', [folder + '/.'])):
                error = self.assertRaises(errors.UnsafePath, getattr(self.tree, name), *args)
                self.assertIn(os.path.join(self.root, folder), str(error))
        self.assertEqual(self.outside, base.snapshot(os.path.join(self.folder, 'outside')))
        self.assertEqual(before, base.snapshot(self.root))

    def test_a_link_to_a_file_is_not_read_and_not_written(self):
        for name in ('read', 'is_locked', 'lock'):
            self.assertRaises(errors.UnsafePath, getattr(self.tree, name), 'nova/link')
        self.assertRaises(FileExistsError, self.tree.create, 'nova/link')
        self.tree.replace('nova/x', 'nova/link')
        self.assertEqual(b'x', self.tree.read('nova/link').data)
        self.assertEqual(self.outside, base.snapshot(os.path.join(self.folder, 'outside')))

    def test_a_folder_that_turns_into_a_link_is_not_followed(self):
        """Between looking and doing somebody with write access may be quick."""
        opened = os.open

        def swap(path, *args, **kwargs):
            if path == 'nova' and not os.path.islink(os.path.join(self.root, 'nova')):
                os.rename(os.path.join(self.root, 'nova'), os.path.join(self.root, 'moved'))
                os.symlink('../outside', os.path.join(self.root, 'nova'))
            return opened(path, *args, **kwargs)

        with mock.patch.object(os, 'open', swap):
            self.assertRaises(errors.UnsafePath, self.tree.unlink, 'nova/secret')
        self.assertEqual(self.outside, base.snapshot(os.path.join(self.folder, 'outside')))

    def test_errors_of_the_system_name_the_whole_path(self):
        for name, path in (('create', 'nova/x'), ('rmdir', 'nova'), ('sync_folder', 'none')):
            error = self.assertRaises(OSError, getattr(self.tree, name), path)
            self.assertEqual(os.path.join(self.root, path), error.filename)
        error = self.assertRaises(OSError, self.tree.replace, 'nova/x', 'nova')
        self.assertEqual(os.path.join(self.root, 'nova'), error.filename)
        error = self.assertRaises(OSError, self.tree.write, 'nova/x', 999, b'x')
        self.assertEqual(os.path.join(self.root, 'nova/x'), error.filename)

    def test_a_short_write_goes_on(self):
        written = os.write
        file = self.tree.create('nova/new')
        self.addCleanup(os.close, file)
        with mock.patch.object(os, 'write', lambda to, data: written(to, data[:3])):
            self.tree.write('nova/new', file, b'0123456789')
        self.assertEqual(b'0123456789', self.tree.read('nova/new').data)

    def test_nobody_else_reads_a_file_before_it_has_its_mode(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        os.close(self.tree.create('nova/new'))
        self.assertEqual(0o600, self.tree.read('nova/new').attributes.mode)

    def test_what_is_there_or_gone_already_is_no_error(self):
        self.tree.mkdir('nova')
        self.tree.unlink('nova/none')
        self.assertIsNone(self.tree.read('none/none'))
        self.assertEqual([], self.tree.list('none'))

    def test_a_file_system_without_extended_attributes(self):
        refusal = OSError(errno.ENOTSUP, 'Operation not supported')
        with mock.patch.object(os, 'listxattr', side_effect=refusal):
            self.assertEqual((), self.tree.read('nova/x').attributes.extended)

    def test_a_lock_is_worth_nothing_once_its_file_is_another(self):
        real = fcntl.flock

        def late(file, how):
            os.rename(os.path.join(self.root, 'lock'), os.path.join(self.root, 'gone'))
            base.write(self.root, 'lock', b'')
            real(file, how)

        with mock.patch.object(fcntl, 'flock', late):
            self.assertIsNone(self.tree.lock('lock'))
        lock = self.tree.lock('lock')
        self.addCleanup(os.close, lock)
        self.assertTrue(self.tree.is_locked('lock'))
        self.assertIsNone(files.Tree(self.root).lock('lock'))

    def test_a_lock_that_may_not_be_looked_at_is_taken_for_free(self):
        with mock.patch.object(os, 'open', side_effect=PermissionError(errno.EACCES, 'no')):
            self.assertFalse(self.tree.is_locked('lock'))
