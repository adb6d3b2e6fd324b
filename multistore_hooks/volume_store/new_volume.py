# SPDX-License-Identifier: Apache-2.0
"""The volume of one upload: locked and recorded for this process, until it is an image or gone."""

from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import creation
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_lock
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import volume_status

LOG = logging.getLogger(__name__)

#: The end of the event_id of Cinder's message that the scheduler found no backend for a new volume.
_NO_BACKEND = '_001_003'


def create(context: store_context.StoreContext, image_id: str, owner: Optional[str], size: int,
           volume_type: Optional[str]) -> 'NewVolume':
    """Have Cinder create a volume for an image of so many bytes (0: unknown).

    :raises Exception: what failed; a volume that Cinder created is gone, or was logged.
    """
    request = creation.Creation(context, image_id)
    volume = request.create(images.gib_for(size), images.metadata(image_id, owner, size), volume_type)
    return NewVolume(context, image_id, request, volume)


class NewVolume:
    """A volume that Cinder has created for an upload.

    :ivar record: what the journal has of it.
    """

    def __init__(self, context: store_context.StoreContext, image_id: str, request: creation.Creation,
                 volume: images.Volume) -> None:
        self._context = context
        self._request = request
        self._volume = volume
        self._lock: Optional[file_lock.FileLock] = None
        self.record: journal.Record = {'upload': image_id}

    @property
    def id(self) -> str:
        """Return its id in Cinder."""
        return self._volume.id

    @property
    def gib(self) -> int:
        """Return its size in GiB."""
        return self._volume.gib

    def take(self) -> None:
        """Record it, before anything is done with it, and wait until it is there.

        :raises errors.VolumeStoreError: it is of no use; delete() it.
        """
        with self._context.journal.acquire(self.id, self._context.timeouts.attach) as lock:
            self._lock = lock.lock_users(exclusive=True)
            self.save(self.record)
        self._request.forget()
        try:
            self.wait('available', 'creating')
        except errors.WrongState as error:
            self._explain(error)
            raise
        if self._volume.encrypted:
            raise errors.NotUsable(volume=self.id, why='its volume type is encrypted')

    def _explain(self, error: errors.WrongState) -> None:
        """Raise a better error, if Cinder says why a volume could not be created."""
        try:
            message = self._context.cinder.message(self.id)
        except cinder_client.CinderError as failed:
            LOG.debug('There is no message about volume %s: %s', self.id, failed)
            return
        if message is None:
            return
        why = message.get('user_message', '')
        if message.get('event_id', '').endswith(_NO_BACKEND):
            raise errors.NoBackend(volume=self.id, why=why) from error
        raise errors.WrongState(**dict(error.kwargs, why=': ' + why)) from error

    def save(self, record: journal.Record) -> None:
        """Write the record."""
        self.record = record
        self._context.journal.write(self.id, record)

    def wait(self, wanted: str, passing: str, gib: int = 0) -> None:
        """Wait until it is in a state; see volume_status.wait()."""
        self._volume = volume_status.wait(self._context, self.id, wanted, passing, gib)

    def delete(self, why: str) -> None:
        """Delete it, as the upload failed.

        :raises errors.CleanupFailed: it is still there, was logged, and stays recorded.
        """
        leftovers.remove(self._context, self.id, why)
        self._request.forget()
        self.forget()

    def forget(self) -> None:
        """Remove the record: the volume is an image now, or gone."""
        try:
            with self._context.journal.acquire(self.id, self._context.timeouts.attach) as lock:
                lock.remove()
                self._release()
        except Exception as error:  # the image is stored, or another error is to be raised
            LOG.warning('The record of volume %(volume)s in attachment_dir was not removed: %(error)s',
                        {'volume': self.id, 'error': error})
        finally:
            self.release()  # or no process of this host could read the image

    def release(self) -> None:
        """Leave it, if it is still recorded, to the next clean-up."""
        self._request.release()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
