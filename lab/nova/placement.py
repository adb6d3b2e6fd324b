# SPDX-License-Identifier: Apache-2.0
"""As much of Placement as a compute manager asks for when it is made: the version document."""

import http.server
import json
import threading
import typing

VERSIONS = {'versions': [{'id': 'v1.0', 'status': 'CURRENT', 'min_version': '1.0',
                          'max_version': '1.39', 'links': [{'rel': 'self', 'href': ''}]}]}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the version document."""

    def do_GET(self) -> None:           # noqa: N802  http.server's name
        body = json.dumps(VERSIONS).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: typing.Any) -> None:
        """Say nothing."""


def start() -> str:
    """Serve on a free port of loopback until the process ends; return the URL."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return 'http://127.0.0.1:%d' % server.server_address[1]
