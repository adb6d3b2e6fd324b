# SPDX-License-Identifier: Apache-2.0
"""Nova's image API, whose uploads follow a placement.

Nova's way of an upload is API.update -> GlanceImageServiceV2.update -> ``call('upload')`` of its
client wrapper, since Victoria in a native thread. Only that last call is replaced: Nova's
translations of errors, its threads and its endpoints stay its own, in every release from Train on.
"""

import contextlib
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
from multistore_hooks.upload import stores_memory
from multistore_hooks.upload import transfer

try:
    from nova.image.glance import API as NovaAPI  # Ussuri and later
except ImportError:
    from nova.image.api import API as NovaAPI

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: Seconds after which an image that Glance has not begun to change counts as refused: after its response,
#: and after a response that was lost, when the request may still be on its way.
REFUSED_SECONDS, LOST_SECONDS = 3, 30
#: Seconds that a snapshot waits for Glance to take on its location, if nothing depends on it.
SNAPSHOT_SECONDS = 60
#: Seconds of one request while Glance takes on a location, and between two.
POLL_SECONDS, LONGEST_WAIT = 30, 10
#: Seconds for which a record that has to be deleted is tried again.
DELETE_SECONDS = 60

_credentials: List[Any] = []


class _Snapshot:
    """What is known of an image while its snapshot is taken.

    :param must_be_active: the service acts on the image next, and deletes a server's disk, say.
    """

    def __init__(self, placement: placements.Placement, must_be_active: bool) -> None:
        self.placement, self.must_be_active = placement, must_be_active


class API(NovaAPI):
    """Nova's image API with a client that sends an upload where it was placed.

    :param clock: has ``monotonic()`` and ``sleep(seconds)``; a test's, or :mod:`time`.
    """

    def __init__(self, clock: Any = time) -> None:
        self._clock = clock
        # By image id, and not on the request context: it is simple, and reaches native threads too.
        self._snapshots: Dict[str, _Snapshot] = {}
        self._sent: Dict[str, transfer.Sent] = {}
        self._stores = stores_memory.StoresMemory(clock)

    @contextlib.contextmanager
    def with_placement(self, context: Any, image_id: str, base_image: Optional[str],
                       local_store: Optional[str], must_be_active: bool,
                       delete_on_failure: bool) -> Iterator[None]:
        """Decide where an image goes, for the uploads of it inside the ``with`` block.

        :param base_image: the image that the instance was made from; None if it boots from a
            volume.
        :param local_store: the store in this compute's own Ceph cluster, or None.
        :param must_be_active: the image has to be active at the end of the block.
        :param delete_on_failure: delete the image's record when the block fails, since Nova will not.
        :raises nova.exception.ImageBadRequest: the store that the operator named cannot be used.
        """
        store = CONF.multistore_hooks.snapshot_store
        request = placements.UploadRequest(
            named=placements.StoreRef(store, '[multistore_hooks] snapshot_store') if store else None,
            base_image=base_image, local_store=local_store, resolve=CONF.multistore_hooks.resolve_base_image)
        try:
            placement = self._stores.decide_placement(images_for(context), request)
        except exceptions.StoreNotUsable as error:
            self._delete_record(context, image_id)
            raise exception.ImageBadRequest(image_id=image_id, response=str(error)) from error
        self._snapshots[image_id] = _Snapshot(placement, must_be_active)
        try:
            yield
        except Exception:
            if delete_on_failure:
                self._delete_record(context, image_id)
            raise
        finally:
            del self._snapshots[image_id]

    def _delete_record(self, context: Any, image_id: str) -> None:
        """Delete the record that was made for a snapshot; Nova does not when it shelves a server.

        The record is of this very snapshot, the server's disk is still there, and nothing else has been
        made from the image: so nothing is lost, whatever the image has become meanwhile.
        """
        why: Optional[Exception] = None
        for _waited in backoff.polls(DELETE_SECONDS, LONGEST_WAIT, clock=self._clock):
            try:
                self.delete(context, image_id)
                return
            except exception.ImageNotFound:
                return
            except (exception.ImageNotAuthorized, exception.ImageDeleteConflict) as error:
                why = error
                break
            except Exception as error:  # Glance's, Keystone's or, after its own retries, Nova's
                why = error
        LOG.warning('The record of image %(image)s, whose snapshot failed, could not be deleted: %(error)s',
                    {'image': image_id, 'error': why})

    def update(self, context: Any, id_or_uri: Any, image_info: Any, data: Any = None,
               purge_props: bool = False) -> Any:
        """Update an image as Nova does; a location that Glance does not take on leads to the upload instead.

        :raises nova.exception.ImageUnacceptable: Glance refused the location of a direct snapshot.
        :raises nova.exception.NovaException: it is not known whether it did, and the image must be active;
            or the image is not what was uploaded. In both cases it is deleted.
        """
        if 'location' not in image_info:
            return self._update_and_check(context, id_or_uri, image_info, data, purge_props)
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
            # Of many kinds, and perhaps that of a second attempt, after the first one's response was lost:
            # then the image is active, or will be.
            refusal = str(error)
        if not self._is_taken_on(context, id_or_uri, responded=updated is not None):
            raise _location_refused(id_or_uri, refusal)
        return updated

    def _update_and_check(self, context: Any, image_id: str, *args: Any) -> Any:
        image_info, data, purge_props = args
        try:
            updated = super().update(context, image_id, image_info, data=data, purge_props=purge_props)
            sent = self._sent.get(image_id)
            if sent is not None:  # Nova did not read the image after the upload, as all its releases do
                _check(context, image_id, sent, self._clock)
        finally:
            self._sent.pop(image_id, None)
        return updated

    def _is_taken_on(self, context: Any, image_id: str, responded: bool) -> bool:
        """Return whether a location became the image's data: since 2024.2 this follows Glance's response.

        Nova deletes the server's disk when a shelved server's image is there, and what the location
        points to when it is not: so neither may be believed too early. Where nothing depends on it, Glance is
        left to it in the end, as stock Nova leaves it at once.

        :param responded: Glance accepted the request; if not, its response was lost or was an error.
        """
        snapshot = self._snapshots.get(image_id)
        must_be_active = snapshot is None or snapshot.must_be_active
        limit = CONF.multistore_hooks.location_timeout if must_be_active else SNAPSHOT_SECONDS
        refused_after = REFUSED_SECONDS if responded else LOST_SECONDS
        images = images_for(context, lambda: POLL_SECONDS)
        why = ''
        for waited in backoff.polls(limit, LONGEST_WAIT, clock=self._clock):
            try:
                image = images.image(image_id)
            except api.NotFound as error:
                raise exception.ImageNotFound(image_id=image_id) from error
            except Exception as error:  # Glance's or, after its own retries, Nova's: no connection
                why = str(error)
                continue
            if image.status == 'active':
                return True
            if image.status == 'queued' and not image.import_task and waited >= min(refused_after, limit):
                return False
            why = 'its status is %s' % image.status
        if responded and not must_be_active:
            LOG.warning('Glance did not say within %(seconds)d seconds whether it took the location of image '
                        '%(image)s (%(why)s): the snapshot is left to Glance.',
                        {'seconds': limit, 'image': image_id, 'why': why})
            return True
        # Nova deletes the data now: Glance must not make the image active after that.
        self._delete_record(context, image_id)
        raise exception.NovaException('Glance did not say within %d seconds whether it took the location of '
                                      'image %s: %s' % (limit, image_id, why))

    def _get_session(self, _context: Any) -> Any:
        client = _PlacingClient(self._snapshots, self._sent, self._clock)
        return glance.GlanceImageServiceV2(client=client)

    def _get_session_and_image_id(self, context: Any, id_or_uri: Any) -> Tuple[Any, Any]:
        if '/' in str(id_or_uri):  # an image of another Glance
            return super()._get_session_and_image_id(context, id_or_uri)  # type: ignore
        return self._get_session(context), id_or_uri


def _location_refused(image_id: str, why: Any) -> Exception:
    return exception.ImageUnacceptable(  # type: ignore[no-any-return]
        image_id=image_id, reason='Glance refuses its location: %s' % why)


class _PlacingClient(glance.GlanceClientWrapper):
    """Nova's client wrapper; the upload of an image that has a placement goes the library's way."""

    def __init__(self, snapshots: Dict[str, _Snapshot], sent: Dict[str, transfer.Sent], clock: Any) -> None:
        super().__init__()
        self._snapshots, self._sent, self._clock = snapshots, sent, clock

    def call(self, context: Any, version: int, method: str, controller: Optional[str] = None,
             args: Any = None, kwargs: Any = None) -> Any:
        if method == 'add_location':
            args = self._with_store(args)
        if method == 'upload' and controller is None:
            return self._upload(context, *args)
        result = super().call(context, version, method, controller=controller, args=args, kwargs=kwargs)
        if method == 'get' and controller is None and args and args[0] in self._sent:
            # What Nova reads after an upload serves to check it.
            _check(context, args[0], self._sent.pop(args[0]), self._clock, api.Image.from_glance(result))
        return result

    def _upload(self, context: Any, image_id: str, data: Any) -> None:
        snapshot = self._snapshots.get(image_id)
        placement = snapshot.placement if snapshot else placements.decide(placements.UploadRequest())
        try:
            self._sent[image_id] = transfer.send(images_for(context), image_id, data, placement,
                                                 snapshot=True, clock=self._clock)
        except api.GlanceError as error:
            raise error.original or error  # Nova translates what its own client raises
        except exceptions.MultistoreError as error:
            raise exception.NovaException(str(error)) from error  # its text reaches the user

    def _with_store(self, args: Any) -> Any:
        """Return the arguments of ``add_location`` with the store of a direct snapshot."""
        image_id, url, metadata = args
        local_store = CONF.libvirt.images_rbd_glance_store_name if CONF.libvirt.images_type == 'rbd' else None
        # Nova puts it into the pool of its parent, which may be another store's.
        in_local_store = local_store and str(url).split('/')[3:4] == [CONF.multistore_hooks.glance_rbd_pool]
        return image_id, url, metadata or ({'store': local_store} if in_local_store else {})


def _check(context: Any, image_id: str, sent: transfer.Sent, clock: Any,
           record: Optional[api.Image] = None) -> None:
    try:
        transfer.check(images_for(context), image_id, sent, record, clock)
    except exceptions.MultistoreError as error:
        raise exception.NovaException(str(error)) from error  # its text reaches the user


class _BoundedSession:
    """A session that others use too, with a time limit of its own for each request.

    A copy of the session would not do: at its end keystoneauth closes the connections of both.

    :param seconds: the limit of a request that names none.
    """

    def __init__(self, session: Any, seconds: float) -> None:
        self._session, self._seconds = session, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        kwargs.setdefault('timeout', self._seconds)
        return self._session.request(url, method, **kwargs)

    # What keystoneauth's plugins call.

    def get(self, url: str, **kwargs: Any) -> Any:
        return self.request(url, 'GET', **kwargs)

    def head(self, url: str, **kwargs: Any) -> Any:
        return self.request(url, 'HEAD', **kwargs)

    def post(self, url: str, **kwargs: Any) -> Any:
        return self.request(url, 'POST', **kwargs)


class _ClientWrapper(glance.GlanceClientWrapper):
    """Nova's client wrapper, which runs our function with each attempt's client.

    :param get_timeout: see ``ClientImages``; Keystone is waited for no longer either.
    """

    def __init__(self, get_timeout: Optional[Callable[[], float]]) -> None:
        super().__init__()
        self._get_timeout = get_timeout

    def _create_onetime_client(self, context: Any, version: int) -> client.RetryLoopClient:
        if self._get_timeout is not None:
            # Authenticate now, with our limit, and let the plugins keep the tokens: later requests would
            # wait for Keystone without a limit.
            session, auth = glance._session_and_auth(context)
            auth.get_headers(_BoundedSession(session, self._get_timeout()))
        return client.RetryLoopClient(super()._create_onetime_client(context, version))


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


def images_for(context: Any, get_timeout: Optional[Callable[[], float]] = None) -> client.ClientImages:
    """Return the library's view of the Glance that Nova would use, with the rights of this context.

    :param get_timeout: see ``ClientImages``.
    """
    clients = _ClientWrapper(get_timeout)
    return client.ClientImages(
        lambda verb, function: clients.call(context, 2, verb, args=(function,)), get_timeout)
