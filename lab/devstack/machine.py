# SPDX-License-Identifier: Apache-2.0
"""A tree that runs: its systemd in namespaces; it reaches package registries, and nothing of the host."""

import os
import typing

from lab import poll
from lab import processes

BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'boot.sh')
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
NAMESPACES = ('--net', '--mount', '--pid', '--ipc', '--uts', '--cgroup')
STATES = ('running', 'degraded')


class Machine:
    """One machine; ends with this process unless it is kept.

    :param tree: the tree that becomes its root
    :param logs: the folder for what its systemd and its commands say
    """

    def __init__(self, tree: str, logs: str, keep: bool = False) -> None:
        self._tree, self._logs, self._guarded = tree, logs, not keep
        self._running: typing.List[processes.Process] = []
        self.pid = 0

    def start(self) -> str:
        """Boot it and wait until its systemd is up; return the state that systemd names.

        :raises LabError: it does not come up
        """
        unshare = self._start('unshare', *NAMESPACES, '--fork', '--kill-child', BOOT, self._tree)
        self.pid = unshare.wait_until('first process', lambda: _only_child(unshare.pid))
        unshare.wait_until('systemd', lambda: _name(self.pid) == 'systemd')
        self._start('slirp4netns', '--configure', '--mtu=65520', '--disable-host-loopback', str(self.pid),
                    'tap0')
        state: str = unshare.wait_until('end of the boot', self._state)
        return state

    def _start(self, *command: str) -> processes.Process:
        process = processes.Process(command, log=self.log('machine'), guarded=self._guarded)
        self._running.append(process)
        return process

    def _state(self) -> str:
        state = self.read('systemctl', 'is-system-running')
        return state if state in STATES and self.read('ip', '-4', '-o', 'address', 'show', 'tap0') else ''

    def log(self, name: str) -> str:
        """Return the path of a log outside of the tree."""
        return os.path.join(self._logs, name + '.log')

    def read(self, *command: str) -> str:
        """Return what a command of root's prints, whatever its exit code."""
        return processes.run(self._entered('root', '/root') + list(command)).output.strip()

    def run(self, name: str, script: str, seconds: float, user: str = 'stack') -> int:
        """Run a script of bash in there, its output into the log of that name; return its exit code.

        :raises LabError: it took longer, and was killed
        """
        command = self._entered(user, '/opt/stack' if user == 'stack' else '/root')
        process = processes.Process(command + ['bash', '-c', script], log=self.log(name))
        try:
            return process.wait(seconds)
        finally:
            process.kill()

    def _entered(self, user: str, home: str) -> typing.List[str]:
        environ = ['HOME=' + home, 'USER=' + user, 'TERM=dumb', 'LANG=C.UTF-8', 'PATH=' + PATH,
                   'DEBIAN_FRONTEND=noninteractive']
        return (['nsenter', '-t', str(self.pid), '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w', 'env', '-i']
                + environ + ['setpriv', '--reuid=' + user, '--regid=' + user, '--init-groups'])

    def stop(self) -> None:
        """End it; the kernel ends every process in it."""
        for process in reversed(self._running):
            process.kill()
        self._running = []


def _only_child(pid: int) -> int:
    with open('/proc/%d/task/%d/children' % (pid, pid), encoding='utf-8') as stream:
        return int(stream.read().strip() or 0)


def _name(pid: int) -> str:
    with open('/proc/%d/comm' % pid, encoding='utf-8') as stream:
        return stream.read().strip()


LabError = poll.LabError
