# SPDX-License-Identifier: Apache-2.0
"""A copy of an image into a store: what to do next, decided from the image's record alone.

Nothing is requested here. The specification is "Libvirt RBD image backend support for glance multistore"
(Nova, Victoria).
"""

import enum
from typing import Callable
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from multistore_hooks.glance_api import api

#: Seconds that an accepted copy may take to show in the image's record.
APPEARS_WITHIN = 5


class Step(enum.Enum):
    """What to do next."""

    DONE = 'the image is in the store'
    COPYING = 'an import copies it to the store'
    TURN = 'another import holds the image'
    APPEARS = 'the accepted copy does not show yet'
    REQUEST = 'request a copy'
    FAILED = 'the copy failed'


class PollState(NamedTuple):
    """What one wait has seen so far."""

    #: At the first poll the store was in os_glance_failed_import already: the failure of an earlier copy,
    #: unless a copy is seen afterwards. None before the first poll.
    failed_before: Optional[bool] = None
    #: At the first poll the store was in os_glance_importing_to_stores, left by an earlier copy.
    stale_before: bool = False
    seen_importing: bool = False
    #: This Glance shows its lock for as long as an import runs (all but the first of Ussuri).
    has_locks: bool = False
    #: How many requests had another response than "busy", and when Glance last accepted one.
    requests: int = 0
    requested_at: Optional[float] = None


class Facts(NamedTuple):
    """What the record and the wait so far say about one store."""

    importing: bool
    #: Listed as being copied to, by a copy that ended before it came to this store.
    stale: bool
    listed: bool
    locked: bool
    failed: bool
    #: The failure, or the stale entry, was there before this wait.
    old_failure: bool
    #: Glance accepted a request of this wait; less than APPEARS_WITHIN ago; a copy was seen since.
    requested: bool
    just_requested: bool
    seen: bool


#: The first row that applies decides.
TABLE: Tuple[Tuple[Callable[[Facts], bool], Step], ...] = (
    (lambda facts: facts.importing and not facts.stale, Step.COPYING),
    (lambda facts: facts.listed, Step.DONE),
    # The lock is per image. Glance takes it with the request, and lists the store when it starts; until then
    # an old failure stays listed.
    (lambda facts: facts.locked and facts.requested and not facts.seen, Step.APPEARS),
    (lambda facts: facts.locked, Step.TURN),
    (lambda facts: (facts.failed or facts.stale) and not facts.old_failure, Step.FAILED),
    (lambda facts: facts.just_requested, Step.APPEARS),
    (lambda facts: (facts.failed or facts.stale) and facts.requested, Step.FAILED),
    (lambda facts: True, Step.REQUEST),
)


def observe(state: PollState, image: api.Image, store: str) -> PollState:
    """Return what is known after one more poll of the image."""
    if state.failed_before is None:
        state = state._replace(failed_before=store in image.failed_import,
                               stale_before=is_stale_import(image, store))
    importing = store in image.importing_to and not is_stale_import(image, store)
    return state._replace(has_locks=state.has_locks or bool(image.import_task),
                          seen_importing=state.seen_importing or importing)


def is_stale_import(image: api.Image, store: str) -> bool:
    """Return whether a store is listed as being copied to, while nothing holds the image's lock.

    A copy that fails before it comes to the store (no staging space, say) leaves this entry behind.
    """
    return store in image.importing_to and not image.import_task


def decide(image: api.Image, store: str, state: PollState, now: float) -> Step:
    """Decide what to do next from the image's record and what was seen before it.

    Store names are compared as a whole: stock Nova takes ``dcn1`` for copied when ``dcn10`` is.
    """
    return next(step for applies, step in TABLE if applies(facts_of(image, store, state, now)))


def facts_of(image: api.Image, store: str, state: PollState, now: float) -> Facts:
    """Return what the table judges."""
    failed = store in image.failed_import
    before = state.failed_before if failed else state.stale_before
    return Facts(
        importing=store in image.importing_to, stale=state.has_locks and is_stale_import(image, store),
        listed=store in image.stores, locked=bool(image.import_task), failed=failed,
        old_failure=bool(before) and not state.seen_importing,
        requested=state.requested_at is not None, seen=state.seen_importing,
        just_requested=state.requested_at is not None and now - state.requested_at < APPEARS_WITHIN)
