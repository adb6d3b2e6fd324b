# SPDX-License-Identifier: Apache-2.0
"""What the tests of the checks share: files in a folder, and a stand-in for Glance's responses."""

import os

import fixtures
import testtools

from multistore_hooks.glance_api import api
from multistore_hooks.status.facts import config_files
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import live_glance


class Responses:
    """Stands for ``cloud.Cloud``: responds with what it was given."""

    url = 'http://glance'

    def __init__(self, stores=(), details=None, images=(), types=(), methods=('copy-image',), skipped=(),
                 follows=False):
        self._stores = api.Stores(tuple(stores), follows)
        self._details, self._images, self._types = details, list(images), types
        self._methods, self._skipped = methods, skipped
        self.details_fail = False

    def stores(self):
        return self._stores

    def details(self):
        return self._details

    def images(self):
        return self._images

    def image(self, image_id):
        return next((api.Image.from_glance(image) for image in self._images if image['id'] == image_id), None)

    def volume_types(self):
        return self._types

    def import_methods(self):
        return self._methods

    def loaded(self, store):
        return live_glance.NO if store in self._skipped else live_glance.YES


class CheckCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        os.chmod(path, mode)
        return path

    def nova(self, text):
        return config_files.read_nova([self.file('nova.conf', text)])

    def cinder(self, text):
        return config_files.read_cinder([self.file('cinder.conf', text)])

    def glance(self, text):
        return config_files.read_glance([self.file('glance-api.conf', text)])

    def facts(self, **given):
        return gather.Facts(**given)

    def texts(self, findings, worst=None):
        """Return findings as lines; and assert how bad the worst is."""
        if worst is not None:
            self.assertEqual(worst, max([int(one.code) for one in findings] or [0]), findings)
        return '\n'.join(str(one) for one in findings)
