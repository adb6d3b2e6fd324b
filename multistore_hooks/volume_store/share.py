# SPDX-License-Identifier: Apache-2.0
"""Readers of one image share its attachment: those of a process, and the processes of a host."""

import threading
import time
from typing import Any
from typing import Dict
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import attachment as attachments
from multistore_hooks.volume_store import bounded
from multistore_hooks.volume_store import device as devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import records

LOG = logging.getLogger(__name__)


class OnHost:
    """The use that one process makes of a volume that is attached to the host for reading.

    The first process attaches it, the last one detaches it; in between all use the same attachment.

    :raises errors.VolumeStoreError: nothing is left then, or it was logged.
    """

    def __init__(self, tools: attachments.Tools, volume_id: str) -> None:
        self._tools = tools
        self._volume_id = volume_id
        self._lock: Optional[int] = None
        with tools.records.enter(volume_id, tools.timeouts.attach) as gate:
            alone = gate.use(alone=True)
            if alone is None:
                self._join(gate)
            else:
                self._attach(gate, alone)

    def _attach(self, gate: records.Gate, lock: int) -> None:
        """Attach the volume, as nobody on this host has it."""
        attachment = None
        try:
            note = gate.read()
            if note is not None:
                leftovers.undo_noted(self._tools, self._volume_id, note, gate)
            attachment = attachments.Attachment(self._tools, self._volume_id, {}, gate.write)
            attachment.make(attachments.READ)
            self.device: devices.Device = attachment.open(writable=False)
            records.share(lock)
        except BaseException:
            try:
                if attachment is not None:
                    attachment.undo()
                    gate.forget()
            except errors.Left as left:
                LOG.debug('%s', left)
            finally:
                records.release(lock)
            raise
        self._attachment, self._lock = attachment, lock

    def _join(self, gate: records.Gate) -> None:
        """Use the attachment that another process of this host has made."""
        lock = gate.use(alone=False)
        if lock is None:
            raise errors.CannotAttach(volume=self._volume_id, why='an upload is writing to it')
        try:
            note = gate.read()
            if not note or not note.get('connection'):
                raise errors.CannotAttach(volume=self._volume_id,
                                          why='the process that has attached it left no note of it')
            attachment = attachments.Attachment(self._tools, self._volume_id, note, gate.write)
            if attachment.info is None:  # in user space each process has its own
                attachment.info = attachment.connect()
            try:
                self.device = attachment.open(writable=False)
            except BaseException:
                attachment.disconnect_own()
                raise
        except BaseException:
            records.release(lock)
            raise
        self._attachment, self._lock = attachment, lock

    def leave(self) -> None:
        """Use it no longer. What cannot be undone is logged, and noted for the next process."""
        try:
            with self._tools.records.enter(self._volume_id, self._tools.timeouts.attach) as gate:
                try:
                    self._close()
                    if self._lock is not None and records.try_alone(self._lock):
                        # What was noted since then, by others of this host, counts too.
                        note = gate.read() or self._attachment.note
                        last = attachments.Attachment(self._tools, self._volume_id, note, gate.write)
                        last.info = self._attachment.info or last.info
                        last.undo()
                        gate.forget()
                    else:
                        self._attachment.disconnect_own()
                finally:
                    self._release()
        except errors.Left as error:
            LOG.debug('%s', error)  # logged as an error where it happened
        except errors.VolumeStoreError as error:
            LOG.error('Volume %(volume)s of the store %(store)s was not detached from this host: %(error)s',
                      {'volume': self._volume_id, 'store': self._tools.store, 'error': error})
        finally:
            if self._lock is not None:
                # The gate did not open. It stays noted, and as nobody uses it any more, it is tried again.
                try:
                    self._close()
                finally:
                    self._release()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            records.release(lock)

    def _close(self) -> None:
        tools, volume_id = self._tools, self._volume_id
        bounded.call(lambda: devices.close_quietly(self.device), tools.timeouts.attach,
                     'Closing volume ' + volume_id, 'attach_timeout',
                     ended=lambda: leftovers.recover(tools, volume_id))


class _Entry:
    """One volume in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.on_host: Optional[OnHost] = None
        self.readers = 0
        self.timer: Optional[threading.Timer] = None
        self.turn = 0  # of the timer: one that was too late to be stopped sees that it was
        self.dead = False


class Lease:
    """The right to read a volume, until it is closed."""

    def __init__(self, shared: 'Shared', volume_id: str, entry: _Entry) -> None:
        self._shared = shared
        self.volume_id = volume_id
        self._entry: Optional[_Entry] = entry
        assert entry.on_host is not None
        self.device: Any = entry.on_host.device

    def close(self) -> None:
        """Give it back; closing it twice is no error."""
        entry, self._entry, self.device = self._entry, None, None
        if entry is not None:
            self._shared.give_back(self.volume_id, entry)


class Shared:
    """The attachments for reading of one store in one process.

    An attachment without readers is kept for the idle timeout.
    """

    def __init__(self, tools: attachments.Tools) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._entries: Dict[str, _Entry] = {}

    def lease(self, volume_id: str) -> Lease:
        """Return the right to read a volume. The first one attaches it.

        :raises errors.VolumeStoreError: it cannot be attached.
        """
        timeouts = self._tools.timeouts
        seconds = timeouts.state + timeouts.attach
        deadline = time.monotonic() + seconds
        while True:
            with self._lock:
                entry = self._entries.setdefault(volume_id, _Entry())
            # Many who wait for a backend that hangs, one after the other, would wait for hours.
            if not entry.lock.acquire(timeout=max(0, deadline - time.monotonic())):
                raise errors.TimedOut(what='Another attachment of volume %s to this host' % volume_id,
                                      seconds=seconds, option='state_timeout and attach_timeout')
            try:
                if entry.dead:
                    continue
                if entry.on_host is None:
                    try:
                        entry.on_host = OnHost(self._tools, volume_id)
                    except BaseException:
                        self._bury(volume_id, entry)
                        raise
                self._stop_timer(entry)
                entry.readers += 1
                return Lease(self, volume_id, entry)
            finally:
                entry.lock.release()

    def give_back(self, volume_id: str, entry: _Entry) -> None:
        with entry.lock:
            entry.readers -= 1
            if entry.readers:
                return
            idle = self._tools.timeouts.idle
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
        """Detach a volume that nobody reads. Return False if somebody in this process does."""
        with self._lock:
            entry = self._entries.get(volume_id)
        if entry is None:
            return True
        if not entry.lock.acquire(timeout=self._tools.timeouts.attach):
            return False
        try:
            if entry.readers:
                return False
            if not entry.dead:
                self._leave(volume_id, entry)
            return True
        finally:
            entry.lock.release()

    def drop_all(self) -> None:
        """Detach all that nobody reads."""
        for volume_id in list(self._entries):
            self.drop(volume_id)

    def _expire(self, volume_id: str, entry: _Entry, turn: int) -> None:
        with entry.lock:
            # Another reader may have come and gone while this timer waited for the lock.
            if not entry.readers and not entry.dead and entry.turn == turn:
                self._leave(volume_id, entry)

    def _leave(self, volume_id: str, entry: _Entry) -> None:
        self._stop_timer(entry)
        on_host, entry.on_host = entry.on_host, None
        self._bury(volume_id, entry)
        if on_host is not None:
            try:
                on_host.leave()
            except Exception:  # in a timer's thread, or when the image was read well
                LOG.exception('Volume %s was not detached.', volume_id)

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
