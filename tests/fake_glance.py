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
from typing import Set
from typing import Tuple
import urllib.parse
import uuid

import requests
import requests.adapters
import urllib3

FILE, READ_ONLY, DISABLED, FULL, FAILING = 'file', 'http', 'disabled', 'full', 'failing'

#: Properties of a record that a list can be filtered by, besides those that are compared as they are.
_SIZES = {'size_min': lambda size, limit: size >= limit, 'size_max': lambda size, limit: size <= limit}


class Fault(NamedTuple):
    """A response that is not Glance's own: to the next ``times`` requests of a method to a path."""

    method: str
    path: str
    status: int
    times: int = 1
    #: Bytes of the request's body that are read before it responds; None: all.
    after: Optional[int] = None


class Context:
    """The caller: as Glance's own context, it can be elevated and travels as an attribute of the request."""

    def __init__(self, user: str, project: str, roles: Iterable[str]) -> None:
        self.user_id, self.project_id, self.roles = user, project, tuple(roles)

    @property
    def is_admin(self) -> bool:
        return 'admin' in self.roles

    def elevated(self) -> 'Context':
        return Context(self.user_id, self.project_id, self.roles + ('admin',))


class Location(NamedTuple):
    """A location of an image: each has a number of its own, as a row of Glance's database."""

    number: int
    store: str


class _Response(Exception):
    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class FakeGlance:
    """A Glance with several stores, as WSGI application.

    :param stores: kind by store id, in Glance's order; empty: a Glance with one store and no
        discovery.
    :param default: the default store.
    :param copies_at_once: a copy ends with its request; otherwise with :meth:`finish_copies`.

    ``data`` holds the bytes by (store, image), ``log`` every request as (method, path, headers). What the
    record of an image lists and what the stores hold are apart, as in Glance: see :meth:`lose`.
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
        self.pool: Optional[str] = None  # if set, the location API returns RBD URLs with it, to admins
        self.headers: Dict[str, str] = {}  # added to the response of discovery, as a filter would
        self.page_limit = 1000  # api_limit_max
        self.quota: Optional[int] = None  # user_storage_quota: bytes of one project, each copy counted
        self.staging_full = False  # a unified limit on staging: an import is accepted, and then fails
        self.in_use: Set[Tuple[str, str]] = set()  # (store, image) whose data the store does not delete
        self.details: Dict[str, Dict[str, Any]] = {}  # properties in stores/detail, by store
        # The data, and its store, that a location stands for; None: Glance cannot use it.
        self.locate: Callable[[str], Optional[Tuple[str, bytes]]] = lambda url: None
        self.shows_locations = False  # show_multiple_locations
        # The lock of an import goes with the next call of finish_copies: Glance lists the last store first,
        # and clears up before it gives its lock back.
        self.locks_last = False
        self.prefers = True  # knows ?prefer= of a download (2026.2)
        self.reads_ranges = True  # RBD, Swift and S3 do not
        self.namespaces: Dict[str, Dict[str, Any]] = {}  # of metadata definitions
        self._locations: Dict[str, List[Location]] = {}
        self.namespace_time = '2026-01-01T00:00:00Z'  # when namespaces are created
        self._numbers = 0
        self._imports: Dict[str, Dict[str, Any]] = {}
        self._at_their_end: Dict[str, Any] = {}  # imports that hold nothing but their lock: task by image
        self._interludes: List[Tuple[str, Callable[[], None]]] = []

    # -- for tests

    def add_image(self, stores: Iterable[str] = (), data: bytes = b'base', owner: str = 'project',
                  visibility: str = 'private', **properties: Any) -> str:
        """Put an image into stores, or make a queued record without data; return its id."""
        image_id = str(properties.pop('id', None) or uuid.uuid4())
        stores = list(stores)
        self._numbers += 1
        made = '2026-01-01T00:00:00Z#%09d' % self._numbers
        self.images[image_id] = dict(
            {'id': image_id, 'status': 'active' if stores else 'queued', 'owner': owner,
             'size': len(data) if stores else None, 'visibility': visibility, 'tags': [],
             'created_at': made, 'updated_at': made}, **properties)
        for store in stores:
            self.put_data(image_id, store, data)
        return image_id

    def put_data(self, image_id: str, store: str, data: bytes = b'base') -> None:
        """Let the data of an image be in a store, and its record list that."""
        self.data[store, image_id] = data
        self._set_locations(image_id, self._locations.get(image_id, []) + [self._new_location(store)])

    def lose(self, image_id: str, store: str) -> None:
        """Let a store lose the data of an image; the record goes on listing it."""
        del self.data[store, image_id]

    def where(self, image_id: str) -> List[str]:
        """Return the stores that hold data of an image."""
        return sorted(store for store, held in self.data if held == image_id)

    def listed(self, image_id: str) -> List[str]:
        """Return the stores that the record of an image lists."""
        return [location.store for location in self._locations.get(image_id, [])]

    def finish_copies(self) -> None:
        """Let every copy that is going on come to its end."""
        at_their_end, self._at_their_end = self._at_their_end, {}
        for image_id, task in at_their_end.items():
            if image_id in self.images:
                self._end_task(self.images[image_id], task, None)
        for image_id in list(self._imports):
            self._run_import(image_id)
        for image in self.images.values():  # what a test wrote into a record by hand
            wanted = [store for store in image.get('os_glance_importing_to_stores', '').split(',') if store]
            if image.get('os_glance_import_task') and image['id'] not in self._at_their_end:
                self._imports[image['id']] = {'stores': wanted, 'must_succeed': False, 'task': None,
                                              'project': None,
                                              'seen': list(self._locations.get(image['id'], []))}
                self._run_import(image['id'])

    def at(self, step: str, function: Callable[[], None]) -> None:
        """Call a function once, when a request has come to a step: another request comes between.

        The steps are those of the race in ``DELETE /v2/stores/{store}/{image}``: 'evict: checked' and
        'evict: data deleted'.
        """
        self._interludes.append((step, function))

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
        except _Response as response:
            status, body = response.status, response.body
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
                raise _Response(fault.status, 'a fault of the test')

    def _route(self, method: str, path: str, headers: Dict[str, str],
               environ: Dict[str, Any]) -> Tuple[int, Any]:
        context = self._context(headers, environ)
        whole = {('GET', '/v2/info/stores'): self._discover, ('GET', '/v2/info/import'): self._import_info,
                 ('GET', '/v2/info/stores/detail'): self._detail, ('POST', '/v2/images'): self._create,
                 ('GET', '/v2/images'): self._list_images}.get((method, path))
        if whole is not None:
            return whole(environ, context)
        found = re.match(r'^/v2/stores/([^/]+)/([^/]+)$', path)
        if found and method == 'DELETE':
            return self._delete_from_store(found.group(1), found.group(2), context)
        found = re.match(r'^/v2/metadefs/namespaces(?:/([^/]+))?$', path)
        if found:
            return self._namespace(method, found.group(1), environ, context)
        found = re.match(r'^/v2/images/([^/]+)(/[a-z]+)?$', path)
        if not found:
            raise _Response(404, 'Not Found')
        image = self._visible(found.group(1), context)
        handler = {('GET', None): self._show, ('DELETE', None): self._delete, ('PUT', '/file'): self._upload,
                   ('GET', '/file'): self._download, ('POST', '/import'): self._import,
                   ('GET', '/tasks'): self._tasks, ('GET', '/locations'): self._get_locations,
                   ('POST', '/locations'): self._add_location, ('PATCH', None): self._patch,
                   }.get((method, found.group(2)))
        if handler is None:
            raise _Response(405, 'Method Not Allowed')
        return handler(image, headers, environ, context)

    @staticmethod
    def _context(headers: Dict[str, str], environ: Dict[str, Any]) -> Context:
        context = environ.get('webob.adhoc_attrs', {}).get('context')
        if context is not None:
            return context  # type: ignore[no-any-return]
        token = urllib.parse.unquote(headers.get('x-auth-token', 'admin:admin:admin'))
        user, project, roles = token.split(':')
        return Context(user, project, roles.split(','))

    # -- stores

    def _discover(self, environ: Dict[str, Any], context: Context) -> Tuple[int, Any]:
        if not self.stores:
            raise _Response(404, 'Multi backend is not supported at this site.')
        entries = []
        for store, kind in self.stores.items():
            entry = {'id': store}
            if store == self.default:
                entry['default'] = 'true'
            if kind == READ_ONLY:
                entry['read-only'] = 'true'
            entries.append(entry)
        return 200, {'stores': entries}

    def _detail(self, environ: Dict[str, Any], context: Context) -> Tuple[int, Any]:
        status, body = self._discover(environ, context)
        if not context.is_admin and 'service' not in context.roles:
            raise _Response(403, 'You are not authorized to complete stores_info_detail action.')
        for entry in body['stores']:
            details = dict(self.details.get(entry['id'], {}))
            entry['type'] = details.pop('type', 'http' if self.stores[entry['id']] == READ_ONLY else 'file')
            entry.update(weight=0, properties=details)
        return status, body

    def _import_info(self, environ: Dict[str, Any], context: Context) -> Tuple[int, Any]:
        return 200, {'import-methods': {'type': 'array', 'value': list(self.import_methods)}}

    # -- records

    def _create(self, environ: Dict[str, Any], context: Context) -> Tuple[int, Any]:
        record = json.loads(environ['wsgi.input'].read().decode('utf-8'))
        return 201, self.images[self.add_image(owner=context.project_id, **record)]

    def _list_images(self, environ: Dict[str, Any], context: Context) -> Tuple[int, Any]:
        query = dict(urllib.parse.parse_qsl(environ.get('QUERY_STRING', '')))
        limit = min(int(query.get('limit', '25')), self.page_limit)
        found = [image for image in self.images.values() if self._may_see(image, context)
                 and self._passes(image, query)]
        found.sort(key=lambda image: image['created_at'], reverse=query.get('sort_dir') != 'asc')
        if 'marker' in query:
            ids = [image['id'] for image in found]
            if query['marker'] not in ids:
                raise _Response(400, 'Marker %s could not be found' % query['marker'])
            found = found[ids.index(query['marker']) + 1:]
        body = {'images': found[:limit], 'first': '/v2/images', 'schema': '/v2/schemas/images'}
        if limit and len(found) >= limit:  # Glance does not know whether there are more
            body['next'] = '/v2/images?' + urllib.parse.urlencode(
                dict(query, marker=found[limit - 1]['id']))
        return 200, body

    @staticmethod
    def _passes(image: Dict[str, Any], query: Dict[str, str]) -> bool:
        wanted = {'os_hidden': 'false', **query}
        for name, value in wanted.items():
            if name in ('limit', 'marker', 'sort_key', 'sort_dir', 'member_status'):
                continue
            if name in _SIZES:
                if not _SIZES[name](image['size'] or 0, int(value)):
                    return False
            elif name == 'tag':
                if value not in image['tags']:
                    return False
            elif name in ('os_hidden', 'protected'):
                if bool(image.get(name)) != (value == 'true'):
                    return False
            elif value.startswith('in:'):
                if str(image.get(name)) not in value[3:].split(','):
                    return False
            elif str(image.get(name)) != value:
                return False
        return True

    @staticmethod
    def _may_see(image: Dict[str, Any], context: Context) -> bool:
        return bool(context.is_admin or image['visibility'] == 'public'
                    or image['owner'] == context.project_id)

    def _visible(self, image_id: str, context: Context) -> Dict[str, Any]:
        image = self.images.get(image_id)
        if image is None or not self._may_see(image, context):
            raise _Response(404, 'Failed to find image %s' % image_id)
        return image

    def _show(self, image: Dict[str, Any], *unused: Any) -> Tuple[int, Any]:
        return 200, image

    def _delete(self, image: Dict[str, Any], *unused: Any) -> Tuple[int, Any]:
        if image.get('protected'):
            raise _Response(403, 'Image %s is protected and cannot be deleted.' % image['id'])
        del self.images[image['id']]
        for key in [key for key in self.data if key[1] == image['id']]:
            del self.data[key]
        self._locations.pop(image['id'], None)
        return 204, None

    def _tasks(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
               context: Context) -> Tuple[int, Any]:
        # A task is shown to the project that started it, and to no other.
        return 200, {'tasks': [task for task in self.tasks.get(image['id'], [])
                               if task['owner'] == context.project_id]}

    # -- data

    def _download(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                  context: Context) -> Tuple[int, Any]:
        if not self._locations.get(image['id']):
            return 204, None
        preferred = dict(urllib.parse.parse_qsl(environ.get('QUERY_STRING', ''))).get('prefer')
        if preferred and self.prefers and preferred not in self.stores:
            raise _Response(400, "Store '%s' is not configured." % preferred)
        if 'range' in headers and not self.reads_ranges:
            raise _Response(400, 'Configuration does not permit partial reads.')
        data = self._read(image['id'], default_first=False, preferred=preferred if self.prefers else None)
        if data is None:
            raise _Response(404, 'Image %s could not be found' % image['id'])
        return 200, data

    def _read(self, image_id: str, default_first: bool = True,
              preferred: Optional[str] = None) -> Optional[bytes]:
        """Return an image's bytes from the first of its listed stores that has them, or None.

        A preferred store comes first; if it does not have them, Glance goes on to the others all the same.
        """
        listed = self.listed(image_id)
        first = preferred or (self.default if default_first else None)
        if first in listed:
            listed = [first] + [store for store in listed if store != first]
        return next((self.data[store, image_id] for store in listed if (store, image_id) in self.data), None)

    def _upload(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                context: Context) -> Tuple[int, Any]:
        store = headers.get('x-image-meta-store', self.default) if self.stores else 'only'
        kind = self.stores.get(store) if self.stores else FILE
        if kind is None:
            raise _Response(400, 'Store for identifier %s not found' % store)
        if image['status'] != 'queued':
            raise _Response(409, 'Image status transition from %s to saving is not allowed' % image['status'])
        if kind in (READ_ONLY, DISABLED):
            raise _Response(410, 'Error in store configuration. Adding images to store is disabled.')
        left = self._quota_left(image['id'], context.project_id)
        if left is not None and left <= 0:
            raise _Response(413, 'Image exceeds the storage quota: %d bytes are used' % self.quota)
        data = environ['wsgi.input'].read()
        if left is not None and len(data) > left:
            if 'content-length' not in headers and not environ.get('CONTENT_LENGTH'):
                image['status'] = 'saving'  # noticed after the store took it, and not put back
            raise _Response(413, 'Image exceeds the storage quota: %d bytes are left' % left)
        if kind == FULL:
            raise _Response(413, 'Image storage media is full')
        if kind == FAILING:
            raise _Response(503, 'Insufficient permissions on image storage media')
        if image['id'] not in self.images:  # deleted in mid-upload
            raise _Response(410, 'Image %s could not be found after upload. The image may have been deleted '
                            'during the upload, cleaning up the chunks uploaded.' % image['id'])
        image.update(status='active', size=len(data))
        self.put_data(image['id'], store, data)
        return 204, None

    def _quota_left(self, image_id: str, project: Optional[str]) -> Optional[int]:
        """Return the bytes that a project may still store; the image itself does not count."""
        if self.quota is None:
            return None
        used = sum((other['size'] or 0) * len(self._locations.get(other['id'], []))
                   for other in self.images.values()
                   if other['owner'] == project and other['id'] != image_id)
        return self.quota - used

    # -- metadata definitions

    def _namespace(self, method: str, name: Optional[str], environ: Dict[str, Any],
                   context: Context) -> Tuple[int, Any]:
        """Glance's database has each name once; a deleted one is gone, not marked."""
        if name is None and method == 'POST':
            body = json.loads(environ['wsgi.input'].read().decode('utf-8'))
            if not context.is_admin:
                raise _Response(403, 'You are not authorized to complete add_metadef_namespace action.')
            if body['namespace'] in self.namespaces:
                raise _Response(409, 'Metadata definition namespace=%s already exists.' % body['namespace'])
            self.namespaces[body['namespace']] = dict(
                body, owner=context.project_id, created_at=self.namespace_time)
            return 201, self.namespaces[body['namespace']]
        if name is None:
            return 200, {'namespaces': list(self.namespaces.values()), 'first': '/v2/metadefs/namespaces'}
        found = self.namespaces.get(name)
        if found is None or not (context.is_admin or found['owner'] == context.project_id):
            raise _Response(404, 'Namespace %s not found' % name)
        if method == 'DELETE':
            if not context.is_admin:
                raise _Response(403, 'You are not authorized to complete delete_metadef_namespace action.')
            del self.namespaces[name]
            return 204, None
        return 200, found

    # -- locations

    def _new_location(self, store: str) -> Location:
        self._numbers += 1
        return Location(self._numbers, store)

    def _set_locations(self, image_id: str, locations: List[Location]) -> None:
        """Save the locations as a request has them: rows that are not among them go, others come back."""
        self._locations[image_id] = list(locations)
        listed = ','.join(location.store for location in locations)
        if listed and self.stores:
            self.images[image_id]['stores'] = listed
        else:
            self.images[image_id].pop('stores', None)

    def _get_locations(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                       context: Context) -> Tuple[int, Any]:
        if self.pool is None:
            raise _Response(404, 'Not Found')
        if not context.is_admin:
            raise _Response(403, 'You are not authorized to complete fetch_image_location action.')
        return 200, [{'url': 'rbd://%s/%s/%s/snap' % (store, self.pool, image['id']),
                      'metadata': {'store': store}} for store in self.listed(image['id'])]

    def _add_location(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                      context: Context) -> Tuple[int, Any]:
        """Take a location as the newer call does, whose task has ended when it responds."""
        if self.pool is None:
            raise _Response(404, 'Not Found')
        if image['status'] != 'queued':
            raise _Response(409, "It's not allowed to add locations if image status is %s." % image['status'])
        if 'service' not in context.roles:
            raise _Response(403, 'http store must be enabled to use location API by normal user.')
        found = self.locate(json.loads(environ['wsgi.input'].read().decode('utf-8'))['url'])
        self._numbers += 1
        self.tasks.setdefault(image['id'], []).append(
            {'id': str(uuid.uuid4()), 'status': 'success' if found else 'failure', 'message': '',
             'owner': context.project_id, 'created_at': '%09d' % self._numbers})
        if found is not None:
            self._take_location(image, found)
        return 202, None

    def _patch(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
               context: Context) -> Tuple[int, Any]:
        change, = json.loads(environ['wsgi.input'].read().decode('utf-8'))
        if change['path'] != '/locations/-':
            raise _Response(405, 'Method Not Allowed')
        if not self.shows_locations:
            raise _Response(403, "It's not allowed to add locations if locations are invisible.")
        if image['status'] not in ('active', 'queued'):
            raise _Response(409, "It's not allowed to add locations if image status is %s." % image['status'])
        found = self.locate(change['value']['url'])
        if found is None:
            raise _Response(400, 'Invalid location')
        self._take_location(image, found)
        return 200, image

    def _take_location(self, image: Dict[str, Any], found: Tuple[str, bytes]) -> None:
        image.update(status='active', size=len(found[1]))
        self.put_data(image['id'], *found)

    def _delete_from_store(self, store: str, image_id: str, context: Context) -> Tuple[int, Any]:
        if not self.stores:
            raise _Response(404, 'Not Found')
        if store not in self.stores:
            raise _Response(409, 'The selected store %s is not available on this node.' % store)
        image = self._visible(image_id, context)
        if not context.is_admin:
            raise _Response(403, 'You are not authorized to complete delete_image_location action.')
        if image['status'] != 'active':
            raise _Response(409, "It's not allowed to remove image data from store if image status is not "
                            "'active'")
        seen = list(self._locations[image_id])  # without a lock, as Glance does
        if len(seen) == 1:
            raise _Response(403, 'Cannot delete image data from the only store containing it.')
        self._reach('evict: checked')
        found = [location for location in seen if location.store == store]
        if not found:
            raise _Response(404, 'Image %s is not stored in store %s.' % (image_id, store))
        if (store, image_id) in self.in_use:
            raise _Response(409, 'The data for Image %s could not be deleted because it is in use' % image_id)
        self.data.pop((store, image_id), None)  # a copy that is not there counts as deleted
        self._reach('evict: data deleted')
        seen.remove(found[0])
        if image_id in self.images:
            self._set_locations(image_id, seen)
        return 204, None

    def _reach(self, step: str) -> None:
        for number, (wanted, function) in enumerate(self._interludes):
            if wanted == step:
                del self._interludes[number]
                function()
                return

    # -- copy-image

    def _import(self, image: Dict[str, Any], headers: Dict[str, str], environ: Dict[str, Any],
                context: Context) -> Tuple[int, Any]:
        body = json.loads(environ['wsgi.input'].read().decode('utf-8'))
        if body['method']['name'] not in self.import_methods:
            raise _Response(400, "Unknown import method name '%s'." % body['method']['name'])
        wanted = body['stores']
        if image['status'] != 'active':
            raise _Response(409, 'Only images with status active can be targeted for copying')
        if not context.is_admin:
            raise _Response(403, 'You are not authorized to complete copy_image action.')
        if image.get('os_glance_import_task'):
            raise _Response(409, 'Image has active task')
        for store in wanted:
            if store not in self.stores:
                raise _Response(409, 'Store for identifier %s not found' % store)
        for store in self.listed(image['id']):
            if store in wanted:
                raise _Response(400, "Image is already present at store '%s'" % store)
        task = {'id': str(uuid.uuid4()), 'status': 'processing', 'message': 'Copied 0 MiB',
                'owner': context.project_id, 'created_at': '%06d' % len(self.log)}
        self.tasks.setdefault(image['id'], []).append(task)
        image['os_glance_import_task'] = task['id']
        self._merge(image, 'os_glance_importing_to_stores', add=wanted)
        self._merge(image, 'os_glance_failed_import', remove=wanted)
        if self.staging_full:
            self._merge(image, 'os_glance_importing_to_stores', remove=wanted)
            self._end_task(image, task, 'Resource image_stage_total is over limit')
            return 202, None
        self._imports[image['id']] = {'stores': wanted, 'task': task, 'project': context.project_id,
                                      'must_succeed': body.get('all_stores_must_succeed', True),
                                      'seen': list(self._locations[image['id']])}
        if self.copies_at_once:
            self._run_import(image['id'])
        return 202, None

    def _run_import(self, image_id: str) -> None:
        """Copy to one store after another, as Glance's task does; failures end as there."""
        running = self._imports.pop(image_id)
        image = self.images.get(image_id)
        if image is None:
            return
        data = self._read(image_id)
        if data is None:
            # Staging fails: the lock goes, and nothing else is reported.
            self._end_task(image, running['task'], 'Task failed due to Internal Error')
            return
        # A store's copy begins with the record as it is then, and ends by saving it like that.
        seen: Optional[List[Location]] = running['seen']
        done: List[str] = []
        for store in running['stores']:
            left = self._quota_left(image_id, running['project'])
            if self.stores.get(store) == FILE and (left is None or left >= len(data)):
                self.data[store, image_id] = data
                locations = list(self._locations[image_id]) if seen is None else seen
                self._set_locations(image_id, locations + [self._new_location(store)])
                done.append(store)
            else:
                self._merge(image, 'os_glance_failed_import', add=[store])
                if running['must_succeed']:
                    self._revert_import(image, done, store, running['task'])
                    return
            self._merge(image, 'os_glance_importing_to_stores', remove=[store])
            seen = None
        if self.locks_last:
            self._at_their_end[image_id] = running['task']
        else:
            self._end_task(image, running['task'], None)

    def _revert_import(self, image: Dict[str, Any], done: List[str], failed: str, task: Any) -> None:
        """Undo what a task has copied; stores that it had not come to stay listed as importing."""
        for store in done:
            self.data.pop((store, image['id']), None)
        self._set_locations(image['id'], [location for location in self._locations[image['id']]
                                          if location.store not in done])
        self._merge(image, 'os_glance_importing_to_stores', remove=done + [failed])
        self._end_task(image, task, 'Task failed due to Internal Error')

    @staticmethod
    def _end_task(image: Dict[str, Any], task: Any, failure: Optional[str]) -> None:
        image.pop('os_glance_import_task', None)
        if task is not None:
            # A task succeeds though a store failed, if not all must succeed.
            task.update(status='failure', message=failure) if failure else task.update(
                status='success', message='')

    @staticmethod
    def _merge(image: Dict[str, Any], name: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        stores = {store for store in image.get(name, '').split(',') if store}
        image[name] = ','.join(sorted((stores | set(add)) - set(remove)))


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
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
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
