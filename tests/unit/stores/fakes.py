# SPDX-License-Identifier: Apache-2.0
"""A fake Glance whose stores can be read without it, and what evicts from it."""

from multistore_hooks.glance_api import api
from multistore_hooks.stores import evict
from multistore_hooks.stores import glance
from multistore_hooks.stores import inventory
from multistore_hooks.stores import places
from multistore_hooks.stores import proofs
from tests import clock
from tests import contract
from tests import fake_glance
from tests.unit import base


#: Of the cluster that has all places.
FSID = 'f'


class MemoryPlace(places.Place):
    """The place of one store of a fake Glance; like a pool it has clones, and a trash, whatever its kind."""

    def __init__(self, fake, store, kind='rbd'):
        self._fake, self._store, self._kind = fake, store, kind
        self.clones, self.trash, self.away = {}, [], ''
        self.one_with = None

    def _reach(self):
        if self.away:
            raise places.PlaceError(self.away)

    @property
    def identity(self):
        self._reach()
        return (self._kind, FSID, self.one_with or self._store)

    def find(self, image_id):
        self._reach()
        data = self._fake.data.get((self._store, image_id))
        return None if data is None else places.Found(len(data), True)

    def children(self, image_id):
        self._reach()
        count = self.clones.get(image_id, 0)
        return places.Children(count, 4 if count else 0)

    def in_trash(self, image_id):
        self._reach()
        return image_id in self.trash

    def everything(self):
        self._reach()
        for store, image_id in sorted(self._fake.data):
            if store == self._store:
                yield image_id, self.find(image_id)

    def space(self):
        self._reach()
        return inventory.Space(100, 50)

    def read(self, image_id, size=8 << 20):
        self._reach()
        yield self._fake.data[self._store, image_id]


class EvictionTestCase(base.TestCase):
    """A Glance with the stores a (default), b, c, whose places can be read, and an evictor."""

    def setUp(self):
        super().setUp()
        self.glance = fake_glance.FakeGlance({'a': fake_glance.FILE, 'b': fake_glance.FILE,
                                              'c': fake_glance.FILE}, default='a')
        self.places = {store: MemoryPlace(self.glance, store) for store in self.glance.stores}
        self.details = {}
        self.clock = clock.Clock()

    def images(self, token=contract.ADMIN):
        """Return what the upkeep of stores asks Glance with."""
        return store_images(self.glance, token)

    def evictor(self, token=contract.ADMIN, accept_reads=False, **options):
        """Return an evictor that reaches the places."""
        images = self.images(token)
        prover = proofs.Prover(images, self.places, self.details, accept_reads)
        return evict.Evictor(evict.Tools(images, prover, self.places, self.details, clock=self.clock,
                                         **options))

    def evict(self, image_id, store, **options):
        """Evict, and return what came of it as (state, why)."""
        return tuple(self.evictor(**options).evict(image_id, store))

    def state_of(self, image_id):
        """Return where an image's data is, and where its record says."""
        return self.glance.where(image_id), sorted(self.glance.listed(image_id))


def store_images(application, token=contract.ADMIN):
    """Return ImageApi with the verbs for stores, on a Glance in memory."""
    made = contract.session_client('http://glance', token, fake_glance.SocketlessAdapter(application))
    return glance.StoreImages(contract.run_with(lambda: made))


def rbd_details(**pools):
    """Return what Glance says of RBD stores of one cluster."""
    return {store: api.StoreDetail(store, 'rbd', {'pool': pool, 'fsid': FSID}) for store,
            pool in pools.items()}
