# SPDX-License-Identifier: Apache-2.0
"""The stand-in for keystone: a token says who the user is, and is believed.

A token is ``user:project:role,role``. `FakeAuth` is a paste filter in the place of keystonemiddleware;
`Keystone` is a server that gives such tokens, for what a service does with credentials of its own.
"""

import json
import typing
import urllib.parse

from lab import http_server

ROLES = 'admin,member,reader,service'
ADMIN = 'admin:admin:' + ROLES
VOLUME_TYPES = ('block-storage', 'block-store', 'volumev3', 'volume')


class FakeAuth:
    """The filter: puts into the request what keystonemiddleware would.

    Without a token, or with any other, the caller is the administrator.
    """

    def __init__(self, app: typing.Any) -> None:
        self.app = app

    def __call__(self, environ: typing.Any, start_response: typing.Any) -> typing.Any:
        # glanceclient without keystone percent-encodes its token.
        parts = urllib.parse.unquote(environ.get('HTTP_X_AUTH_TOKEN', '')).split(':')
        if len(parts) != 3:
            parts = ADMIN.split(':')
        environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed'
        environ['HTTP_X_USER_ID'], environ['HTTP_X_PROJECT_ID'], environ['HTTP_X_ROLES'] = parts
        return self.app(environ, start_response)


def filter_factory(_global_conf: typing.Any, **_local_conf: typing.Any) -> typing.Any:
    """Return the filter, for paste."""
    return FakeAuth


class Keystone(http_server.JsonServer):
    """Gives a user a token, and a catalog.

    :param project: of users that are not among ``projects``
    :param projects: {user: project}
    :param password: that users need; '': any will do
    :param tls: certificate and key, for http_server.JsonServer
    :ivar catalog: {service type: URL}; may be set later
    :ivar volume_root: Cinder's address, without the project, for the catalog; may be set later
    :ivar auth_url: for clients
    """

    def __init__(self, project: str, projects: typing.Optional[typing.Mapping[str, str]] = None,
                 password: str = '', **tls: typing.Any) -> None:
        super().__init__(**tls)
        self._default, self._projects, self._password = project, projects or {}, password
        self.catalog: typing.Dict[str, str] = {}
        self.volume_root = ''
        self.auth_url = self.url + '/v3'

    def respond(self, method: str, path: str, headers: typing.Any, body: bytes) -> http_server.Response:
        """Return the version document, or a token."""
        if method != 'POST':
            return 200, {'version': {'id': 'v3.14', 'status': 'stable', 'media-types': [],
                                     'links': [{'rel': 'self', 'href': self.auth_url}]}}, {}
        user = json.loads(body)['auth']['identity']['password']['user']
        if self._password not in ('', user['password']):
            return 401, {'error': {'code': 401, 'title': 'Unauthorized', 'message':
                                   'The request you have made requires authentication.'}}, {}
        name = user.get('name') or user['id']
        project = self._projects.get(name, self._default)
        return 201, {'token': self._token(name, project)}, {
            'X-Subject-Token': '%s:%s:%s' % (name, project, ROLES)}

    def _token(self, name: str, project: str) -> typing.Dict[str, typing.Any]:
        catalog = dict(self.catalog)
        if self.volume_root:
            catalog.update({kind: '%s/%s' % (self.volume_root, project) for kind in VOLUME_TYPES})
        default = {'id': 'default', 'name': 'Default'}
        return {
            'methods': ['password'], 'expires_at': '2099-01-01T00:00:00.000000Z',
            'issued_at': '2026-01-01T00:00:00.000000Z', 'user': {'id': name, 'name': name, 'domain': default},
            'project': {'id': project, 'name': project, 'domain': default},
            'roles': [{'id': role, 'name': role} for role in ROLES.split(',')],
            'catalog': [{'type': kind, 'name': kind, 'id': kind, 'endpoints': [
                {'interface': face, 'region': 'lab', 'region_id': 'lab', 'url': url, 'id': face}
                for face in ('public', 'internal', 'admin')]} for kind, url in catalog.items()]}
