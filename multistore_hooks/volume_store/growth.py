# SPDX-License-Identifier: Apache-2.0
"""Extend a volume whose image of unknown size has outgrown it."""

from typing import List

from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import new_volume
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import store_context
from multistore_hooks.volume_store import writable_volume

LOG = logging.getLogger(__name__)

#: Seconds in which a host has to see that an attached volume was extended.
SHOWN_SECONDS = 15
_REFUSALS = (cinder_client.OverQuota, cinder_client.Refused, errors.WrongState)


def sizes(gib: int, needed: int) -> List[int]:
    """Return the sizes in GiB to try, the best first: twice as large, or as large as it must be."""
    return sorted({max(images.grown(gib), needed), needed}, reverse=True)


class Growth:
    """The growth of one volume.

    :param device: the same volume on this host.
    :param extend_attached: one of the values of the option.
    """

    def __init__(self, context: store_context.StoreContext, volume: new_volume.NewVolume,
                 device: writable_volume.WritableVolume, extend_attached: str) -> None:
        self._context = context
        self._volume = volume
        self._device = device
        self._extend_attached = extend_attached
        self._detached = False

    def grow(self, needed: int) -> None:
        """Extend the volume to at least so many GiB. Nothing may be written meanwhile.

        :raises errors.VolumeStoreError: it is not extended.
        """
        for gib in sizes(self._volume.gib, needed):
            try:
                self._extend(gib)
                return
            except _REFUSALS as error:
                if gib == needed or (isinstance(error, errors.WrongState)
                                     and error.kwargs['status'] not in ('in-use', 'available')):
                    raise
                LOG.info('Volume %(volume)s cannot be extended to %(gib)d GiB (%(error)s); trying '
                         '%(needed)d GiB.',
                         {'volume': self._volume.id, 'gib': gib, 'needed': needed, 'error': error})

    def _extend(self, gib: int) -> None:
        if self._stays_attached() and self._extend_attached_volume(gib):
            return
        if not self._detached:
            self._device.flush()
            self._device.detach()
            self._detached = True
        if self._volume.gib < gib:
            self._context.cinder.extend(self._volume.id, gib)
            self._volume.wait('available', 'extending', gib)
        self._device.attach()
        self._detached = False

    def _stays_attached(self) -> bool:
        if self._detached or self._device.on_share:
            # os-brick extends no file, and Cinder's NFS driver fails after it has accepted the request.
            return False
        return self._extend_attached == options.ALWAYS or (
            self._extend_attached == options.AUTO and self._device.in_user_space)

    def _extend_attached_volume(self, gib: int) -> bool:
        """Extend the volume while it is attached; return False if it has to be detached for that."""
        try:
            self._context.cinder.extend(self._volume.id, gib)
        except (cinder_client.Refused, cinder_client.Denied, cinder_client.NotFound) as error:
            LOG.info('Volume %(volume)s cannot be extended while it is attached (%(error)s); detaching it.',
                     {'volume': self._volume.id, 'error': error})
            self._extend_attached = options.NEVER
            return False
        self._volume.wait('in-use', 'extending', gib)
        try:
            self._device.show_new_size()
            self._device.wait_for_size(gib, SHOWN_SECONDS)
        except (errors.VolumeStoreError, NotImplementedError) as error:
            if self._device.hangs:
                raise
            LOG.info('Volume %(volume)s was extended to %(gib)d GiB, but this host does not see it '
                     '(%(error)s); attaching it again.',
                     {'volume': self._volume.id, 'gib': gib, 'error': str(error) or type(error).__name__})
            self._extend_attached = options.NEVER
            return False
        return True
