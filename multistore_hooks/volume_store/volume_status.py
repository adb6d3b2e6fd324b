# SPDX-License-Identifier: Apache-2.0
"""Wait until Cinder has put a volume into a state."""

from typing import Any

from multistore_hooks import backoff
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import store_context

#: Seconds between two polls of a volume, at first and at most.
POLL_SHORTEST, POLL_LONGEST = 0.1, 2.0


def polls(context: store_context.StoreContext, seconds: float) -> Any:
    """Yield before each poll of a volume, until the time limit."""
    return backoff.polls(seconds, POLL_LONGEST, POLL_SHORTEST, context.clock)


def wait(context: store_context.StoreContext, volume_id: str, wanted: str, passing: str,
         gib: int = 0) -> images.Volume:
    """Return a volume as soon as it is in a state.

    :param passing: the states, separated by spaces, that it is in until then.
    :param gib: the least size in GiB that it must have then.
    :raises errors.WrongState: it came into another state, or has the wrong size.
    :raises errors.TimedOut: it did not come into the state within ``state_timeout``.
    """
    seconds = context.timeouts.state
    for _waited in polls(context, seconds):
        volume = context.cinder.volume(volume_id)
        if volume.status == wanted and volume.gib >= gib:
            return volume
        if volume.status == wanted or volume.status not in passing.split():
            raise errors.WrongState(volume=volume_id, status=volume.status, wanted=wanted,
                                    why='' if volume.gib >= gib else ' with %d GiB' % gib)
    raise errors.TimedOut(what="Waiting for volume %s to become '%s'" % (volume_id, wanted),
                          seconds=seconds, option='state_timeout')
