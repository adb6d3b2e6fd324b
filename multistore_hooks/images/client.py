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
from typing import Mapping
from typing import Optional
from typing import Tuple

from glanceclient import exc

from multistore_hooks.images import api

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
    """ImageApi on a service's glanceclient; ``run`` is described above."""

    def __init__(self, run: Run) -> None:
        self._run = run

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
        def once(client: Any) -> Any:
            http = client.http_client
            kwargs = {}
            if isinstance(data, api.Body):
                data.rewind()
                kwargs['headers'] = {'Content-Type': 'application/octet-stream'}
            if data is not None:
                kwargs['data'] = data
            if raw_headers:
                http = carrying(http, raw_headers)
            try:
                return getattr(http, method)(path, **kwargs)
            except exc.HTTPServiceUnavailable:
                raise  # the service's own loop knows it, and tries again
            except exc.HTTPException as error:
                raise _typed(error) from error

        try:
            return self._run(verb, once)
        except exc.HTTPException as error:
            raise _typed(error) from error


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
