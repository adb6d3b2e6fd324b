# SPDX-License-Identifier: Apache-2.0
"""What the unit tests of the Cinder seam share."""

import fixtures
import testtools

from tests import contract
from tests.unit import base

try:
    # In the order of Cinder's own services: some of its modules import one another.
    from cinder import objects
    objects.register_all()
    from multistore_hooks.cinder import image_client
    from multistore_hooks.cinder import upload_request  # registers the options
except ImportError:
    image_client = upload_request = None


class VolumeType:
    """A volume type, as Cinder's object looks."""

    def __init__(self, name, **extra_specs):
        self.name = name
        self.extra_specs = extra_specs


class Volume:
    """A volume, as Cinder's object looks to the hooks."""

    id = 'the volume'

    def __init__(self, volume_type=None, glance_metadata=None):
        self.volume_type = volume_type
        self.glance_metadata = glance_metadata

    @classmethod
    def naming(cls, store, name='gold', **more):
        """Return a volume whose type names a store."""
        return cls(VolumeType(name, **{'image_service:store_id': store}), **more)

    @classmethod
    def made_from(cls, image_id):
        """Return a volume without a type that was made from an image."""
        return cls(glance_metadata={'image_id': image_id})


@testtools.skipIf(image_client is None, 'Cinder is not installed')
class TestCase(base.FakeGlanceTestCase):
    """A test with a fake Glance that stands for Cinder's."""

    def setUp(self):
        super().setUp()
        from oslo_config import fixture
        self.conf = self.useFixture(fixture.Config())
        self.cinder_images = image_client.CinderImages(*[self._run] * 2)
        self.useFixture(fixtures.MonkeyPatch('multistore_hooks.cinder.image_client.images_for',
                                             lambda context: self.cinder_images))

    def _run(self, verb, function):
        from tests import fake_glance
        adapter = fake_glance.SocketlessAdapter(self.glance)
        return contract.run_with(lambda: contract.session_client(
            'http://glance', contract.MEMBER, adapter))(verb, function)
