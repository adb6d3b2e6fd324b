# SPDX-License-Identifier: Apache-2.0
"""One evictor for each image: a lock in Glance itself.

Glance's own locks do not help: an eviction takes none. What Glance does once only is to create a metadata
namespace of a name: its database has each name once, and a deleted one is gone. So a namespace is the lock.

It keeps apart all that evict by this library with the same Glance database, on whatever host. It does not
stop those that do not take it: ``glance stores-delete``, the deletion of the image, a copy, another
Glance with the same pool.
"""

import os
import socket
from types import TracebackType
from typing import Any
from typing import Mapping
from typing import Optional
from typing import Type
import uuid

from oslo_log import log as logging

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.stores import glance
from multistore_hooks.stores import units

LOG = logging.getLogger(__name__)

NAME = 'multistore-hooks::evict::%s'
#: Seconds after which a lock counts as left behind, by Glance's own clock.
EXPIRES = 6 * 3600


class LockHeld(exceptions.MultistoreError):
    """Another evictor has the image."""

    msg_fmt = _('Another eviction of image %(image_id)s is going on (%(holder)s). If that is not so, it ends '
                'after six hours, or with: glance md-namespace-delete %(name)s.')


class LockRefused(exceptions.MultistoreError):
    """Glance does not let this caller have the lock."""

    msg_fmt = _('Glance refuses the lock of image %(image_id)s: %(why)s. It is a metadata namespace: the '
                'policies add_metadef_namespace, get_metadef_namespace and delete_metadef_namespace have to '
                'admit these credentials.')


class LockLost(exceptions.MultistoreError):
    """The lock has become another's."""

    msg_fmt = _('The lock of image %(image_id)s was taken over by another eviction.')


def holder() -> str:
    """Return who this process is, in words that another process of the same host can check."""
    return 'host %s, process %d of %s' % (socket.gethostname(), os.getpid(), _process_space())


def _process_space() -> str:
    """Return what distinguishes containers and boots of a host: its process ids mean something only there."""
    try:
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as stream:
            boot = stream.read().strip()
        return '%s %s' % (boot, os.readlink('/proc/self/ns/pid'))
    except OSError:
        return 'unknown'


def is_dead(text: str) -> bool:
    """Return whether a holder was a process of this host, and is no more."""
    words = text.split(';')[0].split(' ')
    if len(words) < 6 or words[:2] != ['host', socket.gethostname() + ','] or not words[3].isdecimal():
        return False
    space = ' '.join(words[5:])
    if space == 'unknown' or space != _process_space():
        return False
    try:
        os.kill(int(words[3]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


class EvictionLock:
    """The lock of one image; a context manager."""

    def __init__(self, images: glance.StoreImages, image_id: str) -> None:
        self._images, self._image_id = images, image_id
        self._name = NAME % image_id
        self._text = '%s; %s' % (holder(), uuid.uuid4())

    def __enter__(self) -> 'EvictionLock':
        """Take the lock.

        :raises LockHeld: another one has it
        :raises LockRefused: the policy does not allow it
        :raises GlanceError: Glance does not respond as it should
        """
        try:
            if not self._take():
                self._take_over()
        except (api.Forbidden, api.BadRequest, api.NotFound) as error:
            raise LockRefused(image_id=self._image_id, why=error)
        return self

    def _take(self) -> bool:
        try:
            self._images.take_name(self._name, self._text)
        except api.Conflict:
            return False
        except api.GlanceError as error:
            if api.is_client_error(error) or not self._is_ours():  # its response may have been lost
                raise
        return True

    def _take_over(self) -> None:
        """Take a lock that was left behind; one at a time, as each would delete the other's new one."""
        breaking = self._name + '::break'
        try:
            self._images.take_name(breaking, self._text)
        except api.Conflict:
            raise LockHeld(image_id=self._image_id, holder='another process examines its lock', name=breaking)
        try:
            found = self._images.taken_name(self._name)
            if found is not None:
                if not self._left_behind(found, self._images.taken_name(breaking) or {}):
                    raise self._held(found)
                LOG.info('Image %(image)s: taking over the lock that was left by %(holder)s.',
                         {'image': self._image_id, 'holder': _shown(found)})
                self._images.give_name_back(self._name)
            if not self._take():
                raise self._held(self._images.taken_name(self._name) or {})
        finally:
            self._images.give_name_back(breaking)

    @staticmethod
    def _left_behind(found: Mapping[str, Any], newer: Mapping[str, Any]) -> bool:
        """Return whether a lock was left behind, by a newer namespace's time: Glance wrote both."""
        made, now = units.time_of(found.get('created_at')), units.time_of(newer.get('created_at'))
        expired = made is not None and now is not None and now - made > EXPIRES
        return is_dead(str(found.get('description'))) or expired

    def _held(self, found: Mapping[str, Any]) -> LockHeld:
        return LockHeld(image_id=self._image_id, holder=_shown(found), name=self._name)

    def _is_ours(self) -> bool:
        try:
            return (self._images.taken_name(self._name) or {}).get('description') == self._text
        except api.GlanceError:
            return False

    def check(self) -> None:
        """Make sure that the lock is still ours.

        :raises LockLost: it is not, or that cannot be determined
        """
        if not self._is_ours():
            raise LockLost(image_id=self._image_id)

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        """Give the lock back; what cannot be given back expires."""
        try:
            if self._is_ours():
                self._images.give_name_back(self._name)
        except api.GlanceError as problem:
            LOG.warning('The lock %(name)s could not be given back (%(error)s); it expires after six hours.',
                        {'name': self._name, 'error': problem})


def sweep(images: glance.StoreImages) -> None:
    """Give back the locks that processes which were killed have left behind."""
    try:
        for found in list(images.taken_names(NAME % '')):
            image_id = str(found.get('namespace'))[len(NAME % ''):]
            if is_dead(str(found.get('description'))) and '::' not in image_id:
                with EvictionLock(images, image_id):
                    pass
    except (api.GlanceError, LockHeld, LockRefused) as error:
        LOG.debug('Locks that may be left behind stay: %s', error)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one.get('description') == other.get('description'))


def _shown(found: Mapping[str, Any]) -> str:
    return str(found.get('description') or 'unknown').split(';')[0]
