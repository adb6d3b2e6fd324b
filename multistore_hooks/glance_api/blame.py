# SPDX-License-Identifier: Apache-2.0
"""What refused an upload: the store, a quota, a policy, a proxy, ... One pure table of causes.

Glance uses one status for unlike causes (410: the store takes nothing, and: the image was deleted during
the upload; 413: the store is full, and: a quota is used up), and a proxy before Glance has its own. So the
words of the response count too. They are Glance's own in every release from Train on.
"""

import re
from typing import Any
from typing import NamedTuple
from typing import Optional
from typing import Pattern
from typing import Tuple

from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _


class Cause(NamedTuple):
    """Why an upload failed."""

    #: A clause for an error message; of a store only what comes after its name.
    text: str
    #: The store is the cause: another one may take the image.
    is_store: bool = False


NO_STORE = Cause(_('does not exist in this Glance'), is_store=True)
STORE_DISABLED = Cause(_('takes no images: it is read-only, or Glance could not set it up when it started'),
                       is_store=True)
STORE_FULL = Cause(_('is full'), is_store=True)
STORE_FAILED = Cause(_('cannot be written to by Glance'), is_store=True)
REFUSED = Cause(_('refused the image'), is_store=True)
NO_ROOM = Cause(_('is full, or a limit is reached'), is_store=True)
SIGNATURE = Cause(_("the image's signature does not match its data"))
TOKEN = Cause(_('the token was not accepted, or expired during the upload'))
FORBIDDEN = Cause(_('the policy of Glance does not allow this user to upload the image'))
NO_IMAGE = Cause(_('the record of the image does not exist, or not for this user'))
OTHER_STATE = Cause(_('the image has data already, or another request is uploading it'))
DELETED = Cause(_('the image was deleted during its upload'))
QUOTA = Cause(_('a quota of the project is used up'))
IMAGE_TOO_LARGE = Cause(_('the image is larger than Glance allows (image_size_cap)'))
FORMAT = Cause(_('the data is not of the disk format of the record'))
CLIENT_GONE = Cause(_('the client sent less than it had announced, or closed the connection'))
GLANCE_FAILED = Cause(_('Glance failed, see the glance-api log'))
BAD_GATEWAY = Cause(_('a proxy got no response from Glance'))
UNAVAILABLE = Cause(_('Glance is not available'))
TIMED_OUT = Cause(_('a proxy did not wait for the response of Glance'))
NO_RESPONSE = Cause(_('the connection to Glance failed'))
UNKNOWN = Cause(_('Glance refused it'))

#: Status, words of the response (None: any), cause; the first that fits wins.
_TABLE: Tuple[Tuple[Optional[int], Optional[Pattern[str]], Cause], ...] = tuple(
    (status, re.compile(words, re.IGNORECASE) if words else None, cause) for status, words, cause in (
        (400, r'signature', SIGNATURE),
        (400, r'client disconnected|unexpected end|size mismatch|does not match the size', CLIENT_GONE),
        (400, r'store .*not found|unknown scheme|unknown store', NO_STORE),
        (400, None, REFUSED),
        (401, None, TOKEN),
        (403, None, FORBIDDEN),
        (404, None, NO_IMAGE),
        (409, None, OTHER_STATE),
        (410, r'deleted during the upload|could not be found after upload', DELETED),
        (410, None, STORE_DISABLED),
        (413, r'media is full', STORE_FULL),
        (413, r'quota|over limit|limit exceeded', QUOTA),
        (413, r'too large:|size limit|image_size_cap', IMAGE_TOO_LARGE),
        (413, None, NO_ROOM),
        (415, None, FORMAT),
        (500, None, GLANCE_FAILED),
        (502, None, BAD_GATEWAY),
        (503, r'storage media|store operation timed out', STORE_FAILED),
        (503, None, UNAVAILABLE),
        (504, None, TIMED_OUT),
        (None, None, NO_RESPONSE),
    ))


def cause_of(status: Optional[int], words: str) -> Cause:
    """Return the cause of a failed upload.

    :param status: of the HTTP response; None if there was none.
    :param words: the text of the response.
    """
    for wanted, pattern, cause in _TABLE:
        if status == wanted and (pattern is None or pattern.search(words)):
            return cause
    return UNKNOWN


def cause_of_error(error: BaseException) -> Cause:
    """Return the cause of a failed upload from what was raised: a GlanceError, or no response."""
    status: Any = getattr(error, 'status', None)
    if isinstance(error, api.GlanceError) and status is None:
        return UNKNOWN
    return cause_of(status if isinstance(status, int) else None, str(error))


def explain(cause: Cause, store: Optional[str]) -> str:
    """Return the clause for an error message.

    :param store: its id; None: Glance's default store, or the one that Glance chooses.
    """
    if not cause.is_store:
        return cause.text
    return '%s %s' % (_('the store %s') % store if store else _("Glance's store"), cause.text)
