# SPDX-License-Identifier: Apache-2.0
"""When was each image used last? Glance does not know; a file of the operator's, and directories, may."""

from typing import Dict
from typing import Iterable
from typing import Mapping
from typing import Optional

from oslo_log import log as logging

from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import inventory
from multistore_hooks.stores import places
from multistore_hooks.stores import units

LOG = logging.getLogger(__name__)


class UsageError(exceptions.MultistoreError):
    """A file of last uses is not what it has to be."""

    msg_fmt = _("The usage file '%(file)s'%(line)s: %(why)s.")


def read(path: str) -> Dict[str, float]:
    """Return the last use of images, by id, from lines ``IMAGE,TIME``.

    TIME is as Glance writes it (``2026-01-31T12:00:00Z``), in seconds since 1970, or ``in use``.

    :raises UsageError: it cannot be read, or a line is not like that
    """
    found: Dict[str, float] = {}
    try:
        with open(path, encoding='utf-8') as stream:
            for number, line in enumerate(stream, 1):
                text = line.strip()
                if text and not text.startswith('#'):
                    image_id, _comma, when = (word.strip() for word in text.partition(','))
                    moment = _moment(when)
                    if moment is None:
                        raise UsageError(
                            file=path, line=' line %d' % number, why="'%s' is no time; write for example "
                            "2026-01-31T12:00:00Z, or 'in use'" % when)
                    found[image_id] = max(moment, found.get(image_id, 0))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(file=path, line='', why=getattr(error, 'strerror', None) or error)
    return found


def _moment(text: str) -> Optional[float]:
    if text == 'in use':
        return inventory.IN_USE
    try:
        return float(text)
    except ValueError:
        return units.time_of(text)


def of_places(subjects: Iterable[inventory.Subject],
              reached: Mapping[str, places.Place]) -> Dict[str, float]:
    """Return the last use of those images of which every copy shows it.

    A file shows when it was read last, unless its file system does not keep that (``noatime``). An RBD image
    shows that it has clones; without any, nothing is known.
    """
    found: Dict[str, float] = {}
    for subject in subjects:
        used = [_used(subject, store, reached) for store in subject.stores]
        known = [when for when in used if when is not None]
        if known and (len(known) == len(used) or max(known) == inventory.IN_USE):
            found[subject.id] = max(known)
    return found


def _used(subject: inventory.Subject, store: str, reached: Mapping[str, places.Place]) -> Optional[float]:
    place = reached.get(store)
    if place is None:
        return None
    try:
        if place.children(subject.id).clones:
            return inventory.IN_USE
        data = place.find(subject.id)
    except places.PlaceError as error:
        LOG.debug('The use of image %s in %s is not known: %s', subject.id, store, error)
        return None
    return None if data is None else data.used
