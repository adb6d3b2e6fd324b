# SPDX-License-Identifier: Apache-2.0
"""A Glance in memory, with Glance's true shapes, for tests and examples.

It is a WSGI application: behind ``SocketlessAdapter`` the real glanceclient talks to it, and the
Glance filter can stand before it. One suite of behaviour (tests/contract.py) runs against it and
against a real Glance, so that it cannot drift.
"""

import http.client
import io
import json
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Tuple
import urllib.parse
import uuid

import requests
import requests.adapters
import urllib3

FILE, READ_ONLY, DISABLED, FULL, FAILING = 'file', 'http', 'disabled', 'full', 'failing'


class Fault(NamedTuple):
    """An answer that is not Glance's own: to the next ``times`` requests of a method to a path."""

    method: str
    path: str
    status: int
    times: int = 1
    #: Bytes of the request's body that are read before it answers; None: all.
    after: Optional[int] = None


class Context:
    """Who asks: as Glance's own context, it can be elevated and travels as an attribute of the request."""

    def __init__(self, user: str, project: str, roles: Iterable[str]) -> None:
        self.user_id, self.project_id, self.roles = user, project, tuple(roles)

    @property
    def is_admin(self) -> bool:
        return 'admin' in self.roles

    def elevated(self) -> 'Context':
        return Context(self.user_id, self.project_id, self.roles + ('admin',))


class _Answer(Exception):
    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class FakeGlance:
    """A Glance with several stores, as WSGI application.

    :param stores: kind by store id, in Glance's order; empty: a Glance with one store and no
        discovery.
    :param default: the default store.
    :param copies_at_once: a copy ends with its request; otherwise with :meth:`finish_copies`.

    ``data`` holds the bytes by (store, image), ``log`` every request as (method, path, headers).
    """

    def __init__(self, stores: Optional[Dict[str, str]] = None, default: str = 'fast',
                 copies_at_once: bool = True) -> None:
        self.stores = {'reliable': FILE, 'fast': FILE, 'cheap': FILE} if stores is None else stores
        self.default = default
        self.copies_at_once = copies_at_once
        self.images: Dict[str, Dict[str, Any]] = {}
        self.data: Dict[Tuple[str, str], bytes] = {}
        self.faults: List[Fault] = []
        self.log: List[Tuple[str, str, Dict[str, str]]] = []
        self.tasks: Dict[str, List[Dict[str, Any]]] = {}
        self.import_methods = ['glance-direct', 'web-download', 'copy-image']
        self.pool: Optional[str] = None  # if set, the location API answers RBD URLs with it, to admins
        self.headers: Dict[str, str] = {}  # added to what discovery answers, as a filter would

    # -- what a test says

    def add_image(self, stores: Iterable[str] = (), data: bytes = b'base', owner: str = 'project',
                  visibility: str = 'private', **properties: Any) -> str:
        """Put an image into stores, or make a queued record without data; return its id."""
        image_id = str(uuid.uuid4())
        stores = list(stores)
        self.images[image_id] = dict(
            {'id': image_id, 'status': 'active' if stores else 'queued', 'owner': owner,
             'size': len(data) if stores else None, 'visibility': visibility, 'tags': []}, **properties)
        for store in stores:
            self.data[store, image_id] = data
        self._list_stores(image_id)
        return image_id

    def where(self, image_id: str) -> List[str]:
        """Return the stores that hold data of an image."""
        return sorted(store for store, held in self.data if held == image_id)

    def finish_copies(self) -> None:
        """Let every copy that is going on come to its end."""
        for image in self.images.values():
            wanted = [store for store in image.get('os_glance_importing_to_stores', '').split(',') if store]
            for store in wanted:
                self._end_copy(image, store)
            if image.pop('os_glance_import_task', None):
                image['os_glance_importing_to_stores'] = ''

    def requests(self, method: str, path: str) -> List[Tuple[str, str, Dict[str, str]]]:
        """Return the requests so far of a method whose path matches a regular expression."""
        return [entry for entry in self.log if entry[0] == method and re.search(path, entry[1])]

    # -- WSGI

    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ['REQUEST_METHOD'], environ['PATH_INFO']
        headers = {name[5:].replace('_', '-').lower(): value for name, value in environ.items()
                   if name.startswith('HTTP_')}
        self.log.append((method, path, headers))
        extra = dict(self.headers) if path == '/v2/info/stores' else {}
        try:
            self._fail(method, path, environ)
            status, body = self._route(method, path, headers, environ)
        except _Answer as answer:
            status, body = answer.status, answer.body
        payload, kind = self._encode(status, body)
        start_response('%d %s' % (status, http.client.responses[status]),
                       [('Content-Type', kind), ('Content-Length', str(len(payload)))] + list(extra.items()))
        return [payload]

    @staticmethod
    def _encode(status: int, body: Any) -> Tuple[bytes, str]:
        if isinstance(body, bytes):
            return body, 'application/octet-stream'
        if status >= 400:  # Glance's errors are HTML or, from uploads, plain text
            return ('%d Error\n\n%s\n\n' % (status, body)).encode('utf-8'), 'text/plain'
        if body is None:
            return b'', 'text/html'
        return json.dumps(body).encode('utf-8'), 'application/json'

    def _fail(self, method: str, path: str, environ: Dict[str, Any]) -> None:
        for number, fault in enumerate(self.faults):
            if fault.method == method and re.search(fault.path, path):
                if fault.times == 1:
                    del self.faults[number]
                else:
                    self.faults[number] = fault._replace(times=fault.times - 1)
                environ['wsgi.input'].read(-1 if fault.after is None else fault.after)
                raise _Answer(fault.status, 'a fault that a test asked for')

    def _route(self, method: str, path: str, headers: Dict[str, str],
               environ: Dict[str, Any]) -> Tuple[int, Any]:
        context = self._context(headers, environ)
        if (method, path) == ('GET', '/v2/info/stores'):
            return self._discover()
        if (method, path) == ('POST', '/v2/images'):
            record = json.loads(environ['wsgi.input'].read().decode('utf-8'))
            return 201, self.images[self.add_image(owner=context.project_id, **record)]
        if (method, path) == ('GET', '/v2/info/import'):
            return 200, {'import-methods': {'type': 'array', 'value': list(self.import_methods)}}
        found = re.match(r'^/v2/images/([^/]+)(/[a-z]+)?$', path)
        if not found:
            raise _Answer(404, 'Not Found')
        image = self._visible(found.group(1), context)
        handler = {('GET', None): self._show, ('DELETE', None): self._delete, ('PUT', '/file'): self._upload,
                   ('GET', '/file'): self._download, ('POST', '/import'): self._import,
                   ('GET', '/tasks'): self._tasks, ('GET', '/locations'): self._locations,
                   }.get((method, found.group(2)))
        if handler is None:
            raise _Answer(405, 'Method Not Allowed')
        return handler(image, headers, environ, context)

    @staticmethod
    def _context(headers: Dict[str, str], environ: Dict[str, Any]) -> Context:
        context = environ.get('webob.adhoc_attrs', {}).get('context')
        if context is not None:
            return context  # type: ignore[no-any-return]
        token = urllib.parse.unquote(headers.get('x-auth-token', 'admin:admin:admin'))
        user, project, roles = token.split(':')
        return Context(user, project, roles.split(','))

    # -- Glance's own behaviour

    def _discover(self) -> Tuple[int, Any]:
        if not self.stores:
            raise _Answer(404, 'Multi backend is not supported at this site.')
        entries = []
        for store, kind in self.stores.items():
            entry = {'id': store}
            if store == self.default:
                entry['default'] = 'true'
            if kind == READ_ONLY:
                entry['read-only'] = 'true'
            entries.append(entry)
        return 200, {'stores': entries}

    def _visible(self, image_id: str, context: Context) -> Dict[str, Any]:
        image = self.images.get(image_id)
        if image is None or not (context.is_admin or image['visibility'] == 'public'
                                 or image['owner'] == context.project_id):
            raise _Answer(404, 'Failed to find image %s' % image_id)
        return image

    def _show(self, image: Dict[str, Any], *unused: Any) -> Tuple[int, Any]:
        return 200, image

    def _delete(self, image: Dict[str, Any], *unused: Any) -> Tuple[int, Any]:
        del self.images[image['id']]
        for key in [key for key in self.data if key[1] == image['id']]:
            del self.data[key]
        return 204, None

    def _download(self, image: Dict[str, Any], *unused: Any) -> Tuple[int, Any]:
        held = self.where(image['id'])
        if not held:
            return 204, None
        return 200, self.data[held[0], image['id']]

    def _upload(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                context: Context) -> Tuple[int, Any]:
        store = headers.get('x-image-meta-store', self.default) if self.stores else 'only'
        kind = self.stores.get(store) if self.stores else FILE
        if kind is None:
            raise _Answer(400, 'Store for identifier %s not found' % store)
        if image['status'] != 'queued':
            raise _Answer(409, 'Image status transition from %s to saving is not allowed' % image['status'])
        if kind in (READ_ONLY, DISABLED):
            raise _Answer(410, 'Error in store configuration. Adding images to store is disabled.')
        data = environ['wsgi.input'].read()
        if kind == FULL:
            raise _Answer(413, 'Image storage media is full')
        if kind == FAILING:
            raise _Answer(503, 'Insufficient permissions on image storage media')
        self.data[store, image['id']] = data
        image.update(status='active', size=len(data))
        self._list_stores(image['id'])
        return 204, None

    def _import(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                context: Context) -> Tuple[int, Any]:
        wanted = json.loads(environ['wsgi.input'].read().decode('utf-8'))['stores']
        if not context.is_admin:
            raise _Answer(403, 'You are not authorized to complete copy_image action.')
        if image['status'] != 'active':
            raise _Answer(409, 'Only images with status active can be targeted for copying')
        for store in wanted:
            if store not in self.stores:
                raise _Answer(409, 'Store for identifier %s not found' % store)
            if (store, image['id']) in self.data:
                raise _Answer(400, "Image is already present at store '%s'" % store)
        if image.get('os_glance_import_task'):
            raise _Answer(409, 'Image has active task')
        task = str(uuid.uuid4())
        image.update(os_glance_import_task=task, os_glance_failed_import='',
                     os_glance_importing_to_stores=','.join(wanted))
        self.tasks.setdefault(image['id'], []).append(
            {'id': task, 'status': 'processing', 'message': 'Copied 0 MiB', 'owner': context.project_id,
             'created_at': '%06d' % len(self.log)})
        if self.copies_at_once:
            self.finish_copies()
        return 202, None

    def _tasks(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
               context: Context) -> Tuple[int, Any]:
        # A task is shown to the project that started it, and to no other.
        return 200, {'tasks': [task for task in self.tasks.get(image['id'], [])
                               if task['owner'] == context.project_id]}

    def _locations(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                   context: Context) -> Tuple[int, Any]:
        if self.pool is None:
            raise _Answer(404, 'Not Found')
        if not context.is_admin:
            raise _Answer(403, 'You are not authorized to complete fetch_image_location action.')
        return 200, [{'url': 'rbd://%s/%s/%s/snap' % (store, self.pool, image['id']),
                      'metadata': {'store': store}} for store in self.where(image['id'])]

    def _end_copy(self, image: Dict[str, Any], store: str) -> None:
        if self.stores[store] == FILE:
            self.data[store, image['id']] = self.data[self.where(image['id'])[0], image['id']]
            self._list_stores(image['id'])
        else:
            self.tasks[image['id']][-1].update(status='failure', message='Task failed due to Internal Error')
            failed = [name for name in image['os_glance_failed_import'].split(',') if name]
            image['os_glance_failed_import'] = ','.join(failed + [store])

    def _list_stores(self, image_id: str) -> None:
        held = [store for store in self.stores if (store, image_id) in self.data]
        if held:
            self.images[image_id]['stores'] = ','.join(held)


class SocketlessAdapter(requests.adapters.BaseAdapter):
    """Lets a requests session talk to a WSGI application without a socket.

    ``session.mount('http://', SocketlessAdapter(application))``
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        super().__init__()
        self._application = application

    def send(self, request: Any, *unused: Any, **unused_too: Any) -> requests.Response:
        path, _mark, query = request.path_url.partition('?')
        environ: Dict[str, Any] = {'REQUEST_METHOD': request.method, 'PATH_INFO': urllib.parse.unquote(path),
                                   'QUERY_STRING': query, 'SCRIPT_NAME': '', 'SERVER_NAME': 'glance',
                                   'SERVER_PORT': '80', 'SERVER_PROTOCOL': 'HTTP/1.1',
                                   'wsgi.url_scheme': 'http', 'wsgi.input': _Input(request.body)}
        for name, value in request.headers.items():
            name = _text(name).upper().replace('-', '_')
            environ[name if name == 'CONTENT_TYPE' else 'HTTP_' + name] = _text(value)
        response = requests.Response()

        def start_response(status: str, headers: List[Tuple[str, str]], *unused: Any) -> None:
            response.status_code, response.reason = int(status.split()[0]), status.split(' ', 1)[1]
            response.headers.update(headers)

        body = io.BytesIO(b''.join(self._application(environ, start_response)))
        response.raw = urllib3.HTTPResponse(body, version=11, preload_content=False)
        response.url, response.request = request.url, request
        return response

    def close(self) -> None:
        """Nothing is open."""


class _Input:
    """The body of a request, read as far as the application reads: a client sends no more than that."""

    def __init__(self, body: Any) -> None:
        if isinstance(body, str):
            body = body.encode('utf-8')
        self._pieces = iter([body] if isinstance(body, bytes) else body or ())
        self._rest = b''

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _text(value: Any) -> str:
    return value.decode('latin-1') if isinstance(value, bytes) else value
