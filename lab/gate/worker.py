# SPDX-License-Identifier: Apache-2.0
"""What runs in the namespaces: ``worker.py WORK VENV``. The cloud comes up, the scenarios run."""

import contextlib
import os
import subprocess
import sys
import time
import traceback
import typing

from lab.gate.cloud import Cloud
from lab.gate import commands
from lab.gate import config
from lab.gate import releases
from lab.gate import scenarios
from lab.gate import table
from lab import paths
from lab.poll import LabError

# Where programs write outside of their own folders: what they write goes to the gate's folder.
OVERLAID = ('/etc', '/var/lib', '/var/cache', '/var/log')


def main(work: str, venv: str) -> int:
    """Run the scenarios; return the gate's exit code."""
    _mount(work)
    began = time.monotonic()
    release = releases.find(os.environ.get('RELEASE', ''))
    # What an earlier run has kept, of this release.
    cache = os.path.join(paths.BUILD, release.environment + '-cache')
    cloud = Cloud(config.Paths(work, venv), cache, release)
    sheet = table.Sheet(cloud)
    try:
        cloud.up(stage, scenarios.modes()[0])
        scenarios.run(cloud, sheet, stage)
    except LabError as error:
        print('gate: %s' % error, file=sys.stderr)
        if os.environ.get('GATE_DEBUG'):
            traceback.print_exc()
        return 1
    finally:
        _write_openrc(work, venv)
        sheet.show()
        _keep_logs(work)
        print('gate: %.0f s for the cloud and the scenarios' % (time.monotonic() - began),
              file=sys.stderr)
        print(sheet.count(), flush=True)
    return sheet.exit_code()


@contextlib.contextmanager
def stage(what: str) -> typing.Iterator[None]:
    """Report what is being done, and how long it took."""
    began = time.monotonic()
    print('gate: %s ...' % what, file=sys.stderr, flush=True)
    yield
    print('gate: %s: %.1f s' % (what, time.monotonic() - began), file=sys.stderr, flush=True)


def _mount(work: str) -> None:
    for number, folder in enumerate(OVERLAID):
        if not os.path.isdir(folder):
            continue
        upper, scratch = (os.path.join(work, 'overlay', str(number), name)
                          for name in ('upper', 'scratch'))
        os.makedirs(upper)
        os.makedirs(scratch)
        _run('mount', '-t', 'overlay', '-o', 'lowerdir=%s,upperdir=%s,workdir=%s' % (
            folder, upper, scratch), 'overlay', folder)
    _run('mount', '-t', 'tmpfs', 'tmpfs', '/run')
    # libvirt would make its groups in there.
    subprocess.run(['umount', '--recursive', '--lazy', '/sys/fs/cgroup'], check=False,
                   stderr=subprocess.DEVNULL)
    # It wants this user to exist, though its virtual machines run as root here.
    with open('/etc/passwd', 'a', encoding='utf-8') as stream:
        stream.write('libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n')
    with open('/etc/group', 'a', encoding='utf-8') as stream:
        stream.write('libvirt-qemu:x:64055:\n')


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _write_openrc(work: str, venv: str) -> None:
    """Write what the openstack client wants to know, for a person who inspects a cloud that stays."""
    with open(os.path.join(work, 'openrc'), 'w', encoding='utf-8') as stream:
        stream.writelines('export %s=%s\n' % item for item in commands.CREDENTIALS.items())
        stream.write('export PATH=%s:$PATH\n' % os.path.join(venv, 'bin'))


def _keep_logs(work: str) -> None:
    """Keep the logs of this run, and of no other, for who wants to know more than the table says."""
    target = os.path.join(paths.BUILD, 'gate-logs')
    _run('rm', '-rf', target)
    _run('cp', '-r', os.path.join(work, 'log'), target)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
