# SPDX-License-Identifier: Apache-2.0
"""Random images, stores and rules, carried out on a fake Glance and judged by an oracle of its own.

The oracle knows nothing of the plans: it reads the rules as they were written, and what the stores hold.
MULTISTORE_CAMPAIGN=5000 runs so many random cases of each; by default there are few, always the same ones.
"""

import collections
import datetime
import fnmatch
import json
import os
import tempfile
from unittest import mock

import hypothesis
from hypothesis import strategies as st
import testtools

from multistore_hooks.stores import apply
from multistore_hooks.stores import demands
from multistore_hooks.stores import evict
from multistore_hooks.stores import inventory
from multistore_hooks.stores import lock
from multistore_hooks.stores import plans
from multistore_hooks.stores import proofs
from multistore_hooks.stores import rules
from tests import clock
from tests import fake_glance
from tests.unit.stores import fakes

CASES = int(os.environ.get('MULTISTORE_CAMPAIGN', '0'))
SETTINGS = hypothesis.settings(
    max_examples=CASES or 40, deadline=None, derandomize=not CASES, database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large])
#: Which cases there were, by kind.
SEEN = collections.Counter()

WRITABLE, READ_ONLY = ('a', 'b', 'c', 'd'), 'web'
NOW = 1767225600.0 + 100 * 86400
SIZE = 10

images = st.fixed_dictionaries({
    'stores': st.lists(st.sampled_from(WRITABLE * 2 + (READ_ONLY,)), min_size=1, max_size=4, unique=True),
    'lost': st.lists(st.sampled_from(WRITABLE), max_size=1),
    'name': st.sampled_from(['x-1', 'x-2', 'y-1']),
    'visibility': st.sampled_from(['public', 'private']),
    'tags': st.sampled_from([[], ['keep'], ['edge']]),
    'days': st.integers(0, 50),
})
some_stores = st.lists(st.sampled_from(WRITABLE), min_size=1, max_size=2, unique=True)
matches = st.one_of(
    st.just({}), st.fixed_dictionaries({'name': st.sampled_from(['x-*', '*-1', 'y-1'])}),
    st.fixed_dictionaries({'visibility': st.sampled_from(['public', 'private'])}),
    st.fixed_dictionaries({'tag': st.sampled_from(['keep', 'edge'])}),
    st.fixed_dictionaries({'older than': st.sampled_from(['10 days', '30 days'])}))


@st.composite
def written_rules(draw):
    """Draw one to three rules, as they would be written."""
    found = []
    for number in range(draw(st.sampled_from([1, 1, 2, 2, 3]))):
        rule = {'name': 'rule %d' % number, 'match': draw(matches)}
        kind = draw(st.sampled_from(['in', 'only', 'only', 'at least', 'in and only']))
        if kind == 'in':
            rule['in'] = draw(some_stores)
        elif kind == 'at least':
            rule['at least'] = draw(st.integers(1, 3))
        else:
            rule['only'] = draw(some_stores)
            if kind == 'in and only':
                rule['in'] = rule['only'][:1]
        if draw(st.booleans()) and draw(st.booleans()):
            rule[draw(st.sampled_from(['newest', 'all but newest']))] = draw(st.integers(1, 2))
        found.append(rule)
    return found


def _drawn(*stores):
    """Return an image in these stores, as one that was drawn."""
    return {'stores': list(stores), 'lost': [], 'name': 'x-1', 'visibility': 'public', 'tags': [], 'days': 1}


class Killed(BaseException):
    """The process was killed."""


class World:
    """A Glance with images, watched at every request, and what looks after its stores."""

    def __init__(self, drawn):
        kinds = {store: fake_glance.FILE for store in WRITABLE}
        kinds[READ_ONLY] = fake_glance.READ_ONLY
        self.glance = fake_glance.FakeGlance(kinds, default='a', copies_at_once=False)
        self.glance.locks_last = True
        self.drawn = {}
        for number, entry in enumerate(drawn):
            # Of two of one age the id decides which is newer: it has to be the same in each world.
            image_id = self.glance.add_image(entry['stores'], b'x' * SIZE, visibility=entry['visibility'],
                                             tags=entry['tags'], name=entry['name'],
                                             id='00000000-0000-4000-8000-%012d' % number)
            made = NOW - entry['days'] * 86400
            self.glance.images[image_id]['created_at'] = _written(made)
            for store in entry['lost']:
                if store in entry['stores']:
                    self.glance.lose(image_id, store)
            self.drawn[image_id] = entry
        self.whole = {image_id for image_id in self.drawn if self.is_whole(image_id)}
        self.had_data = {image_id for image_id in self.drawn if self.glance.where(image_id)}
        self.requests, self.kill_at, self.interludes = 0, None, {}
        self.clock = clock.Clock()

    def is_whole(self, image_id):
        """Tell whether the stores have all that the record lists."""
        return sorted(self.glance.listed(image_id)) == self.glance.where(image_id)

    def __call__(self, environ, start_response):
        """Answer a request; be killed before or after it, let others in between, and watch the data."""
        self.requests += 1
        if self.kill_at == (self.requests, 'before'):
            raise Killed()
        for function in self.interludes.pop(self.requests, ()):
            function()
        body = self.glance(environ, start_response)
        for image_id in self.had_data:
            assert self.glance.where(image_id), 'the last copy of %s was lost' % image_id
        if self.kill_at == (self.requests, 'after'):
            raise Killed()
        return body

    def images(self):
        return fakes.store_images(self)

    def subjects(self):
        found = [inventory.subject_of(image) for image in self.images().everything()]
        return sorted(found, key=lambda subject: list(self.drawn).index(subject.id))

    def evictor(self):
        """Return an evictor that reads the places of all stores."""
        read = {store: fakes.MemoryPlace(self.glance, store) for store in self.glance.stores}
        asked = self.images()
        return evict.Evictor(evict.Tools(asked, proofs.Prover(asked, read, {}), read, {}, clock=self.clock))

    def limits(self, wanted):
        room = inventory.with_capacity({}, wanted.capacity, self.subjects())
        return plans.Limits(self.images().stores(), room)

    def plan(self, wanted, failed=frozenset()):
        return plans.by_rules(wanted, self.subjects(), self.limits(wanted)._replace(failed=failed), {}, NOW)

    def carry_out(self, wanted):
        """Do what rules want, while Glance ends its copies from time to time; return the plan."""
        time = self.clock = clock.Clock()

        def finish():
            self.glance.finish_copies()
            time.at(time.now + 20, finish)

        time.at(20, finish)
        limits = apply.Limits(per_store=2, imports=3)
        applier = apply.Applier(self.images(), self.evictor(), limits, time)
        return apply.converge(lambda: self.plan(wanted, applier.failed), applier)

    def load(self, written):
        """Return rules that were written."""
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as stream:
            json.dump(written, stream)   # which is YAML
            stream.flush()
            return rules.load(stream.name, self.images().stores())

    def state(self):
        return {image_id: sorted(self.glance.listed(image_id)) for image_id in self.drawn}


def _written(seconds):
    return datetime.datetime.utcfromtimestamp(seconds).strftime('%Y-%m-%dT%H:%M:%SZ')


def enough(test, **least):
    """Make sure that there were cases of each kind: how many, differs from one hypothesis to another."""
    for kind, count in least.items():
        test.assertTrue(SEEN[kind] >= count, '%s: %s' % (kind, dict(SEEN)))


class Oracle:
    """Says where images should be, from the rules as they were written."""

    def __init__(self, world, written):
        self.world, self.written = world, written

    def matched(self, image_id):
        """Return the rules that are about an image."""
        return [rule for rule in self.written['rules'] if image_id in self._about(rule)]

    def _about(self, rule):
        found = [image_id for image_id, entry in self.world.drawn.items() if self._is(entry, rule['match'])]
        for key, wanted in (('newest', True), ('all but newest', False)):
            if key in rule:
                order = sorted(found, key=lambda one: (self.world.drawn[one]['days'], one))[:rule[key]]
                found = [one for one in found if (one in order) is wanted]
        return found

    @staticmethod
    def _is(entry, match):
        for key, value in match.items():
            if key == 'name' and not fnmatch.fnmatchcase(entry['name'], value):
                return False
            if key == 'visibility' and entry['visibility'] != value:
                return False
            if key == 'tag' and value not in entry['tags']:
                return False
            if key == 'older than' and not entry['days'] > int(value.split()[0]):
                return False
        return True

    def contradicts(self, image_id):
        """Tell whether the rules of an image cannot all be followed."""
        matched = self.matched(image_id)
        allowed = self.allowed(matched)
        return (not allowed or not self.required(matched) <= allowed
                or any(len(allowed & set(WRITABLE)) < rule.get('at least', 0) for rule in matched))

    @staticmethod
    def allowed(matched):
        allowed = set(WRITABLE + (READ_ONLY, ))
        for rule in matched:
            if 'only' in rule:
                allowed &= set(rule['only'])
        return allowed

    @staticmethod
    def required(matched):
        return {store for rule in matched for store in rule.get('in', ())}

    def faults(self, image_id, fits=lambda store: True):
        """Return what is wrong with where an image is; ``fits`` says where there would be room for it."""
        matched = self.matched(image_id)
        if not matched:
            return [] if self.world.state()[image_id] == sorted(
                self.world.drawn[image_id]['stores']) else ['it has no rule, and was changed']
        here, allowed = set(self.world.glance.listed(image_id)), self.allowed(matched)
        wrong = ['not in %s' % store for store in self.required(matched) - here if fits(store)]
        for rule in matched:
            count = rule.get('at least', 0)
            room = [store for store in allowed & set(WRITABLE) - here if fits(store)]
            if len(here & allowed & set(WRITABLE)) < count and room:
                wrong.append('%d copies wanted' % count)
        if here & allowed:
            wrong += ['in %s, which is not allowed' % store for store in here - allowed]
        elif any(fits(store) for store in allowed & set(WRITABLE)):
            wrong.append('in no store that is allowed')
        return wrong


class RulesCampaign(testtools.TestCase):
    """The end is what the rules say."""

    # Both other images go into c, which has no room for the third then: that one goes into d.
    @hypothesis.example(
        drawn=[_drawn('a'), _drawn('a', 'b'), _drawn('a', 'b')], tight=True,
        written=[{'name': 'one', 'match': {}, 'at least': 1}, {'name': 'two', 'match': {}, 'in': ['a', 'c']},
                 {'name': 'three', 'match': {}, 'at least': 3}])
    # The others fill c; of the stores that are allowed, a has room for the third.
    @hypothesis.example(
        drawn=[_drawn('a'), _drawn('a'), _drawn('b')], tight=True,
        written=[{'name': 'one', 'match': {}, 'only': ['c', 'a'], 'in': ['c']}])
    @SETTINGS
    @hypothesis.given(st.lists(images, min_size=1, max_size=5), written_rules(), st.booleans())
    def rules_case(self, drawn, written, tight):
        """One case; see the test below."""
        document = {'rules': written}
        if tight:
            document.update(capacity={'b': '%d B' % (4 * SIZE), 'c': '%d B' % (3 * SIZE)},
                            reserve={'b': '25%', 'c': '%d B' % SIZE})
        world = World(drawn)
        oracle = Oracle(world, document)
        start, used = world.state(), self.used(world)
        try:
            wanted = world.load(document)
            plan = world.carry_out(wanted)
        except demands.Contradiction:
            # By the images there are, or by those that there could be: see the tests of the rules.
            SEEN['contradictions'] += 1
            self.assertEqual(start, world.state())
            return
        self.assertEqual([], [one for one in world.drawn if oracle.matched(one) and oracle.contradicts(one)])
        SEEN.update(copies=sum(len(copy.stores) for copy in plan.copies), evictions=len(plan.evictions),
                    rounds=len(plan.rounds) > 1, tight=tight, lost=len(world.drawn) - len(world.whole))
        room = {store: self.room(world, store, tight) for store in WRITABLE}
        for image_id in world.whole:
            self.assertEqual([], oracle.faults(image_id, lambda store: room[store] >= SIZE), image_id)
        for store in 'bc' if tight else '':
            self.assertTrue(room[store] >= 0 or self.used(world)[store] <= used[store], store)
        # Later rounds count on evictions; of images that lost data they may always be refused.
        again = world.plan(wanted).rounds[:1]
        self.assertEqual([], [step for one in again for step in one.copies + one.evictions
                              if step.image.id in world.whole])

    @staticmethod
    def used(world):
        return collections.Counter(store for stores in world.state().values() for store in stores)

    def room(self, world, store, tight):
        """Return the bytes that a store has left beside its reserve."""
        most = {'b': 3, 'c': 2}.get(store, 1000) if tight else 1000
        return (most - self.used(world)[store]) * SIZE

    @SETTINGS
    @hypothesis.given(st.lists(images, min_size=1, max_size=3), written_rules(), st.data())
    def kill_case(self, drawn, written, data):
        """One case; see the test below."""
        drawn = [dict(entry, lost=[]) for entry in drawn]
        undisturbed, world = World(drawn), World(drawn)
        try:
            wanted = undisturbed.load({'rules': written})
            before = undisturbed.requests
            undisturbed.carry_out(wanted)
        except demands.Contradiction:
            return
        world.kill_at = (data.draw(st.integers(1, undisturbed.requests - before)),
                         data.draw(st.sampled_from(['before', 'after'])))
        gone = lock.holder().replace('process %d ' % os.getpid(), 'process %d ' % 2 ** 22)
        with mock.patch.object(lock, 'holder', lambda: gone):
            self.assertRaises(Killed, world.carry_out, wanted)
        SEEN['kills'] += 1
        world.kill_at = None
        if data.draw(st.booleans()):
            world.glance.finish_copies()
        world.carry_out(wanted)
        self.assertEqual(list(undisturbed.state().values()), list(world.state().values()))
        self.assertEqual({}, world.glance.namespaces)

    def test_end_is_what_the_rules_say_and_a_second_run_plans_nothing(self):
        self.rules_case()
        enough(self, copies=5, evictions=5, contradictions=1, lost=3, tight=3)

    def test_kill_at_any_request_and_a_run_again_come_to_the_same_end(self):
        self.kill_case()
        enough(self, kills=5)


class TogetherCampaign(testtools.TestCase):
    """Two evictors and copies of one image, one in the middle of the other's requests."""

    @SETTINGS
    @hypothesis.given(
        st.lists(st.sampled_from(WRITABLE), min_size=2, max_size=3, unique=True),
        st.lists(st.tuples(st.integers(1, 14), st.sampled_from(['evict', 'copy', 'finish']),
                           st.sampled_from(WRITABLE)), max_size=5),
        st.lists(st.tuples(st.sampled_from(['evict: checked', 'evict: data deleted']),
                           st.sampled_from(['evict', 'copy', 'finish']), st.sampled_from(WRITABLE)),
                 max_size=3))
    def together_case(self, stores, at_requests, at_steps):
        """One case; see the test below."""
        world = World([{'stores': stores, 'lost': [], 'name': 'x', 'visibility': 'private', 'tags': [],
                        'days': 1}])
        image_id, = world.drawn

        def act(what, store):
            if what == 'finish':
                world.glance.finish_copies()
            elif what == 'evict':
                SEEN['together: ' + world.evictor().evict(image_id, store).state] += 1
            else:
                try:
                    world.images().copy(image_id, [store])
                except fakes.api.GlanceError:
                    SEEN['together: no copy'] += 1
                else:
                    SEEN['together: copy'] += 1

        for number, what, store in at_requests:
            world.interludes.setdefault(number, []).append(lambda what=what, store=store: act(what, store))
        for step, what, store in at_steps:
            world.glance.at(step, lambda what=what, store=store: act(what, store))
        for store in stores:
            act('evict', store)
        world.glance.finish_copies()
        self.assertNotEqual([], world.glance.where(image_id))
        self.assertEqual({}, world.glance.namespaces)

    def test_last_copy_is_never_lost(self):
        self.together_case()
        enough(self, **{'together: freed': 3, 'together: refused': 3, 'together: copy': 2})
