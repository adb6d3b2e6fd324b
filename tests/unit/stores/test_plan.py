# SPDX-License-Identifier: Apache-2.0
"""Plans: which copies come and go, in which order, and what is not planned."""

import ddt

from multistore_hooks.glance_api import api
from multistore_hooks.stores import inventory
from multistore_hooks.stores import plan_text
from multistore_hooks.stores import plans
from multistore_hooks.stores import selection
from tests.unit.stores import base

EVERYWHERE = 'rules: [{name: all, in: [dcn1, dcn2]}]'
ONLY = 'rules: [{name: here, only: [central, dcn2]}]'


class CopiesTest(base.RulesTestCase):

    def test_one_import_names_all_stores_of_an_image(self):
        plan = self.plan(EVERYWHERE, base.subject('a'), base.subject('b', ['dcn2']))
        self.assertEqual([('a', ('dcn1', 'dcn2'), 20), ('b', ('dcn1',), 10)],
                         sorted((copy.image.name, copy.stores, copy.bytes) for copy in plan.copies))
        self.assertEqual(30, plan.bytes_copied)

    def test_store_names_are_compared_as_whole_names(self):
        self.assertEqual(['+a dcn1,dcn2'], self.steps(EVERYWHERE, base.subject('a', ['dcn10'])))

    def test_what_is_there_or_on_its_way_is_not_copied(self):
        self.assertEqual([], self.steps(EVERYWHERE, base.subject('a', ['dcn1', 'dcn2']), base.subject(
            'b', ['dcn1'], importing_to=('dcn2',), import_task='t')))

    def test_what_a_failed_copy_left_behind_is_not_on_its_way(self):
        self.assertEqual(['+b dcn2'], self.steps(EVERYWHERE, base.subject(
            'b', ['dcn1'], importing_to=('dcn2',))))

    def test_at_least_counts_what_is_there_and_what_other_rules_want(self):
        text = 'rules: [{name: a, at least: 2, of: ["dcn*"]}, {name: b, match: {tag: x}, in: dcn10}]'
        self.assertEqual(['+none dcn1,dcn2', '+one dcn2', '+tagged dcn1,dcn10'], sorted(self.steps(
            text, base.subject('none'), base.subject('one', ['dcn1']), base.subject('two', ['dcn1', 'dcn10']),
            base.subject('tagged', tags=('x',)))))

    def test_full_store_that_another_rule_wants_does_not_count_if_a_free_one_is_left(self):
        text = 'rules: [{name: a, at least: 3, of: [central, "dcn*"]}, {name: b, in: [central, dcn1]}]'
        room = {'dcn1': inventory.Space(100, 5)}
        for there, expected in ((['central', 'dcn2'], ['+a dcn10', '!a']),
                                (['central', 'dcn2', 'dcn10'], ['!a'])):
            plan = self.plan(text, base.subject('a', there), space=room)
            self.assertEqual(expected, base.short(plan))
            self.assertEqual(['no room in dcn1'], [unmet.why for unmet in plan.unmet])

    def test_store_that_this_plan_makes_room_in_counts(self):
        text = """\
            rules:
              - {name: a, match: {tag: x}, at least: 3, of: [central, "dcn*"]}
              - {name: b, match: {tag: x}, in: [central, dcn1]}
              - {name: c, match: {tag: y}, only: central}
            """
        self.assertEqual(['-old dcn1', '+a dcn1'], self.steps(
            text, base.subject('a', ['central', 'dcn2'], tags=('x',)),
            base.subject('old', ['central', 'dcn1'], tags=('y',)), space={'dcn1': inventory.Space(100, 5)}))

    def test_images_without_data_or_not_active(self):
        plan = self.plan(EVERYWHERE, base.subject('queued', [], status='queued'),
                         base.subject('bootable volume', []), base.subject('off', status='deactivated'))
        self.assertEqual(['!off'], base.short(plan))
        self.assertEqual('its status is deactivated', plan.unmet[0].why)

    def test_image_in_no_store_of_this_glance(self):
        plan = self.plan(EVERYWHERE, base.subject('a', ['elsewhere']))
        self.assertEqual('this Glance has none of its stores (elsewhere)', plan.unmet[0].why)


class EvictionsTest(base.RulesTestCase):

    def test_only_removes_elsewhere_and_copies_first_what_would_be_nowhere(self):
        self.assertEqual(['+b central', '-a dcn1', '-b dcn1', '-b dcn10'], self.steps(
            ONLY, base.subject('a', ['dcn1', 'dcn2'], 0), base.subject('b', ['dcn1', 'dcn10'], 1),
            base.subject('c', ['central', 'dcn2'], 2)))

    def test_never_while_an_import_goes_on(self):
        plan = self.plan(ONLY, base.subject('a', ['dcn1', 'dcn2'], import_task='t', importing_to=('dcn10',)),
                         base.subject('b', ['dcn1', 'dcn2'], importing_to=('central',)))
        self.assertEqual(['!a', '!b'], base.short(plan))
        self.assertEqual('it stays in dcn1: an import of the image is going on', plan.unmet[0].why)

    def test_lock_of_an_import_that_copies_nothing_is_left_to_the_eviction(self):
        # Such a lock is gone in a moment: a plan made in that moment would leave the copy for a second run.
        self.assertEqual(['-a dcn1'], self.steps(ONLY, base.subject(
            'a', ['dcn1', 'dcn2'], import_task='t')))

    def test_copy_that_is_on_its_way_is_no_copy_yet(self):
        self.assertEqual(['!a'], self.steps(ONLY, base.subject(
            'a', ['dcn1', 'dcn2'], importing_to=('dcn2',), import_task='t')))

    def test_what_another_rule_wants_stays(self):
        text = 'rules: [{name: a, only: [central, dcn1]}, {name: b, match: {tag: x}, in: dcn1}]'
        self.assertEqual(['-a dcn2'], self.steps(text, base.subject(
            'a', ['central', 'dcn1', 'dcn2'], tags=('x',))))

    def test_store_that_this_glance_does_not_have(self):
        plan = self.plan(ONLY, base.subject('a', ['central', 'gone']))
        self.assertEqual(['it stays in gone: this Glance does not have that store'],
                         [unmet.why for unmet in plan.unmet])

    def test_without_only_nothing_is_evicted(self):
        self.assertEqual([], self.steps('rules: [{name: a, in: central}]', base.subject(
            'a', ['central', 'dcn1', 'dcn2'])))


class RoomTest(base.RulesTestCase):

    TEXT = 'reserve: {dcn1: 20%}\nrules: [{name: a, in: dcn1}, {name: b, match: {tag: x}, only: [central]}]'

    def test_reserve_is_kept_and_said(self):
        plan = self.plan('reserve: {dcn1: 20%}\nrules: [{name: a, in: dcn1}]', base.subject('a'),
                         base.subject('b', days=1), space={'dcn1': inventory.Space(100, 35)})
        self.assertEqual(['+a dcn1', '!b'], base.short(plan))
        self.assertEqual('no room in dcn1 beside its reserve', plan.unmet[0].why)

    def test_what_evictions_free_is_used_in_the_next_round(self):
        text = '''
            reserve: {dcn1: 20%}
            rules:
              - {name: a, match: {tag: in}, in: dcn1}
              - {name: b, match: {tag: out}, only: central}
            '''
        plan = self.plan(text, base.subject('in', tags=('in',)),
                         base.subject('out', ['central', 'dcn1'], tags=('out',)),
                         space={'dcn1': inventory.Space(100, 25)})
        self.assertEqual(['-out dcn1', '+in dcn1'], base.short(plan))
        self.assertEqual(2, len(plan.rounds))

    def test_image_without_room_where_it_may_be_stays_where_it_is(self):
        plan = self.plan('rules: [{name: a, only: central}]', base.subject('a', ['dcn1']),
                         space={'central': inventory.Space(100, 5)})
        self.assertEqual(['!a'], base.short(plan))
        self.assertEqual('it stays in dcn1: it is its last copy, and there is no room in central',
                         plan.unmet[0].why)

    def test_image_whose_store_is_full_goes_where_else_it_may_be(self):
        plan = self.plan('rules: [{name: a, only: [dcn2, central], in: dcn2}]', base.subject('a', ['dcn1']),
                         space={'dcn2': inventory.Space(100, 5)})
        self.assertEqual(['+a central', '-a dcn1', '!a'], base.short(plan))
        self.assertEqual('no room in dcn2', plan.unmet[0].why)

    def test_unknown_room_is_room_and_is_said(self):
        plan = self.plan('reserve: {dcn1: 20%}\nrules: [{name: a, in: dcn1}]', base.subject('a'))
        self.assertEqual(['+a dcn1'], base.short(plan))
        self.assertEqual(('the reserve of dcn1 is not held: its free space is not known',), plan.notes)

    def test_capacity_stands_for_room_that_cannot_be_read(self):
        text = 'capacity: {dcn1: 50 B}\nreserve: {dcn1: 20%}\nrules: [{name: a, in: dcn1}]'
        self.assertEqual(['+b dcn1', '+c dcn1', '!d'], self.steps(text, base.subject('x', ['dcn1', 'dcn2']),
                         base.subject('y', ['dcn1']), *[base.subject(name, days=number + 1) for number, name
                                                        in enumerate('bcd')]))

    def test_copies_keep_to_the_limit_on_bytes_and_the_rest_is_for_a_later_run(self):
        text = 'rules: [{name: a, in: [dcn1, dcn2]}]'
        plan = self.plan(text, base.subject('a'), base.subject('b', days=1), most_bytes=30)
        self.assertEqual(['+a dcn1,dcn2', '+b dcn1', '!b'], base.short(plan))
        self.assertEqual((30, 'dcn2: it is left for a later run, by the limit on bytes'),
                         (plan.bytes_copied, plan.unmet[0].why))

    def test_copy_that_is_larger_than_the_limit_does_not_hold_up_the_others(self):
        plan = self.plan('rules: [{name: a, in: dcn1}]', base.subject('large', size=31),
                         base.subject('b', days=1), most_bytes=30)
        self.assertEqual(['+b dcn1', '!large'], base.short(plan))
        self.assertEqual('dcn1: it is larger than all that may be copied in one run', plan.unmet[0].why)

    def test_nothing_is_removed_whose_copy_is_left_for_a_later_run(self):
        for rule in ('only: central', 'only: [central, dcn2], at least: 2'):
            plan = self.plan('rules: [{name: a, %s}]' % rule, base.subject('a', ['dcn1']), most_bytes=5)
            self.assertEqual((), plan.copies + plan.evictions)
            self.assertIn('it is larger than all that may be copied in one run', plan.unmet[0].why)


class DrainTest(base.RulesTestCase):

    def test_what_is_nowhere_else_is_copied_first(self):
        plan = plans.by_drain('dcn1', ['dcn2', 'central'], [
            base.subject('only', ['dcn1']), base.subject('both', ['dcn1', 'central']),
            base.subject('other', ['central'])], plans.Limits(base.CENTRAL))
        self.assertEqual(['+only dcn2', '-only dcn1', '-both dcn1'], base.short(plan))

    def test_the_next_store_takes_what_the_first_has_no_room_for(self):
        plan = plans.by_drain('dcn1', ['dcn2', 'central'], [
            base.subject('a', ['dcn1']), base.subject('b', ['dcn1'])],
            plans.Limits(base.CENTRAL, {'dcn2': inventory.Space(100, 15)}))
        self.assertEqual(['+a dcn2', '+b central', '-a dcn1', '-b dcn1'], base.short(plan))

    def test_without_a_store_to_go_to_the_only_copy_stays(self):
        plan = plans.by_drain('dcn1', [], [base.subject('a', ['dcn1'])], plans.Limits(base.CENTRAL))
        self.assertEqual('it stays in dcn1: it is its last copy, and there is no store to copy it to',
                         plan.unmet[0].why)

    def test_copy_in_a_store_that_this_glance_does_not_have_does_not_count(self):
        plan = plans.by_drain('dcn1', ['central'], [base.subject('a', ['dcn1', 'gone'])],
                              plans.Limits(base.CENTRAL))
        self.assertEqual(['+a central', '-a dcn1', '!a'], base.short(plan))


@ddt.ddt
class SelectionTest(base.RulesTestCase):

    SUBJECT = base.subject('debian-12', ['central', 'dcn1'], 20, visibility='public', tags=('a', 'b'),
                           properties={'os_distro': 'debian', 'hw': ''}, size=2000, owner='p7',
                           format='qcow2')

    @ddt.data('name: debian-12', 'name: "debian-*"', 'name: [x, "*12"]', 'id: id-debian-12', 'owner: p7',
              'tag: b', 'tag: ["z*", "b"]', 'format: qcow2', 'visibility: public', 'visibility: [private, '
                                                                                   'public]',
              'kind: image', 'hidden: false', 'protected: false', 'property: {os_distro: "deb*"}',
              'property: {hw: "*"}', 'older than: 19 days', 'newer than: 21 days', 'unused for: 4 days',
              'larger than: 1 KiB', 'smaller than: 1 MiB', 'stored in: dcn1', 'stored in: [dcn2, dcn1]')
    def test_matches(self, criterion):
        self.assertEqual(['id-debian-12'], self.selected(criterion))

    @ddt.data('name: debian', 'name: DEBIAN-12', 'id: debian-12', 'owner: p', 'tag: c', 'format: raw',
              'visibility: private', 'kind: [snapshot, backup, volume]', 'hidden: true', 'protected: true',
              'property: {os_distro: debian, hw: x}', 'property: {none: "*"}', 'older than: 20 days',
              'newer than: 19 days', 'unused for: 6 days', 'larger than: 2000 B', 'smaller than: 2000 B',
              'stored in: dcn10', '{name: debian-12, owner: p8}')
    def test_does_not_match(self, criterion):
        self.assertEqual([], self.selected(criterion))

    def selected(self, criterion, usage=None):
        text = criterion if criterion.startswith('{') else '{%s}' % criterion
        rule, = self.load('rules: [{name: r, in: all, match: %s}]' % text).rules
        usage = {self.SUBJECT.id: base.NOW - 5 * base.DAY} if usage is None else usage
        return [found.id for found in selection.select(rule, [self.SUBJECT], usage, base.NOW)]

    def test_unknown_use_is_not_unused(self):
        self.assertEqual([], self.selected('unused for: 1 day', {}))

    def test_what_is_in_use_is_not_unused(self):
        self.assertEqual([], self.selected('unused for: 1 day', {self.SUBJECT.id: inventory.IN_USE}))

    def test_images_that_are_not_active_are_not_the_newest(self):
        rule, = self.load('rules: [{name: r, in: all, newest: 1}]').rules
        self.assertEqual(['id-b'], [found.id for found in selection.select(
            rule, [base.subject('a', status='queued'), base.subject('b', days=3)], {}, base.NOW)])

    def test_family_by_property(self):
        rule, = self.load('rules: [{name: r, in: all, newest: 1, family: {property: os}}]').rules
        self.assertEqual(['id-a', 'id-c'], [found.id for found in selection.select(rule, [
            base.subject('a', days=1, properties={'os': 'x'}),
            base.subject('b', days=2, properties={'os': 'x'}),
            base.subject('c', days=3, properties={'os': 'y'})], {}, base.NOW)])


class InventoryTest(base.RulesTestCase):

    def test_what_is_read_of_a_record(self):
        found = inventory.subject_of(api.Image.from_glance({
            'id': 'i', 'name': None, 'status': 'active', 'size': 5, 'stores': 'a,b', 'os_hidden': True,
            'created_at': '2026-01-31T12:00:00Z', 'os_glance_importing_to_stores': 'c',
            'image_type': 'snapshot',
            'os_glance_import_task': 't', 'os_distro': 'x', 'nothing': None, 'tags': ['t']}))
        self.assertEqual(('', ('a', 'b'), ('c',), 't', True, 1769860800.0, 'snapshot', ('t',)),
                         (found.name, found.stores, found.importing_to, found.import_task, found.hidden,
                          found.created, found.kind, found.tags))
        self.assertEqual({'image_type': 'snapshot', 'os_distro': 'x'}, dict(found.properties))

    def test_kinds(self):
        for record, kind in (({}, 'image'), ({'image_type': 'backup'}, 'backup'),
                             ({'image_type': 'x'}, 'image'),
                             ({'image_type': 'volume'}, 'volume'),
                             ({'cinder_encryption_key_id': 'k'}, 'volume')):
            self.assertEqual(kind, inventory.kind_of(record))


class TextTest(base.RulesTestCase):

    def test_a_plan_reads_like_a_diff(self):
        plan = self.plan('rules: [{name: here, only: central}, {name: two, match: {name: b}, in: central}]',
                         base.subject('a\x1b[31m', ['central', 'dcn1']), base.subject('b', ['dcn1'], days=1),
                         base.subject('c', ['central', 'gone'], days=2))
        self.assertEqual([
            '  id-b b  (10 B)', '+   central  (two)', '-   dcn1  (here)',
            '  id-a\x1b[31m a\\x1b[31m  (10 B)', '-   dcn1  (here)',
            '  id-c c  (10 B)', '!   it stays in gone: this Glance does not have that store',
            '1 copy (10 B) in 1 import, 2 evictions (20 B); 1 not possible.'], plan_text.lines(plan))

    def test_nothing_to_do(self):
        self.assertEqual(['Nothing to do.'], plan_text.lines(plans.Plan()))

    def test_as_values_for_json(self):
        plan = self.plan('rules: [{name: here, only: central}]', base.subject('b', ['dcn1']))
        self.assertEqual({
            'copies': [{'image': 'id-b', 'name': 'b', 'stores': ['central'], 'reasons': ['here'],
                        'bytes': 10}],
            'evictions': [{'image': 'id-b', 'name': 'b', 'store': 'dcn1', 'reason': 'here', 'bytes': 10}],
            'waits': [], 'unmet': [], 'notes': []}, plan_text.document(plan))
