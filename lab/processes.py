# SPDX-License-Identifier: Apache-2.0
"""The one way to start a process of the lab, to wait for it, and to end it with all its children.

    glance = Process([sys.executable, '-m', 'gunicorn', ...], log='/tmp/lab/server.log', warm='glance')
    glance.wait_until('response of Glance', lambda: glance_responds(9292))
    glance.stop()

A process is in a group of its own, which is ended as one. Its output goes to a file, the end of which is in
the error when it does not come up. It is killed when this process ends, whichever way (see lab.guard).
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import typing

from lab import forks
from lab import guard
from lab import poll
from lab.poll import LabError

STOP_SECONDS = 20
RUN_SECONDS = 600
TAIL_BYTES = 3000

Json = typing.Dict[str, typing.Any]


class Done(typing.NamedTuple):
    """How a command ended: its exit code, its standard output and its standard error."""

    code: int
    output: str
    errors: str


class Process:
    """A process that runs, in a group of its own."""

    def __init__(self, command: typing.Sequence[str], log: str = '', warm: str = '', root: str = '',
                 guarded: bool = True, env: typing.Optional[typing.Mapping[str, str]] = None,
                 **options: typing.Any) -> None:
        """Start it.

        :param command: [python, '-m', module, argument...] with ``warm``
        :param log: the file to which is appended what it writes, but for streams among the options
        :param warm: the function of lab.warm for what is imported before; see lab.forks
        :param root: a folder that comes first on sys.path for that
        :param guarded: it is killed when this process ends; False: it stays
        :param options: of subprocess.Popen
        :raises LabError: it cannot be started
        """
        self.name = command[2] if command[1:2] == ['-m'] else os.path.basename(command[0])
        self.logs = [log] if log else []
        environ = dict({'PYTHONWARNINGS': 'ignore'}, **(os.environ if env is None else env))
        environ.update(guard.mark() if guarded else {})
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(open(log, 'ab')) if log else None
            options = {'stdin': subprocess.DEVNULL, 'stdout': output, 'stderr': output, **options}
            with _lock:
                if _ended:
                    raise LabError('stopped')
                try:
                    self._started = forks.popen(warm, list(command), root, env=environ,
                                                start_new_session=True, **options)
                except OSError as error:
                    raise LabError('cannot run %s: %s' % (command[0], error.strerror or error)) from error
                _running.add(self)
        self.pid: int = self._started.pid
        self.stdin, self.stdout = self._started.stdin, self._started.stdout
        if guarded:
            atexit.register(self.kill)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._started.poll() is None

    def wait(self, seconds: typing.Optional[float] = None) -> int:
        """Wait for its end; return its exit code.

        :raises LabError: it runs longer than that
        """
        try:
            return int(self._started.wait(seconds))
        except subprocess.TimeoutExpired:
            raise LabError('%s took longer than %s seconds' % (self.name, seconds)) from None

    def wait_until(self, what: str, holds: typing.Callable[[], typing.Any], **options: typing.Any
                   ) -> typing.Any:
        """Wait until something holds, as long as the process runs; return its value.

        :param options: of poll.until

        :raises LabError: the process ended, or it took too long; with the end of its logs
        """
        def check() -> None:
            if not self.alive:
                raise LabError('no %s: %s ended with %d: %s' % (
                    what, self.name, self.wait(), self.last_words()))
        return poll.until(what, holds, check=check, **options)

    def last_words(self) -> str:
        """Return the ends of its logs."""
        words = []
        for path in self.logs:
            with contextlib.suppress(FileNotFoundError):
                with open(path, encoding='utf-8', errors='replace') as stream:
                    words.append('---- %s\n%s' % (path, stream.read()[-TAIL_BYTES:].strip()))
        return '\n'.join(words)

    def stop(self) -> None:
        """End it in good order, with all its children; what has not ended after some seconds is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with all its children, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        with _lock:
            if self not in _running:
                return
            _running.remove(self)
        atexit.unregister(self.kill)
        _signal(self.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._started.wait(STOP_SECONDS)
        # The children may not be ours to wait for.
        while _signal(self.pid, signal.SIGKILL) and members(self.pid):
            time.sleep(poll.PAUSE_SECONDS)
        self._started.wait()
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                if stream:
                    stream.close()


class Program(Process):
    """A process that reads documents from standard input, a line each, and responds to each with a line."""

    def __init__(self, command: typing.Sequence[str], **options: typing.Any) -> None:
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def send(self, document: typing.Any) -> None:
        """Send a document; ``receive`` waits for what comes of it.

        :raises LabError: the process has ended
        """
        try:
            self.stdin.write(json.dumps(document).encode() + b'\n')
            self.stdin.flush()
        except (BrokenPipeError, ValueError):     # the latter of a stream that _end has closed
            raise LabError('%s has ended: %s' % (self.name, self.last_words())) from None

    def receive(self, seconds: float = RUN_SECONDS) -> Json:
        """Wait for the next response, and return it.

        :raises LabError: the process ended, took too long, or responded with nothing but an error
        """
        # A process that hangs is killed, and then its output ends.
        timer = threading.Timer(seconds, _signal, (self.pid, signal.SIGKILL))
        timer.start()
        try:
            line = b'' if self.stdout.closed else self.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise LabError('%s ended with %d: %s' % (self.name, self.wait(), self.last_words()))
        response: Json = json.loads(line.decode())
        if set(response) == {'error'}:
            raise LabError('%s: %s' % (response['error'], self.last_words()))
        return response


_lock = threading.Lock()
_running: typing.Set[Process] = set()
_ended = False


def run(command: typing.Sequence[str], text: str = '', seconds: float = RUN_SECONDS,
        **options: typing.Any) -> Done:
    """Run a command to its end.

    :param text: its standard input
    :param options: of Process
    :raises LabError: it cannot be started, or took longer, and was killed
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, \
            tempfile.TemporaryFile() as errors:
        given.write(text.encode())
        given.seek(0)
        process = Process(command, stdin=given, stdout=output, stderr=errors, **options)
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        output.seek(0)
        errors.seek(0)
        return Done(code, output.read().decode(errors='replace'), errors.read().decode(errors='replace'))


def run_json(command: typing.Sequence[str], document: Json, **options: typing.Any) -> Json:
    """Run a program that reads one JSON document and prints another; return that one.

    :raises LabError: it failed; with what it said
    """
    done = run(command, json.dumps(document), **options)
    try:
        response: Json = json.loads(done.output)
    except ValueError:
        response = {}
    if done.code or not response:
        raise LabError(str(response.get('error') or done.errors.strip()[-TAIL_BYTES:]
                           or '%s ended with %d' % (command[-1], done.code)))
    return response


def end_all() -> None:
    """Kill every process with its children; nothing can be started any more."""
    global _ended
    with _lock:
        _ended = True
        for process in _running:
            _signal(process.pid, signal.SIGKILL)


def members(group: int) -> typing.List[int]:
    """Return the processes of a group that run; zombies do not.

    A process whose first thread has ended shows as a zombie while its other threads, with the files and ports
    of all, are still ending.
    """
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            with open('/proc/%s/stat' % name, encoding='utf-8', errors='replace') as stream:
                fields = stream.read().rpartition(')')[2].split()
            state, its_group, threads = fields[0], int(fields[2]), int(fields[17])
            if its_group == group and (state != 'Z' or threads > 1):
                found.append(int(name))
    return found


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether there was one."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
