# SPDX-License-Identifier: Apache-2.0
"""The store that an upload goes to: one pure decision, and the reason for it.

In this order: a store that the operator named; the store of the base image; Glance's default
store. From the specifications "Support multiple stores of Glance" (Nova, Ussuri), "Support Glance
multiple stores" (Cinder, Train) and "Copy volume to image in multiple stores of glance" (Cinder,
Ussuri).
"""

from typing import NamedTuple
from typing import Optional
from typing import Tuple
from typing import Union

from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from multistore_hooks.i18n import _
from multistore_hooks.options import AUTO
from multistore_hooks.options import NEVER


DOES_NOT_EXIST = _('does not exist')


class StoreRef(NamedTuple):
    """A store that the operator named, and where: the text names an option or a volume type."""

    store: str
    source: str


class UploadRequest(NamedTuple):
    """The inputs of a placement: what a seam knows of an upload before any request to Glance."""

    named: Optional[StoreRef] = None
    #: The id of the image that the instance or the volume was made from.
    base_image: Optional[str] = None
    #: The store that is in this compute's own Ceph cluster.
    local_store: Optional[str] = None
    #: Whether the hook or Glance resolves the base image: option ``resolve_base_image``.
    resolve: str = AUTO


class Unavailable(NamedTuple):
    """In place of a response that Glance did not give; the text says why."""

    reason: str


class Placement(NamedTuple):
    """Where an upload goes."""

    #: Sent as X-Image-Meta-Store; None leaves the choice to Glance.
    store: Optional[str]
    #: Sent as X-OpenStack-Base-Image-Ref, None if there is no base image.
    base_image: Optional[str]
    #: For the log.
    reason: str
    #: The decision could not be made as configured: the reason is logged as a warning.
    degraded: bool = False
    #: Where it goes if the inferred store refuses it; None if there is no other.
    fallback_store: Optional[str] = None
    #: The other stores of the base image that take images.
    other_stores: Tuple[str, ...] = ()
    #: Glance copies the image of a volume to those itself, after an upload that names the base image.
    colocated: bool = False

    @property
    def where(self) -> str:
        """The place, in words."""
        if self.store:
            return 'the store %s' % self.store
        if self.base_image and not self.degraded:
            return 'the store that Glance chooses'
        return "Glance's default store"


def must_see_stores(request: UploadRequest) -> bool:
    """Return whether the decision needs Glance's stores."""
    return request.named is not None or (request.base_image is not None and request.resolve != NEVER)


def must_see_base_image(request: UploadRequest, stores: Union[api.Stores, Unavailable, None]) -> bool:
    """Return whether the decision needs the record of the base image, now that the stores are known."""
    if request.named or request.base_image is None or request.resolve == NEVER:
        return False
    if not isinstance(stores, api.Stores) or len(stores.stores) < 2:
        return False
    return bool(request.local_store) or not _left_to_glance(request, stores)


def decide(request: UploadRequest, stores: Union[api.Stores, Unavailable, None] = None,
           base_image: Union[api.Image, Unavailable, None] = None) -> Placement:
    """Decide where an upload goes.

    :param stores: needed if :func:`must_see_stores`.
    :param base_image: needed if :func:`must_see_base_image`.
    :raises StoreNotUsable: the operator named a store that does not exist or is read-only.
    """
    if request.named:
        return _named(request, request.named, stores)
    if request.base_image is None:
        return Placement(None, None, 'it has no base image')
    if request.resolve == NEVER:
        return _default(request, 'resolve_base_image is never', degraded=False)
    if isinstance(stores, Unavailable):
        return _default(request, "Glance's stores are not known (%s)" % stores.reason)
    if stores is None or not stores.stores:
        return _default(request, 'Glance does not have several stores', degraded=False)
    if len(stores.stores) == 1:
        return _default(request, 'Glance has only one store', degraded=False)
    return _by_base_image(request, stores, base_image)


def choose(image: api.Image, stores: api.Stores, local_store: Optional[str] = None) -> Optional[str]:
    """Choose one of the stores an image is in for data that should be beside it.

    The local one, else the default one, else the first listed; None if none of them takes images.
    """
    usable = writable(image.stores, stores)
    for store in (local_store, stores.default):
        if store in usable:
            return store
    return usable[0] if usable else None


def writable(store_ids: Tuple[str, ...], stores: api.Stores) -> Tuple[str, ...]:
    """Return those of the stores that exist and take images, in the order given."""
    found = ((store_id, stores.get(store_id)) for store_id in store_ids)
    return tuple(store_id for store_id, store in found if store and not store.read_only)


def _left_to_glance(request: UploadRequest, stores: api.Stores) -> bool:
    return request.resolve == AUTO and stores.follows_base_image


def _by_base_image(request: UploadRequest, stores: api.Stores,
                   base_image: Union[api.Image, Unavailable, None]) -> Placement:
    default = stores.default
    usable = writable(base_image.stores, stores) if isinstance(base_image, api.Image) else ()
    if request.local_store in usable:
        return Placement(request.local_store, request.base_image,
                         'its base image %s is in this store, the local store of this compute '
                         '(images_rbd_glance_store_name)' % request.base_image,
                         fallback_store=_other(default, request.local_store),
                         other_stores=_without(usable, request.local_store))
    if _left_to_glance(request, stores):
        return Placement(None, request.base_image, 'Glance itself follows its base image %s'
                         % request.base_image, fallback_store=default)
    if isinstance(base_image, Unavailable):
        return _default(request, 'its base image %s cannot be seen (%s)'
                        % (request.base_image, base_image.reason))
    if base_image is None or not base_image.stores:
        return _default(request, 'the record of its base image %s lists no stores' % request.base_image)
    store = choose(base_image, stores)
    if store is None:
        return _default(request, 'its base image %s is in no store that takes images (it is in %s)'
                        % (request.base_image, ', '.join(base_image.stores)))
    others = _without(usable, store)
    return Placement(store, request.base_image, 'its base image %s is in this store' % request.base_image,
                     fallback_store=_other(default, store), other_stores=others,
                     colocated=bool(others) and stores.colocates_volumes)


def _named(request: UploadRequest, named: StoreRef,
           stores: Union[api.Stores, Unavailable, None]) -> Placement:
    if isinstance(stores, api.Stores):
        check_named(named, stores)
        return Placement(named.store, request.base_image, 'named by %s' % named.source)
    # Glance refuses an unknown store by itself; to fail here would lose the upload for nothing.
    why = stores.reason if isinstance(stores, Unavailable) else 'not requested'
    return Placement(named.store, request.base_image, "named by %s, unchecked because Glance's stores "
                     'are not known (%s)' % (named.source, why), degraded=True)


def check_named(named: StoreRef, stores: api.Stores) -> None:
    """Check that a store exists and takes images, as far as Glance's discovery shows.

    :raises StoreNotUsable: with the store, what named it, and the list of stores.
    """
    why = why_unusable(named.store, stores)
    if why is None:
        return
    raise exceptions.StoreNotUsable(named_by=named.source, store=named.store, why=why,
                                    there_are=describe(stores))


def why_unusable(store_id: str, stores: api.Stores) -> Optional[str]:
    """Return why a store cannot take an image, as far as Glance's discovery shows; None if it can.

    :returns: what comes after "the Glance store 'x', which ".
    """
    why: Optional[str] = None
    store = stores.get(store_id)
    alike = [known for known in stores.ids if _simplified(known) == _simplified(store_id)]
    if not stores.stores:
        why = _('cannot be used: this Glance does not have several stores')
    elif store is not None and store.read_only:
        why = _('is read-only')
    elif store is None:
        why = _("does not exist (did you mean '%s'?)") % alike[0] if alike else DOES_NOT_EXIST
    return why


def _simplified(store_id: str) -> str:
    return store_id.strip().lower().replace('-', '').replace('_', '')


def describe(stores: api.Stores) -> str:
    """Return one sentence that lists the stores, for an error message."""
    if not stores.stores:
        return 'Its stores are not listed.'
    return 'The stores are: %s.' % ', '.join(
        store.id + (' (read-only)' if store.read_only else ' (default)' if store.default else '')
        for store in stores.stores)


def _default(request: UploadRequest, why: str, degraded: bool = True) -> Placement:
    return Placement(None, request.base_image, why, degraded=degraded)


def _other(default: Optional[str], store: Optional[str]) -> Optional[str]:
    return default if default != store else None


def _without(stores: Tuple[str, ...], store: Optional[str]) -> Tuple[str, ...]:
    return tuple(other for other in stores if other != store)
