# SPDX-License-Identifier: Apache-2.0
"""The request for a copy: what would make it fail, sending it, and what its response means.

copy-image came with Glance Ussuri. Glance copies on its own after it has accepted the request.
"""

import enum
import re
from typing import NamedTuple
from typing import Optional
from typing import Tuple

from oslo_log import log as logging

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements

LOG = logging.getLogger(__name__)

METHOD = 'copy-image'
#: What the message of a Glance task says when a quota of the requester's project is used up.
_QUOTA = re.compile(r'\b(quota|limit|over limit|limits)\b', re.IGNORECASE)


class Outcome(enum.Enum):
    """What Glance made of a request."""

    ACCEPTED = 'accepted'
    BUSY = 'another import holds the image'
    #: Also when the image is there already: the next poll shows it.
    UNCLEAR = 'an error that may pass'
    AWAY = 'Glance was not reached'


class Job(NamedTuple):
    """One image for one store."""

    image_id: str
    store: str
    #: The option that names the store, for messages.
    named_by: str
    #: Names the rights of the requests for copies: equal where another requester would be refused alike.
    requester: str = ''


class CopyRequest:
    """Requests for copies of one image to one store.

    :param images: polls the image, with the rights of the caller.
    :param requester: requests the copy, with rights that the policy ``copy_image`` accepts.
    """

    def __init__(self, images: api.ImageApi, requester: api.ImageApi, job: Job) -> None:
        self._images, self._requester, self._job = images, requester, job
        #: Why the last request was not accepted.
        self.refusal = ''
        self._task_before: Optional[str] = None

    def check(self, image: api.Image) -> Tuple[str, ...]:
        """Find out what every request would meet, before one is sent; return the stores of this Glance.

        :raises CopyFailed: there is no such store, no copy-image, or no store to copy from.
        """
        try:
            stores, methods = self._images.stores(), self._images.import_methods()
        except Exception as error:  # Glance's, or the connection's: the request will show
            LOG.debug('Glance does not list its stores or its import methods: %s', error)
            return ()
        try:
            placements.check_named(placements.StoreRef(self._job.store, self._job.named_by), stores)
        except exceptions.StoreNotUsable as error:
            raise self.failed(str(error))
        if METHOD not in methods:
            raise self.failed('this Glance has no import method copy-image (enabled_import_methods, Ussuri '
                              'and later); it has: %s' % (', '.join(methods) or 'none'))
        if image.stores and not set(image.stores) & set(stores.ids):
            raise self.failed('it is in %s, and this Glance has none of these stores, only %s: copy it first '
                              'to a store that both have' % (', '.join(image.stores), ', '.join(stores.ids)))
        return stores.ids

    def send(self) -> Outcome:
        """Request the copy.

        :raises ImageGone: there is no such image any more.
        :raises NotAllowed: the requester may not have it copied (CopyRefused: nor may others with the same
            rights; QuotaExceeded: a quota of its project is used up).
        """
        job, self.refusal = self._job, ''
        if self._task_before is None:
            task = self.newest_task()
            self._task_before = task.id if task else ''
        try:
            self._requester.copy(job.image_id, [job.store])
        except api.Conflict as error:
            return self._not_accepted(error, Outcome.BUSY)
        except api.BadRequest as error:
            return self._not_accepted(error, Outcome.UNCLEAR)
        except api.Forbidden as error:
            raise self.refused(
                'Glance does not allow the copy (%s): its policy copy_image is for administrators by '
                'default. Admit service_roles:service there and set [service_user] send_service_user_token, '
                'or configure credentials in [multistore_hooks] that the policy accepts' % one_line(error))
        except api.NotFound as error:
            self._raise_if_gone()
            raise self.refused('the credentials used to request copies cannot see the image (%s): the '
                               '[multistore_hooks] user needs an admin role' % one_line(error))
        except api.TooLarge as error:
            raise self._over_quota(error)
        except exceptions.MultistoreError:
            raise
        except Exception as error:
            if api.is_client_error(error):
                why = 'Glance refuses the copy: %s' % one_line(error)
                raise (self.not_allowed if getattr(error, 'status', 401) == 401 else self.refused)(why)
            return self._not_accepted(error, Outcome.AWAY if api.is_away(error) else Outcome.UNCLEAR)
        return Outcome.ACCEPTED

    def _not_accepted(self, error: Exception, outcome: Outcome) -> Outcome:
        LOG.debug('Glance does not copy image %(image)s: %(error)s',
                  {'image': self._job.image_id, 'error': error})
        self.refusal = one_line(error)
        return outcome

    def _raise_if_gone(self) -> None:
        try:
            self._images.image(self._job.image_id)
        except api.NotFound as error:
            raise exceptions.ImageGone(image_id=self._job.image_id, store=self._job.store,
                                       why=one_line(error))
        except Exception as error:
            LOG.debug('Image %(image)s cannot be polled: %(error)s',
                      {'image': self._job.image_id, 'error': error})

    def newest_task(self) -> Optional[api.Task]:
        """Return Glance's newest task on the image; None if it has or shows none."""
        try:
            # Glance shows a task to the project that started it.
            return self._requester.newest_task(self._job.image_id)
        except Exception as error:
            LOG.debug('Glance does not show its tasks: %s', error)
            return None

    def check_task(self) -> None:
        """Find out whether the task of the last accepted request has failed before it began to copy.

        :raises CopyFailed: it has; the reason is in its text.
        """
        task = self.newest_task()
        if task is not None and task.id != self._task_before and task.status == 'failure':
            raise self.copy_failed()

    def copy_failed(self) -> exceptions.CopyFailed:
        """Return the error for a copy that Glance lists as failed."""
        task = self.newest_task()
        if task is not None and task.status == 'failure' and _QUOTA.search(task.message):
            return self._over_quota(task.message)
        return self.failed('the copy failed, see the glance-api log for the cause%s' % says(task))

    def failed(self, why: str) -> exceptions.CopyFailed:
        """Return the error for whatever concerns every requester."""
        return exceptions.CopyFailed(image_id=self._job.image_id, store=self._job.store, why=why)

    def comes_another_way(self) -> exceptions.ComesAnotherWay:
        """Return the error that ends all waits of this site: another of its hosts makes a site image."""
        return exceptions.ComesAnotherWay(image_id=self._job.image_id, store=self._job.store,
                                          why='another host of this site makes a site image of it')

    def not_allowed(self, why: str) -> exceptions.NotAllowed:
        """Return the error for this requester alone, whose token has expired, say."""
        return exceptions.NotAllowed(image_id=self._job.image_id, store=self._job.store, why=why)

    def refused(self, why: str) -> exceptions.CopyRefused:
        """Return the error for all requesters with the same rights."""
        return exceptions.CopyRefused(image_id=self._job.image_id, store=self._job.store, why=why)

    def _over_quota(self, text: object) -> exceptions.QuotaExceeded:
        return exceptions.QuotaExceeded(
            image_id=self._job.image_id, store=self._job.store,
            why='a quota of the project that requested the copy is used up (%s); for image_stage_total '
                'Glance counts an image of that project twice while it copies it' % one_line(text))


def says(task: Optional[api.Task]) -> str:
    """Return what a task of Glance says, in brackets; an empty string if there is none."""
    if task is None:
        return ''
    if task.status == 'success':  # it is so for a store that failed too, as all_stores_must_succeed is off
        return ' (its task %s)' % task.id
    return ' (its task %s is %s: %s)' % (task.id, task.status, one_line(task.message))


def one_line(text: object) -> str:
    """Return a text without line breaks."""
    return ' '.join(str(text).split())
