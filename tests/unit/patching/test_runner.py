# SPDX-License-Identifier: Apache-2.0
"""status, check, apply and revert: what each does to a tree, and what it refuses."""

import json
import os
import subprocess
import sys
import time

import ddt
import fixtures

from multistore_hooks.patching import errors
from multistore_hooks.patching import files
from multistore_hooks.patching import journal
from multistore_hooks.patching import runner
from tests.unit.patching import base

NOTES = '.multistore-hooks/nova/three'


class TestApplyAndRevert(base.TreeTestCase):

    def test_status_and_check_write_nothing(self):
        for verb in ('status', 'check'):
            report = getattr(self.runner(), verb)()
            self.assertEqual(runner.NOT_APPLIED, report.state)
            self.assert_gone()

    def test_apply_makes_exactly_what_the_patches_say(self):
        report = self.runner().apply()
        self.assertEqual(runner.APPLIED, report.state)
        self.assertEqual(base.AFTER, base.contents(self.root))
        changed = {path for path, facts in base.snapshot(self.root).items()
                   if self.before.get(path) != facts}
        self.assertEqual(set(base.PATHS), changed)
        self.assertEqual(runner.APPLIED, self.runner().status().state)
        self.assertEqual('applied already', self.runner().check().message)

    def test_revert_gives_back_bytes_mode_owner_and_times(self):
        self.runner().apply()
        report = self.runner().revert()
        self.assertEqual(runner.NOT_APPLIED, report.state)
        self.assert_gone()

    def test_apply_twice_and_revert_twice_are_no_errors(self):
        self.runner().apply()
        once = base.snapshot(self.root, state=True)
        self.assertIn('already', self.runner().apply().message)
        self.assertEqual(once, base.snapshot(self.root, state=True))
        self.runner().revert()
        self.assertIn('nothing to revert', self.runner().revert().message)
        self.assert_gone()

    def test_a_changed_file_keeps_its_mode_a_new_one_takes_that_of_the_package(self):
        base.write(self.root, 'nova/__init__.py', b'', 0o640)
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.runner().apply()
        modes = {path: os.stat(os.path.join(self.root, path)).st_mode & 0o7777
                 for path in base.PATHS}
        self.assertEqual({'nova/compute/seam.py': 0o640, 'nova/other.py': 0o600,
                          'nova/virt/new.py': 0o640}, modes)
        notes = os.stat(os.path.join(self.root, NOTES)).st_mode & 0o777
        self.assertEqual(os.stat(self.root).st_mode & 0o777, notes)

    def test_a_package_without_init_gives_a_plain_file(self):
        os.unlink(os.path.join(self.root, 'nova/__init__.py'))
        self.runner().apply()
        status = os.stat(os.path.join(self.root, 'nova/virt/new.py'))
        self.assertEqual((0o644, os.geteuid()), (status.st_mode & 0o7777, status.st_uid))

    def test_owners_are_kept_and_taken_from_the_package(self):
        if os.geteuid():
            self.skipTest('only root can give files away')
        for folder, _, names in os.walk(self.root):
            for name in names:
                os.chown(os.path.join(folder, name), 1234, 2345)
        before = base.snapshot(self.root)
        self.runner().apply()
        for path in base.PATHS:
            status = os.stat(os.path.join(self.root, path))
            self.assertEqual((1234, 2345), (status.st_uid, status.st_gid))
        self.runner().revert()
        self.assertEqual(before, base.snapshot(self.root, state=True))

    def test_extended_attributes_are_kept(self):
        # A file system in memory may have none.
        self.root = self.useFixture(fixtures.TempDir()).path
        base.make_tree(self.root)
        path = os.path.join(self.root, 'nova/other.py')
        try:
            os.setxattr(path, 'user.test', b'kept')
        except OSError:
            self.skipTest('no extended attributes on this file system')
        self.runner().apply()
        self.assertEqual(b'kept', os.getxattr(path, 'user.test'))
        self.runner().revert()
        self.assertEqual(b'kept', os.getxattr(path, 'user.test'))

    def test_stale_byte_code_goes_and_only_that(self):
        cache = os.path.join(self.root, 'nova/compute/__pycache__')
        self.runner().apply()
        self.assertEqual(['seamstress.cpython-311.pyc'], os.listdir(cache))
        base.write(self.root, 'nova/compute/__pycache__/seam.cpython-313.pyc', b'patched')
        base.write(self.root, 'nova/virt/__pycache__/new.cpython-313.pyc', b'patched')
        self.runner().revert()
        self.assertEqual(['seamstress.cpython-311.pyc'], os.listdir(cache))
        self.assertEqual([], os.listdir(os.path.join(self.root, 'nova/virt/__pycache__')))

    def test_a_hard_linked_file_is_not_changed_at_its_other_name(self):
        # uv links the files of an environment to those of its cache.
        other = os.path.join(self.folder, 'cache.py')
        os.link(os.path.join(self.root, 'nova/other.py'), other)
        self.runner().apply()
        with open(other, 'rb') as file:
            self.assertEqual(base.OTHER, file.read())

    def test_offsets_are_reported(self):
        base.write(self.root, 'nova/compute/seam.py', b'# a vendor added this\n' + base.SEAM)
        report = self.runner().check()
        self.assertEqual({'nova/compute/seam.py': (1,), 'nova/other.py': (0,),
                          'nova/virt/new.py': (0,)},
                         {file.path: file.offsets for file in report.files})

    def test_apply_and_revert_take_under_a_second(self):
        start = time.monotonic()
        self.runner().apply()
        self.runner().revert()
        self.assertLess(time.monotonic() - start, 1)

    def test_a_tree_reached_through_a_link_is_that_tree(self):
        link = os.path.join(self.folder, 'link')
        os.symlink(self.root, link)
        self.assertEqual(self.root, self.runner(root=link).apply().root)
        self.assertEqual(runner.APPLIED, self.runner().status().state)

    def test_the_installed_package_is_found(self):
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.root] + sys.path))
        report = self.runner(root=None).status()
        self.assertEqual((self.root, '25.3.0'), (report.root, report.release))

    def test_an_editable_installation_has_its_metadata_elsewhere(self):
        os.rename(os.path.join(self.root, 'nova-25.3.0.dist-info'),
                  os.path.join(self.folder, 'nova-25.3.0.dist-info'))
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.root, self.folder]))
        self.assertEqual('25.3.0', self.runner(root=None).status().release)

    def test_another_series_is_on_its_own(self):
        self.runner(release='30', series='one').apply()
        self.assertEqual({'nova/other.py'}, {
            path for path, facts in base.snapshot(self.root).items()
            if self.before.get(path) != facts})
        self.assertEqual(runner.APPLIED, self.runner(release='30', series='one').status().state)
        self.runner(release='30', series='one').revert()
        self.assert_gone()

    def test_two_series_side_by_side(self):
        base.make_patches(self.patches, 'series a needed\n25 first.patch\n'
                                        'series b optional\n25 second.patch\n')
        self.runner().apply()
        self.runner(series='b').apply()
        self.runner().revert()
        self.assertEqual(runner.APPLIED, self.runner(series='b').status().state)
        self.runner(series='b').revert()
        self.assert_gone()


@ddt.ddt
class TestRefusals(base.TreeTestCase):
    """Each in one line, and nothing changes."""

    def test_a_changed_file(self):
        base.write(self.root, 'nova/other.py', base.OTHER.replace(b'1', b'3'))
        self.assertIn('nova/other.py: hunk 1 (line 1) does not fit',
                      self.refuses_all(errors.Drift))

    def test_crlf_line_ends(self):
        base.write(self.root, 'nova/compute/seam.py', base.SEAM.replace(b'\n', b'\r\n'))
        self.assertIn('CRLF', self.refuses_all(errors.Drift))

    def test_a_missing_file(self):
        os.unlink(os.path.join(self.root, 'nova/other.py'))
        self.assertIn('nova/other.py is missing', self.refuses_all(errors.Drift))

    def test_a_missing_folder(self):
        os.unlink(os.path.join(self.root, 'nova/virt/__init__.py'))
        os.rmdir(os.path.join(self.root, 'nova/virt'))
        self.assertIn('directory of nova/virt/new.py is missing', self.refuses_all(errors.Drift))

    def test_a_foreign_file_where_the_new_one_would_be(self):
        base.write(self.root, 'nova/virt/new.py', b'# mine\n')
        self.assertIn('nova/virt/new.py is there already', self.refuses_all(errors.Drift))

    def test_a_foreign_patch_at_the_same_place(self):
        base.write(self.root, 'nova/compute/seam.py', base.SEAM.replace(
            b'line 20\n', b'line 20\nvendor()\n'))
        self.assertIn('seam.py: hunk 1 (line 18) does not fit', self.refuses_all(errors.Drift))

    def test_a_series_half_applied_by_hand(self):
        base.write(self.root, 'nova/other.py', base.OTHER_AFTER)
        line = self.refuses_all(errors.Drift)
        self.assertIn('does not fit; but nova/other.py is as the patch leaves it', line)

    def test_applied_by_hand_to_a_copy_within_the_file(self):
        base.make_patches(self.patches, 'series s needed\n25 first.patch\n', first=b'''
--- a/nova/other.py
+++ b/nova/other.py
@@ -4,3 +4,3 @@
 a
-b
+c
 d
''')
        base.write(self.root, 'nova/other.py', b'x\na\nb\nd\na\nc\nd\n')
        self.assertIn('by hand to something else', self.refuses_all(
            errors.Drift, verbs=['status', 'check', 'apply']))

    def test_a_link_in_place_of_a_file(self):
        base.write(self.folder, 'outside.py', base.OTHER)
        path = os.path.join(self.root, 'nova/other.py')
        os.unlink(path)
        for target in ('../../outside.py', 'inside.py'):
            base.write(self.root, 'nova/inside.py', base.OTHER)
            os.symlink(target, path)
            self.assertIn('other.py is a symbolic link', self.refuses_all(errors.UnsafePath))
            os.unlink(path)
        with open(os.path.join(self.folder, 'outside.py'), 'rb') as file:
            self.assertEqual(base.OTHER, file.read())

    def test_a_dangling_link_in_place_of_the_new_file(self):
        os.symlink('../../nothing', os.path.join(self.root, 'nova/virt/new.py'))
        self.refuses_all(errors.UnsafePath)
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'nothing')))

    def test_a_link_in_place_of_a_folder(self):
        for name in ('nova/compute', 'nova'):
            path = os.path.join(self.root, name)
            os.rename(path, os.path.join(self.folder, 'moved'))
            os.symlink(os.path.join(self.folder, 'moved'), path)
            self.assertIn('%s is a symbolic link' % path, self.refuses_all(errors.UnsafePath))
            os.unlink(path)
            os.rename(os.path.join(self.folder, 'moved'), path)

    def test_a_link_in_place_of_the_notes(self):
        for name in ('.multistore-hooks', '.multistore-hooks/nova', NOTES):
            path = os.path.join(self.root, name)
            os.makedirs(os.path.join(self.folder, 'elsewhere'), exist_ok=True)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(os.path.join(self.folder, 'elsewhere'), path)
            self.refuses_all(errors.UnsafePath)
            self.assertEqual([], os.listdir(os.path.join(self.folder, 'elsewhere')))
            os.unlink(path)

    def test_a_link_in_place_of_the_byte_code(self):
        cache = os.path.join(self.root, 'nova/compute/__pycache__')
        os.rename(cache, os.path.join(self.folder, 'cache'))
        os.symlink(os.path.join(self.folder, 'cache'), cache)
        self.refused(self.runner().apply, kind=errors.UnsafePath)
        self.assert_gone()
        self.assertEqual(3, len(os.listdir(os.path.join(self.folder, 'cache'))))

    @ddt.data('fifo', 'folder')
    def test_no_plain_file(self, kind):
        path = os.path.join(self.root, 'nova/other.py')
        os.unlink(path)
        os.mkfifo(path) if kind == 'fifo' else os.mkdir(path)
        self.assertIn('other.py is not a plain file', self.refuses_all(errors.UnsafePath))

    def test_a_patch_that_leaves_the_tree(self):
        for path in (b'nova/../../x', b'/tmp/x', b'../x', b'cinder/x'):
            base.make_patches(self.patches, second=base.SECOND.replace(b'nova/other.py', path))
            self.refused(self.runner, kind=errors.BadPatch)
        self.assert_gone()

    @ddt.data('19.3.2', '35.0.0', '2015.1.0', 'unknown', '0.0.0')
    def test_an_unknown_release(self, version):
        base.make_tree(self.root, version)
        os.unlink(os.path.join(self.root, 'nova-25.3.0.dist-info/METADATA'))
        line = self.refuses_all(errors.UnknownRelease)
        self.assertIn('is %s; series three is for releases 20 to 34' % version, line)
        self.assertIn('--release', line)
        self.assertEqual(runner.APPLIED, self.runner(release='34').apply().state)
        # What was recorded is known without a release.
        self.assertEqual(runner.APPLIED, self.runner().status().state)
        self.assertEqual(runner.NOT_APPLIED, self.runner().revert().state)

    def test_no_metadata(self):
        os.unlink(os.path.join(self.root, 'nova-25.3.0.dist-info/METADATA'))
        self.assertIn('is unknown', self.refuses_all(errors.UnknownRelease))

    def test_metadata_of_another_tree_does_not_count(self):
        os.rename(os.path.join(self.root, 'nova-25.3.0.dist-info'),
                  os.path.join(self.folder, 'nova-25.3.0.dist-info'))
        self.before = base.snapshot(self.root)
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.folder] + sys.path))
        self.assertIn('is unknown', self.refuses_all(errors.UnknownRelease))

    def test_metadata_of_two_releases(self):
        base.make_tree(self.root, '34.0.0')
        self.assertIn('25.3.0, 34.0.0', self.refuses_all(errors.UnknownRelease))
        self.assertEqual(runner.APPLIED, self.runner(release='34').apply().state)

    @ddt.data('99', 'train', '-1', '20x')
    def test_a_release_requested_that_is_none(self, asked):
        self.assertIn(asked, self.refuses_all(errors.UnknownRelease, release=asked))

    def test_the_release_of_another_text_is_advised(self):
        base.make_patches(self.patches, 'series s needed\n20-29 first.patch\n30 second.patch\n')
        base.write(self.root, 'nova/compute/seam.py', b'ported back\n')
        self.assertIn('release 30 would fit (--release 30)', self.refuses_all(errors.Drift))
        self.assertEqual(runner.APPLIED, self.runner(release='30').apply().state)

    def test_no_such_tree_or_package(self):
        base.write(self.folder, 'file', b'')
        for root in ('/nonexistent', os.path.join(self.root, 'nova'),
                     os.path.join(self.folder, 'file')):
            self.assertIn(root, self.refused(self.runner, root=root))

    def test_not_applied_by_this_tool(self):
        for path, data in base.AFTER.items():
            base.write(self.root, path, data)
        report = self.runner().status()
        self.assertEqual((runner.APPLIED, 'applied, but not by this tool'),
                         (report.state, report.message))
        self.assertIn('already', self.runner().apply().message)
        self.assertIn('not applied by this tool',
                      self.refuses_all(errors.Drift, verbs=['revert']))

    def test_a_file_changed_since(self):
        self.runner().apply()
        for path in base.PATHS:
            applied = base.contents(self.root)[path]
            base.write(self.root, path, applied + b'# debugging\n')
            line = self.refuses_all(errors.Drift)
            self.assertIn('%s changed since' % path, line)
            base.write(self.root, path, applied)
        self.runner().revert()
        self.assertEqual(base.BEFORE, base.contents(self.root))

    def test_a_file_that_another_series_changed(self):
        base.make_patches(self.patches, base.SERIES.replace('30 ', '25 '), second=base.SECOND)
        self.runner(series='one').apply()
        self.assertIn('is changed by series one', self.refused(
            self.runner(release='25').apply, kind=errors.Drift))

    def test_files_that_an_unlike_series_changed_are_held(self):
        add = base.SECOND.replace(b'def other():', b' def other():', 0)
        third = b'--- a/nova/other.py\n+++ b/nova/other.py\n@@ -1,2 +1,3 @@\n+# top\n' \
                b' def other():\n     return 2\n'
        base.make_patches(self.patches, 'series a needed\n25 second.patch\n'
                                        'series b optional\n25 third.patch\n',
                          second=add, third=third)
        self.runner().apply()
        self.assertIn('is changed by series a: revert that first',
                      self.refuses_all(errors.Drift, series='b'))


@ddt.ddt
class TestRecord(base.TreeTestCase):
    """What the tool's own notes say, and what if they are wrong."""

    def setUp(self):
        super().setUp()
        self.runner().apply()
        self.record = os.path.join(self.root, NOTES, 'record.json')

    def test_it_names_release_patches_and_hashes(self):
        with open(self.record) as file:
            record = json.load(file)
        self.assertEqual(['files', 'format', 'patches', 'release'], sorted(record))
        self.assertEqual('25.3.0', record['release'])
        self.assertEqual(['first.patch', 'second.patch'],
                         [item['name'] for item in record['patches']])
        self.assertEqual({'nova/virt/new.py'},
                         {item['path'] for item in record['files'] if item['before'] is None})

    @ddt.data(
        b'', b'{}', b'[]', b'null', b'{"format": 2}', b'\xff', b'{"format": 1, "files": []}',
        b'{"format": 1, "release": "", "patches": [], "files": []}',
        b'{"format": 1, "release": "", "patches": [], "files": [{"path": "nova/x"}]}',
        b'{"format": 1, "release": "", "patches": [], "files": [{"path": "nova/../../etc/passwd",'
        b' "before": null, "after": ""}]}',
        b'{"format": 1, "release": "", "patches": [], "files": [7]}',
    )
    def test_a_damaged_record_is_refused(self, data):
        base.write(self.root, NOTES + '/record.json', data)
        self.assertIn('record.json is damaged', self.refuses_all(errors.BadRecord))

    def test_it_goes_before_the_originals_that_it_names(self):
        gone = []

        class Noting(files.Tree):
            def unlink(self, path):
                gone.append(os.path.basename(path))
                super().unlink(path)

        self.runner(Noting).revert()
        self.assertEqual('record.json', gone[-2])
        self.assertEqual('lock', gone[-1])
        self.runner().apply()
        base.write(self.root, NOTES + '/left-over', b'')
        self.runner(Noting).revert()
        self.assertEqual(['record.json', 'left-over', 'lock'], gone[-3:])

    @ddt.data(True, False)
    def test_a_damaged_original_is_not_put_back(self, gone):
        kept = os.path.join(self.root, NOTES, 'before-0')
        os.unlink(kept)
        if not gone:
            base.write(self.root, NOTES + '/before-0', b'other')
        self.assertIn('seam.py', self.refuses_all(errors.BadRecord, verbs=['revert']))
        self.assertEqual(runner.APPLIED, self.runner().status().state)

    def test_a_package_installed_again_is_not_applied(self):
        base.make_tree(self.root)  # pip leaves the file that it does not know
        os.unlink(os.path.join(self.root, 'nova/virt/new.py'))
        self.assertEqual(runner.NOT_APPLIED, self.runner().status().state)
        self.assertEqual('can be applied', self.runner().check().message)
        self.runner().apply()
        self.assertEqual(base.AFTER, base.contents(self.root))
        self.runner().revert()
        self.assert_gone()

    def test_a_package_upgraded_is_not_applied(self):
        newer = b'# newer\n' + base.SEAM
        base.make_tree(self.root)
        base.write(self.root, 'nova/compute/seam.py', newer)
        self.assertEqual(runner.HALF_APPLIED, self.runner().status().state)
        self.refuses_all(errors.Drift, verbs=['revert'])
        self.runner().apply()
        self.assertEqual(runner.APPLIED, self.runner().status().state)
        self.assertIn(b'hook()', base.contents(self.root)['nova/compute/seam.py'])
        self.runner().revert()
        self.assertEqual({'nova/compute/seam.py': newer, 'nova/other.py': base.OTHER},
                         base.contents(self.root))
        self.assertFalse(os.path.exists(os.path.join(self.root, '.multistore-hooks')))

    def test_after_an_upgrade_that_took_all_revert_clears_the_notes(self):
        base.make_tree(self.root)
        base.write(self.root, 'nova/compute/seam.py', b'# newer\n' + base.SEAM)
        os.unlink(os.path.join(self.root, 'nova/virt/new.py'))
        self.assertEqual(runner.NOT_APPLIED, self.runner().status().state)
        self.assertIn('nothing to revert', self.runner().revert().message)
        self.assertFalse(os.path.exists(os.path.join(self.root, '.multistore-hooks')))

    def test_an_upgrade_to_an_unknown_release_is_refused(self):
        base.write(self.root, 'nova-25.3.0.dist-info/METADATA', b'Name: nova\nVersion: 35.0.0\n')
        base.write(self.root, 'nova/compute/seam.py', b'# newer\n' + base.SEAM)
        self.refuses_all(errors.UnknownRelease)

    def test_a_new_text_of_a_patch_replaces_the_old(self):
        base.make_patches(self.patches, second=base.SECOND.replace(b'return 2', b'return 22'))
        self.assertEqual(runner.OUTDATED, self.runner().status().state)
        self.assertEqual('can be applied', self.runner().check().message)
        self.runner().apply()
        self.assertEqual(runner.APPLIED, self.runner().status().state)
        self.assertIn(b'22', base.contents(self.root)['nova/other.py'])
        self.runner().revert()
        self.assert_gone()

    def test_a_new_text_that_does_not_fit_leaves_the_old_in_place(self):
        base.make_patches(self.patches, second=base.SECOND.replace(b'return 1', b'return 7'))
        self.refuses_all(errors.Drift, verbs=['check', 'apply'])
        self.assertEqual(base.AFTER, base.contents(self.root))
        self.assertEqual(runner.NOT_APPLIED, self.runner().revert().state)
        self.assert_gone()

    def test_revert_when_the_package_is_uninstalled(self):
        for path in list(base.contents(self.root)) + ['nova/__init__.py']:
            if path != 'nova/virt/new.py':
                os.unlink(os.path.join(self.root, path))
        os.unlink(os.path.join(self.root, 'nova-25.3.0.dist-info/METADATA'))
        line = self.refuses_all(errors.PatchError, verbs=['revert'])
        self.assertIn('--release', line)

    def test_a_lone_new_file_is_reverted_without_any_metadata(self):
        self.runner().revert()
        base.make_patches(self.patches, 'series s needed\n25 first.patch\n', first=b'''
--- /dev/null
+++ b/nova/virt/new.py
@@ -0,0 +1 @@
+pass
''')
        self.runner().apply()
        for path in ('nova/__init__.py', 'nova-25.3.0.dist-info/METADATA'):
            os.unlink(os.path.join(self.root, path))
        self.runner().revert()
        self.assertFalse(os.path.exists(os.path.join(self.root, 'nova/virt/new.py')))


class TestTwoRuns(base.TreeTestCase):

    HOLD = '''
import sys
from multistore_hooks.patching import files, journal
with journal.Journal(files.Tree(sys.argv[1]), 'nova', 'other').locked():
    print('locked', flush=True)
    sys.stdin.read()
'''

    def hold(self):
        child = subprocess.Popen([sys.executable, '-c', self.HOLD, self.root],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=base.environ())
        self.addCleanup(child.wait)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stdin.close)
        child.stdout.readline()
        return child

    def test_the_second_is_refused_at_once(self):
        child = self.hold()
        self.assertIn('another run', self.refuses_all(errors.Busy))
        child.stdin.close()
        child.wait()
        self.assert_gone()
        self.runner().apply()

    def test_a_killed_run_holds_nobody_up(self):
        child = self.hold()
        child.kill()
        child.wait()
        self.assertEqual(runner.NOT_APPLIED, self.runner().status().state)
        self.runner().apply()
        self.runner().revert()
        self.assert_gone()

    def test_a_lock_removed_by_its_owner_is_no_lock(self):
        home = os.path.join(self.root, '.multistore-hooks/nova')
        os.makedirs(home)

        class Late(files.Tree):
            """Another run ends, and removes the lock file, as we take it."""

            def _parent(self, path):
                if path.endswith('/lock') and os.path.isdir(home):
                    os.rename(home, home + '.gone')
                return super()._parent(path)

        self.refused(self.runner(Late).apply, kind=errors.Busy)

    def test_a_file_changed_by_somebody_meanwhile_is_left_alone(self):
        root = self.root

        class Meddled(files.Tree):
            def sync_folder(self, path):
                base.write(root, 'nova/other.py', b'meddled')
                super().sync_folder(path)

        line = self.refused(self.runner(Meddled).apply, kind=errors.Drift)
        self.assertIn('nova/other.py was changed by another process', line)
        self.assertEqual({'nova/compute/seam.py': base.SEAM, 'nova/other.py': b'meddled'},
                         base.contents(self.root))
        self.assertFalse(os.path.exists(os.path.join(self.root, journal.FOLDER)))
