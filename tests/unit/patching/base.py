# SPDX-License-Identifier: Apache-2.0
"""Small trees and series for the tests of the patch tool."""

import hashlib
import os
import stat
import sys

import fixtures
import testtools

import multistore_hooks
from multistore_hooks.patching import errors
from multistore_hooks.patching import runner

SEAM = b''.join(b'line %d\n' % number for number in range(1, 41))
SEAM_AFTER = SEAM.replace(b'line 20\n', b'line 20\nhook()\n')
OTHER = b'def other():\n    return 1\n'
OTHER_AFTER = b'def other():\n    return 2\n'
NEW = b'# new\nfrom hooks import Driver\n'

# One patch edits a file and adds one, the next edits another: all that a series can do.
FIRST = b'''Description: a seam, and a new file
Author: multistore-hooks contributors
---
--- a/nova/compute/seam.py
+++ b/nova/compute/seam.py
@@ -18,5 +18,6 @@
 line 18
 line 19
 line 20
+hook()
 line 21
 line 22
--- /dev/null
+++ b/nova/virt/new.py
@@ -0,0 +1,2 @@
+# new
+from hooks import Driver
'''
SECOND = b'''Description: another
Author: multistore-hooks contributors
---
--- a/nova/other.py
+++ b/nova/other.py
@@ -1,2 +1,2 @@
 def other():
-    return 1
+    return 2
'''
SERIES = '''# For the tests.
series three needed
20-34 first.patch
20-34 second.patch
series one optional
20-21 second.patch
30    second.patch
'''
BEFORE = {'nova/compute/seam.py': SEAM, 'nova/other.py': OTHER}
AFTER = {'nova/compute/seam.py': SEAM_AFTER, 'nova/other.py': OTHER_AFTER, 'nova/virt/new.py': NEW}
PATHS = sorted(AFTER)

# The tool waits for the disk at every step, and the tests need none.
MEMORY = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None


def environ():
    """Return an environment in which a child process finds what this one does."""
    here = os.path.dirname(os.path.dirname(multistore_hooks.__file__))
    path = [here] + [folder for folder in sys.path if folder]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(path))


def write(root, path, data, mode=0o644):
    """Write one file below root, and the folders that it needs."""
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, 'wb') as file:
        file.write(data)
    os.chmod(full, mode)
    # Not now, so that a time put back can be distinguished from a time that merely is the same.
    os.utime(full, ns=(1500000000123456789, 1500000001123456789))


def make_tree(root, version='25.3.0'):
    """Make a small nova in root, with wheel metadata."""
    for path in ('nova/__init__.py', 'nova/virt/__init__.py', 'nova/compute/__init__.py'):
        write(root, path, b'')
    write(root, 'nova/compute/seam.py', SEAM, 0o640)
    write(root, 'nova/other.py', OTHER, 0o600)
    write(root, 'nova/compute/__pycache__/seam.cpython-311.pyc', b'stale')
    write(root, 'nova/compute/__pycache__/seam.cpython-36.opt-1.pyc', b'stale')
    write(root, 'nova/compute/__pycache__/seamstress.cpython-311.pyc', b'of another file')
    if version:
        write(root, 'nova-%s.dist-info/METADATA' % version,
              b'Metadata-Version: 2.1\nName: nova\nVersion: %s\n\nVersion: none\n'
              % version.encode())


def make_patches(folder, series=SERIES, **patches):
    """Make a folder of patches with the series above; return it."""
    write(folder, 'nova/series', series.encode())
    texts = dict({'first': FIRST, 'second': SECOND}, **patches)
    for name, text in texts.items():
        write(folder, 'nova/%s.patch' % name, text)
    return folder


def snapshot(root, state=False):
    """Return all there is to know of the files below root.

    Byte code and the times of folders do not count.

    :param state: the tool's own notes as well
    """
    found = {}
    for folder, folders, names in os.walk(root):
        if '__pycache__' in folders:
            folders.remove('__pycache__')
        if '.multistore-hooks' in folders and not state:
            folders.remove('.multistore-hooks')
        for name in names + folders:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            facts = [stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid,
                     status.st_gid]
            if os.path.islink(path):
                facts.append(os.readlink(path))
            elif os.path.isfile(path):
                with open(path, 'rb') as file:
                    facts += [status.st_mtime_ns, hashlib.sha256(file.read()).hexdigest()]
            found[os.path.relpath(path, root)] = tuple(facts)
    return found


def contents(root, paths=PATHS):
    """Return the bytes of those of the paths that are there."""
    found = {}
    for path in paths:
        full = os.path.join(root, path)
        if os.path.lexists(full):
            with open(full, 'rb') as file:
                found[path] = file.read()
    return found


class TestCase(testtools.TestCase):
    """A test with an empty folder of its own."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir(MEMORY)).path


class TreeTestCase(TestCase):
    """A test with a small nova and a series of patches for it."""

    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.folder, 'site-packages')
        self.patches = make_patches(os.path.join(self.folder, 'patches'))
        make_tree(self.root)
        self.before = snapshot(self.root)

    def runner(self, tree_class=None, **asked):
        """Return a Runner for the tree, or for what is asked for."""
        asked = dict({'root': self.root, 'patches': self.patches}, **asked)
        request = runner.Request('nova', **asked)
        return runner.Runner(request, tree_class) if tree_class else runner.Runner(request)

    def refused(self, call, *args, kind=errors.PatchError, **kwargs):
        """Call, expect a refusal of that kind in one line, return the line."""
        error = self.assertRaises(kind, call, *args, **kwargs)
        self.assertNotIn('\n', str(error))
        self.assertTrue(str(error))
        return str(error)

    def refuses_all(self, kind=errors.PatchError, verbs=('status', 'check', 'apply', 'revert'),
                    **asked):
        """All the verbs refuse, and nothing changes at all; return the last line."""
        before = snapshot(self.root, state=True)
        line = ''
        for verb in verbs:
            line = self.refused(lambda: getattr(self.runner(**asked), verb)(), kind=kind)
            self.assertEqual(before, snapshot(self.root, state=True))
        return line

    def assert_gone(self):
        """The tree is as it was, and no note is left."""
        self.assertEqual(self.before, snapshot(self.root, state=True))
