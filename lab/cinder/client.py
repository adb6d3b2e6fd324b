# SPDX-License-Identifier: Apache-2.0
"""The requests to Cinder that tests need, by name."""
import typing

import requests

from lab import poll
from lab.poll import LabError

# The router of newer releases takes only hexadecimal projects for projects.
PROJECT = '5d2c6f0a9b1e4c7f8a3b6d9e0f1a2b3c'
MEMBER = 'demo:%s:member,reader' % PROJECT
ADMIN = 'admin:%s:admin,member,reader' % PROJECT
MICROVERSION = 'volume 3.50'
Json = typing.Dict[str, typing.Any]


class Refused(Exception):
    """Cinder responded with an error.

    :ivar status: HTTP status
    """

    def __init__(self, method: str, path: str, response: requests.Response) -> None:
        super().__init__('%s %s: HTTP %d: %s'
                         % (method, path, response.status_code, response.text.strip()))
        self.status = response.status_code


class Client:
    """Talks to a Cinder of the lab.

    :ivar url: the API's root, with the project in it
    :ivar microversion: of the API, for what newer releases have
    """

    url = ''
    microversion = MICROVERSION

    def __init__(self, auth: str) -> None:
        self._auth = auth

    def request(self, method: str, path: str, body: typing.Optional[Json] = None,
                token: str = MEMBER) -> Json:
        """Send one request below :attr:`url` and return the response's JSON ({} when empty).

        :raises Refused: for a status of 400 or more
        """
        if self._auth == 'noauth':
            token = ':'.join(token.split(':')[:2])
        response = requests.request(
            method, self.url + path, json=body, timeout=poll.SECONDS,
            headers={'X-Auth-Token': token, 'OpenStack-API-Version': self.microversion})
        if response.status_code >= 400:
            raise Refused(method, path, response)
        return response.json() if response.content else {}

    def create_type(self, name: str, extra_specs: typing.Optional[Json] = None) -> str:
        """Create a public volume type with ``extra_specs`` in the same request; return its id."""
        body = {'volume_type': {'name': name, 'extra_specs': extra_specs or {}}}
        return self.request('POST', '/types', body, ADMIN)['volume_type']['id']

    def create_volume(self, image: typing.Optional[str] = None, size: int = 1,
                      volume_type: typing.Optional[str] = None, name: str = 'volume',
                      timeout: float = poll.SECONDS) -> str:
        """Create a volume of ``size`` GiB, from ``image`` if given; return its id when available.

        :raises LabError: when it ends in error
        """
        body: Json = {'name': name, 'size': size}
        if image:
            body['imageRef'] = image
        if volume_type:
            body['volume_type'] = volume_type
        made = self.request('POST', '/volumes', {'volume': body})['volume']['id']
        self.wait_volume(made, timeout)
        return made

    def upload(self, volume_id: str, name: str = 'uploaded', disk_format: str = 'raw',
               container_format: str = 'bare', force: bool = False) -> str:
        """Request an upload of the volume, and return the image's id at once.

        :raises Refused: when the API refuses it
        """
        action = {'os-volume_upload_image': {
            'image_name': name, 'disk_format': disk_format,
            'container_format': container_format, 'force': force}}
        response = self.request('POST', '/volumes/%s/action' % volume_id, action)
        return response['os-volume_upload_image']['image_id']

    def volume(self, volume_id: str) -> Json:
        """Return the volume as the API shows it."""
        return self.request('GET', '/volumes/' + volume_id)['volume']

    def wait_volume(self, volume_id: str, timeout: float = poll.SECONDS) -> Json:
        """Wait until the volume is available or in use again, and return it.

        :raises LabError: when it ends in error
        """
        def settled() -> bool:
            found.update(self.volume(volume_id))
            return found['status'] in ('available', 'in-use') or found['status'].startswith('error')
        found: Json = {}
        poll.until('end of the work on volume ' + volume_id, settled, timeout)
        if found['status'].startswith('error'):
            raise LabError('volume %s is %s' % (volume_id, found['status']))
        return found

    def delete_volume(self, volume_id: str) -> None:
        """Delete the volume and wait until it is gone."""
        self.request('DELETE', '/volumes/' + volume_id)
        poll.until('end of volume ' + volume_id, lambda: self.is_gone(volume_id))

    def is_gone(self, volume_id: str) -> bool:
        """Return whether there is no such volume."""
        try:
            self.volume(volume_id)
        except Refused as gone:
            if gone.status != 404:
                raise
            return True
        return False

    def messages(self) -> typing.List[Json]:
        """Return the messages that Cinder keeps for the user about failed operations."""
        return self.request('GET', '/messages')['messages']
