# SPDX-License-Identifier: Apache-2.0
"""What is logged of the copies of an image to the other stores of its base image."""

from typing import Optional
from typing import Sequence

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


def log_copies(image_id: str, store: Optional[str], others: Sequence[str],
               failure: Optional[Exception]) -> None:
    """Log that the copies were requested, or why they are not made.

    Not for an except block: there oslo.log would append the exception to the line.
    """
    named = {'image': image_id, 'store': store, 'others': ', '.join(others)}
    if failure is not None:
        LOG.warning('Image %(image)s is in %(store)s, but Glance does not copy it to the other stores of '
                    'its base image, %(others)s: %(error)s', dict(named, error=failure))
    else:
        LOG.info('Image %(image)s is in %(store)s, and Glance copies it to the other stores of its base '
                 'image, %(others)s.', named)
