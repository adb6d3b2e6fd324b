# SPDX-License-Identifier: Apache-2.0
"""The lab on Cinder's own LVM and NFS drivers, glance-api not as root: in the guest of lab.kernel.

A machine of which everything may be changed: it has a volume group behind LIO and open-iscsi, a server of
NFS, sudo's rule and rootwrap's files as the documentation says, and nothing of it is there afterwards.
"""
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import typing

from lab import paths
from lab.volume_store.cinder import SHARED
from lab.volume_store.lab import FAULTY
from lab.volume_store.lab import Kind
from lab.volume_store.lab import Lab

USER = 'nobody'
ETC = '/etc/multistore-hooks'
SUDO_RULE = '/etc/sudoers.d/multistore-hooks'
# Cinder's own way to root; its tools are in the Python environment.
ROOTWRAP = '''[DEFAULT]
filters_path = %s
exec_dirs = %s,/sbin,/usr/sbin,/bin,/usr/bin
use_syslog = False
'''

#: What the server of NFS exports.
EXPORTED = '/run/share'
#: The beginning of a script for a guest: a place for disks, which are in memory.
PREPARE = '''set -e
for module in configfs dm_mod dm_snapshot loop; do modprobe $module; done
mount -t configfs none /sys/kernel/config
mkdir -p /run/disk /run/lock /run/share /etc/iscsi
hostname guest
echo 127.0.0.1 localhost guest > /etc/hosts
mount -t tmpfs -o size=90% tmpfs /run/disk
export DM_DISABLE_UDEV=1 OSLO_LOCK_PATH=/run/lock HOME=/run PYTHONDONTWRITEBYTECODE=1
export LAB_SLOWNESS=5
'''
#: A file system that zeroes ranges without writing zeros, as a disk array does; tmpfs does not. Filled in:
#: the size of its disk.
THIN = '''
truncate -s %s /run/disk/thin
mkfs.ext4 -q -O ^has_journal -E nodiscard /run/disk/thin
mkdir /run/thin
mount -o loop /run/disk/thin /run/thin
truncate -s $(($(stat -f -c '%%f * %%S' /run/thin) / 100 * 95 >> 20))M /run/thin/volumes
ln -s /run/thin/volumes /run/disk/volumes
'''
#: A volume group on the file /run/disk/volumes, LIO and open-iscsi.
ISCSI = '''
for module in target_core_mod target_core_iblock iscsi_target_mod iscsi_tcp sd_mod; do modprobe $module; done
vgcreate -q volumes $(losetup -f --show /run/disk/volumes)
echo InitiatorName=$(iscsi-iname) > /etc/iscsi/initiatorname.iscsi
iscsid
'''
#: A server of NFS 4.2; filled in: the size of the disk.
NFS = '''
for module in nfsd nfs nfsv4; do modprobe $module; done
truncate -s %s /run/disk/share
mkfs.ext4 -q /run/disk/share
mount -o loop /run/disk/share /run/share
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
#: With udev there are links for each disk, and lsscsi lists the disks: os-brick uses both to extend one.
UDEV = '''
/lib/systemd/systemd-udevd --daemon
udevadm trigger && udevadm settle
'''
NO_UDEV = 'rm -f /usr/bin/lsscsi\n'


def script_for(tests: typing.Sequence[str], **guest: typing.Any) -> str:
    """Return the script of a guest that runs test cases; the guest is as :func:`script_of` says."""
    return script_of('testtools.run ' + ' '.join(tests), **guest)


def script_of(module: str, iscsi: str = '', nfs: str = '', thin: bool = False, udev: bool = False,
              environ: typing.Optional[typing.Dict[str, str]] = None) -> str:
    """Return the script of a guest that runs a module by the running Python.

    :param module: its name, and its arguments
    :param iscsi: the size of its disk, such as 512M; '': none
    :param nfs: the same
    :param thin: the disk of iSCSI zeroes ranges without writing zeros
    :param udev: it has udev, and lsscsi
    :param environ: more variables
    """
    prepare = PREPARE + ''.join('export %s=%s\n' % (name, shlex.quote(value))
                                for name, value in (environ or {}).items())
    prepare += UDEV if udev else NO_UDEV
    if iscsi:
        prepare += (THIN if thin else 'truncate -s %s /run/disk/volumes\n') % iscsi + ISCSI
    if nfs:
        prepare += NFS % nfs
    # The lab's sudo comes first: what Cinder does as root, this root does.
    first = os.path.join(paths.CHECKOUT, 'lab', 'volume_store', 'bin')
    run = ('export PYTHONPATH=%s PATH=%s:%s:$PATH LAB_PYTHON=%s\ncd %s\n%s'
           '$LAB_PYTHON -W ignore -m %s 2>&1\n')
    # Only Cinder's own driver needs it; the others' tests have no Cinder.
    serve = '$LAB_PYTHON -W ignore -m lab.volume_store.rtstool &\n' if iscsi and nfs else ''
    return prepare + run % (paths.CHECKOUT, first, sysconfig.get_path('scripts'), sys.executable,
                            paths.CHECKOUT, serve, module)


class GuestLab(Lab):
    """The lab, with Glance as a user who is not root and has only the files of etc/."""

    user = USER

    def _mount(self) -> None:
        """Prepare what belongs to a machine; there is nothing else to mount."""
        install(USER)
        for folder in ('/etc/target', '/etc/rtslib-fb-target', EXPORTED + SHARED):
            os.makedirs(folder, exist_ok=True)
        for name in ('attachments', 'mnt', 'tmp', 'faults'):
            own(self.inside(name), USER)
        os.chmod(self.root, 0o755)
        with open(self.inside('cinder-rootwrap.conf'), 'w', encoding='utf-8') as stream:
            stream.write(ROOTWRAP % (os.path.join(sys.prefix, 'etc', 'cinder', 'rootwrap.d'),
                                     sysconfig.get_path('scripts')))

    def _store(self, kind: Kind) -> typing.Tuple[str, typing.Dict[str, str]]:
        driver, options = super()._store(kind)
        if driver in ('volume', FAULTY):
            options.update({'root_helper': 'sudo --non-interactive %s %s/rootwrap.conf' % (
                script('glance-rootwrap'), ETC), 'privsep_config': ETC + '/privsep.conf', **kind.options})
        return driver, options

    def left(self) -> typing.List[str]:
        """Say what Glance has open or left behind: disks, sessions, mounts, records."""
        found = ['open: ' + path for path in self.glance.open_devices()]
        found += ['disk ' + name for name in listed('/sys/block') if name.startswith('sd')]
        found += ['session ' + name for name in listed('/sys/class/iscsi_session')]
        with open('/proc/mounts', encoding='utf-8') as mounts:
            found += ['mount ' + line.strip() for line in mounts if self.mount_base in line]
        for folder, _folders, names in os.walk(self.inside('attachments')):
            found += ['record ' + name for name in names
                      if name.endswith('.json') and not waits(os.path.join(folder, name))]
        return found


def waits(path: str) -> bool:
    """Return whether a record is of a volume that Cinder may still create: it stays for a while."""
    try:
        with open(path, encoding='utf-8') as stream:
            return 'creating' in json.load(stream)
    except (FileNotFoundError, ValueError):    # it is just being removed, or written
        return False


def install(user: str) -> None:
    """Put the shipped files where the documentation says, for the running Python environment and a user."""
    source = os.path.join(paths.CHECKOUT, 'etc', 'multistore-hooks')
    shutil.copytree(source, ETC)
    for folder, _folders, names in os.walk(ETC):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding='utf-8') as stream:
                text = stream.read()
            with open(path, 'w', encoding='utf-8') as stream:
                stream.write(text.replace('/usr/bin/', sysconfig.get_path('scripts') + '/').replace(
                    '\nglance ', '\n%s ' % user))
    shutil.move(os.path.join(ETC, 'sudoers'), SUDO_RULE)
    os.chmod(SUDO_RULE, 0o440)
    # What this Python and the checkout need may be in folders that others may not pass.
    for path in (sys.prefix, os.path.realpath(sys.executable), paths.CHECKOUT):
        while path != '/':
            if os.path.isdir(path):
                os.chmod(path, os.stat(path).st_mode | 0o055)
            path = os.path.dirname(path)


def own(folder: str, user: str) -> None:
    """Make a user the owner of a folder, which is made if it is not there, and of what is in it."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run(['chown', '-R', '%d:%d' % pwd.getpwnam(user)[2:4], folder], check=True)


def script(name: str) -> str:
    """Return the path of a script of this Python environment."""
    return os.path.join(sysconfig.get_path('scripts'), name)


def listed(folder: str) -> typing.List[str]:
    """Return the names in a folder, if there is one."""
    return os.listdir(folder) if os.path.exists(folder) else []
