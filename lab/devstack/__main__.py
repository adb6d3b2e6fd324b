# SPDX-License-Identifier: Apache-2.0
"""``make devstack``: stack.sh, the tempest plugin, unstack.sh and clean.sh, in a machine of its own.

In the environment: DEVSTACK_DIR, a clone of devstack; SERVICES_DIR, the folder of the services' clones
(default: devstack's own); LOCAL_CONF, a file with the lines of the operator's localrc (default: those of
the README); CEPH=1 for two Ceph clusters, and the README's lines for those; AGAIN=1 to stack and unstack
once more before clean; KEEP=1 to leave it up after tempest; WORK, the folder for tree and logs (default: a
new one, which is removed unless KEEP or WORK is set); STOP=checkouts to end before anything boots.
Exit codes: 0 all is right, or skipped with its reason; 1 something is WRONG.
"""

import functools
import os
import shutil
import signal
import sys
import tempfile
import typing

from lab.devstack import local_conf
from lab.devstack import machine
from lab.devstack import needs
from lab.devstack import steps
from lab.devstack import tree

PLACE = '/var/tmp'  # noqa: S108
KEPT = '''\
The devstack is up. A shell in it:  nsenter --target %(pid)d --all --root --wd setpriv --reuid=stack \\
                                      --regid=stack --init-groups bash
and in there:                       cd /opt/stack/devstack; . openrc admin admin
To take it down:                    kill %(pid)d; rm -r %(work)s'''


def main(environ: typing.Mapping[str, str]) -> int:
    """Run it and return the exit code."""
    devstack, services = environ.get('DEVSTACK_DIR', ''), environ.get('SERVICES_DIR', '')
    keep = _is_on(environ, 'KEEP')
    why = needs.missing(devstack, services, environ.get('WORK') or PLACE)
    if why:
        print('devstack: skipped: %s\n0 passed, 0 failed, 1 skipped' % why)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = environ.get('WORK') or tempfile.mkdtemp(prefix='multistore-devstack-', dir=PLACE)
    os.makedirs(work, exist_ok=True)
    there = machine.Machine(os.path.join(work, 'tree'), work, keep)
    sheet = steps.Sheet(functools.partial(print, file=sys.stderr, flush=True))
    kept = False
    try:
        kept = run_steps(sheet, there, work, environ, needs.repositories(devstack, services))
    finally:
        if sheet.rows:
            print(sheet.table(), flush=True)
        if kept:
            print(KEPT % {'pid': there.pid, 'work': work}, flush=True)
        else:
            there.stop()
            if not keep and not environ.get('WORK'):
                shutil.rmtree(work, ignore_errors=True)
    return sheet.exit_code()


def run_steps(sheet: steps.Sheet, there: machine.Machine, work: str, environ: typing.Mapping[str, str],
              repositories: typing.Mapping[str, str]) -> bool:
    """Run the steps; return whether the machine shall stay."""
    path, log = os.path.join(work, 'tree'), os.path.join(work, 'tree.log')
    sheet.run('tree', lambda: tree.make(path, log))
    sheet.run('checkouts', lambda: tree.clone(path, repositories, log))
    sheet.run('local.conf', lambda: tree.configure(path, _operator(environ)))
    if environ.get('STOP') == 'checkouts':
        return False
    sheet.run('boot', there.start)
    if _is_on(environ, 'CEPH'):
        sheet.run('Ceph', lambda: steps.ceph(there))
    sheet.run('stack.sh', lambda: steps.stack(there))
    sheet.run('tempest', lambda: steps.tempest(there))
    if _is_on(environ, 'KEEP'):
        return bool(there.pid)
    sheet.run('unstack.sh', lambda: steps.unstack(there))
    if _is_on(environ, 'AGAIN'):
        sheet.run('stack.sh again', lambda: steps.stack(there))
        sheet.run('unstack.sh again', lambda: steps.unstack(there))
    sheet.run('clean.sh', lambda: steps.clean(there))
    sheet.run('left over', lambda: steps.left_over(there))
    return False


def _operator(environ: typing.Mapping[str, str]) -> typing.Sequence[str]:
    if not environ.get('LOCAL_CONF'):
        return local_conf.CEPH_OPERATOR if _is_on(environ, 'CEPH') else local_conf.OPERATOR
    with open(environ['LOCAL_CONF'], encoding='utf-8') as stream:
        return [line.strip() for line in stream if line.strip()]


def _is_on(environ: typing.Mapping[str, str], name: str) -> bool:
    return environ.get(name, '') not in ('', '0')


if __name__ == '__main__':
    try:
        sys.exit(main(os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
