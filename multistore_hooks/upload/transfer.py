# SPDX-License-Identifier: Apache-2.0
"""An upload that follows a placement: sent there, and checked afterwards.

This is the one place for a response that was lost: what arrived all the same is a success.
"""

import time
from typing import Any
from typing import Callable
from typing import NamedTuple
from typing import Optional
from typing import TypeVar
from typing import Union

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import counted_body
from multistore_hooks.upload import fallback
from multistore_hooks.upload import placements

LOG = logging.getLogger(__name__)

T = TypeVar('T')


def decide_placement(images: api.ImageLookup, request: placements.UploadRequest) -> placements.Placement:
    """Request what the decision needs, and decide. Only a named store can make this fail.

    :raises StoreNotUsable: the operator named a store that does not exist or is read-only.
    """
    stores: Union[api.Stores, placements.Unavailable, None] = None
    base_image: Union[api.Image, placements.Unavailable, None] = None
    if placements.must_see_stores(request):
        stores = _if_available(images.stores)
    if request.base_image and placements.must_see_base_image(request, stores):
        base_image = _if_available(lambda: images.image(request.base_image or ''))
    return placements.decide(request, stores, base_image)


class Sent(NamedTuple):
    """An upload that Glance accepted: what it should have now."""

    #: Bytes.
    size: int
    #: Where they went in the end.
    placement: placements.Placement


def upload(images: api.ImageApi, image_id: str, data: Any, placement: placements.Placement,
           snapshot: bool = False, clock: Any = time) -> None:
    """Send an image's data where a placement says, and check what arrived: `send`, then `check`."""
    check(images, image_id, send(images, image_id, data, placement, snapshot, clock), clock=clock)


def send(images: api.ImageApi, image_id: str, data: Any, placement: placements.Placement,
         snapshot: bool = False, clock: Any = time) -> Sent:
    """Send an image's data where a placement says; the caller checks what arrived.

    :param data: bytes or a file object.
    :param snapshot: it is a server's snapshot, which Glance's filter may treat unlike a volume's
        image.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    :raises GlanceError: Glance refused it. Only the service's own retries are made, and one at the default
        store where an inferred store refused it.
    :raises CannotSendAgain: a second attempt was due and the data cannot go back.
    """
    body = counted_body.CountedBody(data)
    log = LOG.warning if placement.degraded else LOG.info
    log('Uploading image %(image)s to %(where)s: %(reason)s.',
        {'image': image_id, 'where': placement.where, 'reason': placement.reason})

    def send_to(store: Optional[str], base_image: Optional[str]) -> None:
        another = placement.fallback_store not in (None, store)
        try:
            images.upload(image_id, body, store, base_image, snapshot and base_image is not None, not another)
            return
        except Exception as error:
            if not _may_have_arrived(body, error) or not _has_arrived(images, image_id, body.whole, clock):
                raise
            failure = error
        # Outside of the except block: oslo.log would append the exception to the line.
        LOG.warning('The upload of image %(image)s failed (%(error)s), but Glance reports the image '
                    'active and complete: it is a success.', {'image': image_id, 'error': failure})

    placement = fallback.send(images, image_id, placement, send_to, body.obstacle, clock)
    return Sent(body.sent if body.whole is None else body.whole, placement)


def _may_have_arrived(body: counted_body.CountedBody, error: Exception) -> bool:
    """Return whether an upload that failed may be complete: a gateway may have given up before Glance did.

    All of it must have been sent. After a refusal it is not complete; but if an earlier attempt arrived,
    Glance responds to the next one with 409. A 409 at the first attempt is about another request's data.
    """
    if body.whole is None:
        return False
    if isinstance(error, api.Conflict):
        return body.attempts > 1
    return not api.is_client_error(error)


def _has_arrived(images: api.ImageApi, image_id: str, size: Optional[int], clock: Any) -> bool:
    """Return whether Glance has an image with all that was sent; an upload that goes on is waited for."""
    image: Union[api.Image, placements.Unavailable, None] = None
    for _waited in backoff.polls(fallback.SETTLE_SECONDS, fallback.LONGEST, fallback.SHORTEST, clock):
        image = _if_available(lambda: images.image(image_id))
        if isinstance(image, placements.Unavailable) or image.status != 'saving':
            break
    return _is_whole(image, size)


def check(images: api.ImageApi, image_id: str, upload_sent: Sent, record: Optional[api.Image] = None,
          clock: Any = time) -> None:
    """Compare what Glance has with what was sent.

    :param record: the image as the service itself has just read it, which saves the first request.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    :raises NotAsSent: Glance has the image, but not what was sent. It accepted this upload, so the data is
        this one's, in part: an image that is active is deleted, so that no server boots from it.
    """
    sent, placement = upload_sent
    image: Union[api.Image, placements.Unavailable] = placements.Unavailable('')
    for waited in backoff.polls(fallback.SETTLE_SECONDS, fallback.LONGEST, fallback.SHORTEST, clock):
        image = record if record is not None and not waited else _if_available(lambda: images.image(image_id))
        if isinstance(image, placements.Unavailable) or _is_whole(image, sent):
            break
    if isinstance(image, placements.Unavailable):
        LOG.warning('Image %(image)s was uploaded, but its record cannot be read, so that it was not checked '
                    'whether it is complete (%(why)s).', {'image': image_id, 'why': image.reason})
        return
    if not _is_whole(image, sent):
        raise exceptions.NotAsSent(
            image_id=image_id,
            what_now=(_discard(images, image_id) if image.status == 'active'
                      else 'It was not deleted, as it is not active.'),
            why='%d bytes were sent, and Glance has %s bytes with the status %s'
                % (sent, image.size, image.status))
    LOG.info('Image %(image)s is active with %(size)d bytes in %(stores)s.',
             {'image': image_id, 'size': sent,
              'stores': ', '.join(image.stores) or "Glance's only store"})
    if placement.store and image.stores and placement.store not in image.stores:
        LOG.warning('Image %(image)s was meant for the store %(store)s, but Glance put it into '
                    '%(stores)s.', {'image': image_id, 'store': placement.store,
                                    'stores': ', '.join(image.stores)})


def _is_whole(image: Union[api.Image, placements.Unavailable, None], size: Optional[int]) -> bool:
    return isinstance(image, api.Image) and (image.status, image.size) == ('active', size)


def _discard(images: api.ImageApi, image_id: str) -> str:
    """Delete an image from which no server must boot; return a sentence with the outcome."""
    try:
        images.delete(image_id)
    except Exception as error:
        LOG.exception('The damaged image %s could not be deleted; delete it by hand.', image_id)
        return 'It could not be deleted (%s): delete it by hand.' % error
    return 'It was deleted.'


def _if_available(get: Callable[[], T]) -> Union[T, placements.Unavailable]:
    """Request something that an upload can do without: it never fails because of it."""
    try:
        return get()
    except Exception as error:
        LOG.debug('A request to Glance failed.', exc_info=True)
        return placements.Unavailable(str(error) or type(error).__name__)
