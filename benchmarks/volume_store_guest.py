# SPDX-License-Identifier: Apache-2.0
"""Images on Cinder's own LVM and NFS drivers, in a kernel of its own: glance_store's own driver and ours.

iSCSI is LIO and open-iscsi on the loopback interface, NFS a server of NFS 4.2; the disks are in memory. User
Mode Linux has one processor, and a system call takes long on it: it is the ratio that
says something. Each driver runs in a process that loads Glance's configuration file as glance-api does, and
becomes root by glance-rootwrap; seconds are from the call of the driver to its end, with everything requested
of Cinder and os-brick. Of sparse data nine tenths are zeros.
"""

import contextlib
import json
import os
import re
import sys
import tempfile

from benchmarks import _volume_worker as workers
from benchmarks import report
from benchmarks import volume_store
from lab import kernel
from lab.volume_store import guest
from lab.volume_store.lab import ours
from lab.volume_store.lab import stock
from lab.volume_store.lab import unavailable_with

NAME = 'volume_store_guest'
ISCSI, NFS = 'iSCSI', 'NFS'
BACKENDS = {ISCSI: 'lvm', NFS: 'filer'}
INSIDE = 'VOLUME_STORE_GUEST'
SECONDS = 3600
PATIENCE = dict.fromkeys(('timeout', 'attach_timeout', 'io_timeout', 'state_timeout'), '600')
_RESULT = re.compile(r'^RESULT (.*)$', re.MULTILINE)


class Bench(volume_store.Bench):
    """The services in the guest, and a worker for each driver, as root."""

    def __init__(self, clean, given):
        self._given = given
        self.root = clean.enter_context(tempfile.TemporaryDirectory())
        stores = {}
        for device, backend in BACKENDS.items():
            stores['stock-' + device] = stock(backend + '-stock')
            stores['ours-' + device] = ours(backend + '-ours', **PATIENCE)
        lab = guest.GuestLab(self.root, stores, cinder_conf={'DEFAULT': {
            'rootwrap_config': os.path.join(self.root, 'cinder-rootwrap.conf')}})
        lab.user = ''
        self.lab = clean.enter_context(lab)
        self.workers = {driver: clean.enter_context(self.worker()) for driver in volume_store.DRIVERS}

    def worker(self):
        # The filters allow os-brick's socket in /tmp alone.
        return workers.Worker(os.path.join(self.lab.glance.root, 'etc', 'glance-api.conf'),
                              dict(self.lab.glance._environ(), TMPDIR='/tmp'))

    def store(self, driver, device):
        return '%s-%s' % (driver, device)


def first_uses(bench):
    """Start each driver's helper of os-brick, which is on nobody's clock."""
    for driver, worker in bench.workers.items():
        report.say('first use of ' + driver)
        came = worker.ask(do='add', store=bench.store(driver, ISCSI), kind='random', mib=1)
        worker.ask(do='delete', store=bench.store(driver, ISCSI), location=came['location'])


def small(results, bench, device, times):
    """What an upload costs apart from its bytes."""
    took, asked = ({driver: [] for driver in volume_store.DRIVERS} for _each in range(2))
    for number in range(times):
        for driver in bench.pair(number):
            bench.lab.proxy.clear()
            store = bench.store(driver, device)
            came = bench.workers[driver].ask(do='add', store=store, kind='random', mib=1)
            took[driver].append(came['seconds'])
            asked[driver].append(len(bench.lab.proxy.requests))
            bench.workers[driver].ask(do='delete', store=store, location=came['location'])
            report.say('%s 1 MiB %s: up %.2f s' % (device, driver, came['seconds']))
    results.add('%s, 1 MiB, upload' % device, 's', took['stock'], took['ours'], target='at most 1')
    results.add('%s, 1 MiB, upload: requests to Cinder' % device, '', asked['stock'], asked['ours'])


def inside(given):
    """Measure, in the guest; print the rows."""
    results = report.Report(NAME, mib=given.mib, times=given.times)
    with contextlib.ExitStack() as clean:
        bench = Bench(clean, given)
        first_uses(bench)
        for device in BACKENDS:
            small(results, bench, device, given.times)
            volume_store.images(results, bench, given.times, device, given.mib,
                                dict.fromkeys(('random', 'sparse'), volume_store.NEVER_SLOWER))
    print('RESULT ' + json.dumps(results.rows), flush=True)


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], mib=128, times=3)
    if os.environ.get(INSIDE):
        inside(given)
        return
    missing = kernel.unavailable() or unavailable_with([])
    if missing:
        sys.exit('%s: %s' % (NAME, missing))
    module = 'benchmarks.%s --mib %d --times %d' % (NAME, given.mib, given.times)
    script = guest.script_of(module, iscsi='8G', nfs='8G', thin=True, udev=True, environ={INSIDE: '1'})
    status, output = kernel.Kernel('8G').run(script, SECONDS, show=True)
    found = _RESULT.search(output)
    if status or not found:
        sys.exit('%s: the guest ended with %s' % (NAME, status))
    results = report.Report(NAME, mib=given.mib, times=given.times, kernel='User Mode Linux')
    results.rows = json.loads(found.group(1))
    results.finish(given.json)


if __name__ == '__main__':
    main()
