# SPDX-License-Identifier: Apache-2.0
"""The wait of nova-compute for an image in the store of its own site."""

import time
from typing import Any
from typing import Optional

from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.ceph import site_lock
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import single_flight
from multistore_hooks.copy import slots
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.nova import image_api
from multistore_hooks import options

CONF = conf.CONF
LOG = logging.getLogger(__name__)

#: How long one attempt of a request may take, in seconds, and how long even at the end of a limit. To accept
#: an import, Glance first connects to the store.
REQUEST_SECONDS, LAST_REQUEST_SECONDS = 30, 3
#: How many builds Nova runs at once where max_concurrent_builds is 0 and it runs on native threads.
THREADED_BUILDS = 10

rbd_utils = imagebackend.rbd_utils
_flights = single_flight.SingleFlight()
#: Of boots that wait for an image, whichever way it comes.
waiting_slots = slots.Slots()


def ensure_in_store(context: Any, image_id: str, store: str, driver: Any, fallback: bool = True,
                    turn_seconds: Optional[int] = None, clock: Any = time) -> bool:
    """Wait until an image is in this site's store; return whether it had to be copied there.

    :param driver: Nova's RBDDriver of this compute's cluster.
    :param fallback: the caller has another way to the image, so that it waits for its turn only as long as
        ``copy_turn_timeout`` says, and only if a slot is free.
    :param turn_seconds: how long it waits for its turn in place of that.
    :raises nova.exception.ImageUnacceptable: it did not get there; the reason is in the text.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    wait = wait_limits(fallback, turn_seconds)
    try:
        with waiting_slots.take(most_waiting() if fallback or turn_seconds is not None else None) as free:
            if not free:
                raise exceptions.CopyFailed(
                    image_id=image_id, store=store, why='half of the builds that this nova-compute runs at '
                    'once (max_concurrent_builds) wait for copies already')
            made = _waiter(context, image_id, store, driver, wait, clock)
            # Of the copy twice: Glance may be away before it begins.
            # Only with those that wait as long: the image cache waits for its turn much longer than a boot.
            return _flights.run((image_id, store, wait), made.run, wait.turn + 2 * wait.copy)
    except exceptions.ImageGone as error:
        raise exception.ImageNotFound(image_id=image_id) from error
    except exceptions.ComesAnotherWay as error:
        LOG.info('%s', error)
        raise exception.ImageUnacceptable(image_id=image_id, reason=str(error)) from error
    except exceptions.CopyFailed as error:
        # Nova itself logs nothing when it downloads instead of cloning.
        LOG.warning('%s', error)
        raise exception.ImageUnacceptable(image_id=image_id, reason=str(error)) from error


def _waiter(context: Any, image_id: str, store: str, driver: Any, wait: limits.Limits,
            clock: Any) -> waiter.CopyWaiter:
    try:
        privileged = image_api.privileged(context)
    except Exception as error:  # keystoneauth's, of many kinds
        raise exceptions.CopyFailed(
            image_id=image_id, store=store,
            why='the credentials in [multistore_hooks] cannot be used: %s' % error) from error

    def patience() -> float:
        return min(max(made.left(), LAST_REQUEST_SECONDS), REQUEST_SECONDS)

    made = waiter.CopyWaiter(
        image_api.images_for(context, patience), image_api.images_for(privileged, patience),
        request.Job(image_id, store, '[libvirt] images_rbd_glance_store_name', requester(context)), wait,
        _coordinator(image_id, store, driver, clock), clock)
    return made


def _coordinator(image_id: str, store: str, driver: Any, clock: Any) -> coordinator.CephCoordinator:
    own, pool = site(driver), CONF.multistore_hooks.glance_rbd_pool
    claim = None
    if CONF.multistore_hooks.site_images != options.OFF:
        claim = site_lock.SiteLock(own, driver.pool, claim_name(image_id), clock)
    return coordinator.CephCoordinator(own, driver.pool, pool, image_id, store, clock, claim)


def claim_name(image_id: str) -> str:
    """Return the name of the lock of whatever brings an image to this site: a copy, or a site image."""
    return 'site_image.%s' % image_id


def wait_limits(fallback: bool, turn_seconds: Optional[int] = None) -> limits.Limits:
    """Return the operator's limits; without another way the turn is waited for as long as the copy."""
    copy = copy_seconds()
    turn = CONF.multistore_hooks.copy_turn_timeout
    if turn_seconds is not None:
        turn = turn_seconds
    elif not fallback:
        turn = max(turn, copy)
    return limits.Limits(copy=copy, turn=turn,
                         interval=CONF.libvirt.images_rbd_glance_copy_poll_interval)


def copy_seconds() -> int:
    """Return how long a copy may take, in seconds."""
    # To Nova itself 0 means: without a limit.
    return max(CONF.libvirt.images_rbd_glance_copy_timeout, 0) or limits.A_DAY


def most_waiting() -> Optional[int]:
    """Return how many boots may wait for copies at once: half of Nova's builds; None: any number."""
    builds = int(CONF.max_concurrent_builds)
    if not builds:
        if cluster.on_eventlet():
            return None
        builds = THREADED_BUILDS
    return max(builds // 2, 1)


def download_allowed() -> bool:
    """Return whether Nova may download an image whose disk is in Ceph."""
    # The option is of Ussuri.
    return not getattr(CONF.workarounds, 'never_download_image_if_on_rbd', False)


def site(driver: Any) -> cluster.Cluster:
    """Return a connection to this compute's own cluster, which connects when it is needed."""
    return cluster.Cluster(cluster.Access(rbd_utils.rados, rbd_utils.rbd, driver.ceph_conf, driver.rbd_user,
                                          cluster.call_natively))


def requester(context: Any) -> str:
    """Return a name for the rights with which copies are requested: they decide on policies and quotas."""
    if CONF.multistore_hooks.auth_section or CONF.multistore_hooks.auth_type:
        return '[%s]' % options.GROUP
    return '%s %s' % (context.project_id, ','.join(sorted(context.roles or ())))
