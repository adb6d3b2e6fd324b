# SPDX-License-Identifier: Apache-2.0
"""The base of the tests of the commands that look after stores: a Glance with file stores."""

import json
import os
from unittest import mock

import fixtures
import testtools

from tests.functional import cli
from tests.functional import shared

MEMBER = 'u1:p1:member,reader'
ADMIN = 'admin:admin:admin,member,reader'


class StoresTestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.glance = self.make_glance()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def make_glance(self):
        return shared.glance('stores', stores={'a': 'file', 'b': 'file', 'c': 'file'}, default='a',
                             faults=True,
                             conf={'DEFAULT': {'api_limit_max': '2'}})

    def reach(self):
        return [word for store in 'abc' for word in ('--reach', '%s=%s' % (store, self.glance.dir(store)))]

    def environ(self, token=ADMIN):
        return cli.environ(self.folder, **cli.cloud_of(self.glance.url, token))

    def run_words(self, words, more=(), token=ADMIN):
        """Run multistore-hooks in this process; return exit code, output and errors."""
        with mock.patch.dict(os.environ, self.environ(token), clear=True):
            return cli.run_here(words.split() + list(more))

    def rows(self, words, *columns, more=None, token=ADMIN):
        more = self.reach() if more is None else more
        code, out, err = self.run_words(words + ' -f json', more, token)
        self.assertNotIn('internal error', err)
        self.assertNotIn('Traceback', err)
        return code, [tuple(row[name] for name in columns) for row in json.loads(out)] if out else err

    def held(self, image_id):
        return [store for store in 'abc' if image_id in self.glance.files(store)]

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        return path
