# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image misplaced``: which images are judged so, and what ``--fix`` does."""

import ddt

from tests import fake_glance
from tests.unit.cli import image_base

GONE = 'c0ffee00-0000-4000-8000-000000000000'


@ddt.ddt
class MisplacedTest(image_base.ImageTestCase):

    def snapshot(self, base, *stores, **properties):
        return self.add(*stores, **dict({'image_type': 'snapshot', 'base_image_ref': base}, **properties))

    def found(self, *argv):
        code, rows = self.json('misplaced', *argv)
        return code, {row['ID']: row['Missing In'] for row in rows}

    def test_snapshot_in_another_store_than_its_base(self):
        base = self.add('reliable', name='base')
        beside, away = self.snapshot(base, 'reliable'), self.snapshot(base, 'fast', name='away')
        self.assertEqual((1, {away: ['reliable']}), self.found())
        _code, rows = self.json('misplaced')
        self.assertEqual([{'ID': away, 'Name': 'away', 'Stores': ['fast'], 'Base Image': base,
                           'Missing In': ['reliable']}], rows)
        self.assertNotIn(beside, str(rows))

    def test_none(self):
        base = self.add('reliable', 'fast')
        self.snapshot(base, 'fast')
        self.assertEqual((0, {}), self.found())
        self.assertIn('no image is misplaced', self.run_command('misplaced')[2])
        self.assertEqual('', self.run_command('misplaced', '-f', 'json')[2])

    def test_snapshot_belongs_into_one_store_of_its_base_and_a_volume_into_all(self):
        base = self.add('reliable', 'fast')
        self.snapshot(base, 'fast')
        volume = self.add('fast', base_image_ref=base)
        self.assertEqual((1, {volume: ['reliable']}), self.found())

    @ddt.data(('all', 2), ('primary', 0))
    @ddt.unpack
    def test_operator_says_where_images_belong(self, colocate, count):
        base = self.add('reliable', 'fast')
        self.snapshot(base, 'fast')
        self.add('fast', base_image_ref=base)
        self.assertEqual(count, len(self.found('--colocate', colocate)[1]))

    def test_the_default_store_is_preferred_and_a_read_only_one_is_none(self):
        away = self.snapshot(self.add('reliable', 'fast'), 'cheap')
        self.snapshot(self.add('web'), 'cheap')
        volume = self.add('cheap', base_image_ref=self.add('web', 'reliable'))
        self.assertEqual((1, {away: ['fast'], volume: ['reliable']}), self.found())

    def test_a_store_that_is_no_more_is_none(self):
        base = self.add('reliable')
        self.snapshot(base, 'fast')
        del self.glance.stores['reliable']
        self.assertEqual((0, {}), self.found())

    def test_what_cannot_be_judged_is_left_out(self):
        base = self.add('reliable')
        self.snapshot('no-uuid', 'fast')
        self.snapshot('', 'fast')
        self.snapshot(base)  # without data, as of a server that boots from a volume
        self.add('fast')
        odd = self.add('fast')
        self.glance.images[odd]['base_image_ref'] = odd
        self.assertEqual((0, {}), self.found())

    def test_base_image_that_is_gone_is_reported(self):
        one = self.snapshot(GONE, 'fast')
        code, out, err = self.run_command('misplaced', '-f', 'json')
        self.assertEqual((0, '[]'), (code, out.strip()))
        self.assertIn('not judged, because the base image does not exist or may not be seen: 1 (%s)' % one,
                      err)

    def test_hidden_images_and_many_pages(self):
        base = self.add('reliable', os_hidden=True)
        for _unused in range(5):
            self.add('fast')
        away = self.snapshot(base, 'fast', os_hidden=True)
        self.assertEqual((1, {away: ['reliable']}), self.found())
        self.assertEqual(0, len(self.glance.requests('GET', '/v2/images/')))

    def test_named_images_only(self):
        base = self.add('reliable')
        one = self.snapshot(base, 'fast', name='one')
        self.snapshot(base, 'fast')
        self.assertEqual((1, {one: ['reliable']}), self.found('one'))
        self.assertEqual(2, self.run_command('misplaced', 'three')[0])

    def test_fix_copies_them_there(self):
        base = self.add('reliable')
        one, two = self.snapshot(base, 'fast', name='one'), self.snapshot(base, 'cheap')
        code, rows = self.json('misplaced', '--fix', '--wait')
        self.assertEqual(0, code)
        self.assertEqual([(two, '', 'reliable', 'copied', ''), (one, 'one', 'reliable', 'copied', '')],
                         [tuple(row[name] for name in ('ID', 'Name', 'Store', 'Result', 'Reason'))
                          for row in rows])
        self.assertEqual((0, {}), self.found())
        self.assertEqual((0, []), self.json('misplaced', '--fix', '--wait'))

    def test_fix_that_fails(self):
        base = self.add('reliable')
        self.snapshot(base, 'fast')
        self.glance.stores['reliable'] = fake_glance.FAILING
        self.assertEqual((1, 'failed\n'), self.run_command('misplaced', '--fix', '--wait', '-f', 'value',
                                                           '-c', 'Result')[:2])

    def test_without_fix_nothing_is_copied(self):
        self.snapshot(self.add('reliable'), 'fast')
        self.found()
        self.assertEqual(0, self.imports())
