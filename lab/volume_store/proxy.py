# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of Cinder's API: records every request, and lets those fail that are named.

    with Proxy('http://127.0.0.1:8776') as proxy:
        proxy.fault('POST', '/attachments$', action='status', status=503)
        proxy.fault('DELETE', '/attachments/', at='after', action='reset')
        proxy.notes, proxy.clear()

It listens on loopback, in threads of the process that made it.
"""
import collections
import http.client
import http.server
import re
import socket
import struct
import threading
import typing
import urllib.parse

from lab import faults
from lab import http_server
from lab import poll

HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length'}
TIMEOUT = poll.SECONDS


class Note(typing.NamedTuple):
    """A request that came by: what it was, the status from Cinder (0: not sent on), which fault it met."""

    method: str
    path: str
    status: int
    fault: typing.Optional[str]


class Proxy:
    """Use it as a context manager.

    :param target: the address of Cinder, without a path
    :ivar url: the address of the proxy
    :ivar notes: the requests since the last :meth:`clear`, in the order of their ends
    """

    def __init__(self, target: str) -> None:
        self._target = urllib.parse.urlsplit(target)
        self._rules = faults._Lab()
        self.notes: typing.Deque[Note] = collections.deque(maxlen=20000)
        self._server = http_server.Quiet(('127.0.0.1', 0), self._handler())
        self.url = 'http://127.0.0.1:%d' % self._server.server_port

    def __enter__(self) -> 'Proxy':
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_unused: typing.Any) -> None:
        self.clear()
        self._server.shutdown()
        self._server.server_close()

    def fault(self, method: typing.Optional[str] = None, path: str = '', **rule: typing.Any) -> None:
        """Let requests fail, as lab.faults says; ``at`` is 'before' or 'after'."""
        self._rules.add(dict(rule, method=method, path=path))

    def clear(self) -> None:
        """Let no request fail any more, let those go that hang, and forget the records."""
        self._rules.clear()
        self.notes.clear()

    def count(self, method: str, path: str) -> int:
        """Return how many requests Cinder was sent, of a method and a path that a pattern is found in."""
        return sum(1 for note in list(self.notes)
                   if note.method == method and note.status and re.search(path, note.path))

    def _handler(self) -> typing.Any:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            # The response is written in two pieces.
            disable_nagle_algorithm = True

            def do_any(self) -> None:
                length = int(self.headers.get('Content-Length') or 0)
                proxy._pass(self, self.rfile.read(length) if length else b'')

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_any

            def log_message(self, *_unused: typing.Any) -> None:
                pass

        return Handler

    def _pass(self, handler: typing.Any, body: bytes) -> None:
        method, path = handler.command, handler.path
        rule = self._rules.rule_for('outer', method, path.partition('?')[0])
        response = None
        if rule is None or rule['at'] == 'after':
            response = self._ask(handler, body)
        self.notes.append(Note(method, path, response.status if response else 0, rule and rule['action']))
        if rule is None:
            _respond(handler, response.status, response.headers, response.body)
        elif rule['action'] == 'status':
            headers = list(rule['headers'].items())
            _respond(handler, rule['status'], headers, b'{"lab": "injected by the lab"}')
        else:
            if rule['action'] == 'hang':
                self._rules.released.wait(rule['seconds'])
            _reset(handler)

    def _ask(self, handler: typing.Any, body: bytes) -> '_Response':
        connection = http.client.HTTPConnection(self._target.hostname, self._target.port, timeout=TIMEOUT)
        try:
            # The Host stays, so that links in responses lead through here too.
            headers = {name: value for name, value in handler.headers.items()
                       if name.lower() not in HOP}
            if body:
                headers['Content-Length'] = str(len(body))
            connection.request(handler.command, handler.path, body=body or None, headers=headers)
            response = connection.getresponse()
            return _Response(response.status, response.getheaders(), response.read())
        except (OSError, http.client.HTTPException) as error:
            return _Response(502, [], str(error).encode())
        finally:
            connection.close()


class _Response(typing.NamedTuple):
    status: int
    headers: typing.List[typing.Tuple[str, str]]
    body: bytes


def _respond(handler: typing.Any, status: int, headers: typing.Iterable[typing.Tuple[str, str]],
             body: bytes) -> None:
    handler.send_response_only(status)
    for name, value in headers:
        if name.lower() not in HOP:
            handler.send_header(name, value)
    handler.send_header('Content-Length', str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _reset(handler: typing.Any) -> None:
    handler.close_connection = True
    # Closing with a linger time of zero is what sends RST in place of FIN.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    handler.connection.close()
