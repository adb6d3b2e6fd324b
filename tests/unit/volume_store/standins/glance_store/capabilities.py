# SPDX-License-Identifier: Apache-2.0
"""Stands for glance_store.capabilities."""

import enum
import functools

from glance_store import exceptions


class BitMasks(enum.IntEnum):
    READ_RANDOM = 7
    WRITE_ACCESS = 8
    DRIVER_REUSABLE = 64


def check(function):
    """A store that is not configured does not take images."""
    @functools.wraps(function)
    def checked(store, *args, **kwargs):
        if function.__name__ == 'add' and not store.writable:
            raise exceptions.StoreAddDisabled()
        return function(store, *args, **kwargs)
    return checked
