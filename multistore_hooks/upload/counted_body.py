# SPDX-License-Identifier: Apache-2.0
"""The data of an upload, which every attempt sends from its beginning."""

import io
from typing import Any
from typing import Optional

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api


class CountedBody(api.Body):
    """What a service hands over as data, sent from where it began at each attempt, and counted.

    Stock Nova and Cinder send a file again from where the first attempt stopped, and report the
    empty or truncated image as a success.

    :param data: bytes, or a file object; one that cannot seek can be sent once.
    """

    def __init__(self, data: Any) -> None:
        if isinstance(data, str):
            data = data.encode('utf-8')
        self._data = data if hasattr(data, 'read') else io.BytesIO(data)
        self._start: Optional[int] = None
        self._why = ''
        #: Attempts so far.
        self.attempts = 0
        #: Bytes read since the last rewind: what the last attempt sent.
        self.sent = 0
        #: Bytes of all of it, once an attempt has come to its end. A later one may be refused before that,
        #: because an earlier one, whose response was lost, has arrived.
        self.whole: Optional[int] = None
        try:
            self._start = self._data.tell()
        except Exception as error:  # whatever a driver's file object raises: it shows only on a retry
            self._why = str(error) or type(error).__name__

    def rewind(self) -> None:
        """Begin an attempt: go back to where the data began.

        :raises CannotSendAgain: some was read, and the data cannot go back.
        """
        if self.sent:
            self._go_back()
        self.attempts += 1

    def obstacle(self) -> Optional[str]:
        """Return why the data cannot be sent once more, or None."""
        try:
            if self.sent:
                self._go_back()
        except exceptions.CannotSendAgain as error:
            return 'its data cannot be read a second time (%s)' % error.kwargs['why']
        return None

    def _go_back(self) -> None:
        if self._start is None:
            raise exceptions.CannotSendAgain(sent=self.sent, why=self._why)
        try:
            self._data.seek(self._start)
        except Exception as error:
            raise exceptions.CannotSendAgain(sent=self.sent, why=error) from error
        self.sent = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most so many, and count them; a negative size: all that is left."""
        piece: bytes = self._data.read(size)
        self.sent += len(piece)
        if size < 0 or (size and not piece):
            self.whole = self.sent
        return piece
