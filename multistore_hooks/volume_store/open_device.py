# SPDX-License-Identifier: Apache-2.0
"""Choose the kind of device for what os-brick returned."""

import os
from typing import Any

from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import file_device
from multistore_hooks.volume_store import rbd_device


def open_device(volume_id: str, path: Any, writable: bool) -> devices.Device:
    """Return the device for the 'path' of what os-brick's connect_volume returned."""
    if isinstance(path, (str, bytes)):
        return file_device.FileDevice(volume_id, os.fsdecode(path), writable)
    return rbd_device.RbdDevice(volume_id, path)
