# SPDX-License-Identifier: Apache-2.0
"""Durations, sizes and shares as people write them, and back."""

import datetime
import re
from typing import Optional
from typing import Tuple

_SECONDS = {'minute': 60, 'hour': 3600, 'day': 86400, 'week': 7 * 86400}
_BYTES = {'B': 1, 'KiB': 1 << 10, 'MiB': 1 << 20, 'GiB': 1 << 30, 'TiB': 1 << 40, 'PiB': 1 << 50}


def seconds_of(text: str) -> int:
    """Return the seconds of a duration: ``60 days``, ``12 hours``, ``8w``.

    :raises ValueError: it is none; the text of the error says which there are
    """
    found = re.match(r'(\d+) ?(minute|min|hour|h|day|d|week|w)s?\Z', text.strip())
    if not found:
        raise ValueError("'%s' is no duration; write for example '60 days', '12 hours' or '8 weeks'" % text)
    return int(found.group(1)) * next(
        seconds for unit, seconds in _SECONDS.items() if unit.startswith(found.group(2)))


def bytes_of(text: str) -> int:
    """Return the bytes of a size: ``500 GiB``, ``1.5 TiB``.

    :raises ValueError: it is none
    """
    found = re.match(r'(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB|PiB)\Z', text.strip())
    if not found:
        raise ValueError("'%s' is no size; write for example '500 GiB' or '1.5 TiB'" % text)
    return int(float(found.group(1)) * _BYTES[found.group(2)])


def share_of(text: str) -> Tuple[float, int]:
    """Return ``20%`` as (0.2, 0), and a size as (0.0, bytes).

    :raises ValueError: it is neither
    """
    found = re.match(r'(\d+(?:\.\d+)?) ?%\Z', text.strip())
    if found and float(found.group(1)) <= 100:
        return float(found.group(1)) / 100, 0
    try:
        return 0.0, bytes_of(text)
    except ValueError:
        raise ValueError("'%s' is neither a share nor a size; write for example '20%%' or '500 GiB'" % text)


def show_bytes(size: Optional[int]) -> str:
    """Return a size in the unit that suits it."""
    if size is None:
        return 'unknown size'
    for unit in ('PiB', 'TiB', 'GiB', 'MiB', 'KiB'):
        if size >= _BYTES[unit]:
            return '%.1f %s' % (size / _BYTES[unit], unit)
    return '%d B' % size


def counted(number: int, one: str, more: str = '') -> str:
    """Return a number with its noun: ``1 copy``, ``2 copies``.

    :param more: the plural, where it is not the singular with an s
    """
    return '%d %s' % (number, one if number == 1 else more or one + 's')


def time_of(text: object) -> Optional[float]:
    """Return a time that Glance writes (``2026-01-31T12:00:00Z``) in seconds since 1970, or None."""
    found = re.match(r'(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)', str(text or ''))
    if not found:
        return None
    try:
        moment = datetime.datetime.strptime('%s %s' % found.groups(), '%Y-%m-%d %H:%M:%S')
    except ValueError:
        return None
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()
