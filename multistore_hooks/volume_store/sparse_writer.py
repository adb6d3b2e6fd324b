# SPDX-License-Identifier: Apache-2.0
"""Which bytes of an image are sent to the device, and what is done about the rest of the volume."""

import functools
from typing import Any
from typing import Callable
from typing import Iterator

from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import zeros

_ZERO_AT_ONCE = 64 * 1024 * 1024


class SparseWriter:
    """Writes to a device, without the zeros that need not be sent.

    :param zeroed: one of the values of the option ``zeroed_volumes``.
    """

    def __init__(self, device: devices.Device, zeroed: str) -> None:
        self.device = device
        self._skip = zeroed == options.ALWAYS or (zeroed == options.AUTO and device.zeroed)
        self._ask = zeroed == options.AUTO and not device.zeroed

    def write(self, offset: int, data: bytes) -> None:
        """Write data, without sending the zeros that need not be sent."""
        if not self._skip and not (self._ask and self.device.can_zero()):
            self.device.write(offset, data)
            return
        for start, end, zero in zeros.runs(data):
            if zero and (self._skip or (end % zeros.BLOCK == 0
                                        and self.device.zero(offset + start, end - start))):
                continue
            whole = start == 0 and end == len(data)
            self.device.write(offset + start, data if whole else data[start:end])

    def rest(self, size: int) -> Iterator[Callable[[], Any]]:
        """Yield the steps that zero what is behind the image.

        A clone of the volume would otherwise show what the backend held there before.
        """
        if self._skip or self.device.zeroed:
            return
        end = self.device.size()
        block = min(-(-size // zeros.BLOCK) * zeros.BLOCK, end)
        padded = -(-size // devices.ALIGNED) * devices.ALIGNED  # by the last write
        if padded < block:
            yield lambda: self.device.write(padded, bytes(block - padded))
        for here in range(block, end, _ZERO_AT_ONCE):
            yield functools.partial(self._clear, here, min(_ZERO_AT_ONCE, end - here))

    def _clear(self, here: int, length: int) -> None:
        if self._ask and self.device.zero(here, length):
            return
        nothing = bytes(devices.PIECE)
        for offset in range(here, here + length, len(nothing)):
            self.device.write(offset, nothing[:here + length - offset])
