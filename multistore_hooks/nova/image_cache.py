# SPDX-License-Identifier: Apache-2.0
"""Images made ready before a server boots from them, and removed when none does any more.

Nova calls this for ``openstack aggregate cache image`` (Ussuri and later) and from its periodic task.
"""

import time
from typing import Any
from typing import Optional

from nova import conf
from nova import exception
from nova.virt.libvirt import imagebackend
from oslo_log import log as logging

from multistore_hooks.nova import boot_needs
from multistore_hooks.nova import clone_source
from multistore_hooks.nova import site_copy
from multistore_hooks.nova import site_images

CONF = conf.CONF
LOG = logging.getLogger(__name__)


def copy_to_store(context: Any, image_id: str, store: str, clock: Any = time) -> Optional[bool]:
    """Have an image copied to the store of this site; return whether that was needed.

    :returns: None: a copy there could not be cloned.
    :raises nova.exception.ImageUnacceptable: it did not get into the store.
    """
    if clone_source.raw_image(context, image_id) is None:
        return None
    return site_copy.ensure_in_store(context, image_id, store, _rbd_driver(), fallback=False, clock=clock)


def copy_or_make_site_image(context: Any, image_id: str, store: Optional[str], clock: Any = time) -> bool:
    """Have an image copied to the store of this site, or a site image made; return whether that was needed.

    :raises nova.exception.ImageUnacceptable: neither is possible.
    :raises nova.exception.ImageNotFound: it does not exist.
    """
    driver = _rbd_driver()
    wanted = boot_needs.wanted_for(context, image_id, None)
    if store in wanted.record.stores:
        return False
    if store and site_images.requests_copies() and wanted.record.record.get('disk_format') == 'raw':
        try:
            return site_copy.ensure_in_store(context, image_id, store, driver,
                                             turn_seconds=CONF.multistore_hooks.site_image_after, clock=clock)
        except exception.ImageUnacceptable as error:
            LOG.debug('%s', error)
    boot_needs.check_download(context, image_id)
    with site_images.Site(driver, clock) as site:
        found = site.find(wanted)
        made = found or site.ensure(context, wanted, site_copy.copy_seconds())
        if made is not None:  # else a copy came first
            site.touch(made)
        return found is None


def clean_up() -> None:
    """Remove the site images that are not used, if no other host of the site does so now."""
    site_images.clean_up(_rbd_driver())


def _rbd_driver() -> Any:
    """Return Nova's RBDDriver of this compute's cluster; it reads [libvirt] by itself in every release."""
    return imagebackend.rbd_utils.RBDDriver()
