# SPDX-License-Identifier: Apache-2.0
"""What the checks request of a running Glance (and Cinder, for its volume types). None changes anything.

Two of them are requests that would change something if Glance would carry it out. It cannot, and
the refusal is the result: an upload into an image that does not exist shows whether a
store's driver was loaded; a copy into a store that does not exist shows whether copying is allowed.
"""

from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import Mapping
from typing import Optional
from typing import Tuple
from typing import TypeVar
import uuid

from multistore_hooks.cli import session
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client

T = TypeVar('T')

#: How many images are read.
MOST_IMAGES = 2000
_PAGE = 500
#: Can be no store's id: oslo.config splits the ids of stores at colons.
NO_STORE = 'multistore-status:no-such-store'

YES, NO, UNKNOWN = 'yes', 'no', 'unknown'

Errors = (session.CloudError, api.GlanceError)


class Cloud:
    """Glance's responses. Each request is sent once; none any more once Glance could not be reached."""

    def __init__(self, connection: session.Connection) -> None:
        self.connection = connection
        #: Known after `details`: Glance did not refuse them, but failed over them.
        self.details_fail = False
        self._responses: Dict[str, Tuple[bool, Any]] = {}
        self._unreachable: Optional[session.CloudError] = None

    @property
    def url(self) -> str:
        """Glance's address."""
        return self._once('url', self.connection.endpoint)

    def stores(self) -> api.Stores:
        """Return Glance's stores; none where it has only one.

        :raises session.CloudError: Glance could not be reached
        :raises api.GlanceError: Glance refused
        """
        return self._once('stores', self.connection.images.stores)

    def import_methods(self) -> Tuple[str, ...]:
        """Return the import methods that Glance offers. Raises as `stores` does."""
        return self._once('methods', self.connection.images.import_methods)

    def details(self) -> Optional[Dict[str, Mapping[str, Any]]]:
        """Return type and properties of every store by its id; None where Glance does not show it.

        Yoga and later, to administrators and services.
        """
        return self._once('details', self._details)

    def images(self) -> List[Mapping[str, Any]]:
        """Return the records of the newest images that can be seen. Raises as `stores` does."""
        return self._once('images', self._images)

    def image(self, image_id: str) -> Optional[api.Image]:
        """Return the record of an image as it is now; None if it is gone. Raises as `stores` does."""
        try:
            return self.connection.images.image(image_id)
        except api.NotFound:
            return None

    def loaded(self, store: str) -> str:
        """Return whether the driver of a store that Glance lists was loaded.

        :returns: YES, NO or UNKNOWN
        """
        return self._once('loaded ' + store, lambda: self._loaded(store))

    def volume_types(self) -> Optional[List[Mapping[str, Any]]]:
        """Return Cinder's volume types with their extra specs; None where Cinder does not show them."""
        return self._once('types', self._volume_types)

    def _once(self, what: str, request: Callable[[], T]) -> T:
        if self._unreachable is not None:
            raise self._unreachable
        if what not in self._responses:
            try:
                self._responses[what] = True, request()
            except session.CloudError as error:
                # Waiting for it again and again would take minutes.
                self._unreachable = error
                raise
            except api.GlanceError as error:
                self._responses[what] = False, error
        good, response = self._responses[what]
        if not good:
            raise response
        known: T = response
        return known

    def _get(self, path: str) -> Any:
        return self.connection.run('get', lambda glance: glance.http_client.get(path))[1]

    def _details(self) -> Optional[Dict[str, Mapping[str, Any]]]:
        try:
            stores = self._get('/v2/info/stores/detail').get('stores', ())
        except api.GlanceError as error:
            self.details_fail = (error.status or 0) >= 500
            return None
        return {store['id']: store for store in stores}

    def _images(self) -> List[Mapping[str, Any]]:
        found: List[Mapping[str, Any]] = []
        path = '/v2/images?limit=%d' % _PAGE
        while path and len(found) < MOST_IMAGES:
            page = self._get(path)
            found += page.get('images', ())
            path = page.get('next')
        return found[:MOST_IMAGES]

    def _loaded(self, store: str) -> str:
        def put(glance: Any) -> Any:
            http = client.carrying(glance.http_client, {api.STORE_HEADER: store})
            return http.put('/v2/images/%s/file' % uuid.uuid4(), data=b'',
                            headers={'Content-Type': 'application/octet-stream'})

        try:
            self.connection.run('upload', put)
        except api.GlanceError as error:
            if error.status == 404:  # the store was found, and then the image was not
                return YES
            if error.status in (400, 500):
                return NO
        return UNKNOWN

    def _volume_types(self) -> Optional[List[Mapping[str, Any]]]:
        for service in ('block-storage', 'volumev3'):
            types = self.connection.other(service, '/types?is_public=None&limit=1000')
            if isinstance(types, dict) and 'volume_types' in types:
                return list(types['volume_types'])
        return None


def usage(connection: session.Connection) -> Mapping[str, Mapping[str, Any]]:
    """Return usage and limit of each unified limit for the project of these credentials.

    Xena and later. None are returned where Glance has no such call, or keeps no unified limits.

    :raises session.CloudError: Glance could not be reached
    :raises api.GlanceError: Glance refused
    """
    try:
        body = connection.run('get', lambda glance: glance.http_client.get('/v2/info/usage'))[1]
    except api.GlanceError as error:
        if error.status in (404, 405):
            return {}
        raise
    return dict(body.get('usage') or {})


def may_copy(connection: session.Connection, image_id: str) -> Tuple[str, str]:
    """Return whether the policy ``copy_image`` lets these credentials have an image copied.

    Requests a copy into a store that does not exist. Glance checks the policy first (Victoria and
    later; Ussuri at the owner), then at the store, and then responds with 409: no task is made.

    :param image_id: an active image that the credentials see and no import is working on
    :returns: YES, NO or UNKNOWN, and what Glance said
    """
    try:
        connection.images.copy(image_id, [NO_STORE])
    except api.GlanceError as error:
        if error.status == 403:
            return NO, str(error)
        if error.status == 409 and NO_STORE in str(error):
            return YES, str(error)
        return UNKNOWN, str(error)
    return UNKNOWN, 'Glance accepted a copy into a store that does not exist'


def may_read_locations(connection: session.Connection, image_id: str) -> str:
    """Return '' if these credentials may read an image's locations, else why not.

    A Glance before 2024.2 has no such call, and refuses no request.

    :raises session.CloudError: Glance could not be reached
    :raises api.GlanceError: Glance failed
    """
    try:
        connection.images.locations(image_id)
    except api.Forbidden as error:
        return str(error)
    return ''
