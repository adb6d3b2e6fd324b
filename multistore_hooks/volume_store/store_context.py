# SPDX-License-Identifier: Apache-2.0
"""What the parts of one store work with: handed to each of them, so that none has to find it by itself."""

import time
from typing import Any
from typing import Callable
from typing import NamedTuple

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import journal


class Timeouts(NamedTuple):
    """In seconds; the options are described in options.py."""

    state: float = 300
    attach: float = 180
    io: float = 300
    idle: float = 5


class StoreContext(NamedTuple):
    """The collaborators of a store.

    :ivar store: the store's id.
    :ivar brick: a brick.Brick, or what stands for it.
    :ivar open_device: devices.open_device, or what stands for it.
    :ivar recover: leftovers.recover: called with a volume when a call that hung has ended.
    :ivar clock: has ``monotonic()`` and ``sleep(seconds)``; see backoff.
    """

    store: str
    cinder: cinder_client.Cinder
    brick: Any
    open_device: Callable[[str, Any, bool], devices.Device]
    journal: journal.AttachmentJournal
    recover: Callable[[Any, str], None]
    timeouts: Timeouts = Timeouts()
    clock: Any = time
