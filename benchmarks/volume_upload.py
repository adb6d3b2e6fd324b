# SPDX-License-Identifier: Apache-2.0
"""An RBD volume uploaded to the RBD store of its own Ceph cluster: stock Cinder and ours.

One volume of random data, and a larger one with 5 % of data; each is uploaded by a stock Cinder and by ours
in turn, to a Glance with ``do_secure_hash`` off and to one with it on. The time is until the image is active
and the volume available. Bytes of Glance's HTTP are counted by a filter before it, those of Ceph by the OSD:
what clients have written and read until then. Beside it the time in which ``rbd import`` writes the same
data: no upload of data without holes can be faster, unless the cluster were so.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from typing import NamedTuple

from benchmarks import report
from lab import ceph
from lab import ceph_glance
from lab.cinder import server
from lab import glance as lab
from lab import poll

STOCK, OURS = 'cinder.volume.manager.VolumeManager', 'multistore_hooks.cinder.manager.VolumeManager'
STORE, KEY = 'dcn1', 'image_service:store_id'
MEBIBYTE = 1 << 20
PATIENCE = 3600
#: Of each so many MiB of the larger volume, one has data.
ONE_IN = 20


class Upload(NamedTuple):
    """What an upload cost."""

    seconds: float
    #: MiB.
    http: float
    written: float
    read: float


class Lab:
    """A cluster, a Glance in it, and a Cinder of stock or ours."""

    def __init__(self, folder, stack, secure_hash):
        self._folder = folder
        self.cluster = ceph.Ceph(os.path.join(folder, 'ceph'), pools=('images', 'volumes'), mgr=True)
        stack.enter_context(self.cluster)
        self.glance = ceph_glance.Glance(
            os.path.join(folder, 'glance-%s' % secure_hash),
            {'central': 'file', STORE: ceph_glance.store(self.cluster)}, default='central', faults=True,
            conf={'DEFAULT': {'do_secure_hash': str(secure_hash).lower()}})
        self.glance.start()
        stack.callback(self.glance.stop)
        self._bindings = str(ceph.bindings(os.path.join(folder, 'modules')))

    def cinder(self, manager):
        overrides = {
            'DEFAULT': {'volume_manager': manager},
            'directory': {'volume_driver': 'lab.cinder.rbd.RbdDriver', 'rbd_pool': 'volumes',
                          'rbd_ceph_conf': self.cluster.conf, 'rbd_user': self.cluster.user,
                          'volume_backend_name': 'directory'}}
        if manager == OURS:
            overrides['directory'].update(rbd_glance_store_name=STORE, rbd_glance_pool='images')
            overrides['multistore_hooks'] = {'auth_type': 'admin_token', 'endpoint': self.glance.url,
                                             'token': lab.ADMIN}
        return server.Cinder(self.glance.url, tempfile.mkdtemp(dir=self._folder), pythonpath=self._bindings,
                             overrides=overrides, cache_dir=os.path.join(self._folder, 'cache'))

    def uploads(self, manager, source, times):
        """Upload a volume with the data of a file; return what it cost, and the seconds of its import."""
        with self.cinder(manager) as cinder:
            cinder.create_type('near', {KEY: STORE})
            volume = cinder.create_volume(volume_type='near', timeout=PATIENCE,
                                          size=-(-os.path.getsize(source) // (MEBIBYTE << 10)))
            disk = 'volumes/volume-' + volume
            self.cluster.rbd('rm', disk)
            began = time.monotonic()
            self.cluster.rbd('import', source, disk)
            imported = time.monotonic() - began
            found = [self._upload(cinder, volume) for _number in range(times)]
            self.cluster.rbd('rm', disk)
        return found, imported

    def _upload(self, cinder, volume):
        self.glance.forget_requests()
        written, read = self._traffic()
        began = time.monotonic()
        image = cinder.upload(volume)
        cinder.wait_volume(volume, PATIENCE)
        poll.until('image', lambda: self.glance.image(image)['status'] == 'active', PATIENCE)
        seconds = time.monotonic() - began
        after = self._traffic()
        sent = sum(request['body'] for request in self.glance.requests('PUT', '/file$'))
        self.glance.wait_for_import(image)
        self.glance.request('DELETE', '/v2/images/' + image)
        return Upload(seconds, sent / MEBIBYTE, (after[0] - written) / MEBIBYTE, (after[1] - read) / MEBIBYTE)

    def _traffic(self):
        """Return the bytes that clients have written to the OSD, and read from it, since its start."""
        counters = json.loads(self.cluster.ceph('tell', 'osd.0', 'perf', 'dump'))['osd']
        return counters['op_in_bytes'], counters['op_out_bytes']


def make_files(folder, mib, sparse):
    """Write the data of the two volumes; return what they are called, and the paths."""
    random, holes = os.path.join(folder, 'random'), os.path.join(folder, 'sparse')
    with open(random, 'wb') as file:
        for _number in range(mib):
            file.write(os.urandom(MEBIBYTE))
    with open(holes, 'wb') as file:
        for number in range(0, sparse, ONE_IN):
            file.seek(number * MEBIBYTE)
            file.write(os.urandom(MEBIBYTE))
        file.truncate(sparse * MEBIBYTE)
    return (('%d MiB random' % mib, random, 0.25), ('%d MiB, 5 %% data' % sparse, holes, 0.1))


def main():
    """Run it."""
    given = report.arguments(__doc__.splitlines()[0], mib=1024, sparse=10240, times=1)
    results = report.Report('volume_upload', mib=given.mib, sparse=given.sparse, times=given.times)
    folder = tempfile.mkdtemp(prefix='volume-upload-')
    try:
        sources = make_files(folder, given.mib, given.sparse)
        for secure_hash in (False, True):
            with contextlib.ExitStack() as stack:
                site = Lab(folder, stack, secure_hash)
                for what, path, target in sources if not secure_hash else sources[:1]:
                    _measure(results, site, what, path, given.times, None if secure_hash else target,
                             ', do_secure_hash' if secure_hash else '')
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.finish(given.json)


def _measure(results, site, what, path, times, target, suffix):
    (stock, import_before), (ours, imported) = (
        site.uploads(manager, path, times) for manager in (STOCK, OURS))
    results.add('%s%s: rbd import of the same' % (what, suffix), 's', [import_before], [imported])
    for name, unit, field, wanted in (
            ('until it is active', 's', 'seconds', target), ("Glance's HTTP", 'MiB', 'http', 'ours: 0'),
            ('written to Ceph', 'MiB', 'written', None), ('read from Ceph', 'MiB', 'read', None)):
        results.add('%s%s: %s' % (what, suffix, name), unit, [getattr(one, field) for one in stock],
                    [getattr(one, field) for one in ours], wanted)


if __name__ == '__main__':
    main()
