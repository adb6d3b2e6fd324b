# SPDX-License-Identifier: Apache-2.0
"""Store one image on a new volume; whatever fails, nothing of it stays."""

import hashlib
from typing import Any
from typing import NamedTuple
from typing import Optional

from oslo_log import log as logging

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import growth
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import new_volume
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import writable_volume
from multistore_hooks.volume_store import writing

LOG = logging.getLogger(__name__)

#: Seconds that a failed upload waits for writes in progress before it leaves them behind.
_STOP_SECONDS = 5


class UploadOptions(NamedTuple):
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
    :ivar size: in bytes; 0: unknown.
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

    def __init__(self, context: store_context.StoreContext, upload_options: UploadOptions,
                 source: Source) -> None:
        self._context = context
        self._options = upload_options
        self._source = source
        # What there is to be undone.
        self._volume: Optional[new_volume.NewVolume] = None
        self._device: Optional[writable_volume.WritableVolume] = None
        self._pipeline: Optional[writing.Pipeline] = None
        self._why = 'the upload failed'

    def run(self) -> Stored:
        """Store the image.

        :raises Exception: what failed; what could not be undone was logged as an error.
        """
        try:
            return self._store()
        except BaseException as error:
            self._why = 'the upload of image %s failed: %s' % (
                self._source.image_id, str(error) or type(error).__name__)
            self._clean_up()
            raise

    def _store(self) -> Stored:
        context, source = self._context, self._source
        hashes = [_md5(), hashlib.new(source.algorithm)]
        volume = self._volume = new_volume.create(context, source.image_id, source.owner, source.size,
                                                  self._options.volume_type)
        volume.take()
        device = self._device = writable_volume.WritableVolume(
            context, volume, self._options.zeroed_volumes, self._undo)
        device.attach()
        consumers = [one.update for one in hashes]
        if source.verifier is not None:
            consumers.append(source.verifier.update)
        pipeline = self._pipeline = writing.Pipeline(device.write, consumers, context.timeouts.io,
                                                     'volume ' + volume.id)
        size = self._write(pipeline, volume, growth.Growth(context, volume, device,
                                                           self._options.extend_attached))
        pipeline.stop(_STOP_SECONDS)
        device.finish(size)
        if self._options.verify:
            self._verify(device, volume.id, size, hashes[1].hexdigest())
        device.detach()
        if source.size == 0:
            context.cinder.add_metadata(volume.id, {'image_size': str(size)})
        context.cinder.set_read_only(volume.id)
        volume.forget()
        return Stored(volume.id, size, hashes[0].hexdigest(), hashes[1].hexdigest())

    def _write(self, pipeline: writing.Pipeline, volume: new_volume.NewVolume,
               volume_growth: growth.Growth) -> int:
        """Write the data and return how many bytes they are."""
        source, done = self._source, 0
        for data in writing.chunks(source.data):
            end = done + len(data)
            if source.size and end > source.size:
                raise errors.WrongSize(image=source.image_id, expected=source.size, actual='more')
            if end > volume.gib * images.GIB:
                pipeline.drain()
                volume_growth.grow(images.gib_for(end))
            pipeline.put(done, data)
            done = end
        pipeline.drain()
        if source.size and done != source.size:
            raise errors.WrongSize(image=source.image_id, expected=source.size, actual=done)
        return done

    def _verify(self, device: writable_volume.WritableVolume, volume_id: str, size: int,
                expected: str) -> None:
        """Read everything back and compare its hash."""
        found = hashlib.new(self._source.algorithm)
        for offset in range(0, size, writing.CHUNK):
            found.update(device.read(offset, min(writing.CHUNK, size - offset)))
        if found.hexdigest() != expected:
            raise errors.DeviceError(what='Verifying', volume=volume_id, offset=0, errno=None,
                                     why='what is read back is not what was written')

    def _clean_up(self) -> None:
        """Undo everything; a device that hangs is detached when it responds."""
        pipeline = self._pipeline
        writing_on = pipeline is not None and not pipeline.stop(_STOP_SECONDS)
        hangs = self._device is not None and self._device.hangs
        if self._volume is not None and (writing_on or hangs):
            LOG.error('Volume %(volume)s of the store %(store)s stays attached to this host, attachment '
                      '%(attachment)s: its device hangs. It is deleted when the device responds.',
                      {'volume': self._volume.id, 'store': self._context.store,
                       'attachment': self._volume.record.get('attachment')})
        if pipeline is not None and writing_on:
            pipeline.when_ended(self._undo)
        elif not hangs:
            self._undo()

    def _undo(self) -> None:
        volume = self._volume
        if volume is None:
            return
        try:
            if self._device is not None:
                self._device.abandon()
            volume.delete(self._why)
        except errors.CleanupFailed as failed:
            LOG.debug('%s', failed)  # logged as an error where it happened, and recorded
        except Exception:  # the error that led here is the one to raise
            LOG.exception('Volume %(volume)s of the store %(store)s is left, and is no image.',
                          {'volume': volume.id, 'store': self._context.store})
        finally:
            volume.release()


def _md5() -> Any:
    """Return an md5 that is not for security: so declared, a Python in FIPS mode has it too."""
    try:
        return hashlib.new('md5', usedforsecurity=False)
    except TypeError:  # before Python 3.9
        return hashlib.new('md5')
