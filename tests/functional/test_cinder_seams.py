# SPDX-License-Identifier: Apache-2.0
"""The other two ways into Cinder: the patch of its manager, and a mixin for one backend's driver."""

import hashlib
import os
import shutil
import subprocess
import sys

import testtools

from lab.cinder import run
from tests.functional import cinder_base
from tests.functional.cinder_base import typed


def installed():
    """Return (folder of the cinder package, major version) of the Cinder under test."""
    said = subprocess.run(
        [cinder_base.PYTHON, '-W', 'ignore', '-c',
         'import os, cinder; from cinder import version; '
         'print(os.path.dirname(cinder.__file__)); print(version.version_string())'],
        env=run.environment(cinder_base.PYTHONPATH), stdout=subprocess.PIPE, check=True)
    folder, version = said.stdout.decode().split()[-2:]
    return folder, version.split('.')[0]


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


#: As cinder-volume begins; os-brick, which it imports, replaces the sleep that eventlet has replaced.
NATIVE = """
import importlib
import threading
importlib.import_module('cinder.cmd.volume')
importlib.import_module('os_brick.utils')
from multistore_hooks.ceph import cluster
thread = cluster.call_natively(threading.get_native_id)
print(cluster.on_eventlet(), thread == threading.get_native_id())
"""


class CephCallsTest(testtools.TestCase):

    def test_calls_to_ceph_do_not_stop_the_other_work_of_cinder_volume(self):
        said = subprocess.run(
            [cinder_base.PYTHON, '-W', 'ignore', '-c', NATIVE], env=run.environment(cinder_base.PYTHONPATH),
            stdout=subprocess.PIPE, check=True)
        # A native thread of their own where there is eventlet; a service on threads has one for each request.
        self.assertEqual(['True', 'False'], said.stdout.decode().split()[-2:])


class SeamTest(cinder_base.CinderTestCase):

    def check_placed(self, **request):
        """Check the rows that matter with Cinder's own volume manager."""
        base = self.base_image('cheap')
        results = self.run_uploads(
            self.operation(base=base), self.operation(typed('reliable'), base), self.operation(False),
            self.operation(typed('nowhere')), volume_manager=cinder_base.STOCK_MANAGER, **request)
        self.assertEqual([{'cheap'}, {'reliable'}, {'fast'}, set()],
                         [self.where(one['image_id']) for one in results])
        self.assertEqual([None] * 3, [one['error'] for one in results[:3]])
        self.assertIn("names the Glance store 'nowhere', which does not exist", results[3]['error'])
        self.assertNotIn(results[3]['image_id'], self.images())

    def test_the_mixin_places_the_uploads_of_one_backend(self):
        self.start_glance()
        self.check_placed(conf={'DEFAULT': {'volume_api_class': 'cinder.volume.api.API'}, 'directory': {
            'volume_driver': 'lab.cinder.mixin.PlacingDriver'}})

    def test_the_patch_places_the_uploads_of_any_manager_and_goes_without_a_trace(self):
        folder, release = installed()
        tree = os.path.join(self.directory, 'tree')
        shutil.copytree(folder, os.path.join(tree, 'cinder'),
                        ignore=shutil.ignore_patterns('tests', '__pycache__', 'locale'))
        changed = os.path.join(tree, 'cinder', 'volume', 'manager.py')
        before = digest(changed)
        self.patch('apply', tree, release)
        self.assertNotEqual(before, digest(changed))

        self.start_glance()
        paths = os.pathsep.join(path for path in (tree, cinder_base.PYTHONPATH) if path)
        self.useFixture(cinder_base.fixtures.MonkeyPatch(
            'tests.functional.cinder_base.PYTHONPATH', paths))
        self.check_placed(conf={'DEFAULT': {'volume_api_class': 'cinder.volume.api.API'}})

        self.patch('revert', tree, release)
        self.assertEqual(before, digest(changed))

    def patch(self, verb, tree, release):
        done = subprocess.run(
            [sys.executable, '-m', 'multistore_hooks.cli.main', 'patch', verb, 'cinder',
             '--series', 'manager', '--root', tree] + (
                 ['--release', release] if verb == 'apply' else []),
            env=run.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(0, done.returncode, done.stdout.decode())
