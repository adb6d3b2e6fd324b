# SPDX-License-Identifier: Apache-2.0
"""A fake Glance that lists its images, and the command line in front of it."""

import json
from unittest import mock

from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
import requests

from multistore_hooks import backoff
from multistore_hooks.cli import main
from multistore_hooks.cli import session
from multistore_hooks.copy import leader
from tests import contract
from tests import fake_glance
from tests.unit import base
from tests.unit import program


class ListingGlance(fake_glance.FakeGlance):
    """A fake Glance with two images in a page of a list; copies end after some polls."""

    def __init__(self, stores):
        super().__init__(stores)
        self.page_limit = 2
        self.looks = None

    def _route(self, method, path, headers, environ):
        if method == 'GET' and self.looks is not None and path.count('/') == 3:
            self.looks -= 1
            if self.looks < 0:
                self.finish_copies()
        return super()._route(method, path, headers, environ)


def connection(application, token=contract.ADMIN):
    """Return the commands' way to a Glance in memory."""
    http = requests.Session()
    contract.mount(http, fake_glance.SocketlessAdapter(application))
    made = ks_session.Session(auth=token_endpoint.Token('http://glance', token), session=http)
    return session.Connection(made, session.Endpoint(override='http://glance'), 'the test')


class ImageTestCase(base.TestCase):
    """Runs the commands on a fake Glance: reliable, fast (default), cheap, web (read-only)."""

    def setUp(self):
        super().setUp()
        self.glance = ListingGlance({'reliable': fake_glance.FILE, 'fast': fake_glance.FILE,
                                     'cheap': fake_glance.FILE,
                                     'web': fake_glance.READ_ONLY})
        self.token = contract.ADMIN
        self.options = None
        for target, name, value in ((session, 'connect', self._connect),
                                    (backoff, 'poll_interval', lambda *args: 0.01),
                                    (leader, 'GLIMPSE', 0.01)):
            patcher = mock.patch.object(target, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def _connect(self, options):
        self.options = options
        return connection(self.glance, self.token)

    def add(self, *stores, **properties):
        """Put an image into stores."""
        return self.glance.add_image(stores, owner='p1', **properties)

    def run_command(self, *argv):
        """Return exit code, standard output and standard error of ``multistore-hooks image ...``."""
        return program.run(main.main, 'image', *argv)

    def json(self, *argv):
        """Return the exit code and what was printed as JSON."""
        code, out, _err = self.run_command(*(argv + ('-f', 'json')))
        return code, json.loads(out)

    def imports(self):
        """Return how many copies Glance was asked for."""
        return len(self.glance.requests('POST', '/import$'))
