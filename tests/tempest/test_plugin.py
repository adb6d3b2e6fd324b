# SPDX-License-Identifier: Apache-2.0
"""The real tempest loads the plugin, lists its tests, and skips each with a reason."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile

import testtools

BIN = os.path.dirname(sys.executable)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = 20
FLAGS = ('copy_image', 'snapshot', 'clone', 'site_images', 'volume_clone', 'volume_upload',
         'type_validation', 'rules')
ALONE = """
import unittest
from multistore_tempest_plugin import base

class Case(unittest.TestCase):
    skipException = unittest.SkipTest

    @base.needs('colocate')
    def needs_colocate(self):
        raise AssertionError('was run')

    @base.needs('clone')
    def needs_clone(self):
        print('ran with clone')

try:
    Case('needs_colocate').needs_colocate()
except unittest.SkipTest as skip:
    print('skipped: %s' % skip)
Case('needs_clone').needs_clone()
"""
STREAMED = """
import http.server
import threading
import tracemalloc
from tempest.lib.services.image.v2 import images_client
from multistore_tempest_plugin import base

PIECES, PIECE = 64, bytes(1 << 20)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(PIECES * len(PIECE)))
        self.end_headers()
        for _ in range(PIECES):
            self.wfile.write(PIECE)

    def log_message(self, *_unused):
        pass

class Auth:
    def auth_request(self, method, url, headers=None, body=None, filters=None):
        return 'http://127.0.0.1:%d/%s' % (server.server_port, url), {}, None

server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = images_client.ImagesClient(Auth(), 'image', 'RegionOne')
tracemalloc.start()
total = sum(len(piece) for piece in base.streamed(client, 'an-image'))
print(total, tracemalloc.get_traced_memory()[1])
"""

UPLOADED = """
from multistore_tempest_plugin import base
from tempest import config

config.CONF.set_default('image_ref', 'an-image', group='compute')
steps = []

def streamed(client, image_id):
    for _ in range(3):
        yield bytes(512)
    steps.append('all is read')

class Images:
    def show_image(self, image_id):
        return {'disk_format': 'raw', 'container_format': 'bare', 'size': 3 * 512}

    def create_image(self, **_record):
        steps.append('record')
        return {'id': 'new'}

    def delete_image(self, image_id):
        pass

    def request(self, method, path, headers, chunked, body):
        steps.append('upload')
        raise SystemExit('%s: %d' % (', '.join(steps), sum(map(len, body)) % 65536))

class Case(base.MultistoreTest):
    image_client = Images()

    def runTest(self):
        pass

base.streamed = streamed
Case().bootable_image(['cheap'], 'qcow2')
"""


class PluginTest(testtools.TestCase):
    """In a workspace of its own."""

    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.workspace = os.path.join(self.folder, 'workspace')
        self.tempest('init', self.workspace, cwd=self.folder)

    def tempest(self, *arguments, cwd=None, code=0):
        # HOME: tempest keeps a list of workspaces there.
        done = subprocess.run(
            [os.path.join(BIN, 'tempest'), *arguments], cwd=cwd or self.workspace,
            env=dict(os.environ, HOME=self.folder, PYTHONWARNINGS='ignore'),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True)
        if code is not None:
            self.assertEqual(code, done.returncode, done.stdout)
        return done.stdout

    def configure(self, text):
        path = os.path.join(self.workspace, 'etc', 'tempest.conf')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text + '[oslo_concurrency]\nlock_path = %s\n' % self.folder)

    def run_all(self):
        """Run the plugin's tests; returns the output, which has a line for each."""
        # Tempest ends with 1 when every test was skipped.
        return self.tempest('run', '--regex', '^multistore_tempest_plugin', '--serial', code=None)

    def test_tempest_lists_the_plugin_and_its_tests(self):
        self.assertIn('multistore_tempest_plugin.plugin:MultistorePlugin', self.tempest('list-plugins'))
        listed = self.tempest('run', '--list-tests', '--regex', '^multistore_tempest_plugin')
        names = re.findall(r'^multistore_tempest_plugin\S+', listed, re.MULTILINE)
        self.assertEqual(TESTS, len(names), listed)
        ids = re.findall(r'id-([0-9a-f-]+)', listed)
        self.assertEqual(TESTS, len(set(ids)), listed)

    def test_the_plugin_brings_tempest_alone_and_nothing_of_the_library(self):
        plugin = importlib.metadata.distribution('multistore-hooks-tempest-plugin')
        self.assertEqual(['tempest'], [re.match('[a-z]+', line).group() for line in plugin.requires])
        for name in ('multistore-hooks', 'rados', 'python-glanceclient'):
            self.assertRaises(importlib.metadata.PackageNotFoundError, importlib.metadata.distribution, name)

    def test_a_cloud_of_one_store_skips_all_and_says_why(self):
        self.configure('[multistore]\nstores = only\n')
        output = self.run_all()
        self.assertEqual(8, output.count('Needs two stores or more in [multistore] stores'), output)
        self.assertIn(' - Failed: 0', output)
        self.assertIn(' - Passed: 0', output)

    def test_each_flag_that_is_off_skips_and_names_itself(self):
        self.configure('[multistore]\nstores = a,b\ncompute_store = b\nvolume_store = b\n')
        output = self.run_all()
        for flag in FLAGS:
            self.assertRegex(
                output, r'Needs \[multistore-feature-enabled\] %s( or \w+)? = true' % flag)
        self.assertIn(' - Failed: 0', output)
        self.assertIn(' - Passed: 0', output)

    def test_the_options_are_in_the_sample_of_tempest(self):
        output = subprocess.run(
            [os.path.join(BIN, 'oslo-config-generator'), '--namespace', 'tempest.config'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True,
            env=dict(os.environ, HOME=self.folder)).stdout
        for line in ('[multistore]', '[multistore-feature-enabled]', '#volume_types =', '#clone = false'):
            self.assertIn('\n' + line, output)

    def test_a_test_looks_for_its_own_flag_too(self):
        # Not in this process: beside a checkout tempest may read metadata of an older version.
        self.configure('[multistore-feature-enabled]\nclone = true\n')
        done = subprocess.run(
            [sys.executable, '-c', ALONE], cwd=self.workspace, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True,
            env=dict(os.environ, HOME=self.folder, TEMPEST_CONFIG_DIR=self.workspace + '/etc'))
        self.assertIn('skipped: Needs [multistore-feature-enabled] colocate = true', done.stdout)
        self.assertIn('ran with clone', done.stdout)

    def test_an_image_is_streamed_and_not_held(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', STREAMED], cwd=self.workspace, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True, env=dict(os.environ, HOME=self.folder))
        self.assertEqual(0, done.returncode, done.stderr)
        total, most = map(int, done.stdout.split())
        self.assertEqual(64 << 20, total)
        self.assertLess(most, 8 << 20)

    def test_an_image_is_read_before_it_is_uploaded(self):
        # A Glance with one worker waits for an upload's next piece, and sends nothing meanwhile.
        self.configure('')
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', UPLOADED], cwd=self.workspace, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, universal_newlines=True, env=dict(os.environ, HOME=self.folder))
        self.assertEqual('all is read, record, upload: 0', done.stderr.strip().splitlines()[-1])

    def test_a_raw_image_is_given_the_format_qcow2(self):
        if not shutil.which('qemu-img'):
            self.skipTest('needs qemu-img, of qemu-utils')
        from multistore_tempest_plugin import qcow2
        raw, made = (os.path.join(self.folder, 'disk.' + name) for name in ('raw', 'qcow2'))
        # One byte in the last cluster; more clusters than a table of addresses has; less than a sector.
        for size in (qcow2.CLUSTER + 1, qcow2.CLUSTER * qcow2.ADDRESSES + 512, 7):
            with open(raw, 'wb') as stream:
                stream.write(os.urandom(min(size, 1 << 20)))
                stream.truncate(size)
                stream.seek(size - 1)
                stream.write(b'e')
            with open(raw, 'rb') as disk, open(made, 'wb') as stream:
                for piece in qcow2.wrap(iter(lambda: disk.read(1000003), b''), size):
                    stream.write(piece)
            for command in (['check', made], ['compare', raw, made]):
                done = subprocess.run(['qemu-img', *command], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
                self.assertEqual(0, done.returncode, done.stdout)

    def test_what_the_devstack_plugin_writes_is_known_here(self):
        from multistore_tempest_plugin import config
        with open(os.path.join(CHECKOUT, 'devstack', 'lib', 'multistore_tempest'),
                  encoding='utf-8') as stream:
            text = stream.read()
        written = set(re.findall(r'"\$TEMPEST_CONFIG" multistore (\w+)', text))
        self.assertEqual({option.name for option in config.OPTIONS}, written)
        flags = re.search(r'for flag in ([\w\s\\]+);', text).group(1).replace('\\', '').split()
        self.assertEqual({option.name for option in config.FEATURES}, set(flags))
