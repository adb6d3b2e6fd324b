# SPDX-License-Identifier: Apache-2.0
"""os-brick: connect a volume to this host, and disconnect it."""

import importlib
import os
import platform
import shlex
import socket
import sys
import sysconfig
import threading
from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Optional

import os_brick
from os_brick.initiator import connector
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import netutils

from multistore_hooks.volume_store import share_mounts
from multistore_hooks.volume_store import timeouts

LOG = logging.getLogger(__name__)

_HELPER = 'privsep-helper'
#: A share whose server is away cannot be unmounted: the volume is disconnected all the same.
_UNMOUNT_SECONDS = 20


class Settings(NamedTuple):
    """The options that os-brick's calls need; see options.py."""

    root_helper: str
    host: str
    privsep_config: str = ''
    my_ip: Optional[str] = None
    use_multipath: bool = False
    enforce_multipath: bool = False
    scan_attempts: int = 3
    mount_point_base: str = '/var/lib/glance/mnt'
    lock_folder: str = ''


def prepare(settings: Settings, conf: cfg.ConfigOpts) -> None:
    """Hand os-brick, once in a process, its configuration and the way to become root."""
    if hasattr(os_brick, 'setup'):  # since 6.2
        os_brick.setup(conf)
    # The contexts of os-brick register their options when they are imported.
    importlib.import_module('os_brick.privileged')
    # Debian's own Python names /usr/local/bin for scripts, and its packages' are in /usr/bin.
    command = helper_command(settings, sysconfig.get_path('scripts'), os.path.join(sys.prefix, 'bin'))
    present = cfg.CONF.privsep_osbrick.helper_command
    if present is None:
        cfg.CONF.set_default('helper_command', command, group='privsep_osbrick')
    elif present != command:
        LOG.warning("The privsep helper for os-brick uses '%(present)s', not '%(command)s': it was already "
                    'set by [privsep_osbrick] helper_command or by another store in this process.',
                    {'present': present, 'command': command})


def helper_command(settings: Settings, *folders: str) -> str:
    """Return how os-brick's helper is started: that of this Python, whatever else is on the host.

    :param folders: where scripts are installed; the first that has the helper counts.
    """
    found = [path for path in (os.path.join(folder, _HELPER) for folder in folders) if os.path.exists(path)]
    if not found:
        LOG.warning("There is no %(helper)s in %(folders)s; searching the path for it.",
                    {'helper': _HELPER, 'folders': ' or '.join(folders)})
    words = shlex.split(settings.root_helper) + (found or [_HELPER])[:1]
    if settings.root_helper or os.path.exists(settings.privsep_config):
        words += ['--config-file', settings.privsep_config]
    return ' '.join(shlex.quote(word) for word in words)


class Brick:
    """os-brick with the options of a store. Its calls may hang: see timeouts.py."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._properties: Optional[Dict[str, Any]] = None
        self._mounts = share_mounts.ShareMounts(settings.lock_folder, self._unmount)

    def properties(self) -> Dict[str, Any]:
        """Return the connector properties of this host; determined once in a process."""
        with self._lock:
            if self._properties is None:
                self._properties = self._find_properties()
            return dict(self._properties)

    def _find_properties(self) -> Dict[str, Any]:
        settings = self._settings
        address = settings.my_ip or _address(settings.host)
        if not settings.root_helper and os.geteuid() != 0:
            # os-brick would need root for what only protocols other than RBD need.
            return {'host': settings.host, 'ip': address, 'multipath': False, 'do_local_attach': False,
                    'platform': platform.machine(), 'os_type': sys.platform}
        found: Dict[str, Any] = connector.get_connector_properties(
            settings.root_helper, address, settings.use_multipath, settings.enforce_multipath,
            host=settings.host)
        return found

    def connect(self, connection: Dict[str, Any]) -> Dict[str, Any]:
        """Connect a volume to this host; return os-brick's device_info."""
        if self._on_share(connection):
            self._mounts.hold(connection)
        return dict(self._connector(connection).connect_volume(connection))

    def disconnect(self, connection: Dict[str, Any], device_info: Optional[Dict[str, Any]],
                   force: bool = False) -> None:
        """Disconnect a volume from this host.

        :param force: even if what is not yet written is lost.
        """
        self._connector(connection).disconnect_volume(connection, device_info, force=force,
                                                      ignore_errors=False)
        if self._on_share(connection):
            self._mounts.let_go(connection, (device_info or {}).get('path'))

    def extend(self, connection: Dict[str, Any]) -> None:
        """Let this host see that a volume has grown.

        :raises NotImplementedError: os-brick cannot, for this kind of volume.
        """
        self._connector(connection).extend_volume(connection)

    def chown(self, path: str, uid: int) -> None:
        """Make a user the owner of a device."""
        helper = self._settings.root_helper
        processutils.execute('chown', '--no-dereference', str(uid), os.path.realpath(path),
                             run_as_root=bool(helper), root_helper=helper)

    def _on_share(self, connection: Dict[str, Any]) -> bool:
        return bool(self._settings.lock_folder) and share_mounts.on_share(connection)

    def _unmount(self, mount_point: str) -> None:
        from os_brick.privileged import rootwrap
        helper = self._settings.root_helper
        timeouts.call_with_timeout(
            lambda: rootwrap.execute('umount', mount_point, run_as_root=True, root_helper=helper),
            _UNMOUNT_SECONDS, 'Unmounting %s' % mount_point, 'no option')

    def _connector(self, connection: Dict[str, Any]) -> Any:
        settings = self._settings
        protocol = connection['driver_volume_type']
        more = {'%s_mount_point_base' % protocol.lower(): settings.mount_point_base}
        return connector.InitiatorConnector.factory(
            protocol, settings.root_helper, use_multipath=settings.use_multipath,
            device_scan_attempts=settings.scan_attempts, conn=connection, **more)


def _address(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except socket.gaierror:
        LOG.debug('The name %s has no address: using that of the default route.', host)
        return str(netutils.get_my_ipv4())
