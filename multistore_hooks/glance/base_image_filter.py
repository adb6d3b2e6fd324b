# SPDX-License-Identifier: Apache-2.0
"""The paste filter that gives X-OpenStack-Base-Image-Ref its meaning.

Cinder has sent that header since Ussuri, and no release of Glance reads it. Stock Nova sends
nothing, but writes the id of the base image into the snapshot's record (``base_image_ref``). In
glance-api-paste.ini, after ``context`` and before the application::

    [filter:base_image]
    paste.filter_factory = multistore_hooks.glance.base_image_filter:filter_factory

All it knows, it asks of the application behind it by WSGI sub-requests, with the caller's own
context: it uses nothing of Glance's insides but ``context.elevated()``, and so one filter serves
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
from oslo_utils import uuidutils
import webob

from multistore_hooks.glance import subrequests
from multistore_hooks.glance_api import api
from multistore_hooks import options
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

_FILE = re.compile(r'^/v2/images/([^/]+)/file$')
_STORES = '/v2/info/stores'

#: How long the stores are believed to stay the same, in seconds: Glance reads them at its start.
STORES_LIFETIME = 60


class Colocate(NamedTuple):
    """The operator's wishes: options.ALL or options.PRIMARY."""

    volumes: str = options.ALL
    snapshots: str = options.PRIMARY


class BaseImageFilter:
    """The WSGI filter; a request that it does not concern goes through after two comparisons."""

    def __init__(self, app: Callable[..., Any], colocate: Colocate = Colocate()) -> None:
        self._app = app
        self._colocate = colocate
        self._stores: Tuple[float, Optional[api.Stores]] = (0, None)

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
        """Answer the stores, and say to who asks that their uploads will follow the base image."""
        response = webob.Request(environ).get_response(self._app)
        if response.status_code == 200:
            response.headers[api.FILTER_HEADER] = api.FILTER_TOKEN
        return response

    def _upload(self, environ: Dict[str, Any], image_id: str) -> webob.Response:
        images = _Lookups(self, environ)
        base_image, colocate = self._base_image(images, environ, image_id)
        if base_image is None:
            return self._send(environ)
        placement = transfer.decide_placement(images, placements.UploadRequest(
            base_image=base_image, resolve=options.ALWAYS))
        log = LOG.warning if placement.degraded else LOG.info
        log('Image %(image)s goes to %(where)s: %(reason)s.',
            {'image': image_id, 'where': placement.where, 'reason': placement.reason})
        if placement.store is None:
            return self._send(environ)

        # Looked up before the upload, which may take hours and must not fail for it afterwards.
        wanted = placements.writable(images.image(base_image).stores, images.stores())
        response, store = self._send_placed(environ, image_id, placement)
        if response.status_code < 300 and colocate == options.ALL:
            _copy(images, image_id, store, [other for other in wanted
                                            if other not in (store, placement.store)])
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
            except api.GlanceError as error:  # the upload itself will be told
                LOG.debug('Image %s cannot be seen: %s', image_id, error)
        if base_image and not uuidutils.is_uuid_like(base_image):
            LOG.warning('The upload of image %(image)s names the base image %(base)r, which is no UUID: '
                        "it goes to Glance's default store.",
                        {'image': image_id, 'base': base_image[:80]})
            return None, colocate
        return base_image or None, colocate

    def _send_placed(self, environ: Dict[str, Any], image_id: str,
                     placement: placements.Placement) -> Tuple[webob.Response, Optional[str]]:
        """Send an upload to its store; where that refuses it unread, to the default store."""
        # Behind uWSGI Glance reads a chunked body past wsgi.input: then nobody can tell what was read.
        body = _Watched(environ['wsgi.input'], touched='uwsgi.version' in environ)
        response = self._send(environ, body, placement.store)
        if placement.fallback_store is None or not api.store_may_refuse(response.status_code):
            return response, placement.store
        refused = {'image': image_id, 'where': placement.where, 'status': response.status,
                   'default': placement.fallback_store}
        if body.touched:
            LOG.warning('Image %(image)s was refused by %(where)s with %(status)s after a part of it was '
                        'read, and so cannot be sent to the default store %(default)s instead.', refused)
            return response, placement.store
        LOG.warning('Image %(image)s was refused by %(where)s with %(status)s before any of it was read: '
                    'sending it to the default store %(default)s.', refused)
        return self._send(environ, body, placement.fallback_store), placement.fallback_store

    def _send(self, environ: Dict[str, Any], body: Any = None,
              store: Optional[str] = None) -> webob.Response:
        environ = subrequests.fresh(environ)
        if store is not None:
            environ['wsgi.input'] = body
            environ['HTTP_X_IMAGE_META_STORE'] = store
        return webob.Request(environ).get_response(self._app)

    def stores(self, ask: Callable[[], api.Stores]) -> api.Stores:
        """Return Glance's stores, asked for at most once in STORES_LIFETIME."""
        now = time.monotonic()
        until, stores = self._stores
        if stores is None or now >= until:
            stores = ask()
            self._stores = (now + STORES_LIFETIME, stores)
        return stores


class _Lookups(subrequests.SubrequestImages):
    """The lookups of one request, with the stores that the filter remembers."""

    def __init__(self, base_image_filter: BaseImageFilter, environ: Dict[str, Any]) -> None:
        super().__init__(base_image_filter._app, environ)
        self._filter = base_image_filter

    def stores(self) -> api.Stores:
        return self._filter.stores(super().stores)


class _Watched:
    """A request body that knows whether anybody has read of it."""

    def __init__(self, body: Any, touched: bool = False) -> None:
        self._body = body
        self.touched = touched

    def __getattr__(self, name: str) -> Any:
        if name.startswith('read') or name == '__iter__':
            self.touched = True
        return getattr(self._body, name)

    def __iter__(self) -> Any:
        self.touched = True
        return iter(self._body)


def _copy(images: subrequests.SubrequestImages, image_id: str, store: Optional[str],
          others: Sequence[str]) -> None:
    """Ask for the copies that co-location wants. The upload has succeeded, whatever comes of it."""
    named = {'image': image_id, 'store': store, 'others': ', '.join(others)}
    if not others:
        return
    try:
        images.copy(image_id, others)
    except Exception as error:
        LOG.warning('Image %(image)s is in %(store)s, but Glance does not copy it to the other stores of '
                    'its base image, %(others)s: %(error)s', dict(named, error=error))
    else:
        LOG.info('Image %(image)s is in %(store)s, and Glance copies it to the other stores of its base '
                 'image, %(others)s.', named)


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
