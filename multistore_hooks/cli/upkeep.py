# SPDX-License-Identifier: Apache-2.0
"""What the commands that maintain stores have in common: options, the way to Glance, outcomes."""

import argparse
import time
from typing import Any
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from multistore_hooks.cli import command
from multistore_hooks.cli import image
from multistore_hooks.cli import progress
from multistore_hooks.cli import session
from multistore_hooks.cli import store_names
from multistore_hooks.cli import text
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.stores import apply
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import inventory
from multistore_hooks.stores import places
from multistore_hooks.stores import plan_text
from multistore_hooks.stores import plans
from multistore_hooks.stores import proofs
from multistore_hooks.stores import reach
from multistore_hooks.stores import units


class NotAdministrator(exceptions.MultistoreError):
    """Glance does not show these credentials what only administrators see."""

    msg_fmt = _('These credentials are not an administrator\'s (%(why)s): they do not see the images of all '
                'projects, and may neither copy nor remove.')


#: In the usage of a command: the options of `UpkeepCommand.add_reach`, `add_eviction` and `add_limits`.
REACH = ' [--reach STORE=PLACE]'
EVICTION = REACH + ' [--accept-reads] [--in-use]'
LIMITS = ' [--per-store N] [--parallel N] [--most-bytes SIZE] [--timeout SECONDS]'


def _size(given: str) -> int:
    try:
        return units.bytes_of(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error))


class _Clock:
    """The time, for what waits; progress bars go on meanwhile."""

    def __init__(self, bars: progress.NullProgress) -> None:
        self._bars = bars

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while seconds > 0:
            time.sleep(min(seconds, progress.TICK))
            self._bars.tick()
            seconds = until - time.monotonic()


class World(NamedTuple):
    """A Glance, its stores, and what of them is read without it."""

    images: glance.StoreImages
    stores: api.Stores
    details: Mapping[str, api.StoreDetail]
    reached: Mapping[str, places.Place]

    def subjects(self) -> List[inventory.Subject]:
        """Return all images that these credentials see."""
        return [inventory.subject_of(image) for image in self.images.everything()]

    def space(self) -> Dict[str, inventory.Space]:
        """Return the room of the stores of which it can be read."""
        found = {}
        for store, place in self.reached.items():
            try:
                found[store] = place.space()
            except places.PlaceError:
                pass  # a plan says what it does not know
        return found


class UpkeepCommand(image.GlanceCommand):
    """Base of the commands."""

    def __init__(self, application: Any, arguments: argparse.Namespace) -> None:
        super().__init__(application, arguments)
        self._bars = progress.NullProgress()
        #: Ids of images whose import was shown.
        self._begun: Set[str] = set()

    def add_reach(self, parser: argparse.ArgumentParser) -> None:
        """Add how stores are read without Glance."""
        parser.add_argument(
            '--reach', metavar='STORE=PLACE', action='append', default=[],
            help='read this store without Glance, where this host can: its directory, or a ceph.conf '
                 '[,user=USER][,pool=POOL]; what is seen there proves that a copy exists')

    def add_eviction(self, parser: argparse.ArgumentParser) -> None:
        """Add what evictions may do."""
        self.add_reach(parser)
        parser.add_argument('--accept-reads', action='store_true',
                            help='take it as proof of a copy that Glance reads it (?prefer=, 2026.2 and '
                                 'later); '
                                 'Glance reads another copy, without a word, if that one is not there')
        parser.add_argument('--in-use', action='store_true',
                            help='remove copies that have clones, too; they go to the trash of the pool, and '
                                 'free nothing until the last clone is gone')

    def add_limits(self, parser: argparse.ArgumentParser) -> None:
        """Add how much may go on at once."""
        parser.add_argument('--per-store', metavar='N', type=image.positive, default=2,
                            help='how many images to copy into one store at once (default: 2)')
        parser.add_argument('--parallel', metavar='N', type=image.positive, default=8,
                            help='how many images to copy at once (default: 8)')
        parser.add_argument('--most-bytes', metavar='SIZE', type=_size,
                            help="how much the copies of this run may write in all, such as '500 GiB'; the "
                                 'rest is left for the next run (default: no limit)')
        parser.add_argument('--timeout', metavar='SECONDS', type=image.positive, default=6 * 3600,
                            help='how long to wait for the copies of one image (default: 21600)')

    @staticmethod
    def bytes_left(arguments: argparse.Namespace, applier: apply.Applier) -> Optional[int]:
        """Return how many bytes copies may still write in this run; None: any number."""
        if arguments.most_bytes is None:
            return None
        return max(int(arguments.most_bytes) - applier.bytes_written, 0)

    def world(self, arguments: argparse.Namespace, detailed: bool = True) -> World:
        """Return the Glance and its stores.

        :raises SingleStore: it has one store only
        :raises NotAdministrator: it does not show its stores in detail to these credentials
        :raises WrongPlace: --reach names what cannot be used
        """
        connection: session.Connection = self.connect(arguments)
        images = glance.StoreImages(connection.run)
        stores = images.stores()
        if not stores.stores:
            raise image.SingleStore()
        details: Mapping[str, api.StoreDetail] = {}
        try:
            details = {detail.id: detail for detail in images.stores_detail()}
        except api.Forbidden as error:
            if detailed:
                raise NotAdministrator(why=error)
        except api.GlanceError:
            pass  # not all drivers report it; see ImageApi.stores_detail
        return World(images, stores, details,
                     reach.places_of(getattr(arguments, 'reach', []), stores, details))

    def store_named(self, world: World, store: str, option: str) -> str:
        """Return a store's id.

        :raises StoreNotUsable: Glance does not have it
        """
        return store_names.one(store, option, world.stores)

    def evictor(self, world: World, arguments: argparse.Namespace) -> evict.Evictor:
        """Return what removes copies as the options say."""
        prover = proofs.Prover(world.images, world.reached, world.details, arguments.accept_reads)
        return evict.Evictor(evict.Tools(world.images, prover, world.reached, world.details,
                                         arguments.in_use, time))

    def applier(self, world: World, arguments: argparse.Namespace,
                reserve: Mapping[str, Any]) -> apply.Applier:
        """Return what carries plans out, and says each failure as it comes."""
        def has_room(store: str, size: int) -> bool:
            space = world.space()
            return plans.fits(space, reserve, store, size)

        self._bars = progress.make_progress(self.app.stdout)
        limits = apply.Limits(arguments.per_store, arguments.parallel, arguments.timeout)
        return apply.Applier(world.images, self.evictor(world, arguments), limits, _Clock(self._bars),
                             self.report, has_room, self.watch)

    def watch(self, going: apply.Going) -> None:
        """Show how far an import is: as a bar or, where there are none, as a line when it begins."""
        subject, done = going.image, len(going.stores) - len(going.pending)
        if not going.pending:
            self._bars.hide(subject.id)
        elif self._bars.active:
            self._bars.show(subject.id, progress.Row(
                subject.name or subject.id, subject.size, len(going.stores), done=done,
                store=','.join(going.pending)))
        elif subject.id not in self._begun:
            self.print_error('+%s %s: copying %s' % (
                ',+'.join(going.stores), plan_text.title(subject), units.show_bytes(subject.size)))
        self._begun.add(subject.id)

    def report(self, outcome: apply.Outcome) -> None:
        """Say what came of a step, as it comes."""
        self._bars.clear()
        if outcome.failed:
            self._code = command.NOT_ALL
        self.print_error('%s%s %s: %s%s' % (
            outcome.action, outcome.store, plan_text.title(outcome.image), outcome.state,
            ' (%s)' % outcome.why if outcome.why else ''))

    def carry_out(self, applier: apply.Applier, make_plan: Any) -> plans.Plan:
        """Carry plans out until there is nothing left to wait for; return the last one."""
        def plan_again() -> plans.Plan:
            self._begun.clear()
            self._bars.show('', progress.Row('Glance', None, 1, note='reading the records of all images'))
            try:
                plan: plans.Plan = make_plan()
            finally:
                self._bars.hide('')
            return plan

        self._bars.start()
        try:
            return apply.converge(plan_again, applier)
        except KeyboardInterrupt:
            self._bars.stop()
            for subject, stores in applier.going_on():
                self.print_error('Glance goes on copying %s to %s.' % (
                    plan_text.title(subject), ', '.join(stores)))
            self.print_error('The same command again goes on where this one was.')
            raise
        finally:
            self._bars.stop()

    def show_plan(self, plan: plans.Plan, arguments: argparse.Namespace) -> Tuple[Sequence[str], List[Any]]:
        """Return a plan as a table; on a terminal print it like a diff, and end."""
        if arguments.formatter == 'table':
            for line in plan_text.lines(plan):
                print(line, file=self.app.stdout)
            raise command.AlreadyReported()
        for note in plan.notes:
            self.print_error(note)
        rows = [('wait', copy.image.id, text.Name(copy.image.name), store, why, 0)
                for copy in plan.waits for store, why in zip(copy.stores, copy.reasons)]
        rows += [('copy', copy.image.id, text.Name(copy.image.name), store, why, copy.image.size)
                 for copy in plan.copies for store, why in zip(copy.stores, copy.reasons)]
        rows += [('evict', one.image.id, text.Name(one.image.name), one.store, one.reason,
                  one.image.size) for one in plan.evictions]
        rows += [('not possible', one.image.id, text.Name(one.image.name), one.store, one.why,
                  one.image.size) for one in plan.unmet]
        return PLANNED, rows

    def outcomes(self, applier: apply.Applier) -> Tuple[Sequence[str], List[Any]]:
        """Return what came of all steps, as a table."""
        return DONE, [('copy' if outcome.action == '+' else 'evict', outcome.image.id,
                       text.Name(outcome.image.name), outcome.store, outcome.state, outcome.why)
                      for outcome in applier.outcomes]


PLANNED = ('Action', 'ID', 'Name', 'Store', 'Why', 'Size')
DONE = ('Action', 'ID', 'Name', 'Store', 'Result', 'Reason')
