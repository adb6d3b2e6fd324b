# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server on loopback, for stand-ins of services: it responds with JSON documents."""

import http.server
import json
import socket
import ssl
import struct
import threading
import typing

# Status, document (bytes are sent as they are), and headers.
Response = typing.Tuple[int, typing.Any, typing.Mapping[str, str]]


class Reset(Exception):
    """There shall be no response: the connection is reset."""


class Quiet(http.server.ThreadingHTTPServer):
    """Says nothing about clients that go away, as they do on purpose here."""

    daemon_threads = True

    def handle_error(self, request: typing.Any, client_address: typing.Any) -> None:
        """A client that went away, or that refuses the certificate, is no news."""


class JsonServer:
    """Listens from ``with JsonServer() as server`` on, in threads of this process.

    :param certificate: with ``key``, files: it speaks https
    :ivar url: its address, without a path
    """

    def __init__(self, certificate: str = '', key: str = '', port: int = 0) -> None:
        self._server = Quiet(('127.0.0.1', port), self._handler())
        scheme = 'http'
        if certificate:
            scheme, context = 'https', ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = '%s://127.0.0.1:%d' % (scheme, self._server.server_port)

    def respond(self, method: str, path: str, headers: typing.Any, body: bytes) -> Response:
        """Return the response to a request.

        :raises Reset: there is none
        """
        raise NotImplementedError

    def __enter__(self) -> typing.Any:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_unused: typing.Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> typing.Any:
        respond = self.respond

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            # The response is written in two pieces.
            disable_nagle_algorithm = True

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                try:
                    status, document, headers = respond(self.command, self.path, self.headers, body)
                except Reset:
                    self.close_connection = True
                    return reset(self.connection)
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for header in {'Content-Type': 'application/json', **headers,
                               'Content-Length': str(len(data))}.items():
                    self.send_header(*header)
                self.end_headers()
                if self.command != 'HEAD':
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_any

            def log_message(self, *_unused: typing.Any) -> None:
                pass

        return Handler


def reset(connection: socket.socket) -> None:
    """Close a connection by RST in place of FIN, which is what a linger time of zero makes of it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()
