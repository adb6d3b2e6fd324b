# SPDX-License-Identifier: Apache-2.0
"""What a volume says about the store of its image."""

from tests.unit.cinder import base

UUID = '5a1b7f4e-21aa-4dd8-8a6b-3b4a1c6d7e8f'


class RequestTest(base.TestCase):

    def request(self, volume):
        return base.upload_request.request_for(volume)

    def test_the_type_comes_before_the_option(self):
        self.conf.config(group='multistore_hooks', upload_store='cheap')
        named = self.request(base.Volume.naming('fast')).named
        self.assertEqual(('fast', "volume type 'gold' (image_service:store_id)"), named)
        self.assertEqual(('cheap', '[multistore_hooks] upload_store'), self.request(base.Volume()).named)

    def test_nothing_is_named_by_default(self):
        for volume in (base.Volume(), base.Volume(base.VolumeType('plain')),
                       base.Volume.naming('')):
            self.assertIsNone(self.request(volume).named)

    def test_a_type_that_is_gone_is_no_type(self):
        from cinder import exception

        class Orphan(base.Volume):
            volume_type = property(lambda self: self._raise(), lambda self, value: None)

            def _raise(self):
                raise exception.VolumeTypeNotFound(volume_type_id='x')

        self.assertIsNone(self.request(Orphan()).named)

    def test_the_base_image_is_a_uuid_or_nothing(self):
        self.assertEqual(UUID, self.request(base.Volume.made_from(UUID)).base_image)
        self.assertEqual('', self.log)
        self.assertIsNone(self.request(base.Volume(glance_metadata={})).base_image)
        for evil in ('x\r\nX-Image-Meta-Store: cheap', '../x', 'a' * 300):
            self.assertIsNone(self.request(base.Volume.made_from(evil)).base_image)
        self.assertEqual(3, self.log.count('WARNING'))
        self.assertNotIn('\r', self.log)
        self.assertNotIn('a' * 90, self.log)
