# SPDX-License-Identifier: Apache-2.0
"""The fall-back to the default store: the one place, for the hooks and for Glance's filter.

An upload goes there once, when the store that was inferred from the base image refuses it, and only if
Glance has put the record back to ``queued`` and the data can be sent once more. An error of the way to
Glance, a quota or a policy would meet it again in any store, and is raised as it is.
"""

import time
from typing import Any
from typing import Callable
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.glance_api import api
from multistore_hooks.glance_api import blame
from multistore_hooks.upload import placements

LOG = logging.getLogger(__name__)

#: Seconds for which a record may be out of date: a replica of Glance's database may lag behind. And the
#: shortest and the longest pause between two polls of it.
SETTLE_SECONDS, SHORTEST, LONGEST = 8, 0.5, 2

#: Sends the data to a store (None: Glance chooses) with a base image; raises GlanceError.
SendTo = Callable[[Optional[str], Optional[str]], None]


def send(images: api.ImageLookup, image_id: str, placement: placements.Placement, send_to: SendTo,
         obstacle: Callable[[], Optional[str]], clock: Any = time) -> placements.Placement:
    """Send an upload to the store of its placement and, if that refuses it, to the default store.

    :param obstacle: returns why the data cannot be sent once more, or None.
    :param clock: has ``monotonic()`` and ``sleep(seconds)``.
    :returns: the placement, with the store that took it.
    :raises GlanceError: what the first store said, if the image cannot go to another one; else what the
        default store said.
    """
    try:
        send_to(placement.store, placement.base_image)
        return placement
    except api.GlanceError as error:
        refusal = error
    # Outside of the except block: oslo.log would append the exception to each line.
    cause = blame.cause_of_error(refusal)
    if placement.fallback_store is None or not cause.is_store:
        raise refusal
    refused = {'image': image_id, 'cause': blame.explain(cause, placement.store), 'error': refusal,
               'default': placement.fallback_store,
               'obstacle': obstacle() or _obstacle_in_record(images, image_id, clock)}
    if refused['obstacle']:
        LOG.warning('Image %(image)s was not accepted: %(cause)s (%(error)s). It cannot be sent to the '
                    'default store %(default)s instead: %(obstacle)s.', refused)
        raise refusal
    LOG.warning('Image %(image)s was not accepted: %(cause)s (%(error)s). Sending it to the default '
                'store %(default)s.', refused)
    try:
        # Without the base image, or the filter would choose the same store again.
        send_to(placement.fallback_store, None)
    except api.Conflict as conflict:
        # Glance has left the image as the first attempt made it: that is what has to be reported.
        raise refusal from conflict
    return placement._replace(store=placement.fallback_store)


def _obstacle_in_record(images: api.ImageLookup, image_id: str, clock: Any) -> Optional[str]:
    """Return why Glance would not take the image once more, as far as its record shows; or None."""
    status = 'queued'
    for _waited in backoff.polls(SETTLE_SECONDS, LONGEST, SHORTEST, clock):
        try:
            status = images.image(image_id).status
        except api.NotFound:
            return 'the image was deleted'
        except Exception as error:  # the default store is tried all the same: nothing is lost by it
            LOG.debug('The record of image %s could not be read: %s', image_id, error)
            return None
        if status != 'saving':
            break
    return None if status == 'queued' else 'its status is %s' % status
