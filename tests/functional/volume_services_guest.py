# SPDX-License-Identifier: Apache-2.0
"""The driver on Cinder's own LVM and NFS drivers: a real Glance that is not root, a real Cinder, os-brick.

Runs in the guest of lab.kernel alone, see test_volume_kernel.
"""

import hashlib
import os
import pwd

from lab import processes
from lab.volume_store import case
from lab.volume_store import guest
from lab.volume_store.lab import FAULTY as FAULTY_DRIVER
from lab.volume_store.lab import ours
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
            'rootwrap_config': os.path.join(folder, 'cinder-rootwrap.conf')}))


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


class IscsiTest(Iscsi, test_volume_store.Flows, GuestCase):
    """All flows."""


class NfsTest(Nfs, test_volume_store.Flows, GuestCase):
    """All flows."""


class Growth(GuestCase):
    """More than a GiB whose size nobody has said."""

    def test_an_image_of_unknown_size_outgrows_its_volume(self):
        data = os.urandom(MIB) + bytes(GIB) + os.urandom(MIB + 5)
        for kind in ('', 'always-', 'never-'):
            image = self.upload(kind + self.store, case.Chunked(data))
            self.assertEqual((len(data), hashlib.sha512(data).hexdigest()), self.digest(image))
            volume = self.cinder.volumes()[self.volume_of(image, kind + self.store)]
            self.assertEqual((2, str(len(data))), (volume['size'], volume['metadata']['image_size']))
            self.forget(image)
        self.assertNothingLeft()


class IscsiGrowthTest(Iscsi, Growth):
    """On a logical volume."""


class NfsGrowthTest(Nfs, Growth):
    """On a share."""


class IscsiKillsTest(test_volume_store_kills.Kills, test_volume_store_faults.Matrix, GuestCase):
    """Glance is killed after each step, on a logical volume."""

    store, moments = 'faulty-gold', ('after',)


class NfsKillsTest(test_volume_store_kills.Kills, test_volume_store_faults.Matrix, GuestCase):
    """Glance is killed after each step, on a share."""

    store, moments = 'faulty-paper', ('after',)


class IscsiFaultsTest(test_volume_store_faults.Ours, test_volume_store_faults.Matrix, GuestCase):
    """Every call fails in turn, on a logical volume."""

    store = 'faulty-gold'


class NfsFaultsTest(test_volume_store_faults.Ours, test_volume_store_faults.Matrix, GuestCase):
    """Every call fails in turn, on a share."""

    store = 'faulty-paper'
