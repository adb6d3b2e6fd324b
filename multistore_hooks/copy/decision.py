# SPDX-License-Identifier: Apache-2.0
"""A copy of an image into a store: what to do next, decided from the image's record; nothing is asked here.

The specification is "Libvirt RBD image backend support for glance multistore" (Nova, Victoria).
"""

import enum
from typing import NamedTuple
from typing import Optional

from multistore_hooks.glance_api import api

#: Seconds that a copy may take to show in the image's record after Glance accepted it.
APPEARS_WITHIN = 5


class Step(enum.Enum):
    """What to do next."""

    DONE = 'the image is in the store'
    WAIT = 'a copy is going on'
    ASK = 'ask for a copy'
    FAILED = 'the copy failed'


class Memory(NamedTuple):
    """What one wait has seen so far."""

    #: At the first look the store was listed as failed already: an earlier try's, until a copy is
    #: seen. Or an earlier try had left it listed as being copied to.
    failed_before: Optional[bool] = None
    left_before: bool = False
    seen_importing: bool = False
    #: This Glance shows its lock for as long as an import goes on (all but Ussuri's first).
    locks: bool = False
    asks: int = 0
    #: When Glance last accepted our request.
    asked_at: Optional[float] = None


def remember(memory: Memory, image: api.Image, store: str) -> Memory:
    """Return what is known after one more look at the image."""
    if memory.failed_before is None:
        memory = memory._replace(failed_before=store in image.failed_import,
                                 left_before=left_over(image, store))
    return memory._replace(locks=memory.locks or bool(image.import_task),
                           seen_importing=memory.seen_importing or (
                               store in image.importing_to and not left_over(image, store)))


def left_over(image: api.Image, store: str) -> bool:
    """Tell whether a store is listed as being copied to, while nothing holds the image's lock.

    So ends a copy that fails before it comes to the store (no staging space, say): Glance never
    clears that entry.
    """
    return store in image.importing_to and not image.import_task


def decide(image: api.Image, store: str, memory: Memory, now: float) -> Step:
    """Decide what to do next from the image's record and what was seen before it.

    Stores are compared as whole names: stock Nova takes ``dcn1`` for copied when ``dcn10`` is.
    """
    ended_early = memory.locks and left_over(image, store)
    if store in image.importing_to and not ended_early:
        return Step.WAIT
    if store in image.stores:
        return Step.DONE
    if image.import_task:
        # Ours before it shows, or another store's: the lock is per image. What is listed as failed
        # meanwhile may be an earlier try's, which Glance clears only when it starts.
        return Step.WAIT
    just_asked = memory.asked_at is not None and now - memory.asked_at < APPEARS_WITHIN
    failed = store in image.failed_import
    if failed or ended_early:
        before = memory.failed_before if failed else memory.left_before
        if not before or memory.seen_importing:
            return Step.FAILED
        if memory.asked_at is not None:
            return Step.WAIT if just_asked else Step.FAILED
    return Step.WAIT if just_asked else Step.ASK
