# SPDX-License-Identifier: Apache-2.0
"""WSGI entry ``lab.glance_app:application``: the real glance-api, with what a lab needs.

- SQLite: oslo.db begins every transaction without a lock, so two requests that read and then
  write fail at once with "database is locked". They take the write lock at BEGIN, and wait; unless
  LAB_LOCK_AT_BEGIN=0.
- Early refusals: Glance responds to an upload with 400 without reading the body, and the server then
  closes the connection while the client writes. With LAB_DRAIN=1 the rest is read first.
"""

import os

from sqlalchemy.engine import Engine
from sqlalchemy import event

from lab import compat


_locks_at_begin = os.environ.get('LAB_LOCK_AT_BEGIN') != '0'


@event.listens_for(Engine, 'before_cursor_execute', retval=True)
def _lock_at_begin(conn, cursor, statement, parameters, context, executemany):
    if statement == 'BEGIN' and conn.dialect.name == 'sqlite' and _locks_at_begin:
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters


def _glance():
    try:
        from glance.wsgi.api import application as glance     # 30.0.0 and later
    except ModuleNotFoundError as error:
        if error.name not in ('glance.wsgi', 'glance.wsgi.api'):
            raise
        from glance.common import wsgi_app
        glance = wsgi_app.init_app()
    return glance


compat.restore_removed_names()
# After the event above: Glance makes its database engine when it is imported.
_app = _glance()
_drain = os.environ.get('LAB_DRAIN') == '1'


def application(environ, start_response):
    body = _app(environ, start_response)
    if _drain and environ['REQUEST_METHOD'] in ('PUT', 'POST', 'PATCH') \
            and not environ.get('lab.leave_the_body'):
        while environ['wsgi.input'].read(1 << 20):
            pass
    return body
