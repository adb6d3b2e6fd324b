# SPDX-License-Identifier: Apache-2.0
"""A raw RBD volume uploaded to a Glance store in its own Ceph cluster: the cluster copies it.

As Nova does with the disks of servers; for backends whose section of cinder.conf has
``rbd_glance_store_name``. The image is a flat RBD image of its own, made from a snapshot of the volume. It
belongs to Glance as soon as Glance accepts its location.

All other uploads, and those where a step fails, go through Glance; then nothing of the copy is left. Once the
location was sent, the copy is removed only if Glance is known not to use it.
"""

import threading
import time
from typing import Any
from typing import NamedTuple
from typing import Optional
from typing import Set
from typing import Tuple
import urllib.parse

from cinder import context as cinder_context
from cinder import exception
from oslo_log import log as logging

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.ceph import flat_copy
from multistore_hooks.cinder import colocated_copies
from multistore_hooks.cinder import image_client
from multistore_hooks.cinder import image_clones
from multistore_hooks.copy import slots
from multistore_hooks.glance_api import api
from multistore_hooks.upload import placements
from multistore_hooks.upload import transfer

LOG = logging.getLogger(__name__)

#: Copies of a process at the same time, each of which keeps a native thread: Cinder has 20 for all backends
#: (backend_native_threads_pool_size). The volumes beyond that are streamed.
AT_ONCE = 8
#: Seconds after which a location whose response was lost counts as refused, if nothing has changed.
LOST_SECONDS = 30

_slots = slots.Slots()
#: The names of the copies that this process makes.
_running: Set[str] = set()
#: Ceph users and the pools into which Ceph has refused to let them write.
_refused: Set[Tuple[Optional[str], Optional[str], Optional[str], str]] = set()


class _Target(NamedTuple):
    """Where the image belongs."""

    store: str
    pool: str
    fsid: str

    def url_of(self, image_id: str) -> str:
        """Return the location of the image, as Glance's RBD store writes it."""
        return 'rbd://%s' % '/'.join(urllib.parse.quote(part, '') for part in (
            self.fsid, self.pool, image_id, coordinator.SNAPSHOT))


class _Impossible(Exception):
    """The image has to go through Glance, which is as it should be; the text says why."""


def upload(driver: Any, context: Any, volume: Any, service: Any, image_meta: Any) -> bool:
    """Copy a volume inside its cluster, and make the copy the data of an image.

    :param service: the PlacingImageService of the upload.
    :returns: whether the image is active. If not, nothing is left of the copy, and the data has to be sent.
    :raises cinder.exception.ImageNotFound: the image was deleted meanwhile.
    :raises cinder.exception.GlanceConnectionFailed: it is not known what Glance has made of the copy.
    :raises NotAsSent: Glance has made something else of it.
    """
    if not image_clones.is_rbd(driver):
        return False
    image_clones.register(driver.configuration)
    if not driver.configuration.rbd_glance_store_name:
        return False
    with _slots.take(AT_ONCE) as free:
        site = cluster.Cluster(image_clones.access_of(driver), flat_copy.TIMEOUTS)
        job = _Upload(driver, context, volume, service, image_meta, site)
        try:
            if not free:
                raise _Impossible('%d volumes are being copied inside the cluster already' % AT_ONCE)
            if not job.run():
                return False
        except _Impossible as error:
            LOG.info('Image %(image)s is not copied inside the Ceph cluster, but sent to Glance: %(why)s.',
                     {'image': image_meta['id'], 'why': error})
            return False
        finally:
            site.close()
    job.request_copies()
    return True


class _Upload:
    """One upload."""

    clock: Any = time

    def __init__(self, driver: Any, context: Any, volume: Any, service: Any, image_meta: Any,
                 site: cluster.Cluster) -> None:
        self._driver, self._context, self._volume = driver, context, volume
        self._service, self._image_meta, self._site = service, image_meta, site
        self._image_id = image_meta['id']
        self._options = driver.configuration
        self._images = image_client.images_for(context)
        #: Where Glance copies the image afterwards.
        self._others: Tuple[str, ...] = ()

    def run(self) -> bool:
        self._check_volume()
        store, self._others = self._stores()
        try:
            target = self._target(store)
            self._check_pool(target)
            self._check_image()
        except _Impossible:
            raise
        except Exception as error:  # nothing was written: whatever failed, Glance can still be sent the data
            return self._stream(error)
        entry = flat_copy.new_entry(self._image_id, self._volume.name, target.pool, self._driver.host)
        _running.add(entry.name)
        try:
            return self._copy(target, flat_copy.FlatCopy(
                self._site, image_clones.access_of(self._driver), self._options.rbd_pool, entry, self.clock))
        finally:
            _running.discard(entry.name)

    def _stores(self) -> Tuple[str, Tuple[str, ...]]:
        """Return the store that the copy is for, and those that Glance is to copy it to.

        :raises _Impossible: it is not known here, or the copies could not be requested.
        """
        stores, local_store = self._service.target_stores(), self._options.rbd_glance_store_name
        if not stores:
            raise _Impossible('Glance chooses its store')
        if len(stores) == 1:
            return stores[0], ()
        if local_store not in stores:
            raise _Impossible('its base image is in several stores, and not in %s' % local_store)
        if not image_client.may_copy(self._context):
            raise _Impossible('its base image is in several stores, and Cinder has no credentials with which '
                              'it could have it copied to the others ([multistore_hooks])')
        return local_store, tuple(store for store in stores if store != local_store)

    def _check_volume(self) -> None:
        """Check what is known without any request.

        :raises _Impossible: the image is not a plain copy of the volume, or they are not in one cluster.
        """
        formats = self._image_meta.get('disk_format'), self._image_meta.get('container_format')
        if formats != ('raw', 'bare'):
            raise _Impossible('its format is %s in %s' % formats)
        if self._volume.encryption_key_id is not None:
            raise _Impossible('the volume is encrypted')
        if image_clones.has_failed_over(self._driver):
            raise _Impossible('the backend has failed over to another cluster')

    def _target(self, store: str) -> _Target:
        """Return the pool of a store, from Glance or, where that does not show it, from cinder.conf.

        :raises _Impossible: the store is not in the cluster of the volume.
        :raises ClusterError: the cluster is not reached.
        """
        fsid = self._site.fsid(self._options.rbd_pool)
        named = store == self._options.rbd_glance_store_name
        try:
            stores = image_client.privileged_images_for(self._context).stores_detail()
        except Exception as error:  # Glance's or Keystone's: it is for administrators and services
            LOG.debug('Glance does not show its stores in detail: %s', error)
            stores = ()
        detail = next((one for one in stores if one.id == store), None)
        if detail is None and named:
            return _Target(store, self._options.rbd_glance_pool, fsid)
        shown = detail.properties.get('fsid') if detail is not None else None
        if detail is None or detail.type != 'rbd' or (shown != fsid if shown else not named):
            raise _Impossible('the store %s is not known to be in the Ceph cluster of the volume' % store)
        return _Target(store, str(detail.properties.get('pool') or self._options.rbd_glance_pool), fsid)

    def _check_pool(self, target: _Target) -> None:
        """Check that Ceph has not refused the pool before, to the same user: only a refusal costs a snapshot.

        :raises _Impossible: it has.
        """
        if self._user_and_pool(target) in _refused:
            raise _Impossible('the Ceph user %s was refused the pool %s before' % (
                self._options.rbd_user, target.pool))

    def _user_and_pool(self, target: _Target) -> Tuple[Optional[str], Optional[str], Optional[str], str]:
        access = image_clones.access_of(self._driver)
        return access.conf_file, access.cluster_name, access.user, target.pool

    def _check_image(self) -> None:
        """Check that the record waits for its data, and what Glance checks of data that it is sent.

        :raises _Impossible: Glance has to see the data, or would refuse it.
        """
        try:
            image = self._images.image(self._image_id)
        except Exception as error:
            raise _Impossible('its record cannot be read (%s)' % error) from error
        if image.status != 'queued' or image.import_task:
            raise _Impossible('its status is %s' % image.status)
        if any(name.startswith('img_signature') for name in image.record):
            raise _Impossible('it is signed')
        if self._images.exceeds_quota(self._volume.size << 30):
            raise _Impossible('it is larger than what is left of the quota of the project')

    def _copy(self, target: _Target, copy: flat_copy.FlatCopy) -> bool:
        LOG.info('Volume %(volume)s is copied inside its Ceph cluster to be image %(image)s, in the store '
                 '%(store)s (pool %(pool)s).', {'volume': self._volume.id, 'image': self._image_id,
                                                'store': target.store, 'pool': target.pool})
        try:
            size = copy.write()
            self._check_image()  # its owner may have given it other data meanwhile
            copy.offer()
        except Exception as error:
            return self._stream(self._refusal(target, error) if copy.was_refused else error, copy)
        if not self._is_taken(target, copy):
            return False
        _close(copy)
        transfer.check(self._images, self._image_id, transfer.Sent(size, placements.Placement(
            target.store, None, 'it is in the cluster of the volume')), clock=self.clock)
        return True

    def request_copies(self) -> None:
        """Request the copies to the other stores, which Glance makes itself if it receives the data."""
        if self._others:
            colocated_copies.Copies(self._context, self._images, self._image_id,
                                    self._options.rbd_glance_store_name, self._others, self.clock).request()

    def _refusal(self, target: _Target, error: Exception) -> str:
        """Remember that Ceph refuses the pool; return what an operator can do."""
        _refused.add(self._user_and_pool(target))
        return (
            '[%s] rbd_user: the Ceph user %s may not write into the pool %s (%s). Give it that right, and '
            'restart cinder-volume, which until then sends what belongs into that pool to Glance' % (
                self._options.config_group, self._options.rbd_user, target.pool, error))

    def _is_taken(self, target: _Target, copy: flat_copy.FlatCopy) -> bool:
        """Send the location, and return whether the image is active; if not, the copy is removed."""
        response: Optional[Exception] = None
        try:
            image_client.add_rbd_image(self._context, self._image_id, target.url_of(self._image_id),
                                       target.store)
        except image_client.LocationRefused as error:
            return self._stream(error, copy)
        except Exception as error:
            # Without a response, or with one to a second attempt: Glance may have it, or still be at it.
            response = error
        try:
            if self._images.accepted(
                    self._image_id, LOST_SECONDS if response else image_client.SETTLE_SECONDS):
                return True
        except api.NotFound as error:
            self._undo(copy)
            raise exception.ImageNotFound(image_id=self._image_id) from error
        except image_client.NotTaken as error:
            return self._stream(response or error, copy)
        except Exception as error:
            self._give_up(copy, response or error)
            raise exception.GlanceConnectionFailed(reason=response or error) from error
        return self._stream(response or 'Glance could not use it', copy)

    def _give_up(self, copy: flat_copy.FlatCopy, error: Exception) -> None:
        """Delete the image, which may still become active, and then the copy, which nothing needs then."""
        try:
            status = self._images.image(self._image_id).status
            if status != 'queued':
                raise api.GlanceError('its status is %s' % status)
            self._images.delete(self._image_id)
        except api.NotFound:
            LOG.debug('Image %s is gone already.', self._image_id)
        except Exception as failure:
            LOG.error('The RBD image %(pool)s/%(image)s may be the data of image %(image)s (%(error)s), and '
                      'the image could not be deleted (%(failure)s). cinder-volume finds out when it is '
                      'restarted.', {'pool': copy.entry.target_pool, 'image': self._image_id, 'error': error,
                                     'failure': failure})
            return
        self._undo(copy)

    def _stream(self, why: Any, copy: Optional[flat_copy.FlatCopy] = None) -> bool:
        """Remove the copy, and log that the image goes through Glance; return False."""
        left = self._undo(copy, log=False) if copy else ''
        LOG.warning('Image %(image)s could not be copied inside the Ceph cluster, and is sent to Glance: '
                    '%(why)s%(left)s', {'image': self._image_id, 'why': why, 'left': left})
        return False

    @staticmethod
    def _undo(copy: flat_copy.FlatCopy, log: bool = True) -> str:
        """Remove a copy; return, or log, what is left."""
        try:
            copy.undo()
        except Exception as error:
            left = ('%(pool)s/%(name)s, or a snapshot of this name of %(disk)s, could not be removed '
                    '(%(error)s): cinder-volume tries again when it is restarted.' % {
                        'pool': copy.entry.target_pool, 'name': copy.entry.name, 'disk': copy.entry.disk,
                        'error': error})
            if log:
                LOG.warning('%s', left)
            return '. ' + left
        return ''


def _close(copy: flat_copy.FlatCopy) -> None:
    try:
        copy.close()
    except Exception as error:  # a restart finds that the image is active
        LOG.debug('The journal of uploads cannot be written: %s', error)


def begin_removal_of_leftovers(driver: Any) -> None:
    """Remove what a process of this service that was killed has left of its uploads, in a thread."""
    if not image_clones.is_rbd(driver):
        return
    image_clones.register(driver.configuration)
    if driver.configuration.rbd_glance_store_name and not image_clones.has_failed_over(driver):
        threading.Thread(target=remove_leftovers, args=(driver,), daemon=True).start()


def remove_leftovers(driver: Any, clock: Any = time) -> None:
    """Remove what is left of uploads of this service that ended without their last step."""
    access = image_clones.access_of(driver)
    site = cluster.Cluster(access, flat_copy.TIMEOUTS)
    try:
        pool = driver.configuration.rbd_pool
        for entry in flat_copy.unfinished(site, access, pool, driver.host):
            if entry.name not in _running:
                _resolve(flat_copy.FlatCopy(site, access, pool, entry, clock))
    except Exception as error:  # the next start does it
        LOG.warning('Uploads that were interrupted could not be cleaned up; cinder-volume tries again when '
                    'it is restarted: %s', error)
    finally:
        site.close()


def _resolve(copy: flat_copy.FlatCopy) -> None:
    """Remove a copy unless it is, or may still become, an image's data."""
    entry = copy.entry
    if entry.rbd_id and _is_image(entry.image_id):
        copy.close()
        return
    copy.undo()
    LOG.info('What an interrupted upload of %(disk)s to image %(image)s had left was removed.',
             {'disk': entry.disk, 'image': entry.image_id})


def _is_image(image_id: str) -> bool:
    """Return whether an image is active; False if Glance has no use for the copy.

    :raises Exception: Glance's or Keystone's: it is not known.
    """
    # An administrator or service sees all images: what is not there, was deleted.
    images = image_client.privileged_images_for(cinder_context.get_admin_context())
    try:
        return images.accepted(image_id, LOST_SECONDS) is not None
    except (api.NotFound, image_client.NotTaken):
        return False
