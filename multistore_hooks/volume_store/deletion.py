# SPDX-License-Identifier: Apache-2.0
"""Delete the volume of an image."""

import threading
from typing import Any

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import volume_status

LOG = logging.getLogger(__name__)

#: Seconds that other hosts get, beyond their idle timeout, to detach a volume that is deleted.
_DETACH_SECONDS = 5
#: Seconds for which a deletion is watched: Cinder accepts it before it tries.
WATCH_SECONDS = 3
#: The states of a volume that is read, or was read a moment ago.
_PASSING = ('in-use', 'detaching', 'attaching', 'reserved')


class InUse(errors.VolumeStoreError):
    """Cinder does not delete a volume that is in use."""


class HasSnapshot(errors.VolumeStoreError):
    """Cinder does not delete a volume that a snapshot or a clone depends on."""


def delete(context: store_context.StoreContext, volume_id: str) -> None:
    """Delete a volume, and watch for a moment whether Cinder does so.

    :raises InUse: it is in use on another host.
    :raises HasSnapshot: a snapshot or a clone depends on it.
    :raises errors.WrongState: Cinder has accepted the deletion, and failed.
    """
    limit, free_once = context.timeouts.idle + _DETACH_SECONDS, True
    for _waited in backoff.polls(limit, longest=0.5, shortest=0.5, clock=context.clock):
        try:
            context.cinder.delete_volume(volume_id)
            break
        except cinder_client.Refused as error:
            status = context.cinder.volume(volume_id).status
            if status == 'deleting':
                break
            LOG.info('Volume %(volume)s cannot be deleted now: %(error)s',
                     {'volume': volume_id, 'error': error})
            if status == 'available' and free_once:
                free_once = False  # it was in use until a moment ago
            elif status not in _PASSING:
                # Cinder's text lists snapshots among the reasons, whatever the reason is.
                if status == 'available' and 'snapshot' in str(error):
                    raise HasSnapshot() from error
                raise InUse() from error
    else:
        raise InUse()
    _watch(context, volume_id)


def _watch(context: store_context.StoreContext, volume_id: str) -> None:
    """Watch for a moment whether Cinder does what it has accepted; then go on in the background.

    :raises errors.WrongState: it could not, and the volume is still there.
    """
    try:
        if _is_gone(context, volume_id, WATCH_SECONDS):
            return
    except cinder_client.CinderError as error:
        LOG.debug('Cannot watch the deletion of volume %s: %s', volume_id, error)
    thread = threading.Thread(target=watch_on, args=(context, volume_id), name='volume-store-delete',
                              daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending
        LOG.debug('The deletion of volume %s is watched no longer.', volume_id)


def watch_on(context: store_context.StoreContext, volume_id: str) -> None:
    """Log if a deletion that Glance has reported as done is not done within ``state_timeout``."""
    status: Any = 'deleting'
    try:
        if _is_gone(context, volume_id, context.timeouts.state):
            return
    except errors.WrongState as error:
        status = error.kwargs['status']
    except Exception as error:
        status = error
    LOG.error('Volume %(volume)s of the store %(store)s was not deleted, although Cinder had accepted that '
              "and Glance has no image on it any more: its state is '%(status)s'. Delete it by hand.",
              {'volume': volume_id, 'store': context.store, 'status': status})


def _is_gone(context: store_context.StoreContext, volume_id: str, seconds: float) -> bool:
    """Wait until a volume is gone; return False if it is still being deleted.

    :raises errors.WrongState: it is in another state.
    """
    for _waited in volume_status.polls(context, seconds):
        try:
            status = context.cinder.volume(volume_id).status
        except cinder_client.NotFound:
            return True
        if status != 'deleting':
            raise errors.WrongState(volume=volume_id, status=status, wanted='deleted', why='')
    return False
