# SPDX-License-Identifier: Apache-2.0
"""Images, stores and rules for the tests of the plans."""

import os
import textwrap

import fixtures

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.stores import inventory
from multistore_hooks.stores import plans
from multistore_hooks.stores import rules
from tests.unit import base

NOW = 1767225600.0 + 100 * 86400
DAY = 86400
CENTRAL = api.Stores((api.Store('central', True), api.Store('dcn1'), api.Store('dcn2'), api.Store('dcn10'),
                      api.Store('web', read_only=True)))


def subject(name='image', stores=('central',), days=0, **more):
    """Return an active image of 10 bytes, made so many days ago."""
    values = dict(id='id-' + name, name=name, status='active', size=10, stores=tuple(stores), importing_to=(),
                  import_task=None, created=NOW - days * DAY, owner='p1', visibility='private', hidden=False,
                  protected=False, tags=(), format='raw', kind=inventory.IMAGE, properties={})
    values.update(more)
    return inventory.Subject(**values)


class RulesTestCase(base.TestCase):
    """Loads rules that a test writes down."""

    stores = CENTRAL

    def load(self, text):
        """Return the rules of a text."""
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'rules.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(textwrap.dedent(text))
        return rules.load(path, self.stores)

    def refused(self, text):
        """Return the error of a text that is no rules, without its folder."""
        error = self.assertRaises(exceptions.MultistoreError, self.load, text)
        return str(error)[str(error).index('rules.yaml'):]

    def plan(self, text, *subjects, usage=None, space=None, most_bytes=None):
        """Return the plan for rules and images."""
        wanted = self.load(text)
        room = inventory.with_capacity(space or {}, wanted.capacity, subjects)
        limits = plans.Limits(self.stores, room, most_bytes=most_bytes)
        return plans.by_rules(wanted, subjects, limits, usage or {}, NOW)

    def steps(self, *args, **options):
        """Return a plan in short: '+name store', '-name store', '!name'."""
        return short(self.plan(*args, **options))


def short(plan):
    """Return a plan in short: '+name store', '-name store', '!name'."""
    found = []
    for one in plan.rounds:
        found += ['+%s %s' % (copy.image.name, ','.join(copy.stores)) for copy in one.copies]
        found += ['-%s %s' % (evict.image.name, evict.store) for evict in one.evictions]
    return found + ['!%s' % unmet.image.name for unmet in plan.unmet]
