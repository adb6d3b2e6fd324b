# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image evict``."""

import argparse
import time
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import command
from multistore_hooks.cli import image_list
from multistore_hooks.cli import image_lookup
from multistore_hooks.cli import upkeep
from multistore_hooks.stores import evict
from multistore_hooks.stores import inventory
from multistore_hooks.stores import lock
from multistore_hooks.stores import plans
from multistore_hooks.stores import rules


class Evict(upkeep.UpkeepCommand):
    """Remove the copies of images from a store.

    A copy is removed only when another one is proved to exist, and never the last.
    """

    shown = ('ID', 'Name', 'Store', 'Result', 'Reason')
    usage = 'IMAGE [IMAGE ...] --from STORE [--rules FILE] [--dry-run] [--usage FILE]' + upkeep.EVICTION
    exit_codes = ('Exit code: 0 the store has none of the images; 1 some stay, why is said; 2 an image or '
                  'the '
                  'store does not exist, or Glance cannot be reached: nothing was removed; 130 stopped by '
                  'Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('images', metavar='IMAGE', nargs='+', help='id or name of an image')
        parser.add_argument('--from', metavar='STORE', dest='store', required=True, help='id of the store')
        parser.add_argument('--rules', metavar='FILE', help='remove nothing that a rule wants there')
        parser.add_argument('--dry-run', action='store_true', help='only print what would be done')
        image_list.add_usage(parser)
        self.add_eviction(parser)

    def take_action(self, arguments: argparse.Namespace) -> Tuple[Sequence[str], Iterable[Any]]:
        """Remove the copies, and return what came of each."""
        world = self.world(arguments)
        store = self.store_named(world, arguments.store, '--from')
        wanted = self._wanted(arguments, world, store)
        found = self.find(image_lookup.Images(world.images._run), arguments.images)
        if self._code != command.OK:
            raise command.AlreadyReported()
        evictor = self.evictor(world, arguments)
        if not arguments.dry_run:
            lock.sweep(world.images)
        rows: List[Any] = []
        for one in found:
            if one.id in wanted:
                came = evict.Outcome(evict.REFUSED, "the rule '%s' wants it there" % wanted[one.id])
            elif arguments.dry_run:
                came = evictor.examine(one, store)
            else:
                came = evictor.evict(one.id, store)
            if not came.done and came.state != evict.POSSIBLE:
                self._code = command.NOT_ALL
                self.print_error('%s: %s%s' % (one.id, came.state, ': ' + came.why if came.why else ''))
            rows.append((one.id, image_lookup.name_of(one), store, came.state, came.why))
        return self.shown, rows

    @staticmethod
    def _wanted(arguments: argparse.Namespace, world: upkeep.World, store: str) -> Dict[str, str]:
        """Return the rule that wants each image in the store, by image."""
        if not arguments.rules:
            return {}
        every = rules.load(arguments.rules, world.stores)
        subjects = world.subjects()
        matched = plans.match_rules(every.rules, subjects,
                                    image_list.read_usage(arguments, world, subjects), time.time())
        wanted: Dict[str, str] = {}
        by_id: Dict[str, inventory.Subject] = {subject.id: subject for subject in subjects}
        for image_id, numbers in matched.items():
            for rule in (every.rules[number] for number in numbers):
                held = len(set(by_id[image_id].stores) & set(rule.of))
                if store in rule.stores or (store in rule.of and rule.at_least >= held):
                    wanted.setdefault(image_id, rule.name)
        return wanted
