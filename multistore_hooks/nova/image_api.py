# SPDX-License-Identifier: Apache-2.0
"""Nova's image API, whose uploads follow a placement.

Nova's way of an upload is API.update -> GlanceImageServiceV2.update -> ``call('upload')`` of its
client wrapper, since Victoria in a native thread. Only that last call is replaced: Nova's
translations of errors, its threads and its endpoints stay its own, in every release from Train on.
"""

import contextlib
import copy
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Iterator
from typing import List
from typing import Optional
from typing import Tuple

import glanceclient.exc
from keystoneauth1 import loading
from nova import conf
from nova import context as nova_context
from nova import exception
from nova.image import glance
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks import options
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer

try:
    from nova.image.glance import API as NovaAPI  # Ussuri and later
except ImportError:
    from nova.image.api import API as NovaAPI

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: Seconds for which Glance may be at a location after its answer, and after which an image that is as
#: it was counts as refused. Glance's pool of tasks may be busy with the hashes of other images.
LOCATION_SECONDS, REFUSED_SECONDS = 600, 3
#: Seconds of one request while Glance is at it, and between two.
LOOK_SECONDS, LONGEST_WAIT = 30, 10

_credentials: List[Any] = []


class API(NovaAPI):
    """Nova's image API with a client that sends an upload where it was placed."""

    def __init__(self) -> None:
        # By image id, and not on the request context: it is simple, and reaches native threads too.
        self._placements: Dict[str, placements.Placement] = {}

    @contextlib.contextmanager
    def placed(self, context: Any, image_id: str, base_image: Optional[str],
               local_store: Optional[str], discard: bool) -> Iterator[None]:
        """Decide where an image goes, for the uploads of it inside the ``with`` block.

        :param base_image: the image that the instance was made from; None if it boots from a
            volume.
        :param local_store: the store in this compute's own Ceph cluster, or None.
        :param discard: delete the image's record when the block fails, since Nova will not.
        :raises nova.exception.ImageBadRequest: the store that the operator named cannot be used.
        """
        store = CONF.multistore_hooks.snapshot_store
        request = placements.UploadRequest(
            named=placements.StoreRef(store, '[multistore_hooks] snapshot_store') if store else None,
            base_image=base_image, local_store=local_store, resolve=CONF.multistore_hooks.resolve_base_image)
        try:
            self._placements[image_id] = transfer.place(images_for(context), request)
        except exceptions.StoreNotUsable as error:
            self._discard(context, image_id)
            raise exception.ImageBadRequest(image_id=image_id, response=str(error)) from error
        try:
            yield
        except Exception:
            if discard:
                self._discard(context, image_id)
            raise
        finally:
            del self._placements[image_id]

    def _discard(self, context: Any, image_id: str) -> None:
        """Delete the record that was made for a snapshot; Nova does not when it shelves a server."""
        try:
            self.delete(context, image_id)
        except exception.ImageNotFound:
            pass
        except Exception as error:
            LOG.warning('The record of image %(image)s, which got no data, could not be deleted: %(error)s',
                        {'image': image_id, 'error': error})

    def update(self, context: Any, id_or_uri: Any, image_info: Any, data: Any = None,
               purge_props: bool = False) -> Any:
        """Update an image as Nova does; a location that Glance does not take on leads to the upload instead.

        :raises nova.exception.ImageUnacceptable: Glance refused the location of a direct snapshot.
        :raises nova.exception.NovaException: it is not known whether it did; the image is deleted.
        """
        if 'location' not in image_info:
            return super().update(context, id_or_uri, image_info, data=data, purge_props=purge_props)
        updated, refusal = None, 'it could not use it, glance-api logged why'
        try:
            updated = super().update(context, id_or_uri, image_info, data=data, purge_props=purge_props)
            if isinstance(updated, dict) and updated.get('status') == 'active':
                return updated  # as always before Glance 2024.2
        except exception.ImageNotFound:
            raise
        except exception.ImageNotAuthorized as error:
            raise _location_refused(id_or_uri, error) from error
        except (exception.NovaException, glanceclient.exc.ClientException) as error:
            # Of many kinds, and perhaps that of a second attempt, after the first one's answer was lost: then
            # the image is active, or will be.
            refusal = str(error)
        if not self._is_taken_on(context, id_or_uri):
            raise _location_refused(id_or_uri, refusal)
        return updated

    def _is_taken_on(self, context: Any, image_id: str) -> bool:
        """Tell whether a location became the image's data: since 2024.2 Glance does that after its answer.

        Nova deletes the server's disk when a shelved server's image is there, and what the location
        points to when it is not: so neither may be believed too early.
        """
        images = images_for(context, lambda: LOOK_SECONDS)
        started, waited, why = time.monotonic(), 0.0, ''
        while waited <= LOCATION_SECONDS:
            try:
                image = images.image(image_id)
            except api.NotFound as error:
                raise exception.ImageNotFound(image_id=image_id) from error
            except Exception as error:  # Glance's or, after its own retries, Nova's: no connection
                why = str(error)
            else:
                if image.status == 'active':
                    return True
                if image.status == 'queued' and not image.import_task and waited >= REFUSED_SECONDS:
                    return False
                why = 'its status is %s' % image.status
            time.sleep(backoff.poll_interval(waited, LONGEST_WAIT))
            waited = time.monotonic() - started
        # Nova deletes the data now: Glance must not make the image active after that.
        self._discard(context, image_id)
        raise exception.NovaException('Glance did not tell within %d seconds whether it took the location of '
                                      'image %s: %s' % (LOCATION_SECONDS, image_id, why))

    def _get_session(self, _context: Any) -> Any:
        return glance.GlanceImageServiceV2(client=_PlacingClient(self._placements))

    def _get_session_and_image_id(self, context: Any, id_or_uri: Any) -> Tuple[Any, Any]:
        if '/' in str(id_or_uri):  # an image of another Glance
            return super()._get_session_and_image_id(context, id_or_uri)  # type: ignore
        return self._get_session(context), id_or_uri


def _location_refused(image_id: str, why: Any) -> Exception:
    return exception.ImageUnacceptable(  # type: ignore[no-any-return]
        image_id=image_id, reason='Glance refuses its location: %s' % why)


class _PlacingClient(glance.GlanceClientWrapper):
    """Nova's client wrapper; the upload of an image that has a placement goes the library's way."""

    def __init__(self, placed: Dict[str, placements.Placement]) -> None:
        super().__init__()
        self._placements = placed

    def call(self, context: Any, version: int, method: str, controller: Optional[str] = None,
             args: Any = None, kwargs: Any = None) -> Any:
        if method == 'add_location':
            args = self._with_store(args)
        if method != 'upload' or controller is not None:
            return super().call(context, version, method, controller=controller, args=args, kwargs=kwargs)
        image_id, data = args
        placement = self._placements.get(image_id) or placements.decide(placements.UploadRequest())
        try:
            transfer.upload(images_for(context), image_id, data, placement, snapshot=True)
        except api.GlanceError as error:
            raise error.original or error  # Nova translates what its own client raises
        except exceptions.MultistoreError as error:
            raise exception.NovaException(str(error)) from error  # its text reaches the user
        return None

    def _with_store(self, args: Any) -> Any:
        """Return the arguments of ``add_location`` with the store of a direct snapshot."""
        image_id, url, metadata = args
        local_store = CONF.libvirt.images_rbd_glance_store_name if CONF.libvirt.images_type == 'rbd' else None
        # Nova puts it into the pool of its parent, which may be another store's.
        in_local_store = local_store and str(url).split('/')[3:4] == [CONF.multistore_hooks.glance_rbd_pool]
        return image_id, url, metadata or ({'store': local_store} if in_local_store else {})


class _HandedClients(glance.GlanceClientWrapper):
    """Nova's client wrapper, which hands each attempt's client to our function.

    :param patience: see ``ClientImages``; Keystone is waited for no longer either.
    """

    def __init__(self, patience: Optional[Callable[[], float]]) -> None:
        super().__init__()
        self._patience = patience

    def _create_onetime_client(self, context: Any, version: int) -> client.Handed:
        if self._patience is not None:
            # The tokens are fetched here, and kept by their plugins: what comes next waits for ever.
            session, auth = glance._session_and_auth(context)
            session = copy.copy(session)  # it is shared
            session.timeout = self._patience()
            auth.get_headers(session)
        return client.Handed(super()._create_onetime_client(context, version))


def privileged(context: Any) -> Any:
    """Return a context with the rights of ``[multistore_hooks]`` credentials; without those, the same."""
    if not (CONF.multistore_hooks.auth_section or CONF.multistore_hooks.auth_type):
        return context
    if not _credentials:
        # Kept: the plugin holds a token, which the next request can use too.
        _credentials.append(loading.load_auth_from_conf_options(CONF, options.GROUP))
    auth = _credentials[0]
    return nova_context.RequestContext(user_auth_plugin=auth, request_id=context.request_id,
                                       global_request_id=context.global_id, overwrite=False)


def images_for(context: Any, patience: Optional[Callable[[], float]] = None) -> client.ClientImages:
    """Return the library's view of the Glance that Nova would use, with the rights of this context.

    :param patience: see ``ClientImages``.
    """
    clients = _HandedClients(patience)
    return client.ClientImages(
        lambda verb, function: clients.call(context, 2, verb, args=(function,)), patience)
