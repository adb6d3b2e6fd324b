# SPDX-License-Identifier: Apache-2.0
"""``make devstack``: stack.sh, the tempest plugin, unstack.sh and clean.sh, in a machine of its own.

In the environment: DEVSTACK_DIR, a clone of devstack; SERVICES_DIR, the folder of the services' clones
(default: devstack's own); BRANCH, that of devstack and of each service which has it, such as stable/2026.1
(default: that of the clone). The operator's lines of local.conf: EXAMPLE=N for the Nth example of
devstack/README.rst (default: the first), CEPH=1 for all that needs Ceph, or LOCAL_CONF, a file; Ceph clusters
that these lines name are made. AGAIN=1 to stack and unstack once more before clean; KEEP=1 to leave it up
after tempest; WORK, the folder for tree and logs (default: a new one, which is removed unless KEEP or WORK
is set); STOP=checkouts to end before anything boots.
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
    plugins = local_conf.plugins(lines(environ))
    why = needs.missing(devstack, services, environ.get('WORK') or PLACE, plugins)
    if why:
        print('devstack: skipped: %s\n0 passed, 0 failed, 1 skipped' % why)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = environ.get('WORK') or tempfile.mkdtemp(prefix='multistore-devstack-', dir=PLACE)
    os.makedirs(work, exist_ok=True)
    clear_logs(work)
    there = machine.Machine(os.path.join(work, 'tree'), work, keep)
    sheet = steps.Sheet(functools.partial(print, file=sys.stderr, flush=True))
    kept = False
    try:
        kept = run_steps(sheet, there, work, environ, needs.repositories(devstack, services, plugins))
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
    operator = lines(environ)
    clusters = local_conf.clusters(operator)
    plan: typing.List[typing.Tuple[str, typing.Callable[[], str], str]] = [
        ('tree', lambda: tree.make(path, log), ''),
        ('checkouts', lambda: tree.clone(path, repositories, log, environ.get('BRANCH', '')), ''),
        ('this project', lambda: tree.serve_ours(path, log), ''),
        ('local.conf', lambda: tree.configure(path, operator), '')]
    stop = 'STOP=checkouts' if environ.get('STOP') == 'checkouts' else ''
    kept = stop or ('KEEP=1' if _is_on(environ, 'KEEP') else '')
    once = kept or ('' if _is_on(environ, 'AGAIN') else 'without AGAIN=1')
    no_ceph = '' if clusters else 'local.conf names no cluster'
    plan += [
        ('boot', there.start, stop),
        ('Ceph', lambda: steps.ceph(there, clusters), stop or no_ceph),
        ('stack.sh', lambda: steps.stack(there), stop),
        ('tempest', lambda: steps.tempest(there), stop),
        ('unstack.sh', lambda: steps.unstack(there), kept),
        ('Ceph again', lambda: steps.ceph(there, clusters), once or no_ceph),
        ('stack.sh again', lambda: steps.stack(there), once),
        ('unstack.sh again', lambda: steps.unstack(there), once),
        ('clean.sh', lambda: steps.clean(there), kept),
        ('left over', lambda: steps.left_over(there), kept)]
    sheet.plan([name for name, _step, _why in plan])
    for name, step, why in plan:
        if why:
            sheet.leave_out(name, why)
        else:
            sheet.run(name, step)
    return kept == 'KEEP=1' and bool(there.pid)


def clear_logs(work: str) -> None:
    """Remove the logs of a run before, to which this one would add."""
    for name in os.listdir(work):
        if name.endswith('.log'):
            os.unlink(os.path.join(work, name))


def lines(environ: typing.Mapping[str, str]) -> typing.Sequence[str]:
    """Return the operator's lines of local.conf."""
    if environ.get('LOCAL_CONF'):
        with open(environ['LOCAL_CONF'], encoding='utf-8') as stream:
            return [line.strip() for line in stream if line.strip()]
    if _is_on(environ, 'CEPH'):
        return local_conf.CEPH_OPERATOR
    return local_conf.examples()[int(environ.get('EXAMPLE') or 1) - 1]


def _is_on(environ: typing.Mapping[str, str], name: str) -> bool:
    return environ.get(name, '') not in ('', '0')


if __name__ == '__main__':
    try:
        sys.exit(main(os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
