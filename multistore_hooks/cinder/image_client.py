# SPDX-License-Identifier: Apache-2.0
"""The library's view of Glance on Cinder's own client, and what only Cinder requests of Glance.

Cinder's endpoints, credentials, timeouts and retries stay its own. A hang ends with ``[DEFAULT]
glance_request_timeout`` of cinder.conf, which Cinder leaves unset by default: a request then waits
without a limit.
"""

import inspect
import json
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional

from cinder.image import glance
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client
from multistore_hooks import options

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

#: How long Glance's task may take to accept a volume as an image, in seconds. It does not move
#: data, but it may have to wait for copies that keep Glance's workers busy.
ACCEPT_SECONDS = 600
#: How long a record has to be the same, in seconds, before it is believed: a replica of Glance's database
#: may lag behind. And the longest pause between two polls.
SETTLE_SECONDS, LONGEST_WAIT = 5, 2

_MEBIBYTE = 1 << 20
_PATCH = 'application/openstack-images-v2.1-json-patch'
_VOLUME_DRIVERS = ('cinder', 'volume')
#: Refusals of the newer location API where the older one may be for us: no rights there, or no such API.
_NOT_FOR_US = (401, 403, 404, 405)
_EXPIRED = 401


class LocationRefused(api.GlanceError):
    """Glance refused a location as an image's data, and has changed nothing."""


class NotTaken(api.GlanceError):
    """The record of an image is as it was before its location was sent, and no task is at it."""


class CinderImages(client.ClientImages):
    """ImageApi for Cinder, and a volume as an image's data.

    :param run: as in the base class, with the rights of the user.
    :param run_as_service: the same with Cinder's own credentials, where it has any (``[glance]`` of
        2025.2 and later); otherwise with the user's.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    """

    def __init__(self, run: client.Run, run_as_service: client.Run, clock: Any = time,
                 get_timeout: Optional[Callable[[], float]] = None) -> None:
        super().__init__(run, get_timeout if getattr(CONF, 'auth_strategy', '') == 'keystone' else None)
        self._run_as_service = run_as_service
        self._clock = clock

    def volume_stores(self) -> Optional[Dict[str, Optional[str]]]:
        """Return the stores that keep images on volumes, with the volume type that each is for.

        None where Glance does not list them (``stores/detail`` is for administrators, since Yoga, and
        for services, since 2025.1; and it fails as a whole if one store's driver is unknown to it).
        """
        try:
            body = self.request('stores', 'get', '/v2/info/stores/detail', run=self._run_as_service)[1]
            return {str(entry['id']): (entry.get('properties') or {}).get('volume_type')
                    for entry in body['stores'] if entry.get('type') in _VOLUME_DRIVERS}
        except Exception as error:
            LOG.debug('Glance does not show which of its stores keep images on volumes: %s', error)
            return None

    def add_volume(self, image_id: str, volume_id: str, store: Optional[str]) -> None:
        """Request that a volume be the data of a queued image.

        The older call comes first: only it takes the store's name. Where Glance hides locations, it
        is refused, and the newer one (2024.2) is for services.

        :param store: a store that keeps images on volumes; None leaves the choice to Glance, which
            then goes by the volume's type.
        :raises LocationRefused: by both calls, each at the first attempt: the volume is no image's data.
        :raises Exception: Glance's or Cinder's; the request may have taken effect.
        """
        url = 'cinder://%s' % '/'.join(part for part in (store, volume_id) if part)
        location = {'url': url, 'metadata': {'store': store} if store else {}}
        try:
            self.patch_location(image_id, location)
        except LocationRefused as hidden:
            if hidden.status != api.Forbidden.status:
                raise
            try:
                self.post_location(image_id, url)
            except LocationRefused as error:
                raise LocationRefused('%s; and before: %s' % (error, hidden), error.status)

    def patch_location(self, image_id: str, location: Dict[str, Any]) -> None:
        """Add a location by the older call, which needs ``show_multiple_locations``, with the user's rights.

        :raises LocationRefused: at the first attempt.
        :raises Exception: Glance's or Cinder's; the request may have taken effect.
        """
        self._once(self._run, lambda run: self._patch(
            image_id, {'op': 'add', 'path': '/locations/-', 'value': location}, run))

    def post_location(self, image_id: str, url: str) -> None:
        """Add a location to a queued image by the newer call (2024.2), which is for services.

        Glance reads the location after its response, and computes hashes (``do_secure_hash``).

        :raises LocationRefused: at the first attempt.
        :raises Exception: Glance's or Cinder's; the request may have taken effect.
        """
        # What Cinder 2025.1 and later put into validation_data, the store, is refused here.
        self._once(self._run_as_service, lambda run: self.request(
            'add_image_location', 'post', '/v2/images/%s/locations' % image_id,
            {'url': url, 'validation_data': {}}, run=run))

    @staticmethod
    def _once(run: client.Run, send: Callable[[client.Run], Any]) -> None:
        """Send a request; a refusal counts only if no earlier attempt can have taken effect."""
        attempts = []

        def counting(verb: str, function: Callable[[Any], Any]) -> Any:
            def attempt(handed: Any) -> Any:
                attempts.append(verb)
                return function(handed)
            return run(verb, attempt)

        try:
            send(counting)
        except api.GlanceError as error:
            if api.is_client_error(error) and len(attempts) == 1:
                raise LocationRefused(str(error), error.status) from error
            raise

    def accepted(self, image_id: str, settle: float = SETTLE_SECONDS) -> Optional[api.Image]:
        """Wait until Glance has decided on a location that may be an image's data.

        :param settle: seconds for which a record has to be the same before it is believed.
        :returns: the image if it is active; None if Glance is known not to have taken the location.
        :raises NotFound: the image is gone.
        :raises NotTaken: it is queued without a task, and has been for as long as ``settle``.
        :raises GlanceError: it is not known. It may still become active.
        """
        why, gone, changed = '', None, 0.0
        #: Since when the record has been seen as it was before the request; None: it is not so now.
        quiet_since: Optional[float] = None
        for waited in backoff.polls(ACCEPT_SECONDS, LONGEST_WAIT, shortest=0.1, clock=self._clock):
            try:
                image = self.image(image_id)
            except api.NotFound as error:
                gone, why, quiet_since = error, str(error), None
            except Exception as error:  # Glance's or, after its own retries, Cinder's: no connection
                gone, why, quiet_since = None, str(error), None
            else:
                gone, why = None, 'its status is %s' % image.status
                if image.status == 'active':
                    return image
                if image.import_task:
                    changed, why = waited, 'its task %s has not ended' % image.import_task
                if image.status == 'queued' and not image.import_task:
                    if self._task_failed(image_id):
                        return None
                    quiet_since = waited if quiet_since is None else quiet_since
                else:
                    quiet_since = None
            if waited - max(changed, quiet_since or 0.0) >= settle:
                break
        if gone is not None:
            raise gone
        raise (api.GlanceError if quiet_since is None else NotTaken)(
            'Glance did not make it active: %s' % why)

    def _task_failed(self, image_id: str) -> bool:
        for run in (self._run_as_service, self._run):  # a task is shown to whoever started it
            try:
                task = api.Task.newest(
                    self.request('get', 'get', '/v2/images/%s/tasks' % image_id, run=run)[1])
            except Exception as error:
                LOG.debug('Glance does not show the tasks of image %s: %s', image_id, error)
            else:
                if task is not None:
                    return task.status == 'failure'
        return False

    def exceeds_quota(self, size: int) -> bool:
        """Return whether the user's quota (unified limits) has no room for an image.

        False also where Glance does not say: before Xena, and where it has no unified limits.
        """
        try:
            total = self.request('get', 'get', '/v2/info/usage')[1]['usage']['image_size_total']
            return bool(0 <= total['limit'] < total['usage'] + size / _MEBIBYTE)
        except Exception as error:
            LOG.debug("Glance does not show the project's quota: %s", error)
            return False

    def discard(self, image_id: str) -> None:
        """Delete an image's record if it has no data; a failure is logged only.

        Only for a record that the caller's own request made. It must have no data for SETTLE_SECONDS:
        a replica of Glance's database may lag behind an upload, of this service or of the record's owner.
        """
        try:
            for _waited in backoff.polls(SETTLE_SECONDS, LONGEST_WAIT, clock=self._clock):
                image = self.image(image_id)
                if image.status not in ('queued', 'saving'):
                    LOG.debug('Image %s stays: its status is %s.', image_id, image.status)
                    return
            if image.record.get('protected'):
                self._patch(image_id, {'op': 'replace', 'path': '/protected', 'value': False}, self._run)
            self.delete(image_id)
            LOG.info('The record of image %s, which got no data, was deleted.', image_id)
        except api.NotFound:
            LOG.debug('Image %s is gone already.', image_id)
        except Exception as error:
            LOG.error('The record of image %(image)s, which got no data, could not be deleted (%(error)s): '
                      'delete it by hand.', {'image': image_id, 'error': error})

    def is_absent(self, image_id: str) -> bool:
        """Return whether there is no such image, for SETTLE_SECONDS: a replica may lag behind its creation.

        :raises Exception: Glance's or Cinder's; it is not known.
        """
        for _waited in backoff.polls(SETTLE_SECONDS, LONGEST_WAIT, clock=self._clock):
            try:
                self.image(image_id)
            except api.NotFound:
                continue
            return False
        return True

    def _patch(self, image_id: str, change: Dict[str, Any], run: client.Run) -> None:
        self.request('update', 'patch', '/v2/images/%s' % image_id, json.dumps([change]),
                     {'Content-Type': _PATCH}, run=run)


def images_for(context: Any, get_timeout: Optional[Callable[[], float]] = None) -> CinderImages:
    """Return the library's view of Cinder's Glance, with the rights of this context.

    :param get_timeout: see ``ClientImages``.
    """
    return CinderImages(_run_for(context), _run_for(context, **_as_service()), get_timeout=get_timeout)


def privileged_images_for(context: Any, get_timeout: Optional[Callable[[], float]] = None) -> CinderImages:
    """Return the same with the rights to have images copied.

    Those of the credentials in ``[multistore_hooks]``; else Cinder's own (``[glance]``, 2025.2 and later);
    else the user's, with a service token if ``[service_user] send_service_user_token`` is set.

    :raises Exception: keystoneauth's, if the credentials cannot be used.
    """
    if _has_credentials():
        run = _run_for(_Privileged(context))
    else:
        run = _run_for(context, **_as_service())
    return CinderImages(run, run, get_timeout=get_timeout)


class LastingImages:
    """Reads images with the rights of the user and, once the token has expired, with those for copies.

    :param make_privileged: returns the ImageApi with the latter.
    """

    def __init__(self, images: api.ImageApi, make_privileged: Callable[[], api.ImageApi]) -> None:
        self._images, self._make_privileged = images, make_privileged

    def image(self, image_id: str) -> api.Image:
        """Return an image as ``ImageLookup.image`` does."""
        try:
            return self._images.image(image_id)
        except api.GlanceError as error:
            if error.status != _EXPIRED:
                raise
        return self._make_privileged().image(image_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._images, name)


def add_rbd_image(context: Any, image_id: str, url: str, store: str) -> None:
    """Request that an RBD image be the data of a queued image.

    By the newer call, as Cinder does, because Glance then computes hashes and takes no location for an image
    that has data: with the rights of this context and of the service, then with the credentials in
    ``[multistore_hooks]``. Where it is not there, or not for us, by the older one.

    :raises LocationRefused: by all, each at the first attempt: the image has no data.
    :raises Exception: Glance's, Cinder's or Keystone's; the request may have taken effect.
    """
    images, refusals = images_for(context), []

    def patch() -> None:
        images.patch_location(image_id, {'url': url, 'metadata': {'store': store}})

    def post_as(requester: CinderImages) -> Callable[[], None]:
        return lambda: requester.post_location(image_id, url)

    privileged = [post_as(privileged_images_for(context))] if _has_credentials() else []
    for attempt in [post_as(images)] + privileged + [patch]:
        try:
            attempt()
            return
        except LocationRefused as error:
            refusals.append(error)
            if error.status not in _NOT_FOR_US:
                break
    raise LocationRefused('; and before: '.join(str(error) for error in reversed(refusals)),
                          refusals[-1].status)


def requester(context: Any) -> str:
    """Return a name for the rights of ``privileged_images_for``: equal names, equal rights."""
    if _has_credentials():
        return '[multistore_hooks]'
    if _has_own_credentials():
        return '[glance]'
    return 'project %s, roles %s' % (context.project_id, ','.join(sorted(context.roles or ())))


def may_copy(context: Any) -> bool:
    """Return whether ``privileged_images_for`` has rights that Glance may require for copies."""
    return bool(_has_credentials() or _has_own_credentials() or context.is_admin
                or getattr(getattr(CONF, 'service_user', None), 'send_service_user_token', False))


def _has_credentials() -> bool:
    return bool(CONF.multistore_hooks.auth_section or CONF.multistore_hooks.auth_type)


def _has_own_credentials() -> bool:
    return bool(_as_service() and getattr(CONF.glance, 'auth_type', None))


def _as_service() -> Dict[str, bool]:
    """Return the argument with which Cinder uses its own credentials, if it has any."""
    has_any = 'privileged_user' in inspect.signature(glance.GlanceClientWrapper).parameters
    return {'privileged_user': True} if has_any else {}


def _run_for(context: Any, **service: bool) -> client.Run:
    clients = _ClientWrapper()
    return lambda verb, function: clients.call(context, verb, function, **service)


class _Privileged:
    """A request's context with the credentials of ``[multistore_hooks]``."""

    _plugins: List[Any] = []

    def __init__(self, context: Any) -> None:
        self._context = context
        if not self._plugins:
            # Kept: the plugin holds a token, which the next request can use too.
            self._plugins.append(loading.load_auth_from_conf_options(CONF, options.GROUP))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def get_auth_plugin(self) -> Any:
        return self._plugins[0]


class _ClientWrapper(glance.GlanceClientWrapper):
    """Cinder's client wrapper, which hands each attempt's client to our function."""

    def _create_onetime_client(self, *args: Any, **kwargs: Any) -> client.RetryLoopClient:
        return client.RetryLoopClient(super()._create_onetime_client(*args, **kwargs))
