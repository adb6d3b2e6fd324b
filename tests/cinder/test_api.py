# SPDX-License-Identifier: Apache-2.0
"""What the volume API sees to beside the store."""

from tests.cinder import base


class PropertiesTest(base.TestCase):

    def test_what_glance_keeps_for_itself_is_dropped(self):
        from multistore_hooks.cinder import api
        kept = {'hw_disk_bus': 'scsi', 'my_os_glance': 'x', 'stores_of_mine': 'x'}
        self.assertEqual(kept, api._settable(dict(
            kept, os_glance_failed_import='', os_glance_importing_to_stores='', stores='fast',
            img_signature='x', img_signature_uuid='x', signature_verified='False', direct_url='x')))


class Keys:
    """Stands for the key manager."""

    def __init__(self, error=None):
        self.deleted = []
        self._error = error

    def delete(self, context, key):
        self.deleted.append(key)
        if self._error:
            raise self._error


class ForgetKeyTest(base.TestCase):

    def forget(self, keys, **metadata):
        from multistore_hooks.cinder import api
        api._forget_key(None, keys, metadata)
        return keys.deleted

    def test_the_copy_of_the_key_is_deleted(self):
        self.assertEqual(['key'], self.forget(Keys(), cinder_encryption_key_id='key'))
        self.assertEqual([], self.forget(Keys(), name='x'))
        self.assertEqual('', self.log)

    def test_a_key_that_stays_is_logged(self):
        self.forget(Keys(ValueError('no')), cinder_encryption_key_id='key')
        self.assertIn('WARNING The encryption key key', self.log)
