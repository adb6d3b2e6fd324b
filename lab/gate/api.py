# SPDX-License-Identifier: Apache-2.0
"""Requests to the cloud's services, as one of its users."""

import contextlib
import time
import typing

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1 import session

from lab.gate import sites
from lab import poll
from lab.poll import LabError

AGENT = 'gate'          # by which the gate's own requests are known, and not counted
POLL_SECONDS = 0.25
WAIT_SECONDS = 240
RETRIES = 4

Json = typing.Dict[str, typing.Any]

COMPUTE, IMAGE, VOLUME, IDENTITY = 'compute', 'image', 'block-storage', 'identity'
VOLUME_VERSION = '3.59'


class Refused(LabError):
    """A service refused a request; ``status`` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__('%d: %s' % (status, text))
        self.status = status


class Api:
    """The services as a user of a project sees them."""

    def __init__(self, user: str, project: str, compute_version: str = '') -> None:
        self._versions = {COMPUTE: compute_version, VOLUME: VOLUME_VERSION}
        auth = v3.Password(auth_url=sites.IDENTITY, username=user, password=sites.PASSWORD,
                           project_name=project, user_domain_name='Default',
                           project_domain_name='Default')
        self._session = session.Session(auth=auth, user_agent=AGENT)

    def call(self, service: str, method: str, path: str, document: typing.Optional[Json] = None,
             **options: typing.Any) -> typing.Any:
        """Send a request; return what the service responds with, None if that is nothing.

        :param options: for keystoneauth's Session.request
        :raises Refused: the service responded with an error.
        """
        if document is not None:
            options['json'] = document
        if method == 'GET':
            options['connect_retries'] = RETRIES
        try:
            self._authenticate()
            response = self._session.request(
                path, method, microversion=self._versions.get(service),
                endpoint_filter={'service_type': service, 'interface': 'public'}, **options)
        except exceptions.HttpError as error:
            raise Refused(error.http_status, _message(error)) from error
        except exceptions.ClientException as error:
            raise LabError('%s %s: %s' % (method, path, error)) from error
        if 'json' in response.headers.get('Content-Type', '') and response.content:
            return response.json()
        return None

    def _authenticate(self) -> None:
        # keystoneauth would give up after one connection that a busy machine has reset.
        for _ in range(RETRIES):
            with contextlib.suppress(exceptions.ConnectFailure):
                self._session.get_token()
                return
            time.sleep(POLL_SECONDS)

    def raw(self, service: str, path: str, **options: typing.Any) -> typing.Any:
        """Send a GET request; return requests' response, with any status."""
        return self._session.request(
            path, 'GET', raise_exc=False, endpoint_filter={'service_type': service,
                                                           'interface': 'public'}, **options)

    # ---- images ----------------------------------------------------------------------------

    def image(self, image_id: str) -> Json:
        """Return an image's record."""
        return typing.cast(Json, self.call(IMAGE, 'GET', '/v2/images/' + image_id))

    def images(self, name: str) -> typing.List[Json]:
        """Return the records of the images of a name."""
        return list(self.call(IMAGE, 'GET', '/v2/images?name=' + name)['images'])

    def make_image(self, name: str, path: str, stores: typing.Sequence[str],
                   disk_format: str = 'raw') -> str:
        """Upload a file as an image into the first store; return its id."""
        record = self.call(IMAGE, 'POST', '/v2/images', {
            'name': name, 'disk_format': disk_format, 'container_format': 'bare'})
        with open(path, 'rb') as data:
            self.call(IMAGE, 'PUT', '/v2/images/%s/file' % record['id'], data=data, headers={
                'Content-Type': 'application/octet-stream', 'X-Image-Meta-Store': stores[0]})
        return str(record['id'])

    def stores(self, image_id: str) -> typing.Set[str]:
        """Return the stores that an image is in, all of it."""
        record = self.image(image_id)
        coming = record.get('os_glance_importing_to_stores') or ''
        return _set(record.get('stores') or '') - _set(coming)

    def head_of(self, image_id: str, size: int) -> bytes:
        """Return the first bytes of an image's data."""
        response = self.raw(IMAGE, '/v2/images/%s/file' % image_id, stream=True)
        with response:
            data = b''
            for piece in response.iter_content(1 << 20):
                data += piece
                if len(data) >= size:
                    break
        return data[:size]

    # ---- waiting ---------------------------------------------------------------------------

    def wait(self, what: str, ask: typing.Callable[[], typing.Any],
             seconds: float = WAIT_SECONDS) -> typing.Any:
        """Send a request again and again, until the response is one; return it.

        :raises LabError: there is none in time
        """
        return poll.until(what, ask, seconds)


def _message(error: exceptions.HttpError) -> str:
    # Some services' errors have a shape that keystoneauth does not know.
    with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError, IndexError):
        document = error.response.json()
        if 'errors' in document:
            return str(document['errors'][0]['detail'])
        return str(next(iter(document.values()))['message'])
    return str(error.message)


def _set(text: str) -> typing.Set[str]:
    return set(filter(None, text.split(',')))
