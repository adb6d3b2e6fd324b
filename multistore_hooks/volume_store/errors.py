# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an image on a volume, before glance_store's own errors are made of it."""

from typing import Optional

from multistore_hooks import exceptions
from multistore_hooks.i18n import _


class VolumeStoreError(exceptions.MultistoreError):
    """Base of the driver's own errors."""

    msg_fmt = _('An unknown error in the volume store.')


class TimedOut(VolumeStoreError):
    """Something took longer than its option allows."""

    msg_fmt = _('%(what)s took longer than %(seconds)s seconds (%(option)s).')


class NotAnImage(VolumeStoreError):
    """A volume is not an image volume of this store."""

    msg_fmt = _('Volume %(volume)s is no image of the store %(store)s: %(why)s.')


class NotUsable(VolumeStoreError):
    """A volume, or its type, cannot hold an image."""

    msg_fmt = _('Volume %(volume)s cannot hold an image: %(why)s.')


class BadRange(VolumeStoreError):
    """A range of bytes is not in the image."""

    msg_fmt = _('Range starting at byte %(offset)s is outside image on volume %(volume)s (%(size)d bytes).')


class CannotAttach(VolumeStoreError):
    """A volume was not attached to this host, or not in time."""

    msg_fmt = _('Volume %(volume)s cannot be attached to this host: %(why)s.')


class HostCallFailed(VolumeStoreError):
    """os-brick, or the system, failed to do something with a volume on this host."""

    msg_fmt = _('%(what)s volume %(volume)s failed on this host: %(why)s')


class JournalError(VolumeStoreError):
    """The folder of the option attachment_dir cannot be used."""

    msg_fmt = _('The attachments of this host cannot be recorded (attachment_dir): %(why)s')


class CleanupFailed(VolumeStoreError):
    """A volume could not be detached or deleted; what is left was logged."""

    msg_fmt = _('Volume %(volume)s cannot be cleaned up: %(why)s.')


class WrongState(VolumeStoreError):
    """A volume came into another state than the one that was waited for."""

    msg_fmt = _("Volume %(volume)s is '%(status)s' and not '%(wanted)s'%(why)s.")


class NoBackend(VolumeStoreError):
    """Cinder's scheduler found no backend for a volume: none has room, or none suits the type."""

    msg_fmt = _('Cinder has no backend for volume %(volume)s: %(why)s')


class WrongSize(VolumeStoreError):
    """The data are more or less than the client announced."""

    msg_fmt = _('Image %(image)s was announced with %(expected)d bytes, but its data have %(actual)s.')


class DeviceError(VolumeStoreError):
    """A device refused a request, or failed.

    :ivar errno: the system's number for it, or None.
    """

    msg_fmt = _('%(what)s volume %(volume)s failed at byte %(offset)d: %(why)s')

    @property
    def errno(self) -> Optional[int]:
        """Return the system's number for the error, or None."""
        return self.kwargs.get('errno')
