# SPDX-License-Identifier: Apache-2.0
"""Stores as a person names them: ``a,b``, ``all``, or the name of a file that lists them."""

import itertools
import os
from typing import Iterable
from typing import List
from typing import Sequence
from typing import Tuple

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.upload import placements

ALL = 'all'
#: Options that take several stores.
OPTIONS = ('--to', '--store', '--not-in')


class NoStore(exceptions.MultistoreError):
    """An option names no store at all."""

    msg_fmt = _('%(option)s names no store.')


class StoresFileError(exceptions.MultistoreError):
    """A file of store names cannot be read, or has none."""

    msg_fmt = _("%(option)s: the file '%(file)s' %(why)s.")


def explain(words: Sequence[str], unknown: Sequence[str]) -> str:
    """Return how to name several stores, if a command line has them apart after one option; else ''.

    argparse takes the first for the option's value, and does not know what the others are.

    :param unknown: the words that argparse does not know
    """
    for number, word in enumerate(words):
        if word in OPTIONS:
            after = list(itertools.takewhile(lambda one: not one.startswith('-'), words[number + 1:]))
            if len(after) > 1 and set(after[1:]) <= set(unknown):
                return 'Several stores are written with commas and no spaces: %s %s' % (word, ','.join(after))
    return ''


def parse(words: Iterable[str], option: str, stores: api.Stores, writable: bool = True) -> Tuple[str, ...]:
    """Return the stores that an option names, each once, in the order given.

    A word is a store, several with commas between them, ``all`` (that take images), or a path with a slash in
    it: of a file with a store in each line.

    :raises StoreNotUsable: Glance does not have one, or it is read-only
    :raises NoStore: none is named
    :raises StoresFileError: a file cannot be read
    """
    found: List[str] = []
    for word in words:
        for name in _from_file(word, option) if os.sep in word else word.split(','):
            name = name.strip()
            if name == ALL and stores.get(ALL) is None:
                found += [store.id for store in stores.stores if not store.read_only]
            elif name:
                found.append(_known(name, option, stores, writable))
    if not found:
        raise NoStore(option=option)
    return tuple(dict.fromkeys(found))


def one(name: str, option: str, stores: api.Stores) -> str:
    """Return the one store that an option names; it may be read-only. ``all`` and lists are none.

    :raises StoreNotUsable: Glance does not have it
    """
    return _known(name, option, stores, writable=False)


def _known(name: str, option: str, stores: api.Stores, writable: bool) -> str:
    store = stores.get(name)
    if writable or store is None:
        placements.check_named(placements.StoreRef(name, option), stores)
    return name


def _from_file(path: str, option: str) -> List[str]:
    try:
        with open(path, encoding='utf-8') as stream:
            found = [line.strip() for line in stream if line.strip() and not line.startswith('#')]
    except (OSError, UnicodeDecodeError) as error:
        raise StoresFileError(option=option, file=path,
                              why='cannot be read: %s' % (getattr(error, 'strerror', None) or error))
    if not found:
        raise StoresFileError(option=option, file=path, why='names no store')
    return found
