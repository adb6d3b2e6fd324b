# SPDX-License-Identifier: Apache-2.0
"""The contract of tests/contract.py, held by the library's client and the fake Glance."""

import testtools

from multistore_hooks.images import client
from multistore_hooks.images import fake
from tests import contract


class FakeTestCase(testtools.TestCase):
    """Reaches a fake Glance through a real glanceclient."""

    make_client = staticmethod(contract.session_client)

    def setUp(self):
        super().setUp()
        self.glance = fake.FakeGlance(dict(contract.STORES), contract.DEFAULT)

    def images(self, token=contract.MEMBER, attempts=1):
        adapter = fake.SocketlessAdapter(self.glance)
        return client.ClientImages(contract.run_with(
            lambda: self.make_client('http://glance', token, adapter), attempts))

    def queued(self, token=contract.MEMBER):
        return self.glance.add_image(owner=token.split(':')[1])

    def fail_once(self, method, path, status, after):
        self.glance.faults.append(fake.Fault(method, path, status, after=after))


class SessionContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient on a keystoneauth session."""


class PlainContractTest(FakeTestCase, contract.ImageApiContract):
    """With a glanceclient without keystone, as Cinder has one with noauth."""

    make_client = staticmethod(contract.plain_client)


class SingleStoreTest(FakeTestCase):
    """A Glance without several stores, or without the discovery call."""

    def setUp(self):
        super().setUp()
        self.glance = fake.FakeGlance({})

    def test_discovery_tells_no_stores(self):
        self.assertEqual((), self.images().stores().stores)
