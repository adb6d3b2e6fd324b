# SPDX-License-Identifier: Apache-2.0
"""Does another store hold an image's bytes? What a record says is no proof."""

import hashlib
from typing import Any
from typing import Callable
from typing import Iterable
from typing import Mapping
from typing import NamedTuple
from typing import Optional
from typing import Tuple
import urllib.parse

from multistore_hooks.glance_api import api
from multistore_hooks.stores import glance
from multistore_hooks.stores import places

#: How it was proved.
PLACE, READ = 'seen in its own place', 'read through Glance'


class Proof(NamedTuple):
    """A store that holds the bytes, and how that is known; or no store, and why not."""

    store: str
    how: str
    why_not: str = ''


class Prover:
    """Proves that a store other than one holds an image.

    :param reached: the places of stores that can be read from here, by store
    :param details: what Glance says of its stores, by store
    :param accept_reads: take a read through ``?prefer=`` as proof. Glance goes on to the image's other stores
        if it cannot open it there, and does not say so: the store that is to be emptied may be the one.
    """

    def __init__(self, images: glance.StoreImages, reached: Mapping[str, places.Place],
                 details: Mapping[str, api.StoreDetail], accept_reads: bool = False) -> None:
        self._images, self._reached, self._details = images, reached, details
        self._accept_reads = accept_reads
        self._prefers: Optional[bool] = None

    def prove(self, image: api.Image, without: str) -> Proof:
        """Return a store that holds an image, other than one.

        :raises GlanceError: Glance does not respond as it should
        """
        why = []
        others = [store for store in image.stores if store != without]
        for store in others:
            problem = self._seen(image, store, without)
            if problem is None:
                return Proof(store, PLACE)
            why.append('%s: %s' % (store, problem))
        if self._accept_reads:
            for store in others:
                if store not in self._reached and self._same_place(image, store, without) is not True:
                    problem = self._read(image, store)
                    if problem is None:
                        return Proof(store, READ)
                    why.append('%s: %s' % (store, problem))
        return Proof('', '', '; '.join(why) or 'it is in no other store')

    def _seen(self, image: api.Image, store: str, without: str) -> Optional[str]:
        """Return None if the store's own place has the image, else why not."""
        place = self._reached.get(store)
        if place is None:
            return 'its place cannot be read from here'
        try:
            problem = places.holds(place.find(image.id), image.size or 0)
        except places.PlaceError as error:
            return str(error)
        if problem:
            return problem
        same = self._same_place(image, store, without)
        if same is None:
            return 'it is not known whether it is another place than %s' % without
        return 'it is the same place as %s' % without if same else None

    def _same_place(self, image: api.Image, store: str, other: str) -> Optional[bool]:
        """Return whether copies in two stores are in one place: neither proves the other; None: unknown.

        What was seen of the first is in the place that the operator named for it, whatever Glance says of
        that store. Of the other Glance may say the kind and the pool: in the stores' details, or, as these
        are for all stores or none, in the URL of the image.
        """
        described = _identity(self._details.get(other))
        if described is not None and described == _identity(self._details.get(store)):
            return True
        kind, pool = self._kind_and_pool(image, other)
        try:
            seen = self._reached[store].identity
            if kind and kind != seen[0]:
                return False
            return seen == (pool or self._reached[other].identity)
        except (KeyError, places.PlaceError):
            return None

    def _kind_and_pool(self, image: api.Image, store: str) -> Tuple[str, Optional[Tuple[Any, ...]]]:
        """Return the kind of a store, and the identity of its pool; empty and None where unknown."""
        detail = self._details.get(store)
        pool = _identity(detail) if detail is not None and detail.type == 'rbd' else None
        url = urllib.parse.urlsplit(image.url_in(store))
        parts = url.path.split('/')
        if url.scheme == 'rbd' and len(parts) == 4:  # rbd://FSID/POOL/IMAGE/SNAPSHOT
            pool = ('rbd', urllib.parse.unquote(url.netloc), urllib.parse.unquote(parts[1]))
        return detail.type if detail is not None else _kind_of(url.scheme), pool

    def still(self, image: api.Image, proof: Proof) -> str:
        """Return '' if a store holds an image as it was proved before, else what is wrong."""
        try:
            if proof.how == PLACE:
                return places.holds(self._reached[proof.store].find(image.id), image.size or 0)
            for _piece in self._images.read(image.id, proof.store):
                break
        except (places.PlaceError, api.GlanceError) as error:
            return str(error)
        return ''

    def _read(self, image: api.Image, store: str) -> Optional[str]:
        """Return None if Glance reads the image from a store, whole and right, else why not."""
        try:
            if self._prefers is None:
                self._prefers = self._images.prefers(image.id)
            if not self._prefers:
                return 'this Glance does not read from a store of choice (?prefer=, 2026.2 and later)'
            return differs(image, self._images.read(image.id, store))
        except api.GlanceError as error:
            return 'it cannot be read (%s)' % error


def _identity(detail: Optional[api.StoreDetail]) -> Optional[Tuple[Any, ...]]:
    """Return what is the same for two stores that are one place, or None where Glance does not say it."""
    if detail is None:
        return None
    properties = detail.properties
    if detail.type == 'rbd' and properties.get('pool') and properties.get('fsid'):
        return ('rbd', properties['fsid'], properties['pool'])
    if detail.type == 'file' and properties.get('data_dir'):
        return ('file', str(properties['data_dir']))
    return None


def _kind_of(scheme: str) -> str:
    """Return the kind of store whose URLs have a scheme, or '': a web server may publish any directory."""
    kind = scheme.partition('+')[0]
    return kind if kind in ('file', 'rbd', 'cinder', 'swift', 's3', 'vsphere') else ''


def differs(image: api.Image, pieces: Iterable[bytes]) -> Optional[str]:
    """Return None if bytes are those of an image, by its size and its checksums, else what differs."""
    name, wanted = 'size', ''
    digest: Optional[Any] = None
    if image.record.get('os_hash_value') and image.record.get('os_hash_algo') in hashlib.algorithms_available:
        name, wanted = str(image.record['os_hash_algo']), str(image.record['os_hash_value'])
        digest = hashlib.new(name)
    elif image.record.get('checksum'):
        name, wanted = 'md5', str(image.record['checksum'])
        digest = _md5()
    size = 0
    update: Callable[[bytes], Any] = digest.update if digest is not None else len
    for piece in pieces:
        size += len(piece)
        update(piece)
    if size != (image.size or 0):
        return 'it has %d bytes of %d' % (size, image.size or 0)
    if digest is not None and digest.hexdigest() != wanted:
        return 'its %s differs from the record' % name
    return None


def _md5() -> Any:
    try:
        return hashlib.md5(usedforsecurity=False)  # type: ignore[call-arg, unused-ignore]
    except TypeError:  # before Python 3.9
        return hashlib.md5()
