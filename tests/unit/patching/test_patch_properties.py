# SPDX-License-Identifier: Apache-2.0
"""Patch texts and trees made up by hypothesis, with git as the oracle where it is installed."""

import difflib
import os
import shutil
import subprocess
import tempfile
import unittest

import hypothesis
from hypothesis import strategies
import testtools

from multistore_hooks.patching import errors
from multistore_hooks.patching import patch
from multistore_hooks.patching import runner
from tests.unit.patching import base

# Few different lines, so that a hunk often fits at several places.
LINES = strategies.lists(
    strategies.sampled_from([b'a\n', b'b\n', b'c\n', b'\n', b'a\r\n', b'-- d\n', b'\xff\n']),
    max_size=12)
ENDS = strategies.sampled_from([b'', b'end'])
NOISE = strategies.sampled_from([
    b'--- a/nova/x\n', b'+++ b/nova/x\n', b'--- /dev/null\n', b'+++ b/../evil\n', b'+++ /evil\n',
    b'+++ b/nova/link/x\n', b'+++ b/nova/virt/y\n', b'--- a/nova/link/x\n', b'@@ -1 +1 @@\n',
    b'@@ -1,2 +1,3 @@\n', b'@@ -0,0 +1 @@\n', b'@@ -0,0 +1,2 @@\n', b' a\n', b'-a\n', b'+b\n',
    b'+c', b'\\ No newline at end of file\n', b'\n', b'\r\n', b'rename from nova/x\n',
    b'diff --git a/nova/x b/nova/x\n', b'new file mode 100644\n', b'new file mode 120000\n',
    b'old mode 100644\n', b'Binary files a/nova/x and b/nova/x differ\n', b'GIT binary patch\n',
    b'index 0123456..89abcde 100644\n', b'Index: x\n', b'\0', b'--- \n', b'+++ \n'])
QUICK = hypothesis.settings(
    max_examples=150, deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])


def diff(old, new, context):
    """Return the unified diff of two lists of lines, its unended last lines marked."""
    body = []
    for line in difflib.diff_bytes(difflib.unified_diff, old, new, b'a/nova/x', b'b/nova/x',
                                   n=context):
        body.append(line if line.endswith(b'\n')
                    else line + b'\n\\ No newline at end of file\n')
    return b''.join(body)


def git_apply(text, before):
    """Return what `git apply` makes of nova/x, None if it refuses."""
    folder = tempfile.mkdtemp(dir=base.MEMORY)
    try:
        base.write(folder, 'nova/x', before)
        base.write(folder, 'a.patch', text)
        # A folder of its own, so that no repository around it plays a part.
        done = subprocess.run(
            ['git', 'apply', '--whitespace=nowarn', 'a.patch'], cwd=folder,
            env=dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(folder),
                     GIT_CONFIG_NOSYSTEM='1', HOME=folder),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(folder, 'nova/x'), 'rb') as file:
            return None if done.returncode else file.read()
    finally:
        shutil.rmtree(folder)


class TestProperties(testtools.TestCase):

    @hypothesis.given(LINES, ENDS, LINES, ENDS, strategies.integers(1, 3))
    @QUICK
    def test_a_patch_of_two_texts_makes_one_of_the_other_and_back(
            self, old, old_end, new, new_end, context):
        old, new = old + [old_end] * bool(old_end), new + [new_end] * bool(new_end)
        text = diff(old, new, context)
        hypothesis.assume(text and old)
        change, = patch.parse('x', text, 'nova').changes
        try:
            after, offsets = patch.apply_change(change, b''.join(old))
        except errors.Drift as error:
            self.assertIn('more context is needed', str(error))
            return
        self.assertEqual(b''.join(new), after)
        self.assertEqual({0}, set(offsets))
        try:
            self.assertEqual(b''.join(old), patch.undo_change(change, after))
        except errors.Drift as error:
            self.assertRegex(str(error), 'more context is needed|leaves no line')

    @unittest.skipUnless(shutil.which('git'), 'git is not installed')
    @hypothesis.given(LINES, ENDS, LINES, ENDS, strategies.integers(1, 3), LINES, LINES, ENDS)
    @hypothesis.settings(QUICK, max_examples=60)
    def test_what_applies_here_applies_with_git_to_the_same_bytes(
            self, old, old_end, new, new_end, context, above, below, end):
        old, new = old + [old_end] * bool(old_end), new + [new_end] * bool(new_end)
        text = diff(old, new, context)
        hypothesis.assume(text and old)
        before = b''.join(above + old + below) + end
        change, = patch.parse('x', text, 'nova').changes
        try:
            after = patch.apply_change(change, before)[0]
        except errors.Drift:
            return
        self.assertEqual(after, git_apply(text, before))

    @hypothesis.given(strategies.lists(NOISE, max_size=12),
                      strategies.integers(0, 30), strategies.binary(max_size=6))
    @QUICK
    def test_no_text_brings_more_than_the_typed_error_or_writes_elsewhere(
            self, noise, place, junk):
        text = b''.join(noise)
        for made_up in (text, text[:place] + junk + text[place:],
                        base.FIRST[:place * 11] + junk + base.FIRST[place * 11:]):
            self._try(made_up)

    def _try(self, text):
        folder = tempfile.mkdtemp(dir=base.MEMORY)
        try:
            root = os.path.join(folder, 'root')
            base.make_tree(root)
            base.write(root, 'nova/x', b'a\nc\n')
            base.write(folder, 'outside/x', b'a\nc\n')
            os.symlink('../../outside', os.path.join(root, 'nova/link'))
            patches = base.make_patches(
                os.path.join(folder, 'patches'), 'series s needed\n25 first.patch\n', first=text)
            before = base.snapshot(folder)
            request = runner.Request('nova', root, patches=patches)
            try:
                report = runner.Runner(request).apply()
            except errors.PatchError:
                self.assertEqual(before, base.snapshot(folder, state=True))
                return
            touched = {'root/' + file.path for file in report.files}
            after = base.snapshot(folder)
            self.assertEqual(touched, {path for path in set(before) | set(after)
                                       if before.get(path) != after.get(path)})
            runner.Runner(request).revert()
            self.assertEqual(before, base.snapshot(folder, state=True))
        finally:
            shutil.rmtree(folder)
