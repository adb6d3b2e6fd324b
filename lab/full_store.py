# SPDX-License-Identifier: Apache-2.0
"""A glance_store driver: the file system store on a disk with little room.

A file system cannot be made small without root. So this subclass lets the reading of the image
fail with ENOSPC once the room is used up, inside the file system driver's own ``add``: what
happens then (the partial file removed, StorageFull raised, Glance responding with 413) is the
driver's and Glance's own doing. The lab's Glance finds it as it finds any other driver, by an
entry point of a distribution that the lab writes into its own configuration folder.
"""

import errno
import os

from glance_store._drivers import filesystem
from oslo_config import cfg

# glance_store looks for it beside the driver.
StoreLocation = filesystem.StoreLocation
OPTIONS = [cfg.IntOpt('lab_room', default=0, help='Bytes that fit into the store.')]


class _Room:
    """An image being read, that hits the end of the disk."""

    def __init__(self, image, room):
        self._image = image
        self._room = room

    def read(self, size=-1):
        data = self._image.read(size)
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return data

    def __iter__(self):
        while True:
            data = self.read(64 * 1024)
            if not data:
                return
            yield data


class Store(filesystem.Store):
    """The driver `lab_full`: option ``lab_room`` in addition to the file system driver's own."""

    OPTIONS = filesystem.Store.OPTIONS + OPTIONS

    def get_schemes(self):
        # Glance looks a store up by the name of its driver as if that were a scheme.
        return ('lab_full',) + tuple(super().get_schemes())

    def add(self, image_id, image_file, image_size, *args, **kwargs):
        used = sum(entry.stat().st_size for entry in os.scandir(
            self.store_conf.filesystem_store_datadir) if entry.is_file())
        room = _Room(image_file, self.store_conf.lab_room - used)
        return super().add(image_id, room, image_size, *args, **kwargs)
