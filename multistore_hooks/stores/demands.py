# SPDX-License-Identifier: Apache-2.0
"""What the rules of one image come to, and where two of them contradict one another. Pure."""

from typing import FrozenSet
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import rules
from multistore_hooks.stores import units


class Contradiction(exceptions.MultistoreError):
    """Two rules cannot both be followed; nothing was done."""

    msg_fmt = _("The rules '%(one)s' (%(one_place)s) and '%(other)s' (%(other_place)s) contradict one "
                'another%(image)s: %(why)s.')


class AtLeast(NamedTuple):
    """So many copies in these stores."""

    copies: int
    of: Tuple[str, ...]
    reason: str


class Demand(NamedTuple):
    """Where an image has to be, and where it must not be."""

    #: (store, why).
    required: Tuple[Tuple[str, str], ...] = ()
    at_least: Tuple[AtLeast, ...] = ()
    #: Nowhere else than here; None: anywhere.
    allowed: Optional[FrozenSet[str]] = None
    #: Where to put it if it is in no allowed store, in this order; the first with room.
    fallback: Tuple[str, ...] = ()
    #: Why it has to leave other stores.
    reason: str = ''


def combine(matched: Sequence[rules.Rule], image: str = '') -> Demand:
    """Return what several rules about one image come to.

    :param image: the image, for the error
    :raises Contradiction: they cannot all be followed
    """
    required: List[Tuple[str, str]] = []
    at_least: List[AtLeast] = []
    allowed: Optional[FrozenSet[str]] = None
    fallback: Tuple[str, ...] = ()
    reason = ''
    for rule in matched:
        if rule.only is not None:
            here = frozenset(rule.only) if allowed is None else allowed & frozenset(rule.only)
            if not here:
                raise _contradiction(_first_disjoint(matched, rule), rule, image,
                                     'no store is left that both allow')
            allowed = here
            fallback = tuple(store for store in rule.only if store in here)
            reason = reason or rule.name
    for rule in matched:
        for store in rule.stores:
            if allowed is not None and store not in allowed:
                raise _contradiction(rule, _excluding(matched, store), image,
                                     "one wants it in %s, the other rules that out" % store)
            if all(store != named for named, _why in required):
                required.append((store, rule.name))
        if rule.at_least:
            of = tuple(store for store in rule.of if allowed is None or store in allowed)
            if len(of) < rule.at_least:
                raise _contradiction(rule, next(other for other in matched if other.only is not None), image,
                                     'one wants %s, the other leaves %s for them' % (
                                         units.counted(rule.at_least, 'copy', 'copies'),
                                         units.counted(len(of), 'store')))
            at_least.append(AtLeast(rule.at_least, of, rule.name))
    return Demand(tuple(required), tuple(at_least), allowed, fallback, reason)


def check(every: Sequence[rules.Rule]) -> None:
    """Find rules that contradict one another whatever the images are.

    :raises Contradiction: all that one of two is about, the other is about as well, and they cannot both be
        followed
    """
    for number, one in enumerate(every):
        for other in every[number + 1:]:
            if _covers(one, other) or _covers(other, one):
                combine([one, other])


def _covers(one: rules.Rule, other: rules.Rule) -> bool:
    """Return whether all images of the other rule surely are images of this one."""
    same_count = (one.newest, one.all_but_newest, one.family) == (
        other.newest, other.all_but_newest, other.family)
    if one.newest is not None or one.all_but_newest is not None:
        return same_count and one.match == other.match and one.excluded == other.excluded
    if one.excluded is not None and one.excluded != other.excluded:
        return False
    empty = rules.Match()
    return all(mine in (nothing, theirs) for mine, theirs, nothing in zip(one.match, other.match, empty))


def _first_disjoint(matched: Sequence[rules.Rule], rule: rules.Rule) -> rules.Rule:
    earlier = [other for other in matched if other is not rule and other.only is not None]
    return next((other for other in earlier if not set(other.only or ()) & set(rule.only or ())), earlier[0])


def _excluding(matched: Sequence[rules.Rule], store: str) -> rules.Rule:
    return next(rule for rule in matched if rule.only is not None and store not in rule.only)


def _contradiction(one: rules.Rule, other: rules.Rule, image: str, why: str) -> Contradiction:
    return Contradiction(one=one.name, one_place=one.place, other=other.name, other_place=other.place,
                         image=' for image %s' % image if image else '', why=why)
