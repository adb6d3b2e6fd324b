# SPDX-License-Identifier: Apache-2.0
"""Attach a volume to this host and detach it, step by step; every step is recorded, and can be undone."""

import os
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import reservation
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import timeouts

LOG = logging.getLogger(__name__)

READ, WRITE = reservation.READ, reservation.WRITE
_NOT_RESERVED = (reservation.NotReserved, cinder_client.NotFound, cinder_client.Denied,
                 cinder_client.OverQuota)


class Attachment:
    """One attachment of a volume to this host.

    :param record: what the journal has of it; empty for a new one.
    :param save: called with the record after each change.
    :ivar info: os-brick's device_info of this process, None if it has none.
    """

    def __init__(self, context: store_context.StoreContext, volume_id: str, record: journal.Record,
                 save: Callable[[journal.Record], None]) -> None:
        self._context = context
        self._volume_id = volume_id
        self._record = record
        self._save = save
        self.info: Optional[Dict[str, Any]] = record.get('device')

    @property
    def record(self) -> journal.Record:
        """Return what this process knows of it, with which it can be detached."""
        return self._record

    @property
    def connection(self) -> Dict[str, Any]:
        """Return how this host reaches the volume, in Cinder's words."""
        found: Dict[str, Any] = self._record['connection']
        return found

    @property
    def path(self) -> Any:
        """Return the device's path on this host, or os-brick's handle of this process, or None."""
        return (self.info or {}).get('path')

    def attach(self, mode: str) -> None:
        """Attach the volume; call detach() afterwards, whether or not this fails."""
        cinder, brick = self._context.cinder, self._context.brick
        properties = self._call(brick.properties, 'Asking os-brick about this host for')
        self._record['host'] = properties.get('host')
        self._change(reserving=mode)  # a kill while Cinder responds leaves a reservation with an unknown id
        try:
            attachment = reservation.create(self._context, self._volume_id, mode)
        except _NOT_RESERVED:
            self._record['reserving'] = None  # there is none: detach() need not search
            raise
        self._change(attachment=attachment, reserving=None)
        connection = cinder.attachment_update(attachment, dict(properties, mode=mode))
        self._change(connection=connection)
        why = unusable(connection)
        if why:
            raise errors.NotUsable(volume=self._volume_id, why=why)
        self._change(tried=True)
        self.info = self.connect()
        self._change(device=self.info if isinstance(self.path, str) else None)
        cinder.attachment_complete(attachment)

    def connect(self) -> Dict[str, Any]:
        """Connect the volume to this host, or to this process, and return os-brick's device_info."""
        brick, connection = self._context.brick, self.connection

        def disconnect(info: Dict[str, Any]) -> None:
            LOG.warning('Volume %s was connected after attach_timeout had expired; disconnecting it.',
                        self._volume_id)
            brick.disconnect(connection, info)

        info: Dict[str, Any] = self._call(lambda: brick.connect(connection), 'Connecting', disconnect)
        return info

    def open(self, writable: bool) -> devices.Device:
        """Open the device that the volume is on this host."""
        context, path = self._context, self.path
        if isinstance(path, str):
            wanted = os.R_OK | (os.W_OK if writable else 0)
            if not self._call(lambda: os.access(path, wanted), 'Checking access to'):  # a share may hang
                self._change(owner=os.stat(path).st_uid)
                self._call(lambda: context.brick.chown(path, os.geteuid()), 'Changing the owner of')
        found: devices.Device = self._call(
            lambda: context.open_device(self._volume_id, path, writable), 'Opening',
            lambda device: device.close())
        return found

    def extend(self) -> None:
        """Let this host see the new size of the volume.

        :raises NotImplementedError: os-brick has nothing to do for this protocol, or cannot.
        :raises errors.HostCallFailed: os-brick failed.
        """
        self._call(lambda: self._context.brick.extend(self.connection), 'Extending')

    def detach(self) -> None:
        """Disconnect the volume from this host, and then delete the attachment. May be called again.

        The attachment of a volume that is still on the host is never deleted: the backend could give
        its place to another volume, which this host would then see (OSSA-2023-003).

        :raises errors.CleanupFailed: something is left, and was logged.
        """
        if self._record.get('tried'):
            if not self._shared_with_others():
                self._restore_owner()
                self._disconnect()
            self.info = None
            self._undone(tried=False, device=None)
        if self._record.get('reserving'):
            reservation.delete_lost(self._context, self._volume_id, self._record['reserving'])
            self._undone(reserving=None)
        attachment = self._record.get('attachment')
        if attachment:
            try:
                self._context.cinder.attachment_delete(attachment)
            except Exception as error:  # whatever it is, the attachment is left
                raise self._left('Cinder does not delete it: %s' % error) from error
            self._undone(attachment=None, connection=None)

    def disconnect_own(self) -> None:
        """Close what this process alone has of it: other processes of this host use the volume too."""
        if self.info is not None and not isinstance(self.path, str):
            info, self.info = self.info, None
            self._call(lambda: self._context.brick.disconnect(self.connection, info), 'Disconnecting')

    def _shared_with_others(self) -> bool:
        """Return whether another glance-api of this host, with a journal of its own, uses the device."""
        if not isinstance(self.path, str) or not self._record.get('host') or self._record.get('upload'):
            return False  # the volume of an upload is known to this process alone
        try:
            hosts = self._context.cinder.volume(self._volume_id).hosts
        except cinder_client.CinderError:
            return False
        others = [one for one, host in hosts.items()
                  if host == self._record['host'] and one != self._record.get('attachment')]
        if others:
            LOG.warning('Volume %(volume)s stays connected to this host (%(host)s), as it has another '
                        'attachment %(other)s here: give all glance-api processes of a host the same '
                        'attachment_dir.',
                        {'volume': self._volume_id, 'host': self._record['host'], 'other': others[0]})
        return bool(others)

    def _restore_owner(self) -> None:
        owner, path = self._record.get('owner'), self.path
        if owner is None or not isinstance(path, str):
            return
        try:
            # After a crash the name may be that of a foreign device: ours has our user as its owner.
            if os.stat(path).st_uid != os.geteuid():
                return
        except OSError:
            return
        try:
            self._call(lambda: self._context.brick.chown(path, owner), 'Restoring the owner of')
        except Exception as error:  # the rest is to be undone all the same
            LOG.warning('The device of volume %(volume)s keeps the owner %(uid)d: %(error)s',
                        {'volume': self._volume_id, 'uid': os.geteuid(), 'error': error})
        self._undone(owner=None)

    def _disconnect(self) -> None:
        brick, connection, info = self._context.brick, self.connection, self.info
        try:
            self._call(lambda: brick.disconnect(connection, info), 'Disconnecting', self._recover)
        except Exception as error:  # os-brick's are of many kinds
            LOG.warning('Volume %(volume)s: os-brick cannot disconnect it, forcing: %(error)s',
                        {'volume': self._volume_id, 'error': error})
            try:
                self._call(lambda: brick.disconnect(connection, info, force=True), 'Disconnecting',
                           self._recover)
            except Exception as again:
                raise self._left('os-brick cannot disconnect it: %s' % again) from again

    def _recover(self, _nothing: Any) -> None:
        self._context.recover(self._context, self._volume_id)

    def _left(self, why: str) -> errors.CleanupFailed:
        LOG.error('Volume %(volume)s of the store %(store)s stays attached to this host, attachment '
                  '%(attachment)s: %(why)s',
                  {'volume': self._volume_id, 'store': self._context.store,
                   'attachment': self._record.get('attachment'), 'why': why})
        return errors.CleanupFailed(volume=self._volume_id, why=why)

    def _undone(self, **changes: Any) -> None:
        """Record what was undone; if that fails, the rest is undone all the same."""
        try:
            self._change(**changes)
        except errors.JournalError as error:
            LOG.warning('Volume %(volume)s: its detachment is not recorded: %(error)s',
                        {'volume': self._volume_id, 'error': error})

    def _change(self, **changes: Any) -> None:
        self._record.update(changes)
        self._save(self._record)

    def _call(self, function: Callable[[], Any], what: str,
              on_late_result: Optional[Callable[[Any], Any]] = None) -> Any:
        try:
            return timeouts.call_with_timeout(
                function, self._context.timeouts.attach, '%s volume %s' % (what, self._volume_id),
                'attach_timeout', on_late_result)
        except (errors.VolumeStoreError, NotImplementedError):
            raise
        except Exception as error:  # os-brick's are of many kinds
            raise errors.HostCallFailed(what=what, volume=self._volume_id, why=' '.join(
                str(error).split()) or type(error).__name__) from error


def unusable(connection: Dict[str, Any]) -> Optional[str]:
    """Return why what a host gets of a volume is not the bytes of an image, or None."""
    if connection.get('encrypted'):
        return 'its volume type is encrypted'
    if connection.get('format', 'raw') != 'raw':
        return 'its file on the share has the format %s' % connection['format']
    return None
