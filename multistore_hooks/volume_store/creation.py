# SPDX-License-Identifier: Apache-2.0
"""Create one volume; its id is unknown until Cinder responds, so it is recorded by its description."""

import time
from typing import Dict
from typing import Optional
import uuid

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_lock
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import store_context

LOG = logging.getLogger(__name__)

#: When a volume that Cinder created without a response is searched for: seconds of pause before each.
_LOST_SEARCHES = (0, 1, 3)
#: With these responses there is no volume.
_REFUSALS = (cinder_client.Refused, cinder_client.Denied, cinder_client.NotFound, cinder_client.OverQuota)


class Creation:
    """The creation of the volume of one upload.

    :param image_id: the image that it is for.
    """

    def __init__(self, context: store_context.StoreContext, image_id: str) -> None:
        self._context = context
        # The record's name, as the volume has no id yet.
        self._id = str(uuid.uuid4())
        self._name = images.name(image_id)
        self._description = 'Image %s in the Glance store %s, upload %s' % (
            image_id, context.store, self._id)
        self._lock: Optional[file_lock.FileLock] = None

    def create(self, gib: int, metadata: Dict[str, str], volume_type: Optional[str]) -> images.Volume:
        """Have Cinder create the volume, and return it. Its record stays until forget().

        :raises Exception: what failed; a volume that Cinder created is gone, or was logged.
        """
        self._write_record()
        try:
            return self._context.cinder.create_volume(gib, self._name, self._description, metadata,
                                                      volume_type)
        except BaseException as error:
            if isinstance(error, _REFUSALS) or self._remove_lost():
                self.forget()
            self.release()
            raise

    def forget(self) -> None:
        """Remove the record: the volume has one of its own, or is gone.

        If this fails, the lock keeps the other processes of the host off the volume.
        """
        if self._lock is None:
            return
        try:
            with self._context.journal.acquire(self._id, self._context.timeouts.attach) as lock:
                lock.remove()
                self.release()
        except errors.VolumeStoreError as error:
            LOG.warning('The record of volume %(volume)s in attachment_dir was not removed: %(error)s',
                        {'volume': self._id, 'error': error})

    def release(self) -> None:
        """Leave the record, if there still is one, to the next clean-up."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _write_record(self) -> None:
        with self._context.journal.acquire(self._id, self._context.timeouts.attach) as lock:
            self._lock = lock.lock_users(exclusive=True)
            try:
                lock.write({'creating': self._name, 'description': self._description,
                            'requested': time.time()})
            except BaseException:
                self.release()
                raise

    def _remove_lost(self) -> bool:
        """Delete the volume that Cinder perhaps created, and whose id was lost with the response.

        :returns: whether it was found and deleted.
        """
        try:
            for pause in _LOST_SEARCHES:
                self._context.clock.sleep(pause)
                for volume in self._context.cinder.volumes_named(self._name):
                    if volume.description == self._description:
                        leftovers.remove(self._context, volume.id, 'the request for it had no response')
                        return True
        except errors.CleanupFailed:
            return False
        except Exception as error:  # whatever it is, the error that led here is the one to raise
            LOG.error('Cinder may have created a volume without a response, and cannot be reached about it: '
                      "%(error)s. If there is one with the description '%(description)s', delete it.",
                      {'error': error, 'description': self._description})
            return False
        LOG.warning("Cinder has not created a volume '%(name)s' so far. One with the description "
                    "'%(description)s' is deleted if it appears within state_timeout.",
                    {'name': self._name, 'description': self._description})
        return False
