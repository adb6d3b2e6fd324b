# SPDX-License-Identifier: Apache-2.0
"""What a run needs of the host, and from where it takes devstack and the services."""

import os
import shutil
import subprocess
import typing

#: The repositories that stack.sh wants in its folder, apart from devstack's own.
REPOSITORIES = ('requirements', 'keystone', 'nova', 'glance', 'cinder', 'placement', 'tempest',
                'os-test-images')
#: The plugins of others that local.conf may enable.
PLUGINS = ('devstack-plugin-ceph',)
PROGRAMS = {'mmdebstrap': 'mmdebstrap', 'slirp4netns': 'slirp4netns', 'unshare': 'util-linux',
            'nsenter': 'util-linux', 'setpriv': 'util-linux', 'git': 'git', 'qemu-img': 'qemu-utils'}
# Of the tree with stack.sh's packages, the environments and the clones.
FREE_BYTES = 12 << 30


def names(plugins: typing.Collection[str]) -> typing.List[str]:
    """Return the names of the repositories that stack.sh wants with these plugins."""
    return list(REPOSITORIES) + [name for name in PLUGINS if name in plugins]


def repositories(devstack: str, services: str,
                 plugins: typing.Collection[str] = ()) -> typing.Dict[str, str]:
    """Return the folders of the repositories by name, without those that are not there.

    :param devstack: devstack's repository: a clone, or a git directory without a work tree
    :param services: the folder that the others are in, as NAME or NAME.git; '': that of devstack
    """
    folder = services or os.path.dirname(os.path.abspath(devstack))
    found = {'devstack': devstack}
    for name in names(plugins):
        for path in (os.path.join(folder, name), os.path.join(folder, name + '.git')):
            if is_repository(path):
                found[name] = path
                break
    return found


def is_repository(path: str) -> bool:
    """Return whether git can clone from this folder."""
    return os.path.isdir(path) and not subprocess.run(
        ['git', '-c', 'safe.directory=*', '-C', path, 'rev-parse', '--verify', '-q', 'HEAD'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def missing(devstack: str, services: str, work: str, plugins: typing.Collection[str] = ()) -> str:
    """Return why there can be no run; '' if there can."""
    if not devstack:
        return 'DEVSTACK_DIR is not set: name a clone of devstack, and with SERVICES_DIR the folder of the ' \
               'clones of %s' % ', '.join(REPOSITORIES)
    if not is_repository(devstack):
        return 'DEVSTACK_DIR=%s is no git repository' % devstack
    found = repositories(devstack, services, plugins)
    absent = [name for name in names(plugins) if name not in found]
    if absent:
        return 'no clone of %s in %s: set SERVICES_DIR' % (
            ', '.join(absent), services or os.path.dirname(os.path.abspath(devstack)))
    if os.geteuid() != 0:
        return 'it makes namespaces and mounts: run it as root'
    absent = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if absent:
        return 'not installed: %s' % ', '.join(absent)
    if not os.path.exists('/dev/net/tun'):
        return 'no /dev/net/tun, through which the tree reaches package registries'
    return _without_rights() or _without_room(work)


def _without_rights() -> str:
    done = subprocess.run(['unshare', '--net', '--mount', '--pid', '--ipc', '--uts', '--cgroup', '--fork',
                           'mount', '-t', 'tmpfs', 'none', '/mnt'],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True)
    return 'no rights for namespaces and mounts: %s' % done.stderr.strip() if done.returncode else ''


def _without_room(work: str) -> str:
    while not os.path.isdir(work):
        work = os.path.dirname(work)
    free = shutil.disk_usage(work).free
    return '%s has %.0f GiB free, of %d that it takes' % (
        work, free / (1 << 30), FREE_BYTES >> 30) if free < FREE_BYTES else ''
