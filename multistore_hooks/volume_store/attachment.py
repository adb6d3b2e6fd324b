# SPDX-License-Identifier: Apache-2.0
"""Attach a volume to this host and detach it, step by step; every step is noted, and can be undone."""

import os
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import NamedTuple
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import bounded
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import device as devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import records

LOG = logging.getLogger(__name__)

READ, WRITE = 'ro', 'rw'
# The states of a volume that somebody else is using, or about to: they pass.
_PASSING = ('in-use', 'reserved', 'attaching', 'detaching', 'downloading', 'uploading', 'backing-up',
            'maintenance', 'extending', 'retyping', 'creating')
#: How long a reservation may be without a host until it counts as lost, as a share of attach_timeout:
#: another host's is 'reserved' until its backend has let it in.
LOST_AFTER = 0.25
POLL_FIRST, POLL_MOST = 0.1, 2


class Timeouts(NamedTuple):
    """In seconds; see options.py."""

    state: float = 300
    attach: float = 180
    io: float = 300
    idle: float = 5


class Tools(NamedTuple):
    """What a store works with.

    :ivar brick: a brick.Brick, or the like.
    :ivar open_device: device.open_device, or the like.
    :ivar recover: leftovers.recover, or the like: called with a volume when a call that hung has ended.
    """

    store: str
    cinder: cinder_client.Cinder
    brick: Any
    open_device: Callable[[str, Any, bool], devices.Device]
    records: records.Records
    recover: Callable[[Any, str], None]
    timeouts: Timeouts = Timeouts()


class Attachment:
    """One attachment of a volume to this host.

    :param note: what is noted of it; empty for a new one.
    :param save: called with the note after each change.
    :ivar info: os-brick's device_info of this process, None if it has none.
    """

    def __init__(self, tools: Tools, volume_id: str, note: records.Note,
                 save: Callable[[records.Note], None]) -> None:
        self._tools = tools
        self._volume_id = volume_id
        self._note = note
        self._save = save
        self.info: Optional[Dict[str, Any]] = note.get('device')

    @property
    def note(self) -> records.Note:
        """What this process knows of it, to take it from the host."""
        return self._note

    @property
    def connection(self) -> Dict[str, Any]:
        """How this host reaches the volume, as Cinder told."""
        found: Dict[str, Any] = self._note['connection']
        return found

    def make(self, mode: str) -> None:
        """Attach the volume; undo() it, whether or not this fails."""
        tools = self._tools
        properties = self._bounded(tools.brick.properties, 'Asking os-brick about this host for')
        self._change(reserving=mode)  # who is killed while Cinder answers leaves an id that nobody knows
        self._change(attachment=self._reserve(mode), reserving=None)
        connection = tools.cinder.bind(self._note['attachment'], dict(properties, mode=mode))
        self._change(connection=connection)
        why = unusable(connection)
        if why:
            raise errors.NotUsable(volume=self._volume_id, why=why)
        self._change(tried=True)
        self.info = self.connect()
        self._change(device=self.info if isinstance(self.info['path'], str) else None)
        tools.cinder.complete(self._note['attachment'])

    def connect(self) -> Dict[str, Any]:
        """Bring the volume to this host, or to this process, and return os-brick's device_info."""
        brick, connection = self._tools.brick, self.connection

        def late(info: Dict[str, Any]) -> None:
            LOG.warning('Volume %s has come to this host after nobody waited for it any more: '
                        'disconnecting it.', self._volume_id)
            brick.disconnect(connection, info)

        info: Dict[str, Any] = self._bounded(lambda: brick.connect(connection), 'Connecting', late)
        return info

    def open(self, writable: bool) -> devices.Device:
        """Open the device that the volume is on this host."""
        tools, path = self._tools, (self.info or {})['path']
        if isinstance(path, str):
            wanted = os.R_OK | (os.W_OK if writable else 0)
            if not self._bounded(lambda: os.access(path, wanted), 'Looking at'):  # a share may hang
                self._change(owner=os.stat(path).st_uid)
                self._bounded(lambda: tools.brick.own(path, os.geteuid()), 'Handing over the device of')
        found: devices.Device = self._bounded(
            lambda: tools.open_device(self._volume_id, path, writable), 'Opening',
            lambda device: device.close())
        return found

    def extend(self) -> None:
        """Let this host see that the volume has grown. :raises NotImplementedError: os-brick cannot."""
        self._bounded(lambda: self._tools.brick.extend(self.connection), 'Extending')

    def undo(self) -> None:
        """Take the volume from this host, and then delete the attachment. May be called again.

        The attachment of a volume that is still on the host is never deleted: the backend could give
        its place to another volume, which this host would then see (OSSA-2023-003).

        :raises errors.Left: something is left, and was logged.
        """
        if self._note.get('tried'):
            self._give_back()
            self._disconnect()
            self.info = None
            self._undone(tried=False, device=None)
        if self._note.get('reserving'):
            self._undo_lost(self._note['reserving'])
            self._undone(reserving=None)
        attachment = self._note.get('attachment')
        if attachment:
            try:
                self._tools.cinder.delete_attachment(attachment)
            except Exception as error:  # whatever it is, the attachment is left
                raise self._left('Cinder does not delete it: %s' % error) from error
            self._undone(attachment=None, connection=None)

    def disconnect_own(self) -> None:
        """Let go of what this process alone has: others on this host use the volume too."""
        if self.info is not None and not isinstance(self.info['path'], str):
            info, self.info = self.info, None
            self._bounded(lambda: self._tools.brick.disconnect(self.connection, info), 'Disconnecting')

    def _give_back(self) -> None:
        owner, path = self._note.get('owner'), (self.info or {}).get('path')
        if owner is None or not isinstance(path, str):
            return
        try:
            # After a crash the name may be that of somebody else's device: this one was made ours.
            if os.stat(path).st_uid != os.geteuid():
                return
        except OSError:
            return
        try:
            self._bounded(lambda: self._tools.brick.own(path, owner), 'Giving back the device of')
        except Exception as error:  # the rest is to be undone all the same
            LOG.warning('The device of volume %(volume)s keeps the owner %(uid)d: %(error)s',
                        {'volume': self._volume_id, 'uid': os.geteuid(), 'error': error})
        self._undone(owner=None)

    def _disconnect(self) -> None:
        brick, connection, info = self._tools.brick, self.connection, self.info
        try:
            self._bounded(lambda: brick.disconnect(connection, info), 'Disconnecting', self._late)
        except Exception as error:  # os-brick's are of many kinds
            LOG.warning('Volume %(volume)s: os-brick does not disconnect it, trying by force: %(error)s',
                        {'volume': self._volume_id, 'error': error})
            try:
                self._bounded(lambda: brick.disconnect(connection, info, force=True), 'Disconnecting',
                              self._late)
            except Exception as again:
                raise self._left('os-brick does not disconnect it: %s' % again) from again

    def _late(self, _nothing: Any) -> None:
        self._tools.recover(self._tools, self._volume_id)

    def _left(self, why: str) -> errors.Left:
        LOG.error('Volume %(volume)s of the store %(store)s is left attached to this host, attachment '
                  '%(attachment)s: %(why)s',
                  {'volume': self._volume_id, 'store': self._tools.store,
                   'attachment': self._note.get('attachment'), 'why': why})
        return errors.Left(volume=self._volume_id, why=why)

    def _reserve(self, mode: str) -> str:
        """Return the id of a new attachment, as soon as the volume may have one more."""
        cinder, timeouts = self._tools.cinder, self._tools.timeouts
        deadline, free_once = time.monotonic() + timeouts.state, True
        while True:
            try:
                return cinder.reserve(self._volume_id, mode)
            except cinder_client.Refused as error:
                status = cinder.volume(self._volume_id).status
                if status == 'available' and free_once:
                    free_once = False  # it was busy until a moment ago
                elif status not in _PASSING or time.monotonic() >= deadline:
                    self._note['reserving'] = None
                    raise errors.CannotAttach(volume=self._volume_id, why="it is '%s' (%s)" % (
                        status, error)) from error
                time.sleep(1)
            except (cinder_client.NotFound, cinder_client.Denied, cinder_client.OverQuota):
                self._note['reserving'] = None  # there is none: undo() need not look
                raise

    def _undo_lost(self, mode: str) -> None:
        """Delete a reservation that was perhaps made, and whose id nobody knows.

        :raises errors.Left: Cinder does not tell, and nobody else would ask again.
        """
        cinder = self._tools.cinder
        try:
            found = cinder.attachments(self._volume_id)
            if mode == READ:  # other hosts may read the image: theirs get their host soon
                lost = [one for one, status in found.items() if status == 'reserved']
                if lost:
                    time.sleep(LOST_AFTER * self._tools.timeouts.attach)
                found = {one: status for one, status in cinder.attachments(self._volume_id).items()
                         if one in lost and status == 'reserved'} if lost else {}
            for one in found:
                cinder.delete_attachment(one)
        except Exception as error:  # the rest is to be undone all the same
            LOG.error('Volume %(volume)s of the store %(store)s may have an attachment in the state '
                      "'reserved', which Cinder made without an answer: delete it. %(error)s",
                      {'volume': self._volume_id, 'store': self._tools.store, 'error': error})
            if mode == READ:  # an upload deletes its volume with all its attachments
                raise errors.Left(volume=self._volume_id, why=str(error)) from error

    def _undone(self, **changes: Any) -> None:
        """Note what was undone; if that fails, the rest is undone all the same."""
        try:
            self._change(**changes)
        except errors.CannotNote as error:
            LOG.warning('Volume %(volume)s: that it is being detached is not noted: %(error)s',
                        {'volume': self._volume_id, 'error': error})

    def _change(self, **changes: Any) -> None:
        self._note.update(changes)
        self._save(self._note)

    def _bounded(self, function: Callable[[], Any], what: str,
                 late: Optional[Callable[[Any], Any]] = None) -> Any:
        try:
            return bounded.call(function, self._tools.timeouts.attach,
                                '%s volume %s' % (what, self._volume_id), 'attach_timeout', late)
        except (errors.VolumeStoreError, NotImplementedError):
            raise
        except Exception as error:  # os-brick's are of many kinds
            raise errors.CannotAttach(volume=self._volume_id, why='%s it failed: %s' % (
                what, ' '.join(str(error).split()) or type(error).__name__)) from error


def unusable(connection: Dict[str, Any]) -> Optional[str]:
    """Return why what a host gets of a volume is not the bytes of an image, or None."""
    if connection.get('encrypted'):
        return 'its volume type is encrypted'
    if connection.get('format', 'raw') != 'raw':
        return 'its file on the share has the format %s' % connection['format']
    return None


def wait(cinder: cinder_client.Cinder, volume_id: str, wanted: str, passing: str, seconds: float,
         gib: int = 0) -> images.Volume:
    """Return a volume when it is in a state.

    :param passing: the states, separated by spaces, that it is in until then.
    :param gib: the size that it has to have then.
    :raises errors.WrongState: it came into another state, or has the wrong size.
    :raises errors.TimedOut: it did not come there in time.
    """
    deadline = time.monotonic() + seconds
    pause = POLL_FIRST
    while True:
        volume = cinder.volume(volume_id)
        if volume.status == wanted and volume.gib >= gib:
            return volume
        if volume.status == wanted or volume.status not in passing.split():
            raise errors.WrongState(volume=volume_id, status=volume.status, wanted=wanted,
                                    why='' if volume.gib >= gib else ' with %d GiB' % gib)
        if time.monotonic() >= deadline:
            raise errors.TimedOut(what="That volume %s becomes '%s'" % (volume_id, wanted),
                                  seconds=seconds, option='state_timeout')
        time.sleep(pause)
        pause = min(pause * 1.5, POLL_MOST)
