# SPDX-License-Identifier: Apache-2.0
"""What is done with a machine, step by step, and the table of it."""

import re
import time
import typing

from lab import ceph_bindings
from lab.devstack import local_conf
from lab.devstack import machine
from lab.devstack import tree
from lab.poll import LabError

STACK_SECONDS, TEMPEST_SECONDS, UNSTACK_SECONDS, CEPH_SECONDS = 7200, 5400, 900, 900
OK, WRONG, SKIPPED, LEFT_OUT = 'ok', 'WRONG', 'not reached', 'left out'
TEMPEST = ('cd /opt/stack/tempest && .tox/tempest/bin/tempest run --regex ^multistore_tempest_plugin'
           ' --concurrency 2')
# No package's own service is started.
CEPH = r'''
set -e
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -q update
apt-get -q install -y --no-install-recommends %s
rm /usr/sbin/policy-rc.d
cd /opt/src/multistore-hooks
python3 -m lab.devstack.clusters %s
'''
# stack.sh itself changes that of the requirements.
SERVICES = ('nova', 'glance', 'cinder', 'keystone', 'placement', 'tempest', 'devstack')
# What must not be left after clean: in files of the services, a unit, a rule of sudo, in a clone.
LEFT_OVER = r'''
grep -rIl --exclude-dir=.git -e multistore_hooks -e 'multistore\.LibvirtDriver' \
    /etc /opt/stack/data /opt/stack/tempest/etc 2>/dev/null | grep -v -e '/venv/' -e '/local.conf$'
ls -d /etc/multistore* /etc/sudoers.d/multistore* /opt/stack/data/multistore* 2>/dev/null
systemctl list-unit-files --no-legend '*multistore*'
for name in %s; do
    git -C /opt/stack/$name status --porcelain | grep -v ' \.localrc\.\| local\.conf$' | sed "s|^|$name: |"
done
true
''' % ' '.join(SERVICES)
_COUNTS = re.compile(r'^ - (Passed|Skipped|Failed): (\d+)$', re.MULTILINE)


class Row(typing.NamedTuple):
    """A line of the table."""

    what: str
    result: str
    seconds: float
    verdict: str


class Sheet:
    """The rows, each printed as it ends; after one that went wrong the rest is not reached."""

    def __init__(self, show: typing.Callable[[str], None]) -> None:
        self.rows: typing.List[Row] = []
        self._show = show
        self._planned: typing.List[str] = []

    def plan(self, names: typing.Sequence[str]) -> None:
        """Name all steps: those that a run which is ended does not come to are in the table, too."""
        self._planned = list(names)

    def leave_out(self, what: str, why: str) -> None:
        """Have a step in the table that is not run, with the reason."""
        self.rows.append(Row(what, why, 0, LEFT_OUT))

    def run(self, what: str, step: typing.Callable[[], str], always: bool = False) -> None:
        """Run a step, which returns a few words or raises; unless one before it went wrong."""
        if not always and any(row.verdict == WRONG for row in self.rows):
            self.rows.append(Row(what, '', 0, SKIPPED))
            return
        began = time.monotonic()
        try:
            result, verdict = step(), OK
        except (LabError, tree.Failed, OSError) as error:
            result, verdict = str(error), WRONG
        self.rows.append(Row(what, result, time.monotonic() - began, verdict))
        self._show('devstack: %s: %s (%.0f s) %s' % (what, result, self.rows[-1].seconds, verdict))

    def exit_code(self) -> int:
        """Return 1 unless every step was right or is left out."""
        return int(any(row.verdict not in (OK, LEFT_OUT) for row in self._all()))

    def table(self) -> str:
        """Return the table, and how many rows are right."""
        rows = self._all()
        width = max(len(row.what) for row in rows)
        lines = ['%-*s  %6.0f s  %-11s  %s' % (
            width, row.what, row.seconds, row.verdict, row.result.replace('\n', '; ')) for row in rows]
        right = sum(1 for row in rows if row.verdict == OK)
        wrong = sum(1 for row in rows if row.verdict == WRONG)
        return '\n'.join(lines + ['%d passed, %d failed, %d skipped' % (
            right, wrong, len(rows) - right - wrong)])

    def _all(self) -> typing.List[Row]:
        return self.rows + [Row(name, '', 0, SKIPPED) for name in self._planned[len(self.rows):]]


def ceph(there: machine.Machine, clusters: typing.Sequence[local_conf.Cluster]) -> str:
    """Install Ceph from Debian, start the clusters of the operator, and put their files in place.

    :raises LabError: it failed
    """
    words = ['%s=%s' % (cluster.name, ','.join(cluster.pools)) for cluster in clusters]
    script = CEPH % (ceph_bindings.PACKAGES, ' '.join(words))
    if there.run('ceph', script, CEPH_SECONDS, user='root'):
        raise LabError('no Ceph: %s' % last_words(there.log('ceph')))
    return ' '.join(words)


def stack(there: machine.Machine) -> str:
    """Run stack.sh.

    :raises LabError: it failed
    """
    return _script(there, 'stack', './stack.sh', STACK_SECONDS)


def unstack(there: machine.Machine) -> str:
    """Run unstack.sh; raises as stack does."""
    return _script(there, 'unstack', './unstack.sh', UNSTACK_SECONDS)


def clean(there: machine.Machine) -> str:
    """Run clean.sh; raises as stack does."""
    return _script(there, 'clean', './clean.sh', UNSTACK_SECONDS)


def tempest(there: machine.Machine) -> str:
    """Run the plugin's tests by tempest.

    :raises LabError: a test failed, or none passed
    """
    code = there.run('tempest', TEMPEST, TEMPEST_SECONDS)
    with open(there.log('tempest'), encoding='utf-8', errors='replace') as stream:
        said = stream.read()
    counts = dict(_COUNTS.findall(said))
    result = ', '.join('%s %s' % (count, name.lower()) for name, count in counts.items())
    reasons = sorted(set(re.findall(r'SKIPPED: (.+)$', said, re.MULTILINE)))
    if code or not int(counts.get('Passed', 0)):
        failed = re.findall(r'^\{\d+\} (\S+) .*\.\.\. FAILED', said, re.MULTILINE)
        raise LabError('%s; exit code %d; %s' % (result, code, ', '.join(failed)))
    return '; '.join([result] + ['skipped: ' + reason for reason in reasons])


def left_over(there: machine.Machine) -> str:
    """Look for what the plugin left behind.

    :raises LabError: it left something
    """
    found = there.read('bash', '-c', LEFT_OVER)
    if found:
        raise LabError('left over: ' + found)
    return 'no option, file, unit, rule of sudo; clones as they were'


def _script(there: machine.Machine, name: str, command: str, seconds: float) -> str:
    code = there.run(name, 'cd /opt/stack/devstack && ' + command, seconds)
    if code:
        raise LabError('%s ended with %d: %s' % (command, code, last_words(there.log(name))))
    return 'exit code 0'


def last_words(log: str) -> str:
    """Return the errors of a log of devstack's, or its last lines."""
    with open(log, encoding='utf-8', errors='replace') as stream:
        lines = [line.strip() for line in stream if line.strip()]
    errors = [line for line in lines if '[ERROR]' in line or line.startswith('ERROR')]
    return '; '.join(errors[-2:] or lines[-3:])
