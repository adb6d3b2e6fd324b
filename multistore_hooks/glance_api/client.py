# SPDX-License-Identifier: Apache-2.0
"""ImageApi over a service's own glanceclient.

The service keeps its own session, endpoints and retries: a seam gives ``run(verb, function)``,
which calls ``function(glanceclient)`` once for each attempt under the service's own rules.
Requests go through the client's ``http_client``, which has been the same since Train, whereas its
methods lack arguments there.
"""

import copy
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Mapping
from typing import Optional
from typing import Tuple
import urllib.parse

from glanceclient import exc

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import blame
from multistore_hooks.glance_api import text

Run = Callable[[str, Callable[[Any], Any]], Any]

#: Images in one page of a list; Glance may return fewer (``api_limit_max``).
PAGE = 500


class RetryLoopClient:
    """Stands in for a glanceclient in a service's retry loop, and calls our function with the real one.

    The loop calls ``getattr(client.images, verb)(function)``; the verb is there for its log lines
    only.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.images = self

    def __getattr__(self, verb: str) -> Callable[[Callable[[Any], Any]], Any]:
        return lambda function: function(self._client)


class ClientImages(api.ImageApi):
    """ImageApi on a service's glanceclient; ``run`` is described above.

    :param get_timeout: returns the seconds that the next attempt may take; None: what the service
        has configured, which by default is no timeout. For keystoneauth's sessions only.
    """

    def __init__(self, run: Run, get_timeout: Optional[Callable[[], float]] = None) -> None:
        self._run, self._get_timeout = run, get_timeout

    def stores(self) -> api.Stores:
        try:
            response, body = self.request('stores', 'get', '/v2/info/stores')
        except api.NotFound:
            return api.Stores()
        return api.Stores.from_glance(body, response.headers)

    def image(self, image_id: str) -> api.Image:
        return api.Image.from_glance(self.request('get', 'get', _path('images', image_id))[1])

    def upload(self, image_id: str, body: api.Body, store: Optional[str] = None,
               base_image: Optional[str] = None, snapshot: bool = False, retry_store: bool = True) -> None:
        named = {api.STORE_HEADER: store, api.BASE_IMAGE_HEADER: base_image,
                 api.FILTER_HEADER: api.SNAPSHOT if snapshot and base_image else None}
        headers = {name: value for name, value in named.items() if value is not None}
        for value in headers.values():
            if not text.is_header_value(value):
                raise api.BadRequest('Store or image %s not found: no header can name it' % ascii(value))
        self.request(
            'upload', 'put', _path('images', image_id, 'file'), body, raw_headers=headers,
            is_final=None if retry_store else lambda error: blame.cause_of_error(error).is_store)

    def delete(self, image_id: str) -> None:
        self.request('delete', 'delete', _path('images', image_id))

    def list_images(self, **filters: str) -> Iterator[api.Image]:
        path = '/v2/images?' + urllib.parse.urlencode(dict(filters, limit=str(PAGE)))
        while path:
            body = self.request('get', 'get', path)[1]
            for record in body['images']:
                yield api.Image.from_glance(record)
            path = body.get('next')

    def delete_from_store(self, image_id: str, store: str) -> None:
        self.request('delete', 'delete', _path('stores', store, image_id))

    def stores_detail(self) -> Tuple[api.StoreDetail, ...]:
        body = self._get_if_there('/v2/info/stores/detail') or {}
        return tuple(api.StoreDetail.from_glance(entry) for entry in body.get('stores', ()))

    def copy(self, image_id: str, stores: Iterable[str]) -> None:
        # Not client.images.image_import: that of Train has no argument ``stores``.
        # If all stores had to succeed, Glance, when one fails, keeps the image in its staging area and undoes
        # a copy that another request has made meanwhile.
        self.request('image_import', 'post', _path('images', image_id, 'import'),
                     {'method': {'name': 'copy-image'}, 'stores': list(stores),
                      'all_stores_must_succeed': False})

    def import_methods(self) -> Tuple[str, ...]:
        body = self._get_if_there('/v2/info/import') or {}
        return tuple(body.get('import-methods', {}).get('value', ()))

    def newest_task(self, image_id: str) -> Optional[api.Task]:
        return api.Task.newest(self._get_if_there(_path('images', image_id, 'tasks')) or {})

    def locations(self, image_id: str) -> Tuple[str, ...]:
        body = self._get_if_there(_path('images', image_id, 'locations')) or ()
        return tuple(location['url'] for location in body)

    def _get_if_there(self, path: str) -> Any:
        """Return the body of a response, or None where Glance has no such path or no such image."""
        try:
            return self.request('get', 'get', path)[1]
        except api.GlanceError as error:
            if error.status in (404, 405):
                return None
            raise

    def request(self, verb: str, method: str, path: str, data: Any = None,
                headers: Optional[Dict[str, str]] = None, raw_headers: Optional[Dict[str, str]] = None,
                run: Optional[Run] = None,
                is_final: Optional[Callable[[api.GlanceError], bool]] = None) -> Any:
        """Send a request in the service's own loop of retries, and translate its errors.

        :param verb: for the log lines of the service's loop.
        :param method: of glanceclient's http_client: ``get``, ``patch``, ...
        :param data: text, what becomes JSON, or an api.Body.
        :param headers: percent-encoded by glanceclient.
        :param raw_headers: sent as they are.
        :param run: another loop, such as one with the service's own credentials.
        :param is_final: says of a 503 whether it is raised at once, and not retried by the service.
        :returns: glanceclient's pair of response and body.
        :raises GlanceError: Glance responded with an error.
        """
        unavailable: List[exc.HTTPException] = []

        def send(http_client: Any) -> Any:
            del unavailable[:]
            http = carrying(http_client, raw_headers) if raw_headers else http_client
            kwargs: Dict[str, Any] = {} if data is None else {'data': data}
            if headers:
                kwargs['headers'] = dict(headers)  # glanceclient adds to it
            if self._get_timeout is not None:
                kwargs['timeout'] = self._get_timeout()
            try:
                if isinstance(data, api.Body):
                    return _send(http, path, data, kwargs)
                return getattr(http, method)(path, **kwargs)
            except exc.HTTPServiceUnavailable as error:
                translated = translate_error(error)
                if is_final is not None and is_final(translated):
                    raise translated from error
                unavailable.append(error)
                raise

        try:
            return (run or self._run)(verb, translating_errors(send))
        except exc.HTTPException as error:
            raise translate_error(error) from error
        except Exception as error:
            if unavailable:  # the service gave up, and has its own exception for that
                raise api.error_for(503, str(error), error) from error
            raise


def translating_errors(send: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what ``run`` calls, a function of a glanceclient, from one of its http_client.

    A 503 stays glanceclient's: the service's own loop knows it, and retries.
    """
    def once(client: Any) -> Any:
        try:
            return send(client.http_client)
        except exc.HTTPServiceUnavailable:
            raise
        except exc.HTTPException as error:
            raise translate_error(error) from error
    return once


def _path(collection: str, *parts: str) -> str:
    """Return a path of Glance's, whose parts are no more than that, whatever is in them."""
    if any(part in ('', '.', '..') for part in parts):  # HTTP libraries resolve the dots
        raise api.NotFound('There is nothing of this name in the %s: %s' % (collection, ascii(parts)))
    return '/'.join(['/v2', collection] + [path_segment(part) for part in parts])


def path_segment(name: str) -> str:
    """Return a name as one segment of a path, whatever is in it."""
    return urllib.parse.quote(name, safe='')


def _send(http: Any, path: str, body: api.Body, kwargs: Dict[str, Any]) -> Any:
    """PUT a body. After a 401 keystoneauth would send what is left of it: so that is done here."""
    def put(**more: Any) -> Any:
        body.rewind()
        # A fresh dictionary: glanceclient adds to it.
        return http.put(path, headers={'Content-Type': 'application/octet-stream'}, **dict(kwargs, **more))

    if not hasattr(http, 'invalidate'):  # not on keystoneauth
        return put()
    try:
        return put(allow_reauth=False)
    except exc.HTTPUnauthorized:
        if not http.invalidate():
            raise
        return put(allow_reauth=False)


def carrying(http_client: Any, headers: Mapping[str, str]) -> Any:
    """Return a copy of a glanceclient's http_client that adds headers, as they are, to requests.

    Headers given to a request are percent-encoded by glanceclient, and Glance does not decode
    them: a store named ``my store`` would be unknown. What was handed to us is not changed, others
    may be using it.
    """
    clone = copy.copy(http_client)
    if hasattr(http_client, 'additional_headers'):  # a keystoneauth adapter
        clone.additional_headers = dict(http_client.additional_headers, **headers)
    else:  # glanceclient's own HTTPClient, without keystone
        clone.session = copy.copy(http_client.session)
        clone.session.headers = http_client.session.headers.copy()
        clone.session.headers.update(headers)
    return clone


def translate_error(error: exc.HTTPException) -> api.GlanceError:
    """Return (not raise) the library's error for one of glanceclient's."""
    return api.error_for(_status(error), str(error), error)


def _status(error: exc.HTTPException) -> Optional[int]:
    if isinstance(error.code, int):
        return error.code
    # glanceclient has no class for 410, among others; the status then stands in the text only.
    found = re.match(r'\s*(\d{3})\b', str(error.details or ''))
    return int(found.group(1)) if found else None
