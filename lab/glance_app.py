# SPDX-License-Identifier: Apache-2.0
"""WSGI entry ``lab.glance_app:application``: the real glance-api, with what a lab needs.

- SQLite: transactions take the write lock at BEGIN, and wait (see lab.sqlite); unless LAB_LOCK_AT_BEGIN=0.
- Early refusals: Glance responds to an upload with 400 without reading the body, and the server then
  closes the connection while the client writes. With LAB_DRAIN=1 the rest is read first.
"""

import os

from lab import compat
from lab import sqlite


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
# Before Glance is imported, which makes its database engine then.
if os.environ.get('LAB_LOCK_AT_BEGIN') != '0':
    sqlite.lock_at_begin()
_app = _glance()
_drain = os.environ.get('LAB_DRAIN') == '1'


def application(environ, start_response):
    body = _app(environ, start_response)
    if _drain and environ['REQUEST_METHOD'] in ('PUT', 'POST', 'PATCH') \
            and not environ.get('lab.leave_the_body'):
        while environ['wsgi.input'].read(1 << 20):
            pass
    return body
