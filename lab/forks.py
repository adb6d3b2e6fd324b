# SPDX-License-Identifier: Apache-2.0
"""Processes of the services that begin with everything imported already.

Importing Nova, Cinder or Glance takes a processor two seconds, and the labs start hundreds of such
processes. Here a server imports a service once, and then forks for each of them:

    process = popen('glance', [sys.executable, '-m', 'gunicorn', ...], cwd=..., env=...)

is what ``subprocess.Popen`` of that command would be, and is just that for another interpreter, and until
``use`` was called, as the functional tests do. What a process gets is its own:
directory, environment, sys.path, arguments, streams. Nothing of a service is changed, and nothing of
it runs before the fork but the imports of ``lab.warm``. A server is of one test process, and
ends with it.
"""

import atexit
import fcntl
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing

from lab import guard
from lab import paths

START_SECONDS = 120
# Above all numbers that a process is given by its starter.
HIGH = 512
MESSAGE_BYTES = 1 << 18

_servers: typing.Dict[typing.Tuple[typing.Any, ...], 'Server'] = {}
_lock = threading.Lock()
_used = False
# As they are before a service's import makes them eventlet's.
_fork, _waitpid, _write, _close, _exit = os.fork, os.waitpid, os.write, os.close, os._exit
_recv_fds = socket.recv_fds


def use() -> None:
    """Fork from now on, unless LAB_FORKS=0."""
    global _used
    _used = os.environ.get('LAB_FORKS') != '0'


def popen(service: str, command: typing.List[str], root: str = '',
          env: typing.Optional[typing.Dict[str, str]] = None, **options: typing.Any) -> typing.Any:
    """Start a command, forked where that can be; like subprocess.Popen.

    :param service: a function of lab.warm, which says what is imported before: then the command is
        [python, '-m', module, argument...]; '' for none
    :param root: a directory that comes first on sys.path for that, such as a patched Nova's
    :param options: cwd, stdin, stdout, stderr, pass_fds, start_new_session, as of Popen
    """
    env = dict(os.environ if env is None else env)
    if not service or command[0] != sys.executable or not _used:
        return subprocess.Popen(command, env=env, **options)
    with _lock:
        key = (os.getpid(), service, root)
        if key not in _servers:
            _servers[key] = Server(service, root)
        return _servers[key].start(command[2], command[3:], env, **options)


class Process:
    """A forked process, for its starter: as much of subprocess.Popen as the labs use."""

    def __init__(self, module: str, status: int) -> None:
        self.args = module
        self.pid = 0
        self.returncode: typing.Optional[int] = None
        self.stdin: typing.Optional[typing.BinaryIO] = None
        self.stdout: typing.Optional[typing.BinaryIO] = None
        self.stderr = None
        self._status = status

    def begin(self) -> None:
        """Wait until it has been forked."""
        said = self._read(START_SECONDS)
        if said is None or not said.startswith('pid '):
            raise OSError('%s was not started: %s' % (self.args, said))
        self.pid = int(said.split()[1])

    def poll(self) -> typing.Optional[int]:
        """Return its exit code, or None as long as it runs."""
        return self._ended(0)

    def wait(self, timeout: typing.Optional[float] = None) -> int:
        """Wait for its end, and return its exit code.

        :raises subprocess.TimeoutExpired: it runs longer
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: typing.Optional[float]) -> typing.Optional[int]:
        if self.returncode is None:
            said = self._read(timeout)
            if said is not None:
                # Without a word the process that waited for it was killed, and it too.
                self.returncode = int(said.split()[1]) if said else -signal.SIGKILL
                os.close(self._status)
        return self.returncode

    def _read(self, timeout: typing.Optional[float]) -> typing.Optional[str]:
        """Return the next line of its status; '' when there is none any more; None: not in time."""
        if not select.select([self._status], [], [], timeout)[0]:
            return None
        line = b''
        while not line.endswith(b'\n'):
            letter = os.read(self._status, 1)
            if not letter:
                break
            line += letter
        return line.decode()


class Server:
    """The process that has imported a service, for its starter."""

    def __init__(self, service: str, root: str) -> None:
        self._folder = tempfile.mkdtemp(prefix='lab-forks-')
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = dict(os.environ, PYTHONPATH=paths.CHECKOUT, PYTHONWARNINGS='ignore',
                       XDG_CACHE_HOME=self._folder, **guard.mark())
        self._process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'lab.forks', str(theirs.fileno()), service, root],
            cwd=self._folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()])
        theirs.close()
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the server; what it has forked goes on."""
        self._control.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, module: str, arguments: typing.List[str], env: typing.Dict[str, str],
              cwd: typing.Any = None, stdin: typing.Any = None, stdout: typing.Any = None,
              stderr: typing.Any = None, pass_fds: typing.Sequence[int] = (),
              start_new_session: bool = False) -> Process:
        """Let it fork a process."""
        status, reported = os.pipe()
        process = Process(module, status)
        opened = [reported]
        try:
            streams = []
            for number, wanted in enumerate((stdin, stdout, stderr)):
                if wanted == subprocess.PIPE:
                    inner, outer = os.pipe()
                    if number == 0:
                        process.stdin = os.fdopen(outer, 'wb')
                    else:
                        assert number == 1, 'a pipe for standard error is not wanted anywhere'
                        process.stdout, inner = os.fdopen(inner, 'rb'), outer
                    opened.append(inner)
                elif wanted == subprocess.DEVNULL:
                    inner = os.open(os.devnull, os.O_RDWR)
                    opened.append(inner)
                elif wanted == subprocess.STDOUT:
                    inner = streams[1]
                else:
                    inner = number if wanted is None else wanted.fileno()
                streams.append(inner)
            request = {'module': module, 'arguments': arguments, 'env': env, 'pass_fds': list(pass_fds),
                       'cwd': os.fspath(cwd or os.getcwd()), 'session': start_new_session}
            socket.send_fds(self._control, [json.dumps(request).encode()], [reported, *streams, *pass_fds])
        finally:
            for number in opened:
                os.close(number)
        process.begin()
        return process


# ---- the server's side -------------------------------------------------------------------------

def main(control: str, service: str, root: str) -> None:
    """Import a service, then fork when the starter says so; returns where a process ends."""
    requests = socket.socket(fileno=int(control))
    # Ignored, where the starter ignores it.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    own = [path for path in sys.path if path not in ('', os.getcwd(), paths.CHECKOUT)]
    if root:
        sys.path.insert(0, root)
    from lab import warm
    getattr(warm, service)()
    if threading.active_count() > 1:
        sys.exit('lab.forks: importing %s has started a thread' % service)
    # What is imported is not visited again by every process: that would copy its memory.
    gc.collect()
    gc.freeze()
    request, numbers = _serve(requests)
    signal.signal(signal.SIGINT, interrupt)
    _become(request, numbers, own)
    del requests
    runpy.run_module(request['module'], run_name='__main__', alter_sys=True)


def _serve(requests: socket.socket) -> typing.Tuple[typing.Dict[str, typing.Any], typing.List[int]]:
    """Fork for each request; returns in the forked process only."""
    while True:
        # Nothing waits for the processes in between.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        message, numbers, _flags, _address = _recv_fds(requests, MESSAGE_BYTES, 64)
        if not message:
            _exit(0)
        if not _fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            child = _fork()
            if not child:
                requests.close()
                return json.loads(message), numbers
            requests.close()
            _report(child, numbers)
        for number in numbers:
            _close(number)


def _report(child: int, numbers: typing.List[int]) -> typing.NoReturn:
    """Wait for the process, and report to its starter how it ended."""
    for number in set(numbers[1:]) | {0, 1, 2}:
        _close(number)
    code = os.waitstatus_to_exitcode(_waitpid(child, 0)[1])
    try:
        _write(numbers[0], b'ended %d\n' % code)
    except OSError:
        pass    # the starter has gone
    _exit(0)


def _become(request: typing.Dict[str, typing.Any], numbers: typing.List[int], own: typing.List[str]) -> None:
    """Give this process all that is its own."""
    status, *moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, HIGH) for number in numbers]
    for number in numbers:
        _close(number)
    for number, target in zip(moved, [0, 1, 2] + request['pass_fds']):
        os.dup2(number, target)
        _close(number)
    if request['session']:
        os.setsid()
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    time.tzset()
    tempfile.tempdir = None
    named = [path for path in request['env'].get('PYTHONPATH', '').split(os.pathsep) if path]
    sys.path[:] = [request['cwd']] + named + own
    sys.argv = [request['module']] + request['arguments']
    _write(status, b'pid %d\n' % os.getpid())
    _close(status)


if __name__ == '__main__':
    main(*sys.argv[1:])
