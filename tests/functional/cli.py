# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: running it, and an image that a test lets Glance read slowly."""

import contextlib
import http.server
import io
import logging
import os
import subprocess
import sys
import threading

from lab import http_server
from lab import keystone
from lab import poll
from multistore_hooks.cli import main

# Seconds, which only what hangs takes.
TIMEOUT = poll.SECONDS


def beside_python(name):
    """Return a program of this environment, or None."""
    path = os.path.join(os.path.dirname(sys.executable), name)
    return path if os.access(path, os.X_OK) else None


def command(name):
    """Return the command line of ``multistore-hooks``, installed or not, or of another program."""
    if name == 'multistore-hooks' and not beside_python(name):
        return [sys.executable, '-m', 'multistore_hooks.cli.main']
    return [beside_python(name) or name]


def environ(folder, **more):
    """Return an environment in which no cloud is configured, and nothing is remembered."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith('OS_')}
    return dict(kept, HOME=folder, XDG_CONFIG_HOME=folder, TERM='dumb', COLUMNS='200', **more)


def cloud_of(url, token):
    """Return the variables for a Glance without keystone."""
    return {'OS_AUTH_TYPE': 'admin_token', 'OS_ENDPOINT': url, 'OS_TOKEN': token}


def run(argv, env, cwd):
    """Run a program; return exit code, output and errors."""
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr


def run_here(argv):
    """Run multistore-hooks in this process; return exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    # Each run adds a handler for its own standard error to the process's logging.
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main.main(list(argv))
        except SystemExit as done:
            code = done.code or 0
        finally:
            root.handlers[:] = before
    return code, out.getvalue(), err.getvalue()


class SlowSource:
    """An HTTP server whose one file has its last byte only when a test says so.

    :ivar url: for an image's location
    :ivar read: set when somebody reads the file
    """

    size = 100000

    def __init__(self):
        self.read, self._go = threading.Event(), threading.Event()
        self._server = http_server.Quiet(('127.0.0.1', 0), self._handler())
        self.url = 'http://127.0.0.1:%d/image' % self._server.server_port

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_unused):
        self.go()
        self._server.shutdown()
        self._server.server_close()

    def go(self):
        """Let it be read to its end."""
        self._go.set()

    def _handler(self):
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(200)
                self.send_header('Content-Length', str(source.size))
                self.send_header('Content-Type', 'application/octet-stream')
                self.end_headers()

            def do_GET(self):
                self.do_HEAD()
                self.wfile.write(b'x' * (source.size - 1))
                self.wfile.flush()
                source.read.set()
                source._go.wait(TIMEOUT)
                self.wfile.write(b'x')

            def log_message(self, *_unused):
                pass

        return Handler


class Refusing(keystone.Keystone):
    """A keystone that accepts nobody."""

    def __init__(self):
        super().__init__('p', password='right')
        #: The variables for it.
        self.cloud = dict(
            OS_AUTH_URL=self.auth_url, OS_USERNAME='me', OS_PASSWORD='wrong', OS_PROJECT_NAME='p',
            OS_USER_DOMAIN_ID='default', OS_PROJECT_DOMAIN_ID='default')
