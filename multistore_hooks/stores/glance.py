# SPDX-License-Identifier: Apache-2.0
"""ImageApi for the commands that maintain stores: reads from one store, names that are taken once."""

from typing import Any
from typing import Iterator
from typing import Mapping
from typing import Optional
import urllib.parse

from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import client

#: A store that no Glance has: one that knows ``?prefer=`` refuses it.
_NO_STORE = 'multistore-hooks-asks-for-no-store'


class StoreImages(client.ClientImages):
    """ImageApi for the commands that maintain stores."""

    def everything(self) -> Iterator[api.Image]:
        """Yield all images that this caller may see, hidden ones too."""
        yield from self.list_images()
        yield from self.list_images(os_hidden='true')

    def prefers(self, image_id: str) -> bool:
        """Return whether this Glance reads from the store that a request prefers (2026.2 and later).

        :raises GlanceError: it cannot be determined
        """
        # Without a range: stores that read none (RBD, Swift, S3) refuse it with 400 in every Glance.
        try:
            response = self.request('data', 'get', self._file(image_id, _NO_STORE))[0]
        except api.BadRequest as error:
            if _NO_STORE in str(error):
                return True
            raise
        response.close()  # the data is not read
        return False

    @staticmethod
    def _file(image_id: str, store: str) -> str:
        return '/v2/images/%s/file?prefer=%s' % (image_id, urllib.parse.quote(store, safe=''))

    def read(self, image_id: str, store: str) -> Iterator[bytes]:
        """Yield the bytes of an image, from a store if Glance can read it there.

        Glance goes on to the image's other stores, and does not say so, if it cannot.

        :raises GlanceError: Glance refused, or no store has the data
        """
        body = self.request('data', 'get', self._file(image_id, store))[1]
        return iter(body or ())

    def take_name(self, name: str, text: str) -> None:
        """Create a metadata namespace, which only one caller can do: POST /v2/metadefs/namespaces.

        :raises Conflict: there is one of this name
        :raises Forbidden: the policy ``add_metadef_namespace`` is not for this caller
        :raises GlanceError: for any other refusal
        """
        self.request('post', 'post', '/v2/metadefs/namespaces', {
            'namespace': name, 'description': text, 'visibility': 'private', 'protected': False})

    def taken_name(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a metadata namespace (``description``, ``created_at``), or None if there is none.

        :raises GlanceError: for any other response than 200 and 404
        """
        try:
            found: Mapping[str, Any] = self.request('get', 'get', self._namespace(name))[1]
        except api.NotFound:
            return None
        return found

    def taken_names(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Yield the metadata namespaces whose name begins so.

        :raises GlanceError: Glance refused
        """
        path: Optional[str] = '/v2/metadefs/namespaces?' + urllib.parse.urlencode({'limit': client.PAGE})
        while path:
            body = self.request('get', 'get', path)[1]
            for found in body.get('namespaces', ()):
                if str(found.get('namespace')).startswith(prefix):
                    yield found
            path = body.get('next')

    def give_name_back(self, name: str) -> None:
        """Delete a metadata namespace; none is fine.

        :raises GlanceError: Glance refused
        """
        try:
            self.request('delete', 'delete', self._namespace(name))
        except api.NotFound:
            pass

    @staticmethod
    def _namespace(name: str) -> str:
        return '/v2/metadefs/namespaces/' + urllib.parse.quote(name, safe='')
