# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks image place``: images where a file of rules wants them."""

import argparse
import time
from typing import Any
from typing import Iterable
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import command
from multistore_hooks.cli import image_list
from multistore_hooks.cli import upkeep
from multistore_hooks.stores import inventory
from multistore_hooks.stores import metrics
from multistore_hooks.stores import plans
from multistore_hooks.stores import rules


class Place(upkeep.UpkeepCommand):
    """Print what is to be done so that images are where a file of rules wants them; --apply does it.

    A second run after a success has nothing to do. Stopped at any moment, the same command goes on.
    """

    shown = tuple(dict.fromkeys(upkeep.PLANNED + upkeep.DONE))
    usage = ('--rules FILE [--apply | --dry-run] [--prometheus FILE] [--usage FILE]' + upkeep.EVICTION
             + upkeep.LIMITS)
    exit_codes = ('Exit code: 0 all images are where the rules want them; 1 something is to be done (with '
                  '--apply: failed or is not possible); 2 the rules are wrong, or Glance cannot be reached: '
                  'nothing was done; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('--rules', metavar='FILE', required=True, help='the rules, in YAML')
        how = parser.add_mutually_exclusive_group()
        how.add_argument('--apply', action='store_true', help='do it')
        how.add_argument('--dry-run', action='store_true', help='only print it, as without --apply')
        parser.add_argument('--prometheus', metavar='FILE',
                            help="write figures for node_exporter's textfile collector")
        image_list.add_usage(parser)
        self.add_eviction(parser)
        self.add_limits(parser)

    def take_action(self, arguments: argparse.Namespace) -> Tuple[Sequence[str], Iterable[Any]]:
        """Return the plan, or what came of it."""
        if arguments.prometheus:
            metrics.require_writable(arguments.prometheus)
        world = self.world(arguments)
        wanted = rules.load(arguments.rules, world.stores)
        applier = self.applier(world, arguments, wanted.reserve)

        def make_plan() -> plans.Plan:
            subjects = world.subjects()
            used = image_list.read_usage(arguments, world, subjects) if wanted.needs_usage else {}
            space = inventory.with_capacity(world.space(), wanted.capacity, subjects)
            limits = plans.Limits(world.stores, space, most_bytes=self.bytes_left(arguments, applier),
                                  failed=applier.failed)
            return plans.by_rules(wanted, subjects, limits, used, time.time())

        if not arguments.apply:
            plan = make_plan()
            self._code = command.NOT_ALL if plan.rounds or plan.unmet else command.OK
            if arguments.prometheus:
                self._write(arguments, world, plan)
            return self.show_plan(plan, arguments)
        plan = self.carry_out(applier, make_plan)
        for unmet in plan.unmet:
            self._code = command.NOT_ALL
            self.print_error('%s: %s' % (unmet.image.id, unmet.why))
        for note in plan.notes:
            self.print_error(note)
        if arguments.prometheus:
            applier.failed.clear()  # what is left to do includes what failed
            self._write(arguments, world, make_plan(), sum(outcome.failed for outcome in applier.outcomes),
                        time.time() if self._code == command.OK else None)
        return self.outcomes(applier)

    @staticmethod
    def _write(arguments: argparse.Namespace, world: upkeep.World, left: plans.Plan, failed: int = 0,
               success: Optional[float] = None) -> None:
        """Write the metrics: what is left to do, and what came of this run."""
        held = dict.fromkeys(world.stores.ids, inventory.Held(0, 0))
        held.update(inventory.held_by_store(world.subjects()))
        metrics.write(arguments.prometheus, metrics.Figures(
            held, sum(len(copy.stores) for copy in left.copies),
            len(left.evictions), len(left.unmet), failed, success))
