# SPDX-License-Identifier: Apache-2.0
"""ImageApi over the glanceclient that a service hands over.

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
from typing import List
from typing import Mapping
from typing import Optional
from typing import Tuple

from glanceclient import exc

from multistore_hooks.glance_api import api

Run = Callable[[str, Callable[[Any], Any]], Any]


class Handed:
    """Stands for a glanceclient in a service's retry loop, and runs our function with the real one.

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

    :param patience: tells how many seconds an attempt may take; None: what the service has
        configured, which by default is for ever. For keystoneauth's sessions only.
    """

    def __init__(self, run: Run, patience: Optional[Callable[[], float]] = None) -> None:
        self._run, self._patience = run, patience

    def stores(self) -> api.Stores:
        try:
            response, body = self._request('stores', 'get', '/v2/info/stores')
        except api.NotFound:
            return api.Stores()
        return api.Stores.from_glance(body, response.headers)

    def image(self, image_id: str) -> api.Image:
        return api.Image.from_glance(self._request('get', 'get', '/v2/images/%s' % image_id)[1])

    def upload(self, image_id: str, body: api.Body, store: Optional[str] = None,
               base_image: Optional[str] = None, snapshot: bool = False) -> None:
        named = {api.STORE_HEADER: store, api.BASE_IMAGE_HEADER: base_image,
                 api.FILTER_HEADER: api.SNAPSHOT if snapshot and base_image else None}
        self._request('upload', 'put', '/v2/images/%s/file' % image_id, body,
                      {name: value for name, value in named.items() if value is not None})

    def delete(self, image_id: str) -> None:
        self._request('delete', 'delete', '/v2/images/%s' % image_id)

    def copy(self, image_id: str, stores: Iterable[str]) -> None:
        # Not client.images.image_import: Train's glanceclient does not know its argument
        # ``stores``.
        # Otherwise Glance, when a store fails, keeps the whole image in its staging area, and undoes a
        # copy that another request has made meanwhile.
        self._request('image_import', 'post', '/v2/images/%s/import' % image_id,
                      {'method': {'name': 'copy-image'}, 'stores': list(stores),
                       'all_stores_must_succeed': False})

    def import_methods(self) -> Tuple[str, ...]:
        body = self._get_if_there('/v2/info/import') or {}
        return tuple(body.get('import-methods', {}).get('value', ()))

    def newest_task(self, image_id: str) -> Optional[api.Task]:
        return api.Task.newest(self._get_if_there('/v2/images/%s/tasks' % image_id) or {})

    def locations(self, image_id: str) -> Tuple[str, ...]:
        body = self._get_if_there('/v2/images/%s/locations' % image_id) or ()
        return tuple(location['url'] for location in body)

    def _get_if_there(self, path: str) -> Any:
        """Return what Glance answers, or None where it does not know such a path or such an image."""
        try:
            return self._request('get', 'get', path)[1]
        except api.GlanceError as error:
            if error.status in (404, 405):
                return None
            raise

    def _request(self, verb: str, method: str, path: str, data: Any = None,
                 raw_headers: Optional[Dict[str, str]] = None) -> Any:
        unavailable: List[exc.HTTPException] = []

        def once(client: Any) -> Any:
            http = carrying(client.http_client, raw_headers) if raw_headers else client.http_client
            kwargs: Dict[str, Any] = {} if data is None else {'data': data}
            if self._patience is not None:
                kwargs['timeout'] = self._patience()
            del unavailable[:]
            try:
                if isinstance(data, api.Body):
                    return _send(http, path, data, kwargs)
                return getattr(http, method)(path, **kwargs)
            except exc.HTTPServiceUnavailable as error:
                unavailable.append(error)
                raise  # the service's own loop knows it, and tries again
            except exc.HTTPException as error:
                raise _typed(error) from error

        try:
            return self._run(verb, once)
        except exc.HTTPException as error:
            raise _typed(error) from error
        except Exception as error:
            if unavailable:  # the service gave up, and has its own exception for that
                raise api.error_for(503, str(error), error) from error
            raise


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


def _typed(error: exc.HTTPException) -> api.GlanceError:
    return api.error_for(_status(error), str(error), error)


def _status(error: exc.HTTPException) -> Optional[int]:
    if isinstance(error.code, int):
        return error.code
    # glanceclient has no class for 410, among others; the status then stands in the text only.
    found = re.match(r'\s*(\d{3})\b', str(error.details or ''))
    return int(found.group(1)) if found else None
