# SPDX-License-Identifier: Apache-2.0
"""An upload that follows a placement: headers, going back on a retry, checked afterwards."""

import io
import time
from typing import Any
from typing import Callable
from typing import NamedTuple
from typing import Optional
from typing import TypeVar
from typing import Union

from oslo_log import log as logging

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements

LOG = logging.getLogger(__name__)

T = TypeVar('T')

#: Seconds before each look at what arrived: a replica of Glance's database may lag behind the upload.
LOOKS = (0, 0.5, 1, 2, 4)


class CountedBody(api.Body):
    """What a service hands over as data, made to start again from where it began, and counted.

    Stock Nova and Cinder send a file again from where the first attempt stopped, and report the
    empty or truncated image as a success.

    :param data: bytes, or a file object; one that cannot seek can be sent once.
    """

    def __init__(self, data: Any) -> None:
        if isinstance(data, str):
            data = data.encode('utf-8')
        self._data = data if hasattr(data, 'read') else io.BytesIO(data)
        self._start: Optional[int] = None
        self._why = ''
        #: Bytes read since the last rewind: what the last attempt sent.
        self.sent = 0
        #: Bytes of all of it, once an attempt has come to its end. A later one may be refused before that,
        #: because an earlier one, whose answer was lost, has arrived.
        self.whole: Optional[int] = None
        try:
            self._start = self._data.tell()
        except Exception as error:  # whatever a driver's file object raises: it shows only on a retry
            self._why = str(error) or type(error).__name__

    def rewind(self) -> None:
        if not self.sent:
            return
        if self._start is None:
            raise exceptions.CannotSendAgain(sent=self.sent, why=self._why)
        try:
            self._data.seek(self._start)
        except Exception as error:
            raise exceptions.CannotSendAgain(sent=self.sent, why=error) from error
        self.sent = 0

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._data.read(size)
        self.sent += len(piece)
        if size < 0 or (size and not piece):
            self.whole = self.sent
        return piece


def decide_placement(images: api.ImageLookup, request: placements.UploadRequest) -> placements.Placement:
    """Ask Glance what the decision needs, and decide. Only a named store can make this fail.

    :raises StoreNotUsable: the operator named a store that does not exist or is read-only.
    """
    stores: Union[api.Stores, placements.Unavailable, None] = None
    base_image: Union[api.Image, placements.Unavailable, None] = None
    if placements.must_see_stores(request):
        stores = _ask(images.stores)
    if request.base_image and placements.must_see_base_image(request, stores):
        base_image = _ask(lambda: images.image(request.base_image or ''))
    return placements.decide(request, stores, base_image)


class Sent(NamedTuple):
    """An upload that Glance accepted: what it should have now."""

    #: Bytes.
    size: int
    #: Where they went in the end.
    placement: placements.Placement


def upload(images: api.ImageApi, image_id: str, data: Any, placement: placements.Placement,
           snapshot: bool = False) -> None:
    """Send an image's data where a placement says, and check what arrived: `send`, then `check`."""
    check(images, image_id, send(images, image_id, data, placement, snapshot))


def send(images: api.ImageApi, image_id: str, data: Any, placement: placements.Placement,
         snapshot: bool = False) -> Sent:
    """Send an image's data where a placement says; the caller checks what arrived.

    :param data: bytes or a file object.
    :param snapshot: it is a server's snapshot, which Glance's filter may treat unlike a volume's
        image.
    :raises GlanceError: Glance refused it; nothing but the service's own retries is tried again,
        except that an image for an inferred store which refuses it goes to the default store.
    :raises CannotSendAgain: a second attempt was due and the data cannot go back.
    """
    body = CountedBody(data)
    log = LOG.warning if placement.degraded else LOG.info
    log('Uploading image %(image)s to %(where)s: %(reason)s.',
        {'image': image_id, 'where': placement.where, 'reason': placement.reason})
    try:
        _send(images, image_id, body, placement.store, placement.base_image, snapshot)
    except api.GlanceError as error:
        if placement.fallback_store is None or not api.store_may_refuse(error.status):
            raise
        LOG.warning('Image %(image)s was refused, perhaps by %(where)s (%(error)s): uploading it to the '
                    'default store %(default)s.',
                    {'image': image_id, 'where': placement.where, 'error': error,
                     'default': placement.fallback_store})
        # Without the base image, or the filter would choose the same store again.
        try:
            _send(images, image_id, body, placement.fallback_store)
        except api.Conflict as conflict:
            # Glance has left the image as the first one made it, which is what has to be told.
            raise error from conflict
        placement = placement._replace(store=placement.fallback_store)
    return Sent(body.sent if body.whole is None else body.whole, placement)


def _send(images: api.ImageApi, image_id: str, body: CountedBody, *where: Any) -> None:
    """Upload; what arrived although its answer was lost, has arrived."""
    try:
        images.upload(image_id, body, *where)
    except Exception as error:
        if not _arrived(images, image_id, body.whole):
            raise
        LOG.warning('Image %(image)s is active and whole, although the answer to its upload was: %(error)s',
                    {'image': image_id, 'error': error})


def _arrived(images: api.ImageApi, image_id: str, size: Optional[int]) -> bool:
    """Tell whether an image has all that was sent; a gateway may have given up before Glance did."""
    if size is None:
        return False
    for pause in LOOKS:
        time.sleep(pause)
        image = _ask(lambda: images.image(image_id))
        if isinstance(image, placements.Unavailable) or image.status != 'saving':
            break
    return _is_whole(image, size)


def check(images: api.ImageApi, image_id: str, upload_sent: Sent, record: Optional[api.Image] = None) -> None:
    """Compare what Glance has with what was sent.

    :param record: the image as the service itself has just read it, which saves the first request.
    :raises NotAsSent: Glance has the image, but not what was sent; nobody will boot from it.
    """
    sent, placement = upload_sent
    image = _ask(lambda: record or images.image(image_id))
    for pause in LOOKS:
        if isinstance(image, placements.Unavailable) or _is_whole(image, sent):
            break
        time.sleep(pause)
        image = _ask(lambda: images.image(image_id))
    if isinstance(image, placements.Unavailable):
        LOG.warning('Image %(image)s was uploaded, but Glance cannot be asked whether it is complete '
                    '(%(why)s).', {'image': image_id, 'why': image.reason})
        return
    if image.status != 'active' or image.size != sent:
        raise exceptions.NotAsSent(
            image_id=image_id,
            # An image that is not active can be booted by nobody, and the service deletes it.
            what_now=_discard(images, image_id) if image.status == 'active' else 'It was left to itself.',
            why='%d bytes were sent, and Glance has %s bytes with the status %s'
                % (sent, image.size, image.status))
    LOG.info('Image %(image)s is active with %(size)d bytes in %(stores)s.',
             {'image': image_id, 'size': sent,
              'stores': ', '.join(image.stores) or "Glance's only store"})
    if placement.store and image.stores and placement.store not in image.stores:
        LOG.warning('Image %(image)s was meant for the store %(store)s, but Glance put it into '
                    '%(stores)s.', {'image': image_id, 'store': placement.store,
                                    'stores': ', '.join(image.stores)})


def _is_whole(image: Union[api.Image, placements.Unavailable], size: Optional[int]) -> bool:
    return isinstance(image, api.Image) and (image.status, image.size) == ('active', size)


def _discard(images: api.ImageApi, image_id: str) -> str:
    """Delete an image that nobody must boot from; return what became of it."""
    try:
        images.delete(image_id)
    except Exception as error:
        LOG.exception('The damaged image %s could not be deleted; delete it by hand.', image_id)
        return 'It could not be deleted (%s): delete it by hand.' % error
    return 'It was deleted.'


def _ask(question: Callable[[], T]) -> Union[T, placements.Unavailable]:
    """Ask Glance something that an upload can do without: it is never lost to the question."""
    try:
        return question()
    except Exception as error:
        LOG.debug('Glance could not be asked.', exc_info=True)
        return placements.Unavailable(str(error) or type(error).__name__)
