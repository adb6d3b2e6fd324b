# SPDX-License-Identifier: Apache-2.0
"""Patch texts: what is understood, what is refused, and where a hunk goes."""

import ddt
import testtools

from multistore_hooks.patching import errors
from multistore_hooks.patching import patch
from tests.unit.patching import base

EDIT = b'''--- a/nova/x.py
+++ b/nova/x.py
@@ -2,3 +2,4 @@
 two
 three
+new
 four
'''
ADD = b'''--- /dev/null
+++ b/nova/x.py
@@ -0,0 +1,2 @@
+one
+two
'''
GIT_ADD = b'''diff --git a/nova/x.py b/nova/x.py
new file mode 100644
index 0000000..814f4a4
''' + ADD
TEXT = b'one\ntwo\nthree\nfour\nfive\n'


def parse(text):
    return patch.parse('a.patch', text, 'nova')


def apply(text, before):
    return patch.apply_change(parse(text).changes[0], before)


@ddt.ddt
class TestParse(testtools.TestCase):

    def test_a_header_of_any_text_is_skipped(self):
        plain = parse(EDIT)
        headed = parse(b'Description: x\n @@ not a hunk\n+++ nor this\n---\n\n' + EDIT)
        self.assertEqual(plain.changes, headed.changes)
        self.assertNotEqual(plain.sha256, headed.sha256)

    @ddt.data(
        EDIT.replace(b'a/nova/x.py\n', b'a/nova/x.py\t2020-01-01 00:00\n'),
        EDIT.replace(b'@@\n', b'@@ def name(self):\n'),
        b'diff --git a/nova/x.py b/nova/x.py\nindex 1..2 100644\n' + EDIT,
        b'diff --git a/nova/x.py b/nova/x.py\nindex 1..2\n' + EDIT,
    )
    def test_what_git_and_diff_say_besides_changes_nothing(self, text):
        self.assertEqual(parse(EDIT).changes, parse(text).changes)

    def test_git_form_of_a_new_file(self):
        change, = parse(GIT_ADD).changes
        self.assertTrue(change.adds)
        self.assertEqual(parse(ADD).changes, (change,))

    def test_counts_of_one_may_be_left_out(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -1 +1 @@\n-a\n+b\n'
        self.assertEqual((b'b\n', (0,)), apply(text, b'a\n'))

    def test_any_bytes_come_through(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -1 +1 @@\n' \
               b'-\xff\xe9\x85\r\x0c\n+\xfe\x1c\xe2\x80\xa8\n'
        self.assertEqual(b'\xfe\x1c\xe2\x80\xa8\n', apply(text, b'\xff\xe9\x85\r\x0c\n')[0])

    def test_a_stripped_empty_context_line_is_one(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n'
        self.assertEqual(b'a\n\nc\n', apply(text, b'a\n\nb\n')[0])

    @ddt.data(
        (b'', 'changes no file'),
        (b'Description: only a header\n', 'changes no file'),
        (EDIT.replace(b'nova/x.py', b'nova/../../etc/passwd'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'../nova/x.py'), 'not allowed'),
        (ADD.replace(b'b/nova/x.py', b'/etc/cron.d/x'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'/etc/cron.d/x'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova//x.py'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova/./x.py'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova/.hidden'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova/'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova/a\\b'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'nova/a b'), 'not allowed'),
        (ADD.replace(b'nova/x.py', b'cinder/x.py'), 'below nova/'),
        (ADD.replace(b'nova/x.py', b'.multistore-hooks/nova/lock'), 'not allowed'),
        (ADD.replace(b'b/nova/x.py', b'"b/nova/x\\303.py"'), 'not allowed'),
        (ADD.replace(b'b/nova', b'nova'), 'not allowed'),
        (EDIT.replace(b'a/nova', b'nova'), 'renames'),
        (EDIT.replace(b'a/nova/x.py', b'a/nova/y.py'), 'renames'),
        (EDIT.replace(b'+++ b/nova/x.py', b'+++ /dev/null'), 'removes'),
        (b'diff --git a/nova/x.py b/nova/y.py\nsimilarity index 100%\nrename from nova/x.py\n'
         b'rename to nova/y.py\n', ''),
        (b'diff --git a/nova/x.py b/nova/x.py\nold mode 100644\nnew mode 100755\n', ''),
        (b'diff --git a/nova/x.py b/nova/x.py\nold mode 100644\nnew mode 100755\n' + EDIT,
         'not supported'),
        (b'diff --git a/nova/y.py b/nova/y.py\n' + EDIT, ''),
        (b'diff --git a/nova/x.py b/nova/x.py\nindex 1..2 100755\n' + EDIT, 'not supported'),
        (GIT_ADD.replace(b'100644', b'100755'), 'not supported'),
        (GIT_ADD.replace(b'100644', b'120000'), 'not supported'),
        (b'diff --git a/nova/x b/nova/x\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZPo\n',
         ''),
        (b'diff --git a/nova/x b/nova/x\nBinary files a/nova/x and b/nova/x differ\n', ''),
        (EDIT.replace(b'+new', b'+n\0ew'), 'binary'),
        (EDIT.replace(b'\n', b'\r\n'), ''),
        (EDIT + EDIT, ''),  # in which words depends on the release of unidiff
        (EDIT + b'and more text\n', 'not understood'),
        (EDIT + b'\n', 'empty or broken'),
        (EDIT.replace(b'+++ b/nova/x.py\n', b''), ''),
        (EDIT.replace(b'--- a/nova/x.py\n', b'--- a/nova/x.py\n--- a/nova/x.py\n'), ''),
        (b'--- a/nova/x.py\n', ''),
        (b'--- a/nova/x.py\n+++ b/nova/x.py\n', ''),
        (EDIT.replace(b'-2,3', b'-2,4'), ''),
        (EDIT.replace(b'-2,3', b'-2,2'), ''),
        (EDIT.replace(b' two\n', b'two\n'), ''),
        (EDIT[:-1], 'empty or broken'),
        (b'--- a/nova/x\n+++ b/nova/x\n@@ -1,1 +1,1 @@\n x\n', 'changes nothing'),
        (b'--- a/nova/x\n+++ b/nova/x\n@@ -1,0 +2,1 @@\n+x\n', 'fits anywhere'),
        (b'--- a/nova/x\n+++ b/nova/x\n@@ -0,0 +0,0 @@\n', ''),
        (ADD + b'@@ -5,0 +6,1 @@\n+x\n', 'new file'),
        (ADD.replace(b'+1,2', b'+4,2'), 'new file'),
        (EDIT + b'\\ No such luck\n', ''),
        (EDIT.replace(b' two\n', b'\\ No newline at end of file\n two\n'), 'misplaced'),
        (EDIT + b'\\ No newline at end of file\n\\ No newline at end of file\n', 'misplaced'),
        (EDIT.replace(b' two\n', b' two\n\\ No newline at end of file\n'), 'before the last'),
        (EDIT.replace(b' two\n', b' two\n\\ odd\n'), 'misplaced'),
    )
    @ddt.unpack
    def test_refused(self, text, why):
        error = self.assertRaises(errors.BadPatch, parse, text)
        self.assertIn('patch a.patch: ', str(error))
        self.assertIn(why, str(error))
        self.assertNotIn('\n', str(error))

    def test_an_absurd_line_number_is_no_crash(self):
        # Newer Pythons refuse to read it, older ones do; the place is found by context anyway.
        try:
            self.assertEqual(TEXT.replace(b'four', b'new\nfour'),
                             apply(EDIT.replace(b'-2,3', b'-%s,3' % (b'9' * 5000)), TEXT)[0])
        except errors.BadPatch:
            pass


@ddt.ddt
class TestApply(testtools.TestCase):

    def test_at_its_place(self):
        self.assertEqual((b'one\ntwo\nthree\nnew\nfour\nfive\n', (0,)), apply(EDIT, TEXT))

    def test_elsewhere_the_offset_is_reported(self):
        after, offsets = apply(EDIT, b'x\ny\n' + TEXT)
        self.assertEqual(b'x\ny\none\ntwo\nthree\nnew\nfour\nfive\n', after)
        self.assertEqual((2,), offsets)
        self.assertEqual((-1,), apply(EDIT, TEXT[4:])[1])

    def test_several_hunks_each_with_its_offset(self):
        text = EDIT + b'@@ -10,3 +11,3 @@\n ten\n-eleven\n+11\n twelve\n'
        after, offsets = apply(text, TEXT + b'ten\neleven\ntwelve\n')
        self.assertEqual(b'one\ntwo\nthree\nnew\nfour\nfive\nten\n11\ntwelve\n', after)
        self.assertEqual((0, -4), offsets)

    def test_a_new_file(self):
        self.assertEqual((b'one\ntwo\n', (0,)), apply(ADD, None))
        self.assertRaises(errors.Drift, apply, ADD, b'')
        self.assertRaises(errors.Drift, apply, ADD, b'one\ntwo\n')

    def test_a_new_file_without_a_line_end(self):
        text = ADD + b'\\ No newline at end of file\n'
        self.assertEqual(b'one\ntwo', apply(text, None)[0])

    def test_the_missing_line_end_comes_and_goes(self):
        gone = b'--- a/nova/x\n+++ b/nova/x\n@@ -1,2 +1,2 @@\n a\n-b\n+b\n' \
               b'\\ No newline at end of file\n'
        self.assertEqual(b'a\nb', apply(gone, b'a\nb\n')[0])
        come = b'--- a/nova/x\n+++ b/nova/x\n@@ -1,2 +1,2 @@\n a\n-b\n' \
               b'\\ No newline at end of file\n+b\n'
        self.assertEqual(b'a\nb\n', apply(come, b'a\nb')[0])
        self.assertRaises(errors.Drift, apply, come, b'a\nb\n')
        self.assertRaises(errors.Drift, apply, gone, b'a\nb')
        kept = b'--- a/nova/x\n+++ b/nova/x\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n' \
               b'\\ No newline at end of file\n'
        self.assertEqual(b'A\nb', apply(kept, b'a\nb')[0])

    @ddt.data(
        (None, 'is missing'),
        (b'', 'does not fit'),
        (TEXT.replace(b'three', b'3'), 'does not fit'),
        (TEXT.replace(b'two', b'two '), 'does not fit'),
        (TEXT.replace(b'four\n', b'four'), 'does not fit'),
        (TEXT.replace(b'\n', b'\r\n'), 'CRLF'),
        (TEXT + TEXT, 'fits at lines 2 and 7'),
        (b'x\n' + TEXT + TEXT, 'fits at lines 3 and 8'),
    )
    @ddt.unpack
    def test_refused(self, before, why):
        error = self.assertRaises(errors.Drift, apply, EDIT, before)
        self.assertIn('nova/x.py', str(error))
        self.assertIn(why, str(error))

    def test_no_fuzz_one_context_line_too_few_is_drift(self):
        self.assertRaises(errors.Drift, apply, EDIT, TEXT.replace(b'two\n', b''))

    def test_hunks_that_swapped_places_are_refused(self):
        text = EDIT + b'@@ -10,3 +11,3 @@\n ten\n-eleven\n+11\n twelve\n'
        error = self.assertRaises(errors.Drift, apply, text, b'ten\neleven\ntwelve\n' + TEXT)
        self.assertIn('overlaps', str(error))

    def test_a_hunk_of_the_first_line_stays_at_the_top(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -1,2 +1,3 @@\n+new\n one\n two\n'
        self.assertEqual((0,), apply(text, TEXT)[1])
        self.assertRaises(errors.Drift, apply, text, b'x\n' + TEXT)
        self.assertEqual((0,), apply(text, TEXT + TEXT)[1])

    def test_a_hunk_without_context_below_stays_at_the_end(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -4,2 +4,3 @@\n four\n five\n+six\n'
        self.assertEqual((b'a\n' + TEXT + b'six\n', (1,)), apply(text, b'a\n' + TEXT))
        self.assertRaises(errors.Drift, apply, text, TEXT + b'x\n')

    def test_a_patch_that_ends_the_line_in_the_middle_of_a_file_is_refused(self):
        text = b'--- a/nova/x\n+++ b/nova/x\n@@ -2,2 +2,2 @@\n-two\n+2\n' \
               b'\\ No newline at end of file\n three\n'
        self.assertRaises(errors.BadPatch, apply, text, TEXT)
        odd = b'--- a/nova/x\n+++ b/nova/x\n@@ -2,2 +2,1 @@\n-two\n three\n' \
              b'\\ No newline at end of file\n'
        self.assertRaises(errors.Drift, apply, odd, TEXT)

    @ddt.data(
        b'--- a/nova/x\n+++ b/nova/x\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n'
        b'\\ No newline at end of file\n@@ -4,2 +4,2 @@\n-four\n+4\n five\n',
    )
    def test_an_earlier_hunk_cannot_end_the_file(self, text):
        self.assertRaises(errors.Drift, apply, text, TEXT)


class TestSeriesOfPatches(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.patches = [parse(base.FIRST), parse(base.SECOND)]

    def test_the_whole_is_computed(self):
        edits = patch.apply_all(self.patches, base.BEFORE.get)
        self.assertEqual(base.AFTER, {edit.path: edit.after for edit in edits})
        self.assertEqual({path: base.BEFORE.get(path) for path in base.AFTER},
                         {edit.path: edit.before for edit in edits})

    def test_a_patch_may_build_on_the_one_before(self):
        later = parse(b'--- a/nova/virt/new.py\n+++ b/nova/virt/new.py\n@@ -1,2 +1,2 @@\n'
                      b'-# new\n+# newer\n from hooks import Driver\n')
        edits = patch.apply_all(self.patches + [later], base.BEFORE.get)
        newer = b'# newer\nfrom hooks import Driver\n'
        self.assertEqual(newer, {edit.path: edit.after for edit in edits}['nova/virt/new.py'])
        after = dict(base.AFTER)
        self.assertFalse(patch.carries_all(self.patches + [later], after.get))
        after['nova/virt/new.py'] = newer
        self.assertTrue(patch.carries_all(self.patches + [later], after.get))
        self.assertFalse(patch.carries_all(self.patches, after.get))

    def test_carried_is_all_or_nothing(self):
        self.assertTrue(patch.carries_all(self.patches, base.AFTER.get))
        self.assertFalse(patch.carries_all(self.patches, base.BEFORE.get))
        for path in base.AFTER:
            mixed = dict(base.AFTER)
            mixed[path] = base.BEFORE.get(path)
            self.assertFalse(patch.carries_all(self.patches, mixed.get))

    def test_a_hunk_that_leaves_nothing_is_never_taken_for_applied(self):
        emptied = parse(b'--- a/nova/x\n+++ b/nova/x\n@@ -1,1 +0,0 @@\n-a\n')
        self.assertEqual((b'', (0,)), patch.apply_change(emptied.changes[0], b'a\n'))
        self.assertFalse(patch.carries_all([emptied], {'nova/x': b''}.get))
