# SPDX-License-Identifier: Apache-2.0
"""The body of a request, with a count of what Glance has read of it."""

from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import Optional


class CountedInput:
    """Stands in for ``wsgi.input``: has the methods that it has, and counts the bytes that they return.

    A server's input need not be read by ``read``: it may be iterated, or read by line. Looking a method up
    reads nothing: Glance does that to find out what it can call.

    :param environ: of the request.
    """

    def __init__(self, environ: Dict[str, Any]) -> None:
        self._input = environ['wsgi.input']
        self._announced = _announced(environ)
        # Behind uWSGI Glance reads a chunked body by a function of uWSGI's own, past wsgi.input.
        self._hidden = ('uwsgi.version' in environ
                        and environ.get('HTTP_TRANSFER_ENCODING', '').lower() == 'chunked')
        #: Bytes read so far.
        self.sent = 0
        #: The client closed the connection, or sent less than it had announced.
        self.broken = False

    def obstacle(self) -> Optional[str]:
        """Return why the body cannot be sent to another store, or None."""
        if self._hidden:
            return 'it is a chunked body behind uWSGI, which does not show what was read'
        if self.sent:
            return '%d bytes of it were read' % self.sent
        return None

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._input, name)
        if not name.startswith('read'):
            return value
        # Kept, as an image is read in thousands of pieces.
        self.__dict__[name] = self._counting(value)
        return self.__dict__[name]

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._input:
            self.sent += len(piece)
            yield piece

    def _counting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any) -> Any:
            try:
                result = method(*args)
            except Exception:
                self.broken = True
                raise
            # readinto returns a number, readlines a list.
            self.sent += result if isinstance(result, int) else len(
                b''.join(result) if isinstance(result, list) else result)
            if not result and args not in ((0,), ()) and self._announced is not None:
                self.broken = self.sent < self._announced
            return result
        return read


def _announced(environ: Dict[str, Any]) -> Optional[int]:
    try:
        return int(environ.get('CONTENT_LENGTH') or '')
    except ValueError:
        return None
