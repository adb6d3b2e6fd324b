# SPDX-License-Identifier: Apache-2.0
"""The cloud's processes, by their names; see lab.processes.

Nothing here looks after what is left when the gate itself ends: the namespace does.
"""

import concurrent.futures
import http.client
import os
import socket
import typing

from lab import poll
from lab.poll import LabError
from lab import processes

Environment = typing.Mapping[str, str]


class Processes:
    """Starts processes, each with an output file of its own."""

    def __init__(self, logs: str, environment: Environment) -> None:
        """Describe them.

        :param logs: the folder for their output
        :param environment: what all of them find in theirs
        """
        self._logs, self._environment = logs, dict(environment)
        self._running: typing.Dict[str, processes.Process] = {}

    def start(self, name: str, command: typing.Sequence[str], directory: str = '/',
              **environment: str) -> None:
        """Start a process under a name that no running one has."""
        if self.alive(name):
            raise LabError('%s runs already' % name)
        self._running[name] = processes.Process(
            command, self._log(name), guarded=False, cwd=directory,
            env={**self._environment, **environment})

    def alive(self, name: str) -> bool:
        """Return whether the process of this name runs."""
        return name in self._running and self._running[name].alive

    def pid(self, name: str) -> int:
        """Return the number of the process of this name."""
        return self._running[name].pid

    def stop(self, *names: str) -> None:
        """End processes in good order, all at the same time."""
        running = [self._running.pop(name) for name in names if name in self._running]
        with concurrent.futures.ThreadPoolExecutor(len(running) or 1) as pool:
            list(pool.map(processes.Process.stop, running))

    def kill(self, *names: str) -> None:
        """Kill processes with all of their children, as a power cut would."""
        for name in names:
            self._running.pop(name).kill()

    def run(self, command: typing.Sequence[str], log: str, directory: str = '/',
            seconds: float = processes.RUN_SECONDS,
            environment: typing.Optional[Environment] = None) -> str:
        """Run a command to its end; return what it printed.

        :raises LabError: it failed; with its last line.
        """
        done = processes.run(command, seconds=seconds, guarded=False, cwd=directory,
                             env={**self._environment, **(environment or {})})
        with open(self._log(log), 'a', encoding='utf-8') as stream:
            stream.write('$ %s\n%s%s' % (' '.join(command), done.output, done.errors))
        if done.code:
            said = (done.errors + done.output).strip().splitlines() or ['nothing']
            raise LabError('%s: exit code %d: %s' % (' '.join(command)[:200], done.code, said[-1]))
        return done.output

    def wait_for_port(self, name: str, port: int) -> None:
        """Wait until a process listens to a port of loopback."""
        self.wait_until('%s at port %d' % (name, port), lambda: _listens(port), name)

    def wait_for_response(self, name: str, port: int) -> None:
        """Wait until a process responds to HTTP requests."""
        self.wait_until('response of %s at port %d' % (name, port), lambda: _responds(port), name)

    def wait_until(self, what: str, holds: typing.Callable[[], typing.Any], name: str = '') -> typing.Any:
        """Wait until something holds, while the process of this name, if there is one, runs.

        :raises LabError: the process ended, or it took too long.
        """
        return self._running[name].wait_until(what, holds) if name else poll.until(what, holds)

    def _log(self, name: str) -> str:
        return os.path.join(self._logs, name + '.out')


def _responds(port: int) -> bool:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    try:
        connection.request('GET', '/')
        return connection.getresponse().status < 500
    finally:
        connection.close()


def _listens(port: int) -> bool:
    with socket.create_connection(('127.0.0.1', port), 30):
        return True
