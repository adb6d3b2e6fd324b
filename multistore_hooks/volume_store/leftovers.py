# SPDX-License-Identifier: Apache-2.0
"""What a killed process, a failed upload, or a call that hung has left: undone, or logged."""

import threading
import time
from typing import Any
from typing import Optional
from typing import Sequence

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import volume_attachment
from multistore_hooks.volume_store import volume_status

LOG = logging.getLogger(__name__)

#: Seconds between two searches of the journal for what no process uses.
EVERY = 60


class Recovery:
    """Clean up what the journal has of processes that are gone; now and then, in a thread of its own."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._process = 0
        self._next = 0.0
        self._thread: Optional[threading.Thread] = None

    def begin(self, context: store_context.StoreContext, process: int) -> None:
        """Begin a search, at the first call in a process and after EVERY seconds.

        :param process: the id of this process: a child begins anew.
        :raises errors.JournalError: the journal cannot be listed.
        """
        now = self._clock.monotonic()
        if process == self._process and now < self._next:
            return
        self._process, self._next = process, now + EVERY
        left = context.journal.volumes()
        busy = self._thread is not None and self._thread.is_alive()
        if left and not busy:  # a slow search would be slower beside a second one
            self._thread = threading.Thread(target=recover_all, args=(context, left), daemon=True)
            self._thread.start()


def recover_all(context: store_context.StoreContext, volume_ids: Sequence[str]) -> None:
    """Recover several volumes; one that fails keeps no other back."""
    for volume_id in volume_ids:
        try:
            recover(context, volume_id)
        except Exception:
            LOG.exception('What is left of volume %s on this host was not cleaned up.', volume_id)


def recover(context: store_context.StoreContext, volume_id: str) -> None:
    """Undo what a killed process, or a call that hung, has left of a volume on this host.

    A volume that a living process uses is left alone, and so is one that has become an image.
    """
    try:
        with context.journal.acquire(volume_id, context.timeouts.attach) as lock:
            users = lock.lock_users(exclusive=True)
            if users is None:
                return
            try:
                record = lock.read()
                if record is not None:
                    undo_recorded(context, volume_id, record, lock)
            finally:
                users.release()
    except errors.VolumeStoreError as error:
        LOG.warning('What is left of volume %(volume)s on this host was not cleaned up: %(error)s',
                    {'volume': volume_id, 'error': error})


def undo_recorded(context: store_context.StoreContext, volume_id: str, record: journal.Record,
                  lock: journal.AttachmentLock) -> None:
    """Undo what is recorded of a volume that no process uses; its users have to be locked exclusively.

    :raises errors.CleanupFailed: something is left, was logged, and stays recorded.
    """
    if record.get('creating'):
        if _undo_creation(context, record):
            lock.remove()
        return
    LOG.warning('Volume %s is recorded as attached to this host, and no process uses it: cleaning up.',
                volume_id)
    if not record:
        LOG.error('The record of volume %s in attachment_dir is damaged. Check whether the volume is '
                  'attached to this host.', volume_id)
    _leave_lost_place(context, volume_id, record)
    volume_attachment.Attachment(context, volume_id, record, lock.write).detach()
    image = record.get('upload')
    if image:
        try:
            volume = context.cinder.volume(volume_id)
        except cinder_client.NotFound:
            pass
        else:
            if volume.read_only:  # the last step of an upload: Glance may have the image
                LOG.warning('Volume %(volume)s holds the complete image %(image)s: it stays.',
                            {'volume': volume_id, 'image': image})
            elif volume.metadata.get('glance_image_id') == image:
                remove(context, volume_id, 'the upload of image %s was interrupted' % image)
    lock.remove()


def remove(context: store_context.StoreContext, volume_id: str, why: str) -> None:
    """Delete the volume of an upload that failed, with all its attachments.

    :param why: why it is deleted, for the log.
    :raises errors.CleanupFailed: it is still there, and was logged.
    """
    cinder = context.cinder
    error: Any = 'it is still there'
    for _waited in volume_status.polls(context, context.timeouts.state):
        try:
            status = cinder.volume(volume_id).status
            if status == 'error_deleting':
                error = "it is 'error_deleting'"
                break
            if status != 'deleting':
                for attachment in cinder.attachment_list(volume_id):
                    cinder.attachment_delete(attachment)
                cinder.delete_volume(volume_id)
        except cinder_client.NotFound:
            LOG.info('Volume %(volume)s was deleted again: %(why)s.', {'volume': volume_id, 'why': why})
            return
        except (cinder_client.Refused, cinder_client.Unresponsive) as refused:
            error = refused
        except Exception as failed:  # another try would not help; it is logged below
            error = failed
            break
    LOG.error('Volume %(volume)s of the store %(store)s is left, and is no image (%(why)s): Cinder does not '
              'delete it: %(error)s',
              {'volume': volume_id, 'store': context.store, 'why': why, 'error': error})
    raise errors.CleanupFailed(volume=volume_id, why=str(error))


def _leave_lost_place(context: store_context.StoreContext, volume_id: str, record: journal.Record) -> None:
    """Take from a record what is not ours any more, because its attachment was deleted by others.

    The backend may have given its place (target, LUN) to another volume, which this host may use: what
    is there now must not be disconnected.
    """
    if not record.get('tried') or context.cinder.attachment_exists(record['attachment']):
        return
    if record.get('device') or record['connection'].get('driver_volume_type') != 'rbd':
        LOG.error('Volume %(volume)s of the store %(store)s was attached to this host, and Cinder does not '
                  'know the attachment %(attachment)s any more: what is on the host in its place is left '
                  'alone (%(path)s).',
                  {'volume': volume_id, 'store': context.store, 'attachment': record['attachment'],
                   'path': (record.get('device') or {}).get('path') or 'its device is not recorded'})
    record.update(tried=False, device=None, owner=None)


def _undo_creation(context: store_context.StoreContext, record: journal.Record) -> bool:
    """Delete the volume that an upload requested, if it did not get Cinder's response.

    :returns: whether no further search is needed: it was found, or Cinder had time enough to create it.
    """
    known = False
    LOG.warning("An interrupted upload had requested a volume with the description '%s'; searching for it.",
                record['description'])
    for found in context.cinder.volumes_named(record['creating']):
        if found.description != record['description']:
            continue
        known = True
        # A volume with a record of its own belongs to that; an image is seen only when its record is gone.
        if context.journal.read(found.id) is None and not context.cinder.volume(found.id).read_only:
            remove(context, found.id, 'its upload was interrupted')
    return known or time.time() >= record.get('requested', 0) + context.timeouts.state
