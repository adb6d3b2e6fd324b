# SPDX-License-Identifier: Apache-2.0
"""What Glance says of an image that a disk is to be cloned from; a Glance that restarts is waited for."""

from typing import Any
from typing import Callable
from typing import Optional
from typing import TypeVar

from keystoneauth1 import exceptions
from nova import exception
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.glance_api import api
from multistore_hooks.nova import image_api
from multistore_hooks.nova import site_copy

LOG = logging.getLogger(__name__)

#: How long a Glance that cannot be reached is waited for, in seconds, and between two attempts at most:
#: it may be restarted just when a boot begins.
RESTART_SECONDS, LONGEST_WAIT = 60, 5

T = TypeVar('T')


def until_reached(image_id: str, request: Callable[[], T]) -> T:
    """Send Glance a request about an image, and again while it cannot be reached.

    :raises nova.exception.GlanceConnectionFailed: Glance was still unreachable after RESTART_SECONDS.
    :raises GlanceError: any other error, or a 502, 503 or 504 that persisted that long.
    :raises keystoneauth1.exceptions.ClientException: Keystone's; likewise.
    """
    for waited in backoff.polls(RESTART_SECONDS, LONGEST_WAIT):
        try:
            return request()
        except (exception.GlanceConnectionFailed, api.GlanceError, exceptions.ClientException) as error:
            if waited >= RESTART_SECONDS or not api.is_away(error):
                raise
            LOG.info('Glance cannot be reached about image %(image)s, retrying: %(error)s',
                     {'image': image_id, 'error': error})
    raise AssertionError('the last poll ends the loop')


def raw_image(context: Any, image_id: str, patient: bool) -> Optional[api.Image]:
    """Return an image, or None if it cannot be cloned wherever it is: an ISO could be copied in vain.

    :param patient: wait for a Glance that cannot be reached.
    :raises Exception: as of :func:`until_reached`, of a Glance or Keystone that was still unreachable; only
        if patient.
    """
    images = image_api.images_for(context, lambda: site_copy.REQUEST_SECONDS)

    def request() -> api.Image:
        return images.image(image_id)

    try:
        image = until_reached(image_id, request) if patient else request()
    except (api.GlanceError, exceptions.ClientException) as error:
        if patient and api.is_away(error):
            raise
        LOG.debug('Glance does not show the image %(image)s: %(error)s', {'image': image_id, 'error': error})
        return None
    return image if image.record.get('disk_format') == 'raw' else None


def locations(context: Any, image_id: str) -> Any:
    """Return what the location API shows, which by default is for administrators and services."""
    try:
        return image_api.images_for(image_api.privileged(context),
                                    lambda: site_copy.REQUEST_SECONDS).locations(image_id)
    except Exception as error:  # Glance's or Keystone's: there is another way
        LOG.debug('Glance does not show the locations of image %(image)s: %(error)s',
                  {'image': image_id, 'error': error})
        return ()
