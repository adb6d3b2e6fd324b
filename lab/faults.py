# SPDX-License-Identifier: Apache-2.0
"""Paste filter of the lab: records every request, and lets those fail that are named.

It stands in the pipeline twice: first of all (``outer``, where a client's requests come in), and
last before Glance's application (``inner``, where the sub-requests of filters come in too).
`Glance.fault` and `Glance.requests` in lab/glance.py are its face. The control path
`/lab/...` is on the server itself, so it is only ever as public as the server: loopback.
"""

import collections
import errno
import json
import re
import threading
import urllib.parse

from lab import http_server

CONTROL = '/lab/'
BODY_METHODS = ('PUT', 'POST', 'PATCH')
DEFAULTS = {
    'place': 'outer',       # or 'inner'
    'method': None,         # any
    'path': '',             # regular expression, searched for in the path
    'token': None,          # any
    'skip': 0,              # so many matching requests go well before
    'times': 1,             # so many fail; None: all of them
    'at': 'before',         # 'before' the application sees it, in the 'body', or 'after' it did
    'after_bytes': 0,       # with 'body': when so much of it was read
    'action': 'status',     # or 'reset' the connection, or 'hang' and then reset it
    'status': 503,
    'headers': {},
    'text': 'injected by the lab',    # with 'status'
    'drain': True,          # with 'status': read the rest of the body before responding
    'seconds': 60,          # with 'hang', unless the faults are cleared before
}


class Rules:
    """What all instances of the filter in the process share."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = collections.deque(maxlen=20000)
        self.rules = []
        self.released = threading.Event()

    def add(self, rule):
        unknown = set(rule) - set(DEFAULTS)
        if unknown:
            raise ValueError('no such part of a fault: %s' % ', '.join(sorted(unknown)))
        rule = dict(DEFAULTS, **rule)
        if rule['place'] == 'inner' and rule['action'] == 'reset':
            raise ValueError('only an outer fault can reset the connection')
        re.compile(rule['path'])
        with self.lock:
            self.rules.append(rule)

    def clear(self):
        with self.lock:
            self.rules = []
            self.released.set()
            self.released = threading.Event()

    def rule_for(self, place, method, path, token=None):
        with self.lock:
            for rule in self.rules:
                if rule['place'] != place or rule['method'] not in (None, method) \
                        or rule['token'] not in (None, token) or not re.search(rule['path'], path):
                    continue
                if rule['skip'] > 0:
                    rule['skip'] -= 1
                elif rule['times'] is None:
                    return rule
                elif rule['times'] > 0:
                    rule['times'] -= 1
                    return rule
        return None


LAB = Rules()


class _Body:
    """The request's body, counting what is read of it into the record of the request."""

    def __init__(self, stream, note):
        self._stream = stream
        self._note = note

    def read(self, *size):
        return self._count(self._stream.read(*size))

    def readline(self, *size):
        return self._count(self._stream.readline(*size))

    def readlines(self, *hint):
        return list(self)

    def __iter__(self):
        while True:
            line = self.readline()
            if not line:
                return
            yield line

    def _count(self, data):
        self._note['body'] += len(data)
        return data


class Faults:
    """The filter; ``place`` is 'outer' or 'inner'."""

    def __init__(self, app, place):
        self.app = app
        self.place = place

    def __call__(self, environ, start_response):
        path = environ.get('SCRIPT_NAME', '') + environ.get('PATH_INFO', '')
        if self.place == 'outer' and path.startswith(CONTROL):
            return _control(environ, start_response, path[len(CONTROL):])
        method = environ['REQUEST_METHOD']
        note = {'place': self.place, 'method': method, 'path': path,
                'query': environ.get('QUERY_STRING', ''), 'headers': _headers(environ),
                'status': None, 'body': 0, 'fault': None}
        LAB.requests.append(note)
        if method in BODY_METHODS:
            environ['wsgi.input'] = _Body(environ['wsgi.input'], note)
        rule = LAB.rule_for(self.place, method, path, environ.get('HTTP_X_AUTH_TOKEN'))

        def noting(status, headers, *args):
            note['status'] = int(status.split()[0])
            return start_response(status, headers, *args)

        if rule is None:
            return self.app(environ, noting)
        note['fault'] = rule['action']
        if rule['at'] == 'after':
            _finish(self.app(environ, lambda status, headers, *args: None))
        elif rule['at'] == 'body':
            _read(environ['wsgi.input'], rule['after_bytes'])
        return _fail(rule, environ, noting)


def _headers(environ):
    headers = {name[5:].replace('_', '-').lower(): value for name, value in environ.items()
               if name.startswith('HTTP_')}
    for name in ('CONTENT_LENGTH', 'CONTENT_TYPE'):
        if environ.get(name):
            headers[name.replace('_', '-').lower()] = environ[name]
    return headers


def _finish(response):
    try:
        for _ in response:
            pass
    finally:
        if hasattr(response, 'close'):
            response.close()


def _read(stream, size):
    while size > 0:
        data = stream.read(min(size, 1 << 20))
        if not data:
            return
        size -= len(data)


def _fail(rule, environ, start_response):
    if rule['action'] == 'status':
        if not rule['drain']:
            environ['lab.leave_the_body'] = True
        elif environ['REQUEST_METHOD'] in BODY_METHODS:
            _read(environ['wsgi.input'], 1 << 62)
        return _respond(start_response, rule['status'], rule['text'], rule['headers'])
    if rule['action'] == 'hang':
        LAB.released.wait(rule['seconds'])
        if rule['place'] == 'inner':
            return _respond(start_response, 504, 'injected by the lab')
    return _reset(environ)


def _reset(environ):
    http_server.reset(environ['gunicorn.socket'])
    raise ConnectionResetError(errno.ECONNRESET, 'reset by the lab')


def _respond(start_response, status, value, headers=None):
    if isinstance(value, str):  # a fault, in the shape of Glance's own errors
        body, kind = ('%d Lab\n\n%s\n' % (status, value)).encode(), 'text/plain'
    else:
        body, kind = json.dumps(value).encode(), 'application/json'
    start_response('%d Lab' % status, [('Content-Type', kind),
                                       ('Content-Length', str(len(body)))]
                   + list((headers or {}).items()))
    return [body]


def _notes(query):
    wanted = dict(urllib.parse.parse_qsl(query))
    return [note for note in list(LAB.requests)
            if wanted.get('place', note['place']) == note['place']
            and wanted.get('method', note['method']) == note['method']
            and re.search(wanted.get('path', ''), note['path'])]


def _control(environ, start_response, what):
    method = environ['REQUEST_METHOD']
    if (method, what) == ('GET', 'requests'):
        return _respond(start_response, 200, _notes(environ['QUERY_STRING']))
    if (method, what) == ('DELETE', 'requests'):
        LAB.requests.clear()
        return _respond(start_response, 200, {})
    if (method, what) == ('DELETE', 'faults'):
        LAB.clear()
        return _respond(start_response, 200, {})
    if (method, what) == ('POST', 'faults'):
        try:
            LAB.add(json.loads(environ['wsgi.input'].read().decode()))
        except (ValueError, re.error) as error:
            return _respond(start_response, 400, {'error': str(error)})
        return _respond(start_response, 200, {})
    return _respond(start_response, 404, {'error': '%s %s' % (
        method, urllib.parse.quote(what))})


def filter_factory(global_conf, place='outer', **local_conf):
    def make(app):
        return Faults(app, place)
    return make
