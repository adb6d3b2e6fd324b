# SPDX-License-Identifier: Apache-2.0
"""The commands that look after stores, against a real Glance with file stores, and with two Ceph clusters."""

import atexit
import contextlib
import os
import subprocess
import sys
import time
import types
import unittest
from unittest import mock

from lab import ceph
from lab import ceph_glance
from lab import poll
from multistore_hooks.cli import store
from tests.functional import cli
from tests.functional import shared
from tests.functional import stores_base

RULES = '''
rules:
  - {name: everywhere, match: {tag: everywhere}, in: [a, b, c]}
  - {name: archive, match: {tag: archive}, only: b}
'''


class FileStoresTest(stores_base.StoresTestCase):

    def test_rules_are_planned_applied_and_done(self):
        everywhere = self.glance.add_image(b'data', ['c'], tags=['everywhere'])
        archive = self.glance.add_image(b'more', ['a', 'c'], tags=['archive'])
        words = 'image place --rules ' + self.write('rules', RULES)
        code, rows = self.rows(words, 'Action', 'ID', 'Store')
        mine = {row for row in rows if row[1] in (everywhere, archive)}
        self.assertEqual((1, {('copy', everywhere, 'a'), ('copy', everywhere, 'b'), ('copy', archive, 'b'),
                              ('evict', archive, 'a'), ('evict', archive, 'c')}), (code, mine))
        self.assertEqual((['c'], ['a', 'c']), (self.held(everywhere), self.held(archive)))
        prom = os.path.join(self.folder, 'x.prom')
        code, rows = self.rows('%s --apply --prometheus %s' % (words, prom), 'Result')
        self.assertEqual((0, {('copied',), ('freed',)}), (code, set(rows)))
        self.assertEqual((['a', 'b', 'c'], ['b']), (self.held(everywhere), self.held(archive)))
        self.assertEqual((0, []), self.rows(words, 'Action'))
        with open(prom, encoding='utf-8') as stream:
            self.assertIn('multistore_hooks_copies_wanted 0\n', stream.read())

    def test_images_of_every_visibility_and_project_lose_a_copy_and_deleted_ones_are_said(self):
        for more in ({'visibility': 'public'}, {'visibility': 'community'}, {'visibility': 'shared'},
                     {'os_hidden': True}, {'protected': True}, {'token': stores_base.MEMBER}):
            one = self.glance.add_image(b'data', ['a', 'b'], **more)
            self.assertEqual((0, [('freed',)]), self.rows('image evict %s --from b' % one, 'Result'), more)
            self.assertEqual(['a'], self.held(one))
        gone = self.glance.add_image(b'data', ['a', 'b'])
        self.glance.request('DELETE', '/v2/images/' + gone)
        self.assertEqual(2, self.run_words('image evict %s --from b' % gone, self.reach())[0])

    def test_member_gets_one_line(self):
        one = self.glance.add_image(b'data', ['a', 'b'], token=stores_base.MEMBER)
        for words in ('image evict %s --from b' % one, 'store drain b', 'store check b',
                      'image place --apply --rules ' + self.write('rules', RULES)):
            code, out, err = self.run_words(words, self.reach(), token=stores_base.MEMBER)
            self.assertEqual((2, '', 1), (code, out, err.count('\n')), words)
            self.assertIn("not an administrator's", err)
        self.assertEqual(['a', 'b'], self.held(one))

    def test_without_proof_nothing_goes(self):
        one = self.glance.add_image(b'data', ['a', 'b'])
        self.assertEqual(1, self.run_words('image evict %s --from b' % one)[0])
        os.unlink(os.path.join(self.glance.dir('a'), one))
        code, rows = self.rows('image evict %s --from b' % one, 'Result', 'Reason')
        self.assertEqual((1, 'refused'), (code, rows[0][0]))
        self.assertIn('a: it has no data of it', rows[0][1])
        self.assertEqual(['b'], self.held(one))

    def test_read_through_glance_is_proof_only_if_it_is_accepted(self):
        one = self.glance.add_image(b'data', ['a', 'b'])
        self.assertEqual((0, [('freed',)]), self.rows(
            'image evict %s --from b --accept-reads' % one, 'Result', more=[]))

    def test_record_without_data_is_mended_and_data_without_record_is_not_touched(self):
        one, other = self.glance.add_image(b'data', ['a', 'b']), self.glance.add_image(b'data', ['b'])
        os.unlink(os.path.join(self.glance.dir('b'), one))
        orphan = os.path.join(self.glance.dir('b'), 'c0ffee00-0000-4000-8000-000000000000')
        with open(orphan, 'wb') as stream:
            stream.write(b'x')
        self.addCleanup(os.unlink, orphan)
        code, rows = self.rows('store check b --mend --verify', 'Finding', 'Name', 'Mended')
        self.assertEqual(1, code)
        self.assertIn(('record without data', one, 'yes'), rows)
        self.assertIn(('data without a record', 'c0ffee00-0000-4000-8000-000000000000',
                       'refused: --mend removes no data; see store data remove'), rows)
        self.assertEqual({'a'}, self.glance.stores_of(one))
        self.assertEqual((['b'], True), (self.held(other), os.path.exists(orphan)))

    def test_store_that_is_away_is_tried_again_later(self):
        one = self.glance.add_image(b'data', ['a'], tags=['everywhere'])
        words = 'image place --apply --rules ' + self.write('rules', RULES)
        more = ['--reach', 'a=' + self.glance.dir('a'), '--reach', 'b=' + self.glance.dir('b')]
        away = self.glance.dir('c') + '.away'
        os.rename(self.glance.dir('c'), away)
        try:
            code, rows = self.rows(words, 'ID', 'Store', 'Result', more=more)
        finally:
            os.rename(away, self.glance.dir('c'))
        self.assertEqual(1, code)
        self.assertIn((one, 'b', 'copied'), rows)
        self.assertIn((one, 'c', 'failed'), rows)
        code, rows = self.rows(words, 'ID', 'Store', 'Result', more=more)
        self.assertIn((one, 'c', 'copied'), rows)
        self.assertEqual(['a', 'b', 'c'], self.held(one))

    def test_two_evictors_at_once_leave_a_copy(self):
        for _unused in range(3):
            one = self.glance.add_image(b'data', ['a', 'b'])
            running = [subprocess.Popen(
                cli.command('multistore-hooks') + ['image', 'evict', one, '--from', store] + self.reach(),
                env=self.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for store in 'ab']
            codes = [process.wait(cli.TIMEOUT) for process in running]
            self.assertEqual(1, len(self.held(one)))
            self.assertEqual([0, 1], sorted(codes))


class DrainTest(stores_base.StoresTestCase):
    """A Glance of its own, as all that is in a store goes."""

    def make_glance(self):
        return shared.glance('drain', stores={'a': 'file', 'b': 'file', 'c': 'file'}, default='a',
                             faults=True)

    def add(self):
        return self.glance.add_image(b'data', ['c']), self.glance.add_image(b'data', ['b', 'c'])

    def test_store_is_emptied(self):
        only, both = self.add()
        code, _rows = self.rows('store drain c --to b', 'Result')
        self.assertEqual((0, ['b'], ['b']), (code, self.held(only), self.held(both)))
        self.assertEqual([], [name for name in self.glance.files('c')])
        self.assertEqual((0, []), self.rows('store drain c --to b', 'Result'))


@unittest.skipIf(ceph.unavailable(), ceph.unavailable())
class CephTest(stores_base.StoresTestCase):
    """Stores in two Ceph clusters, and clones of what is in them."""

    _made = []

    def make_glance(self):
        self.a, self.b = ceph.sites()
        if not self._made:
            made = ceph_glance.Glance(shared.folder('stores-ceph'), {
                'central': 'file', 'dcn1': ceph_glance.store(self.a), 'dcn10': ceph_glance.store(self.b)},
                default='central')
            atexit.register(made.stop)
            made.start()
            modules = shared.folder('stores-bindings')
            ceph.bindings(modules)
            self._made.extend([made, modules])
        if self._made[1] not in sys.path:
            sys.path.append(self._made[1])
        return self._made[0]

    def reach(self):
        return ['--reach', 'central=' + self.glance.dir('central'),
                '--reach', 'dcn1=%s,user=%s' % (self.a.conf, self.a.user),
                '--reach', 'dcn10=%s,user=%s' % (self.b.conf, self.b.user)]

    def image(self, *stores):
        return self.glance.add_image(os.urandom(1 << 20), list(stores), disk_format='raw')

    def clone(self, image, form):
        self.a.rbd('clone', '--rbd-default-clone-format', str(form), 'images/%s@snap' % image,
                   'vms/clone-%s' % image)

    @staticmethod
    def later(seconds):
        """Let the command believe that time went by."""
        now = time.time() + seconds
        return mock.patch.object(store, 'time', types.SimpleNamespace(time=lambda: now))

    @contextlib.contextmanager
    def watched(self, name):
        """Have a client that watches an image of the pool."""
        client = subprocess.Popen(['rbd', '--conf', self.b.conf, 'watch', 'images/' + name],
                                  env=ceph.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)  # it ends with its input
        try:
            poll.until('a watcher', lambda: 'watcher=' in self.b.rbd('status', 'images/' + name))
            yield
        finally:
            client.communicate()
            poll.until('no watcher', lambda: 'watcher=' not in self.b.rbd('status', 'images/' + name))

    def test_pool_and_snapshot_prove_a_copy(self):
        one = self.image('central', 'dcn1')
        self.assertEqual((0, [('freed', '')]),
                         self.rows('image evict %s --from central' % one, 'Result', 'Reason'))
        self.assertEqual({'dcn1'}, self.glance.stores_of(one))
        self.assertNotIn(one, self.glance.files('central'))

    def test_copy_whose_upload_was_not_completed_proves_nothing(self):
        one = self.image('central', 'dcn1')
        self.a.rbd('snap', 'unprotect', 'images/%s@snap' % one)
        self.a.rbd('snap', 'rm', 'images/%s@snap' % one)
        code, rows = self.rows('image evict %s --from central' % one, 'Reason')
        self.assertEqual(1, code)
        self.assertIn('dcn1: its upload was not completed there', rows[0][0])

    def test_copy_with_clones_stays_whatever_their_format(self):
        for form in (1, 2):
            one = self.image('central', 'dcn1')
            self.clone(one, form)
            refused = 1, [('refused', 'used by 1 clone there: removing it would free nothing')]
            self.assertEqual(refused, self.rows('image evict %s --from dcn1' % one, 'Result', 'Reason'), form)
            # A clone in the trash of another pool holds the data all the same.
            self.a.rbd('trash', 'mv', 'vms/clone-' + one)
            self.assertEqual(refused, self.rows('image evict %s --from dcn1' % one, 'Result', 'Reason'), form)

    def test_copy_with_clones_goes_to_the_trash_or_is_refused_by_glance(self):
        for form, state in ((1, 'refused'), (2, 'moved to trash')):
            one = self.image('central', 'dcn1')
            self.clone(one, form)
            _code, rows = self.rows('image evict %s --from dcn1 --in-use' % one, 'Result', 'Reason')
            self.assertEqual(state, rows[0][0], rows)
            self.assertIn(one, self.glance.files('central'))
        self.assertIn('1.0 MiB there, held by 1 clone', rows[0][1])
        _code, _out, err = self.run_words('store drain dcn1 --to central --dry-run', self.reach())
        self.assertEqual('', err)

    def test_check_of_a_pool(self):
        one, lost, short = self.image('central', 'dcn10'), self.image('central', 'dcn10'), self.image('dcn10')
        for image in (lost,):
            self.b.rbd('snap', 'unprotect', 'images/%s@snap' % image)
            self.b.rbd('snap', 'purge', 'images/%s' % image)
            self.b.rbd('rm', 'images/%s' % image)
        self.b.rbd('create', '--size', '4M', 'images/c0ffee00-0000-4000-8000-000000000001')
        self.b.rbd('create', '--size', '4M', 'images/something')
        code, rows = self.rows('store check dcn10 --verify --mend', 'Finding', 'Name', 'Mended')
        self.assertEqual(1, code)
        self.assertIn(('record without data', lost, 'yes'), rows)
        refused = 'refused: --mend removes no data; see store data remove'
        self.assertIn(('data without a record', 'c0ffee00-0000-4000-8000-000000000001', refused), rows)
        self.assertIn(('data without a record', 'something', refused), rows)
        self.assertNotIn(one, [row[1] for row in rows])
        self.assertNotIn(short, [row[1] for row in rows])
        self.assertIn('something', self.b.rbd('ls', 'images'))

    def test_data_without_a_record_goes_to_the_trash_at_the_second_run(self):
        orphan, used, watched = ('c0ffee00-0000-4000-8000-00000000001%d' % number for number in range(3))
        copy = self.image('central', 'dcn10')
        for name in (orphan, used, watched):
            self.b.rbd('create', '--size', '4M', 'images/' + name)
        self.b.rbd('snap', 'create', 'images/%s@snap' % used)
        self.b.rbd('clone', '--rbd-default-clone-format', '2', 'images/%s@snap' % used, 'vms/clone-' + used)
        seen = os.path.join(self.folder, 'seen')
        words = 'store data remove dcn10 %s %s %s %s --seen %s' % (orphan, used, watched, copy, seen)

        def run():
            return self.rows(words, 'Name', 'Result', 'Reason')

        young = 'it was changed less than 24 hours ago'
        code, rows = run()
        self.assertEqual((1, [(orphan, 'refused', young), (used, 'refused', 'used by 1 clone'),
                              (watched, 'refused', young), (copy, 'refused', 'its record lists the store')]),
                         (code, rows))
        with self.later(2 * 86400), self.watched(watched):
            self.assertEqual(['not yet', 'refused', 'refused'], [row[1] for row in run()[1][:3]])
        with self.later(2 * 86400 + 3600), self.watched(watched):
            code, rows = run()
        self.assertEqual((1, [(orphan, 'moved to trash', 'rbd trash restore brings it back'),
                              (used, 'refused', 'used by 1 clone'),
                              (watched, 'refused', 'open at 1 client')]), (code, rows[:3]))
        self.assertIn(orphan, self.b.rbd('trash', 'ls', 'images'))
        self.assertEqual({orphan, used, watched, copy} - {orphan},
                         {orphan, used, watched, copy} & set(self.b.rbd('ls', 'images').split()))

    def test_another_cluster_is_not_taken_for_the_store(self):
        code, _out, err = self.run_words('store check dcn1', ['--reach', 'dcn1=%s,user=%s' % (
            self.b.conf, self.b.user)])
        self.assertEqual(2, code)
        self.assertIn('the store is in %s' % self.a.fsid, err)
