# SPDX-License-Identifier: Apache-2.0
"""Store one image on a new volume; whatever fails, nothing of it stays."""

import functools
import hashlib
import time
from typing import Any
from typing import Callable
from typing import List
from typing import NamedTuple
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import attachment as attachments
from multistore_hooks.volume_store import bounded
from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import creation
from multistore_hooks.volume_store import device as devices
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import records
from multistore_hooks.volume_store import target as targets
from multistore_hooks.volume_store import writing

LOG = logging.getLogger(__name__)

#: Seconds that an upload which failed waits for writes under way before it leaves them behind.
_STOP_SECONDS = 5
_ONLINE = ('rbd', 'iscsi', 'iser', 'fibre_channel', 'nvmeof', 'nvme')


class Wishes(NamedTuple):
    """The options that only an upload needs; see options.py."""

    volume_type: Optional[str] = None
    zeroed_volumes: str = options.AUTO
    extend_attached: str = options.AUTO
    verify: bool = False


class Stored(NamedTuple):
    """An image that is on its volume."""

    volume_id: str
    size: int
    md5: str
    multihash: str


class Source(NamedTuple):
    """What is to be stored.

    :ivar data: has read(SIZE).
    :ivar size: in bytes; 0: not known.
    :ivar verifier: has update(DATA), or None.
    """

    image_id: str
    owner: Optional[str]
    data: Any
    size: int
    algorithm: str
    verifier: Any = None


class Upload:
    """One upload; use it once."""

    def __init__(self, tools: attachments.Tools, wishes: Wishes, source: Source) -> None:
        self._tools = tools
        self._wishes = wishes
        self._source = source
        self._volume: Optional[images.Volume] = None
        self._creation: Optional[creation.Creation] = None
        self._lock: Optional[int] = None
        self._note: records.Note = {}
        self._attachment: Optional[attachments.Attachment] = None
        self._target: Optional[targets.Target] = None
        self._pipeline: Optional[writing.Pipeline] = None
        self._gib = images.gib_for(source.size)
        self._why = 'the upload failed'
        self._hangs = False

    def run(self) -> Stored:
        """Store the image.

        :raises Exception: what failed; what could not be undone was logged as an error.
        """
        try:
            stored = self._store()
        except BaseException as error:
            self._why = 'the upload of image %s failed: %s' % (
                self._source.image_id, str(error) or type(error).__name__)
            self._clean_up()
            raise
        self._forget()
        return stored

    def _store(self) -> Stored:
        source, tools = self._source, self._tools
        hashes = [_md5(), hashlib.new(source.algorithm)]
        volume = self._create()
        self._attach()
        size = self._write([one.update for one in hashes])
        self._end_writing(size)
        if self._wishes.verify:
            self._verify(size, hashes[1].hexdigest())
        self._detach()
        if source.size == 0:
            tools.cinder.add_metadata(volume.id, {'image_size': str(size)})
        tools.cinder.set_read_only(volume.id)
        return Stored(volume.id, size, hashes[0].hexdigest(), hashes[1].hexdigest())

    # -- the volume

    def _create(self) -> images.Volume:
        source, tools = self._source, self._tools
        self._creation = creation.Creation(tools, source.image_id)
        self._volume = self._creation.ask(
            self._gib, images.metadata(source.image_id, source.owner, source.size), self._wishes.volume_type)
        self._take_note()
        self._creation.forget()
        self._volume = attachments.wait(tools.cinder, self._volume.id, 'available', 'creating',
                                        tools.timeouts.state)
        if self._volume.encrypted:
            raise errors.NotUsable(volume=self._volume.id, why='its volume type is encrypted')
        self._gib = self._volume.gib
        return self._volume

    def _take_note(self) -> None:
        """Note the volume before anything is done with it, for who comes after a crash."""
        assert self._volume is not None
        with self._tools.records.enter(self._volume.id, self._tools.timeouts.attach) as gate:
            self._lock = gate.use(alone=True)
            self._save({'upload': self._source.image_id})

    def _save(self, note: records.Note) -> None:
        assert self._volume is not None
        self._note = note
        self._tools.records.write(self._volume.id, note)

    # -- on this host

    def _attach(self) -> None:
        assert self._volume is not None
        self._attachment = attachments.Attachment(self._tools, self._volume.id, self._note, self._save)
        self._attachment.make(attachments.WRITE)
        device = self._attachment.open(writable=True)
        if self._target is None:
            self._target = targets.Target(device, self._wishes.zeroed_volumes)
        else:
            self._target.device = device
        self._await_size(self._gib)

    def _detach(self) -> None:
        assert self._target is not None and self._attachment is not None and self._volume is not None
        self._bounded(self._target.device.close, 'Closing')
        self._attachment.undo()
        self._attachment = None
        self._volume = attachments.wait(
            self._tools.cinder, self._volume.id, 'available', 'in-use detaching reserved attaching',
            self._tools.timeouts.state)

    def _await_size(self, gib: int) -> None:
        """Wait until the device has the size of the volume; some take a while to show it."""
        assert self._target is not None and self._volume is not None
        deadline = time.monotonic() + self._tools.timeouts.attach
        while True:
            size = self._bounded(self._target.device.size, 'Measuring')
            if size >= gib * images.GIB:
                return
            if time.monotonic() >= deadline:
                raise errors.CannotAttach(volume=self._volume.id, why='its device has %d bytes, and Cinder '
                                          'says %d GiB' % (size, gib))
            time.sleep(0.2)

    # -- the data

    def _write(self, consumers: List[Callable[[bytes], Any]]) -> int:
        """Write the data and return how many bytes they are."""
        source, target = self._source, self._target
        assert target is not None and self._volume is not None
        if source.verifier is not None:
            consumers = consumers + [source.verifier.update]
        pipeline = self._pipeline = writing.Pipeline(target.write, consumers, self._tools.timeouts.io,
                                                     'volume ' + self._volume.id)
        done = 0
        for data in writing.chunks(source.data):
            end = done + len(data)
            if source.size and end > source.size:
                raise errors.WrongSize(image=source.image_id, expected=source.size, actual='more')
            if end > self._gib * images.GIB:
                pipeline.drain()
                self._grow(images.gib_for(end))
            pipeline.put(done, data)
            done = end
        pipeline.drain()
        if source.size and done != source.size:
            raise errors.WrongSize(image=source.image_id, expected=source.size, actual=done)
        return done

    def _end_writing(self, size: int) -> None:
        assert self._pipeline is not None and self._target is not None
        self._pipeline.stop(_STOP_SECONDS)
        for step in self._target.rest(size):
            self._bounded(step, 'Zeroing the rest of')
        self._bounded(self._target.device.flush, 'Flushing')

    def _verify(self, size: int, expected: str) -> None:
        """Read everything back and compare its hash."""
        assert self._target is not None and self._volume is not None
        found, device = hashlib.new(self._source.algorithm), self._target.device
        for offset in range(0, size, writing.CHUNK):
            length = min(writing.CHUNK, size - offset)
            found.update(self._bounded(functools.partial(device.read, offset, length), 'Reading back'))
        if found.hexdigest() != expected:
            raise errors.DeviceError(what='Verifying', volume=self._volume.id, offset=0, errno=None,
                                     why='what is read back is not what was written')

    # -- growing

    def _grow(self, needed: int) -> None:
        """Make the volume larger: twice as large, or as large as it must be if that is refused."""
        for gib in sorted({max(images.grown(self._gib), needed), needed}, reverse=True):
            LOG.debug('Image %s has outgrown %d GiB: extending its volume to %d GiB.',
                      self._source.image_id, self._gib, gib)
            try:
                self._extend(gib)
                return
            except (cinder_client.OverQuota, cinder_client.Refused, errors.WrongState) as error:
                if gib == needed or (isinstance(error, errors.WrongState)
                                     and error.kwargs['status'] not in ('in-use', 'available')):
                    raise
                LOG.info('Image %(image)s: no %(gib)d GiB to be had, trying %(needed)d: %(error)s',
                         {'image': self._source.image_id, 'gib': gib, 'needed': needed, 'error': error})

    def _extend(self, gib: int) -> None:
        assert self._volume is not None and self._target is not None
        cinder, seconds = self._tools.cinder, self._tools.timeouts.state
        online = self._attachment is not None and self._grows_online(self._attachment)
        if self._attachment is not None and not online:
            self._bounded(self._target.device.flush, 'Flushing')
            self._detach()
        cinder.extend(self._volume.id, gib)
        attachments.wait(cinder, self._volume.id, 'in-use' if online else 'available', 'extending',
                         seconds, gib)
        self._gib = gib
        if not online:
            self._attach()
            return
        assert self._attachment is not None
        if isinstance((self._attachment.info or {})['path'], str):  # librbd sees the new size by itself
            try:
                self._attachment.extend()
            except NotImplementedError:
                LOG.debug('os-brick needs not be told that volume %s has grown.', self._volume.id)
        self._await_size(gib)

    def _grows_online(self, attachment: attachments.Attachment) -> bool:
        wish = self._wishes.extend_attached
        protocol = str(attachment.connection.get('driver_volume_type')).lower()
        return wish == options.ALWAYS or (wish == options.AUTO and protocol in _ONLINE)

    # -- the end

    def _clean_up(self) -> None:
        """Undo everything; a device that hangs is let go when it answers."""
        writing_on = self._pipeline is not None and not self._pipeline.stop(_STOP_SECONDS)
        if writing_on or self._hangs:
            assert self._volume is not None
            LOG.error('Volume %(volume)s of the store %(store)s stays attached to this host, attachment '
                      '%(attachment)s: its device hangs. It is deleted when the device answers.',
                      {'volume': self._volume.id, 'store': self._tools.store,
                       'attachment': self._note.get('attachment')})
        if writing_on:
            assert self._pipeline is not None
            self._pipeline.when_ended(self._undo)
        elif not self._hangs:
            self._undo()

    def _undo(self) -> None:
        if self._volume is None:
            return
        try:
            if self._target is not None:
                device, tools, volume_id = self._target.device, self._tools, self._volume.id
                bounded.call(lambda: devices.close_quietly(device), tools.timeouts.io,
                             'Closing volume ' + volume_id, 'io_timeout',
                             ended=lambda: leftovers.recover(tools, volume_id))
            if self._attachment is not None:
                self._attachment.undo()
            leftovers.remove(self._tools, self._volume.id, self._why)
            assert self._creation is not None
            self._creation.forget()
            self._forget()
        except errors.Left as left:
            LOG.debug('%s', left)  # logged as an error where it happened, and noted
        except Exception:  # the error that led here is the one to raise
            LOG.exception('Volume %(volume)s of the store %(store)s is left, and is no image.',
                          {'volume': self._volume.id, 'store': self._tools.store})
        finally:
            self._release()

    def _forget(self) -> None:
        """The volume is an image now, or gone: nobody need clean up after this upload."""
        assert self._volume is not None
        try:
            with self._tools.records.enter(self._volume.id, self._tools.timeouts.attach) as gate:
                gate.forget()
                self._release()
        except Exception as error:  # the image is stored, or the error is another one
            LOG.warning('The note of volume %(volume)s in attachment_dir was not removed: %(error)s',
                        {'volume': self._volume.id, 'error': error})
        finally:
            self._release()  # or nobody on this host could read the image

    def _release(self) -> None:
        if self._creation is not None:
            self._creation.release()
        lock, self._lock = self._lock, None
        if lock is not None:
            records.release(lock)

    def _bounded(self, function: Callable[[], Any], what: str) -> Any:
        """Use the device; if that hangs, everything is undone when it has ended, and not before."""
        assert self._volume is not None
        try:
            return bounded.call(function, self._tools.timeouts.io, '%s volume %s' % (
                what, self._volume.id), 'io_timeout', ended=self._undo)
        except errors.TimedOut:
            self._hangs = True
            raise


def _md5() -> Any:
    """Return an md5, of which nobody expects security: a Python that is told so has it in FIPS mode too."""
    try:
        return hashlib.new('md5', usedforsecurity=False)
    except TypeError:  # before Python 3.9
        return hashlib.new('md5')
