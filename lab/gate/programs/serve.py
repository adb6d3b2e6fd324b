# SPDX-License-Identifier: Apache-2.0
"""Serve an OpenStack API with gunicorn: ``serve.py APPLICATION PORT RECORD [ARGUMENT...]``.

APPLICATION is a module that has the WSGI application under the name ``application``, or
MODULE:FACTORY, which returns it; it finds ARGUMENTs in sys.argv.
Of each request one line of JSON goes to the file RECORD: method, path, status, bytes of the body in
and out, and the sender.
"""

import importlib
import json
import sys
import threading
import time
import typing

from gunicorn.app import base

Start = typing.Callable[..., typing.Any]


class _Counted:
    """A request's body, which counts what is read of it."""

    def __init__(self, body: typing.Any) -> None:
        self._body = body
        self.count = 0

    def read(self, *size: int) -> bytes:
        return self._counted(self._body.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._counted(self._body.readline(*size))

    def __iter__(self) -> typing.Iterator[bytes]:
        return iter(self.readline, b'')

    def _counted(self, data: bytes) -> bytes:
        self.count += len(data)
        return data


class Recorder:
    """WSGI middleware, outside of everything that is the service's own."""

    def __init__(self, application: typing.Callable[..., typing.Any], path: str) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._file = open(path, 'a', encoding='utf-8')

    def __call__(self, environ: typing.Dict[str, typing.Any], start: Start
                 ) -> typing.Iterator[bytes]:
        began, statuses, out = time.time(), ['000'], 0
        body = environ['wsgi.input'] = _Counted(environ['wsgi.input'])

        def started(status: str, *arguments: typing.Any) -> typing.Any:
            statuses.append(status)
            return start(status, *arguments)

        response = self._application(environ, started)
        try:
            for piece in response:
                out += len(piece)
                yield piece
        finally:
            if hasattr(response, 'close'):
                response.close()
            self._record({'began': began, 'ended': time.time(), 'method': environ['REQUEST_METHOD'],
                          'path': environ.get('PATH_INFO', ''), 'status': int(statuses[-1][:3]),
                          'in': body.count, 'out': out,
                          'agent': environ.get('HTTP_USER_AGENT', '')})

    def _record(self, entry: typing.Dict[str, typing.Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + '\n')
            self._file.flush()


class Server(base.BaseApplication):
    """One process, several threads: Glance's tasks are the process's own."""

    def __init__(self, application: str, port: str, record: str) -> None:
        self._application, self._port, self._record = application, port, record
        super().__init__()

    def load_config(self) -> None:
        settings = {'bind': '127.0.0.1:' + self._port, 'workers': 1, 'threads': 16,
                    'worker_class': 'gthread', 'timeout': 600, 'graceful_timeout': 2, 'keepalive': 75,
                    'proc_name': self._application, 'control_socket_disable': True}
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> typing.Any:
        return Recorder(load(self._application), self._record)


def load(application: str) -> typing.Any:
    """Return the WSGI application."""
    module, _, factory = application.partition(':')
    loaded = importlib.import_module(module)
    return getattr(loaded, factory)() if factory else loaded.application


def own_arguments() -> typing.List[str]:
    """Return this program's arguments, and leave the service its own."""
    arguments = sys.argv[1:4]
    # Some services read their command line when they are imported.
    sys.argv[1:] = sys.argv[4:]
    del sys.path[0]         # this folder
    return arguments


if __name__ == '__main__':
    Server(*own_arguments()).run()
