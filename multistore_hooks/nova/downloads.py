# SPDX-License-Identifier: Apache-2.0
"""Files on this compute into which images are downloaded for its site; none of them stays."""

import contextlib
import os
from typing import Any
from typing import Iterator
from typing import Set

from nova import conf

from multistore_hooks.ceph import site_image_record

CONF = conf.CONF

#: The folder for downloads, under ``instances_path``.
FOLDER = 'multistore_hooks'

_downloading: Set[str] = set()


@contextlib.contextmanager
def download(name: str) -> Iterator[str]:
    """Yield a path for a download, and remove what is there at the end; and what a process that died left."""
    folder = os.path.join(CONF.instances_path, FOLDER, CONF.host)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    _downloading.add(name)
    try:
        _clear(folder, lambda entry: not entry.startswith(tuple(_downloading)))
        yield path
    finally:
        _downloading.discard(name)
        _clear(folder, lambda entry: entry.startswith(name))


def _clear(folder: str, goes: Any) -> None:
    for entry in os.listdir(folder):
        if entry.startswith(site_image_record.PREFIX) and goes(entry):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, entry))
