# SPDX-License-Identifier: Apache-2.0
"""A Linux kernel of its own for tests: User Mode Linux, with device mapper, LIO, iSCSI and NFS.

Debian's packages are unpacked, not installed. The guest sees the host's files below an overlay in memory:
nothing that it writes is seen outside, and it has no device of the host. A script boots in seconds::

    kernel = Kernel()
    status, output = kernel.run('modprobe iscsi_tcp && iscsid', seconds=60)
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import typing

from lab import guard

PACKAGES = ('user-mode-linux', 'kmod', 'open-iscsi', 'libopeniscsiusr', 'libisns0', 'nfs-kernel-server',
            'nfs-common', 'libnfsidmap1', 'keyutils', 'rpcbind', 'libevent-core-2.1-7', 'libwrap0',
            'libtirpc3', 'lsscsi', 'udev', 'libudev1')
CACHE = os.path.join(tempfile.gettempdir(), 'multistore-hooks-kernel-%d' % os.getuid())
DOWNLOAD_SECONDS = 300
_ENDED = re.compile(r'^GUEST ENDED (\d+)\r?$', re.MULTILINE)

#: User Mode Linux sets the floating point registers of a process with the size that it knows. A kernel of the
#: host refuses that on processors which have more of them, AMX for example: hand over the rest as it is. It
#: does so at each system call of the guest, mostly with what it has just read, which is not set again.
_REGISTERS = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static char all[65536] __attribute__((aligned(64))), known[65536];
static size_t length;
static pid_t owner;

long ptrace(enum __ptrace_request request, ...)
{
    static long (*real)(enum __ptrace_request, pid_t, void *, void *);
    va_list rest;
    va_start(rest, request);
    pid_t pid = va_arg(rest, pid_t);
    void *address = va_arg(rest, void *), *data = va_arg(rest, void *);
    va_end(rest);
    if (!real)
        real = dlsym(RTLD_NEXT, "ptrace");
    struct iovec *given = data;
    int registers = (long)address == NT_X86_XSTATE;
    if (request == PTRACE_GETREGSET && registers) {
        long result = real(request, pid, address, data);
        owner = 0;
        if (!result && given->iov_len <= sizeof known) {
            length = given->iov_len;
            memcpy(known, given->iov_base, length);
            owner = pid;
        }
        return result;
    }
    if (request == PTRACE_SETREGSET && registers) {
        if (pid == owner && given->iov_len == length && !memcmp(given->iov_base, known, length))
            return 0;
        owner = 0;
        struct iovec found = {all, sizeof all};
        if (!real(PTRACE_GETREGSET, pid, address, &found) && found.iov_len > given->iov_len) {
            memcpy(all, given->iov_base, given->iov_len);
            return real(request, pid, address, &found);
        }
    } else if (pid == owner && (request == PTRACE_CONT || request == PTRACE_SYSEMU
                                || request == PTRACE_SYSEMU_SINGLESTEP || request == PTRACE_SYSCALL
                                || request == PTRACE_SINGLESTEP || request == PTRACE_KILL
                                || request == PTRACE_DETACH)) {
        owner = 0;
    }
    return real(request, pid, address, data);
}
'''

#: The first process: the host's files and the packages below an overlay, then the script.
_INIT = '''#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /mnt
LD_LIBRARY_PATH=%(files)s/usr/lib/x86_64-linux-gnu bash -c 'exec -a insmod %(files)s/usr/bin/kmod $0' \\
    %(files)s/usr/lib/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko
mkdir -p /mnt/packages /mnt/root /mnt/work /mnt/upper
mount -t hostfs -o %(files)s none /mnt/packages
mount -t overlay -o lowerdir=/mnt/packages:/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
cd /mnt/root
mount -n --move /proc proc
mount -n --move /sys sys
mount -n -t devtmpfs dev dev
mkdir -p dev/shm dev/pts
mount -n -t tmpfs tmpfs dev/shm
mount -n -t tmpfs tmpfs run
cp %(script)s run/script
exec chroot . /bin/bash -c 'ip link set lo up; bash /run/script; echo "GUEST ENDED $?"; sync
                            echo o > /proc/sysrq-trigger; sleep 60'
'''


def unavailable() -> typing.Optional[str]:
    """Say why there is no kernel for tests here; None: there is one."""
    if os.geteuid() != 0:
        return 'a kernel for tests is started by root'
    for name in ('apt-get', 'dpkg-deb', 'gcc', 'losetup', 'lvcreate'):
        if shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin') is None:
            return '%s is not installed' % name
    try:
        files()
    except (OSError, subprocess.SubprocessError) as error:
        return 'the packages of the kernel for tests cannot be had: %s' % error
    return None


def files() -> str:
    """Return the folder with the unpacked packages; they are downloaded once."""
    done = os.path.join(CACHE, 'files-' + _digest(' '.join(PACKAGES)))
    if not os.path.exists(done):
        os.makedirs(CACHE, mode=0o700, exist_ok=True)
        folder = tempfile.mkdtemp(dir=CACHE)
        try:
            _unpack(folder)
            os.rename(os.path.join(folder, 'files'), done)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return done


def _unpack(folder: str) -> None:
    into = os.path.join(folder, 'files')
    subprocess.run(('apt-get', 'download') + PACKAGES, cwd=folder, check=True, timeout=DOWNLOAD_SECONDS,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for name in sorted(os.listdir(folder)):
        if name.endswith('.deb'):
            subprocess.run(['dpkg-deb', '-x', name, into], cwd=folder, check=True)
    # The overlay has /bin, /lib and /sbin as links into /usr.
    for name in ('bin', 'lib', 'sbin'):
        if os.path.isdir(os.path.join(into, name)):
            shutil.copytree(os.path.join(into, name), os.path.join(into, 'usr', name), symlinks=True,
                            dirs_exist_ok=True)
            shutil.rmtree(os.path.join(into, name))
    os.makedirs(os.path.join(into, 'usr/lib/modules'), exist_ok=True)
    for version in os.listdir(os.path.join(into, 'usr/lib/uml/modules')):
        os.rename(os.path.join(into, 'usr/lib/uml/modules', version),
                  os.path.join(into, 'usr/lib/modules', version))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _registers() -> str:
    """Return the path of the library with :data:`_REGISTERS`; it is compiled once."""
    done = os.path.join(CACHE, 'registers-%s.so' % _digest(_REGISTERS))
    if not os.path.exists(done):
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = os.path.join(folder, 'registers.so')
            subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', made, '-x', 'c', '-', '-ldl'], check=True,
                           input=_REGISTERS.encode())
            os.rename(made, done)
    return done


class Kernel:
    """Boots once for each script."""

    def __init__(self, memory: str = '2G') -> None:
        self._memory = memory

    def run(self, script: str, seconds: float, show: bool = False
            ) -> typing.Tuple[typing.Optional[int], str]:
        """Run a bash script in a fresh guest, as root; return its exit status and all that it printed.

        :param seconds: after which the guest is killed; the status is None then.
        :param show: print on standard error what it prints, as it comes
        """
        with tempfile.TemporaryDirectory(prefix='multistore-kernel-') as folder:
            init = os.path.join(folder, 'init')
            with open(init, 'w', encoding='utf-8') as stream:
                stream.write(_INIT % {'files': files(), 'script': os.path.join(folder, 'script')})
            os.chmod(init, 0o700)
            with open(os.path.join(folder, 'script'), 'w', encoding='utf-8') as stream:
                stream.write(script)
            command = [os.path.join(files(), 'usr/bin/linux.uml'), 'mem=' + self._memory, 'rootfstype=hostfs',
                       'rootflags=/', 'ro', 'init=' + init, 'con=null', 'con0=null,fd:1', 'quiet']
            # The guest's memory is a file there.
            environ = dict(os.environ, **guard.mark())
            environ.update(LD_PRELOAD=_registers(), HOME=folder,
                           TMPDIR='/dev/shm' if os.access('/dev/shm', os.W_OK) else folder)
            lines = []
            with subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=True) as process:
                timer = threading.Timer(seconds, os.killpg, (process.pid, 9))
                timer.start()
                try:
                    for line in process.stdout or ():
                        lines.append(line.decode(errors='replace'))
                        if show:
                            sys.stderr.write(lines[-1])
                            sys.stderr.flush()
                finally:
                    timer.cancel()
        text = ''.join(lines)
        found = _ENDED.search(text)
        return int(found.group(1)) if found else None, text
