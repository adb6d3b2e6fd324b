# SPDX-License-Identifier: Apache-2.0
"""The verbs that look after stores: a store that is full, read-only or away; killed at each request."""

import itertools
import os
from unittest import mock

import fixtures
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.stores import inventory
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from tests import clock
from tests import fake_glance
from tests import fake_rbd
from tests.unit.cli import image_base
from tests.unit.cli import test_stores
from tests.unit import exhaustive
from tests.unit.stores import fakes

ORPHAN = 'c0ffee00-0000-4000-8000-000000000000'
NOW = 1767225600.0 + 40 * 86400


class BadStoreTest(test_stores.StoresTestCase):
    """What each verb says, and does, where the store 'cheap' cannot be used."""

    def setUp(self):
        super().setUp()
        # What is waited for takes no time.
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cli.upkeep.time', clock.Clock()))
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cli.image_copies._Clock',
                                             lambda wait, ended: clock.Clock()))
        self.both = self.add('cheap', 'fast', tags=['both'])
        self.only = self.add('cheap', tags=['only'])
        self.fast = self.add('fast', tags=['fast'])
        self.rules = self.write('rules.yaml', '''
            rules:
              - {name: to cheap, match: {tag: fast}, in: cheap}
              - {name: from cheap, match: {tag: [both, only]}, only: fast}
            ''')

    def outcome(self, words):
        """Run a verb; return its exit code, and check what holds for all."""
        code, out, err = self.run_words(words + ' -f json')
        self.assertNotIn('internal error', err, words)
        if code == 2:
            self.assertEqual(('', 1), (out, err.count('\n')), words)
        for image_id in (self.both, self.only, self.fast):
            self.assertNotEqual([], self.glance.where(image_id), words)
        return code, out + err

    def check(self, words, code, *texts):
        found, printed = self.outcome(words)
        for text in texts:
            self.assertIn(text, printed, words)
        self.assertEqual(code, found, words + '\n' + printed)

    def test_full(self):
        self.glance.stores['cheap'] = fake_glance.FULL
        self.check('store list', 0)
        self.check('image list --store cheap', 0, self.both, self.only)
        self.check('image copy %s --to cheap --wait' % self.fast, 1, 'failed')
        self.check('store check cheap --mend', 0)
        self.check('image place --apply --rules ' + self.rules, 1, 'failed', 'freed')
        self.assertEqual(['fast'], self.glance.where(self.fast))
        self.assertEqual((['fast'], ['fast']), (self.glance.where(self.both), self.glance.where(self.only)))
        self.check('image watch', 0)
        self.check('store drain fast --to cheap', 1, 'failed')
        self.assertEqual(['fast'], self.glance.where(self.only))

    def test_full_by_what_its_place_reports(self):
        self.places['cheap'].space = lambda: inventory.Space(100, 3)
        rules = self.write('to.yaml', 'rules: [{name: a, match: {tag: fast}, in: cheap}]')
        self.check('image place --rules ' + rules, 1, 'no room in cheap')
        self.check('store drain fast --to cheap --dry-run', 1, 'there is no room in cheap')

    def test_read_only(self):
        self.check('store list', 0, '"Read Only": true')
        self.check('image list --not-in web', 0, self.both)
        self.check('image copy %s --to web' % self.fast, 2, 'web')
        self.check('store drain fast --to web', 2, 'web')
        self.check('image place --rules ' + self.write('web', 'rules: [{name: a, in: web}]'), 2, 'web')
        self.check('image evict %s --from web' % self.both, 0, 'not there')
        self.check('store check web', 2, '--reach web=PLACE')
        self.assertEqual([], self.glance.requests('POST', '/import$'))

    def test_away_for_this_host(self):
        self.places['cheap'].away = 'no route'
        self.check('store list', 0)
        self.check('image list --store cheap', 0, self.both)
        self.check('store check cheap --mend', 2, 'no route')
        self.check('image evict %s --from fast' % self.both, 1, 'no route')
        self.check('store drain fast --to cheap', 1, 'no route')
        self.assertEqual(['cheap', 'fast'], self.glance.where(self.both))
        self.check('image place --apply --rules ' + self.rules, 1)
        self.assertIn('fast', self.glance.where(self.only))

    def test_away_for_glance(self):
        self.glance.stores['cheap'] = fake_glance.FAILING
        self.check('image copy %s --to cheap --wait' % self.fast, 1, 'failed')
        self.check('image place --apply --rules ' + self.rules, 1, 'failed')
        self.assertEqual(['fast'], self.glance.where(self.fast))
        self.check('store drain fast --to cheap', 1, 'failed')


class Killed(BaseException):
    """The command was killed."""


class Watched:
    """A Glance that kills its client at one request: before it is sent, or after it took effect."""

    def __init__(self, glance, at=None, when=None):
        self.glance, self.at, self.when, self.requests = glance, at, when, 0

    def __call__(self, environ, start_response):
        self.requests += 1
        if (self.requests, 'before') == (self.at, self.when):
            raise Killed()
        body = self.glance(environ, start_response)
        if (self.requests, 'after') == (self.at, self.when):
            raise Killed()
        return body


@exhaustive.on_one_python
class KilledTest(test_stores.StoresTestCase):
    """Killed at any request, and run again, a verb comes to the end that it has undisturbed."""

    def world(self, kill=(None, None)):
        """Make a Glance and places anew, with an image of every kind."""
        self.glance = image_base.ListingGlance({
            'reliable': fake_glance.FILE, 'fast': fake_glance.FILE, 'cheap': fake_glance.FILE,
            'web': fake_glance.READ_ONLY})
        ids = ('00000000-0000-4000-8000-%012d' % number for number in itertools.count())
        self.both = self.add('cheap', 'fast', id=next(ids), tags=['out'])
        self.only = self.add('cheap', id=next(ids), tags=['out'])
        self.lost = self.add('cheap', 'fast', id=next(ids))
        self.wanted = self.add('fast', id=next(ids), tags=['in'])
        self.glance.lose(self.lost, 'cheap')
        self.places = {store: fakes.MemoryPlace(self.glance, store, 'file')
                       for store in ('reliable', 'fast', 'cheap')}
        self.application = Watched(self.glance, *kill)

    def _connect(self, options):
        return image_base.connection(self.application, self.token)

    def state(self):
        return ({image_id: (self.glance.where(image_id), sorted(self.glance.listed(image_id)))
                 for image_id in self.glance.images}, self.glance.namespaces)

    def each_kill(self, words, prepare=lambda: None):
        """Kill a verb at each of its requests, and run it again."""
        self.world()
        prepare()
        code = self.run_words(words)[0]
        end, requests = self.state(), self.application.requests
        gone = lock.holder().replace('process %d ' % os.getpid(), 'process %d ' % 2 ** 22)
        for at, when in itertools.product(range(1, requests + 1), ('before', 'after')):
            self.world((at, when))
            prepare()
            with mock.patch.object(lock, 'holder', lambda: gone), testtools.ExpectedException(Killed):
                self.run_words(words)
            for image_id in (self.both, self.only, self.lost, self.wanted):
                self.assertNotEqual([], self.glance.where(image_id), '%s: %s %d' % (words, when, at))
            again = self.run_words(words)[0]
            self.assertEqual(end, self.state(), '%s: killed %s request %d' % (words, when, at))
            self.assertIn(again, (0, code), '%s: %s %d' % (words, when, at))
        return requests

    def test_evict(self):
        self.world()
        self.assertGreater(self.each_kill('image evict %s --from cheap' % self.both), 8)
        self.assertEqual(['fast'], self.glance.where(self.both))

    def test_drain(self):
        self.assertGreater(self.each_kill('store drain cheap --to reliable'), 20)
        self.assertEqual(['reliable'], self.glance.where(self.only))

    def test_place(self):
        rules = self.write('rules', 'rules: [{name: a, match: {tag: in}, in: cheap}, '
                           '{name: b, match: {tag: out}, only: fast}]')
        self.assertGreater(self.each_kill('image place --apply --rules ' + rules), 20)
        self.assertEqual((['cheap', 'fast'], ['fast']),
                         (self.glance.where(self.wanted), self.glance.where(self.only)))

    def test_check_and_mend(self):
        self.assertGreater(self.each_kill('store check cheap --mend'), 8)
        self.assertEqual(['fast'], self.glance.listed(self.lost))

    def test_data_remove(self):
        seen = os.path.join(self.folder, 'seen')
        words = 'store data remove cheap %s --seen %s' % (ORPHAN, seen)

        def prepare():
            ceph = fake_rbd.ceph(clock.Clock())
            access = cluster.Access(ceph.rados, ceph.rbd, None, None, cluster.call_natively)
            self.places['cheap'] = places.Pool(cluster.Cluster(access), ceph.rbd, 'images', 'f')
            for name in (ORPHAN, self.both):
                ceph.rbd.images['images', name] = fake_rbd.Image(4)
                ceph.rbd.images['images', name].changed = NOW - 2 * 86400
            self.ceph = ceph
            application, self.application = self.application, Watched(self.glance)
            with mock.patch('time.time', lambda: NOW - 3600):
                self.run_words(words)
            self.application = application

        with mock.patch('time.time', lambda: NOW):
            self.assertGreater(self.each_kill(words, prepare), 8)
        self.assertEqual([('images', ORPHAN)], self.ceph.rbd.trashed)
        self.assertIn(('images', self.both), self.ceph.rbd.images)
