# SPDX-License-Identifier: Apache-2.0
"""A stand-in for keystone: who knows a user's name gets that user's token, and a catalog.

For what a service does with credentials of its own: Glance's Cinder store, and Cinder's
``[glance]`` section. The token is of the form that the labs of Cinder and Glance understand.
"""
import http.server
import json
import threading
import typing

ROLES = 'admin,member,reader,service'


class Keystone:
    """Listens on loopback from ``with Keystone(project) as keystone`` on.

    :param project: the project of every token
    :ivar url: for ``auth_url``
    :ivar catalog: {service type: URL}; may be set later
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self.catalog: typing.Dict[str, str] = {}
        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), self._handler())
        self.url = 'http://127.0.0.1:%d/v3' % self._server.server_port

    def __enter__(self) -> 'Keystone':
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused: typing.Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, name: str) -> typing.Tuple[str, typing.Dict[str, typing.Any]]:
        """Return a user's token and what keystone says about it."""
        endpoints = [{'type': kind, 'name': kind, 'id': kind, 'endpoints': [
            {'interface': face, 'region': 'lab', 'region_id': 'lab', 'url': url, 'id': face}
            for face in ('public', 'internal', 'admin')]} for kind, url in self.catalog.items()]
        return '%s:%s:%s' % (name, self._project, ROLES), {'token': {
            'methods': ['password'], 'expires_at': '2099-01-01T00:00:00.000000Z',
            'issued_at': '2026-01-01T00:00:00.000000Z',
            'user': {'id': name, 'name': name, 'domain': {'id': 'default', 'name': 'Default'}},
            'project': {'id': self._project, 'name': self._project,
                        'domain': {'id': 'default', 'name': 'Default'}},
            'roles': [{'id': role, 'name': role} for role in ROLES.split(',')],
            'catalog': endpoints}}

    def _handler(self) -> typing.Any:
        keystone = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, {'version': {
                    'id': 'v3.14', 'status': 'stable', 'media-types': [],
                    'links': [{'rel': 'self', 'href': keystone.url}]}})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                user = body['auth']['identity']['password']['user']
                token, answer = keystone.token(user.get('name') or user['id'])
                self._answer(201, answer, {'X-Subject-Token': token})

            def _answer(self, status: int, answer: typing.Any,
                        headers: typing.Optional[typing.Dict[str, str]] = None) -> None:
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in dict(headers or {}, **{
                        'Content-Type': 'application/json',
                        'Content-Length': str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_unused: typing.Any) -> None:
                pass

        return Handler
