# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks store list|drain|check|data remove``."""

import argparse
import time
from typing import Any
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from multistore_hooks.cli import command
from multistore_hooks.cli import image_list
from multistore_hooks.cli import store_names
from multistore_hooks.cli import text
from multistore_hooks.cli import upkeep
from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import check
from multistore_hooks.stores import evict
from multistore_hooks.stores import inventory
from multistore_hooks.stores import lock
from multistore_hooks.stores import places
from multistore_hooks.stores import plans
from multistore_hooks.stores import proofs
from multistore_hooks.stores import remove_data
from multistore_hooks.stores import sightings
from multistore_hooks.stores import units

_Table = Tuple[Sequence[str], Iterable[Any]]


class NoTarget(exceptions.MultistoreError):
    """It is not said where a drained store's images are to go."""

    msg_fmt = _("Say with --to where the images of %(store)s are to go: neither --to nor Glance's default is "
                'another store.')


class NotReached(exceptions.MultistoreError):
    """A store to check cannot be read from here."""

    msg_fmt = _('The store %(store)s cannot be checked: its place is not known here. Name its directory '
                'or its '
                'ceph.conf with --reach %(store)s=PLACE.')


class NoTrash(exceptions.MultistoreError):
    """Data of a store cannot be moved to a trash."""

    msg_fmt = _('The store %(store)s is %(place)s, which has no trash. Only data in RBD pools is removed.')


class PlaceUnreadable(exceptions.MultistoreError):
    """A store's place cannot be read now."""

    msg_fmt = _('The store %(store)s cannot be checked: %(why)s.')


class StoreList(upkeep.UpkeepCommand):
    """List the stores, with the images and bytes that are in each by their records."""

    shown = ('ID', 'Default', 'Read Only', 'Type', 'Place', 'Images', 'Size', 'Free')
    usage = upkeep.REACH.strip()
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
    usage = 'STORE [--to STORE,...] [--dry-run]' + upkeep.EVICTION + upkeep.LIMITS
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
        applier = self.applier(world, arguments, {})

        def make_plan() -> plans.Plan:
            limits = plans.Limits(world.stores, world.space(),
                                  most_bytes=self.bytes_left(arguments, applier), failed=applier.failed)
            return plans.by_drain(store, to, world.subjects(), limits)

        if arguments.dry_run:
            plan = make_plan()
            self._code = command.NOT_ALL if plan.rounds or plan.unmet else command.OK
            return self.show_plan(plan, arguments)
        plan = self.carry_out(applier, make_plan)
        for unmet in plan.unmet:
            self.print_error('%s: %s' % (unmet.image.id, unmet.why))
        left = [subject for subject in world.subjects() if store in subject.stores]
        trash, empty = self._trash(world, store)
        if left or not empty:
            self._code = command.NOT_ALL
        self.print_error('%s: %s%s' % (
            store, 'still there: %s' % units.counted(len(left), 'image') if left
            else 'no image is there by the records',
            trash))
        return self.outcomes(applier)

    @staticmethod
    def _trash(world: upkeep.World, store: str) -> Tuple[str, bool]:
        """Return what is in the trash of a store's pool, in words, and whether it may be called empty."""
        place = world.reached.get(store)
        if place is None:
            detail = world.details.get(store)
            unknown = detail is not None and detail.type == 'rbd'
            return '; what is in the trash of its pool is not known without --reach' if unknown else '', True
        try:
            place.identity  # of a place that is away nothing is known
            count = len(place.trash()) if isinstance(place, places.Pool) else 0
        except places.PlaceError as error:
            return '; what is in the trash of its pool is not known: %s' % error, False
        return (', and %d in the trash of its pool' % count if count else ''), not count


class Check(upkeep.UpkeepCommand):
    """Compare what the records say with what the stores hold.

    --mend lets a record forget a copy that is not there, when another is proved to exist. Data without a
    record is only reported: it may belong to an upload that goes on, or to another Glance. ``store data
    remove`` removes it.
    """

    shown = ('Store', 'Finding', 'Name', 'Why', 'Size', 'Mended')
    usage = '[STORE ...] --reach STORE=PLACE [--verify] [--mend] [--dry-run] [--accept-reads] [--in-use]'
    exit_codes = ('Exit code: 0 nothing was found, or all was mended; 1 something was found; 2 a store '
                  'cannot be read (the others were checked), or Glance cannot be reached; 130 stopped by '
                  'Ctrl-C.')

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
        wanted: Sequence[str] = sorted(world.reached)
        if arguments.stores:
            wanted = store_names.parse(arguments.stores, 'STORE', world.stores, writable=False)
        for store in wanted:
            if store not in world.reached:
                raise NotReached(store=store)
        if arguments.mend and not arguments.dry_run:
            lock.sweep(world.images)
        images = list(world.images.everything())
        evictor = self.evictor(world, arguments)
        unread: List[str] = []
        rows: List[Any] = []
        for store in wanted:
            try:
                found = check.check(store, world.reached[store], images, arguments.verify)
            except (places.PlaceError, check.NotThisStore) as error:
                unread.append(store)
                problem = error if isinstance(error, check.NotThisStore) else PlaceUnreadable(
                    store=store, why=error)
                self.print_error(str(problem))
                continue
            for finding in found:
                mended = ''
                if arguments.mend and not arguments.dry_run and finding.kind != check.SITE_IMAGE:
                    came = check.mend(finding, evictor)
                    mended = 'yes' if came.done else '%s: %s' % (came.state, came.why)
                if mended != 'yes' and finding.kind != check.SITE_IMAGE:
                    self._code = command.NOT_ALL
                rows.append((finding.store, finding.kind, text.Name(finding.name), finding.why, finding.size,
                             mended))
        if unread:
            self._code = command.REFUSED
            if len(unread) == len(wanted):
                raise command.AlreadyReported()
        if not rows and arguments.formatter == 'table':
            self.print_error('%s: nothing was found' % ', '.join(
                store for store in wanted if store not in unread))
        return self.shown, rows


class DataRemove(upkeep.UpkeepCommand):
    """Move data that no record lists to the trash of its pool.

    NAME is what ``store check`` lists as data without a record, or as an unfinished copy. It goes when it is
    the same at two runs that are an hour apart, nothing uses it, it was not changed for 24 hours, and
    no record lists it; of an unfinished copy another one has to be proved to exist.
    """

    shown = ('Store', 'Name', 'Result', 'Reason')
    usage = 'STORE NAME [NAME ...] --reach STORE=PLACE --seen FILE [--keep DURATION] [--dry-run]'
    exit_codes = ('Exit code: 0 all was moved to the trash, or is not there; 1 some stays, or has to be seen '
                  'again (the reason is printed); 2 nothing was done; 130 stopped by Ctrl-C.')

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('store', metavar='STORE', help='id of the store')
        parser.add_argument('names', metavar='NAME', nargs='+', help='name of the data')
        parser.add_argument('--seen', metavar='FILE', required=True,
                            help='where to keep what was seen when; the same at each run')
        parser.add_argument('--keep', metavar='DURATION', type=image_list.duration, default=7 * 86400,
                            help='how long the trash keeps it at least, such as 30d (default: 7d)')
        parser.add_argument('--dry-run', action='store_true', help='remove nothing, and keep nothing in FILE')
        self.add_reach(parser)

    def take_action(self, arguments: argparse.Namespace) -> _Table:
        """Remove what may go, and return what came of each name."""
        world = self.world(arguments)
        store = self.store_named(world, arguments.store, 'STORE')
        place = world.reached.get(store)
        if place is None:
            raise NotReached(store=store)
        if isinstance(place, places.Away):
            raise PlaceUnreadable(store=store, why='%r does not respond' % place)
        if not isinstance(place, places.Pool):
            raise NoTrash(store=store, place=repr(place))
        seen = sightings.Sightings(arguments.seen)
        if not arguments.dry_run:
            lock.sweep(world.images)
        listed = list(world.images.everything())
        try:
            check.require_place(store, place, listed)
        except places.PlaceError as error:
            raise PlaceUnreadable(store=store, why=error)
        remover = remove_data.DataRemover(remove_data.Tools(
            world.images, proofs.Prover(world.images, world.reached, world.details), store, place, listed,
            seen, arguments.keep, time.time))
        rows: List[Any] = []
        for name in dict.fromkeys(arguments.names):
            came = remover.remove(name, arguments.dry_run)
            if not came.done and came.state != evict.POSSIBLE:
                self._code = command.NOT_ALL
            rows.append((store, name, came.state, came.why))
        return self.shown, rows
