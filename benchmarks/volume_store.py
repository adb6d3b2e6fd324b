# SPDX-License-Identifier: Apache-2.0
"""Images on Cinder volumes: glance_store's own driver and ours, on the same Cinder, volumes and Glance.

Devices: a loop device in memory ('local'); the same behind a delay, with the bandwidth and the latency of a
network of one gigabit (benchmarks/_slow_disk.py: both drivers' bytes pass the same line); RBD on real Ceph,
by os-brick in user space. Each driver runs in a process that loads Glance's configuration file as glance-
api does; seconds are from the call of the driver to its end, with everything asked of Cinder and os-brick,
and CPU seconds are that process's. Of sparse data nine tenths are zeros. Ranges, and 'through glance-api',
are requests to the real glance-api, whose HTTP server is gunicorn here. Hash speed is what md5 and sha512,
which Glance wants of every image, reach on this machine with nothing else to do: no upload is faster than
the faster of its two rows. A download is the first one after the upload; another follows at once.
"""

from concurrent import futures
import contextlib
import http.client
import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid

from benchmarks import _slow_disk
from benchmarks import _volume_worker as workers
from benchmarks import report
from lab.glance import ADMIN
from lab.volume_store.lab import Lab
from lab.volume_store.lab import ours
from lab.volume_store.lab import stock
from lab.volume_store.lab import unavailable_with

DRIVERS = ('stock', 'ours')
MIB = workers.MIB
LOCAL, NETWORK, RBD = 'local', 'network', 'rbd'
SMALL = 1
NEVER_SLOWER = 'at least 1'
RANGE = 64 << 10
PIECE = 4 << 20


class Bench:
    """The services, a worker for each driver, and where the volumes are."""

    def __init__(self, clean, given):
        self._given = given
        self.root = tempfile.mkdtemp(prefix='multistore-bench-')
        clean.callback(shutil.rmtree, self.root, ignore_errors=True)
        idle = {'attachment_idle_timeout': '10', 'state_timeout': '300', 'attach_timeout': '180',
                'io_timeout': '300', 'root_helper': ''}
        stores = {'stock': stock('loop'), 'ours': ours('loop', **idle)}
        if given.rbd_mib:
            stores.update({'stock-rbd': stock('rbd'), 'ours-rbd': ours('rbd', **idle)})
        self.lab = clean.enter_context(Lab(
            self.root, stores, default='ours',
            cinder_conf={'loop': {'lab_losetup': '--direct-io=on'}}))
        # In memory: what is measured is the driver, not this machine's disk.
        self.folder = self.lab.cinder.share('loop')
        os.makedirs(self.folder, exist_ok=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=12g', 'lab', self.folder], check=True)
        clean.callback(subprocess.run, ['umount', '--lazy', self.folder], check=False)
        self.workers = {driver: clean.enter_context(self.worker()) for driver in DRIVERS}

    def worker(self):
        """Return a new worker, not yet started."""
        return workers.Worker(os.path.join(self.lab.glance.root, 'etc', 'glance-api.conf'),
                              self.lab.glance._environ())

    def store(self, driver, device):
        return driver + '-rbd' if device == RBD else driver

    def pair(self, number):
        """Return the drivers, in an order that changes from time to time."""
        return DRIVERS if number % 2 == 0 else DRIVERS[::-1]


def mean_rate(mib, samples):
    """Return MB/s of samples of so many MiB."""
    return [mib * MIB / 1e6 / one['seconds'] for one in samples]


READS = {'down': 'download', 'again': 'download again'}


def one_image(bench, driver, device, kind, mib, check):
    """Upload, download random data twice, delete; return what each took.

    :param check: compare what is read with what was written, off the clock.
    """
    worker, store = bench.workers[driver], bench.store(driver, device)
    came = {'up': worker.ask(do='add', store=store, kind=kind, mib=mib)}
    location = came['up']['location']
    for name in READS if kind == 'random' else ():
        came[name] = worker.ask(do='get', store=store, location=location)
    if check:
        worker.ask(do='get', store=store, location=location, multihash=came['up']['multihash'])
    worker.ask(do='delete', store=store, location=location)
    report.say('%s %s %s: %s' % (device, kind, driver, ', '.join(
        '%s %.2f s, CPU %.2f s' % (name, one['seconds'], one['cpu']) for name, one in came.items())))
    return came


def images(results, bench, times, device, mib, targets):
    """Images of random and of sparse data, in turn; all are deleted again."""
    for kind in ('random', 'sparse'):
        took = {driver: [] for driver in DRIVERS}
        for number in range(times):
            for driver in bench.pair(number):
                took[driver].append(one_image(bench, driver, device, kind, mib, not number))
        for name in took['ours'][0]:
            samples = [[one[name] for one in took[driver]] for driver in DRIVERS]
            title = '%s, %s data, %s' % (device, kind, READS.get(name, 'upload'))
            results.add(title, 'MB/s', *(mean_rate(mib, some) for some in samples),
                        target=targets[kind] if name == 'up' else NEVER_SLOWER, better='more')
            results.add(title, 'CPU s/GiB', *([one['cpu'] * 1024 / mib for one in some]
                                              for some in samples))


def small(results, bench, given):
    """What an upload costs apart from its bytes."""
    took, used, asked = ({driver: [] for driver in DRIVERS} for _each in range(3))
    for number in range(given.times):
        for driver in bench.pair(number):
            bench.lab.proxy.clear()
            came = bench.workers[driver].ask(do='add', store=driver, kind='random', mib=SMALL)
            took[driver].append(came['seconds'])
            used[driver].append(came['cpu'])
            asked[driver].append(len(bench.lab.proxy.requests))
            bench.workers[driver].ask(do='delete', store=driver, location=came['location'])
    results.add('local, 1 MiB, upload', 's', took['stock'], took['ours'], target='at most 1')
    results.add('local, 1 MiB, upload', 'CPU s', used['stock'], used['ours'])
    results.add('local, 1 MiB, upload: requests to Cinder', '', asked['stock'], asked['ours'])


def ceiling(results, bench, given):
    """How fast the machine hashes, with nothing else to do."""
    for threads, what in ((1, 'hash speed, md5 and sha512 in one thread'),
                          (2, 'hash speed, md5 and sha512 in a thread each')):
        found = [bench.workers['ours'].ask(do='hash', mib=given.mib, threads=threads)['speed']
                 for _each in range(given.times)]
        results.add(what, 'MB/s', found if threads == 1 else [], found if threads > 1 else [], better='more')


def line(results, bench, given):
    """What the network-like device does with writes past every cache: is it what it is said to be?"""
    path = os.path.join(bench.folder, 'line')
    with mmap.mmap(-1, PIECE) as data:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
        try:
            os.ftruncate(fd, 16 * PIECE)
            begun = time.monotonic()
            with futures.ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda number: os.pwrite(fd, data, number * PIECE), range(16)))
            rate = 16 * PIECE / 1e6 / (time.monotonic() - begun)
            begun = time.monotonic()
            for number in range(16):
                os.pwrite(fd, memoryview(data)[:4096], number * 4096)
            way = (time.monotonic() - begun) / 16 * 1000
        finally:
            os.close(fd)
            os.unlink(path)
    results.add('network, four writes of 4 MiB at a time', 'MB/s', [], [rate], better='more')
    results.add('network, one write of 4 KiB', 'ms', [], [way])


def memory(results, bench, given):
    """The peak of a process that uploads a large image, over that of one that uploads a small one."""
    peaks = []
    for mib in (given.mib, given.large_mib):
        with bench.worker() as worker:
            came = worker.ask(do='add', store='ours', kind='sparse', mib=mib)
            read = worker.ask(do='get', store='ours', location=came['location'])
            worker.ask(do='delete', store='ours', location=came['location'])
            peaks.append((came['peak_mib'], read['peak_mib']))
            report.say('%d MiB: peak %.0f MiB of memory at the upload, %.0f at the download' % (
                mib, *peaks[-1]))
    with bench.worker() as worker:
        came = worker.ask(do='add', store='stock', kind='sparse', mib=given.mib)
        worker.ask(do='delete', store='stock', location=came['location'])
    results.add('memory at its peak, upload of %d MiB' % given.mib, 'MiB', [came['peak_mib']],
                [peaks[0][0]])
    results.add('the same, more for %d MiB' % given.large_mib, 'MiB', [], [peaks[1][0] - peaks[0][0]],
                target='ours: at most 64')
    results.add('the same, download', 'MiB', [], [peaks[1][1] - peaks[0][1]], target='ours: at most 64')


def ranges(results, bench, given):
    """Range requests to glance-api, one after the other: seconds, and attachments that Cinder made."""
    took, attached = {}, {}
    for driver, number in (('stock', given.stock_ranges), ('ours', given.ranges)):
        image = through_glance(bench, driver, 'random', 64)[1]
        bench.lab.proxy.clear()
        begun = time.monotonic()
        for at in range(number):
            first = at * 7919 * 512 % (63 * MIB)
            answer = bench.lab.glance.request('GET', '/v2/images/%s/file' % image, headers={
                'Range': 'bytes=%d-%d' % (first, first + RANGE - 1)}, timeout=300)
            if answer.status != 206 or len(answer.body) != RANGE:
                raise RuntimeError('%s: a range was answered with %s' % (driver, answer))
        took[driver] = [(time.monotonic() - begun) / number]
        attached[driver] = [bench.lab.proxy.count('POST', '/attachments$') / number * 100]
        bench.lab.glance.request('DELETE', '/v2/images/' + image, timeout=300)
    results.add('a request of a range of 64 KiB', 's', took['stock'], took['ours'])
    results.add('attachments for 100 such requests', '', attached['stock'], attached['ours'],
                target='ours: 1')


def through_glance(bench, driver, kind, mib):
    """Upload by HTTP, and return the seconds, the image, and CPU seconds of glance-api."""
    glance = bench.lab.glance
    image = glance.create_image(name='bench')['id']
    size = mib * MIB
    data = memoryview(workers.period(kind))
    cpu, begun = _cpu(glance.processes()), time.monotonic()
    connection = http.client.HTTPConnection('127.0.0.1', glance.port, timeout=600)
    connection.putrequest('PUT', '/v2/images/%s/file' % image)
    for name, value in (('x-auth-token', ADMIN), ('x-image-meta-store', driver),
                        ('content-type', 'application/octet-stream'), ('content-length', str(size))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, size, PIECE):
        place = at % len(data)
        piece = data[place:place + min(PIECE, size - at)]
        connection.sock.sendall(piece)
    answer = connection.getresponse()
    text = answer.read()
    took = time.monotonic() - begun
    connection.close()
    if answer.status != 204:
        raise RuntimeError('%s: %d %s' % (driver, answer.status, text))
    return took, image, _cpu(glance.processes()) - cpu


def whole_way(results, bench, given):
    """Uploads by HTTP to the real glance-api."""
    rates = {driver: [] for driver in DRIVERS}
    used = {driver: [] for driver in DRIVERS}
    for number in range(given.times):
        for driver in bench.pair(number):
            took, image, cpu = through_glance(bench, driver, 'random', given.mib // 64 * 64)
            rates[driver].append(given.mib // 64 * 64 * MIB / 1e6 / took)
            used[driver].append(cpu * 1024 / given.mib)
            bench.lab.glance.request('DELETE', '/v2/images/' + image, timeout=300)
    results.add('local, %d MiB of random data, through glance-api' % given.mib, 'MB/s',
                rates['stock'], rates['ours'], target=NEVER_SLOWER, better='more')
    results.add('local, %d MiB of random data, through glance-api' % given.mib, 'CPU s/GiB',
                used['stock'], used['ours'])


def _cpu(pids):
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError), open('/proc/%d/stat' % pid, encoding='ascii') as stream:
            fields = stream.read().rpartition(')')[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def main():
    """Run it."""
    given = report.arguments(
        __doc__.splitlines()[0], mib=1024, times=3, large_mib=10240, rbd_mib=256, ranges=100,
        stock_ranges=10, mbps=118, ms=1, network_times=2, only='')
    missing = unavailable_with(['loop'] + (['rbd'] if given.rbd_mib else []))
    if missing:
        sys.exit('volume_store: ' + missing)
    results = report.Report('volume_store', mib=given.mib, rbd_mib=given.rbd_mib, times=given.times,
                            network='%d MB/s, %d ms' % (given.mbps, given.ms), id=uuid.uuid4().hex[:8])
    wanted = [name for name in given.only.split(',') if name]

    def asked(name):
        return not wanted or name in wanted

    with contextlib.ExitStack() as clean:
        bench = Bench(clean, given)
        if asked('ceiling'):
            ceiling(results, bench, given)
        if asked('local'):
            small(results, bench, given)
            images(results, bench, given.times, LOCAL, given.mib, {'random': 1.5, 'sparse': 1.5})
        if asked('network'):
            with _slow_disk.SlowDisk(bench.folder, given.mbps, given.ms):
                line(results, bench, given)
                images(results, bench, given.network_times, NETWORK, given.mib,
                       {'random': NEVER_SLOWER, 'sparse': 4})
                time.sleep(1)
        if asked('rbd') and given.rbd_mib:
            images(results, bench, given.times, RBD, given.rbd_mib,
                   {'random': NEVER_SLOWER, 'sparse': NEVER_SLOWER})
        if asked('glance'):
            whole_way(results, bench, given)
        if asked('ranges'):
            ranges(results, bench, given)
        if asked('memory'):
            memory(results, bench, given)
        results.finish(given.json)


if __name__ == '__main__':
    main()
