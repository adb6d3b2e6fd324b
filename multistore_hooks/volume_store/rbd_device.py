# SPDX-License-Identifier: Apache-2.0
"""A volume that is an RBD image, which os-brick has opened in user space."""

from typing import Any

from multistore_hooks.volume_store import devices


class RbdDevice(devices.Device):
    """An RBD image that os-brick opened in user space.

    :param handle: os-brick's RBDVolumeIOWrapper. Disconnecting the volume closes it.
    """

    zeroed = True

    def __init__(self, volume_id: str, handle: Any) -> None:
        super().__init__(volume_id)
        self._image = handle.rbd_image

    def size(self) -> int:
        return int(self._try('Measuring', 0, self._image.size))

    def _read(self, offset: int, length: int) -> bytes:
        length = min(length, self._image.size() - offset)  # librbd refuses to read beyond the end
        found: bytes = self._image.read(offset, length) if length > 0 else b''
        return found

    def _write(self, offset: int, data: bytes) -> None:
        self._image.write(data, offset)

    def _flush(self) -> None:
        self._image.flush()
