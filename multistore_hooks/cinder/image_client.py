# SPDX-License-Identifier: Apache-2.0
"""The library's view of Glance on Cinder's own client, and what only Cinder asks of Glance.

Cinder's endpoints, credentials, timeouts and retries stay its own. A hang ends with ``[DEFAULT]
glance_request_timeout`` of cinder.conf, which Cinder leaves unset by default: a request then waits
for ever.
"""

import inspect
import json
import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import Optional

from cinder import exception
from cinder.image import glance
import glanceclient.exc
from oslo_log import log as logging

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client

LOG = logging.getLogger(__name__)

#: How long Glance's task may take to accept a volume as an image, in seconds. It does not move
#: data, but it may have to wait for copies that keep Glance's workers busy.
ACCEPT_SECONDS = 600

_PATCH = 'application/openstack-images-v2.1-json-patch'
_VOLUME_DRIVERS = ('cinder', 'volume')


class CinderImages(client.ClientImages):
    """ImageApi for Cinder, and a volume as an image's data.

    :param run: as in the base class, with the rights of the user.
    :param run_as_service: the same with Cinder's own credentials, where it has any (``[glance]`` of
        2025.2 and later); otherwise with the user's.
    """

    def __init__(self, run: client.Run, run_as_service: client.Run) -> None:
        super().__init__(run)
        self._run_as_service = run_as_service

    def upload(self, image_id: str, body: api.Body, store: Optional[str] = None,
               base_image: Optional[str] = None, snapshot: bool = False) -> None:
        """Send an image's data; what arrived although its answer was lost, has arrived."""
        try:
            super().upload(image_id, body, store, base_image, snapshot)
        except (api.Conflict, exception.GlanceConnectionFailed) as error:
            if not self._is_active(image_id):
                raise
            LOG.warning('Image %(image)s is active, although Glance answered its upload with: %(error)s',
                        {'image': image_id, 'error': error})

    def _is_active(self, image_id: str) -> bool:
        try:
            return self.image(image_id).status == 'active'
        except Exception:
            LOG.debug('Glance could not be asked.', exc_info=True)
            return False

    def volume_stores(self) -> Optional[Dict[str, Optional[str]]]:
        """Return the stores that keep images on volumes, with the volume type that each is for.

        None where Glance does not tell (``stores/detail`` is for administrators, since Yoga, and
        for services, since 2025.1; and it fails as a whole if one store's driver is unknown to it).
        """
        try:
            _response, body = self._run_as_service('stores', _typed(
                lambda http: http.get('/v2/info/stores/detail')))
            return {str(entry['id']): (entry.get('properties') or {}).get('volume_type')
                    for entry in body['stores'] if entry.get('type') in _VOLUME_DRIVERS}
        except Exception as error:
            LOG.debug('Glance does not tell which of its stores keep images on volumes: %s', error)
            return None

    def add_volume(self, image_id: str, volume_id: str, store: Optional[str]) -> None:
        """Ask that a volume be the data of a queued image.

        The older call comes first: only it takes the store's name. Where Glance hides locations, it
        is refused, and the newer one (2024.2) is for services.

        :param store: a store that keeps images on volumes; None leaves the choice to Glance, which
            then goes by the volume's type.
        :raises GlanceError: refused by both.
        """
        url = 'cinder://%s' % '/'.join(part for part in (store, volume_id) if part)
        location = {'url': url, 'metadata': {'store': store} if store else {}}
        try:
            self._patch(image_id, {'op': 'add', 'path': '/locations/-', 'value': location})
        except api.Forbidden as hidden:
            try:
                # What Cinder 2025.1 and later put into validation_data, the store, is refused here.
                self._run_as_service('add_image_location', _typed(lambda http: http.post(
                    '/v2/images/%s/locations' % image_id, data={'url': url, 'validation_data': {}})))
            except (api.Forbidden, api.NotFound) as error:
                raise api.error_for(error.status, '%s; and before: %s' % (error, hidden))

    def accepted(self, image_id: str) -> Optional[api.Image]:
        """Wait until Glance has decided on a volume; return the image if active, else None.

        :raises GlanceError: no decision within ACCEPT_SECONDS, or Glance cannot be asked.
        """
        deadline = time.monotonic() + ACCEPT_SECONDS
        pause = 0.05
        while True:
            image = self.image(image_id)
            if image.status == 'active':
                return image
            if not image.record.get('os_glance_import_task'):
                return None
            if time.monotonic() > deadline:
                raise api.GlanceError('Glance did not accept it within %d seconds (task %s)' % (
                    ACCEPT_SECONDS, image.record['os_glance_import_task']))
            time.sleep(pause)
            pause = min(pause * 2, 2)

    def discard(self, image_id: str) -> None:
        """Delete an image's record if it is there and without data; a failure is logged only."""
        try:
            image = self.image(image_id)
            if image.status not in ('queued', 'saving'):
                return
            if image.record.get('protected'):
                self._patch(image_id, {'op': 'replace', 'path': '/protected', 'value': False})
            self.delete(image_id)
            LOG.info('The record of image %s, which got no data, was deleted.', image_id)
        except api.NotFound:
            LOG.debug('Image %s is gone already.', image_id)
        except Exception as error:
            LOG.error('The record of image %(image)s, which got no data, could not be deleted (%(error)s): '
                      'delete it by hand.', {'image': image_id, 'error': error})

    def _patch(self, image_id: str, change: Dict[str, Any]) -> None:
        self._run('update', _typed(lambda http: http.patch(
            '/v2/images/%s' % image_id, headers={'Content-Type': _PATCH}, data=json.dumps([change]))))


def _typed(send: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what ``run`` wants, a function of a glanceclient, from one of its http_client."""
    def once(handed: Any) -> Any:
        try:
            return send(handed.http_client)
        except glanceclient.exc.HTTPServiceUnavailable:
            raise  # Cinder's own loop knows it, and tries again
        except glanceclient.exc.HTTPException as error:
            status = error.code if isinstance(error.code, int) else None
            raise api.error_for(status, str(error), error) from error
    return once


def images_for(context: Any) -> CinderImages:
    """Return the library's view of Cinder's Glance, with the rights of this context."""
    clients = _HandedClients()
    service = {}
    if 'privileged_user' in inspect.signature(glance.GlanceClientWrapper).parameters:
        service['privileged_user'] = True
    return CinderImages(
        lambda verb, function: clients.call(context, verb, function),
        lambda verb, function: clients.call(context, verb, function, **service))


class _HandedClients(glance.GlanceClientWrapper):
    """Cinder's client wrapper, which hands each attempt's client to our function."""

    def _create_onetime_client(self, *args: Any, **kwargs: Any) -> client.RetryLoopClient:
        return client.RetryLoopClient(super()._create_onetime_client(*args, **kwargs))
