# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks store ...`` and ``image list|evict|place|watch`` on a fake Glance."""

import io
import json
import os
from unittest import mock

import fixtures
import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_record
from multistore_hooks.cli import image_evict
from multistore_hooks.cli import image_list
from multistore_hooks.cli import image_place
from multistore_hooks.cli import image_watch
from multistore_hooks.cli import main
from multistore_hooks.cli.osc import stores as osc_stores
from multistore_hooks.cli import progress
from multistore_hooks.cli import store
from multistore_hooks.cli import store_names
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.stores import apply
from multistore_hooks.stores import inventory
from multistore_hooks.stores import places
from multistore_hooks.stores import reach
from tests import clock
from tests import contract
from tests import fake_glance
from tests import fake_rbd
from tests.unit.cli import image_base
from tests.unit import modules
from tests.unit import program
from tests.unit.stores import fakes


class StoresTestCase(image_base.ImageTestCase):
    """The stores reliable, fast (default) and cheap are read without Glance, too."""

    def setUp(self):
        super().setUp()
        self.places = {store: fakes.MemoryPlace(self.glance, store, 'file')
                       for store in ('reliable', 'fast', 'cheap')}
        self.reached = True
        self.useFixture(fixtures.MockPatchObject(
            reach, 'places_of', lambda *unused: self.places if self.reached else {}))
        self.folder = self.useFixture(fixtures.TempDir()).path

    def run_words(self, words):
        """Return exit code, output and errors of a command line."""
        return program.run(main.main, *words.split())

    def rows(self, words, *columns):
        """Return the exit code, and some columns of what is printed as JSON."""
        code, out, err = self.run_words(words + ' -f json')
        self.assertNotIn('internal error', err)
        return code, [tuple(row[name] for name in columns) for row in json.loads(out)]

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        return path

    def read(self, path):
        with open(path, encoding='utf-8') as stream:
            return stream.read()


class StoreListTest(StoresTestCase):

    def test_stores_with_images_and_bytes(self):
        self.add('fast', 'cheap')
        self.add('fast', os_hidden=True)
        self.glance.details = {'fast': {'type': 'rbd', 'pool': 'images', 'fsid': 'f'}}
        code, rows = self.rows('store list', 'ID', 'Default', 'Read Only', 'Type', 'Place', 'Images', 'Size',
                               'Free')
        self.assertEqual((0, [
            ('reliable', False, False, 'file', '', 0, 0, 50),
            ('fast', True, False, 'rbd', 'images', 2, 8, 50),
            ('cheap', False, False, 'file', '', 1, 4, 50), ('web', False, True, 'http', '', 0, 0, '')]),
            (code, rows))

    def test_images_of_a_store_that_glance_does_not_have_any_more_are_counted(self):
        self.add('cheap')
        del self.glance.stores['cheap']
        _code, rows = self.rows('store list', 'ID', 'Type', 'Images')
        self.assertEqual(('cheap', 'unknown here', 1), rows[-1])

    def test_for_people_sizes_have_units(self):
        self.add('fast')
        self.assertIn('4 B', self.run_words('store list')[1])

    def test_member_sees_what_it_may(self):
        self.token = contract.MEMBER
        code, rows = self.rows('store list', 'ID', 'Type')
        self.assertEqual((0, ('fast', '')), (code, rows[1]))

    def test_glance_with_one_store(self):
        self.glance.stores = {}
        code, _out, err = self.run_words('store list')
        self.assertEqual((2, 1), (code, err.count('\n')))


class ImageListTest(StoresTestCase):

    def test_by_store(self):
        one, two, three = self.add('fast', 'cheap'), self.add('fast'), self.add('reliable')
        self.assertEqual((0, [(two,), (one,)]), self.rows('image list --store fast', 'ID'))
        self.assertEqual((0, [(three,), (one,)]), self.rows('image list --store cheap,reliable', 'ID'))
        self.assertEqual((0, [(three,)]), self.rows('image list --not-in fast', 'ID'))
        self.assertEqual((0, [(two,)]), self.rows('image list --store fast --not-in cheap', 'ID'))

    def test_by_use(self):
        old, new, unknown = (self.add('fast') for _unused in range(3))
        path = self.write('usage', '# of Nova\n%s,2020-01-01T00:00:00Z\n%s, in use\n' % (old, new))
        with mock.patch('time.time', lambda: 1893456000.0):
            code, rows = self.rows('image list --unused-for 60d --usage ' + path, 'ID', 'Last Used')
        self.assertEqual((0, [(old, '2026-01-01T00:00:00Z')]), (code, rows))  # when it was made
        _code, rows = self.rows('image list --usage ' + path, 'ID', 'Last Used')
        self.assertEqual([(unknown, ''), (new, 'in use'), (old, '2026-01-01T00:00:00Z')], rows)

    def test_wrong_input_is_one_line(self):
        bad = self.write('usage', 'x,soon\n')
        for words, why in (('--store nope', "--store names the Glance store 'nope', which does not exist"),
                           ('--usage ' + bad, "line 1: 'soon' is no time"),
                           ('--usage /nonexistent', 'No such file or directory')):
            code, out, err = self.run_words('image list ' + words)
            self.assertEqual((2, '', 1), (code, out, err.count('\n')))
            self.assertIn(why, err)
        self.assertEqual(2, self.run_words('image list --unused-for soon')[0])


class EvictTest(StoresTestCase):

    def test_copies_go(self):
        one, two = self.add('fast', 'cheap', name='one'), self.add('cheap', name='two')
        code, rows = self.rows('image evict one two --from cheap', 'ID', 'Result', 'Reason')
        self.assertEqual((1, [(one, 'freed', ''), (two, 'refused', 'it is the last copy')]), (code, rows))
        self.assertEqual((['fast'], ['cheap']), (self.glance.where(one), self.glance.where(two)))

    def test_dry_run_changes_nothing(self):
        one = self.add('fast', 'cheap')
        code, rows = self.rows('image evict %s --from cheap --dry-run' % one, 'Result', 'Reason')
        self.assertEqual((0, [('possible', 'fast holds it (seen in its own place)')]), (code, rows))
        self.assertEqual([], [entry for entry in self.glance.log if entry[0] in ('DELETE', 'POST')])

    def test_nothing_that_a_rule_wants(self):
        one, two = self.add('fast', 'cheap', name='one'), self.add('fast', 'cheap', name='two')
        path = self.write('rules', '{rules: [{name: r, match: {name: one}, in: cheap}]}')
        code, rows = self.rows('image evict one two --from cheap --rules ' + path, 'ID', 'Result', 'Reason')
        self.assertEqual((1, [(one, 'refused', "the rule 'r' wants it there"), (two, 'freed', '')]),
                         (code, rows))

    def test_unknown_image_or_store_removes_nothing(self):
        one = self.add('fast', 'cheap')
        for words in ('image evict %s nope --from cheap' % one, 'image evict %s --from nope' % one):
            code, _out, err = self.run_words(words)
            self.assertEqual((2, 1), (code, err.count('\n')))
        self.assertEqual(['cheap', 'fast'], self.glance.where(one))

    def test_member_gets_an_error(self):
        self.token = contract.MEMBER
        code, _out, err = self.run_words('image evict %s --from cheap' % self.add('fast', 'cheap'))
        self.assertEqual(2, code)
        self.assertIn("These credentials are not an administrator's (", err)

    def test_without_proof_it_stays(self):
        self.reached = False
        one = self.add('fast', 'cheap')
        self.assertEqual(1, self.run_words('image evict %s --from cheap' % one)[0])
        self.assertEqual(0, self.run_words('image evict %s --from cheap --accept-reads' % one)[0])


class DrainTest(StoresTestCase):

    def test_store_is_emptied(self):
        only, both, other = self.add('cheap'), self.add('cheap', 'reliable'), self.add('fast')
        code, rows = self.rows('store drain cheap', 'Action', 'ID', 'Store', 'Result')
        self.assertEqual((0, [('copy', only, 'fast', 'copied'), ('evict', only, 'cheap', 'freed'),
                              ('evict', both, 'cheap', 'freed')]), (code, sorted(rows, key=lambda row: (
                                  row[0], [only, both].index(row[1])))))
        self.assertEqual([['fast'], ['reliable'], ['fast']], [self.glance.where(one) for one in (
            only, both, other)])
        self.assertEqual((0, []), self.rows('store drain cheap', 'ID'))

    def test_what_an_earlier_copy_left_in_the_record_when_it_failed_needs_no_third_run(self):
        one = self.add('cheap', os_glance_importing_to_stores='fast')
        self.glance.tasks[one] = [{'id': 't', 'status': 'failure', 'owner': 'admin'}]
        self.assertEqual((0, [('copied', ), ('freed', )]), self.rows('store drain cheap --to fast', 'Result'))
        self.assertEqual(['fast'], self.glance.where(one))

    def test_dry_run_reads_like_a_diff(self):
        one = self.add('cheap', name='one')
        code, out, _err = self.run_words('store drain cheap --to reliable --dry-run')
        self.assertEqual(1, code)
        self.assertEqual(['  %s one  (4 B)' % one, '+   reliable  (drain of cheap)', '-   cheap  (drain '
                                                                                     'of cheap)',
                          '1 copy (4 B) in 1 import, 1 eviction (4 B).'], out.splitlines())
        self.assertEqual(['cheap'], self.glance.where(one))

    def test_what_stays_is_said(self):
        used = self.add('cheap', 'fast')
        self.places['cheap'].clones[used] = 2
        code, out, err = self.run_words('store drain cheap')
        self.assertEqual(1, code)
        self.assertIn('refused (used by 2 clones there', err)
        self.assertIn('cheap: still there: 1 image', err)

    def pool(self):
        """Let the place of the store cheap be a pool; return its fake cluster."""
        ceph = fake_rbd.ceph(clock.Clock())
        access = cluster.Access(ceph.rados, ceph.rbd, None, None, cluster.call_natively)
        self.places['cheap'] = places.Pool(cluster.Cluster(access), ceph.rbd, 'images', 'f')
        self.places['cheap'].space = lambda: inventory.Space(100, 50)
        return ceph

    def test_store_with_something_in_the_trash_of_its_pool_is_not_empty(self):
        ceph = self.pool()
        self.assertEqual((0, 'multistore-hooks: cheap: no image is there by the records\n'),
                         self.run_words('store drain cheap')[::2])
        ceph.rbd.trashed.append(('images', 'x'))
        code, _out, err = self.run_words('store drain cheap')
        self.assertEqual(1, code)
        self.assertIn('no image is there by the records, and 1 in the trash of its pool', err)

    def test_trash_that_is_not_known_is_said(self):
        ceph = self.pool()

        def away(ioctx):
            raise ceph.rbd.Error('no route')

        ceph.rbd.trash_list = away
        code, _out, err = self.run_words('store drain cheap')
        self.assertEqual(1, code)
        self.assertIn('what is in the trash of its pool is not known', err)
        self.reached = False
        self.glance.details = {'cheap': {'type': 'rbd', 'pool': 'images', 'fsid': 'f'}}
        code, _out, err = self.run_words('store drain cheap')
        self.assertEqual(0, code)
        self.assertIn('what is in the trash of its pool is not known without --reach', err)

    def test_default_store_needs_a_target(self):
        code, _out, err = self.run_words('store drain fast')
        self.assertEqual(2, code)
        self.assertIn('Say with --to where the images of fast are to go', err)
        self.assertEqual(2, self.run_words('store drain cheap --to cheap')[0])

    def test_one_store_is_named_by_itself(self):
        one = self.add('cheap', 'fast', 'reliable')
        for words in ('store drain all --to reliable', 'store drain cheap,fast --to reliable',
                      'image evict %s --from all' % one, 'image evict %s --from cheap,fast' % one,
                      'image evict %s --from %s' % (one, self.write('stores', 'cheap'))):
            code, out, err = self.run_words(words)
            self.assertEqual((2, ''), (code, out), words)
            self.assertIn('which does not exist', err)
        self.assertEqual(['cheap', 'fast', 'reliable'], self.glance.where(one))

    def test_progress_is_shown_before_anything_has_come_of_it(self):
        one = self.add('cheap', name='one')
        code, out, err = self.run_words('store drain cheap -f csv')
        lines = err.splitlines()
        self.assertEqual(0, code)
        self.assertRegex(lines[0], r'multistore-hooks: \+fast %s one: copying \d+ ' % one)
        self.assertIn('+fast %s one: copied' % one, lines[1])
        self.assertNotIn('copying', out)

    def test_progress_on_a_terminal_begins_with_the_reading_and_leaves_nothing_on_it(self):
        self.add('cheap', name='one')
        screen = io.StringIO()
        bars = progress.Bars(screen)
        with mock.patch.object(progress, 'make_progress', lambda stream: bars):
            code, _out, err = self.run_words('store drain cheap')
        self.assertEqual(0, code)
        self.assertNotIn('copying', err)
        shown = screen.getvalue().splitlines()
        self.assertIn('reading the records of all images, 0:00', shown[0])
        self.assertTrue(any('one [' in line and '-> fast, 0:00' in line for line in shown), shown)
        self.assertTrue(screen.getvalue().endswith('\x1b[J'), screen.getvalue()[-40:])

    def test_ctrl_c_says_what_goes_on(self):
        self.glance.copies_at_once = False
        one = self.add('cheap', name='one')
        applier = apply.Applier._poll

        def stop(self, running):
            applier(self, running)
            raise KeyboardInterrupt()

        with mock.patch.object(apply.Applier, '_poll', stop):
            code, _out, err = self.run_words('store drain cheap')
        self.assertEqual(130, code)
        self.assertIn('Glance goes on copying %s one to fast.' % one, err)
        self.assertIn('The same command again goes on where this one was.', err)


class PlaceTest(StoresTestCase):

    RULES = '''
        rules:
          - {name: everywhere, match: {visibility: public}, in: all}
          - {name: here, match: {tag: here}, only: fast}
        '''

    def setUp(self):
        super().setUp()
        self.rules = self.write('rules.yaml', self.RULES)

    def test_plan_is_printed_and_nothing_changed(self):
        one, two = self.add('fast', visibility='public'), self.add('fast', 'cheap', tags=['here'])
        code, out, _err = self.run_words('image place --rules ' + self.rules)
        self.assertEqual(1, code)
        self.assertIn('+   reliable  (everywhere)', out)
        self.assertIn('-   cheap  (here)', out)
        self.assertEqual([], [entry for entry in self.glance.log if entry[0] in ('DELETE', 'POST')])
        _code, rows = self.rows('image place --rules ' + self.rules, 'Action', 'ID', 'Store', 'Why')
        self.assertEqual({('copy', one, 'reliable', 'everywhere'), ('copy', one, 'cheap', 'everywhere'),
                          ('evict', two, 'cheap', 'here')}, set(rows))

    def test_apply_and_again(self):
        one, two = self.add('fast', visibility='public'), self.add('fast', 'cheap', tags=['here'])
        code, rows = self.rows('image place --apply --rules ' + self.rules, 'Action', 'Result')
        self.assertEqual((0, [('copy', 'copied'), ('copy', 'copied'), ('evict', 'freed')]),
                         (code, sorted(rows)))
        self.assertEqual((['cheap', 'fast', 'reliable'], ['fast']),
                         (self.glance.where(one), self.glance.where(two)))
        code, out, _err = self.run_words('image place --rules ' + self.rules)
        self.assertEqual((0, 'Nothing to do.\n'), (code, out))

    def test_runs_with_a_limit_on_bytes_come_to_the_same_end(self):
        one = self.add('fast', visibility='public')
        words = 'image place --apply --most-bytes 4B --rules ' + self.rules
        for code, where in ((1, ['fast', 'reliable']), (0, ['cheap', 'fast', 'reliable'])):
            self.assertEqual((code, [('copied',)]), self.rows(words, 'Result'))
            self.assertEqual(where, self.glance.where(one))
        self.assertEqual((0, []), self.rows(words, 'Result'))
        self.assertEqual(2, self.run_words(words.replace('4B', 'much'))[0])

    def test_limit_on_bytes_is_one_for_all_plans_of_a_run(self):
        # What Glance copies already is waited for, and a second plan made: it may write what the first left.
        self.glance.copies_at_once = False
        one, two = self.add('fast', visibility='public'), self.add('fast', visibility='public')
        fakes.store_images(self.glance).copy(one, ['cheap'])
        polls = []

        def poll(*unused):
            polls.append(1)
            self.glance.finish_copies()
            return 0.01

        with mock.patch('multistore_hooks.backoff.poll_interval', poll):
            _code, rows = self.rows('image place --apply --most-bytes 8B --rules ' + self.rules, 'ID',
                                    'Store', 'Result')
        written = [row for row in rows if row[2] == 'copied']
        self.assertEqual(3, len(written), rows)
        held = len(self.glance.where(one)) + len(self.glance.where(two))
        self.assertEqual(2 + len(written), held)

    def test_image_whose_copy_fails_does_not_keep_others_out(self):
        lost, whole = (self.add('fast', tags=['small'], created_at='2026-01-0%dT00:00:00Z' % day)
                       for day in (2, 1))
        self.glance.lose(lost, 'fast')
        # What is waited for takes no time.
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cli.upkeep.time', clock.Clock()))
        rules = self.write('small.yaml', """
            capacity: {cheap: 4 B}
            rules: [{name: small, match: {tag: small}, in: cheap}]
            """)
        # Its copy is planned first, as it is the newer one, and there is room for one.
        for _unused in range(2):
            code, _out, err = self.run_words('image place --apply --rules ' + rules)
            self.assertEqual((1, ['cheap', 'fast'], []),
                             (code, self.glance.where(whole), self.glance.where(lost)), err)

    def test_wrong_rules_do_nothing(self):
        self.add('fast', visibility='public')
        for text, why in (('{rules: [{name: a, in: nope}]}', "rules[1] -> in: Glance has no store 'nope'"),
                          ('{rules: [{name: a, in: all}, {name: b, only: fast}]}', 'contradict one another')):
            code, out, err = self.run_words('image place --apply --rules ' + self.write('bad', text))
            self.assertEqual((2, '', 1), (code, out, err.count('\n')))
            self.assertIn(why, err)
        self.assertEqual([], self.imports_of_all())

    def imports_of_all(self):
        return self.glance.requests('POST', '/import$')

    def test_metrics(self):
        self.add('fast', visibility='public')
        path = os.path.join(self.folder, 'x.prom')
        self.run_words('image place --rules %s --prometheus %s' % (self.rules, path))
        text = self.read(path)
        self.assertIn('multistore_hooks_images{store="fast"} 1\n', text)
        self.assertIn('multistore_hooks_copies_wanted 2\n', text)
        self.assertNotIn('last_success', text)
        with mock.patch('time.time', lambda: 1893456000.0):
            self.run_words('image place --apply --rules %s --prometheus %s' % (self.rules, path))
        text = self.read(path)
        for line in ('images{store="reliable"} 1', 'bytes{store="cheap"} 4', 'copies_wanted 0', 'failed 0',
                     'last_success_timestamp_seconds 1893456000'):
            self.assertIn('multistore_hooks_%s\n' % line, text)
        self.glance.stores['cheap'] = fake_glance.FULL
        self.add('fast', visibility='public')
        code = self.run_words('image place --apply --rules %s --prometheus %s' % (self.rules, path))[0]
        text = self.read(path)
        self.assertEqual(1, code)
        for line in ('copies_wanted 1', 'failed 1', 'last_success_timestamp_seconds 1893456000'):
            self.assertIn('multistore_hooks_%s\n' % line, text)
        self.assertEqual(['rules.yaml', 'x.prom'], sorted(os.listdir(self.folder)))

    def test_metrics_that_cannot_be_written(self):
        one = self.add('fast', visibility='public')
        for path in ('/nonexistent/x', self.folder):
            for words in ('image place --rules %s --prometheus %s', 'image place --apply --rules %s '
                          '--prometheus %s'):
                code, out, err = self.run_words(words % (self.rules, path))
                self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
        self.assertEqual(['fast'], self.glance.where(one))

    def test_metrics_of_a_store_without_images_are_zero(self):
        path = os.path.join(self.folder, 'x.prom')
        self.run_words('image place --rules %s --prometheus %s' % (self.rules, path))
        self.assertIn('multistore_hooks_images{store="cheap"} 0\n', self.read(path))

    def test_reserve_that_cannot_be_held_is_said_in_every_format(self):
        del self.places['cheap']
        rules = self.write('reserve', 'rules: [{name: a, in: fast}]\nreserve: {cheap: 20%}')
        for form in ('table', 'json', 'csv'):
            _code, out, err = self.run_words('image place --rules %s -f %s' % (rules, form))
            self.assertIn('the reserve of cheap is not held', out + err, form)


class WatchTest(StoresTestCase):

    def test_copies_are_waited_for(self):
        self.glance.copies_at_once = False
        one = self.add('fast', name='one')
        self.add('fast')
        fakes.store_images(self.glance).copy(one, ['cheap'])
        self.glance.reads = None
        polls = []

        def poll(*unused):
            polls.append(1)
            if len(polls) == 3:
                self.glance.finish_copies()
            return 0.01

        with mock.patch('multistore_hooks.backoff.poll_interval', poll):
            code, rows = self.rows('image watch', 'ID', 'Stores', 'Result')
        self.assertEqual((0, [(one, ['fast', 'cheap'], 'ended')]), (code, rows))

    def test_nothing_to_watch(self):
        self.assertEqual((0, []), self.rows('image watch', 'ID'))


class CheckTest(StoresTestCase):

    def setUp(self):
        super().setUp()
        self.add('cheap', 'fast')   # so that the place is that of the store

    def found(self, words=''):
        code, rows = self.rows('store check cheap ' + words, 'Finding', 'Name', 'Mended')
        return code, rows

    def test_all_well(self):
        self.assertEqual((0, []), self.found('--verify'))

    def test_record_without_data_is_mended_if_another_copy_is_proved(self):
        two, one = self.add('cheap'), self.add('cheap', 'fast')
        self.glance.lose(one, 'cheap')
        self.glance.lose(two, 'cheap')
        self.assertEqual((1, [('record without data', one, ''), ('record without data', two, '')]),
                         self.found())
        mended = [('record without data', one, 'yes'),
                  ('record without data', two, 'refused: it is the last copy')]
        self.assertEqual((1, mended), self.found('--mend'))
        self.assertEqual(['fast'], self.glance.listed(one))
        self.assertEqual(1, len(self.found()[1]))

    def test_data_without_record_and_unfinished_copies_are_never_removed(self):
        one = self.add('fast')
        data = {('cheap', 'c0ffee00-0000-4000-8000-000000000000'): b'x', ('cheap', 'volume-1'): b'y',
                ('cheap', one): b'ba'}
        self.glance.data.update(data)
        code, rows = self.found('--mend')
        refused = 'refused: --mend removes no data; see store data remove'
        self.assertEqual((1, [('data without a record', 'c0ffee00-0000-4000-8000-000000000000', refused),
                              ('data without a record', 'volume-1', refused),
                              ('unfinished copy', one, refused)]),
                         (code, sorted(rows)))
        self.assertEqual(set(), set(data) - set(self.glance.data))

    def test_site_images_are_listed_and_are_no_fault(self):
        name = site_image_record.new_name('c0ffee00-0000-4000-8000-000000000000')
        self.glance.data['cheap', name] = b'x'
        self.assertEqual((0, [('site image', name, '')]), self.found('--mend'))
        self.assertIn(('cheap', name), self.glance.data)

    def test_size_and_checksum(self):
        one, two = self.add('cheap', 'fast'), self.add('cheap', 'fast', checksum='0' * 32)
        self.glance.data['cheap', one] = b'ba'
        self.assertEqual((1, [('data differs', one, '')]), self.found())
        self.assertEqual({one, two}, {row[1] for row in self.found('--verify')[1]})

    def test_another_place_is_not_judged(self):
        self.glance.data = {key: data for key, data in self.glance.data.items() if key[0] != 'cheap'}
        code, out, err = self.run_words('store check cheap --mend')
        self.assertEqual((2, ''), (code, out))
        self.assertIn('Nothing was judged.', err)

    def test_store_that_cannot_be_read_does_not_keep_others_from_being_checked(self):
        self.places['cheap'].away = 'no route'
        one = self.add('fast', 'reliable')
        self.add('reliable')  # which shows that it is the place of the store
        self.glance.lose(one, 'reliable')
        code, out, err = self.run_words('store check --mend -f json')
        self.assertEqual((2, [('reliable', one, 'yes')]), (
            code, [(row['Store'], row['Name'], row['Mended']) for row in json.loads(out)]))
        self.assertIn('multistore-hooks: The store cheap cannot be checked: no route.\n', err)
        code, out, err = self.run_words('store check cheap,fast,reliable')
        self.assertEqual(2, code)
        self.assertIn('multistore-hooks: fast, reliable: nothing was found', err)

    def test_place_that_is_away_or_unknown(self):
        self.places['cheap'].away = 'no route'
        self.assertEqual(2, self.run_words('store check cheap')[0])
        self.reached = False
        code, _out, err = self.run_words('store check cheap')
        self.assertEqual(2, code)
        self.assertIn('--reach cheap=PLACE', err)


class DataRemoveTest(StoresTestCase):
    """``store data remove``; what has to hold is in tests.unit.stores.test_remove_data."""

    ORPHAN = 'c0ffee00-0000-4000-8000-000000000000'

    def setUp(self):
        super().setUp()
        self.ceph = fake_rbd.ceph(clock.Clock())
        access = cluster.Access(self.ceph.rados, self.ceph.rbd, None, None, cluster.call_natively)
        self.places['cheap'] = places.Pool(cluster.Cluster(access), self.ceph.rbd, 'images', 'f')
        self.kept = self.add('cheap', 'fast')
        for name in (self.kept, self.ORPHAN):
            data = self.ceph.rbd.images['images', name] = fake_rbd.Image(4)
            data.changed = 1767225600.0
        self.words = 'store data remove cheap %s --seen %s' % (self.ORPHAN, os.path.join(self.folder, 'seen'))

    def at(self, seconds, words=''):
        with mock.patch('time.time', lambda: 1767225600.0 + 2 * 86400 + seconds):
            return self.rows(self.words + words, 'Name', 'Result')

    def test_at_the_second_run_it_goes_to_the_trash(self):
        self.assertEqual((1, [(self.ORPHAN, 'not yet')]), self.at(0, ' --keep 30d'))
        self.assertEqual((0, [(self.ORPHAN, 'possible')]), self.at(3600, ' --dry-run'))
        self.assertEqual((0, [(self.ORPHAN, 'moved to trash')]), self.at(3600, ' --keep 30d'))
        self.assertEqual([30 * 86400], [delay for _data, delay in self.ceph.rbd.moved.values()])
        self.assertEqual((0, [(self.ORPHAN, 'not there')]), self.at(3600))

    def test_several_names_each_once_and_the_others_stay(self):
        self.words = self.words.replace('cheap', 'cheap volume-1 %s volume-1' % self.kept)
        self.at(0)
        self.assertEqual((1, [('volume-1', 'refused'), (self.kept, 'refused'),
                              (self.ORPHAN, 'moved to trash')]), self.at(3600))
        self.assertIn(('images', self.kept), self.ceph.rbd.images)

    def test_what_cannot_be_used_is_one_line_and_changes_nothing(self):
        del self.ceph.rbd.images['images', self.kept]
        self.places['reliable'] = places.Away('p of c', 'timed out')
        for words, why in ((self.words, 'Nothing was judged.'),
                           (self.words.replace('cheap', 'fast'), 'which has no trash'),
                           (self.words.replace('cheap', 'web'), '--reach web=PLACE'),
                           (self.words + 'x/y', "The file of --seen"),
                           (self.words.replace('cheap', 'reliable'), 'p of c does not respond')):
            code, out, err = self.run_words(words)
            self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
            self.assertIn(why, err)
        self.token = contract.MEMBER
        self.assertEqual(2, self.run_words(self.words)[0])
        self.assertIn(('images', self.ORPHAN), self.ceph.rbd.images)


class HostileNameTest(StoresTestCase):
    """Any user names images; an administrator's terminal obeys none of them."""

    NAME = 'evil\x1b[31mred\x07\u202egnp.exe\nnext \x9b2J'
    SHOWN = 'evil\\x1b[31mred\\x07\\u202egnp.exe\\x0anext \\x9b2J'

    def setUp(self):
        super().setUp()
        self.one = self.add('fast', 'cheap', name=self.NAME, visibility='public')
        self.rules = self.write('rules.yaml', 'rules: [{name: a, in: all}]')

    def test_no_verb_prints_what_a_terminal_obeys(self):
        shown = []
        for words in ('image list', 'image stores ' + self.one, 'image watch ' + self.one,
                      'image place --rules ' + self.rules, 'store drain cheap --dry-run',
                      'image evict %s --from cheap --dry-run' % self.one, 'store check cheap', 'store list',
                      'image place --apply --rules ' + self.rules, 'store drain cheap'):
            for form in ('table', 'value', 'csv', 'yaml'):
                _code, out, err = self.run_words('%s -f %s' % (words, form))
                self.assertNotIn('internal error', err)
                printed = (out + err).replace('\n', '')
                self.assertEqual([], [letter for letter in printed if not letter.isprintable()],
                                 '%s -f %s' % (words, form))
                shown += [words] if self.SHOWN in printed else []
        self.assertTrue(len(set(shown)) >= 6, shown)

    def test_programs_get_the_name_as_it_is(self):
        for words in ('image list', 'image place --rules ' + self.rules):
            self.assertEqual({self.NAME}, {name for name, in self.rows(words, 'Name')[1]})


class HelpTest(StoresTestCase):

    def test_every_command_has_help_with_its_exit_codes(self):
        for words in ('store list', 'store drain', 'store check', 'image list', 'image evict', 'image place',
                      'image watch', 'store data remove'):
            code, out, _err = self.run_words(words + ' --help')
            self.assertEqual(0, code, words)
            self.assertIn('Exit code: 0', ' '.join(out.split()))

    def test_help_begins_with_the_commands_own_options(self):
        for words, own in (('store drain', '--to'), ('store check', '--mend'), ('image evict', '--from'),
                           ('image place', '--rules'), ('store data remove', '--seen'),
                           ('image copy', '--to')):
            out = self.run_words(words + ' --help')[1]
            places = [out.index(word) for word in ('\n  %s' % own, '\n  -f', '\n  --os-cloud')]
            self.assertEqual(sorted(places), places, words)


class OscTest(StoresTestCase):
    """The same commands in the openstack client."""

    def test_each_is_there_with_the_clients_credentials(self):
        for plugin, module, name in (
                (osc_stores.StoreList, store, 'StoreList'), (osc_stores.Drain, store, 'Drain'),
                (osc_stores.Check, store, 'Check'),
                (osc_stores.DataRemove, store, 'DataRemove'), (osc_stores.List, image_list, 'List'),
                (osc_stores.Evict, image_evict, 'Evict'), (osc_stores.Place, image_place, 'Place'),
                (osc_stores.Watch, image_watch, 'Watch')):
            self.assertTrue(plugin.auth_required)
            self.assertEqual(getattr(module, name).__doc__, plugin.__doc__)

    def test_one_is_run(self):
        one = self.add('fast', 'cheap')
        app = mock.Mock(NAME='openstack', stdout=io.StringIO(), stderr=io.StringIO())
        app.client_manager.multistore = image_base.connection(self.glance)
        command = osc_stores.Evict(app, None)
        parser = command.get_parser('x')
        self.assertNotIn('--os-cloud', parser.format_help())
        self.assertEqual(0, command.run(parser.parse_args([one, '--from', 'cheap'])))
        self.assertEqual(['fast'], self.glance.where(one))


class StoreNamesTest(StoresTestCase):

    def names(self, *words, **options):
        return store_names.parse(words, '--to', fakes.store_images(self.glance).stores(), **options)

    def test_lists_all_and_files(self):
        self.assertEqual(('cheap', 'fast'), self.names('cheap,fast'))
        self.assertEqual(('cheap', 'fast'), self.names('cheap', 'fast, cheap'))
        self.assertEqual(('reliable', 'fast', 'cheap'), self.names('all'))
        self.assertEqual(('fast', 'cheap'), self.names(self.write('stores', '# sites\nfast\n\ncheap\n')))
        self.assertEqual(('web',), self.names('web', writable=False))

    def test_wrong_names(self):
        for words in (['nope'], ['web'], [','], ['/nonexistent/x'], [self.write('empty', '')]):
            error = self.assertRaises(exceptions.MultistoreError, self.names, *words)
            self.assertTrue(str(error).startswith('--to'), error)


class ReachTest(testtools.TestCase):
    """What --reach names, and what of it is read."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.stores = api.Stores((api.Store('a'), api.Store('b')))

    def refused(self, text, why, details=None):
        error = self.assertRaises(reach.WrongPlace, reach.places_of, [text], self.stores, details or {})
        self.assertIn(why, str(error))

    def test_what_cannot_be_used(self):
        self.refused('a', 'write STORE=DIRECTORY')
        self.refused('c=/tmp', "Glance has no store 'c'; it has: a, b")
        self.refused('a=/nonexistent', 'there is no such file or directory here')
        self.refused('a=%s,users=x' % __file__, "'users' is unknown; there are user= and pool=")
        self.refused('a=%s' % __file__, 'add ,pool=POOL')

    def test_without_the_bindings_of_ceph(self):
        with modules.Modules(rados=None):
            self.refused('a=%s,pool=p' % __file__, 'the Python bindings of Ceph are missing')

    def away(self, **of_cluster):
        """Return the place of a pool whose cluster is as it is said."""
        ceph = fake_rbd.ceph(clock.Clock())
        for name, value in of_cluster.items():
            setattr(ceph, name, value)
        with modules.Modules(rados=ceph.rados, rbd=ceph.rbd):
            return reach.places_of(['a=%s,pool=images' % __file__], self.stores, {})['a']

    def test_cluster_that_does_not_respond_gives_a_place_of_which_nothing_is_known(self):
        log = self.useFixture(fixtures.FakeLogger())
        found = self.away(away=True)
        self.assertIn('the cluster does not respond (error connecting to the cluster)', log.output)
        for read in (lambda: found.find('x'), lambda: found.children('x'), lambda: found.in_trash('x'),
                     found.everything, found.space, lambda: found.read('x'), lambda: found.identity):
            error = self.assertRaises(places.PlaceError, read)
            self.assertEqual('the pool images of %s: error connecting to the cluster' % __file__, str(error))

    def test_cluster_that_refuses_is_named_wrongly(self):
        self.assertRaises(reach.WrongPlace, self.away, missing_files={__file__})

    def test_directory(self):
        found = reach.places_of(['a=' + self.folder], self.stores, {})['a']
        with open(os.path.join(self.folder, 'x'), 'wb') as stream:
            stream.write(b'data')
        self.assertIsNone(found.find('y'))
        self.assertEqual((4, None), found.find('x')[:2])
        self.assertEqual(['x'], [name for name, _data in found.everything()])
        self.assertEqual(b'data', b''.join(found.read('x')))
        self.assertEqual((0, False), (found.children('x').clones, found.in_trash('x')))
        self.assertTrue(0 < found.space().free <= found.space().total)

    def test_directory_that_is_gone_is_not_an_empty_one(self):
        found = reach.places_of(['a=' + self.folder], self.stores, {})['a']
        os.rmdir(self.folder)
        for read in (lambda: found.find('x'), lambda: list(found.everything()), found.space,
                     lambda: list(found.read('x')), lambda: found.identity):
            self.assertRaises(places.PlaceError, read)
        os.mkdir(self.folder)

    def test_two_names_of_one_directory_are_one_place(self):
        other = os.path.join(self.useFixture(fixtures.TempDir()).path, 'link')
        os.symlink(self.folder, other)
        found = reach.places_of(['a=' + self.folder, 'b=' + other], self.stores, {})
        self.assertEqual(found['a'].identity, found['b'].identity)
