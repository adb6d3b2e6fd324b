# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume manager, whose uploads follow the volume type and the base image.

``[DEFAULT] volume_manager = multistore_hooks.cinder.manager.VolumeManager`` in cinder.conf, no patch.
Train and later; every backend and every driver.
"""

from typing import Any
from typing import Optional

from cinder.volume import manager


class VolumeManager(manager.VolumeManager):
    """Cinder's own manager; only the driver that it loads is told to place uploads."""

    def __init__(self, volume_driver: Optional[str] = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(volume_driver or 'multistore_hooks.cinder.driver.load', *args, **kwargs)
