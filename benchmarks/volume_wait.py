# SPDX-License-Identifier: Apache-2.0
"""What a cinder-volume does for others while many volumes of one backend wait for a copy.

A copy that Glance cannot go on with holds the volumes, in a Cinder of ours with enough threads for all of
them (``executor_thread_pool_size``). Meanwhile other volumes are attached and deleted, one after the other;
beside it the times of stock, in a Cinder that has nothing else to do. Then Glance goes on, and all volumes
have to become clones.
"""

import contextlib
import os
import shutil
import tempfile
import time
import uuid

from benchmarks import report
from benchmarks import volume_storm
from lab.cinder import client
from lab import held_file
from lab import poll

STORE = 'dcn1'
#: In Cinder's log, of each volume that its service begins to create.
BEGUN = ': being created as image'
CONNECTOR = {'host': 'compute', 'ip': '127.0.0.1', 'initiator': 'iqn.lab', 'multipath': False,
             'platform': 'x86_64', 'os_type': 'linux2', 'do_local_attach': False}


class Other:
    """What else a Cinder is asked for."""

    def __init__(self, cinder, times):
        self._cinder = cinder
        # A detachment would take a Nova, which Cinder asks: what is attached stays so.
        self._attached, self._deleted = (
            [cinder.create_volume(timeout=volume_storm.PATIENCE) for _number in range(times)]
            for _verb in ('attach', 'delete'))

    def measure(self):
        """Attach volumes, and delete others; return the seconds of each attachment and deletion."""
        return ([_timed(self._attach, volume) for volume in self._attached],
                [_timed(self._cinder.delete_volume, volume) for volume in self._deleted])

    def _attach(self, volume):
        self._cinder.request('POST', '/attachments', {'attachment': {
            'volume_uuid': volume, 'instance_uuid': str(uuid.uuid4()), 'connector': CONNECTOR}})


def _timed(function, *arguments):
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


def waiting(sites, volumes, times):
    """Return what ours does while volumes wait, how many of these wait still then, and are clones at last."""
    image = sites.glance.add_image(os.urandom(volume_storm.MEBIBYTE), ['central'], token=client.MEMBER)
    held = held_file.HeldFile(os.path.join(sites.glance.dir('central'), image))
    with sites.cinders(volume_storm.OURS, executor_thread_pool_size=str(2 * volumes + 64)) as (cinder,), \
            contextlib.ExitStack() as afterwards:
        afterwards.callback(lambda: held.held and held.release())
        other = Other(cinder, times)
        made = [cinder.request('POST', '/volumes', {'volume': {
            'name': 'waiting', 'size': 1, 'imageRef': image}})['volume']['id'] for _number in range(volumes)]
        held.serve_half()
        poll.until('beginning of all', lambda: cinder.log.count(BEGUN) >= volumes, volume_storm.PATIENCE)
        measured = other.measure()
        still = sum(cinder.volume(one)['status'] == 'creating' for one in made)
        held.finish()
        for one in made:
            cinder.wait_volume(one, volume_storm.PATIENCE)
        disks = [sites.clusters[0].rbd('info', 'volumes/volume-' + one) for one in made]
    return measured, still, sum('parent: ' in disk for disk in disks)


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], volumes=200, times=10)
    results = report.Report('volume_wait', volumes=given.volumes, times=given.times)
    folder = tempfile.mkdtemp(prefix='volume-wait-')
    try:
        with contextlib.ExitStack() as stack:
            sites = volume_storm.Sites(folder, stack, (STORE,))
            with sites.cinders(volume_storm.STOCK) as (cinder,):
                idle = Other(cinder, given.times).measure()
            ours, still, clones = waiting(sites, given.volumes, given.times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for number, what in enumerate(('an attachment', 'a deletion')):
        results.add('%s, %d volumes waiting (stock: idle)' % (what, given.volumes), 's', idle[number],
                    ours[number], 2.0)
    results.add('volumes that still wait then', '', [], [still], 'ours: all', 'more')
    results.add('clones in the end', '', [], [clones], 'ours: all', 'more')
    results.finish(given.json)


if __name__ == '__main__':
    main()
