# SPDX-License-Identifier: Apache-2.0
"""The rules language: what a file may say, and what it reports when it is wrong."""

import os
import re

import ddt

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.stores import rules
from multistore_hooks.stores import rules_file
from multistore_hooks.stores import units
from tests import documentation
from tests.unit import modules
from tests.unit.stores import base

EXAMPLES = os.path.join(documentation.ROOT, 'etc', 'multistore-hooks', 'rules')


@ddt.ddt
class WrongFileTest(base.RulesTestCase):
    """One error, which names the line and the key."""

    @ddt.data(
        ('rules: [', 'rules.yaml line 1: this is no YAML: '),
        ('', 'rules.yaml line 1: null is wrong here; it has to be: object.'),
        ('rules: []', 'rules.yaml line 1, rules: '),
        ('rules:\n  - in: central\n', 'rules.yaml line 2, rules[1]: a key is missing: name.'),
        ('rules:\n  - name: a\n', "rules.yaml line 2, rules[1]: a rule needs one of the keys 'in', 'at "
                                  "least' "
         "and 'only'."),
        ('rules:\n  - name: a\n    in: central\n    mach: {}\n', 'rules.yaml line 4, rules[1] -> mach: '
                                                                 'there is '
         'no such key; the keys here are: all but newest, at least, except, family, in, match, name, newest, '
         'of, only.'),
        ('rules:\n  - name: a\n    in: central\n    match: {kind: disk}\n', 'rules.yaml line 4, rules[1] -> '
         'match -> kind: "disk" is wrong here; it has to be one of: image, snapshot, backup, volume.'),
        ('rules:\n  - name: a\n    in: central\n    match:\n      kind:\n        - image\n        - disk\n',
         'rules.yaml line 7, rules[1] -> match -> kind[2]: "disk" is wrong here'),
        ('rules:\n  - name: a\n    in: nowhere\n', "rules.yaml line 3, rules[1] -> in: Glance has no store "
         "'nowhere'; it has: central, dcn1, dcn2, dcn10, web."),
        ('rules:\n  - name: a\n    in: "x*"\n', "rules.yaml line 3, rules[1] -> in: Glance has no store "
                                                "'x*'"),
        ('rules:\n  - name: a\n    in: web\n', 'rules.yaml line 3, rules[1] -> in: Glance takes no images '
                                               'into '
         'web: read-only.'),
        ('rules:\n  - name: a\n    in: central\n    newest: 0\n', 'rules.yaml line 4, rules[1] -> newest: '),
        ('rules:\n  - name: a\n    in: central\n    newest: "3"\n', 'rules.yaml line 4, rules[1] -> '
                                                                    'newest: "3" '
         'is wrong here; it has to be: integer.'),
        ('rules:\n  - name: a\n    in: central\n    match:\n      older than: soon\n', 'rules.yaml line 5, '
         "rules[1] -> match -> older than: 'soon' is no duration; write for example '60 days'"),
        ('rules:\n  - name: a\n    in: central\n    match: {larger than: 5}\n', 'rules.yaml line 4'),
        ('rules:\n  - name: a\n    at least: 5\n', 'rules.yaml line 3, rules[1] -> at least: there are '
                                                   'only 4 '
         'such stores: central, dcn1, dcn2, dcn10.'),
        ('rules:\n  - name: a\n    in: central\n    of: dcn1\n', "rules.yaml line 2, rules[1]: 'of' needs "
                                                                 "'at "
         "least' beside it."),
        ('rules:\n  - name: a\n    in: central\n    only: dcn1\n', "rules.yaml line 3, rules[1] -> in: "
                                                                   "'only' of "
         'the same rule rules out central.'),
        ('rules:\n  - name: a\n    in: central\n    family: {name: "("}\n    newest: 1\n',
         'rules.yaml line 4, '
         'rules[1] -> family -> name: this is no regular expression'),
        ('rules:\n  - name: a\n    in: central\n    family: {name: x}\n', "rules.yaml line 4, rules[1] -> "
                                                                          "family: "
         "this needs 'newest' or 'all but newest'."),
        ('rules:\n  - name: a\n    in: central\n    in: dcn1\n', "rules.yaml line 4: the key 'in' is "
                                                                 "there twice"),
        ('rules:\n  - &a\n    name: a\n    in: [*a]\n', 'rules.yaml line 2: an alias names what it is '
                                                        'part of.'),
        ('groups:\n  dcn1: central\nrules:\n  - name: a\n    in: all\n', 'rules.yaml line 2, groups -> '
                                                                         'dcn1: this '
         'is the name of a store already.'),
        ('reserve:\n  dcn1: much\nrules:\n  - name: a\n    in: all\n', 'rules.yaml line 2, reserve -> dcn1: '
         "'much' is neither a share nor a size"),
        ('rules:\n  - name: a\n    in: all\n  - name: a\n    in: all\n', 'rules.yaml line 4, rules[2] -> '
                                                                         'name: '
         "another rule is named 'a' too: "))
    @ddt.unpack
    def test_error_names_line_and_key(self, text, wanted):
        self.assertEqual(wanted, self.refused(text)[:len(wanted)])

    def test_first_error_of_the_file_is_named(self):
        self.assertIn('line 3', self.refused('rules:\n  - name: a\n    in: 5\n  - nome: b\n'))

    def test_file_that_is_not_there(self):
        error = self.assertRaises(rules_file.RulesFileError, rules.load, '/nonexistent/x.yaml', self.stores)
        self.assertEqual("The file of rules '/nonexistent/x.yaml' cannot be read: No such file or directory.",
                         str(error))

    def test_without_jsonschema_one_line_names_the_extra(self):
        with modules.Modules(jsonschema=None):
            error = self.assertRaises(rules_file.NoJsonSchema, self.load, 'rules: []')
        self.assertIn("install the extra 'stores' of multistore-hooks", str(error))
        self.assertEqual(1, len(str(error).splitlines()))


class MeaningTest(base.RulesTestCase):

    def test_stores_are_ids_groups_patterns_and_all_in_the_order_of_glance(self):
        wanted = self.load('''
            groups: {edge: ["dcn*"], both: [edge, central]}
            rules:
              - {name: a, in: [dcn2, dcn1]}
              - {name: b, in: edge}
              - {name: c, in: [dcn2, both]}
              - {name: d, in: all}
              - {name: e, only: all}
            ''')
        a, b, c, d, e = wanted.rules
        self.assertEqual([('dcn1', 'dcn2'), ('dcn1', 'dcn2', 'dcn10'), ('central', 'dcn1', 'dcn2', 'dcn10'),
                          ('central', 'dcn1', 'dcn2', 'dcn10')], [rule.stores for rule in (a, b, c, d)])
        self.assertEqual(self.stores.ids, e.only)

    def test_reserve_and_capacity_by_store(self):
        wanted = self.load('''
            groups: {edge: ["dcn*"]}
            reserve: {edge: 20%, central: 1.5 GiB}
            capacity: {dcn1: 10 TiB}
            rules: [{name: a, in: all}]
            ''')
        self.assertEqual((0.2, 0), wanted.reserve['dcn10'])
        self.assertEqual((0.0, 3 * 512 * 1024 ** 2), wanted.reserve['central'])
        self.assertEqual({'dcn1': 10 * 1024 ** 4}, wanted.capacity)

    def test_use_is_looked_up_only_where_a_rule_needs_it(self):
        self.assertFalse(self.load('rules: [{name: a, in: all}]').needs_usage)
        self.assertTrue(self.load(
            'rules: [{name: a, in: all, except: {unused for: 1 day}}]').needs_usage)

    def test_schema_is_one_and_ships_with_the_package(self):
        import jsonschema
        jsonschema.Draft7Validator.check_schema(rules_file.schema())


@ddt.ddt
class UnitsTest(base.RulesTestCase):

    @ddt.data(('60 days', 60 * 86400), ('1 day', 86400), ('12h', 43200), ('8 weeks', 8 * 7 * 86400),
              ('90d', 90 * 86400), ('5 minutes', 300), ('5min', 300))
    @ddt.unpack
    def test_durations(self, text, seconds):
        self.assertEqual(seconds, units.seconds_of(text))

    @ddt.data('', 'days', '-1 day', '1.5 days', '1 month', '1 dayss')
    def test_what_is_no_duration(self, text):
        self.assertRaises(ValueError, units.seconds_of, text)

    @ddt.data('2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000000', '2026-01-31T12:00:00Z#1')
    def test_times_of_glance(self, text):
        self.assertEqual(1769860800.0, units.time_of(text))

    @ddt.data(None, '', 'yesterday', '2026-13-31T12:00:00Z')
    def test_what_is_no_time(self, text):
        self.assertIsNone(units.time_of(text))


class ContradictionTest(base.RulesTestCase):
    """Rules that cannot both be followed are an error before anything is done."""

    def contradiction(self, text, *subjects):
        return str(self.assertRaises(exceptions.MultistoreError, self.plan, text, *subjects))

    def test_rules_that_contradict_whatever_the_images_are(self):
        text = self.contradiction('''
            rules:
              - name: everywhere
                in: all
              - name: here alone
                match: {name: x}
                only: central
            ''')
        self.assertIn("The rules 'everywhere' (", text)
        self.assertIn("line 3) and 'here alone' (", text)
        self.assertIn('line 5) contradict one another: one wants it in dcn1, the other rules that out.', text)

    RULES = '''
        rules:
          - name: public ones
            match: {visibility: public}
            in: dcn1
          - name: old ones
            match: {older than: 10 days}
            only: [central]
        '''

    def test_rules_that_contradict_for_an_image(self):
        text = self.contradiction(self.RULES, base.subject('a', days=20),
                                  base.subject('b', days=20, visibility='public'))
        self.assertIn('contradict one another for image id-b: one wants it in dcn1', text)

    def test_rules_that_would_contradict_for_no_image_that_there_is(self):
        self.assertEqual(['+b dcn1'], self.steps(
            self.RULES, base.subject('a', days=20), base.subject('b', visibility='public')))

    def test_two_onlys_that_leave_no_store(self):
        self.assertIn('no store is left that both allow', self.contradiction(
            'rules: [{name: a, only: dcn1}, {name: b, match: {name: x}, only: dcn2}]'))

    def test_more_copies_than_stores_that_are_left(self):
        self.assertIn('one wants 2 copies, the other leaves 1 store for them', self.contradiction(
            'rules: [{name: a, at least: 2}, {name: b, only: dcn2}]'))

    def test_newest_and_the_rest_do_not_contradict(self):
        self.assertEqual(['-old dcn1'], self.steps(
            'rules: [{name: a, newest: 1, in: dcn1}, {name: b, all but newest: 1, only: central}]',
            base.subject('new', ['dcn1'], 1), base.subject('old', ['central', 'dcn1'], 2)))


@ddt.ddt
class ExamplesTest(base.RulesTestCase):
    """The rules that are shipped do what they say."""

    stores = api.Stores(base.CENTRAL.stores[:-2])   # central, dcn1, dcn2

    def example(self, name, *subjects, **options):
        with open(os.path.join(EXAMPLES, name), encoding='utf-8') as stream:
            return self.steps(stream.read(), *subjects, **options)

    @ddt.data(*sorted(os.listdir(EXAMPLES)))
    def test_every_example_is_valid_and_has_a_test(self, name):
        rules.load(os.path.join(EXAMPLES, name), self.stores)
        with open(__file__, encoding='utf-8') as stream:
            self.assertTrue(re.search(r"self\.example\(\s*'%s'" % name, stream.read()), name)

    def test_public_everywhere(self):
        self.assertEqual(['+a dcn1,dcn2', '+b central,dcn2'], self.example(
            'public-everywhere.yaml', base.subject('a', visibility='public'), base.subject('c'),
            base.subject('b', ['dcn1'], visibility='public', days=1),
            base.subject('s', visibility='public', kind='snapshot')))

    def test_newest_of_a_family(self):
        builds = [base.subject('debian-12-%d' % day, days=day) for day in (1, 2, 3, 4)]
        other = base.subject('debian-11-9', ['central', 'dcn1', 'dcn2'], days=9)
        old = base.subject('debian-12-5', ['dcn1'], days=5)
        self.assertEqual(['+debian-12-1 dcn1,dcn2', '+debian-12-2 dcn1,dcn2', '+debian-12-3 dcn1,dcn2',
                          '+debian-12-5 central', '-debian-12-5 dcn1'],
                         self.example('newest-of-a-family.yaml', other, old, *builds))

    def test_edge_snapshots(self):
        self.assertEqual(
            ['+new central', '+both central', '-both dcn1', '-old dcn2'],
            self.example('edge-snapshots.yaml', base.subject('new', ['dcn1'], 1, kind='snapshot'),
                         base.subject('both', ['dcn1'], 40, kind='backup'),
                         base.subject('old', ['central', 'dcn2'], 50, kind='snapshot'),
                         base.subject('image', ['dcn2'], 50)))

    def test_unused_at_the_edge(self):
        usage = {'id-' + name: base.NOW - days * base.DAY
                 for name, days in (('used', 3), ('unused', 70), ('kept', 70), ('only', 70), ('young', 70))}
        self.assertEqual(
            ['+only central', '-only dcn1', '-unused dcn1'],
            self.example('unused-at-the-edge.yaml', *[
                base.subject(name, stores, days, **more) for name, stores, days, more in (
                    ('used', ['central', 'dcn1'], 90, {}), ('unused', ['central', 'dcn1'], 90, {}),
                    ('unknown', ['central', 'dcn1'], 90, {}), ('only', ['dcn1'], 80, {}),
                    ('young', ['central', 'dcn1'], 50, {}),
                    ('kept', ['central', 'dcn1'], 90, {'tags': ('keep',)}))], usage=usage))

    def test_reserve(self):
        space = {'dcn1': base.inventory.Space(100, 35), 'central': base.inventory.Space(1 << 50, 1 << 50)}
        images = [base.subject(name, ['dcn2'], days, protected=True, size=10)
                  for days, name in enumerate(('a', 'b', 'c'))]
        self.assertEqual(['+a central', '+b central', '+c central'],
                         self.example('reserve.yaml', *images, space=space))
        images = [image._replace(stores=('central',)) for image in images]
        # 35 of 100 are free and 20 have to stay so: one fits; the others go to dcn2, which has room.
        self.assertEqual(['+a dcn1', '+b dcn2', '+c dcn2'],
                         self.example('reserve.yaml', *images, space=space))
