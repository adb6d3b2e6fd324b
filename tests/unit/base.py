# SPDX-License-Identifier: Apache-2.0
"""What the unit tests share: a fake Glance, reached through a real glanceclient."""

import logging
import sys

import fixtures
import testtools

from multistore_hooks.glance_api import client
from tests import clock
from tests import contract
from tests import fake_glance


class TestCase(testtools.TestCase):
    """A test whose log lines can be read, with a clock of its own."""

    def run(self, result=None):
        # The runner keeps all tests to its end: gigabytes, if each kept its clouds and its log.
        made = dict(vars(self))
        try:
            return super().run(result)
        finally:
            vars(self).clear()
            vars(self).update(made)

    def setUp(self):
        super().setUp()
        self.clock = clock.Clock()
        self._log = self.useFixture(fixtures.FakeLogger(
            'multistore_hooks', format='%(levelname)s %(message)s'))

    def logged_in_except_blocks(self):
        """Return a list that gets each line that is logged while an exception is handled."""
        lines = []

        class Handler(logging.Handler):
            def emit(self, record):
                if sys.exc_info()[0] is not None:
                    lines.append(record.getMessage())
        handler = Handler(logging.WARNING)
        logging.getLogger('multistore_hooks').addHandler(handler)
        self.addCleanup(logging.getLogger('multistore_hooks').removeHandler, handler)
        return lines

    @property
    def log(self):
        """Everything that the library logged so far."""
        return self._log.output


class FakeGlanceTestCase(TestCase):
    """A test with a fake Glance: reliable, fast (default), cheap."""

    stores = {'reliable': fake_glance.FILE, 'fast': fake_glance.FILE, 'cheap': fake_glance.FILE}

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance(dict(self.stores))

    def images(self, token=contract.MEMBER, attempts=1, application=None):
        """Return an ImageApi of the library with the rights of a token."""
        adapter = fake_glance.SocketlessAdapter(application or self.glance)
        return client.ClientImages(contract.run_with(
            lambda: contract.session_client('http://glance', token, adapter), attempts))

    def queued(self, **properties):
        """Make a record without data, as Nova and Cinder do before an upload."""
        return self.glance.add_image(owner='p1', **properties)

    def base(self, *stores, **properties):
        """Make a base image in some stores."""
        return self.glance.add_image(stores, owner='p1', **properties)
