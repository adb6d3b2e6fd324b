# SPDX-License-Identifier: Apache-2.0
"""A new volume on this host, while an image is written to it."""

import functools
from typing import Any
from typing import Callable

from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import new_volume
from multistore_hooks.volume_store import share_mounts
from multistore_hooks.volume_store import sparse_writer
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import timeouts
from multistore_hooks.volume_store import volume_attachment
from multistore_hooks.volume_store import volume_status

#: The states between attached and available.
_DETACHING = 'in-use detaching reserved attaching'


class WritableVolume:
    """Attached by attach(), not by the constructor. It can be detached and attached again.

    :param zeroed: one of the values of the option ``zeroed_volumes``.
    :param on_late_end: called when a call that hung has ended.
    :ivar hangs: a call of the device has not ended in time.
    """

    def __init__(self, context: store_context.StoreContext, volume: new_volume.NewVolume, zeroed: str,
                 on_late_end: Callable[[], None]) -> None:
        self._context = context
        self._volume = volume
        self._zeroed = zeroed
        self._on_late_end = on_late_end
        self._attachment = volume_attachment.Attachment(context, volume.id, volume.record, volume.save)
        self._writer = self._writer_to(devices.Device(volume.id))  # a device that is not there
        self.hangs = False

    @property
    def in_user_space(self) -> bool:
        """Return whether the volume is a handle of this process, and no device of the host."""
        return not isinstance(self._attachment.path, str)

    @property
    def on_share(self) -> bool:
        """Return whether the volume is a file of a mounted share."""
        return share_mounts.on_share(self._attachment.connection)

    def attach(self) -> None:
        """Attach the volume and open its device."""
        self._attachment.attach(volume_attachment.WRITE)
        self._writer = self._writer_to(self._attachment.open(writable=True))
        self.wait_for_size(self._volume.gib, self._context.timeouts.attach)

    def detach(self) -> None:
        """Close the device, detach the volume, and wait until Cinder has it available."""
        self._call(self._writer.device.close, 'Closing')
        self._attachment.detach()
        self._volume.wait('available', _DETACHING)

    def abandon(self) -> None:
        """Detach the volume, of which nothing is expected any more.

        :raises errors.VolumeStoreError: it is still attached, was logged, and stays recorded.
        """
        context, volume_id, device = self._context, self._volume.id, self._writer.device
        timeouts.call_with_timeout(lambda: devices.close_quietly(device), context.timeouts.io,
                                   'Closing volume ' + volume_id, 'io_timeout',
                                   on_late_end=lambda: leftovers.recover(context, volume_id))
        self._attachment.detach()

    def write(self, offset: int, data: bytes) -> None:
        """Write data at an offset; called from several threads."""
        self._writer.write(offset, data)

    def flush(self) -> None:
        """Return when everything is stored for good."""
        self._call(self._writer.device.flush, 'Flushing')

    def finish(self, size: int) -> None:
        """Zero what is behind the image, and flush."""
        for step in self._writer.rest(size):
            self._call(step, 'Zeroing the rest of')
        self.flush()

    def read(self, offset: int, length: int) -> bytes:
        """Read back what was written and flushed."""
        found: bytes = self._call(functools.partial(self._writer.device.read, offset, length), 'Reading back')
        return found

    def show_new_size(self) -> None:
        """Let this host see that the volume, which stays attached, was extended.

        :raises NotImplementedError: os-brick has nothing to do for this protocol, or cannot.
        :raises errors.HostCallFailed: os-brick failed.
        """
        if not self.in_user_space:  # librbd sees the new size by itself
            self._attachment.extend()

    def wait_for_size(self, gib: int, seconds: float) -> None:
        """Wait until the device has the size of the volume: some take a while to show it.

        :raises errors.CannotAttach: it has not after so many seconds.
        """
        size = 0
        for _waited in volume_status.polls(self._context, seconds):
            size = self._call(self._writer.device.size, 'Measuring')
            if size >= gib * images.GIB:
                return
        raise errors.CannotAttach(volume=self._volume.id, why='its device has %d bytes, and Cinder '
                                  'says %d GiB' % (size, gib))

    def _writer_to(self, device: devices.Device) -> sparse_writer.SparseWriter:
        return sparse_writer.SparseWriter(device, self._zeroed)

    def _call(self, function: Callable[[], Any], what: str) -> Any:
        """Use the device; if that hangs, everything is undone when it has ended, and not before."""
        try:
            return timeouts.call_with_timeout(
                function, self._context.timeouts.io, '%s volume %s' % (what, self._volume.id), 'io_timeout',
                on_late_end=self._on_late_end)
        except errors.TimedOut:
            self.hangs = True
            raise
