# SPDX-License-Identifier: Apache-2.0
"""The requests to Cinder, one method each, with typed results and errors."""

import time
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Optional
import urllib.parse
import uuid

import keystoneauth1.exceptions
from oslo_log import log as logging

from multistore_hooks.i18n import _
from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import images

LOG = logging.getLogger(__name__)

# The attachments API with a mode, since Rocky; see attaches_without_server().
VERSION = 'volume 3.54'
# Before 3.31 a filter that Cinder's operator does not allow is left out, not refused.
LISTING_VERSION = 'volume 3.27'
_NO_ENDPOINT = ("Keystone's catalog has no endpoint for service_type, region_name and valid_interfaces of "
                'this store (%s)')
_MAYBE_DONE = (500, 502, 503, 504)


class CinderError(errors.VolumeStoreError):
    """Cinder refused a request, or did not respond.

    :ivar status: HTTP status, None without a response.
    """

    msg_fmt = _('Cinder: %(request)s: %(why)s')

    @property
    def status(self) -> Optional[int]:
        """Return the HTTP status, or None without a response."""
        return self.kwargs.get('status')


class NotFound(CinderError):
    """There is no such thing."""


class Refused(CinderError):
    """It is not possible now, in the state that the volume is in (400, 409)."""


class OverQuota(CinderError):
    """The project's quota, or the backend, has no room (413)."""


class Denied(CinderError):
    """The store's credentials are not allowed to (401, 403)."""


class Unresponsive(CinderError):
    """No response, or one of a failing server: the request may have been carried out."""


_BY_STATUS = {400: Refused, 401: Denied, 403: Denied, 404: NotFound, 409: Refused, 413: OverQuota}


class Cinder:
    """Cinder with the credentials of a store.

    Every request raises CinderError, or the subclass that says what the response means: NotFound, Refused,
    OverQuota, Denied, or Unresponsive.

    :param adapter: a keystoneauth1 adapter with authentication, endpoint and timeout.
    :param retries: how often a request that is safe to repeat is repeated when it gets no response.
    :param attach_timeout: seconds for a request during which the backend attaches or detaches; None: as
        the adapter has it.
    """

    def __init__(self, adapter: Any, retries: int = 3, attach_timeout: Optional[float] = None,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._adapter = adapter
        self._retries = retries
        self._attach_timeout = attach_timeout
        self._sleep = sleep
        self._project: Optional[str] = None

    def project(self) -> str:
        """Return the id of the project that the credentials are for.

        :raises CinderError: neither Keystone nor the endpoint's URL shows it.
        """
        if self._project is None:
            try:
                found = self._adapter.get_project_id()
                if not found:  # a token that was given as such: the URL has the project at its end
                    path = urllib.parse.urlsplit(self._adapter.get_endpoint() or '').path
                    found = path.rstrip('/').rpartition('/')[2]
            except (keystoneauth1.exceptions.ClientException, ValueError) as error:
                raise Unresponsive(request='the project of the credentials', why=_line(error)) from error
            if not found or (found.startswith('v') and len(found) < 4):
                raise CinderError(request='the project of the credentials',
                                  why="neither Keystone nor the endpoint's URL shows it")
            self._project = str(found)
        return self._project

    def create_volume(self, gib: int, name: str, description: str, metadata: Dict[str, str],
                      volume_type: Optional[str]) -> images.Volume:
        """Have a volume created, and return it as it is then: its state is 'creating'.

        :param gib: its size in GiB.
        :param volume_type: a name or an id; None: Cinder's default type.
        :raises Unresponsive: Cinder may create it all the same.
        """
        body: Dict[str, Any] = {'size': gib, 'name': name, 'description': description,
                                'metadata': metadata}
        if volume_type:
            body['volume_type'] = volume_type
        return images.Volume.from_cinder(self._request('POST', '/volumes', {'volume': body})['volume'])

    def volume(self, volume_id: str) -> images.Volume:
        """Return a volume as Cinder has it now.

        :raises NotFound: there is none, or it is of another project.
        """
        return images.Volume.from_cinder(self._repeat('GET', '/volumes/' + volume_id)['volume'])

    def volumes_named(self, name: str) -> List[images.Volume]:
        """Return the newest volumes, at least those of a name: Cinder may ignore the name."""
        query = urllib.parse.urlencode({'name': name, 'sort': 'created_at:desc'})
        found = self._repeat('GET', '/volumes/detail?' + query, version=LISTING_VERSION)
        return [images.Volume.from_cinder(volume) for volume in found['volumes']]

    def delete_volume(self, volume_id: str) -> None:
        """Have a volume deleted; Cinder responds before it tries.

        :raises NotFound: it is gone already.
        :raises Refused: its state does not admit it.
        """
        self._repeat('DELETE', '/volumes/' + volume_id)

    def extend(self, volume_id: str, gib: int) -> None:
        """Have a volume extended to so many GiB; its state is 'extending' until that is done.

        :raises Refused: its state, or its backend, does not admit it.
        """
        self._action(volume_id, {'os-extend': {'new_size': gib}})

    def set_read_only(self, volume_id: str) -> None:
        """Let a volume be attached for reading only."""
        self._action(volume_id, {'os-update_readonly_flag': {'readonly': True}}, again=True)

    def add_metadata(self, volume_id: str, metadata: Dict[str, str]) -> None:
        """Set keys of a volume's metadata, and keep the others."""
        self._repeat('POST', '/volumes/%s/metadata' % volume_id, {'metadata': metadata})

    def volume_types(self) -> Dict[str, str]:
        """Return the names of the volume types that the store may use, by their ids."""
        return {one['id']: one['name'] for one in self._repeat('GET', '/types')['volume_types']}

    def message(self, volume_id: str) -> Optional[Dict[str, str]]:
        """Return Cinder's newest message for users about a volume: ``event_id``, ``user_message``."""
        query = urllib.parse.urlencode({'resource_uuid': volume_id, 'sort': 'created_at:desc'})
        found = [one for one in self._repeat('GET', '/messages?' + query)['messages']
                 if one.get('resource_uuid') == volume_id]
        return found[0] if found else None

    def attaches_without_server(self) -> bool:
        """Return whether this Cinder attaches volumes to other users than servers.

        Cinder 17.4.0, 18.1.0, 19.0.0 and later do. The version numbers of the API do not show it, so an
        attachment of a volume that does not exist is requested.
        """
        try:
            self.attachment_create(str(uuid.uuid4()), 'ro')
        except NotFound:
            return True
        except CinderError as error:
            if error.status == 406 or (error.status == 400 and 'instance_uuid' in str(error)):
                return False
            raise
        return True

    def default_type(self) -> str:
        """Return the name of the volume type that a volume gets when none is named."""
        return str(self._repeat('GET', '/types/default')['volume_type']['name'])

    def attachment_create(self, volume_id: str, mode: str) -> str:
        """Return the id of a new attachment, that is bound to no host yet.

        :param mode: 'ro' or 'rw'.
        """
        found = self._request('POST', '/attachments', {'attachment': {
            'volume_uuid': volume_id, 'connector': None, 'mode': mode}})
        return str(found['attachment']['id'])

    def attachment_update(self, attachment: str, connector: Dict[str, Any]) -> Dict[str, Any]:
        """Let a host in, and return how it reaches the volume, as os-brick wants it.

        Of a file on a share the response has a format which Cinder 27 and older guess from the file's
        content; only the attachment itself, if it is requested, has the format that Cinder gave the file.
        """
        path = '/attachments/' + attachment
        found = self._request('PUT', path, {'attachment': {'connector': connector}},
                              timeout=self._attach_timeout)
        connection = dict(found['attachment']['connection_info'])
        if 'format' in connection:
            shown = self._repeat('GET', path)['attachment'].get('connection_info') or {}
            connection['format'] = shown.get('format', connection['format'])
        return connection

    def attachment_complete(self, attachment: str) -> None:
        """Report that the volume is connected to the host."""
        self._repeat('POST', '/attachments/%s/action' % attachment, {'os-complete': None})

    def attachment_list(self, volume_id: str) -> Dict[str, str]:
        """Return the ids of a volume's attachments and the state of each; none of a server.

        An image volume that Cinder registered is in its owner's project: an administrator sees its
        attachments by all_tenants only, and the owner's servers, which may have it reserved for days.
        """
        query = urllib.parse.urlencode({'volume_id': volume_id, 'all_tenants': '1'})
        found = self._repeat('GET', '/attachments?' + query, version=LISTING_VERSION)
        return {one['id']: one['status'] for one in found['attachments']
                if one['volume_id'] == volume_id and not one.get('instance')}

    def attachment_exists(self, attachment: str) -> bool:
        """Return whether Cinder still knows an attachment, and so keeps its place for it."""
        try:
            self._repeat('GET', '/attachments/' + attachment)
        except NotFound:
            return False
        return True

    def attachment_delete(self, attachment: str) -> None:
        """Delete an attachment; one that is gone is no error."""
        try:
            self._repeat('DELETE', '/attachments/' + attachment, timeout=self._attach_timeout)
        except NotFound:
            pass

    def _action(self, volume_id: str, body: Any, again: bool = False) -> None:
        (self._repeat if again else self._request)('POST', '/volumes/%s/action' % volume_id, body)

    def _repeat(self, method: str, path: str, body: Any = None, version: str = VERSION,
                timeout: Optional[float] = None) -> Any:
        """Send a request that is safe to repeat."""
        for attempt in range(self._retries + 1):
            try:
                return self._request(method, path, body, version, timeout)
            except Unresponsive as error:
                if attempt == self._retries:
                    raise
                LOG.warning('%s (retrying)', error)
                self._sleep(min(0.5 * 2 ** attempt, 5))
        raise AssertionError('not reached')

    def _request(self, method: str, path: str, body: Any = None, version: str = VERSION,
                 timeout: Optional[float] = None) -> Any:
        request = '%s %s' % (method, path.partition('?')[0])
        arguments: Dict[str, Any] = {} if body is None else {'json': body}
        if timeout is not None:
            arguments['timeout'] = timeout
        try:
            response = self._adapter.request(
                path, method, raise_exc=False, headers={'OpenStack-API-Version': version}, **arguments)
        except (keystoneauth1.exceptions.ConnectionError,
                keystoneauth1.exceptions.RetriableConnectionFailure) as error:
            raise Unresponsive(request=request, why=_line(error)) from error
        except keystoneauth1.exceptions.EndpointNotFound as error:
            raise CinderError(request=request, why=_NO_ENDPOINT % _line(error)) from error
        except keystoneauth1.exceptions.ClientException as error:  # before the request: no token
            raise CinderError(request=request, why=_line(error)) from error
        except ValueError as error:  # keystoneauth's, where the catalog has no such region
            raise CinderError(request=request, why=_NO_ENDPOINT % _line(error)) from error
        if response.status_code < 300:
            return _json(response, request) if response.content else {}
        kind = Unresponsive if response.status_code in _MAYBE_DONE else _BY_STATUS.get(
            response.status_code, CinderError)
        raise kind(request=request, status=response.status_code, why='%d: %s%s' % (
            response.status_code, _message(response), _request_id(response)))


def _json(response: Any, request: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise Unresponsive(request=request, why='the response is no JSON') from error


def _message(response: Any) -> str:
    """Return the message of an error response, in one line."""
    try:
        inner = next(iter(response.json().values()))
        return ' '.join(str(inner['message']).split())
    except Exception:  # a proxy's page, or JSON of any shape
        return ' '.join(response.text.split())[:200] or 'without a message'


def _request_id(response: Any) -> str:
    found = response.headers.get('x-openstack-request-id')
    return ' (%s)' % found if found else ''


def _line(error: BaseException) -> str:
    # The rest repeats it in the longer words of requests and urllib3.
    return ' '.join(str(error).split()).partition(': HTTP')[0] or type(error).__name__
