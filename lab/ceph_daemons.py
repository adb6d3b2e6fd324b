# SPDX-License-Identifier: Apache-2.0
"""The daemons of a lab's cluster: started by this process, stopped by their recorded numbers.

Run as a program, ``python -m lab.ceph_daemons DIRECTORY`` waits until its standard input
is closed without a word, and then stops whatever runs with the configuration in that directory:
so daemons do not outlive a process that started them and was killed.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import typing

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
WAIT_SECONDS = 60
STOP_SECONDS = 20
TRY_SECONDS = 3
POLL_SECONDS = 0.05
# So many times, with as many pauses, a guard looks for what was started last.
LAST_LOOKS = 20
# The OSD says good-bye to the monitor, so the monitor goes last.
ORDER = ('osd.0', 'mgr.x', 'mon.a')


class CephError(Exception):
    """Ceph did not do what the lab asked for; the message says what Ceph said."""


class Daemons:
    """The daemons of one cluster, by their names."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._children: typing.Dict[str, 'subprocess.Popen[bytes]'] = {}
        self._guard: typing.Optional['subprocess.Popen[bytes]'] = None

    def start(self, name: str, command: typing.Sequence[str]) -> None:
        """Start a daemon, with its output in a file of its own and its number recorded."""
        if not self._guard:
            self._guard = subprocess.Popen(
                [sys.executable, '-m', 'lab.ceph_daemons', str(self._directory)],
                stdin=subprocess.PIPE, cwd=str(CHECKOUT), start_new_session=True)
        with open(str(self._output(name)), 'ab') as output:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment(), start_new_session=True)
        self._children[name] = child
        _record(self._directory, name).write_text(str(child.pid))

    def wait_for(self, what: str, name: str, command: typing.Sequence[str],
                 says: str = '') -> None:
        """Repeat a command until it succeeds and says something, while the daemon lives.

        :raises CephError: the daemon died, or it took longer than WAIT_SECONDS.
        """
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                why = run(command, TRY_SECONDS)
                if says in why:
                    return
            except CephError as error:
                why = str(error)
            if self._children[name].poll() is not None:
                raise CephError('%s died: %s' % (name, self._last_words(name)))
            if time.monotonic() > end:
                raise CephError('no %s in %d seconds: %s' % (what, WAIT_SECONDS, why))
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the daemons in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the daemons, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, by: int) -> None:
        end_recorded(self._directory, by)
        for child in self._children.values():
            child.kill()                # nothing, where it has ended
            child.wait()
        self._children.clear()
        if self._guard:
            self._guard.communicate(b'all is in order')
            self._guard = None

    def _output(self, name: str) -> pathlib.Path:
        return self._directory / 'log' / (name + '.out')

    def _last_words(self, name: str) -> str:
        return self._output(name).read_text(errors='replace')[-2000:].strip()


def run(command: typing.Sequence[str], timeout: float) -> str:
    """Run a command of Ceph's; return what it prints.

    :raises CephError: it failed, or took longer than so many seconds.
    """
    shown = ' '.join(command)
    try:
        finished = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(), timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise CephError('no answer in %s seconds: %s' % (timeout, shown))
    if finished.returncode:
        raise CephError('%s: %s' % (shown, finished.stderr.decode(errors='replace').strip()))
    return finished.stdout.decode()


def environment() -> typing.Dict[str, str]:
    """The environment of Ceph's programs; some are in Python, and must not find our packages."""
    keep = {name: value for name, value in os.environ.items()
            if not name.startswith(('PYTHON', 'CEPH_', 'VIRTUAL_ENV'))}
    return dict(keep, LC_ALL='C.UTF-8')


def end_recorded(directory: pathlib.Path, by: int) -> None:
    """Send a signal to each daemon recorded in a cluster's directory, and wait until it is gone.

    A number that now belongs to another program is left alone. What does not end in
    STOP_SECONDS is killed.
    """
    for name in ORDER:
        try:
            pid = int(_record(directory, name).read_text())
        except (OSError, ValueError):
            continue
        _end(pid, directory, by)
        _record(directory, name).unlink(missing_ok=True)


def end_all(directory: pathlib.Path) -> None:
    """Stop everything that runs with a cluster's configuration, recorded or not.

    The process that was killed may have been about to start one more: look a few times.
    """
    end_recorded(directory, signal.SIGTERM)
    for _ in range(LAST_LOOKS):
        for entry in pathlib.Path('/proc').glob('[0-9]*'):
            _end(int(entry.name), directory, signal.SIGTERM)
        time.sleep(POLL_SECONDS)


def _end(pid: int, directory: pathlib.Path, by: int) -> None:
    for signal_number in (by, signal.SIGKILL):
        if not _is_ours(pid, directory):
            return
        os.kill(pid, signal_number)
        end = time.monotonic() + STOP_SECONDS
        while _is_ours(pid, directory) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)


def _is_ours(pid: int, directory: pathlib.Path) -> bool:
    """Whether a process lives that has this cluster's configuration on its command line.

    A process that ended, and that nobody has waited for, has no command line any more.
    """
    try:
        arguments = pathlib.Path('/proc/%d/cmdline' % pid).read_bytes().split(b'\0')
    except OSError:
        return False
    return os.fsencode(str(directory / 'ceph.conf')) in arguments


def _record(directory: pathlib.Path, name: str) -> pathlib.Path:
    return directory / 'run' / (name + '.pid')


if __name__ == '__main__':
    if not sys.stdin.read():
        end_all(pathlib.Path(sys.argv[1]))
