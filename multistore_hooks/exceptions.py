# SPDX-License-Identifier: Apache-2.0
"""The errors of a hook, apart from the responses of Glance (glance_api.api.GlanceError)."""

from typing import Any
from typing import Dict
from typing import Type

from multistore_hooks.i18n import _


class MultistoreError(Exception):
    """Base of the library's own errors: one line for an operator, made from the arguments."""

    msg_fmt = _('An unknown error in multistore_hooks.')

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(self.msg_fmt % kwargs)
        self.kwargs = kwargs

    def __reduce__(self) -> Any:
        return _make, (type(self), self.kwargs)


def _make(cls: Type[MultistoreError], kwargs: Dict[str, Any]) -> MultistoreError:
    return cls(**kwargs)


class StoreNotUsable(MultistoreError):
    """A store that an operator named cannot take an image.

    :param named_by: an option or a volume type; it is written as in the middle of a sentence.
    """

    msg_fmt = _("%(named_by)s names the Glance store '%(store)s', which %(why)s. %(there_are)s")

    def __init__(self, named_by: str, **kwargs: Any) -> None:
        super().__init__(named_by=named_by[:1].upper() + named_by[1:], **kwargs)


class NotAsSent(MultistoreError):
    """After an upload that Glance accepted, the image is not what was sent."""

    msg_fmt = _('Image %(image_id)s is not what was uploaded: %(why)s. %(what_now)s')


class CannotSendAgain(MultistoreError):
    """An upload has to be retried, but its data cannot be read a second time."""

    msg_fmt = _('The upload cannot be retried: %(sent)d bytes were already read and the source cannot be '
                'rewound (%(why)s).')


class CopyFailed(MultistoreError):
    """An image was not copied to a store."""

    msg_fmt = _('Image %(image_id)s is not in the store %(store)s: %(why)s.')

    #: The error concerns the requester only: the same request by another one may succeed.
    requester_specific = False


class NotAllowed(CopyFailed):
    """The requester may not see the image or have it copied, or its token has expired."""

    requester_specific = True


class CopyRefused(NotAllowed):
    """Glance refused the copy, as it will to every requester with the same rights."""


class ImageGone(CopyFailed):
    """The image to copy does not exist, was deleted, or is not visible to the requester."""

    requester_specific = True


class ComesAnotherWay(CopyFailed):
    """No copy was requested, since another host brings the image to this site in a way of its own."""


class WaitEnded(CopyFailed):
    """The requester's own time to wait is up; others may have more of it left."""

    requester_specific = True


class QuotaExceeded(CopyRefused):
    """A quota of the project that requested the copy is used up."""
