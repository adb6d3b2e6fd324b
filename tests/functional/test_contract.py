# SPDX-License-Identifier: Apache-2.0
"""The contract of tests/contract.py, held by the library's client and a real Glance.

The same tests run on the fake in tests/unit/images: where the fake is wrong, one of the two is red.
"""

import testtools

from multistore_hooks.glance_api import client
from tests import contract
from tests.functional import shared


class RealTestCase(testtools.TestCase):
    """Reaches one real Glance, which all of these tests share."""

    make_client = staticmethod(contract.session_client)

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('contract', stores=contract.STORES, default=contract.DEFAULT,
                                    faults=True)

    def images(self, token=contract.MEMBER, attempts=1):
        return client.ClientImages(contract.run_with(
            lambda: self.make_client(self.glance.url, token), attempts))

    def queued(self, token=contract.MEMBER):
        return self.glance.create_image(token=token)['id']

    def fail_once(self, method, path, status, after):
        self.glance.fault(method, path, at='body', after_bytes=after, status=status)


class SessionContractTest(RealTestCase, contract.ImageApiContract):
    """With a glanceclient on a keystoneauth session."""


class PlainContractTest(RealTestCase, contract.ImageApiContract):
    """With a glanceclient without keystone, as Cinder has one with noauth."""

    make_client = staticmethod(contract.plain_client)


class SingleStoreTest(RealTestCase):
    """A Glance of one store, which has no discovery."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('single', stores={'only': 'file'}, multistore=False)

    def test_discovery_tells_no_stores(self):
        self.assertEqual((), self.images().stores().stores)
