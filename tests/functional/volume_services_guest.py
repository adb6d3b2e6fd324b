# SPDX-License-Identifier: Apache-2.0
"""The driver on Cinder's own LVM and NFS drivers: a real Glance that is not root, a real Cinder, os-brick.

Runs in the guest of lab.kernel alone, see test_volume_kernel.
"""

import hashlib
import json
import os
import pwd
import subprocess
import uuid

from lab import processes
from lab.volume_store import case
from lab.volume_store import guest
from lab.volume_store.lab import FAULTY as FAULTY_DRIVER
from lab.volume_store.lab import FAULTY_STOCK as FAULTY_STOCK_DRIVER
from lab.volume_store.lab import ours
from lab.volume_store.lab import stock
from tests.functional import test_rootwrap
from tests.functional import test_volume_store
from tests.functional import test_volume_store_faults
from tests.functional import test_volume_store_kills

MIB, GIB = case.MIB, case.GIB
#: A guest under load is slow.
PATIENCE = {'timeout': '600', 'attach_timeout': '600', 'io_timeout': '600', 'state_timeout': '600'}
# What a lost reservation costs is a part of attach_timeout.
FAULTY = dict(PATIENCE, driver=FAULTY_DRIVER, request_retries='1', attachment_idle_timeout='0',
              attach_timeout='120')
BACKENDS = {'gold': 'lvm', 'paper': 'filer'}
#: Which of how many parts of the cases are run, as VOLUME_KERNEL=2/5 says.
PART, PARTS = (int(number) for number in os.environ.get('VOLUME_KERNEL_PART', '1/1').split('/'))
PATCH = {'Content-Type': 'application/openstack-images-v2.1-json-patch'}


def make(folder):
    """Return the lab with both backends."""
    stores = {'cheap': 'file'}
    for name, backend in BACKENDS.items():
        stores[name] = ours('%s-%s' % (backend, name), **PATIENCE)
        stores['patient-' + name] = ours(backend + '-patient', **dict(
            PATIENCE, attachment_idle_timeout='86400'))
        stores['always-' + name] = ours(backend + '-always', extend_attached='always', **PATIENCE)
        stores['never-' + name] = ours(backend + '-never', extend_attached='never', **PATIENCE)
        stores['faulty-' + name] = ours(backend + '-faulty', **FAULTY)
    clones = {name: {'image_upload_use_cinder_backend': 'true'} for name in BACKENDS.values()}
    return guest.GuestLab(
        folder, stores, default='cheap', cache_dir=case.CACHE, faults=True,
        conf={'DEFAULT': {'http_retries': '1'}},
        cinder_conf=dict(clones, DEFAULT={
            # Without it Glance refuses the location of a clone that Cinder has made by itself.
            'volume_manager': 'multistore_hooks.cinder.manager.VolumeManager',
            'rootwrap_config': os.path.join(folder, 'cinder-rootwrap.conf')}))


def make_stock(folder):
    """Return the lab with glance_store's own driver on both backends, and a Glance that is root."""
    stores = {'cheap': 'file'}
    for name, backend in BACKENDS.items():
        stores['stock-' + name] = stock(backend + '-faulty-stock', driver=FAULTY_STOCK_DRIVER,
                                        cinder_http_retries='1')
    lab = guest.GuestLab(folder, stores, default='cheap', cache_dir=case.CACHE, faults=True,
                         conf={'DEFAULT': {'http_retries': '1'}}, cinder_conf={'DEFAULT': {
                             'rootwrap_config': os.path.join(folder, 'cinder-rootwrap.conf')}})
    lab.user = ''
    return lab


class GuestCase(test_volume_store.FlowCase):
    """A test in the lab of the guest."""

    def started_lab(self):
        return case.running('guest', make)


class Iscsi:
    """Logical volumes, by LIO and open-iscsi over the loopback interface."""

    store = 'gold'


class Nfs:
    """Files of a server of NFS 4.2."""

    store = 'paper'


class Short(GuestCase):
    """An image's life, once. What takes the time is Cinder's export: each attachment costs seconds here.

    :cvar body: how the data are sent
    """

    def test_an_image_is_uploaded_read_and_deleted(self):
        data = test_volume_store.picture()
        image = self.upload(self.store, self.body(data))
        volume = self.volume_of(image)
        self.assertNothingLeft()
        self.assertEqual(data, self.lab.bytes_of(volume, len(data)))
        shown = self.cinder.volumes()[volume]
        self.assertEqual(('available', str(len(data))), (shown['status'], shown['metadata']['image_size']))
        self.assertEqual(data, self.glance.download(image))
        self.settle_attachments()
        self.forget(image)
        self.assertNothingLeft()
        self.check_user()

    def check_user(self):
        """Glance's processes but for the first belong to a user who is not root."""
        owners = {os.stat('/proc/%d' % pid).st_uid for pid in processes.members(self.glance.pid)
                  if pid != self.glance.pid}
        self.assertIn(pwd.getpwnam(guest.USER).pw_uid, owners)


class IscsiShortTest(Iscsi, Short):
    """On a logical volume, of a size that is not known before."""

    body = case.Chunked


class NfsShortTest(Nfs, Short):
    """On a share."""

    body = bytes


class AttacksTest(GuestCase):
    """What glance-api's user gets by sudo's rule and the filters, while it has a disk and a share."""

    def test_every_attack_is_refused(self):
        data = test_volume_store.picture()
        disk, file = (self.upload('patient-' + store, data) for store in ('gold', 'paper'))
        for image in (disk, file):
            self.assertEqual(data, self.glance.download(image))
        path = '/dev/' + next(name for name in guest.listed('/sys/block') if name.startswith('sd'))
        mounted = next(line.split()[1] for line in open('/proc/mounts', encoding='utf-8')
                       if self.lab.mount_base in line)
        volume = os.path.join(mounted, 'volume-' + self.volume_of(file, 'patient-paper'))
        watched = {one: os.stat(one).st_uid for one in ('/etc/shadow', path, volume)}
        attacks = dict(test_rootwrap.ATTACKS, **{
            'the disk as a script of the attacker has it': ['chown', '0', path],
            'the volume on the share': test_rootwrap.CHOWN + [volume],
            'unmounting the share that is there': ['umount', mounted]})
        for what, command in attacks.items():
            code, said = self.as_user(command)
            self.assertIn(code, test_rootwrap.REFUSED, (what, said))
        self.assertEqual(watched, {one: os.stat(one).st_uid for one in watched})
        self.assertTrue(os.path.ismount(mounted))
        # The one thing that is allowed, and what the driver does.
        uid = pwd.getpwnam(guest.USER).pw_uid
        self.assertEqual((0, ''), self.as_user(['chown', '--no-dereference', str(uid), path]))
        self.assertEqual(uid, os.stat(path).st_uid)

    def as_user(self, command):
        """Run a command as glance-api's user would as root; return its status, and what it printed."""
        filled = [word.format(etc=guest.ETC, folder=self.lab.inside('tmp'), link='link')
                  for word in command]
        done = subprocess.run(
            ['/usr/bin/sudo', '-u', guest.USER, '/usr/bin/sudo', '--non-interactive',
             guest.script('glance-rootwrap'), guest.ETC + '/rootwrap.conf'] + filled,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            universal_newlines=True)
        return done.returncode, done.stdout


class IscsiTest(Iscsi, test_volume_store.Flows, GuestCase):
    """All flows."""


class NfsTest(Nfs, test_volume_store.Flows, GuestCase):
    """All flows."""

    def test_volumes_that_cinder_uploads_by_cloning_are_images(self):
        # Cinder's drivers of the NFS family clone no volume that is being uploaded: it sends the bytes.
        data = test_volume_store.picture()
        image = self.uploaded_by_cinder(BACKENDS['paper'], data)
        self.assertEqual([204], [one['status'] for one in self.glance.requests('PUT', '/file$')])
        self.assertEqual(self.store, self.glance.image(image)['stores'])
        self.assertEqual(data, self.range(image, 0, len(data) - 1))
        self.assertEqual(GIB, self.glance.image(image)['size'])


class Grown:
    """Some bytes, a GiB of zeros, some bytes, which a client sends without saying how many they are.

    Not in memory: a process of the guest cannot have much more than 200 MiB, each page of which is a mapping
    of the host.

    :ivar size: in bytes
    """

    size = GIB + 2 * MIB + 5

    def __init__(self):
        self._parts = [os.urandom(MIB)] + [bytes(MIB)] * (GIB // MIB) + [os.urandom(MIB + 5)]
        self._at = 0
        found = hashlib.sha512()
        for part in self._parts:
            found.update(part)
        self.digest = found.hexdigest()

    def read(self, _size):
        """Return the next bytes, as many as they are."""
        self._at += 1
        return self._parts[self._at - 1] if self._at <= len(self._parts) else b''


class Growth(GuestCase):
    """More than a GiB whose size nobody has said.

    :cvar seen: whether this host sees that an attached volume has grown, where that is tried
    """

    seen = False

    def test_an_image_of_unknown_size_outgrows_its_volume(self):
        for kind in ('', 'always-', 'never-'):
            data = Grown()
            image = self.upload(kind + self.store, data)
            self.assertEqual((data.size, data.digest), self.digest(image))
            volume = self.cinder.volumes()[self.volume_of(image, kind + self.store)]
            self.assertEqual((2, str(data.size)), (volume['size'], volume['metadata']['image_size']))
            self.forget(image)
        self.assertNothingLeft()
        in_vain = [what for what in ('but this host does not see it', 'while it is attached')
                   if what in self.said()]
        self.assertEqual(self.seen, not in_vain, self.said()[-6000:])


class IscsiGrowthTest(Iscsi, Growth):
    """On a logical volume, where there is neither lsscsi nor udev."""


class IscsiUdevGrowthTest(Iscsi, Growth):
    """On a logical volume, where there are both."""

    seen = True


class NfsGrowthTest(Nfs, Growth):
    """On a share, whose files are always detached for that: nothing is tried in vain."""

    seen = True


class Matrix(test_volume_store_faults.Matrix, GuestCase):
    """A part of the cases."""

    part, parts = PART, PARTS


class Kills(test_volume_store_kills.Kills, Matrix):
    """Glance is killed after each step."""

    moments = ('after',)

    def use_again(self):
        """Name a volume that is not there: that costs no attachment, and the store cleans up."""
        image = self.glance.create_image()['id']
        response = self.glance.request(
            'PATCH', '/v2/images/' + image, headers=PATCH, data=json.dumps([{
                'op': 'add', 'path': '/locations/-', 'value': {
                    'url': 'cinder://%s/%s' % (self.store, uuid.uuid4()),
                    'metadata': {'store': self.store}}}]).encode())
        self.assertEqual(400, response.status, response)
        self.forget(image)


class IscsiKillsTest(Kills):
    """On a logical volume."""

    store = 'faulty-gold'


class NfsKillsTest(Kills):
    """On a share."""

    store = 'faulty-paper'


class IscsiFaultsTest(test_volume_store_faults.Ours, Matrix):
    """Every call fails in turn, on a logical volume."""

    store = 'faulty-gold'


class NfsFaultsTest(test_volume_store_faults.Ours, Matrix):
    """Every call fails in turn, on a share."""

    store = 'faulty-paper'


class Stock(Matrix):
    """What glance_store's own driver leaves, and where it says that all is well."""

    stock = True

    def started_lab(self):
        return case.running('stock', make_stock)

    def test_uploads(self):
        self.addCleanup(self.sweep)
        self.run_uploads()
        self.report('upload')

    def test_downloads(self):
        self.addCleanup(self.sweep)
        self.run_downloads()
        self.report('download')

    def test_deletions(self):
        self.addCleanup(self.sweep)
        self.run_deletions()
        self.report('deletion')


class IscsiStockTest(Stock):
    """On a logical volume."""

    store = 'stock-gold'


class NfsStockTest(Stock):
    """On a share."""

    store = 'stock-paper'
