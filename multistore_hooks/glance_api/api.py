# SPDX-License-Identifier: Apache-2.0
"""The one seam to Glance: a few verbs, value types, typed errors.

Nova, Cinder, the Glance filter and the command line each bring their own implementation;
everything behind the seams is written, and tested, against this one.
"""

import abc
from typing import Any
from typing import Dict
from typing import Iterable
from typing import Iterator
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import Type
import uuid

from multistore_hooks.glance_api import text

# The response header by which the filter announces, on GET /v2/info/stores, that uploads follow their
# base image.
FILTER_HEADER = 'X-OpenStack-Multistore-Hooks'
FILTER_TOKEN = 'base-image-ref'
# And that the image of a volume comes to one store of its base image only (colocate_volumes = primary).
ONE_STORE_TOKEN = 'volumes-in-one-store'
# In the same header of an upload: it is a server's snapshot. Uploads of volumes do not have the header.
SNAPSHOT = 'snapshot'

#: ``urn:uuid:{...}`` has 47 characters.
_LONGEST_ID = 50

STORE_HEADER = 'X-Image-Meta-Store'
BASE_IMAGE_HEADER = 'X-OpenStack-Base-Image-Ref'


class Store(NamedTuple):
    """One entry of Glance's store discovery (GET /v2/info/stores, since Rocky)."""

    id: str
    default: bool = False
    read_only: bool = False


class Stores(NamedTuple):
    """All stores of a Glance, in its order; empty where Glance does not have several stores."""

    stores: Tuple[Store, ...] = ()
    #: The filter is in front of this Glance, which therefore follows X-OpenStack-Base-Image-Ref.
    follows_base_image: bool = False
    #: The filter copies the image of a volume to the other stores of its base image.
    colocates_volumes: bool = False

    def get(self, store_id: str) -> Optional[Store]:
        """Return the store of exactly this id, or None."""
        return next((store for store in self.stores if store.id == store_id), None)

    @property
    def default(self) -> Optional[str]:
        """The id of the default store, or None."""
        return next((store.id for store in self.stores if store.default), None)

    @property
    def ids(self) -> Tuple[str, ...]:
        """The ids of all stores."""
        return tuple(store.id for store in self.stores)

    @classmethod
    def from_glance(cls, response: Mapping[str, Any], headers: Mapping[str, str]) -> 'Stores':
        """Read the body and the headers of a response; Glance writes its booleans as strings."""
        def true(entry: Mapping[str, Any], key: str) -> bool:
            return str(entry.get(key, '')).lower() == 'true'

        tokens = split_commas(headers.get(FILTER_HEADER))
        return cls(
            tuple(Store(str(entry['id']), true(entry, 'default'), true(entry, 'read-only'))
                  for entry in response.get('stores', ())),
            FILTER_TOKEN in tokens, FILTER_TOKEN in tokens and ONE_STORE_TOKEN not in tokens)


class StoreDetail(NamedTuple):
    """One entry of Glance's stores in detail (GET /v2/info/stores/detail, since Yoga)."""

    id: str
    #: Glance's name of the driver: ``rbd``, ``file``, ``cinder``, ...
    type: str
    #: Of the driver: an RBD store has its ``pool`` and, since 2023.2, its ``fsid``; a
    #: Cinder store its ``volume_type``.
    properties: Mapping[str, Any]

    @classmethod
    def from_glance(cls, entry: Mapping[str, Any]) -> 'StoreDetail':
        """Read one entry of the response."""
        return cls(str(entry['id']), str(entry.get('type') or ''), entry.get('properties') or {})


class Image(NamedTuple):
    """The fields of an image record (GET /v2/images/{id}) that the hooks read."""

    id: str
    status: str
    #: Bytes, or None while Glance does not know them.
    size: Optional[int]
    #: The stores that hold the image, in Glance's order; empty where Glance does not list them.
    stores: Tuple[str, ...]
    #: The stores that Glance is copying it to, and those where its last copy failed (Ussuri and later).
    importing_to: Tuple[str, ...]
    failed_import: Tuple[str, ...]
    #: The task that holds the image's lock (Ussuri's last and later), or None.
    import_task: Optional[str]
    #: The whole record, unchanged.
    record: Mapping[str, Any]

    @classmethod
    def from_glance(cls, record: Mapping[str, Any]) -> 'Image':
        """Read an image record; Glance writes lists of stores with commas between them."""
        size = record.get('size')
        return cls(id=str(record['id']),
                   status=str(record.get('status', '')),
                   size=None if size is None else int(size),
                   stores=split_commas(record.get('stores')),
                   importing_to=split_commas(record.get('os_glance_importing_to_stores')),
                   failed_import=split_commas(record.get('os_glance_failed_import')),
                   import_task=record.get('os_glance_import_task') or None,
                   record=record)

    def is_in(self, store: str) -> bool:
        """Return whether the record says that the store holds the image; a copy in progress is listed too."""
        return store in self.stores and store not in self.importing_to

    def url_in(self, store: str) -> str:
        """Return the URL of the image in a store, or an empty string where Glance hides locations."""
        for location in self.record.get('locations') or ():
            if location.get('metadata', {}).get('store') == store:
                return str(location.get('url', ''))
        return ''


class Task(NamedTuple):
    """Glance's record of an import (GET /v2/images/{id}/tasks, Wallaby and later)."""

    id: str
    status: str
    message: str

    @classmethod
    def newest(cls, response: Mapping[str, Any]) -> 'Optional[Task]':
        """Return the task of a response that was created last, or None."""
        tasks = sorted(response.get('tasks', ()), key=lambda task: str(task.get('created_at', '')))
        if not tasks:
            return None
        newest = tasks[-1]
        return cls(str(newest['id']), str(newest['status']), text.one_line(str(newest.get('message') or '')))


def canonical_id(written: Any) -> Optional[str]:
    """Return a UUID as Glance writes it, or None for what is none.

    What a user wrote may have capitals, braces or ``urn:uuid:``. Anything else must not get into a path, a
    header or a log line.
    """
    try:
        return str(uuid.UUID(written)) if isinstance(written, str) and len(written) <= _LONGEST_ID else None
    except ValueError:
        return None


def split_commas(joined: Optional[str]) -> Tuple[str, ...]:
    """Split a comma-separated list as Glance writes it; absent and empty are both no entries."""
    return tuple(part.strip() for part in (joined or '').split(',') if part.strip())


class GlanceError(Exception):
    """Glance responded with an error. Its text is one line of printable characters.

    ``status`` is the HTTP status, or None where the client library does not give one. ``original`` is
    what the service's own client raised, for seams whose callers expect just that.
    """

    status: Optional[int] = None

    def __init__(self, message: str, status: Optional[int] = None,
                 original: Optional[BaseException] = None) -> None:
        super().__init__(text.one_line(message))
        self.status = status if status is not None else self.status
        self.original = original


class BadRequest(GlanceError):
    """400: among others, an unknown store in an upload, or a copy to where the image already is."""

    status = 400


class Forbidden(GlanceError):
    """403: the policy does not allow it."""

    status = 403


class NotFound(GlanceError):
    """404: no such image, or not for this user; on discovery: Glance has one store only."""

    status = 404


class Conflict(GlanceError):
    """409: the image is in another state, or another import holds its lock."""

    status = 409


class Gone(GlanceError):
    """410: the store takes no images, or the image was deleted during its upload."""

    status = 410


class TooLarge(GlanceError):
    """413: the store is full, or a quota is used up."""

    status = 413


_BY_STATUS: Dict[Optional[int], Type[GlanceError]] = {
    error.status: error for error in (BadRequest, Forbidden, NotFound, Conflict, Gone, TooLarge)}


#: Responses of 4xx that are not about the request: it took too long, there were too many.
_BUSY = (408, 429)
#: Responses of a Glance that is restarted, or of a proxy in its place.
_AWAY = (502, 503, 504)


def is_client_error(error: BaseException) -> bool:
    """Return whether a retry is of no use: a response of 4xx, by Glance or by Keystone."""
    status = _status_of(error)
    return status is not None and 400 <= status < 500 and status not in _BUSY


def is_away(error: BaseException) -> bool:
    """Return whether Glance was not reached, so that a retry may succeed: no response, 408, 429, 502 to 504.

    An error without a status, of whatever class, counts as no response.
    """
    status = _status_of(error)
    return status is None or status in _BUSY + _AWAY


def _status_of(error: BaseException) -> Optional[int]:
    status = getattr(error, 'status', None) or getattr(error, 'http_status', None)
    return status if isinstance(status, int) else None


def error_for(status: Optional[int], message: str,
              original: Optional[BaseException] = None) -> GlanceError:
    """Return (not raise) the typed error for an HTTP status."""
    return _BY_STATUS.get(status, GlanceError)(message, status, original)


class ImageLookup(abc.ABC):
    """The requests that a placement needs."""

    @abc.abstractmethod
    def stores(self) -> Stores:
        """Return the stores that Glance offers; none where it does not have several (404).

        :raises GlanceError: for any other response than 200 and 404.
        """

    @abc.abstractmethod
    def image(self, image_id: str) -> Image:
        """Return an image, seen with the caller's own rights.

        :raises NotFound: no such image, or this caller may not see it.
        :raises GlanceError: for any other refusal.
        """


class ImageApi(ImageLookup):
    """All requests of the hooks to Glance."""

    @abc.abstractmethod
    def upload(self, image_id: str, body: 'Body', store: Optional[str] = None,
               base_image: Optional[str] = None, snapshot: bool = False, retry_store: bool = True) -> None:
        """Send an image's data: PUT /v2/images/{id}/file.

        :param body: rewound by the implementation before every attempt.
        :param store: sent, as it is, as X-Image-Meta-Store (Rocky and later).
        :param base_image: sent as X-OpenStack-Base-Image-Ref (specification of Ussuri).
        :param snapshot: sent to the filter: it is a server's snapshot and not a volume.
        :param retry_store: False: an error of the store itself is raised at once and not retried by the
            service, because the caller has another store.
        :raises GlanceError: Glance refused it; :mod:`blame` says for which cause.
        :raises CannotSendAgain: a second attempt was due and the body cannot go back.
        """

    @abc.abstractmethod
    def delete(self, image_id: str) -> None:
        """Delete an image.

        :raises GlanceError: Glance refused.
        """

    @abc.abstractmethod
    def list_images(self, **filters: str) -> Iterator[Image]:
        """Yield the images that Glance lists for this caller; an administrator sees all projects.

        One page at a time is requested, when the images before it are used up. What is created or
        deleted meanwhile may be missing or listed.

        :param filters: Glance's own, such as ``name``, ``owner`` or ``os_hidden`` ('false' by
            default: hidden images are listed by themselves).
        :raises GlanceError: Glance refused, while the images are read.
        """

    @abc.abstractmethod
    def delete_from_store(self, image_id: str, store: str) -> None:
        """Delete one of several copies of an image: DELETE /v2/stores/{store}/{image} (Ussuri and later).

        Glance takes no lock, and deletes the data before it saves the record: nothing else may delete or
        copy the same image meanwhile. The data may be kept all the same, in the trash of an RBD pool.

        :raises NotFound: no such image, or it is not in this store, or Glance has one store only.
        :raises Forbidden: it is the only copy, or the policy is not for this caller.
        :raises Conflict: no such store, the image is not active, or its data is in use there.
        :raises GlanceError: for any other refusal.
        """

    @abc.abstractmethod
    def stores_detail(self) -> Tuple[StoreDetail, ...]:
        """Return Glance's stores in detail; none where it has no such call (before Yoga).

        It is for administrators and, since 2025.1, for services. As it is about all stores at once,
        Glance responds with 500 if it does not know the driver of one.

        :raises Forbidden: the policy ``stores_info_detail`` is not for this caller.
        :raises GlanceError: for any other response than 200, 404 and 405.
        """

    @abc.abstractmethod
    def copy(self, image_id: str, stores: Iterable[str]) -> None:
        """Request copies of an image in more stores (copy-image, Ussuri and later).

        The copy goes on after the response.

        :raises BadRequest: the image is in one of them, or Glance has no copy-image.
        :raises Forbidden: the policy ``copy_image`` is not for this caller.
        :raises Conflict: another import holds the lock, or a store is unknown.
        """

    @abc.abstractmethod
    def import_methods(self) -> Tuple[str, ...]:
        """Return the import methods that Glance offers; none where it cannot import.

        :raises GlanceError: for any other response than 200 and 404.
        """

    @abc.abstractmethod
    def newest_task(self, image_id: str) -> Optional[Task]:
        """Return Glance's newest task on an image, or None if it has none or shows none.

        :raises GlanceError: for any other response than 200, 404 and 405.
        """

    @abc.abstractmethod
    def locations(self, image_id: str) -> Tuple[str, ...]:
        """Return the URLs of an image from the location API (2024.2 and later), if there is one.

        :raises Forbidden: the policy ``fetch_image_location`` is not for this caller.
        :raises GlanceError: for any other response than 200, 404 and 405.
        """


class Body(abc.ABC):
    """Data on its way to Glance, which can be sent more than once."""

    @abc.abstractmethod
    def rewind(self) -> None:
        """Go back to the beginning; called before every attempt, the first one too.

        :raises CannotSendAgain: something was read and there is no way back.
        """

    @abc.abstractmethod
    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""
