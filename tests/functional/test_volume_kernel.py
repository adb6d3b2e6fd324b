# SPDX-License-Identifier: Apache-2.0
"""The store driver on devices that this host has not: in a kernel of its own, see lab.kernel."""

import os
import re
import sys

import testtools

from lab import kernel

MISSING = kernel.unavailable()
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: A guest under load is slow; it is killed if it hangs.
SECONDS = 3000
PREPARE = '''set -e
for module in configfs dm_mod loop; do modprobe $module; done
mount -t configfs none /sys/kernel/config
mkdir -p /run/disk /run/lock /run/share /etc/iscsi
mount -t tmpfs tmpfs /run/disk
truncate -s 512M /run/disk/volumes
export DM_DISABLE_UDEV=1 OSLO_LOCK_PATH=/run/lock HOME=/run PYTHONDONTWRITEBYTECODE=1
'''
ISCSI = PREPARE + '''
for module in target_core_mod target_core_iblock iscsi_target_mod iscsi_tcp sd_mod; do modprobe $module; done
vgcreate -q volumes $(losetup -f --show /run/disk/volumes)
echo InitiatorName=$(iscsi-iname) > /etc/iscsi/initiatorname.iscsi
iscsid
'''
NFS = PREPARE + '''
for module in nfsd nfs nfsv4; do modprobe $module; done
mkfs.ext4 -q /run/disk/volumes
mount -o loop /run/disk/volumes /run/share
rmdir /run/share/lost+found
mount -t nfsd none /proc/fs/nfsd
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs
mount -t rpc_pipefs none /var/lib/nfs/rpc_pipefs
echo '/run/share 127.0.0.1(rw,fsid=0,no_root_squash,no_subtree_check,insecure)' > /etc/exports
exportfs -a
echo 10 > /proc/fs/nfsd/nfsv4leasetime
echo 10 > /proc/fs/nfsd/nfsv4gracetime
rpc.mountd -N 3 -N 2
rpc.nfsd -N 3 2
'''


@testtools.skipIf(MISSING, MISSING or '')
class KernelTest(testtools.TestCase):

    def test_a_guest_boots_to_a_script_and_leaves_nothing_here(self):
        path = '/var/tmp/multistore-hooks-guest-%d' % os.getpid()
        status, output = kernel.Kernel('256M').run('uname -r; id -u; echo hello > %s; cat %s; exit 3' % (
            path, path), SECONDS)
        self.assertEqual(3, status, output)
        self.assertIn('hello', output)
        self.assertNotIn(os.uname().release, output)
        self.assertFalse(os.path.exists(path))

    def guest(self, prepare, case):
        """Run a test case in a guest."""
        status, output = kernel.Kernel().run(prepare + 'cd %s\nexport PYTHONPATH=%s\n%s -m testtools.run '
                                             'tests.functional.volume_guest.%s 2>&1\n' % (
                                                 CHECKOUT, CHECKOUT, sys.executable, case), SECONDS)
        self.assertEqual(0, status, output[-8000:])
        ran = re.search(r'Ran (\d+) tests', output)
        self.assertGreaterEqual(int(ran.group(1)), 4, output)

    def test_the_driver_over_iscsi_on_lvm(self):
        self.guest(ISCSI, 'IscsiTest')

    def test_the_driver_on_an_nfs_share(self):
        self.guest(NFS, 'NfsTest')
