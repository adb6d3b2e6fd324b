# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks store list|drain|check``."""

import argparse
from typing import Any
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import image
from multistore_hooks.cli import store_names
from multistore_hooks.cli import upkeep
from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import check
from multistore_hooks.stores import inventory
from multistore_hooks.stores import places
from multistore_hooks.stores import plan as plans
from multistore_hooks.stores import units

_Table = Tuple[Sequence[str], Iterable[Any]]


class NoTarget(exceptions.MultistoreError):
    """It is not said where a drained store's images are to go."""

    msg_fmt = _("%(store)s is Glance's default store: say with --to where its images are to go.")


class NotReached(exceptions.MultistoreError):
    """A store to check cannot be read from here."""

    msg_fmt = _('The store %(store)s cannot be checked: its place is not known here. Name its directory '
                'or its '
                'ceph.conf with --reach %(store)s=PLACE.')


class PlaceUnreadable(exceptions.MultistoreError):
    """A store's place cannot be read now."""

    msg_fmt = _('The store %(store)s cannot be checked: %(why)s.')


class StoreList(upkeep.UpkeepCommand):
    """List the stores, with the images and bytes that are in each by their records."""

    shown = ('ID', 'Default', 'Read Only', 'Type', 'Place', 'Images', 'Size', 'Free')
    usage = '[--reach STORE=PLACE]'
    exit_codes = 'Exit code: 0 success; 2 Glance cannot be reached, or has one store only.'

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        self.add_reach(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Return the table."""
        world = self.world(arguments, detailed=False)
        held = inventory.held_by_store(world.subjects())
        space = world.space()
        readable = arguments.formatter == 'table'
        rows: List[Any] = []
        others = sorted(set(held) - set(world.stores.ids))
        for store in world.stores.stores:
            detail = world.details.get(store.id)
            properties = detail.properties if detail else {}
            count = held.get(store.id, inventory.Held(0, 0))
            free = space[store.id].free if store.id in space else None
            rows.append((store.id, store.default, store.read_only, detail.type if detail else '',
                         str(properties.get('pool') or properties.get('data_dir') or ''), count.images,
                         _size(count.bytes, readable), '' if free is None else _size(free, readable)))
        for name in others:  # images of a store that this Glance does not have (any more)
            rows.append((name, False, False, 'unknown here', '', held[name].images,
                         _size(held[name].bytes, readable), ''))
        return self.shown, rows


def _size(size: int, readable: bool) -> Any:
    return units.show_bytes(size) if readable else size


class Drain(upkeep.UpkeepCommand):
    """Empty a store: what has its only copy there is copied first, then each copy is removed.

    A copy is removed only when another one is proved to exist. Stopped at any moment, the same command goes
    on.
    """

    shown = tuple(dict.fromkeys(upkeep.PLANNED + upkeep.DONE))
    usage = 'STORE [--to STORE,...] [--dry-run] [--reach STORE=PLACE] [--accept-reads] [--in-use]'
    exit_codes = ('Exit code: 0 the store is empty (with --dry-run: nothing is to be done); 1 some images '
                  'are '
                  'still there, which ones and why is said (with --dry-run: something is to be done); 2 '
                  'nothing '
                  'was done; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('store', metavar='STORE', help='id of the store')
        parser.add_argument('--to', metavar='STORE,...', action='append',
                            help='where to copy what is nowhere else; the first with room takes it (default: '
                                 "Glance's default store)")
        parser.add_argument('--dry-run', action='store_true', help='only print what would be done')
        self.add_eviction(parser)
        self.add_limits(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Empty the store, and return what came of each step."""
        world = self.world(arguments)
        store = self.store_named(world, arguments.store, 'STORE')
        if arguments.to:
            to = [name for name in store_names.parse(arguments.to, '--to', world.stores) if name != store]
        else:
            to = [name for name in (world.stores.default,) if name and name != store]
        if not to:
            raise NoTarget(store=store)

        def make_plan() -> plans.Plan:
            return plans.by_drain(store, to, world.subjects(), plans.Limits(world.stores, world.space()))

        if arguments.dry_run:
            plan = make_plan()
            self._code = image.NOT_ALL if plan.rounds or plan.unmet else image.OK
            return self.show_plan(plan, arguments)
        applier = self.applier(world, arguments, {})
        plan = self.carry_out(applier, make_plan)
        for unmet in plan.unmet:
            self.print_error('%s: %s' % (unmet.image.id, unmet.why))
        left = [subject for subject in world.subjects() if store in subject.stores]
        trash = self._trash(world, store)
        if left or trash:
            self._code = image.NOT_ALL
        self.print_error('%s: %s%s' % (
            store, '%d images are still there' % len(left) if left else 'no image is there by the records',
            ', and %d in the trash of its pool' % trash if trash else ''))
        return self.outcomes(applier)

    @staticmethod
    def _trash(world: upkeep.World, store: str) -> int:
        """Return how much is in the trash of a store's pool, as far as that is known."""
        place = world.reached.get(store)
        try:
            return len(place.trash()) if isinstance(place, places.Pool) else 0
        except places.PlaceError:
            return 0


class Check(upkeep.UpkeepCommand):
    """Compare what the records say with what the stores hold.

    --mend lets a record forget a copy that is not there, when another is proved to exist. Data without a
    record is only reported: it may belong to an upload that goes on, or to another Glance.
    """

    shown = ('Store', 'Finding', 'Name', 'Why', 'Size', 'Mended')
    usage = '[STORE ...] --reach STORE=PLACE [--verify] [--mend] [--dry-run]'
    exit_codes = ('Exit code: 0 nothing was found, or all was mended; 1 something was found; 2 a store '
                  'cannot be '
                  'read, or Glance cannot be reached; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('stores', metavar='STORE', nargs='*', help='ids of stores (default: all of '
                                                                       '--reach)')
        parser.add_argument('--verify', action='store_true',
                            help='read all data, and compare it with the checksums of the records')
        parser.add_argument('--mend', action='store_true', help='mend what is safe to mend')
        parser.add_argument('--dry-run', action='store_true', help='mend nothing, whatever else is said')
        self.add_eviction(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Return what was found."""
        world = self.world(arguments)
        wanted = [self.store_named(world, store,
                                   'STORE') for store in arguments.stores] or sorted(world.reached)
        for store in wanted:
            if store not in world.reached:
                raise NotReached(store=store)
        images = list(world.images.everything())
        evictor = self.evictor(world, arguments)
        rows: List[Any] = []
        for store in wanted:
            try:
                found = check.check(store, world.reached[store], images, arguments.verify)
            except places.PlaceError as error:
                raise PlaceUnreadable(store=store, why=error)
            for finding in found:
                mended = ''
                if arguments.mend and not arguments.dry_run and finding.kind != check.SITE_IMAGE:
                    came = check.mend(finding, evictor)
                    mended = 'yes' if came.done else '%s: %s' % (came.state, came.why)
                if mended != 'yes' and finding.kind != check.SITE_IMAGE:
                    self._code = image.NOT_ALL
                rows.append((finding.store, finding.kind, finding.name, finding.why, finding.size, mended))
        if not rows and arguments.formatter == 'table':
            self.print_error('%s: nothing was found' % ', '.join(wanted))
        return self.shown, rows
