# SPDX-License-Identifier: Apache-2.0
"""Cinder's own NFS driver on a plain directory: nothing is mounted, nothing needs root.

Everything that matters to an upload (choice of the active file, flattening of
snapshots, ``upload_volume``) is inherited. Only mounting is left out.
"""
import os

from cinder.volume.drivers import nfs
from cinder.volume.drivers import remotefs


class DirectoryDriver(nfs.NfsDriver):
    """Volumes are files in a directory below ``nfs_mount_point_base``."""

    CI_WIKI_NAME = 'none'

    def do_setup(self, context):
        """Load the one share; skip the checks for mount.nfs and the owner of the export."""
        remotefs.RemoteFSDriver.do_setup(self, context)
        self._execute_as_root = False
        self._load_shares_config(self.configuration.nfs_shares_config)

    def check_for_setup_error(self):
        """A directory needs no check."""

    def _ensure_share_mounted(self, share, mnt_flags=None):
        os.makedirs(self._get_mount_point_for_share(share), exist_ok=True)

    def _get_capacity_info(self, share):
        found = os.statvfs(self._get_mount_point_for_share(share))
        total = found.f_blocks * found.f_frsize
        free = found.f_bavail * found.f_frsize
        return float(total), float(free), float(total - free)
