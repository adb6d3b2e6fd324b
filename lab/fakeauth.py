# SPDX-License-Identifier: Apache-2.0
"""Paste filter in the place of keystonemiddleware: a token says who one is, and is believed.

``X-Auth-Token: user:project:role,role`` is taken apart; without a token, or with any other, the
caller is the administrator. Glance's own context filter and policies come after it, unchanged.
"""

import urllib.parse

ADMIN = 'admin:admin:admin,member,reader,service'


class FakeAuth:
    """The filter: puts into the request what keystonemiddleware would."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        # glanceclient without keystone percent-encodes its token.
        parts = urllib.parse.unquote(environ.get('HTTP_X_AUTH_TOKEN', '')).split(':')
        if len(parts) != 3:
            parts = ADMIN.split(':')
        environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed'
        environ['HTTP_X_USER_ID'], environ['HTTP_X_PROJECT_ID'], environ['HTTP_X_ROLES'] = parts
        return self.app(environ, start_response)


def filter_factory(global_conf, **local_conf):
    return FakeAuth
