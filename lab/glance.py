# SPDX-License-Identifier: Apache-2.0
"""A real glance-api on loopback: SQLite, no keystone, up in a second or two, surely gone after.

    with Glance(root, {'reliable': 'file', 'fast': 'file'}, default='fast') as glance:
        image = glance.create_image(name='x')['id']
        glance.upload(image, b'data', store='reliable')
        assert image in glance.files('reliable')

It is the Glance of the running interpreter's environment, or of another that is named, under
gunicorn, one process. By hand:

    python -m lab.glance --root DIR --stores a:file,b:file --default a --filter base_image

This module imports no service, so tests that need it can be listed without one.
"""

import argparse
import http.client
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import urllib.parse

from lab import glance_config
from lab import ini
from lab import keystone
from lab import paths
from lab import poll
from lab.poll import LabError
from lab import ports
from lab import processes

BASE_IMAGE_FILTER = {'name': 'base_image',
                     'factory': 'multistore_hooks.glance.base_image_filter:filter_factory'}
STORES = {'reliable': 'file', 'fast': 'file', 'cheap': 'file'}
ADMIN = keystone.ADMIN


class Response:
    """What Glance responded with: status, headers (lower-case names), body, and json() of it."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')

    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return '<Response %d %s>' % (self.status, self.text[:300])


class Glance:
    """A Glance; use it as a context manager, or call start() and stop().

    :param root: folder for everything it writes; made when it is not there
    :param stores: {name: kind}, see `glance_config.Store` for the kinds
    :param default: the default store's name; None: the first
    :param filters: paste filters after Glance's context filter: `BASE_IMAGE_FILTER`, or alike
    :param conf: {section: {option: value}} for glance-api.conf
    :param port: on 127.0.0.1; None: a free one
    :param multistore: False: a Glance of one store, the classic way (without enabled_backends)
    :param faults: put the fault filter of lab/faults.py in, for fault() and requests()
    :param drain: read the rest of an upload that Glance refused early, so that the client sees
        the refusal whatever the size of what it sends; False: as servers do
    :param python: the interpreter with Glance's libraries and gunicorn
    :param pythonpath: where an unpacked Glance is, for a release that is not installed there
    :param lock_at_begin: each transaction locks SQLite from its beginning, so that none fails in the
        middle; False for the releases that begin one within another (28 to 30)
    :param eventlet: under eventlet's server instead of gunicorn: Ussuri's Glance copies there only
    """

    #: Drivers of stores, by the names of their entry points.
    _drivers = {'lab_full': 'lab.full_store:Store'}
    #: More options of gunicorn.
    _server_options = ()

    def __init__(self, root, stores=None, default=None, filters=(), conf=None, port=None,
                 multistore=True, faults=False, drain=True, python=sys.executable, pythonpath='',
                 eventlet=False, lock_at_begin=True):
        self.root = os.path.abspath(root)
        self.multistore = multistore
        self.faults = faults
        self._drain = drain
        self._python = python
        self._pythonpath = pythonpath
        self._eventlet = eventlet
        self._lock_at_begin = lock_at_begin
        self._port = port
        self._process = None
        self._kinds = dict(STORES if stores is None else stores)
        self.default = default or next(iter(self._kinds))
        if self.default not in self._kinds:
            raise LabError('the default store %s is none of %s' % (
                self.default, ', '.join(self._kinds)))
        if not multistore and len(self._kinds) != 1:
            raise LabError('a Glance without multistore has one store')
        self._filters = list(filters)
        self._conf = dict(conf or {})
        self._stores = {}
        self.port = None
        self.log = os.path.join(self.root, 'glance-api.log')
        self._output = os.path.join(self.root, 'server.log')

    # ---- its life -----------------------------------------------------------------------

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        # The quickest and surest way; there is nothing that a slower one would save.
        self.kill()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    @property
    def pid(self):
        """The server's process and process group; None when it does not run."""
        return self._process.pid if self._process else None

    def start(self):
        """Start it, and wait until it responds. A Glance that was stopped keeps data and port.

        :raises LabError: the port is taken, or it did not come up; with the end of its log
        """
        if self._process:
            raise LabError('this Glance runs already')
        # Only the server shall hold it afterwards: when it is gone, clients shall be refused.
        with self._listen() as listener:
            self.port = listener.getsockname()[1]
            self._write_files()
            self._make_database()
            self._process = self._spawn(listener.fileno())
        self._process.logs.append(self.log)
        try:
            # The listener is there from the beginning: this waits for the application.
            self._process.wait_until('response of Glance', lambda: self.request(
                'GET', '/healthcheck').status == 200)
        except BaseException:
            self.kill()
            raise

    def stop(self):
        """Stop it as an operator would, letting requests end; by force after some seconds.

        Harmless when it does not run.
        """
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self):
        """SIGKILL, as a crash would; start() brings it up again on the same data and port."""
        if self._process:
            self._process.kill()
            self._process = None

    def _listen(self):
        wanted = self.port or self._port or 0
        try:
            listener = ports.listen(wanted)
        except OSError as error:
            raise LabError('port %d on 127.0.0.1 cannot be used: %s' % (wanted, error.strerror))
        return listener

    def _write_files(self):
        for name in ('etc/lab_stores-1.dist-info', 'stores', 'staging', 'tasks', 'lock', 'cache'):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        self._stores = {name: glance_config.Store(name, kind, self.root)
                        for name, kind in self._kinds.items()}
        etc = os.path.join(self.root, 'etc')
        ini.write(os.path.join(etc, 'glance-api.conf'), glance_config.glance_conf(
            self.root, self.url, list(self._stores.values()), self.default, self.multistore,
            self._conf))
        ini.write(os.path.join(etc, 'glance-api-paste.ini'),
                  glance_config.paste_ini(self._filters, self.faults))
        _write(os.path.join(etc, 'policy.yaml'), '{}\n')
        # An installed distribution, as far as importlib.metadata can see.
        distribution = os.path.join(etc, 'lab_stores-1.dist-info')
        _write(os.path.join(distribution, 'METADATA'),
               'Metadata-Version: 2.1\nName: lab-stores\nVersion: 1\n')
        ini.write(os.path.join(distribution, 'entry_points.txt'), {'glance_store.drivers': self._drivers})

    def _make_database(self):
        database = os.path.join(self.root, 'glance.sqlite')
        if os.path.exists(database):
            return
        # Migrating takes longer than the rest of the start, and an empty database is always the
        # same: so one is kept in the virtual environment.
        kept = None if self._pythonpath else _place_for_empty_database()
        if kept and os.path.exists(kept):
            shutil.copyfile(kept, database)
            return
        done = processes.run([self._python, '-m', 'lab.glance_manage', os.path.join(self.root, 'etc')],
                             cwd=self.root, env=self._environ())
        if done.code:
            _remove(database)
            raise LabError('making the database failed (exit %d):\n%s' % (done.code, done.errors[-3000:]))
        if kept:
            mine = '%s.%d' % (kept, os.getpid())
            shutil.copyfile(database, mine)
            os.replace(mine, kept)

    def _environ(self):
        environ = dict(os.environ, OS_GLANCE_CONFIG_DIR=os.path.join(self.root, 'etc'),
                       # stevedore keeps a cache of entry points for each path, and never removes one.
                       XDG_CACHE_HOME=os.path.join(self.root, 'cache'),
                       LAB_DRAIN='1' if self._drain else '0',
                       LAB_LOCK_AT_BEGIN='1' if self._lock_at_begin else '0')
        environ['PYTHONPATH'] = os.pathsep.join(filter(None, [
            self._pythonpath, paths.CHECKOUT, os.path.join(self.root, 'etc')]))
        # A coverage run's own settings are not for Glance.
        environ.pop('PYTHON', None)
        return environ

    def _spawn(self, listener):
        warm = '' if self._eventlet or self._pythonpath else 'glance'
        command = [self._python, '-m'] + (['lab.glance_eventlet', str(listener)] if self._eventlet else [
            'gunicorn', '-k', 'gthread', '-w', '1', '--threads', '16', '-t', '600', '--graceful-timeout', '2',
            '--no-control-socket', *self._server_options, '-b', 'fd://%d' % listener,
            'lab.glance_app:application'])
        return processes.Process(command, self._output, warm, cwd=self.root, env=self._environ(),
                                 pass_fds=[listener])

    # ---- its stores on disk -------------------------------------------------------------

    @property
    def stores(self):
        """The names of its stores."""
        return list(self._kinds)

    def dir(self, store):
        """Return the folder of a store that keeps images in files."""
        folder = self._stores[store].folder
        if folder is None:
            raise LabError('store %s has no folder' % store)
        return folder

    def files(self, store):
        """Return the ids of the images whose file is in the store's folder."""
        return {name for name in os.listdir(self.dir(store)) if not name.startswith('.')}

    def data(self, store, image_id):
        """Return the bytes of an image as the store's folder has them."""
        with open(os.path.join(self.dir(store), image_id), 'rb') as stream:
            return stream.read()

    # ---- its API ------------------------------------------------------------------------

    def request(self, method, path, token=ADMIN, json_body=None, data=None, headers=None,
                timeout=60 * poll.SLOWNESS):
        """Send a request and return the `Response`, with any status.

        :param token: user:project:role,role
        :param data: bytes, or a file to send in chunks
        """
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        if token:
            headers['x-auth-token'] = token
        if json_body is not None:
            data = json.dumps(json_body).encode()
            headers.setdefault('content-type', 'application/json')
        elif data is not None:
            headers.setdefault('content-type', 'application/octet-stream')
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout)
        try:
            try:
                connection.request(method, path, body=data, headers=headers,
                                   encode_chunked=hasattr(data, 'read'))
            except (BrokenPipeError, ConnectionResetError):
                # It may have responded before it closed; if not, getresponse says so.
                if connection.sock is None:
                    raise
            response = connection.getresponse()
            return Response(response.status, {name.lower(): value for name, value
                                              in response.getheaders()}, response.read())
        finally:
            connection.close()

    def create_image(self, token=ADMIN, **properties):
        """Make an image record. Returns it, with 'id' and the rest."""
        body = dict({'name': 'lab', 'disk_format': 'raw', 'container_format': 'bare'},
                    **properties)
        return _expect(self.request('POST', '/v2/images', token, json_body=body), 201).json()

    def upload(self, image_id, data, store=None, headers=None, token=ADMIN):
        """Send an image's data. Returns the `Response`, which may be a refusal."""
        headers = dict(headers or {})
        if store is not None:
            headers['x-image-meta-store'] = store
        return self.request('PUT', '/v2/images/%s/file' % image_id, token, data=data,
                            headers=headers)

    def add_image(self, data, stores=None, token=ADMIN, **properties):
        """Make an image with data, in the given stores. Returns its id."""
        image_id = self.create_image(token=token, **properties)['id']
        stores = list(stores or [])
        _expect(self.upload(image_id, data, stores[0] if stores else None, token=token), 204)
        if stores[1:]:
            self.import_copy(image_id, stores[1:])
        return image_id

    def image(self, image_id, token=ADMIN):
        """Return an image as Glance shows it."""
        return _expect(self.request('GET', '/v2/images/%s' % image_id, token), 200).json()

    def stores_of(self, image_id):
        """Return the set of the stores that an image is in, as Glance says."""
        return set(filter(None, self.image(image_id).get('stores', '').split(',')))

    def download(self, image_id, token=ADMIN):
        """Return an image's bytes."""
        return _expect(self.request('GET', '/v2/images/%s/file' % image_id, token), 200).body

    def import_copy(self, image_id, stores, token=ADMIN, wait=True, **options):
        """Request copies of an image in more stores; returns the `Response` without waiting."""
        body = dict({'method': {'name': 'copy-image'}, 'stores': list(stores)}, **options)
        response = self.request('POST', '/v2/images/%s/import' % image_id, token, json_body=body)
        if wait:
            _expect(response, 202)
            self.wait_for_import(image_id)
        return response

    def wait_for_import(self, image_id):
        """Wait until no import holds the image's lock. Returns the image."""
        def settled():
            image = self.image(image_id)
            return image if 'os_glance_import_task' not in image else None
        return poll.until('end of the import of ' + image_id, settled)

    # ---- faults -------------------------------------------------------------------------

    def fault(self, method=None, path='', **rule):
        """Let requests fail; see DEFAULTS in lab/faults.py for what can be said.

        glance.fault('PUT', '/file$', at='body', after_bytes=1000)      503 once, in the body
        glance.fault('GET', '/v2/images/', place='inner', status=500, times=None)
        glance.fault('POST', '/import$', at='after', action='reset', skip=1)
        """
        self._control('POST', 'faults', dict(rule, method=method, path=path))

    def clear_faults(self):
        """Let no request fail any more, and let those go that hang."""
        self._control('DELETE', 'faults')

    def requests(self, method=None, path='', place='outer'):
        """Return the records of the requests since the last forget_requests(), oldest first.

        Each is a dict: method, path, query, headers (lower-case names), body (bytes read of it),
        status (None: no response), fault (None, or the action that was taken).

        :param path: a regular expression, searched for in the path
        :param place: 'outer': of clients; 'inner': what reached Glance's application
        """
        query = urllib.parse.urlencode({'place': place, 'method': method or '', 'path': path})
        return self._control('GET', 'requests?' + query).json()

    def forget_requests(self):
        self._control('DELETE', 'requests')

    def _control(self, method, what, body=None):
        if not self.faults:
            raise LabError('this Glance was made without faults=True')
        return _expect(self.request(method, '/lab/' + what, json_body=body), 200)


def _place_for_empty_database():
    """Return where the running virtual environment keeps one; None where it cannot."""
    if sys.prefix == sys.base_prefix or not os.access(sys.prefix, os.W_OK):
        return None
    version = importlib.metadata.version('glance')
    return os.path.join(sys.prefix, 'lab-glance-%s.sqlite' % version)


def _expect(response, status):
    if response.status != status:
        raise LabError('Glance responded with %d, not %d: %s' % (
            response.status, status, response.text[:1000]))
    return response


def _write(path, content, mode='w'):
    with open(path, mode) as stream:
        stream.write(content)


def _remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def main(arguments):
    parser = argparse.ArgumentParser(prog='python -m lab.glance',
                                     description='Run a real Glance on loopback until Ctrl-C.')
    parser.add_argument('--root', required=True, help='folder for everything; kept')
    parser.add_argument('--stores', default=','.join('%s:%s' % pair for pair in STORES.items()),
                        help='NAME:KIND,...; kinds: file, http, disabled, full '
                             '(default: %(default)s)')
    parser.add_argument('--default', help='the default store (default: the first)')
    parser.add_argument('--filter', action='append', default=[], choices=['base_image'])
    parser.add_argument('--port', type=int)
    parser.add_argument('--faults', action='store_true', help='with the fault filter')
    parser.add_argument('--classic', action='store_true', help='one store, without multistore')
    options = parser.parse_args(arguments)
    stores = dict(pair.partition(':')[::2] for pair in options.stores.split(','))
    # SIGINT too: a shell without job control starts what goes to the background ignoring it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with Glance(options.root, {name: kind or 'file' for name, kind in stores.items()},
                    options.default, [BASE_IMAGE_FILTER] if options.filter else [],
                    port=options.port, faults=options.faults,
                    multistore=not options.classic) as glance:
            print('%s  (log: %s; Ctrl-C stops it)' % (glance.url, glance.log), flush=True)
            glance._process.wait()
            print('Glance ended by itself:\n%s' % glance._process.last_words(), file=sys.stderr)
            return 1
    except (LabError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
