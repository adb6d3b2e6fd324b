# SPDX-License-Identifier: Apache-2.0
"""A site is closed: stores in two Ceph clusters, in a directory and on Cinder volumes are emptied."""

import json
import os
import sys
from unittest import mock

import fixtures
import testtools

from lab import ceph
from lab import ceph_glance
from lab.glance import ADMIN
from lab import poll
from lab.volume_store import case
from lab.volume_store.lab import Lab
from lab.volume_store.lab import ours
from lab.volume_store.lab import unavailable_with
from tests.functional import cli
from tests.functional import shared


#: No other test uses it: a store that is closed is to be empty.
POOL = 'closed'


def make(folder):
    """Return the lab: two sites in Ceph, one on volumes, the centre in a directory."""
    a, b = ceph.sites()
    for cluster in (a, b):
        cluster.add_pool(POOL)
    modules = os.path.join(folder, 'modules')
    os.makedirs(modules, exist_ok=True)
    ceph.bindings(modules)
    return Lab(folder, {'central': 'file', 'dcn1': ceph_glance.store(a, POOL),
                        'dcn2': ceph_glance.store(b, POOL), 'gold': ours('loop-gold')},
               default='central', cache_dir=case.CACHE)


class SiteClosedTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        reason = case.unavailable() or ceph.unavailable() or unavailable_with(['loop'])
        if reason:
            self.skipTest(reason)
        self.lab = case.running('site closed', make)
        self.glance, self.cinder = self.lab.glance, self.lab.cinder
        self.a, self.b = ceph.sites()
        modules = shared.folder('site-closed-bindings')
        ceph.bindings(modules)
        self.useFixture(fixtures.MonkeyPatch('sys.path', sys.path + [modules]))
        self.folder = self.useFixture(fixtures.TempDir()).path

    def drain(self, words):
        """Run ``store drain``; return its exit code, its rows, and what it said."""
        reach = ['--reach', 'central=' + self.glance.dir('central'),
                 '--reach', 'dcn1=%s,user=%s,pool=%s' % (self.a.conf, self.a.user, POOL),
                 '--reach', 'dcn2=%s,user=%s,pool=%s' % (self.b.conf, self.b.user, POOL)]
        environ = cli.environ(self.folder, **cli.cloud_of(self.glance.url, ADMIN))
        with mock.patch.dict(os.environ, environ, clear=True):
            code, out, err = cli.run_here(['store', 'drain', '-f', 'json'] + words.split() + reach)
        self.assertTrue(out, err)
        return code, {row['ID']: (row['Result'], row['Reason']) for row in json.loads(out)
                      if row['Action'] == 'evict'}, err

    def image(self, *stores):
        made = self.glance.add_image(os.urandom(1 << 20), list(stores), disk_format='raw')
        self.addCleanup(self.glance.request, 'DELETE', '/v2/images/' + made)
        return made

    def test_site_with_ceph(self):
        only, everywhere, used = [self.image(*stores) for stores in (
            ['dcn1'], ['dcn1', 'dcn2', 'gold'], ['dcn1'])]
        clone = 'vms/clone-' + used
        self.a.rbd('clone', '--rbd-default-clone-format', '2', '%s/%s@snap' % (POOL, used), clone)
        code, rows, said = self.drain('dcn1 --to dcn2')
        self.assertEqual((1, {only: ('freed', ''), everywhere: ('freed', ''), used: (
            'refused', 'used by 1 clone there: removing it would free nothing')}), (code, rows))
        self.assertIn('dcn1: still there: 1 image', said)
        self.assertEqual([{'dcn2'}, {'dcn2', 'gold'}, {'dcn1', 'dcn2'}],
                         [self.glance.stores_of(image) for image in (only, everywhere, used)])
        # Its server may keep the disk: the image goes to the trash of the pool, which is not empty then.
        code, rows, said = self.drain('dcn1 --to dcn2 --in-use')
        self.assertEqual((1, 'moved to trash'), (code, rows[used][0]))
        self.assertIn('no image is there by the records, and 1 in the trash of its pool', said)
        self.a.rbd('rm', clone)
        self.a.rbd('trash', 'purge', POOL)
        code, rows, said = self.drain('dcn1 --to dcn2')
        self.assertEqual((0, {}), (code, rows), said)
        self.assertEqual('', self.a.rbd('ls', POOL) + self.a.rbd('trash', 'ls', POOL))

    def test_site_with_images_on_volumes(self):
        only, everywhere, used = [self.image(*stores) for stores in (
            ['gold'], ['gold', 'dcn1', 'dcn2'], ['gold'])]
        poll.until('no attachment', lambda: not self.cinder.attachments())
        url, = [one['url'] for one in self.glance.image(used)['locations']]
        volume = url.rpartition('/')[2]
        attachment = self.cinder.attach(volume)
        code, rows, said = self.drain('gold --to central')
        self.assertEqual((1, {only, everywhere, used}), (code, set(rows)), said)
        self.assertEqual({'removed, use unknown'}, {rows[only][0], rows[everywhere][0]}, rows)
        # Glance reads no volume that is attached elsewhere: there is no copy, so this is the last one.
        self.assertEqual(('refused', 'it is the last copy'), rows[used])
        self.assertIn('gold: still there: 1 image', said)
        self.assertIn(volume, self.cinder.volumes())
        self.cinder.detach(attachment)
        poll.until('no attachment', lambda: not self.cinder.attachments())
        code, rows, said = self.drain('gold --to central')
        self.assertEqual((0, {used}), (code, set(rows)), said)
        self.assertEqual([{'central'}, {'dcn1', 'dcn2'}, {'central'}],
                         [self.glance.stores_of(image) for image in (only, everywhere, used)])
        self.assertEqual({}, self.cinder.volumes())
