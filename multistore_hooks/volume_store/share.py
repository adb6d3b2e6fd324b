# SPDX-License-Identifier: Apache-2.0
"""The readers of one process share the attachment of an image."""

import threading
from typing import Any
from typing import Dict
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import host_attachment
from multistore_hooks.volume_store import store_context

LOG = logging.getLogger(__name__)


class _Entry:
    """One volume in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.on_host: Optional[host_attachment.HostAttachment] = None
        self.readers = 0
        self.timer: Optional[threading.Timer] = None
        self.turn = 0  # of the timer: one that was too late to be stopped sees that it was
        self.dead = False


class Lease:
    """The right to read a volume, until it is closed."""

    def __init__(self, shared: 'Shared', volume_id: str, entry: _Entry, device: devices.Device) -> None:
        self._shared = shared
        self.volume_id = volume_id
        self._entry: Optional[_Entry] = entry
        self.device: Any = device

    def close(self) -> None:
        """Give it back; closing it twice is no error."""
        entry, self._entry, self.device = self._entry, None, None
        if entry is not None:
            self._shared.give_back(self.volume_id, entry)


class Shared:
    """The attachments for reading of one store in one process.

    An attachment without readers is kept for the idle timeout.
    """

    def __init__(self, context: store_context.StoreContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._entries: Dict[str, _Entry] = {}

    def lease(self, volume_id: str) -> Lease:
        """Return the right to read a volume. The first one attaches it.

        :raises errors.TimedOut: another thread is attaching it, for longer than state_timeout and
            attach_timeout together.
        :raises errors.VolumeStoreError: it cannot be attached.
        """
        timeouts = self._context.timeouts
        seconds = timeouts.state + timeouts.attach
        deadline = self._context.clock.monotonic() + seconds
        while True:
            with self._lock:
                entry = self._entries.setdefault(volume_id, _Entry())
            # Many readers, one after the other, of a backend that hangs would wait for hours.
            if not entry.lock.acquire(timeout=max(0, deadline - self._context.clock.monotonic())):
                raise errors.TimedOut(what='Another attachment of volume %s to this host' % volume_id,
                                      seconds=seconds, option='state_timeout and attach_timeout')
            try:
                if entry.dead:
                    continue
                if entry.on_host is None:
                    try:
                        entry.on_host = host_attachment.use(self._context, volume_id)
                    except BaseException:
                        self._bury(volume_id, entry)
                        raise
                self._stop_timer(entry)
                entry.readers += 1
                return Lease(self, volume_id, entry, entry.on_host.device)
            finally:
                entry.lock.release()

    def give_back(self, volume_id: str, entry: _Entry) -> None:
        """End a lease. After the last one of a volume it is detached at the end of the idle timeout."""
        with entry.lock:
            entry.readers -= 1
            if entry.readers:
                return
            idle = self._context.timeouts.idle
            if not idle:
                self._leave(volume_id, entry)
                return
            entry.timer = timer = threading.Timer(idle, self._expire, (volume_id, entry, entry.turn))
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:  # the interpreter is ending
                self._leave(volume_id, entry)

    def drop(self, volume_id: str) -> bool:
        """Detach a volume; return False, and leave it attached, if this process is reading it.

        It also waits, for at most attach_timeout, for a detachment that is under way on this host, in this
        process or in another one.
        """
        if not self._drop_own(volume_id):
            return False
        try:
            with self._context.journal.acquire(volume_id, self._context.timeouts.attach):
                return True
        except errors.VolumeStoreError as error:
            LOG.debug('It is not known whether another process is detaching volume %s: %s', volume_id, error)
            return True

    def drop_all(self) -> None:
        """Detach all that is not read."""
        for volume_id in list(self._entries):
            self._drop_own(volume_id)

    def _drop_own(self, volume_id: str) -> bool:
        with self._lock:
            entry = self._entries.get(volume_id)
        if entry is None:
            return True
        if not entry.lock.acquire(timeout=self._context.timeouts.attach):
            return False
        try:
            if entry.readers:
                return False
            if not entry.dead:
                self._leave(volume_id, entry)
            return True
        finally:
            entry.lock.release()

    def _expire(self, volume_id: str, entry: _Entry, turn: int) -> None:
        with entry.lock:
            # Another reader may have come and gone while this timer waited for the lock.
            if not entry.readers and not entry.dead and entry.turn == turn:
                self._leave(volume_id, entry)

    def _leave(self, volume_id: str, entry: _Entry) -> None:
        self._stop_timer(entry)
        on_host, entry.on_host = entry.on_host, None
        try:
            if on_host is not None:
                on_host.leave()
        except Exception:  # in a timer's thread, or after a download that succeeded
            LOG.exception('Volume %s was not detached.', volume_id)
        finally:
            self._bury(volume_id, entry)  # and not before: a deletion of the volume waits for the lock

    def _bury(self, volume_id: str, entry: _Entry) -> None:
        entry.dead = True
        with self._lock:
            if self._entries.get(volume_id) is entry:
                del self._entries[volume_id]

    @staticmethod
    def _stop_timer(entry: _Entry) -> None:
        entry.turn += 1
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
