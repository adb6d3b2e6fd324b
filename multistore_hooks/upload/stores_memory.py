# SPDX-License-Identifier: Apache-2.0
"""The stores that Glance offers, remembered for a while: each upload would request them."""

import time
from typing import Any
from typing import Optional

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer

#: Seconds for which the stores are remembered. Glance reads them when it starts, and under its own server on
#: SIGHUP too: an operator who has changed them sees the new ones used within a minute.
LIFETIME = 60


class StoresMemory:
    """The stores of one Glance, for all uploads of a process.

    :param clock: has ``monotonic()``.
    """

    def __init__(self, clock: Any = time) -> None:
        self._clock = clock
        self._stores: Optional[api.Stores] = None
        self._until = 0.0

    def decide_placement(self, images: api.ImageLookup,
                         request: placements.UploadRequest) -> placements.Placement:
        """Decide where an upload goes; no store is refused by what is remembered.

        :raises StoreNotUsable: the operator named a store that does not exist or is read-only.
        """
        remembered = self._stores is not None and self._clock.monotonic() < self._until
        try:
            return transfer.decide_placement(_Lookups(self, images), request)
        except exceptions.StoreNotUsable:
            if not remembered:
                raise
        self._until = 0.0
        return transfer.decide_placement(_Lookups(self, images), request)

    def get(self, images: api.ImageLookup) -> api.Stores:
        """Return the stores, requested at most once in LIFETIME.

        :raises GlanceError: see ``ImageLookup.stores``.
        """
        now = self._clock.monotonic()
        if self._stores is None or now >= self._until:
            self._stores, self._until = images.stores(), now + LIFETIME
        return self._stores


class _Lookups(api.ImageLookup):
    """The requests of one placement, with the stores that are remembered."""

    def __init__(self, memory: StoresMemory, images: api.ImageLookup) -> None:
        self._memory, self._images = memory, images

    def stores(self) -> api.Stores:
        return self._memory.get(self._images)

    def image(self, image_id: str) -> api.Image:
        return self._images.image(image_id)
