# SPDX-License-Identifier: Apache-2.0
"""Cinder's own API, scheduler and volume service over HTTP, with our three classes configured."""


from lab.cinder import client
from lab import glance
from lab import poll
from lab.poll import LabError
from tests.functional import cinder_base

KEY = 'image_service:store_id'


class ApiTest(cinder_base.CinderTestCase):
    """One Cinder and one Glance for each test."""

    def setUp(self):
        super().setUp()
        self.start_glance(faults=True, filters=[glance.BASE_IMAGE_FILTER])
        self.cinder = self.start_cinder()

    def refused(self, status, call, *args, **kwargs):
        """Call, and return what Cinder said when it refused with this status."""
        said = self.assertRaises(client.Refused, call, *args, **kwargs)
        self.assertEqual(status, said.status, said)
        return str(said)

    def plain_type(self, name='plain'):
        return self.cinder.create_type(name)

    def test_a_volume_from_an_image_uploaded_again_is_in_all_stores_of_its_base_image(self):
        base = self.base_image('cheap', 'reliable', data=b'base' * 1000)
        volume = self.volume_with_bytes(self.cinder, image=base)
        # Reserved properties came along with the base image; stock Train hands them on, and is refused.
        self.assertIn('os_glance_failed_import', self.cinder.volume(volume)['volume_image_metadata'])
        image = self.cinder.upload(volume)
        self.assertEqual('available', self.cinder.wait_volume(volume)['status'])
        self.glance.wait_for_import(image)
        self.assertEqual({'cheap', 'reliable'}, self.where(image))
        self.assertEqual([], self.cinder.messages())

        self.cinder.create_type('gold', {KEY: 'reliable'})
        typed = self.volume_with_bytes(self.cinder, image=base, volume_type='gold')
        image = self.cinder.upload(typed)
        self.cinder.wait_volume(typed)
        self.assertEqual({'reliable'}, self.where(image))

    def test_an_upload_to_a_store_that_is_not_there_is_a_400_and_leaves_nothing(self):
        # As for a store that was renamed after the type was made.
        stock = self.start_stock_type({KEY: 'nowhere'})
        volume = self.volume_with_bytes(self.cinder, volume_type=stock)
        before = self.images()
        self.glance.forget_requests()
        said = self.refused(400, self.cinder.upload, volume)
        self.assertIn("Volume type 'late' names a Glance store that does not exist. Ask an administrator",
                      said)
        self.assertNotIn('nowhere', said)
        self.assertIn("Volume type 'late' (%s) names the Glance store 'nowhere', which does not exist. The "
                      'stores are: reliable, fast (default), cheap, web (read-only)' % KEY, self.cinder.log)
        self.assertEqual([], self.glance.requests('POST'))
        self.assertEqual('available', self.cinder.volume(volume)['status'])
        self.assertEqual(before, self.images())

    def start_stock_type(self, specs):
        """Make a type whose store is not there: Glance hides that while the type is made."""
        made = self.cinder.create_type('late')
        self.glance.kill()
        self.glance._kinds['nowhere'] = 'file'
        self.glance.start()
        self.cinder.request('POST', '/types/%s/extra_specs' % made, {'extra_specs': specs}, client.ADMIN)
        self.glance.kill()
        del self.glance._kinds['nowhere']
        self.glance.start()
        return 'late'

    def test_compression_that_is_not_allowed_leaves_no_record(self):
        volume = self.volume_with_bytes(self.cinder)
        before = self.images()
        said = self.refused(400, self.cinder.upload, volume, disk_format='qcow2',
                            container_format='compressed')
        self.assertIn('compress', said)
        self.assertEqual(before, self.images())
        self.assertEqual('available', self.cinder.volume(volume)['status'])

    def test_every_typing_mistake_gets_one_readable_error_wherever_the_spec_is_written(self):
        there_are = 'The stores are: reliable, fast (default), cheap, web (read-only), off, full.'
        mistakes = {
            'nowhere': 'which does not exist. ', 'web': 'which is read-only. ',
            'Cheap': "which does not exist (did you mean 'cheap'?). ",
            ' cheap ': "which does not exist (did you mean 'cheap'?). ",
            'cheap,fast': 'which does not exist (a volume type names one store, not a list). ',
            'cheap fast': 'which does not exist (a volume type names one store, not a list). ',
            '': 'which is no name of a store. ', 'os_glance_staging_store': 'which does not exist. '}
        plain = self.plain_type()
        for value, why in mistakes.items():
            expected = "The extra spec %s names the Glance store '%s', %s%s" % (KEY, value, why, there_are)
            for call, args in (
                    (self.cinder.create_type, ('bad', {KEY: value})),
                    (self.cinder.request, ('POST', '/types/%s/extra_specs' % plain,
                                           {'extra_specs': {KEY: value}}, client.ADMIN)),
                    (self.cinder.request, ('PUT', '/types/%s/extra_specs/%s' % (plain, KEY),
                                           {KEY: value}, client.ADMIN))):
                self.assertIn(expected, self.refused(400, call, *args))
        said = self.refused(400, self.cinder.create_type, 'bad', {
            'Image_service:store_id': 'cheap', 'image_service:store': 'cheap', KEY: 'FAST'})
        for part in ("There is no extra spec 'Image_service:store_id': the key is %s" % KEY,
                     "There is no extra spec 'image_service:store'", "did you mean 'fast'", there_are):
            self.assertIn(part, said)
        names = [one['name'] for one in self.cinder.request('GET', '/types')['volume_types']]
        self.assertNotIn('bad', names)

    def test_what_is_right_or_not_ours_is_left_to_cinder(self):
        plain = self.plain_type()
        self.cinder.create_type('good', {KEY: 'cheap', 'image_service:other': 'x', 'a': 'b'})
        self.cinder.request('POST', '/types/%s/extra_specs' % plain, {'extra_specs': {KEY: 'off'}},
                            client.ADMIN)
        self.cinder.request('PUT', '/types/%s/extra_specs/%s' % (plain, KEY), {KEY: 'cheap'},
                            client.ADMIN)
        self.cinder.request('DELETE', '/types/%s/extra_specs/%s' % (plain, KEY), token=client.ADMIN)
        self.refused(403, self.cinder.request, 'POST', '/types',
                     {'volume_type': {'name': 'm', 'extra_specs': {KEY: 'nowhere'}}}, client.MEMBER)
        for body in ([], {'volume_type': 'x'}, {'volume_type': {'name': 'z', 'extra_specs': 'x'}}):
            self.refused(400, self.cinder.request, 'POST', '/types', body, client.ADMIN)

    def test_without_a_response_of_glance_no_store_is_accepted(self):
        self.glance.fault('GET', '/info/stores', status=500)
        said = self.refused(503, self.cinder.create_type, 'x', {KEY: 'cheap'})
        self.assertIn("is not accepted, because Glance's stores are not known", said)

    def test_the_store_never_influences_scheduling(self):
        self.cinder.create_type('stored', {KEY: 'cheap'})
        self.cinder.create_volume(volume_type='stored')
        # The same value under a key that the scheduler does look at.
        self.cinder.create_type('scheduled', {'capabilities:store_id': 'cheap'})
        made = self.cinder.request('POST', '/volumes', {'volume': {
            'size': 1, 'volume_type': 'scheduled'}})['volume']['id']
        poll.until('end of its creation', lambda: self.cinder.volume(made)['status'] != 'creating')
        self.assertEqual('error', self.cinder.volume(made)['status'])
        self.assertIn('No weighed backend', self.cinder.log)


class EncryptedTest(cinder_base.CinderTestCase):
    """A type with encryption, and keys from Cinder's own configuration."""

    def test_formats_that_an_encrypted_volume_cannot_have_are_refused_as_ever(self):
        self.start_glance()
        cinder = self.start_cinder(overrides={'key_manager': {
            'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager', 'fixed_key': '0' * 64}})
        locked = cinder.create_type('locked', {KEY: 'cheap'})
        cinder.request('POST', '/types/%s/encryption' % locked, {'encryption': {
            'provider': 'luks', 'cipher': 'aes-xts-plain64', 'key_size': 256,
            'control_location': 'front-end'}}, client.ADMIN)
        try:
            volume = cinder.create_volume(volume_type='locked')
        except LabError as cannot:
            self.skipTest('this release has no encrypted volumes in a directory: %s' % cannot)
        before = self.images()
        refused = self.assertRaises(client.Refused, cinder.upload, volume, disk_format='qcow2')
        self.assertIn('encrypted volume', str(refused).lower())
        self.assertEqual((400, before), (refused.status, self.images()))


class SingleStoreTest(cinder_base.CinderTestCase):
    """A Glance without several stores."""

    def test_a_type_that_names_a_store_is_refused_clearly(self):
        self.start_glance(stores={'only': 'file'}, default='only', multistore=False)
        cinder = self.start_cinder()
        refused = self.assertRaises(client.Refused, cinder.create_type, 'x', {KEY: 'only'})
        self.assertIn("names the Glance store 'only', which cannot be used: this Glance does not have "
                      'several stores.', str(refused))
        cinder.create_type('y', {'a': 'b'})
