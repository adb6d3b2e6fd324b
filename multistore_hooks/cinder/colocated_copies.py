# SPDX-License-Identifier: Apache-2.0
"""The copies of an image that was made inside a Ceph cluster to the other stores of its base image.

An upload through Glance needs none of this: Glance itself copies the data that it receives.
"""

import threading
import time
from typing import Any
from typing import Callable
from typing import Optional
from typing import Sequence

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.cinder import image_client
from multistore_hooks.glance_api import api
from multistore_hooks.upload import colocation

LOG = logging.getLogger(__name__)

#: How long the copies wait for the task that computes the hashes of the image, in seconds: Glance gives up a
#: task without progress after an hour. And the longest pause between two requests.
COPIES_SECONDS, LONGEST_WAIT = 3600, 15


def in_background(function: Callable[[], None]) -> None:
    """Run a function in a thread, which is one of eventlet's where cinder-volume has those."""
    threading.Thread(target=function, daemon=True).start()


class Copies:
    """The copies of one image, which is active in its first store.

    :param context: of the request to upload the volume.
    :param images: Glance, with the rights of that request.
    :param store: where the image is.
    :param others: the stores to which Glance is to copy it.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``; :mod:`time`, or a test's.
    """

    in_background = staticmethod(in_background)

    def __init__(self, context: Any, images: image_client.CinderImages, image_id: str, store: str,
                 others: Sequence[str], clock: Any = time) -> None:
        self._context, self._images, self._clock = context, images, clock
        self._image_id, self._store, self._others = image_id, store, others

    def request(self) -> None:
        """Request them; a failure is logged, as the upload has succeeded.

        Glance refuses a copy while it computes the hashes of the image. A thread waits for that, because the
        volume is in state 'uploading' until this method returns.
        """
        failure = self._request()
        if isinstance(failure, api.Conflict):
            self.in_background(self._wait)
        else:
            self._log(failure)

    def _wait(self) -> None:
        self._context.update_store()  # the lines logged here are of the same request
        failure: Optional[Exception] = None
        polls = backoff.polls(COPIES_SECONDS, LONGEST_WAIT, clock=self._clock)
        next(polls)  # that was the first request
        for _waited in polls:
            failure = self._request()
            if not isinstance(failure, api.Conflict):
                break
        self._log(failure)

    def _log(self, failure: Optional[Exception]) -> None:
        colocation.log_copies(self._image_id, self._store, self._others, failure)

    def _request(self) -> Optional[Exception]:
        """Request the copies; return why that failed."""
        try:
            image_client.privileged_images_for(self._context).copy(self._image_id, self._others)
        except Exception as error:  # Glance's, Cinder's or Keystone's: logged, as the upload has succeeded
            return None if self._is_under_way() else error
        return None

    def _is_under_way(self) -> bool:
        """Return whether an earlier request, whose response was lost, has taken effect."""
        try:
            image = self._images.image(self._image_id)
        except Exception as error:  # not known, so the failed request counts, and is repeated or logged
            LOG.debug('Glance does not show image %(image)s: %(error)s',
                      {'image': self._image_id, 'error': error})
            return False
        return set(self._others) <= set(image.stores + image.importing_to)
