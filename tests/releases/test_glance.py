# SPDX-License-Identifier: Apache-2.0
"""A release of Glance: uploads follow their base image by our filter, our commands look after its stores."""

import glob
import json
import os
import tempfile
from unittest import mock

import testtools

from lab.glance import ADMIN
from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from tests.functional import cli
from tests.releases import under_test

DATA = os.urandom(100000)
STORES = {'fast': 'file', 'cheap': 'file', 'reliable': 'file'}
MEMBER = 'u1:p1:member,reader'
HEADER = 'X-OpenStack-Base-Image-Ref'
COPIES = under_test.MAJOR > 19      # the import method copy-image came with Ussuri


def conf():
    """Return what this release needs besides in glance-api.conf."""
    # Train has no policies in its code: only in the file that it brings.
    brought = glob.glob(os.path.join(under_test.STOCK, 'glance-*.data/data/etc/glance/policy.json'))
    return {'oslo_policy': {'policy_file': brought[0]}} if brought else {}


class GlanceTestCase(testtools.TestCase):
    """One Glance of the release for all tests; the default store is fast."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory(prefix='release-glance-')
        cls.addClassCleanup(cls.folder.cleanup)
        cls.glance = Glance(
            os.path.join(cls.folder.name, 'glance'), STORES, default='fast', faults=True, conf=conf(),
            filters=[BASE_IMAGE_FILTER], python=under_test.PYTHON,
            pythonpath=under_test.path(under_test.STOCK), eventlet=under_test.MAJOR < 21,
            # These begin a second transaction within the first to see who may see an image.
            lock_at_begin=under_test.MAJOR not in (28, 29, 30))
        cls.glance.start()
        cls.addClassCleanup(cls.glance.kill)

    def setUp(self):
        super().setUp()
        self.glance.clear_faults()
        self.glance.forget_requests()

    def base(self, *stores):
        return self.glance.add_image(b'base image', stores, token=MEMBER)

    def put(self, base_image, store=None, **record):
        """Upload as stock Cinder does, as a member; return the image's id."""
        image = self.glance.create_image(token=MEMBER, **record)['id']
        headers = {HEADER: base_image} if base_image else {}
        answer = self.glance.upload(image, DATA, store, headers, MEMBER)
        self.assertEqual(204, answer.status, answer)
        return image

    def assertIsIn(self, stores, image):
        self.assertEqual(stores, self.glance.stores_of(image))
        for store in stores:
            self.assertEqual(DATA, self.glance.data(store, image))


class FilterTest(GlanceTestCase):

    def test_it_announces_itself_where_the_stores_are_listed(self):
        answer = self.glance.request('GET', '/v2/info/stores', MEMBER)
        self.assertEqual((200, 'base-image-ref'),
                         (answer.status, answer.headers.get('x-openstack-multistore-hooks')))
        self.assertEqual(set(STORES), {store['id'] for store in answer.json()['stores']})

    def test_header_of_stock_cinder(self):
        self.assertIsIn({'cheap'}, self.put(self.base('cheap')))

    def test_property_of_stock_nova(self):
        self.assertIsIn({'cheap'}, self.put(None, base_image_ref=self.base('cheap')))

    def test_named_store_comes_before_the_base_image(self):
        self.assertIsIn({'reliable'}, self.put(self.base('cheap'), 'reliable'))

    def test_without_base_image_or_with_one_that_is_gone_the_default_store(self):
        self.assertIsIn({'fast'}, self.put(None))
        gone = self.base('cheap')
        self.assertEqual(204, self.glance.request('DELETE', '/v2/images/' + gone, MEMBER).status)
        self.assertIsIn({'fast'}, self.put(gone))

    def test_only_of_the_callers_own_images(self):
        alien = self.glance.add_image(b'base image', ['cheap'], token='u2:p2:member,reader')
        self.assertIsIn({'fast'}, self.put(alien))


class CopyTest(GlanceTestCase):
    """What co-location and copy, then clone need of a Glance."""

    def setUp(self):
        super().setUp()
        if not COPIES:
            self.skipTest('Train has no copy-image')

    def test_volume_is_colocated_with_a_base_image_in_several_stores(self):
        image = self.put(self.base('cheap', 'reliable'))
        self.glance.wait_for_import(image)
        self.assertIsIn({'cheap', 'reliable'}, image)

    def test_snapshot_goes_to_one_of_the_base_images_stores(self):
        image = self.put(None, base_image_ref=self.base('cheap', 'reliable'))
        self.glance.wait_for_import(image)
        self.assertIsIn({'cheap'}, image)

    def test_administrators_credentials_copy_a_members_image_and_a_members_own_do_not(self):
        image = self.put(self.base('cheap'))
        answer = self.glance.import_copy(image, ['fast'], token=MEMBER, wait=False)
        # Ussuri lets the owner copy; the policy copy_image came with Victoria.
        self.assertEqual(403 if under_test.MAJOR > 20 else 202, answer.status)
        self.glance.wait_for_import(image)
        self.glance.import_copy(image, ['reliable'])
        self.assertIsIn({'cheap', 'reliable'} | ({'fast'} if answer.status == 202 else set()), image)


class WithoutCopyTest(GlanceTestCase):

    def test_where_glance_cannot_copy_the_image_is_in_one_store(self):
        if COPIES:
            self.skipTest('this Glance can copy')
        image = self.put(self.base('cheap'))
        answer = self.glance.import_copy(image, ['fast'], wait=False)
        self.assertIn(answer.status, (400, 409))
        self.assertIsIn({'cheap'}, image)


class StoresTest(GlanceTestCase):
    """Each command that looks after stores; Ussuri's Glance is the oldest that can delete from one store."""

    def setUp(self):
        super().setUp()
        if not COPIES:
            self.skipTest('Train can neither copy nor delete from one store')
        folder = tempfile.TemporaryDirectory(prefix='release-stores-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for store in STORES:
            for image in self.glance.files(store):
                self.glance.request('DELETE', '/v2/images/' + image)

    def run_words(self, words, reach=True):
        """Run multistore-hooks; return its exit code and its rows."""
        more = ['--reach=%s=%s' % (store, self.glance.dir(store)) for store in STORES] if reach else []
        environ = cli.environ(self.folder, **cli.cloud_of(self.glance.url, ADMIN))
        with mock.patch.dict(os.environ, environ, clear=True):
            code, out, err = cli.run_here(words.split() + ['-f', 'json'] + more)
        self.assertTrue(out, err)
        return code, json.loads(out)

    def test_images_and_stores_are_listed(self):
        one, other = self.base('cheap'), self.base('cheap', 'fast')
        _code, rows = self.run_words('store list', reach=False)
        self.assertEqual({'cheap': 2, 'fast': 1, 'reliable': 0}, {row['ID']: row['Images'] for row in rows})
        _code, rows = self.run_words('image list --store cheap --not-in fast', reach=False)
        self.assertEqual([one], [row['ID'] for row in rows])
        _code, rows = self.run_words('image stores ' + other, reach=False)
        self.assertEqual([['cheap', 'fast']], [sorted(row['Stores']) for row in rows])
        self.assertEqual((0, []), self.run_words('image watch', reach=False))

    def test_copy_goes_and_the_last_one_stays(self):
        image = self.base('cheap', 'fast')
        code, rows = self.run_words('image evict %s --from cheap' % image)
        self.assertEqual((0, ['freed']), (code, [row['Result'] for row in rows]))
        self.assertIsFoundIn({'fast'}, image)
        code, rows = self.run_words('image evict %s --from fast' % image)
        self.assertEqual((1, ['refused']), (code, [row['Result'] for row in rows]))
        self.assertIsFoundIn({'fast'}, image)

    def test_store_is_emptied(self):
        only, both = self.base('cheap'), self.base('cheap', 'fast')
        code, _rows = self.run_words('store drain cheap --to reliable')
        self.assertEqual((0, set()), (code, self.glance.files('cheap')))
        self.assertIsFoundIn({'reliable'}, only)
        self.assertIsFoundIn({'fast'}, both)
        self.assertEqual((0, []), self.run_words('store drain cheap --to reliable'))

    def test_rules_are_carried_out_and_a_second_run_plans_nothing(self):
        everywhere, archive = self.base('cheap'), self.base('cheap', 'fast')
        rules = os.path.join(self.folder, 'rules.yaml')
        with open(rules, 'w', encoding='utf-8') as stream:
            stream.write('rules: [{name: a, match: {id: %s}, in: all}, '
                         '{name: b, match: {id: %s}, only: reliable}]' % (everywhere, archive))
        self.assertEqual(0, self.run_words('image place --apply --rules ' + rules)[0])
        self.assertIsFoundIn(set(STORES), everywhere)
        self.assertIsFoundIn({'reliable'}, archive)
        self.assertEqual((0, []), self.run_words('image place --rules ' + rules))

    def test_record_without_data_is_mended(self):
        image = self.base('cheap', 'fast')
        self.base('cheap')  # which shows that the directory is the store's
        os.unlink(os.path.join(self.glance.dir('cheap'), image))
        code, rows = self.run_words('store check cheap --mend')
        self.assertEqual((0, [(image, 'record without data', 'yes')]),
                         (code, [(row['Name'], row['Finding'], row['Mended']) for row in rows]))
        self.assertEqual({'fast'}, self.glance.stores_of(image))
        self.assertEqual((0, []), self.run_words('store check cheap'))

    def assertIsFoundIn(self, stores, image):
        """Check what the record lists, and what the directories hold."""
        self.assertEqual((stores, stores), (self.glance.stores_of(image), {
            store for store in STORES if image in self.glance.files(store)}))
