# SPDX-License-Identifier: Apache-2.0
"""Two sites with a real Ceph cluster each, a real Glance, and compute hosts that boot one image at once."""

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
import typing

from lab import ceph
from lab import ceph_glance
from lab.glance import ADMIN
from lab.nova import compute_hosts
from tests.functional import nova_runs

STOCK, OURS = nova_runs.STOCK, nova_runs.OURS
MEMBER = 'user:project:member,reader'
STORES = ('dcn1', 'dcn10')
# Nova's own defaults.
POLL_SECONDS, TIMEOUT_SECONDS = 15, 600
# The lines with which a compute begins to wait for a copy, and ends it.
BEGINS = ('is not in the store', 'Asking glance to copy')
ENDS = ('is in the store', 'copied to rbd store')
# What the log lets one measure a compute's wait by, at the least.
SHORTEST = 0.5


class Storm(typing.NamedTuple):
    """What came of boots at the same moment."""

    copies: int         # that Glance made
    clones: int
    downloads: int      # of the whole image, by computes
    failures: int
    mib: float          # copied by Glance, downloaded by computes, and imported by them into Ceph
    requests: int       # of computes to Glance
    rate: float         # of those, a second, of one site's computes while they wait for its copy
    seconds: float      # from the first start to the last boot
    processor: float    # seconds of processor time of the computes, with qemu-img


class Sites:
    """The services; a context manager.

    :param number: of sites.
    :param disks: MiB of all disks that hosts will have at a time, at the most.
    :param glance: further arguments of the lab's Glance.
    """

    def __init__(self, number: int, disks: int, **glance: typing.Any) -> None:
        # No more than that: a cluster writes where it has not written before, as long as it can.
        size = max(8 << 30, int(1.5 * (disks << 20) / number))
        # Stock hosts keep each disk as a file besides.
        self._need_space(number * size + (disks << 20))
        self.root = tempfile.mkdtemp(prefix='multistore-bench-')
        self._clean = contextlib.ExitStack()
        self._clean.callback(shutil.rmtree, self.root, ignore_errors=True)
        self.stores = STORES[:number]
        self.clusters = [ceph.Ceph(os.path.join(self.root, name), size=size) for name in self.stores]
        self._fleets: typing.Dict[str, typing.List[compute_hosts.Host]] = {STOCK: [], OURS: []}
        self._glance_options = glance

    @staticmethod
    def _need_space(needed: int) -> None:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < needed:
            sys.exit('%s has %d GiB free, and %d GiB are needed: set TMPDIR, or boot fewer or smaller '
                     'images' % (tempfile.gettempdir(), free >> 30, needed >> 30))

    def __enter__(self) -> 'Sites':
        try:
            ceph.start_all(self.clusters)
            for cluster in self.clusters:
                self._clean.callback(cluster.stop)
            stores = {'central': 'file'}
            if self._glance_options.get('multistore', True):
                stores.update(zip(self.stores, map(ceph_glance.store, self.clusters)))
            self.glance = self._clean.enter_context(ceph_glance.Glance(
                os.path.join(self.root, 'glance'), stores, faults=True, **self._glance_options))
        except BaseException:
            self._clean.close()
            raise
        return self

    def __exit__(self, *_error: typing.Any) -> None:
        for driver in self._fleets:
            self.dismiss(driver)
        self._clean.close()

    def image(self, mib: int) -> str:
        """Make an image that is in no site's store."""
        path = os.path.join(self.root, 'image')
        with open(path, 'wb') as stream:
            for _ in range(mib):
                stream.write(os.urandom(1 << 20))
        image = self.glance.create_image(visibility='public')['id']
        with open(path, 'rb') as stream:
            answer = self.glance.upload(image, stream)
        assert answer.status == 204, answer
        os.unlink(path)
        return str(image)

    def credentials(self) -> typing.Dict[str, str]:
        """Return the options of hosts that may have Glance make copies."""
        return {'auth_type': 'admin_token', 'endpoint': self.glance.url, 'token': ADMIN}

    def hosts(self, driver: str, number: int) -> typing.List[compute_hosts.Host]:
        """Return so many running hosts, the sites in turn."""
        fleet = self._fleets[driver]
        while len(fleet) < number:
            site = len(fleet) % len(self.stores)
            fleet.append(compute_hosts.Host(compute_hosts.document(
                self.clusters[site], self.glance.url, self.stores[site], poll_seconds=POLL_SECONDS,
                timeout_seconds=TIMEOUT_SECONDS, compute_driver=driver, nova_root=nova_runs.root(),
                conf={'multistore_hooks': self.credentials()} if driver == OURS else {})))
            if len(fleet) % 4 == 0:     # not all at once: they start faster
                fleet[-1].ready()
        for host in fleet:
            host.ready()
        return fleet[:number]

    def dismiss(self, driver: str) -> None:
        """End the hosts of a driver."""
        while self._fleets[driver]:
            self._fleets[driver].pop().stop()

    def copies_alone(self, mib: int) -> float:
        """Return the seconds of a copy to one site after another, while nothing else is going on."""
        image = self.image(mib)
        for number, store in enumerate(self.stores):
            answer = self.glance.import_copy(image, [store], wait=False)
            assert answer.status == 202, answer
            # By the database, so that Glance has nothing else to do.
            while self.glance.copies(image)[number].status not in ('success', 'failure'):
                time.sleep(0.02)
            self.glance.wait_for_import(image)
        copies = self.glance.copies(image)
        assert {copy.status for copy in copies} == {'success'}, copies
        self.forget(image)
        return copies[-1].changed - copies[0].asked

    def storm(self, driver: str, number: int, mib: int, token: str = '', warm: bool = False,
              sites: typing.Optional[int] = None) -> Storm:
        """Boot an image on so many hosts at the same moment, and remove all of it.

        :param warm: it is in every site's store already.
        :param sites: of the hosts, only those of the first so many sites boot; None: all.
        """
        hosts = [host for place, host in enumerate(self.hosts(driver, number))
                 if sites is None or place % len(self.stores) < sites]
        image = self.image(mib)
        if warm:
            self.glance.import_copy(image, self.stores)
        # Stock code asks for the copy with the user's token, and Glance's policy wants an administrator.
        token = token or (MEMBER if driver == OURS else ADMIN)
        self.glance.forget_requests()
        before = processor_seconds(hosts)
        ran = compute_hosts.run_all(hosts, [[{
            'operation': 'boot', 'image_ref': image, 'name': 'server', 'token': token,
            'root_gb': 0}]] * len(hosts))
        result = self.look(ran, image, mib)._replace(processor=processor_seconds(hosts) - before)
        compute_hosts.run_all(hosts, [[{'operation': 'delete', 'name': 'server'}]] * len(hosts))
        self.forget(image)
        return result

    def copies(self, image: str) -> int:
        """Return how many copies of an image Glance has made."""
        return len([copy for copy in self.glance.copies(image) if copy.status == 'success'])

    def look(self, ran: typing.List[compute_hosts.Result], image: str, mib: int) -> Storm:
        """Count what happened."""
        booted = [one['results'][0] for one in ran]
        outcomes = [one['outcome'] for one in booted]
        copies = self.copies(image)
        downloads = len([one for one in self.glance.requests('GET', image + '/file$')
                         if one['status'] == 200])
        return Storm(
            copies=copies, clones=outcomes.count('clone'), downloads=downloads,
            failures=len([one for one in booted if one['error']]),
            mib=mib * (copies + downloads + outcomes.count('flat')),
            requests=sum(len(one['requests']) for one in ran),
            rate=max(self._rate(ran[site::len(self.stores)]) for site in range(len(self.stores))),
            seconds=max(one['ended'] for one in booted) - min(one['started'] for one in booted),
            processor=0)

    @staticmethod
    def _rate(ran: typing.List[compute_hosts.Result]) -> float:
        """Return a site's requests a second, of each compute from when it begins to wait."""
        waits, requests = [], 0
        for one in ran:
            begins = [line['at'] for line in one['log'] if any(text in line['text'] for text in BEGINS)]
            ends = [line['at'] for line in one['log'] if any(text in line['text'] for text in ENDS)]
            if begins and ends:
                waits.append((begins[0], ends[-1]))
                looks = len([1 for request in one['requests'] if begins[0] < request['at'] < ends[-1]])
                requests += max(0, looks - 1)       # the last one found it there
        if not waits:
            return 0.0
        return requests / max(SHORTEST, max(end for _, end in waits) - min(begin for begin, _ in waits))

    def forget(self, image: str) -> None:
        """Delete an image and what hosts keep of it."""
        self.glance.request('DELETE', '/v2/images/' + image)
        for fleet in self._fleets.values():
            for host in fleet:
                for path in host.instances.glob('_base/*'):
                    path.unlink()


def processor_seconds(hosts: typing.Iterable[compute_hosts.Host]) -> float:
    """Return the processor time that hosts have used so far, with that of the programs they waited for."""
    ticks = 0
    for host in hosts:
        with open('/proc/%d/stat' % host.pid, encoding='utf-8', errors='replace') as stream:
            ticks += sum(int(field) for field in stream.read().rpartition(')')[2].split()[11:15])
    return ticks / os.sysconf('SC_CLK_TCK')


def median(storms: typing.Sequence[Storm], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(one, name) for one in storms)
