# SPDX-License-Identifier: Apache-2.0
"""A cloud of many sites that all want one cold image, on a clock of its own.

The waiter, the coordinator, the single flight and the slots are the package's own; Glance, the clusters of
the sites and Nova around them are models. Glance imports an image once at a time, through its staging area.
"""

import collections
import random
import uuid

from multistore_hooks.ceph import cluster
from multistore_hooks.ceph import coordinator
from multistore_hooks.ceph import site_lock
from multistore_hooks.copy import limits
from multistore_hooks.copy import request
from multistore_hooks.copy import single_flight
from multistore_hooks.copy import slots
from multistore_hooks.copy import waiter
from multistore_hooks import exceptions
from multistore_hooks.glance_api import api
from tests import fake_ceph
from tests import simulation

IMAGE = 'the-image'
CENTRAL = 'central'
#: Seconds after which Glance gives up the lock of a task that makes no progress, when it is asked.
LOCK_SECONDS = 3600
#: How often a task says how far it is, in seconds.
PROGRESS_SECONDS = 60
#: What stock Nova does by default: seconds between two polls, and of all of them.
STOCK_INTERVAL, STOCK_TIMEOUT = 15, 600


class Glance:
    """A Glance with one cold image.

    :param staging: seconds to read the image into the staging area, for each import.
    :param writing: seconds to write it to a store.
    :param latency: of a request, in seconds.
    :param slow: added to the latency of each request, at random up to this.
    """

    def __init__(self, sim, stores, staging, writing, latency=0.05, slow=0):
        self._sim, self.names = sim, [CENTRAL] + list(stores)
        self._staging, self._writing, self._latency, self._slow = staging, writing, latency, slow
        self.stores, self.importing, self.failed = [CENTRAL], [], []
        self.task = None
        self.task_message, self.task_changed = '', 0.0
        self.pools = {}  # the cluster of each store
        self.broken, self.away, self._run = set(), False, 0
        self.refused = False
        #: (time, verb, site, what came of it) of each request.
        self.log = []
        #: The processes of each site that sent requests.
        self.askers = collections.defaultdict(set)

    @property
    def now(self):
        return self._sim.now

    def client(self, site, token=None):
        """Return an ImageApi for a boot at a site, and how long its token is valid."""
        return _Client(self, site, self._sim.now, token)

    def serve(self, verb, site, function):
        """Answer a request after its latency."""
        entry = [self._sim.now, verb, site, 'away']
        self.askers[site].add(self._sim.current)
        self.log.append(entry)
        self._sim.sleep(self._latency / 2 + random.uniform(0, self._slow))
        if self.away:
            raise api.error_for(503, 'no answer')
        try:
            result = function()
        except api.GlanceError as error:
            entry[3] = error.status
            raise
        entry[3] = 200
        self._sim.sleep(self._latency / 2)
        return result

    def record(self):
        return api.Image.from_glance({
            'id': IMAGE, 'status': 'active', 'size': 1, 'stores': ','.join(self.stores), 'disk_format': 'raw',
            'os_glance_importing_to_stores': ','.join(self.importing), 'os_glance_import_task': self.task,
            'os_glance_failed_import': ','.join(self.failed)})

    def accept(self, stores):
        """Take on an import, or refuse it as Glance does."""
        if self.refused:
            raise api.error_for(403, 'copy_image')
        if self.task:
            if self._sim.now - self.task_changed < LOCK_SECONDS:
                raise api.error_for(409, 'Image has active task')
            self.importing = []
        if set(stores) & set(self.stores):
            raise api.error_for(400, 'Image is already present')
        self.task, self.task_message, self.task_changed = str(uuid.UUID(int=random.getrandbits(128))), '', \
            self._sim.now
        self.importing = sorted(set(self.importing) | set(stores))
        self.failed = [store for store in self.failed if store not in stores]
        self._sim.start(lambda: self._import(self._run, stores), name='import')

    def _import(self, run, stores):
        if not self._passes(run, self._staging):
            return
        for store in stores:
            pool = self.pools[store].images
            if store in self.broken or ('images', IMAGE) in pool:  # glance_store: Duplicate
                self._sim.sleep(1)
                self.failed.append(store)
            else:
                pool['images', IMAGE] = set()
                if not self._passes(run, self._writing):
                    return
                pool['images', IMAGE].add('snap')
                self.stores.append(store)
            self.importing.remove(store)
        self.task = None

    def _passes(self, run, seconds):
        """Let a step of an import take its time; return whether this Glance still runs afterwards."""
        while seconds > 0:
            self._sim.sleep(min(seconds, PROGRESS_SECONDS))
            seconds -= PROGRESS_SECONDS
            if run != self._run:
                return False
            self.task_message, self.task_changed = 'at %d' % self._sim.now, self._sim.now
        return run == self._run

    def kill(self, back_after=30):
        """End this Glance; its import ends, its lock stays."""
        self._run += 1
        self.away = True
        self._sim.at(self._sim.now + back_after, lambda: setattr(self, 'away', False))


class _Client(api.ImageApi):
    """Of one boot.

    :param token: seconds for which the boot's token is valid; None: without a limit, or it is renewed.
    """

    def __init__(self, glance, site, now, token):
        self._glance, self._site = glance, site
        self._expires = None if token is None else now + token

    def _ask(self, verb, function):
        if self._expires is not None and self._glance.now >= self._expires:
            raise api.error_for(401, 'The token has expired')
        return self._glance.serve(verb, self._site, function)

    def image(self, image_id):
        return self._ask('GET', self._glance.record)

    def stores(self):
        return self._ask('stores', lambda: api.Stores(tuple(api.Store(name) for name in self._glance.names)))

    def import_methods(self):
        return self._ask('methods', lambda: ('copy-image',))

    def newest_task(self, image_id):
        glance = self._glance

        def task():
            return api.Task(glance.task, 'processing', glance.task_message) if glance.task else None
        return self._ask('tasks', task)

    def copy(self, image_id, stores):
        self._ask('POST', lambda: self._glance.accept(list(stores)))

    def __getattr__(self, name):
        raise AttributeError(name)


# The verbs that no boot uses.
_Client.__abstractmethods__ = frozenset()


class SiteCeph(fake_ceph.FakeCeph):
    """The cluster of a site; a killed process does not reach it. ``leader`` is the process that led last.

    ``site_images`` counts those that were made.
    """

    def __init__(self, sim):
        self.leader, self._sim, self.site_images = None, sim, 0
        super().__init__(sim)

    @property
    def away(self):
        return self._sim.current is not None and self._sim.current.dead

    @away.setter
    def away(self, value):
        """It is as the process is."""

    def took(self, pool, name, cookie):
        self.leader = self._sim.current


class Cloud:
    """Sites with computes, and what came of their boots.

    :param turn, copy, interval: the operator's limits, in seconds.
    :param spread: seconds within which the boots begin.
    :param site_image: seconds in which a host makes a site image; None: it downloads for itself alone.
    :param token: seconds for which a user's token is valid, where the hosts have no credentials of their own.
    """

    def __init__(self, sites, computes, seconds, turn=60, copy=600, interval=15, seed=0, spread=2,
                 site_image=None, token=None, **glance):
        random.seed(seed)
        self.sim = simulation.Simulation()
        self.names = ['site%02d' % number for number in range(sites)]
        self.glance = Glance(self.sim, self.names, seconds / 2, seconds / 2, **glance)
        self.seconds, self._computes, self._spread, self.site_image = seconds, computes, spread, site_image
        self._token = token
        self._limits = limits.Limits(copy=copy or limits.A_DAY, turn=turn, interval=interval)
        self.sites = {name: SiteCeph(self.sim) for name in self.names}
        self.glance.pools = self.sites
        self.boots = []

    def run(self, stock=False, until=float('inf')):
        """Boot one server on each compute; return the boots."""
        for name in self.names:
            for _unused in range(self._computes):
                self.compute(name, stock).boot(random.uniform(0, self._spread))
        self.sim.run(until)
        return self.boots

    def compute(self, site, stock=False):
        """Return a new compute of a site."""
        return Compute(self, site, stock)

    def waiter(self, site, requester='p1 member'):
        """Return what a boot at a site waits with."""
        glance = self.glance.client(site, self._token)
        claim = self.claim(site) if self.site_image is not None else None
        return waiter.CopyWaiter(
            glance, glance, request.Job(IMAGE, site, 'the test', requester), self._limits,
            coordinator.CephCoordinator(self._cluster(site), 'vms', 'images', IMAGE, site, self.sim, claim),
            self.sim)

    def claim(self, site):
        """Return the lock of whatever brings the image to a site."""
        return site_lock.SiteLock(self._cluster(site), 'vms', 'site_image.' + IMAGE, self.sim)

    def _cluster(self, site):
        ceph = self.sites[site]
        return cluster.Cluster(cluster.Access(ceph.rados, ceph.rbd, None, None,
                                              lambda function, *args: function(*args)))

    @property
    def limits(self):
        return self._limits

    # -- figures

    def clones(self):
        return len([boot for boot in self.boots if boot.how == 'clone'])

    def last(self):
        """Return when the last clone was made."""
        return max([boot.ended for boot in self.boots if boot.how == 'clone'] or [0.0])

    def longest_without(self):
        """Return the longest wait of a boot that took another way in the end."""
        return max([boot.ended - boot.began for boot in self.boots if boot.how != 'clone'] or [0.0])

    def counting(self):
        """Return the highest number of accepted requests for copies of a site."""
        accepted = collections.Counter(site for _at, verb, site, what in self.glance.log
                                       if verb == 'POST' and what == 200)
        return max(accepted.values() or [0])

    def leaders(self):
        """Return the highest number of boots of a site that sent requests to Glance."""
        return max(len(askers) for askers in self.glance.askers.values())

    def rate(self, after=60, window=60):
        """Return the requests for each second of the busiest minute after the first one."""
        counted = collections.Counter(int(at // window) for at, _verb, _site, _what in self.glance.log
                                      if at >= after)
        return max(counted.values() or [0]) / window

    def crossings(self):
        """Return the most times that the image crossed the WAN to a site."""
        return max(self.crossings_to(site) for site in self.names)

    def crossings_to(self, site):
        """Return how often the image crossed the WAN to a site: copies, site images and downloads."""
        return (len([boot for boot in self.boots if (boot.site, boot.how) == (site, 'download')])
                + self.glance.stores.count(site) + self.sites[site].site_images)

    def remove_unfinished(self):
        """Do what the message about an unfinished RBD image says, at every site."""
        for ceph in self.sites.values():
            if not ceph.images.get(('images', IMAGE), {'snap'}):
                del ceph.images['images', IMAGE]


class Boot:
    """One boot: ``how`` is clone, download or warm."""

    def __init__(self, site, began):
        self.site, self.began = site, began
        self.how, self.ended, self.why = None, None, ''


class Compute:
    """A nova-compute: so many builds at once, of which half may wait.

    ``download`` is how long a download and a flat disk take, in seconds.
    """

    def __init__(self, cloud, site, stock=False, builds=10, download=0):
        self._cloud, self._sim, self._site, self._stock = cloud, cloud.sim, site, stock
        self._flights, self._slots = single_flight.SingleFlight(self._sim), slots.Slots()
        self._builds, self._running, self._download = builds, 0, download

    def boot(self, after=0, warm=False):
        """Boot a server from the cold image, or from one that is at the site."""
        boot = Boot(self._site, self._sim.now + after)
        self._cloud.boots.append(boot)
        boot.process = self._sim.start(lambda: self._build(boot, warm), after, self._site)
        return boot

    def _build(self, boot, warm):
        while self._running >= self._builds:
            self._sim.sleep(0.5)
        self._running += 1
        if warm:
            self._sim.sleep(1)
            boot.how = 'warm'
        else:
            boot.how = self._stock_way() if self._stock else self._our_way(boot)
            if boot.how == 'download':
                self._sim.sleep(self._download)
        self._running -= 1
        boot.ended = self._sim.now

    def _our_way(self, boot):
        if self._cloud.sites[self._site].site_images:
            return 'clone'
        try:
            with self._slots.take(self._builds // 2) as free:
                if not free:
                    boot.why = 'no slot'
                    return 'download'
                made = self._cloud.waiter(self._site)
                wait = self._cloud.limits
                self._flights.run((IMAGE, self._site), made.run, wait.turn + 2 * wait.copy)
        except exceptions.CopyFailed as error:
            boot.why = str(error)
            return 'download' if self._cloud.site_image is None else self._site_image()
        return 'clone'

    def _site_image(self):
        """Make a site image, or wait for another host: a model of what nova/site_images.py does."""
        ceph, lock = self._cloud.sites[self._site], self._cloud.claim(self._site)
        while not ceph.site_images and self._site not in self._cloud.glance.stores:
            if not lock.acquire():
                self._sim.sleep(1)
                continue
            if not ceph.site_images and self._site not in self._cloud.glance.record().stores:
                for _unused in range(0, self._cloud.site_image, site_lock.RENEW_EVERY):
                    self._sim.sleep(site_lock.RENEW_EVERY)
                    lock.acquire()
                ceph.site_images += 1
            lock.release()
        return 'clone'

    def _stock_way(self):
        """Do what Nova does: a request, and a download unless it is accepted or the image is there."""
        glance = self._cloud.glance.client(self._site)
        if self._site in glance.image(IMAGE).stores:
            return 'clone'
        try:
            glance.copy(IMAGE, [self._site])
        except api.BadRequest:
            pass
        except api.GlanceError:
            return 'download'
        began = self._sim.now
        while self._sim.now - began < STOCK_TIMEOUT:
            if self._site in glance.image(IMAGE).stores:
                return 'clone'
            self._sim.sleep(STOCK_INTERVAL)
        return 'download'
