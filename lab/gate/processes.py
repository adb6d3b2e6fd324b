# SPDX-License-Identifier: Apache-2.0
"""The cloud's processes: started by name, stopped by name, waited for.

Nothing here looks after what is left when the gate itself ends: the namespace does.
"""

import http.client
import os
import signal
import socket
import subprocess
import time
import typing

WAIT_SECONDS = 180
STOP_SECONDS = 20

Environment = typing.Mapping[str, str]


class Failed(Exception):
    """The cloud cannot do what the gate needs of it; the text says why."""


class Processes:
    """Starts processes, each with a process group and an output file of its own."""

    def __init__(self, logs: str, environment: Environment) -> None:
        """Describe them.

        :param logs: the folder for their output
        :param environment: what all of them find in theirs
        """
        self._logs, self._environment = logs, dict(environment)
        self._running: typing.Dict[str, 'subprocess.Popen[bytes]'] = {}

    def start(self, name: str, command: typing.Sequence[str], directory: str = '/',
              **environment: str) -> None:
        """Start a process under a name that none has that runs."""
        if self.alive(name):
            raise Failed('%s runs already' % name)
        with open(os.path.join(self._logs, name + '.out'), 'ab') as output:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory,
                env={**self._environment, **environment}, start_new_session=True)

    def alive(self, name: str) -> bool:
        """Tell whether the process of this name runs."""
        return name in self._running and self._running[name].poll() is None

    def pid(self, name: str) -> int:
        """Return the number of the process of this name."""
        return self._running[name].pid

    def stop(self, *names: str) -> None:
        """End processes in good order, all at the same time; those that will not, are killed."""
        running = {name: self._running.pop(name) for name in names if name in self._running}
        for process in running.values():
            _signal(process, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for process in running.values():
            try:
                process.wait(max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                pass
            _signal(process, signal.SIGKILL)
            process.wait()

    def kill(self, *names: str) -> None:
        """Kill processes with all of their children, as a power cut would."""
        for name in names:
            process = self._running.pop(name)
            _signal(process, signal.SIGKILL)
            process.wait()

    def run(self, command: typing.Sequence[str], log: str, directory: str = '/',
            timeout: float = 600,
            environment: typing.Optional[Environment] = None) -> str:
        """Run a command to its end; return what it printed.

        :raises Failed: it failed; with its last line.
        """
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=directory, env={**self._environment, **(environment or {})}, timeout=timeout,
                universal_newlines=True, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed('%s: %s' % (command[0], error)) from error
        path = os.path.join(self._logs, log + '.out')
        with open(path, 'a', encoding='utf-8') as stream:
            stream.write('$ %s\n%s%s' % (' '.join(command), done.stdout, done.stderr))
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines() or ['nothing']
            raise Failed('%s: exit code %d: %s' % (' '.join(command)[:200], done.returncode, said[-1]))
        return done.stdout

    def wait_for_port(self, name: str, port: int) -> None:
        """Wait until a process listens to a port of loopback.

        :raises Failed: it ended, or took too long.
        """
        self.wait_until('%s at port %d' % (name, port), lambda: _listens(port), name)

    def wait_for_answer(self, name: str, port: int) -> None:
        """Wait until a process answers HTTP requests.

        :raises Failed: it ended, or took too long.
        """
        self.wait_until('answer of %s at port %d' % (name, port), lambda: _answers(port), name)

    def wait_until(self, what: str, holds: typing.Callable[[], typing.Any], name: str = '',
                   seconds: float = WAIT_SECONDS) -> typing.Any:
        """Wait until something holds, while the process of this name lives; return its value.

        :raises Failed: the process ended, or it took too long.
        """
        end = time.monotonic() + seconds
        while True:
            value = holds()
            if value:
                return value
            if name and not self.alive(name):
                raise Failed('no %s: %s has ended: %s' % (what, name, self._last_words(name)))
            if time.monotonic() > end:
                raise Failed('no %s in %d seconds' % (what, seconds))
            time.sleep(0.1)

    def _last_words(self, name: str) -> str:
        with open(os.path.join(self._logs, name + '.out'), encoding='utf-8',
                  errors='replace') as stream:
            return ' / '.join(stream.read()[-600:].strip().splitlines()[-3:])


def _signal(process: 'subprocess.Popen[bytes]', number: int) -> None:
    # Its group lives on when it has ended itself, and its children have not.
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    try:
        connection.request('GET', '/')
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(('127.0.0.1', port), 1):
            return True
    except OSError:
        return False
