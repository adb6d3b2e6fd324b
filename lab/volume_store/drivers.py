# SPDX-License-Identifier: Apache-2.0
"""Volume drivers of the lab: files on loop devices, and files on a share that was mounted before.

What LVM is on another machine: this kernel may have no device mapper and no iSCSI target. A connection is
of the type 'local', as Cinder's drivers for storage with an agent on the host have it, so that os-brick's own
connector, and a real block device, are used.
"""
import os

from cinder.volume import configuration
from oslo_config import cfg

from lab.cinder import cloning

GIB = 1 << 30
CHUNK = 1 << 20
OPTIONS = [
    cfg.IntOpt('lab_dirt', default=0,
               help='So many MiB at the beginning of a new volume hold something, as on storage that does '
                    'not zero what it hands out.'),
    cfg.StrOpt('lab_losetup', default='', help='More arguments of losetup.'),
]
DIRT = b'\xaa'


class MountedDriver(cloning.CloningDriver):
    """Cinder's NFS driver on a share that is mounted already, with room for everything."""

    def _get_capacity_info(self, share):
        # What it cannot keep shows when it is written: an over-committed pool.
        return float(1 << 50), float(1 << 50), 0.0

    def _update_volume_stats(self):
        super()._update_volume_stats()
        for stats in [self._stats] + self._stats.get('pools', []):
            stats.update(multiattach=True, thin_provisioning_support=True)

    def create_cloned_volume(self, volume, src_vref):
        """Copy the file with its holes."""
        volume.provider_location = src_vref.provider_location
        source, target = self.local_path(src_vref), self.local_path(volume)
        self._execute('cp', '--sparse=always', source, target)
        os.chmod(target, 0o660)
        return {'provider_location': volume.provider_location}


class LoopDriver(MountedDriver):
    """A volume is a file; a connection makes a block device of it."""

    driver_volume_type = 'local'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    def _update_volume_stats(self):
        super()._update_volume_stats()
        for stats in [self._stats] + self._stats.get('pools', []):
            stats.update(online_extend_support=True)

    def _do_create_volume(self, volume):
        super()._do_create_volume(volume)
        if self.configuration.lab_dirt:
            with open(self.local_path(volume), 'r+b') as file:
                for _ in range(self.configuration.lab_dirt):
                    file.write(DIRT * CHUNK)

    def initialize_connection(self, volume, connector):
        """Return the loop device of the volume; a further connection gets the same one."""
        device = self._device(volume)
        if not device:
            device = self._execute('losetup', '--find', '--show', *self.configuration.lab_losetup.split(),
                                   self.local_path(volume))[0].strip()
        return {'driver_volume_type': self.driver_volume_type, 'data': {'device_path': device}}

    def terminate_connection(self, volume, connector, **kwargs):
        """Take the loop device away, unless another attachment of the volume needs it."""
        device = self._device(volume)
        # The attachment that goes is still among them.
        if device and len(volume.volume_attachment) <= 1:
            self._execute('losetup', '--detach', device)
        return len(volume.volume_attachment) > 1

    def extend_volume(self, volume, new_size):
        """Make file and device longer, attached or not."""
        os.truncate(self.local_path(volume), new_size * GIB)
        device = self._device(volume)
        if device:
            self._execute('losetup', '--set-capacity', device)

    def _device(self, volume):
        out = self._execute('losetup', '--noheadings', '--output', 'NAME', '--associated',
                            self.local_path(volume))[0]
        return out.split()[0] if out.split() else None


cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)
