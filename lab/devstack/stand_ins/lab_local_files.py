# SPDX-License-Identifier: Apache-2.0
"""A driver for Cinder: its NFS driver on a folder of this machine, without mounts, LVM or iSCSI."""

import os

from cinder.volume.drivers import nfs
from cinder.volume.drivers import remotefs


class LocalFileDriver(nfs.NfsDriver):
    """Volumes are files in the folder that the NFS driver would mount a share at."""

    CI_WIKI_NAME = 'none'

    def do_setup(self, context):
        """Read the shares, and look for no program of NFS."""
        remotefs.RemoteFSDriver.do_setup(self, context)
        self.shares = {}
        self._load_shares_config(self.configuration.nfs_shares_config)

    def check_for_setup_error(self):
        """Be content with a folder."""

    def _ensure_share_mounted(self, share, mnt_flags=None):
        os.makedirs(self._get_mount_point_for_share(share), exist_ok=True)

    def initialize_connection(self, volume, connector):
        """Hand out the file's path: what attaches a volume on this machine needs no mount either."""
        return {'driver_volume_type': 'local',
                'data': {'device_path': self.local_path(volume), 'format': 'raw'}}

    def _get_capacity_info(self, share):
        there = os.statvfs(self._get_mount_point_for_share(share))
        total, free = there.f_blocks * there.f_frsize, there.f_bavail * there.f_frsize
        return float(total), float(free), float(total - free)
