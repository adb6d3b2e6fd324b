# SPDX-License-Identifier: Apache-2.0
"""What the functional tests of the Cinder seam share: a real Glance, a real Cinder, our classes.

CINDER_PYTHON and CINDER_PYTHONPATH name an interpreter and an unpacked Cinder, if the tests are to run
against another release than the installed one; CINDER_CACHE a directory for its migrated database.
"""

import copy
import os
import sys
import tempfile

import fixtures
import testtools

from lab.cinder import client
from lab.cinder import run
from lab.cinder import server
from lab import glance
from lab import ini

PYTHON = os.environ.get('CINDER_PYTHON', sys.executable)
PYTHONPATH = os.environ.get('CINDER_PYTHONPATH', '')
CACHE = os.environ.get('CINDER_CACHE', os.path.join(
    tempfile.gettempdir(), 'multistore-hooks-cinder-%d' % os.getuid()))

MANAGER = 'multistore_hooks.cinder.manager.VolumeManager'
STOCK_MANAGER = 'cinder.volume.manager.VolumeManager'
API = 'multistore_hooks.cinder.api.API'
EXTENSION = 'multistore_hooks.cinder.extra_specs.StoreValidation'
OURS = {'DEFAULT': {
    'volume_manager': MANAGER, 'volume_api_class': API,
    'osapi_volume_extension': ['cinder.api.contrib.standard_extensions', EXTENSION]}}
STORES = {'reliable': 'file', 'fast': 'file', 'cheap': 'file', 'web': 'http', 'off': 'disabled',
          'full': 'full'}
DEFAULT = 'fast'
MEMBER = client.MEMBER
OTHER = 'u2:6d2c6f0a9b1e4c7f8a3b6d9e0f1a2b3d:member,reader'
SIZE = 65536


def typed(store, name=None):
    """Return the description of a volume type that names a store."""
    return {'name': name or 'type of ' + store,
            'extra_specs': {'image_service:store_id': store}}


class CinderTestCase(testtools.TestCase):
    """A directory, and the bytes of a volume."""

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.content = os.urandom(SIZE)
        self.raw = os.path.join(self.directory, 'volume.raw')
        with open(self.raw, 'wb') as raw:
            raw.write(self.content)
        self.glance = None

    def start_glance(self, stores=None, filters=(), default=DEFAULT, **options):
        """Start a Glance that ends with the test."""
        self.glance = glance.Glance(os.path.join(self.directory, 'glance'),
                                    stores=stores or STORES, default=default, filters=filters,
                                    **options)
        self.glance.start()
        self.addCleanup(self.glance.kill)
        return self.glance

    def start_cinder(self, url=None, overrides=None, **options):
        """Start a Cinder with our classes that ends with the test."""
        cinder = server.Cinder(
            url or self.glance.url, os.path.join(self.directory, 'cinder'), python=PYTHON,
            pythonpath=PYTHONPATH, cache_dir=CACHE,
            overrides=ini.merged(copy.deepcopy(OURS), overrides or {}), **options)
        self.addCleanup(cinder.stop)
        return cinder.start()

    def base_image(self, *stores, data=b'base', token=MEMBER):
        """Put a base image into stores; return its id."""
        made = self.glance.add_image(data, list(stores), token=token)
        return made['id'] if isinstance(made, dict) else made

    def run_uploads(self, *operations, **request):
        """Run uploads with our classes in a process of their own; return their results."""
        conf = {'DEFAULT': {'volume_api_class': API}}
        for group, options in request.pop('conf', {}).items():
            conf.setdefault(group, {}).update(options)
        request = dict({'glance_url': self.glance.url, 'token': MEMBER, 'volume_manager': MANAGER,
                        'conf': conf, 'cache_dir': CACHE, 'operations': list(operations)}, **request)
        return run.run(request, PYTHON, PYTHONPATH)['results']

    def operation(self, volume_type=None, base=None, bootable=True, **more):
        """Return the upload of a volume with this test's bytes."""
        volume = {'bytes_from': self.raw, 'type': volume_type, 'bootable': bootable}
        if base:
            volume['glance_metadata'] = dict(more.pop('metadata', {}), image_id=base)
        return {'volume': volume, 'image': dict({'name': 'uploaded'}, **more)}

    def where(self, image_id):
        """Return the file stores whose folders have an image with this test's bytes."""
        found = set()
        for store in self.glance.stores:
            try:
                if self.glance.data(store, image_id) == self.content:
                    found.add(store)
            except (glance.LabError, FileNotFoundError):
                continue
        return found

    def images(self):
        """Return the ids of all images that Glance knows."""
        response = self.glance.request('GET', '/v2/images?limit=1000')
        return {image['id'] for image in response.json()['images']}

    def volume_with_bytes(self, cinder, **options):
        """Create a volume with this test's bytes; return its id."""
        volume = cinder.create_volume(**options)
        with open(cinder.path_of(volume), 'r+b') as file:
            file.truncate(SIZE)
            file.write(self.content)
        return volume
