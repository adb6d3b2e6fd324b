# SPDX-License-Identifier: Apache-2.0
"""What to copy and what to remove, so that images are where rules, or a drain, want them. Pure.

A plan is in rounds: the copies of a round come before its evictions, and what an eviction frees can be used
by the copies of the next. A plan that was carried out leaves nothing for a second one.
"""

from typing import AbstractSet
from typing import Dict
from typing import Iterable
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Set
from typing import Tuple

from multistore_hooks.glance_api import api
from multistore_hooks.stores import demands
from multistore_hooks.stores import inventory
from multistore_hooks.stores import rules
from multistore_hooks.stores import selection


class Copy(NamedTuple):
    """One import: an image, all stores it is to come into, and why (one reason for each store)."""

    image: inventory.Subject
    stores: Tuple[str, ...]
    reasons: Tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes that are written."""
        return self.image.size * len(self.stores)


class Evict(NamedTuple):
    """One copy that goes."""

    image: inventory.Subject
    store: str
    reason: str


class Unmet(NamedTuple):
    """What is wanted and is not planned, and why not."""

    image: inventory.Subject
    store: str
    why: str


class Round(NamedTuple):
    """Copies, and evictions that come after them."""

    copies: Tuple[Copy, ...]
    evictions: Tuple[Evict, ...]


class Plan(NamedTuple):
    """All that is to be done, and what cannot be."""

    rounds: Tuple[Round, ...] = ()
    #: What Glance is copying already; it is waited for, and a new plan goes on from there.
    waits: Tuple[Copy, ...] = ()
    unmet: Tuple[Unmet, ...] = ()
    notes: Tuple[str, ...] = ()

    @property
    def copies(self) -> Tuple[Copy, ...]:
        """All copies, in their order."""
        return tuple(copy for one in self.rounds for copy in one.copies)

    @property
    def evictions(self) -> Tuple[Evict, ...]:
        """All evictions, in their order."""
        return tuple(evict for one in self.rounds for evict in one.evictions)

    @property
    def bytes_copied(self) -> int:
        """Bytes that the copies write."""
        return sum(copy.bytes for copy in self.copies)

    @property
    def bytes_evicted(self) -> int:
        """Bytes that the evictions free, if nothing uses them."""
        return sum(evict.image.size for evict in self.evictions)


class Limits(NamedTuple):
    """What a plan has to keep to: the stores, their room, and what has to stay free in them."""

    stores: api.Stores
    space: Mapping[str, inventory.Space] = {}
    reserve: Mapping[str, Tuple[float, int]] = {}
    #: How many bytes the copies of the plan may write in all; None: any number.
    most_bytes: Optional[int] = None
    #: Ids of images of which a copy failed in this run: what was kept for them is for others.
    failed: AbstractSet[str] = frozenset()


def by_rules(wanted: rules.Rules, subjects: Sequence[inventory.Subject], limits: Limits,
             usage: selection.Usage, now: float) -> Plan:
    """Return the plan for a file of rules.

    :param usage: when images were used last; see :func:`selection.select`
    :param now: seconds since 1970
    :raises Contradiction: two rules contradict one another
    """
    demands.check(wanted.rules)
    matched = match_rules(wanted.rules, subjects, usage, now)
    concerned = sorted((subject for subject in subjects if subject.id in matched),
                       key=lambda subject: (matched[subject.id][0], -subject.created, subject.id))
    demanded = [
        (subject, demands.combine([wanted.rules[number] for number in matched[subject.id]], subject.id))
        for subject in concerned]
    notes = tuple('the reserve of %s is not held: its free space is not known' % store
                  for store in wanted.reserve if store not in limits.space)
    return _Planner(limits._replace(reserve=wanted.reserve)).plan(demanded)._replace(notes=notes)


def match_rules(every: Sequence[rules.Rule], subjects: Sequence[inventory.Subject], usage: selection.Usage,
                now: float) -> Dict[str, List[int]]:
    """Return the numbers of the rules that are about each image, by its id."""
    matched: Dict[str, List[int]] = {}
    for number, rule in enumerate(every):
        for subject in selection.select(rule, subjects, usage, now):
            matched.setdefault(subject.id, []).append(number)
    return matched


def by_drain(store: str, to: Sequence[str], subjects: Sequence[inventory.Subject], limits: Limits) -> Plan:
    """Return the plan that empties a store: what is nowhere else is copied first.

    :param to: where to, in this order; the first with room takes the image
    """
    elsewhere = frozenset(other for other in limits.stores.ids if other != store)
    demand = demands.Demand(allowed=elsewhere, fallback=tuple(to), reason='drain of %s' % store)
    return _Planner(limits).plan([(subject, demand) for subject in subjects if store in subject.stores])


class _Task:
    """What is left to do for one image."""

    def __init__(self, image: inventory.Subject, demand: demands.Demand, stores: api.Stores) -> None:
        self.image, self.demand = image, demand
        self.coming = set(image.importing_to) if image.import_task else set()
        self.have: Set[str] = set(image.stores) | self.coming
        self.safe: Set[str] = set(image.stores)
        self.missing = [(store, why) for store, why in demand.required if store not in self.have]
        self.surplus = [store for store in image.stores
                        if demand.allowed is not None and store not in demand.allowed]
        self.evictable = [store for store in self.surplus if store in stores.ids]

    def allows(self, store: str) -> bool:
        return self.demand.allowed is None or store in self.demand.allowed


class _Planner:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stores = limits.stores
        self._writable = {store.id for store in self._stores.stores if not store.read_only}
        self._free = {store: space.free for store, space in limits.space.items()}
        self._left = limits.most_bytes

    def plan(self, demanded: Iterable[Tuple[inventory.Subject, demands.Demand]]) -> Plan:
        tasks, unmet = [], []
        for image, demand in demanded:
            task = _Task(image, demand, self._stores)
            if image.id in self._limits.failed:
                unmet.append(Unmet(image, '', 'a copy of it failed; the rest is left for the next run'))
            elif image.status != 'active' or not image.stores:
                # An image without data is nowhere; a server that boots from a volume leaves such snapshots.
                if image.stores:
                    unmet.append(Unmet(image, '', 'its status is %s' % (image.status or 'unknown')))
            elif not any(store in self._stores.ids for store in image.stores):
                unmet.append(Unmet(image, '', 'this Glance has none of its stores (%s)' % (
                    ', '.join(image.stores))))
            else:
                tasks.append(task)
        waits = [Copy(task.image, tuple(sorted(task.coming)), ('being copied',) * len(task.coming))
                 for task in tasks if task.coming]
        rounds: List[Round] = []
        while tasks:
            copies = self._copies(tasks)
            evictions = [evict for task in tasks for evict in self._evict(task)]
            if not copies and not evictions:
                # No more room is made: what was counted in a full store goes into others, where they have it.
                copies = self._copies(tasks, without_missing=True)
                if not copies:
                    break
            rounds.append(Round(tuple(copies), tuple(evictions)))
            tasks = [task for task in tasks if self._unmet(task)]
        unmet += [entry for task in tasks for entry in self._unmet(task)]
        return Plan(tuple(rounds), tuple(waits), tuple(unmet))

    def _copies(self, tasks: Iterable[_Task], without_missing: bool = False) -> List[Copy]:
        found = (self._copy(task, without_missing) for task in tasks)
        return [copy for copy in found if copy is not None]

    def _copy(self, task: _Task, without_missing: bool) -> Optional[Copy]:
        """Take what fits of an image's copies, and return it.

        :param without_missing: what rules want in stores that have no room does not count as if it came
        """
        chosen: List[Tuple[str, str]] = []
        for store, why in list(task.missing):
            if self._take(task, store):
                task.missing.remove((store, why))
                chosen.append((store, why))
        for wanted in task.demand.at_least:
            lacking = self._lacking(wanted, task.have if without_missing else self._spoken_for(task))
            for store in wanted.of:
                if lacking <= 0:
                    break
                if store not in self._spoken_for(task) and self._take(task, store):
                    chosen.append((store, wanted.reason))
                    lacking -= 1
        if self._homeless(task, without_missing):
            store = next((store for store in task.demand.fallback
                          if store in self._writable and self._take(task, store)), '')
            if store:
                chosen.append((store, task.demand.reason))
        if not chosen:
            return None
        order = {store: number for number, store in enumerate(self._stores.ids)}
        chosen.sort(key=lambda entry: order[entry[0]])
        return Copy(task.image, tuple(store for store, _why in chosen), tuple(why for _store, why in chosen))

    @staticmethod
    def _spoken_for(task: _Task) -> Set[str]:
        """Return the stores that have the image, or that a rule wants it in."""
        return task.have | {store for store, _why in task.missing}

    @staticmethod
    def _lacking(wanted: demands.AtLeast, counted: Set[str]) -> int:
        """Return how many copies are lacking, beyond those in the stores that count."""
        return wanted.copies - len(counted & set(wanted.of))

    @staticmethod
    def _homeless(task: _Task, without_missing: bool) -> bool:
        """Return whether the image is, and will be, in no store that it may be in."""
        comes = task.missing and not without_missing
        return not comes and not any(task.allows(store) for store in task.have)

    def _take(self, task: _Task, store: str) -> bool:
        """Return whether a copy fits into a store, and if so count it."""
        if not self._fits(store, task.image.size) or not self._may_write(task.image.size):
            return False
        if self._left is not None:
            self._left -= task.image.size
        if store in self._free:
            self._free[store] -= task.image.size
        task.have.add(store)
        task.safe.add(store)
        return True

    def _fits(self, store: str, size: int) -> bool:
        if store not in self._free:
            return True
        return self._free[store] - size >= _floor(self._limits.space, self._limits.reserve, store)

    def _may_write(self, size: int) -> bool:
        return self._left is None or size <= self._left

    def _evict(self, task: _Task) -> List[Evict]:
        """Take the evictions that leave a copy where the image may be, and return them."""
        if task.image.busy or not any(task.allows(store) for store in task.safe):
            return []
        found = [Evict(task.image, store, task.demand.reason) for store in task.evictable]
        for evict in found:
            if evict.store in self._free:
                self._free[evict.store] += task.image.size
            task.surplus.remove(evict.store)
        task.evictable = []
        return found

    def _unmet(self, task: _Task) -> List[Unmet]:
        """Return what of an image's demand is not planned."""
        found = [Unmet(task.image, store, self._why_not(task, store)) for store, _why in task.missing]
        for wanted in task.demand.at_least:
            lacking = self._lacking(wanted, self._spoken_for(task))
            if lacking > 0:
                full = [store for store in wanted.of if store not in task.have]
                later = [store for store in full if self._fits(store, task.image.size)]
                found.append(Unmet(task.image, '', '%d of %d copies: %s' % (
                    lacking, wanted.copies,
                    self._later(task) if later else 'no room in %s' % ', '.join(full))))
        for store in task.surplus:
            why = 'it stays in %s: %s' % (store, self._why_kept(task, store))
            found.append(Unmet(task.image, store, why))
        return found

    def _why_not(self, task: _Task, store: str) -> str:
        if self._fits(store, task.image.size):
            return '%s: %s' % (store, self._later(task))
        reserved = _floor(self._limits.space, self._limits.reserve, store) if store in self._free else 0
        return 'no room in %s%s' % (store, ' beside its reserve' if reserved else '')

    def _later(self, task: _Task) -> str:
        """Return why a copy for which there is room is not planned."""
        most = self._limits.most_bytes
        if most is not None and task.image.size > most:
            return 'it is larger than all that may be copied in one run'
        return 'it is left for a later run, by the limit on bytes'

    def _why_kept(self, task: _Task, store: str) -> str:
        if store not in self._stores.ids:
            return 'this Glance does not have that store'
        if task.image.busy:
            return 'an import of the image is going on'
        if not task.demand.fallback:
            return 'it is its last copy, and there is no store to copy it to'
        if any(store in self._writable and self._fits(store, task.image.size) for store in
               task.demand.fallback):
            return 'it is its last copy, and %s' % self._later(task)
        return 'it is its last copy, and there is no room in %s' % ', '.join(task.demand.fallback)


def fits(space: Mapping[str, inventory.Space], reserve: Mapping[str, Tuple[float, int]], store: str,
         size: int) -> bool:
    """Return whether a store has room for so many bytes beside its reserve; unknown room is room."""
    return store not in space or space[store].free - size >= _floor(space, reserve, store)


def _floor(space: Mapping[str, inventory.Space], reserve: Mapping[str, Tuple[float, int]], store: str) -> int:
    """Return the bytes that have to stay free."""
    share, size = reserve.get(store, (0.0, 0))
    return int(share * space[store].total) + size
