# SPDX-License-Identifier: Apache-2.0
"""Create one volume; until Cinder answers, nobody knows its id, so it is noted by its description."""

import time
from typing import Dict
from typing import Optional
import uuid

from oslo_log import log as logging

from multistore_hooks.volume_store import attachment as attachments
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import records

LOG = logging.getLogger(__name__)

#: Where a volume that Cinder created without an answer is looked for: seconds after the failure.
_LOST_LOOKS = (0, 1, 3)
#: With these answers there is no volume.
_REFUSALS = (cinder_client.Refused, cinder_client.Denied, cinder_client.NotFound, cinder_client.OverQuota)


class Creation:
    """The creation of the volume of one upload.

    :param image_id: the image that it is for.
    """

    def __init__(self, tools: attachments.Tools, image_id: str) -> None:
        self._tools = tools
        # The note's name, as the volume has no id yet.
        self._id = str(uuid.uuid4())
        self._name = images.name(image_id)
        self._description = 'Image %s in the Glance store %s, upload %s' % (image_id, tools.store, self._id)
        self._lock: Optional[int] = None

    def ask(self, gib: int, metadata: Dict[str, str], volume_type: Optional[str]) -> images.Volume:
        """Have Cinder create it, and return it. The note of it stays until forget().

        :raises Exception: what failed; a volume that came of it is gone, or was logged.
        """
        self._write_note()
        try:
            return self._tools.cinder.create_volume(gib, self._name, self._description, metadata,
                                                    volume_type)
        except BaseException as error:
            if isinstance(error, _REFUSALS) or self._remove_lost():
                self.forget()
            self.release()
            raise

    def forget(self) -> None:
        """The volume has a note of its own, or is gone. If this fails, the lock keeps others off it."""
        if self._lock is None:
            return
        try:
            with self._tools.records.enter(self._id, self._tools.timeouts.attach) as gate:
                gate.forget()
                self.release()
        except errors.VolumeStoreError as error:
            LOG.warning('The note of volume %(volume)s in attachment_dir was not removed: %(error)s',
                        {'volume': self._id, 'error': error})

    def release(self) -> None:
        """Leave the note, if there is still one, to whoever cleans up."""
        lock, self._lock = self._lock, None
        if lock is not None:
            records.release(lock)

    def _write_note(self) -> None:
        with self._tools.records.enter(self._id, self._tools.timeouts.attach) as gate:
            self._lock = gate.use(alone=True)
            try:
                gate.write({'creating': self._name, 'description': self._description, 'asked': time.time()})
            except BaseException:
                self.release()
                raise

    def _remove_lost(self) -> bool:
        """Delete the volume that Cinder perhaps created, and whose id nobody knows.

        :returns: whether that was done, as far as anybody can tell.
        """
        try:
            for pause in _LOST_LOOKS:
                time.sleep(pause)
                for volume in self._tools.cinder.volumes_named(self._name):
                    if volume.description == self._description:
                        leftovers.remove(self._tools, volume.id, 'its creation was not answered')
                        return True
        except errors.Left:
            return False
        except Exception as error:  # whatever it is, the error that led here is the one to raise
            LOG.error('Cinder may have created a volume without an answer, and cannot be asked for it: '
                      "%(error)s. If there is one with the description '%(description)s', delete it.",
                      {'error': error, 'description': self._description})
            return False
        LOG.warning("Cinder has created no volume '%(name)s' until now. One with the description "
                    "'%(description)s' is deleted if it comes within state_timeout.",
                    {'name': self._name, 'description': self._description})
        return False
