# SPDX-License-Identifier: Apache-2.0
"""An image's file in a file store that is read only as far as a test lets it.

    held = HeldFile(os.path.join(glance.dir('central'), image))
    held.serve()            # the next reader gets all of it
    held.serve_half()       # the one after that waits in the middle
    held.finish()           # now it gets the other half, and it is a plain file again

So a copy is stopped in its staging at any load of the machine, where a plain file is staged in no time.
"""

import os
import shutil
import typing

from lab import poll


class HeldFile:
    """A pipe in the file's place, until it is released."""

    def __init__(self, path: str) -> None:
        self._path, self._data = path, path + '.held'
        self._pipe: typing.Optional[typing.BinaryIO] = None
        os.rename(path, self._data)
        os.mkfifo(path)

    @property
    def held(self) -> bool:
        """Whether it is not a plain file yet."""
        return os.path.exists(self._data)

    def serve(self) -> None:
        """Wait for a reader, and let it have all of the file."""
        with self._open() as pipe, open(self._data, 'rb') as data:
            shutil.copyfileobj(data, pipe)

    def serve_half(self) -> None:
        """Wait for a reader, and let it have half of the file; it waits for the rest."""
        self._pipe = self._open()
        with open(self._data, 'rb') as data:
            self._pipe.write(data.read(os.path.getsize(self._data) // 2))

    def finish(self) -> None:
        """Put the file back first, then let the reader that waits in the middle have the rest of it."""
        assert self._pipe is not None, 'nobody has been served half of it'
        with open(self._data, 'rb') as data:
            os.replace(self._data, self._path)
            data.seek(os.path.getsize(self._path) // 2)
            shutil.copyfileobj(data, self._pipe)
        self._pipe.close()
        self._pipe = None

    def release(self) -> None:
        """Put the file back; a reader that waits gets no more."""
        os.replace(self._data, self._path)
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _open(self) -> typing.BinaryIO:
        # Without a reader this fails, instead of waiting without a limit.
        number = poll.until('reader of ' + self._path,
                            lambda: os.open(self._path, os.O_WRONLY | os.O_NONBLOCK) or None)
        os.set_blocking(number, True)
        return os.fdopen(number, 'wb', buffering=0)
