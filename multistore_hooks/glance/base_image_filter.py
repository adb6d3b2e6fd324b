# SPDX-License-Identifier: Apache-2.0
"""The paste filter that gives X-OpenStack-Base-Image-Ref its meaning.

Cinder has sent that header since Ussuri, and no release of Glance reads it. Stock Nova sends
nothing, but writes the id of the base image into the snapshot's record (``base_image_ref``). In
glance-api-paste.ini, after ``context`` and before the application::

    [filter:base_image]
    paste.filter_factory = multistore_hooks.glance.base_image_filter:filter_factory

It reads stores and images by WSGI sub-requests to the application behind it, with the caller's own
context: it uses nothing of Glance's internals but ``context.elevated()``, and so one filter serves
every release.
"""

import re
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterable
from typing import NamedTuple
from typing import Optional
from typing import Sequence
from typing import Tuple

from oslo_config import cfg
from oslo_log import log as logging
import webob

from multistore_hooks.glance import request_body
from multistore_hooks.glance import subrequests
from multistore_hooks.glance_api import api
from multistore_hooks import options
from multistore_hooks.upload import colocation
from multistore_hooks.upload import fallback
from multistore_hooks.upload import placements
from multistore_hooks.upload import stores_memory

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# The id goes into the log: a name with a line end would forge a line there.
_FILE = re.compile(r'/v2/images/([0-9A-Fa-f-]{36})/file\Z')
_STORES = '/v2/info/stores'


class Colocate(NamedTuple):
    """The operator's configuration: options.ALL or options.PRIMARY."""

    volumes: str = options.ALL
    snapshots: str = options.PRIMARY


class BaseImageFilter:
    """The WSGI filter; a request that it does not concern goes through after two comparisons.

    :param app: the rest of the pipeline.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, app: Callable[..., Any], colocate: Colocate = Colocate(), clock: Any = time) -> None:
        self._app = app
        self._clock = clock
        self._colocate = colocate
        self._stores = stores_memory.StoresMemory(clock)

    def __call__(self, environ: Dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ['REQUEST_METHOD'], environ.get('PATH_INFO', '')
        if method == 'PUT' and 'HTTP_X_IMAGE_META_STORE' not in environ:
            found = _FILE.match(path)
            if found:
                return self._upload(environ, found.group(1))(environ, start_response)  # type: ignore
        elif method == 'GET' and path == _STORES:
            return self._announce(environ)(environ, start_response)  # type: ignore
        return self._app(environ, start_response)  # type: ignore[no-any-return]

    def _announce(self, environ: Dict[str, Any]) -> webob.Response:
        """Return the stores, with a header that says that uploads follow the base image, and how."""
        response = webob.Request(environ).get_response(self._app)
        if response.status_code == 200:
            tokens = [api.FILTER_TOKEN]
            if self._colocate.volumes == options.PRIMARY:
                tokens.append(api.ONE_STORE_TOKEN)
            response.headers[api.FILTER_HEADER] = ', '.join(tokens)
        return response

    def _upload(self, environ: Dict[str, Any], image_id: str) -> webob.Response:
        images = subrequests.SubrequestImages(self._app, environ)
        base_image, colocate = self._base_image(images, environ, image_id)
        if base_image is None:
            return self._send(environ)
        placement = self._stores.decide_placement(images, placements.UploadRequest(
            base_image=base_image, resolve=options.ALWAYS))
        log = LOG.warning if placement.degraded else LOG.info
        log('Image %(image)s goes to %(where)s: %(reason)s.',
            {'image': image_id, 'where': placement.where, 'reason': placement.reason})
        if placement.store is None:
            return self._send(environ)
        try:
            response, store = self._send_placed(images, environ, image_id, placement)
        except _Refused as error:
            return error.response
        if response.status_code < 300 and colocate == options.ALL:
            # The store that refused the image gets no copy of it either.
            _copy(images, image_id, store, [other for other in placement.other_stores if other != store])
        return response

    def _base_image(self, images: api.ImageLookup, environ: Dict[str, Any],
                    image_id: str) -> Tuple[Optional[str], str]:
        """Return the base image that an upload names, if any, and where else the image goes."""
        base_image = environ.get('HTTP_X_OPENSTACK_BASE_IMAGE_REF')
        kind = environ.get('HTTP_X_OPENSTACK_MULTISTORE_HOOKS')
        colocate = self._colocate.snapshots if kind == api.SNAPSHOT else self._colocate.volumes
        if base_image is None:
            colocate = self._colocate.snapshots
            try:
                base_image = images.image(image_id).record.get('base_image_ref')
            except api.GlanceError as error:  # the upload itself gets the same response
                LOG.debug('The record of image %s could not be read: %s', image_id, error)
        if not base_image:
            return None, colocate
        canonical = api.canonical_id(base_image)
        if canonical is None:
            LOG.warning('The upload of image %(image)s names the base image %(base)r, which is no UUID: '
                        "it goes to Glance's default store.",
                        {'image': image_id, 'base': str(base_image)[:80]})
        return canonical, colocate

    def _send_placed(self, images: api.ImageLookup, environ: Dict[str, Any], image_id: str,
                     placement: placements.Placement) -> Tuple[webob.Response, Optional[str]]:
        """Send an upload to its store; where that refuses it unread, to the default store.

        :raises _Refused: with the response for the client.
        """
        body = request_body.CountedInput(environ)
        responses = []

        def send_to(store: Optional[str], _base_image: Optional[str]) -> None:
            response = self._send(environ, body, store)
            if response.status_code >= 300 and not body.broken:  # else it is the client that failed
                raise _Refused(response)
            responses.append(response)

        placement = fallback.send(images, image_id, placement, send_to, body.obstacle, self._clock)
        return responses[-1], placement.store

    def _send(self, environ: Dict[str, Any], body: Any = None,
              store: Optional[str] = None) -> webob.Response:
        environ = subrequests.fresh(environ)
        if store is not None:
            environ['wsgi.input'] = body
            environ['HTTP_X_IMAGE_META_STORE'] = store
        return webob.Request(environ).get_response(self._app)


class _Refused(api.GlanceError):
    """Glance refused an upload; its response goes to the client, unless another store takes the image."""

    def __init__(self, response: webob.Response) -> None:
        super().__init__(subrequests.gist(response), response.status_code)
        self.response = response


def _copy(images: subrequests.SubrequestImages, image_id: str, store: Optional[str],
          others: Sequence[str]) -> None:
    """Request the copies that co-location needs. The upload has succeeded, whatever comes of it."""
    if not others:
        return
    failure: Optional[Exception] = None
    try:
        images.copy(image_id, others)
    except Exception as error:
        failure = error
    colocation.log_copies(image_id, store, others, failure)


def filter_factory(global_conf: Dict[str, str], **local_conf: str) -> Callable[..., BaseImageFilter]:
    """Return what paste.deploy builds the filter with.

    :param local_conf: ``colocate_volumes`` and ``colocate_snapshots`` of the filter's own section
        come before glance-api.conf; ``colocate`` stands for both.
    :raises ValueError: an unknown name or value.
    """
    options.register_glance_opts(CONF)
    return lambda app: BaseImageFilter(app, _read(local_conf, CONF.multistore_hooks))


def _read(local_conf: Dict[str, str], conf: Any) -> Colocate:
    known = ('colocate', 'colocate_volumes', 'colocate_snapshots')
    for name, value in local_conf.items():
        if name not in known or value not in (options.ALL, options.PRIMARY):
            raise ValueError("The base_image filter's section has '%s = %s'; it knows %s, each all or "
                             'primary.' % (name, value, ', '.join(known)))
    both = local_conf.get('colocate')
    return Colocate(
        volumes=local_conf.get('colocate_volumes') or both or conf.colocate_volumes,
        snapshots=local_conf.get('colocate_snapshots') or both or conf.colocate_snapshots)
