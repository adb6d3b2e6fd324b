# SPDX-License-Identifier: Apache-2.0
"""The tree of Debian that a devstack is stacked in, with the repositories, the image and local.conf."""

import glob
import os
import shutil
import subprocess
import typing

from lab import checkout
from lab.devstack import local_conf
from lab.gate import guest

SUITE = 'bookworm'
# stack.sh installs everything else.
PACKAGES = ('systemd', 'systemd-sysv', 'dbus', 'sudo', 'git', 'ca-certificates', 'python3', 'python3-venv',
            'iproute2', 'iputils-ping', 'lsb-release', 'procps', 'kmod', 'curl', 'wget', 'gawk', 'locales',
            'adduser', 'passwd', 'util-linux', 'acl', 'less')
# Units that want modules of the kernel, or change what all of the host has.
MASKED = ('rtslib-fb-targetctl.service', 'systemd-udevd.service', 'systemd-modules-load.service',
          'systemd-sysctl.service', 'sys-kernel-debug.mount', 'sys-kernel-tracing.mount',
          'getty@tty1.service', 'console-getty.service', 'apt-daily.timer', 'apt-daily-upgrade.timer',
          'multipathd.service', 'multipathd.socket')
STACK = '/opt/stack'
IMAGE_BYTES = 16 << 20
STAND_INS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stand_ins')
_AUTHOR = ('-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false')
# The clones are those of another user.
_GIT = ('git', '-c', 'safe.directory=*')


class Failed(Exception):
    """A step failed; the text says which, and why."""


def make(path: str, log: str) -> str:
    """Make the tree, unless it is there; return a few words on it.

    :raises Failed: mmdebstrap failed
    """
    if os.path.exists(os.path.join(path, '.made')):
        return 'there already'
    shutil.rmtree(path, ignore_errors=True)
    _run(['mmdebstrap', '--variant=minbase', '--include=' + ','.join(PACKAGES), SUITE, path], log)
    _make_files(path)
    _run(['chroot', path, 'useradd', '--create-home', '--home-dir', STACK, '--shell', '/bin/bash', 'stack'],
         log)
    os.chmod(path + STACK, 0o755)  # noqa: S103, as devstack's own script for the user has it
    write(path, '.made', '')
    return 'Debian %s, %d packages and what they need' % (SUITE, len(PACKAGES))


def _make_files(path: str) -> None:
    write(path, 'etc/sudoers.d/stack', 'stack ALL=(ALL) NOPASSWD: ALL\n', 0o440)
    write(path, 'etc/hostname', 'devstack\n')
    write(path, 'etc/hosts', '127.0.0.1 localhost\n%s devstack\n' % local_conf.HOST)
    # slirp4netns resolves names by the host's way.
    write(path, 'etc/resolv.conf', 'nameserver 10.0.2.3\n')
    # Modules of the kernel are the host's matter; iscsid ends without its own.
    write(path, 'etc/systemd/system/iscsid.service.d/lab.conf',
          '[Service]\nType=simple\nExecStartPre=\nExecStart=\nExecStart=/bin/sleep infinity\n')
    for unit in MASKED:
        target = os.path.join(path, 'etc/systemd/system', unit)
        if not os.path.islink(target):
            os.symlink('/dev/null', target)
    _hand_over_pip(path)


def _hand_over_pip(path: str) -> None:
    """Let pip in the tree trust and use what it does on the host."""
    bundle = os.environ.get('PIP_CERT', '/etc/ssl/certs/ca-certificates.crt')
    lines = ['[global]', 'timeout = 180', 'disable-pip-version-check = true']
    if os.path.exists(bundle):
        shutil.copyfile(bundle, os.path.join(path, 'etc/pip-bundle.crt'))
        lines.append('cert = /etc/pip-bundle.crt')
    index = os.environ.get('PIP_INDEX_URL')
    if index:
        lines.append('index-url = ' + index)
    write(path, 'etc/pip.conf', '\n'.join(lines) + '\n')


def clone(path: str, repositories: typing.Mapping[str, str], log: str, branch: str = '') -> str:
    """Clone every repository; return the commits.

    :param branch: the branch of those which have it; of the others, and by default, each one's own HEAD
    :raises Failed: git failed, or devstack has no such branch
    """
    for name, source in repositories.items():
        target = path + STACK + '/' + name
        if not os.path.isdir(target):
            at = ['--branch', branch] if branch and (name == 'devstack' or _has(source, branch)) else []
            _run([*_GIT, 'clone', '--quiet', '--no-hardlinks', *at, source, target], log)
    return ', '.join('%s %s' % (name, head(path + STACK + '/' + name)) for name in repositories)


def _has(repository: str, branch: str) -> bool:
    command = [*_GIT, '-C', repository, 'rev-parse', '--verify', '-q', 'refs/heads/' + branch]
    return not subprocess.run(command, stdout=subprocess.DEVNULL).returncode


def serve_ours(path: str, log: str) -> str:
    """Put this project, as an operator's clone, and the stand-ins into the tree; all of it is the user's.

    :raises Failed: git failed
    """
    for name, folder, copy in (('multistore-hooks', 'opt/src', checkout.copy),
                               ('lab-stand-ins', 'opt/git', _copy_stand_ins)):
        serve(path, folder + '/' + name, copy, log)
        # devstack would go on with the clone of a run before.
        shutil.rmtree(path + STACK + '/' + name, ignore_errors=True)
    # Of a run that was ended: its services would start with the machine, before stack.sh configures them, and
    # libvirt takes no second secret for a client of Ceph.
    for old in ('systemd/system/**/devstack@*', 'systemd/system/**/multistore-*', 'libvirt/secrets/*.*'):
        for name in glob.glob(os.path.join(path, 'etc', old), recursive=True):
            os.remove(name)
    for name in os.listdir(os.path.join(STAND_INS, 'bin')):
        shutil.copy(os.path.join(STAND_INS, 'bin', name), os.path.join(path, 'usr/local/bin', name))
    write(path, 'etc/gitconfig', '[safe]\n\tdirectory = *\n')
    _run(['chroot', path, 'chown', '-R', 'stack:stack', STACK], log)
    return 'multistore-hooks %s' % head(os.path.join(path, 'opt/src/multistore-hooks'))


def serve(path: str, name: str, copy: typing.Callable[[str], typing.Any], log: str) -> None:
    """Put a repository, with one branch ``main``, where ``file:///NAME`` finds it."""
    target = os.path.join(path, name)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    copy(target)
    if not os.path.isdir(os.path.join(target, '.git')):
        initialize(target, log)
    _run([*_GIT, '-C', target, 'branch', '-M', 'main'], log)


def initialize(target: str, log: str) -> None:
    """Make a folder a repository with one commit."""
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'The tree']):
        _run([*_GIT, *_AUTHOR, '-C', target, *command], log)


def _copy_stand_ins(target: str) -> None:
    shutil.copytree(STAND_INS, target, dirs_exist_ok=True)


def configure(path: str, operator: typing.Sequence[str]) -> str:
    """Write local.conf, and the image that servers boot from; return a few words."""
    image = os.path.join(path, 'opt/git', local_conf.IMAGE + '.img')
    raw = image + '.raw'
    guest.make_image(raw, IMAGE_BYTES)
    guest.make_qcow2(raw, image)
    os.remove(raw)
    write(path, STACK[1:] + '/devstack/local.conf', local_conf.render(operator))
    return '; '.join(line for line in operator if not line.startswith('enable_plugin'))


def head(repository: str) -> str:
    """Return the short name of a repository's commit."""
    return subprocess.run([*_GIT, '-C', repository, 'rev-parse', '--short', 'HEAD'], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()


def write(path: str, name: str, text: str, mode: int = 0o644) -> None:
    """Write a file of the tree."""
    target = os.path.join(path, name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, 'w', encoding='utf-8') as stream:
        stream.write(text)
    os.chmod(target, mode)


def _run(command: typing.Sequence[str], log: str) -> None:
    with open(log, 'ab') as stream:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream).returncode
    if code:
        raise Failed('%s ended with %d: see %s' % (command[0], code, log))
