# SPDX-License-Identifier: Apache-2.0
"""The processes of a host share the attachment of an image that they read."""

from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_lock
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import timeouts
from multistore_hooks.volume_store import volume_attachment

LOG = logging.getLogger(__name__)


def use(context: store_context.StoreContext, volume_id: str) -> 'HostAttachment':
    """Return the attachment of a volume to this host; the first process makes it, the last one undoes it.

    :raises errors.VolumeStoreError: nothing is left then, or it was logged.
    """
    with context.journal.acquire(volume_id, context.timeouts.attach) as lock:
        users = lock.lock_users(exclusive=True)
        if users is None:
            return _join(context, volume_id, lock)
        return _attach(context, volume_id, lock, users)


def _attach(context: store_context.StoreContext, volume_id: str, lock: journal.AttachmentLock,
            users: file_lock.FileLock) -> 'HostAttachment':
    """Attach the volume, as no process of this host has it."""
    attachment: Optional[volume_attachment.Attachment] = None
    try:
        record = lock.read()
        if record is not None:
            leftovers.undo_recorded(context, volume_id, record, lock)
        attachment = volume_attachment.Attachment(context, volume_id, {}, lock.write)
        attachment.attach(volume_attachment.READ)
        device = attachment.open(writable=False)
        users.downgrade()
    except BaseException:
        try:
            if attachment is not None:
                attachment.detach()
                lock.remove()
        except errors.CleanupFailed as failed:
            LOG.debug('%s', failed)
        finally:
            users.release()
        raise
    return HostAttachment(context, volume_id, users, attachment, device)


def _join(context: store_context.StoreContext, volume_id: str,
          lock: journal.AttachmentLock) -> 'HostAttachment':
    """Use the attachment that another process of this host has made."""
    users = lock.lock_users(exclusive=False)
    if users is None:
        raise errors.CannotAttach(volume=volume_id, why='an upload is writing to it')
    try:
        record = lock.read()
        if not record or not record.get('connection'):
            raise errors.CannotAttach(volume=volume_id,
                                      why='the process that has attached it left no record of it')
        attachment = volume_attachment.Attachment(context, volume_id, record, lock.write)
        if attachment.info is None:  # in user space each process has its own
            attachment.info = attachment.connect()
        try:
            device = attachment.open(writable=False)
        except BaseException:
            attachment.disconnect_own()
            raise
    except BaseException:
        users.release()
        raise
    return HostAttachment(context, volume_id, users, attachment, device)


class HostAttachment:
    """The use that one process makes of a volume that is attached to its host for reading.

    :param users: a shared lock on the use of the volume.
    """

    def __init__(self, context: store_context.StoreContext, volume_id: str, users: file_lock.FileLock,
                 attachment: volume_attachment.Attachment, device: devices.Device) -> None:
        self._context = context
        self._volume_id = volume_id
        self._users = users
        self._attachment = attachment
        self._closed = False
        self.device = device

    def leave(self) -> None:
        """Use it no longer. What cannot be undone is logged, and recorded for the next process."""
        try:
            with self._context.journal.acquire(self._volume_id, self._context.timeouts.attach) as lock:
                self._leave(lock)
        except errors.CleanupFailed as failed:
            LOG.debug('%s', failed)  # logged as an error where it happened
        except errors.VolumeStoreError as error:
            LOG.error('Volume %(volume)s of the store %(store)s was not detached from this host: %(error)s',
                      {'volume': self._volume_id, 'store': self._context.store, 'error': error})
        finally:
            # Without the lock it stays recorded, and as no process uses it any more, it is tried again.
            try:
                self._close()
            finally:
                self._users.release()

    def _leave(self, lock: journal.AttachmentLock) -> None:
        try:
            self._close()
            if self._users.try_upgrade():
                # What other processes of this host have recorded since then counts too.
                record = lock.read() or self._attachment.record
                last = volume_attachment.Attachment(self._context, self._volume_id, record, lock.write)
                last.info = self._attachment.info or last.info
                last.detach()
                lock.remove()
            else:
                self._attachment.disconnect_own()
        finally:
            self._users.release()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        context, volume_id = self._context, self._volume_id
        timeouts.call_with_timeout(
            lambda: devices.close_quietly(self.device), context.timeouts.attach,
            'Closing volume ' + volume_id, 'attach_timeout',
            on_late_end=lambda: leftovers.recover(context, volume_id))
