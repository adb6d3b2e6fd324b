# SPDX-License-Identifier: Apache-2.0
"""``make gate``: run ``worker.py`` in namespaces of its own, with the services of this environment.

In the environment: GATE=short for scenarios 1, 2 and 4, with the hooks only; ONLY=1,2 for some; KEEP=1 to
leave the cloud up; RELEASE=oldest, or the name of one in ``releases.py``, for another than the newest.
The last line says how many rows are right and wrong.
Exit codes: 0 all of ours is right; 1 something is WRONG, or it could not be run.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from lab.gate import hooks
from lab.gate import packages
from lab.gate import releases
from lab.gate import tempest
from lab import paths

INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'programs', 'init.py')
# A file system on a disk: Ceph does not work on one in memory.
PLACE = '/var/tmp'  # noqa: S108

KEPT = '''\
The cloud is up. A shell in it:   nsenter --target %(first)s --mount --uts --ipc --net --pid
and in there:                     . %(work)s/openrc; openstack server list --all-projects
To take it down:                  kill %(first)s; rm -r %(work)s'''


def main() -> int:
    """Run the gate and return its exit code."""
    if os.geteuid() != 0:
        return fail('it makes namespaces, mounts and virtual machines: run it as root')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    venv = sys.prefix
    os.makedirs(paths.BUILD, exist_ok=True)
    # A cloud that stays keeps it, as its environment has the hooks in it.
    lock = os.open(os.path.join(paths.BUILD, 'gate-run.lock'), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return fail('another one runs, or its cloud is still up')
    try:
        release = releases.find(os.environ.get('RELEASE', ''))
        if 'short' not in os.environ.get('GATE', '') and not os.path.exists(tempest.PROGRAM):
            return fail('there is no %s: "make gate" sets everything up' % tempest.PROGRAM)
        packages.link_modules(venv)
        if release.old_python:
            packages.restore_python(venv)
        hooks.clean(venv)
    except (releases.Unknown, packages.Missing) as error:
        return fail(str(error))
    keep = os.environ.get('KEEP', '') not in ('', '0')
    work = tempfile.mkdtemp(prefix='multistore-gate-', dir=PLACE)
    code = None
    try:
        code = _run(work, venv, keep, lock)
    finally:
        if code is None or not keep:
            shutil.rmtree(work, ignore_errors=True)
            hooks.clean(venv)
    print('gate: %.0f s in all' % (time.monotonic() - began), file=sys.stderr)
    return code


def fail(text: str) -> int:
    """Say why there is no gate; return the exit code."""
    print('gate: %s' % text, file=sys.stderr)
    return 1


def _run(work: str, venv: str, keep: bool, lock: int) -> int:
    """Run the worker in its namespaces; return when it has ended, or has everything to keep."""
    report = os.path.join(work, 'report')
    python = os.path.join(venv, 'bin', 'python')
    outside = [os.open('/proc/self/ns/' + kind, os.O_RDONLY) for kind in ('net', 'mnt')]
    command = ['unshare', '--net', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc',
               '--uts', '--ipc', python, INIT, report, 'keep' if keep else '',
               python, '-W', 'ignore', '-m', 'lab.gate.worker', work, venv]
    if not keep:
        command = ['setpriv', '--pdeathsig', 'KILL'] + command
    environ = dict(os.environ)
    # Seen from inside, where the number 1 is that of INIT.
    environ[hooks.OUTSIDE] = 'nsenter --net=/proc/1/fd/%d --mount=/proc/1/fd/%d --' % tuple(outside)
    with subprocess.Popen(command, cwd=paths.CHECKOUT, env=environ, pass_fds=outside + [lock],
                          start_new_session=keep) as process:
        try:
            return _wait(process, report)
        except BaseException:
            process.kill()
            raise
        finally:
            if keep and process.poll() is None:
                _report(process.pid, work)
                process.returncode = 0      # stays: do not wait for it


def _wait(process: 'subprocess.Popen[bytes]', report: str) -> int:
    while not os.path.exists(report):
        if process.poll() is not None:
            return process.returncode
        time.sleep(0.2)
    with open(report, encoding='utf-8') as stream:
        return int(stream.read())


def _report(pid: int, work: str) -> None:
    """Say how the cloud that stays is reached, and how it is taken down."""
    with open('/proc/%d/task/%d/children' % (pid, pid), encoding='utf-8') as stream:
        first = stream.read().strip()
    print(KEPT % {'first': first, 'work': work}, flush=True)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
