# SPDX-License-Identifier: Apache-2.0
"""Site images in nova-compute: one host of a site downloads and converts, all of them clone.

The download and the conversion are Nova's own, with its checks of formats and signatures. The result goes
into the cluster under a name of its own, see ``ceph/site_image_record.py``. This is reached from
``Rbd.clone`` alone, which Nova calls for the root disks of servers and of rescues, never for config drives,
swap or ephemeral disks.
"""

import contextlib
import os
import threading
import time
from typing import Any
from typing import Dict
from typing import Iterator
from typing import Optional
from typing import Set
from typing import Tuple

from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from nova.virt.libvirt import utils as libvirt_utils
from oslo_log import log as logging

from multistore_hooks import backoff
from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import site_image_cleanup
from multistore_hooks.ceph import site_image_record
from multistore_hooks.ceph import site_images
from multistore_hooks.ceph import site_lock
from multistore_hooks.nova import boot_needs
from multistore_hooks.nova import downloads
from multistore_hooks.nova import image_api
from multistore_hooks.nova import site_copy
from multistore_hooks import options

CONF = conf.CONF
LOG = logging.getLogger(__name__)

rbd_utils = imagebackend.rbd_utils

#: Seconds between two polls of a host that waits for another: at first, and at the longest.
SHORTEST_WAIT, LONGEST_WAIT = 0.25, 2
#: Seconds between two polls of an import that brings the image, at the longest.
LONGEST_POLL = 15
#: Seconds that a boot with another way waits for other hosts where the operator sets no limit.
ANOTHER_WAY_SECONDS = 600
#: Seconds between two records of the use of a site image by one host.
TOUCH_EVERY = 300

_touched: Dict[str, float] = {}
#: What threads of this process make, apart from boots.
_made_apart: Set[Tuple[str, str]] = set()


def is_on() -> bool:
    """Return whether this host uses site images."""
    return bool(CONF.libvirt.images_type == 'rbd' and CONF.multistore_hooks.site_images != options.OFF)


def requests_copies() -> bool:
    """Return whether copies are requested of Glance."""
    return bool(CONF.multistore_hooks.site_images != options.ONLY)


class Site:
    """The site images of this compute's cluster, for one boot; a context manager.

    :param driver: Nova's RBDDriver.
    :param clock: has ``monotonic()``, ``time()`` and ``sleep(seconds)``.
    """

    def __init__(self, driver: Any, clock: Any = time) -> None:
        self._driver, self._clock, self._started = driver, clock, clock.monotonic()
        access = cluster.Access(rbd_utils.rados, rbd_utils.rbd, driver.ceph_conf, driver.rbd_user,
                                cluster.call_natively)
        self._cluster = cluster.Cluster(access)
        self.images = site_images.SiteImages(self._cluster, access,
                                             CONF.multistore_hooks.site_image_pool or driver.pool)

    def __enter__(self) -> 'Site':
        return self

    def __exit__(self, *_error: Any) -> None:
        self._cluster.close()

    def find(self, wanted: boot_needs.Wanted) -> Optional[site_image_record.SiteImage]:
        """Return the site image for a boot, or None.

        :raises nova.exception.ImageUnacceptable: the cluster cannot be read.
        """
        with _own_way(wanted.image_id, 'the site images cannot be read'):
            return site_image_record.find(self.images.published(wanted.image_id), wanted.requirement)

    def clone(self, wanted: boot_needs.Wanted, site_image: site_image_record.SiteImage, disk: str) -> bool:
        """Clone a site image into a disk; return False if it has gone meanwhile, and is forgotten.

        :raises nova.exception.ImageUnacceptable: it cannot be cloned.
        """
        url = 'rbd://%s/%s/%s/%s' % (self._driver.get_fsid(), self.images.pool, site_image.name,
                                     site_image_record.SNAPSHOT)
        try:
            self._driver.clone({'url': url}, disk)
        except (rbd_utils.rados.Error, rbd_utils.rbd.Error, exception.Forbidden) as error:
            with _own_way(wanted.image_id, 'its site image cannot be read'):
                if not self.images.is_whole(site_image.name):
                    self.images.forget(site_image)
                    return False
            raise boot_needs.unacceptable(wanted.image_id, 'its site image %s cannot be cloned: %s'
                                                           % (site_image.name, error))
        LOG.info('The disk %(disk)s is a clone of the site image %(name)s of image %(image)s.',
                 {'disk': disk, 'name': site_image.name, 'image': wanted.image_id})
        self.touch(site_image)
        return True

    def touch(self, site_image: site_image_record.SiteImage) -> None:
        """Record that a site image is in use, every few minutes."""
        now = self._clock.monotonic()
        if now - _touched.get(site_image.name, -TOUCH_EVERY) < TOUCH_EVERY:
            return
        try:
            self.images.touch(site_image.name, self._clock.time())
        except (cluster.ClusterError, cluster.Missing) as error:
            LOG.debug('The use of %(name)s is not recorded: %(error)s',
                      {'name': site_image.name, 'error': error})
        else:
            _touched[site_image.name] = now

    def patience(self, has_base: bool) -> float:
        """Return the seconds that are left to this boot to wait for other hosts.

        What it has waited for a copy counts, unless there is no other way to the image.

        :param has_base: an earlier download has left the image on this compute.
        """
        if has_base:
            limit = min(CONF.multistore_hooks.copy_turn_timeout, site_copy.copy_seconds())
        elif site_copy.download_allowed():
            limit = CONF.libvirt.images_rbd_glance_copy_timeout or ANOTHER_WAY_SECONDS
        else:
            return float(site_copy.copy_seconds())
        return float(max(limit - (self._clock.monotonic() - self._started), 0))

    def ensure(self, context: Any, wanted: boot_needs.Wanted, limit: float, leads: bool = True,
               most_waiting: Optional[int] = None) -> Optional[site_image_record.SiteImage]:
        """Return the site image for a boot; make it, or wait until another host of the site has made it.

        :param limit: the seconds to wait for other hosts, and for an import to the store of this site.
        :param leads: make it if no other host does; this takes as long as a download.
        :param most_waiting: how many boots of this process may wait at once; None: any number.
        :returns: None: the image itself has come to the store of this site meanwhile.
        :raises nova.exception.ImageUnacceptable: it cannot be made; Nova's own way is left.
        :raises nova.exception.ImageNotFound: the image was deleted.
        """
        lock = site_lock.SiteLock(self._cluster, self._driver.pool, site_copy.claim_name(wanted.image_id),
                                  self._clock)
        first = self._outcome(lock, wanted)
        with contextlib.ExitStack() as slot:
            for waited in backoff.polls(limit, LONGEST_WAIT, SHORTEST_WAIT, self._clock):
                found = self.find(wanted)
                if found is not None:
                    return found
                if leads and self._is_leader(lock, wanted):
                    slot.close()
                    return self._lead(context, wanted, lock, limit - waited)
                outcome = self._outcome(lock, wanted)
                if outcome is not None and (first is None or outcome.id != first.id):
                    raise boot_needs.unacceptable(
                        wanted.image_id,
                        'another host could not make its site image: %s' % outcome.content.get('reason'))
                if not waited and not slot.enter_context(site_copy.waiting_slots.take(most_waiting)):
                    raise boot_needs.unacceptable(
                        wanted.image_id, 'half of the builds that this nova-compute runs at once '
                                         '(max_concurrent_builds) wait for images already')
        raise boot_needs.unacceptable(
            wanted.image_id, 'no host made its site image within %d seconds' % limit if limit >= 1
            else 'no time is left to wait for its site image, after the wait for a copy')

    @staticmethod
    def _is_leader(lock: site_lock.SiteLock, wanted: boot_needs.Wanted) -> bool:
        with _own_way(wanted.image_id, 'the hosts of the site cannot coordinate'):
            return lock.acquire()

    @staticmethod
    def _outcome(lock: site_lock.SiteLock, wanted: boot_needs.Wanted) -> Optional[site_lock.Record]:
        """Return how the last host failed that made just this, or None."""
        with _own_way(wanted.image_id, 'the hosts of the site cannot coordinate'):
            record = lock.read()
        if record is None or record.content.get('requirement') != wanted.requirement.digest:
            return None
        return record

    def _lead(self, context: Any, wanted: boot_needs.Wanted, lock: site_lock.SiteLock,
              left: float) -> Optional[site_image_record.SiteImage]:
        """Make the site image while the lock is renewed; let the followers know if that fails.

        :param left: the seconds for which an import to the store of this site is waited for.
        """
        try:
            # Another host may have published it just before it let the lock go.
            found = self.find(wanted)
            if found is None and self._was_copied(context, wanted, lock, left):
                return None
            # After the limit another host may take the lead: a download can hang.
            with lock.kept(_start, site_copy.copy_seconds()) as keeper:
                return found or self._make(context, wanted, keeper)
        except (exception.ImageNotFound, exception.ImageNotAuthorized, exception.Forbidden):
            raise  # other users may see it, and have it downloaded
        except Exception as error:
            reason = str(error) or type(error).__name__
            LOG.warning('The site image of image %(image)s could not be made: %(reason)s',
                        {'image': wanted.image_id, 'reason': reason})
            with contextlib.suppress(cluster.ClusterError, cluster.Missing):
                lock.write({'requirement': wanted.requirement.digest, 'reason': reason[:500]})
            raise boot_needs.unacceptable(wanted.image_id, reason) from error
        finally:
            with contextlib.suppress(cluster.ClusterError):
                lock.release()

    def _was_copied(self, context: Any, wanted: boot_needs.Wanted, lock: site_lock.SiteLock,
                    limit: float) -> bool:
        """Return whether the image has come to the store of this site; wait for an import that brings it.

        One crossing of the WAN is enough; an import can be another site's, or an administrator's.
        """
        store = CONF.libvirt.images_rbd_glance_store_name
        if not store or wanted.record.is_in(store) or wanted.record.record.get('disk_format') != 'raw':
            return False  # if it is listed already, it could not be cloned
        images = image_api.images_for(context, lambda: boot_needs.REQUEST_SECONDS)
        with lock.kept(_start, limit + boot_needs.REQUEST_SECONDS):
            for waited in backoff.polls(limit, LONGEST_POLL, clock=self._clock):
                try:
                    image = images.image(wanted.image_id)
                except Exception as error:  # Glance's or Keystone's: the download will show
                    LOG.debug('Image %(image)s cannot be polled: %(error)s',
                              {'image': wanted.image_id, 'error': error})
                    return False
                if image.is_in(store):
                    return True
                if store not in image.importing_to or not image.import_task:
                    return False
                if not waited:
                    LOG.info('Image %(image)s is being imported to the store %(store)s: waiting for that.',
                             {'image': wanted.image_id, 'store': store})
        return False

    def _make(self, context: Any, wanted: boot_needs.Wanted,
              keeper: site_lock.Keeper) -> site_image_record.SiteImage:
        name = site_image_record.new_name(wanted.image_id)
        for left in site_image_cleanup.remove_leftovers(self.images, wanted.image_id):
            LOG.info('Removed %s, left by a host that died.', left)
        LOG.info('Making the site image %(name)s of image %(image)s: this host downloads it for the site.',
                 {'name': name, 'image': wanted.image_id})
        started = self._clock.monotonic()
        with downloads.download(name) as path:
            libvirt_utils.fetch_image(context, path, wanted.image_id, wanted.trusted_certs)
            made = site_image_record.SiteImage(name, wanted.image_id, os.path.getsize(path),
                                               wanted.requirement, self._clock.time())
            try:
                self._import(path, name)
                self.images.finish(made)
                other = self.find(wanted) if keeper.lost else None
                if other is None:
                    self.images.publish(made)
            except Exception:
                self._discard(name)
                raise
        if other is not None:
            self._discard(name)
            return other
        LOG.info('Published the site image %(name)s of image %(image)s, %(size)d bytes, after %(seconds).1f '
                 'seconds.', {'name': name, 'image': wanted.image_id, 'size': made.size,
                              'seconds': self._clock.monotonic() - started})
        return made

    def _import(self, path: str, name: str) -> None:
        driver = self._driver
        if self.images.pool != driver.pool:
            driver = rbd_utils.RBDDriver()
            driver.pool = self.images.pool
        driver.import_image(path, name)

    def _discard(self, name: str) -> None:
        """Remove what this call has made, unless it was published; no other call writes this name."""
        try:
            published = {listed.image.name for listed in self.images.list()}
            if name not in published and not self.images.remove(name):
                LOG.debug('%s is in use, and is left to a later run.', name)
        except Exception as error:
            LOG.debug('%(name)s is left to a later run: %(error)s', {'name': name, 'error': error})


def clean_up(driver: Any, clock: Any = time) -> None:
    """Remove the site images that nobody uses; for Nova's periodic task. It never raises.

    Of the hosts of a site one does so, every ``site_image_cleanup.EVERY`` seconds at most.
    """
    cache = getattr(CONF, 'image_cache', CONF)  # Train has its options in [DEFAULT]
    if not is_on() or not cache.remove_unused_base_images:
        return
    with Site(driver, clock) as site:
        lock = site_lock.SiteLock(site._cluster, driver.pool, 'site_image_cleanup.clean_up', clock)
        try:
            if not lock.acquire():
                return
            last = lock.read()
            if last is not None and abs(clock.time() - last.at) < site_image_cleanup.EVERY:
                return  # another host has done it
            done = site_image_cleanup.clean_up(site.images, clock.time(),
                                               cache.remove_unused_original_minimum_age_seconds)
            lock.write({})
        except (cluster.ClusterError, cluster.Missing, cluster.Busy) as error:
            LOG.warning('Unused site images could not be removed: %s', error)
        else:
            for name in done.withdrawn:
                LOG.info('The site image %s is not used any more, and will be removed.', name)
            for name in done.removed:
                LOG.info('Removed the site image %s.', name)
        finally:
            with contextlib.suppress(cluster.ClusterError):
                lock.release()


@contextlib.contextmanager
def _own_way(image_id: str, what: str) -> Iterator[None]:
    """Leave a boot to Nova where the cluster cannot be used."""
    try:
        yield
    except (cluster.ClusterError, cluster.Missing, cluster.Busy) as error:
        raise boot_needs.unacceptable(image_id, '%s: %s' % (what, error)) from error


def _start(function: Any) -> None:
    # A green thread where Nova has patched the standard library.
    threading.Thread(target=function, name='site image', daemon=True).start()


def make_apart(driver: Any, context: Any, wanted: boot_needs.Wanted, clock: Any = time) -> None:
    """Make a site image in a thread, unless one does so already; what comes of it is in the log.

    For a boot that has another way at hand, and need not wait as long as a download takes.
    """
    key = (wanted.image_id, wanted.requirement.digest)
    if key in _made_apart:
        return
    _made_apart.add(key)

    def make() -> None:
        try:
            with Site(driver, clock) as site:
                site.ensure(context, wanted, site.patience(has_base=False))
        except Exception as error:  # of many kinds; the boot has another way
            LOG.debug('No site image of %(image)s was made apart: %(error)s',
                      {'image': wanted.image_id, 'error': error})
        finally:
            _made_apart.discard(key)

    _start(make)
