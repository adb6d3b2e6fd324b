# SPDX-License-Identifier: Apache-2.0
"""The driver over open-iscsi and over NFS, with the real os-brick: runs in the guest of lab.kernel alone.

Volumes are LVM's behind LIO, or files of the guest's NFS server; Cinder is the unit tests' one.
"""
import os
import subprocess

import fixtures
from oslo_config import cfg

from multistore_hooks.volume_store import brick
from multistore_hooks.volume_store import images
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import options
from multistore_hooks.volume_store import reading
from tests.unit.volume_store import base

GROUP = 'volumes'
TARGET = '/sys/kernel/config/target'
IQN = 'iqn.2026-11.test:'
MIB = 1 << 20
#: A GiB would take minutes here: the test's Cinder counts in these.
UNIT = 32 * MIB


def run(*command):
    """Run a command; return what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError('%s: %s' % (' '.join(command), done.stdout.decode()))
    return done.stdout.decode()


def listed(folder):
    """Return the names in a folder, if there is one."""
    return os.listdir(folder) if os.path.exists(folder) else []


def write(path, text):
    """Write to a file of configfs."""
    with open(path, 'w', encoding='ascii') as stream:
        stream.write(text)


class LvmCinder(base.FakeCinder):
    """Volumes are logical volumes; an attachment is a target of LIO, as Cinder's LVM driver has it."""

    def path(self, volume_id):
        return '/dev/%s/volume-%s' % (GROUP, volume_id)

    def create_file(self, volume_id, gib):
        run('lvcreate', '--yes', '--wipesignatures', 'n', '-n', 'volume-' + volume_id, '-L', '%db' % (
            gib * UNIT), GROUP)
        run('dmsetup', 'mknodes')

    def resize_file(self, volume_id, gib):
        run('lvextend', '-L', '%db' % (gib * UNIT), self.path(volume_id))

    def remove_file(self, volume_id):
        run('lvremove', '--yes', self.path(volume_id))

    def attachment_update(self, attachment_id, connector):
        super().attachment_update(attachment_id, connector)
        volume_id = self.bound[attachment_id][0]
        self._export(volume_id)
        return {'driver_volume_type': 'iscsi', 'target_discovered': False, 'target_iqn': IQN + volume_id,
                'target_portal': '127.0.0.1:3260', 'target_lun': 0, 'volume_id': volume_id,
                'access_mode': 'rw', 'encrypted': False, 'qos_specs': None}

    def attachment_delete(self, attachment_id):
        volume_id = self.bound.get(attachment_id, [None])[0]
        super().attachment_delete(attachment_id)
        if volume_id and not self.attachment_list(volume_id):
            self._unexport(volume_id)

    def _export(self, volume_id):
        core = '%s/core/iblock_0/%s' % (TARGET, volume_id)
        group = '%s/iscsi/%s%s/tpgt_1' % (TARGET, IQN, volume_id)
        if os.path.exists(group):
            return
        os.makedirs(core)
        write(core + '/control', 'udev_path=' + self.path(volume_id))
        write(core + '/wwn/vpd_unit_serial', volume_id)
        write(core + '/enable', '1')
        os.makedirs(group)
        for name, value in (('authentication', 0), ('generate_node_acls', 1), ('demo_mode_write_protect', 0),
                            ('cache_dynamic_acls', 1)):
            write('%s/attrib/%s' % (group, name), str(value))
        os.mkdir(group + '/np/127.0.0.1:3260')
        os.mkdir(group + '/lun/lun_0')
        os.symlink(core, group + '/lun/lun_0/volume')
        write(group + '/enable', '1')

    def _unexport(self, volume_id):
        core = '%s/core/iblock_0/%s' % (TARGET, volume_id)
        target = '%s/iscsi/%s%s' % (TARGET, IQN, volume_id)
        group = target + '/tpgt_1'
        if not os.path.exists(group):
            return
        os.unlink(group + '/lun/lun_0/volume')
        for path in (group + '/lun/lun_0', group + '/np/127.0.0.1:3260', group, target, core):
            os.rmdir(path)


class Flows:
    """What is the same over each protocol."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(images, 'GIB', UNIT))
        settings = brick.Settings(root_helper='', host='guest', my_ip='127.0.0.1', scan_attempts=5,
                                  lock_folder=self._inside('locks'))
        brick.prepare(settings, cfg.CONF)
        self.brick = brick.Brick(settings)

    def left(self):
        """Say what is attached, connected, recorded or open."""
        found = ['attachment of ' + volume for volume, _status, _mode in self.cinder.bound.values()]
        found += ['disk ' + name for name in listed('/sys/block') if name.startswith('sd')]
        found += ['session ' + name for name in listed('/sys/class/iscsi_session')]
        with open('/proc/mounts', encoding='utf-8') as mounts:
            found += ['mount ' + line for line in mounts if '/var/lib/glance/mnt' in line]
        found += ['record ' + name for name in os.listdir(os.path.join(self.folder, 'attachments'))]
        found += ['open ' + path for place in ('/dev/sd', '/var/lib/glance/mnt')
                  for path in base.open_files(place)]
        return found

    def test_an_image_is_uploaded_read_back_in_ranges_and_deleted(self):
        data = os.urandom(5 * MIB + 12345) + bytes(3 * MIB) + os.urandom(777)
        stored = self.store(data)
        self.assertEqual(([], data), (self.left(), self.volume_bytes(stored)))
        shared = self.shared()
        for first, length in ((0, len(data)), (1, 4096), (4 * MIB - 1, MIB), (len(data) - 1, 1)):
            pieces = reading.Pieces(shared.lease(stored.volume_id), first, length, 60)
            self.assertEqual(data[first:first + length], b''.join(pieces), (first, length))
            self.assertEqual([], self.left())
        self.delete(stored)

    def test_an_image_of_unknown_size_outgrows_its_volume(self):
        data = os.urandom(UNIT + MIB + 5)
        for extend_attached in (options.AUTO, options.ALWAYS, options.NEVER):
            stored = self.store(data, 0, extend_attached=extend_attached)
            self.assertEqual(2, self.cinder.volumes[stored.volume_id].gib)
            self.assertEqual(([], data), (self.left(), self.volume_bytes(stored)), extend_attached)
            self.delete(stored)
        self.assertNotIn('but this host does not see it', self.log)

    def test_what_a_killed_process_left_is_disconnected(self):
        stored = self.store(b'data')
        lease = self.shared().lease(stored.volume_id)
        on_host = lease._entry.on_host
        on_host.device.close()
        on_host._users.release()  # the system does so
        self.assertNotEqual([], self.left())
        leftovers.recover(self.context(), stored.volume_id)
        self.assertEqual([], self.left())
        self.delete(stored)

    def test_an_upload_that_fails_leaves_nothing(self):
        class Gone(base.Reader):
            def read(self, size):
                if self._at > 4 * MIB:
                    raise KeyError('the client')
                return super().read(size)
        self.assertRaises(KeyError, self.store, b'', 8 * MIB, source=Gone(os.urandom(8 * MIB)))
        self.assertEqual(({}, []), (self.cinder.volumes, self.left()))
        self.delete()


class IscsiTest(Flows, base.VolumeTestCase):
    """Over the loopback interface, to real SCSI disks, where there are udev and lsscsi."""

    def setUp(self):
        super().setUp()
        self.cinder = LvmCinder(self._inside('volumes'))

    def volume_bytes(self, stored):
        with open(self.cinder.path(stored.volume_id), 'rb') as stream:
            return stream.read(stored.size)

    def delete(self, *stored):
        for one in stored:
            self.cinder.delete_volume(one.volume_id)
        self.assertEqual('', run('lvs', '--noheadings', GROUP).strip())


class NfsCinder(base.FakeCinder):
    """Volumes are files of an NFS 4.2 share, as Cinder's NFS driver has them."""

    def attachment_update(self, attachment_id, connector):
        super().attachment_update(attachment_id, connector)
        return {'driver_volume_type': 'nfs', 'export': '127.0.0.1:/', 'options': None, 'format': 'raw',
                'name': os.path.basename(self.path(self.bound[attachment_id][0]))}


class NfsTest(Flows, base.VolumeTestCase):
    """Files on a share of the guest's own NFS server."""

    EXPORT = '/run/share'

    def setUp(self):
        super().setUp()
        self.cinder = NfsCinder(self.EXPORT)
        self.addCleanup(self.empty)

    def empty(self):
        """Remove what a failed test has left."""
        for name in os.listdir(self.EXPORT):
            os.unlink(os.path.join(self.EXPORT, name))

    def volume_bytes(self, stored):
        # Past the client's cache, where the server has it.
        with open(self.cinder.path(stored.volume_id), 'rb') as stream:
            return stream.read(stored.size)

    def delete(self, *stored):
        for one in stored:
            self.cinder.delete_volume(one.volume_id)
        self.assertEqual([], os.listdir(self.EXPORT))

    def test_the_share_is_really_nfs(self):
        stored = self.store(b'data')
        lease = self.shared().lease(stored.volume_id)
        with open('/proc/mounts', encoding='utf-8') as stream:
            self.assertRegex(stream.read(), '127.0.0.1:/ /var/lib/glance/mnt/[0-9a-f]{32} nfs4 .*vers=4.2')
        lease.close()
        self.assertEqual([], self.left())
        self.delete(stored)
