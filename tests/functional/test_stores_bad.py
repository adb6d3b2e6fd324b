# SPDX-License-Identifier: Apache-2.0
"""What each command for stores does on a real Glance where a store is read-only, full, away, or hangs."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import unittest

import fixtures
import testtools

from lab import ceph
from lab import ceph_glance
from lab import held_file
from lab import poll
from lab.volume_store import mounts
from multistore_hooks import backoff
from multistore_hooks.copy import leader
from tests.functional import cli
from tests.functional import shared
from tests.functional import stores_base

MIB = 1 << 20
_made = {}


class BadStoreTestCase(stores_base.StoresTestCase):
    """Images of each kind, some in the store ``bad``; ``a`` and ``b`` are as they should be."""

    def setUp(self):
        super().setUp()
        for module, name in ((backoff, 'poll_interval'), (leader, 'GLIMPSE')):
            value = (lambda *unused: 0.1) if name == 'poll_interval' else 0.1
            self.useFixture(fixtures.MockPatchObject(module, name, value))
        self.images = []

    def image(self, *stores, size=4, **more):
        """Make an image of its own name in these stores."""
        made = self.glance.add_image(os.urandom(size), list(stores), disk_format='raw', **more)
        self.images.append(made)
        self.addCleanup(self.glance.request, 'DELETE', '/v2/images/' + made)
        return made

    def outcomes(self, words, more=None):
        """Run a command; return its exit code, its result by action, image and store, and what it said."""
        code, out, err = self.run_words(words + ' -f json', self.reach() if more is None else more)
        for unwanted in ('internal error', 'Traceback'):
            self.assertNotIn(unwanted, err, words)
        for image_id in self.images:
            self.assertNotEqual(set(), self.glance.stores_of(image_id), words)
        rows = json.loads(out) if out else []
        return code, {(row.get('Action', ''), row['ID'], row['Store']): row['Result'] for row in rows
                      if 'Result' in row}, err

    def rules(self, **stores_by_tag):
        """Write rules: a store for each tag."""
        return self.write('rules', json.dumps({'rules': [
            {'name': tag, 'match': {'tag': tag}, 'in': stores} for tag, stores in stores_by_tag.items()]}))


@unittest.skipIf(mounts.unavailable(), mounts.unavailable() or '')
class DirectoryTest(BadStoreTestCase):
    """The store ``bad`` is a directory on a file system of its own, of a mebibyte and a half."""

    def make_glance(self):
        if 'directory' not in _made:
            folder = shared.folder('stores-bad')
            _made['mounts'] = mounted = mounts.Mounts(folder)
            atexit.register(mounted.clear)
            _made['path'] = os.path.join(folder, 'bad')
            mounted.memory(_made['path'], '1536k')
            _made['directory'] = shared.glance('bad', stores={
                'a': 'file', 'b': 'file', 'bad': ('file', {'filesystem_store_datadir': _made['path']})},
                default='a')
        self.path = _made['path']
        return _made['directory']

    def reach(self):
        return ['--reach', 'a=' + self.glance.dir('a'), '--reach', 'b=' + self.glance.dir('b'),
                '--reach', 'bad=' + self.path]

    @contextlib.contextmanager
    def read_only(self):
        subprocess.run(['mount', '-o', 'remount,ro', self.path], check=True)
        try:
            yield
        finally:
            subprocess.run(['mount', '-o', 'remount,rw', self.path], check=True)

    def test_read_only(self):
        both, only, other = self.image('a', 'bad'), self.image('bad'), self.image('a', tags=['x'])
        lost = self.image('a', 'bad')
        os.unlink(os.path.join(self.path, lost))
        place = 'image place --apply --rules ' + self.rules(x=['b', 'bad'])
        with self.read_only():
            self.assertEqual((1, {('', other, 'b'): 'copied', ('', other, 'bad'): 'failed'}),
                             self.outcomes('image copy %s --to b,bad --wait' % other, [])[:2])
            code, came, err = self.outcomes('image evict %s --from bad' % both)
            self.assertEqual((1, {('', both, 'bad'): 'failed'}), (code, came), err)
            self.assertIn('its record still lists the store, and its data is there', err)
            self.assertEqual(1, self.run_words('store check bad', self.reach())[0])  # of what was lost
            code, came, err = self.outcomes(place)
            self.assertEqual((1, {('copy', other, 'bad'): 'failed'}), (code, came), err)
            code, came, err = self.outcomes('store drain bad --to b')
            self.assertEqual((1, 'copied'), (code, came['copy', only, 'b']), err)
            self.assertEqual({'failed'}, {came['evict', image_id, 'bad'] for image_id in (both, only, lost)})
            self.assertIn('which has no data of it any more', err)  # of what was lost
            self.assertIn('bad: still there: 3 images', err)
        self.assertEqual({'a', 'bad'}, self.glance.stores_of(both))

    def test_full(self):
        first, second = self.image('a', size=MIB), self.image('a', size=MIB, tags=['x'])
        third = self.image('a', size=MIB)
        copy = 'image copy %s %s --to bad,b --wait --parallel 1' % (first, second)
        self.assertEqual((1, {('', first, 'bad'): 'copied', ('', first, 'b'): 'copied',
                              ('', second, 'bad'): 'failed', ('', second, 'b'): 'copied'}),
                         self.outcomes(copy, [])[:2])
        self.assertEqual([first], os.listdir(self.path))  # no part of the second
        place = 'image place --apply --rules ' + self.rules(x=['bad'])
        for more, said in ((self.reach(), 'no room in bad'), ([], '')):
            code, came, err = self.outcomes(place, more)
            self.assertEqual((1, {} if said else {('copy', second, 'bad'): 'failed'}), (code, came), err)
            self.assertIn(said, err)
        code, came, err = self.outcomes('store drain a --to bad')
        self.assertEqual((1, {('evict', first, 'a'): 'freed', ('evict', second, 'a'): 'freed'}), (code, came))
        self.assertIn('%s: it stays in a: it is its last copy, and there is no room in bad' % third, err)
        # What is full can be emptied, and then takes the image.
        self.assertEqual((0, {('', first, 'bad'): 'freed'}),
                         self.outcomes('image evict %s --from bad' % first)[:2])
        self.assertEqual((0, {('copy', second, 'bad'): 'copied'}), self.outcomes(place)[:2])

    def test_source_that_hangs(self):
        stuck, other = self.image('a', size=MIB), self.image('a')
        held = held_file.HeldFile(os.path.join(self.glance.dir('a'), stuck))
        self.addCleanup(lambda: held.held and held.release())
        drain = subprocess.Popen(
            cli.command('multistore-hooks') + 'store drain a --to b -f json'.split() + self.reach(),
            env=self.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        held.serve_half()
        poll.until('the copy of the other image', lambda: 'b' in self.glance.stores_of(other))
        for words, code, said in (
                ('image copy %s --to b --wait --timeout 2' % stuck, 1, 'is not in the store b'),
                ('image copy %s --to bad' % stuck, 1, 'another import holds the image'),
                ('image watch --timeout 2', 1, 'goes on'),
                ('image evict %s --from b' % stuck, 0, 'not there'),
                ('image stores %s' % stuck, 0, stuck)):
            found, out, err = self.run_words(words, self.reach() if 'evict' in words else ())
            self.assertEqual(code, found, words + err)
            self.assertIn(said, out + err, words)
        held.finish()
        out, err = drain.communicate(timeout=poll.SECONDS)
        self.assertEqual(0, drain.returncode, err)
        results = {(row['Action'], row['ID'], row['Store']): row['Result']
                   for row in json.loads(out.decode('utf-8'))}
        self.assertEqual(('copied', 'freed'), (results['copy', stuck, 'b'], results['evict', stuck, 'a']))
        self.assertEqual({'b'}, self.glance.stores_of(stuck))


@testtools.skipIf(ceph.unavailable(), ceph.unavailable() or '')
class CephTest(BadStoreTestCase):
    """The store ``bad`` is a pool of a cluster that goes down, or is full; ``b`` one of another cluster."""

    def make_glance(self):
        self.bad, self.other = ceph.sites()
        if 'ceph' not in _made:
            for cluster in (self.bad, self.other):
                cluster.add_pool('bad')
            _made['ceph'] = made = ceph_glance.Glance(shared.folder('stores-bad-ceph'), {
                'a': 'file', 'b': ceph_glance.store(self.other, 'bad'),
                'bad': ceph_glance.store(self.bad, 'bad', rados_connect_timeout=3)}, default='a')
            atexit.register(made.stop)
            made.start()
            _made['modules'] = modules = shared.folder('stores-bad-bindings')
            ceph.bindings(modules)
        self.useFixture(fixtures.MonkeyPatch('sys.path', sys.path + [_made['modules']]))
        return _made['ceph']

    def reach(self):
        return ['--reach', 'a=' + self.glance.dir('a'),
                '--reach', 'b=%s,user=%s,pool=bad' % (self.other.conf, self.other.user),
                '--reach', 'bad=%s,user=%s,pool=bad' % (self.bad.conf, self.bad.user)]

    def test_away(self):
        both = self.image('a', 'bad', size=MIB)
        one, two = self.image('a', size=MIB, tags=['x']), self.image('a', size=MIB, tags=['y'])
        place = 'image place --apply --rules ' + self.rules(x=['bad'], y=['b'])
        self.bad.stop()
        try:
            code, came, err = self.outcomes(place)
            self.assertEqual((1, {('copy', one, 'bad'): 'failed', ('copy', two, 'b'): 'copied'}),
                             (code, came), err)
            self.assertIn('the cluster does not respond', err)
            code, came, err = self.outcomes('image evict %s --from a' % both)
            self.assertEqual((1, {('', both, 'a'): 'refused'}), (code, came), err)
            code, came, err = self.outcomes('image evict %s --from bad' % both)
            self.assertEqual((1, {('', both, 'bad'): 'refused'}), (code, came), err)
        finally:
            self.bad.start()
        self.assertEqual({'a', 'bad'}, self.glance.stores_of(both))
