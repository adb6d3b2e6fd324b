# SPDX-License-Identifier: Apache-2.0
"""What a filter in Glance's pipeline requests of the application behind it.

With the rights of its caller, except for a copy.
"""

import io
import json
import re
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import Tuple

import webob

from multistore_hooks.glance_api import api

# What belongs to the one request or to its body, and must not reach another.
_OF_THE_REQUEST = ('HTTP_TRANSFER_ENCODING', 'HTTP_CONTENT_ENCODING', 'HTTP_EXPECT', 'HTTP_RANGE',
                   'HTTP_X_IMAGE_META_STORE', 'HTTP_X_OPENSTACK_BASE_IMAGE_REF',
                   'HTTP_X_OPENSTACK_IMAGE_SIZE', 'HTTP_X_OPENSTACK_MULTISTORE_HOOKS',
                   'wsgiorg.routing_args', 'routes.route', 'routes.url')
_ATTRIBUTES = 'webob.adhoc_attrs'


class SubrequestImages(api.ImageLookup):
    """Lookups by WSGI sub-requests.

    :param app: the rest of the pipeline.
    :param environ: of the request that the filter is working on; it is not changed.
    """

    def __init__(self, app: Callable[..., Any], environ: Dict[str, Any]) -> None:
        self._app = app
        self._environ = environ

    def stores(self) -> api.Stores:
        try:
            response, headers = self._request('GET', '/v2/info/stores')
        except api.NotFound:
            return api.Stores()
        return api.Stores.from_glance(response, headers)

    def image(self, image_id: str) -> api.Image:
        return api.Image.from_glance(self._request('GET', '/v2/images/%s' % image_id)[0])

    def copy(self, image_id: str, stores: Iterable[str]) -> None:
        """Request a copy as ImageApi.copy does, with the rights of an administrator.

        The caller was allowed to upload the image, and where its base image is was the operator's
        decision; the policy ``copy_image`` is for administrators by default (Victoria and later).
        """
        self._request('POST', '/v2/images/%s/import' % image_id,
                      {'method': {'name': 'copy-image'}, 'stores': list(stores),
                       'all_stores_must_succeed': False}, elevated=True)

    def _request(self, method: str, path: str, data: Any = None,
                 elevated: bool = False) -> Tuple[Any, Any]:
        body = b'' if data is None else json.dumps(data).encode('utf-8')
        environ = {name: value for name, value in fresh(self._environ, elevated).items()
                   if name not in _OF_THE_REQUEST
                   and (name == _ATTRIBUTES or not name.startswith('webob.'))}
        environ.update({'REQUEST_METHOD': method, 'PATH_INFO': path, 'QUERY_STRING': '',
                        'CONTENT_TYPE': 'application/json', 'CONTENT_LENGTH': str(len(body)),
                        'HTTP_ACCEPT': 'application/json', 'wsgi.input': io.BytesIO(body)})
        response = webob.Request(environ).get_response(self._app)
        if response.status_code >= 300:
            raise api.error_for(response.status_code, '%s: %s' % (response.status, gist(response)))
        return (response.json if response.body else None), response.headers


def fresh(environ: Dict[str, Any], elevated: bool = False) -> Dict[str, Any]:
    """Return a copy of a request's environment: the application changes what it is given.

    Glance's context travels in it as an attribute of the webob request.
    """
    attributes = dict(environ.get(_ATTRIBUTES, {}))
    context = attributes.get('context')
    if elevated and context is not None and hasattr(context, 'elevated'):  # not in Train
        attributes['context'] = context.elevated()
    return dict(environ, **{_ATTRIBUTES: attributes})


def gist(response: webob.Response) -> str:
    """Return the words of an error of Glance, without the HTML around them."""
    words = re.sub(r'<[^>]*>', ' ', re.sub(r'(?s)<(head|title)>.*?</\1>', '', response.text))
    return ' '.join(words.split())
