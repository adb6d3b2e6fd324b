# SPDX-License-Identifier: Apache-2.0
"""The contract of tests/contract.py, held by the library's client and a real Glance.

The same tests run on the fake in tests/unit/images: where the fake is wrong, one of the two is red.
"""

import os
import time

import testtools

from multistore_hooks.glance_api import client
from tests import contract
from tests.functional import shared


class RealTestCase(testtools.TestCase):
    """Reaches one real Glance, which all of these tests share."""

    make_client = staticmethod(contract.session_client)

    def setUp(self):
        super().setUp()
        self._held, self._writers = {}, {}
        self.glance = shared.glance('contract', stores=contract.STORES, default=contract.DEFAULT,
                                    faults=True)

    def images(self, token=contract.MEMBER, attempts=1):
        return client.ClientImages(contract.run_with(
            lambda: self.make_client(self.glance.url, token), attempts))

    def queued(self, token=contract.MEMBER, **properties):
        return self.glance.create_image(token=token, **properties)['id']

    def fail_once(self, method, path, status, after):
        self.glance.fault(method, path, at='body', after_bytes=after, status=status)

    def hold_copies(self, image_id, store):
        # Glance opens the image's file to copy it, and waits for what is written to it.
        path = os.path.join(self.glance.dir(store), image_id)
        os.rename(path, path + '.held')
        os.mkfifo(path)
        self._held[image_id] = path
        self.addCleanup(self._put_back, image_id)

    def wait_until_held(self, image_id):
        deadline = time.monotonic() + 30
        while image_id not in self._writers:
            try:
                # Fails as long as Glance does not read.
                self._writers[image_id] = os.open(self._held[image_id], os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)

    def release_copies(self, image_id):
        self.wait_until_held(image_id)
        with open(self._held[image_id] + '.held', 'rb') as kept:
            os.write(self._writers[image_id], kept.read())
        self._put_back(image_id)

    def _put_back(self, image_id):
        if image_id in self._writers:
            os.close(self._writers.pop(image_id))
        path = self._held.pop(image_id, None)
        if path:
            os.replace(path + '.held', path)

    def holding(self, image_id):
        return {store for store in ('rbd', 'ceph1-rbd', 'odd %2B name')
                if image_id in self.glance.files(store)}

    def lose(self, image_id, store):
        os.unlink(os.path.join(self.glance.dir(store), image_id))


class SessionContractTest(RealTestCase, contract.ImageApiContract):
    """With a glanceclient on a keystoneauth session."""


class PlainContractTest(RealTestCase, contract.ImageApiContract):
    """With a glanceclient without keystone, as Cinder has one with noauth."""

    make_client = staticmethod(contract.plain_client)


class QuotaContractTest(RealTestCase, contract.QuotaContract):
    """A Glance with a quota."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance(
            'quota', stores={'rbd': 'file', 'ceph1-rbd': 'file', 'web': 'http'}, default='rbd',
            conf={'DEFAULT': {'user_storage_quota': '10000B'}})


class SingleStoreTest(RealTestCase):
    """A Glance of one store, which has no discovery."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('single', stores={'only': 'file'}, multistore=False)

    def test_discovery_lists_no_stores(self):
        self.assertEqual((), self.images().stores().stores)
