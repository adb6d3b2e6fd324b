# SPDX-License-Identifier: Apache-2.0
"""The first step of an attachment: Cinder reserves the volume. The response may be lost."""

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import volume_status

LOG = logging.getLogger(__name__)

READ, WRITE = 'ro', 'rw'
#: The states of a volume that is, or will soon be, in use elsewhere: they pass.
_PASSING = ('in-use', 'reserved', 'attaching', 'detaching', 'downloading', 'uploading', 'backing-up',
            'maintenance', 'extending', 'retyping', 'creating')
#: After which part of attach_timeout a reservation without a host counts as lost: one of another host is
#: 'reserved' until its backend has let that host in.
LOST_AFTER = 0.25


class NotReserved(errors.CannotAttach):
    """Cinder has refused, so that there is no reservation to be found."""


def create(context: store_context.StoreContext, volume_id: str, mode: str) -> str:
    """Return the id of a new attachment, as soon as Cinder allows one more.

    :raises NotReserved: the volume is in a state that does not pass, or did not within ``state_timeout``.
    :raises cinder_client.CinderError: as Cinder responded, or did not.
    """
    cinder, free_once, why = context.cinder, True, ''
    for _waited in volume_status.polls(context, context.timeouts.state):
        try:
            return cinder.attachment_create(volume_id, mode)
        except cinder_client.Refused as error:
            status = cinder.volume(volume_id).status
            why = "it is '%s' (%s)" % (status, error)
            if status == 'available' and free_once:
                free_once = False  # it was in use until a moment ago
            elif status not in _PASSING:
                raise NotReserved(volume=volume_id, why=why) from error
    raise NotReserved(volume=volume_id, why='%s, for %s seconds (state_timeout)' % (
        why, context.timeouts.state))


def delete_lost(context: store_context.StoreContext, volume_id: str, mode: str) -> None:
    """Delete a reservation that Cinder perhaps made, and whose id was lost with the response.

    :raises errors.CleanupFailed: Cinder cannot be reached, and the volume could stay reserved.
    """
    cinder = context.cinder
    try:
        found = cinder.attachment_list(volume_id)
        if mode == READ:  # other hosts may read the image: their reservations get a host soon
            found = {one: status for one, status in found.items() if status == 'reserved'}
            if found:
                context.clock.sleep(LOST_AFTER * context.timeouts.attach)
                found = {one: status for one, status in cinder.attachment_list(volume_id).items()
                         if one in found and status == 'reserved'}
        for one in found:
            cinder.attachment_delete(one)
    except Exception as error:  # the rest is to be undone all the same
        LOG.error('Volume %(volume)s of the store %(store)s may have an attachment in the state '
                  "'reserved', whose creation had no response from Cinder: delete it. %(error)s",
                  {'volume': volume_id, 'store': context.store, 'error': error})
        if mode == READ:  # an upload deletes its volume with all its attachments
            raise errors.CleanupFailed(volume=volume_id, why=str(error)) from error
