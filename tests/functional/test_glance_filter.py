# SPDX-License-Identifier: Apache-2.0
"""The filter's fall-back to the default store, in a real Glance whose base image's store is disabled."""

import io

import testtools

from lab import glance as lab
from tests.functional import shared

#: Glance reads the data of some container formats another way than that of others.
FORMATS = ('bare', 'ovf', 'ova', 'docker', 'compressed')
DATA = b'x' * 300000


class FallbackTest(testtools.TestCase):
    """Stores: fast (default), off, which was a store of files when the base image was uploaded."""

    eventlet = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.glance = lab.Glance(shared.folder('filter'), {'fast': 'file', 'off': 'file'}, 'fast',
                                filters=[lab.BASE_IMAGE_FILTER], eventlet=cls.eventlet)
        cls.glance.start()
        cls.base_image = cls.glance.add_image(b'base', ['off'])
        cls.glance.stop()
        cls.glance = lab.Glance(cls.glance.root, {'fast': 'file', 'off': 'disabled'}, 'fast',
                                filters=[lab.BASE_IMAGE_FILTER], eventlet=cls.eventlet)
        cls.glance.start()
        cls.addClassCleanup(cls.glance.kill)

    def upload(self, data, **properties):
        image_id = self.glance.create_image(**properties)['id']
        response = self.glance.upload(image_id, data, headers={'X-OpenStack-Base-Image-Ref': self.base_image})
        self.assertEqual(204, response.status, response)
        self.assertEqual(DATA, self.glance.data('fast', image_id))
        with open(self.glance.log, encoding='utf-8') as stream:
            said = [line for line in stream if 'Image %s was not accepted' % image_id in line]
        self.assertEqual(1, len(said))
        self.assertIn('the store off takes no images', said[0])
        self.assertIn('Sending it to the default store fast.', said[0])

    def test_body_of_known_length(self):
        for container_format in FORMATS:
            self.upload(DATA, container_format=container_format)

    def test_chunked_body(self):
        for container_format in FORMATS:
            self.upload(io.BytesIO(DATA), container_format=container_format)
