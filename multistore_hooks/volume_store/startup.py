# SPDX-License-Identifier: Apache-2.0
"""What is checked when glance-api starts: it is logged then, and not found out by the first upload."""

from typing import Any
from typing import Dict
from typing import Optional

from oslo_log import log as logging
from oslo_utils import uuidutils

from multistore_hooks.volume_store import cinder_client

LOG = logging.getLogger(__name__)

#: Seconds that each request of the check may take: glance-api waits for it.
REQUEST_SECONDS = 5


def check(cinder: cinder_client.Cinder, store: str, volume_type: Optional[str],
          needs_lock_path: bool) -> None:
    """Log what would make every upload fail.

    :param cinder: of the check alone: glance-api may fork afterwards, and its children must not share
        connections.
    :param needs_lock_path: os-brick's lock_path is needed and not set.
    """
    if needs_lock_path:
        LOG.warning('Store %s: [oslo_concurrency] lock_path is not set. Without it os-brick attaches no '
                    'volume by iSCSI, Fibre Channel or NVMe-oF.', store)
    try:
        if not cinder.attaches_without_server():
            LOG.error('Store %s: this Cinder attaches volumes to servers only. Cinder 17.4.0, 18.1.0, 19.0.0 '
                      'or later is needed.', store)
        if volume_type and type_name(cinder.volume_types(), volume_type) is None:
            LOG.error("Store %(store)s: the volume type '%(type)s' (volume_type) does not exist, or is not "
                      'visible to the project of the credentials.', {'store': store, 'type': volume_type})
    except Exception as error:  # whatever it is, glance-api starts
        LOG.warning('Store %(store)s: Cinder cannot be checked: %(error)s', {'store': store, 'error': error})


def type_name(names: Dict[str, str], wanted: str) -> Optional[str]:
    """Return the name of the volume type that the option names or gives the id of; None: there is none.

    :param names: the names of all types, by their ids.
    """
    if wanted in names.values():
        return wanted
    return names.get(wanted)


def name_of(cinder: cinder_client.Cinder, volume_type: Optional[str]) -> str:
    """Return the name that the volumes of a store have as their type.

    :param volume_type: the option: a name, an id, or None for Cinder's default.
    """
    if not volume_type:
        return cinder.default_type()
    if not uuidutils.is_uuid_like(volume_type):
        return volume_type
    return type_name(cinder.volume_types(), volume_type) or volume_type


def lacks_lock_path(conf: Any, root_helper: str) -> bool:
    """Return whether os-brick will need a lock_path and has none.

    :param root_helper: the option; without one, all volumes are on RBD in user space.
    """
    if not root_helper:
        return False
    for group in ('os_brick', 'oslo_concurrency'):
        if group in conf and 'lock_path' in conf[group] and conf[group].lock_path:
            return False
    return True
