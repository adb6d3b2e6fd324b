# SPDX-License-Identifier: Apache-2.0
"""A device: what os-brick hands out for a volume, read and written at offsets by several threads at once."""

from typing import Any
from typing import Callable
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import errors

LOG = logging.getLogger(__name__)

#: The largest piece that is written at once, in bytes.
PIECE = 4 * 1024 * 1024
#: What is written to a block device always ends on a multiple of this.
ALIGNED = 4096


class Device:
    """A volume on this host. All methods may be called from several threads.

    :ivar zeroed: it is known that what was never written reads as zeros.
    :raises errors.DeviceError: from every method, naming the volume and the offset.
    """

    zeroed = False

    def __init__(self, volume_id: str) -> None:
        self._volume_id = volume_id

    def size(self) -> int:
        """Return the bytes that it holds now."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly that many bytes."""
        found = self._try('Reading', offset, lambda: self._read(offset, length))
        if len(found) != length:
            raise self._error('Reading', offset + len(found), 'the volume ends there')
        return bytes(found)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of at most PIECE bytes; what is missing to a block at the end becomes zeros."""
        self._try('Writing', offset, lambda: self._write(offset, data))

    def zero(self, offset: int, length: int) -> bool:
        """Have the device zero a range of whole blocks; return False if it cannot do so by itself."""
        return False

    def can_zero(self) -> bool:
        """Return whether zero() costs less than writing zeros."""
        return False

    def flush(self) -> None:
        """Return when all that was written is stored for good."""
        self._try('Flushing', 0, self._flush)

    def close(self) -> None:
        """Let go of the device; it stays on the host."""

    def _read(self, offset: int, length: int) -> bytes:
        raise NotImplementedError

    def _write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError

    def _try(self, what: str, offset: int, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except errors.DeviceError:
            raise
        except Exception as error:  # librbd has errors of its own
            raise self._error(what, offset, str(error) or type(error).__name__,
                              getattr(error, 'errno', None)) from error

    def _error(self, what: str, offset: int, why: str,
               number: Optional[int] = None) -> errors.DeviceError:
        return errors.DeviceError(what=what, volume=self._volume_id, offset=offset, why=why, errno=number)


def close_quietly(device: Device) -> None:
    """Close a device of which nothing is expected any more."""
    for _attempt in range(2):
        try:
            device.close()
            return
        except Exception as error:
            LOG.warning('%s', error)
