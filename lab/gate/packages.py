# SPDX-License-Identifier: Apache-2.0
"""What Debian must supply for the gate besides Python."""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import typing

from lab import compat

#: A program, or a path as a pattern, and the package that brings it.
NEEDED = {
    'libvirtd': 'libvirt-daemon', 'virsh': 'libvirt-clients',
    '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so': 'libvirt-daemon-driver-qemu',
    'qemu-system-x86_64': 'qemu-system-x86', 'qemu-img': 'qemu-utils',
    '/usr/lib/*/qemu/block-rbd.so': 'qemu-block-extra',
    'mariadbd': 'mariadb-server-core', 'mariadb': 'mariadb-client-core',
    '/usr/lib/rabbitmq/bin/rabbitmq-server': 'rabbitmq-server',
    'ceph-mon': 'ceph-mon', 'ceph-osd': 'ceph-osd', 'ceph-mgr': 'ceph-mgr', 'rbd': 'ceph-common',
    'git': 'git', 'unshare': 'util-linux',
}
#: Modules for the distribution's own Python, and what each consists of.
MODULES = {
    'python3-libvirt': ('libvirt.py', 'libvirt_qemu.py', 'libvirtmod.{abi}.so',
                        'libvirtmod_qemu.{abi}.so'),
    'python3-rados': ('rados.{abi}.so',), 'python3-rbd': ('rbd.{abi}.so',),
}
DISTRIBUTION = '/usr/lib/python3/dist-packages'
OLD_PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'programs', 'old_python.py')
POLICY = '/usr/sbin/policy-rc.d'


class Missing(Exception):
    """Something is not there and cannot be installed; the text says what."""


def install() -> None:
    """Install what is missing.

    :raises Missing: it could not be.
    """
    missing = _missing()
    if not missing:
        return
    if not shutil.which('apt-get'):
        raise Missing('missing, and not installed for want of apt-get: %s' % ' '.join(missing))
    print('gate: installing %s' % ' '.join(missing), file=sys.stderr, flush=True)
    with _no_services():
        # What a package starts all the same (RabbitMQ: epmd) ends with the namespace.
        for command in (['update'], ['install', '-y', '--no-install-recommends', *missing]):
            done = subprocess.run(
                ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'apt-get', '-q',
                 *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'),
                check=False)
            if done.returncode:
                raise Missing('apt-get %s: %s' % (
                    command[0], done.stdout.decode(errors='replace').strip().splitlines()[-1]))
    if _missing():
        raise Missing('still missing: %s' % ' '.join(_missing()))


def link_modules(venv: str) -> None:
    """Have the distribution's modules for libvirt and Ceph in a virtual environment.

    By links to nothing but them: other packages of the distribution would take the place of the
    environment's own.

    :raises Missing: the environment's Python is another than the distribution's.
    """
    packages, abi = _modules_of(venv)
    for package, names in MODULES.items():
        for name in names:
            name = name.format(abi=abi)
            source, link = os.path.join(DISTRIBUTION, name), os.path.join(packages, name)
            if not os.path.exists(source):
                raise Missing('%s has no %s: the environment "gate" must be of the Python that is '
                              "the distribution's own" % (package, name))
            if not os.path.islink(link):
                os.symlink(source, link)


def restore_python(venv: str) -> None:
    """Have every Python of an environment run programs/old_python.py when it starts."""
    folder = _modules_of(venv)[0]
    shutil.copyfile(compat.__file__, os.path.join(folder, 'gate_compat.py'))
    shutil.copyfile(OLD_PYTHON, os.path.join(folder, 'gate_old_python.py'))
    with open(os.path.join(folder, 'gate_old_python.pth'), 'w', encoding='utf-8') as stream:
        stream.write('import gate_old_python\n')


def _modules_of(venv: str) -> typing.Tuple[str, str]:
    """Return the folder of an environment's modules, and the name of its binary interface."""
    python = os.path.join(venv, 'bin', 'python')
    packages, abi = subprocess.run(
        [python, '-c', 'import sysconfig as s; print(s.get_path("platlib"));'
         ' print(s.get_config_var("SOABI"))'], stdout=subprocess.PIPE, check=True,
        universal_newlines=True).stdout.split()
    return packages, abi


def _missing() -> typing.List[str]:
    missing = [package for what, package in NEEDED.items()
               if not (glob.glob(what) if what.startswith('/') else shutil.which(
                   what, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'))]
    for package, names in MODULES.items():
        if not all(glob.glob(os.path.join(DISTRIBUTION, name.format(abi='*'))) for name in names):
            missing.append(package)
    return missing


@contextlib.contextmanager
def _no_services() -> typing.Iterator[None]:
    """Let no package start a service, the way that Debian has for it."""
    if os.path.exists(POLICY):
        yield
        return
    with open(POLICY, 'w', encoding='utf-8') as stream:
        stream.write('#!/bin/sh\nexit 101\n')
    os.chmod(POLICY, 0o755)
    try:
        yield
    finally:
        os.unlink(POLICY)
