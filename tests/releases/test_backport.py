# SPDX-License-Identifier: Apache-2.0
"""Train's Nova as a vendor may ship it: with Victoria's options for copying ported back, or its copying too.

The hooks find out by looking, not by the release's number.
"""

import os
import shutil

import testtools

from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional import nova_runs
from tests.functional import shared
from tests.releases import under_test

OPTIONS = """libvirt_imagebackend_opts = [
    cfg.StrOpt('images_rbd_glance_store_name', default='', help='As the vendor words it.'),
    cfg.IntOpt('images_rbd_glance_copy_poll_interval', default=7, help='As the vendor words it.'),
    cfg.IntOpt('images_rbd_glance_copy_timeout', default=77, help='As the vendor words it.'),
"""
CLONE = '    def clone(self, context, image_id_or_uri):\n'
# Whoever comes here has not asked the back-ported class to leave the copying to us.
VENDORS_CLONE = CLONE.replace(')', ', copy_to_store=True)') + """\
        if CONF.libvirt.images_rbd_glance_store_name and copy_to_store:
            raise NotImplementedError("the vendor's copying was used")
"""


def _edit(tree, path, old, new):
    """Put NEW in the place of the last OLD in a file."""
    with open(os.path.join(tree, path), 'r+', encoding='utf-8') as file:
        before, found, after = file.read().rpartition(old)
        assert found, '%s has no %r' % (path, old)
        file.seek(0)
        file.write(before + new + after)


def options_only(tree):
    _edit(tree, 'nova/conf/libvirt.py', 'libvirt_imagebackend_opts = [\n', OPTIONS)


def options_and_copying(tree):
    options_only(tree)
    # The last class with such a method is Rbd.
    _edit(tree, 'nova/virt/libvirt/imagebackend.py', CLONE, VENDORS_CLONE)


_trees = {}


def nova_of(port):
    """Return the package nova of a Train with something ported back."""
    if port not in _trees:
        _trees[port] = os.path.join(shared.folder('backport'), 'tree')
        shutil.copytree(under_test.STOCK, _trees[port])
        port(_trees[port])
    return os.path.join(_trees[port], 'nova')


class SnapshotTest(testtools.TestCase):

    def check(self, port):
        glance = shared.glance('backport', stores={'fast': 'file', 'rbd': 'file'}, default='fast')
        base_image = glance.add_image(b'base image', ['rbd'], token=nova_runs.TOKEN)
        ran = compute_hosts.run({
            'glance_url': glance.url, 'token': nova_runs.TOKEN, 'compute_driver': nova_runs.OURS,
            'nova_root': nova_runs.root(under_test.PYTHON, nova_of(port)),
            'conf': {'libvirt': {'images_rbd_glance_store_name': 'fast'}},
            'operations': [nova_runs.operation('snapshot', base_image, nova_runs.disk(b'x' * 4096))],
        }, python=under_test.PYTHON)
        result, = ran['results']
        self.assertIsNone(result['error'])
        self.assertEqual({'rbd'}, glance.stores_of(result['image_id']))

    def test_with_the_options_alone(self):
        self.check(options_only)

    def test_with_the_options_and_the_copying(self):
        self.check(options_and_copying)


class CopyTest(copy_sites.SitesTestCase):
    """Two sites, each with a real Ceph cluster, and a Glance with a store in each; hosts of ours there."""

    python = under_test.PYTHON

    def check(self, port):
        self.nova_dir = nova_of(port)
        # Hosts are kept by their arguments, which do not distinguish one tree from another.
        image = self.image()
        self.assertCloned(self.boot(self.host(number=port.__name__), image), image, self.a)
        self.assertEqual(([202], []), (self.asked(image), self.downloads()))

    def test_with_the_options_alone(self):
        self.check(options_only)

    def test_with_the_options_and_the_copying(self):
        self.check(options_and_copying)
