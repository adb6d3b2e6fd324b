# SPDX-License-Identifier: Apache-2.0
"""The store driver on devices that this host has not: in a kernel of its own, see lab.kernel."""

import os
import re

import testtools

from lab import kernel
from lab.volume_store import guest
from lab.volume_store.lab import unavailable_with

MISSING = kernel.unavailable()
NO_SERVICES = unavailable_with([])
#: Which of how many parts of the cases the real Cinder and Glance run there; '': a few tests.
PART = os.environ.get('VOLUME_KERNEL', '').replace('all', '1/1')
FLOWS = 'tests.functional.volume_guest.'
SERVICES = 'tests.functional.volume_services_guest.'


class Guests(testtools.TestCase):
    """Runs test cases in guests.

    :cvar seconds: after which a guest is killed: one under load is slow
    """

    seconds = 3000

    def guest(self, least, tests, memory='2G', skipped=0, **disks):
        """Run test cases in a guest: that many at least, of which so many are skipped."""
        status, output = kernel.Kernel(memory).run(
            guest.script_for(tests, **disks), self.seconds, show=bool(PART))
        self.assertEqual(0, status, output[-8000:])
        ran = re.search(r'Ran (\d+) tests?', output)
        self.assertGreaterEqual(int(ran.group(1)), least, output)
        self.assertEqual(skipped, sum(map(int, re.findall(r'skipped=(\d+)', output))), output[-2000:])


@testtools.skipIf(MISSING, MISSING or '')
class KernelTest(Guests):
    """The guest itself, and the driver below the unit tests' Cinder."""

    def test_a_guest_boots_to_a_script_and_leaves_nothing_here(self):
        path = '/var/tmp/multistore-hooks-guest-%d' % os.getpid()
        status, output = kernel.Kernel('256M').run('uname -r; id -u; echo hello > %s; cat %s; exit 3' % (
            path, path), self.seconds)
        self.assertEqual(3, status, output)
        self.assertIn('hello', output)
        self.assertNotIn(os.uname().release, output)
        self.assertFalse(os.path.exists(path))

    def test_the_driver_over_iscsi_on_lvm(self):
        # Without udev os-brick waits ten seconds for its links at each attachment of a disk.
        self.guest(4, [FLOWS + 'IscsiTest'], iscsi='512M', udev=True)

    def test_the_driver_on_an_nfs_share(self):
        self.guest(4, [FLOWS + 'NfsTest'], nfs='512M')


@testtools.skipIf(MISSING or NO_SERVICES, MISSING or NO_SERVICES or '')
class ServicesTest(Guests):
    """Cinder's own LVM and NFS drivers, and a glance-api that is not root."""

    def test_an_image_lives_on_both(self):
        self.guest(2, [SERVICES + name for name in ('IscsiShortTest', 'NfsShortTest')], memory='3G',
                   iscsi='24G', nfs='24G', thin=True, udev=True)


@testtools.skipIf(MISSING or NO_SERVICES or not PART, MISSING or NO_SERVICES or
                  'a part of the tests: VOLUME_KERNEL=all for all of them, VOLUME_KERNEL=2/5 for the second '
                  'of five parts of the cases of each test')
class AllServicesTest(Guests):
    """The rest of what is tested on them. An attachment takes seconds there: each of these takes long."""

    seconds = 10800

    def services(self, least, *names, udev=True, **more):
        # Cinder's clones of logical volumes are whole copies, in memory.
        self.guest(least, [SERVICES + name for name in names], memory='8G', iscsi='24G', nfs='24G',
                   thin=True, udev=udev, environ={'VOLUME_KERNEL_PART': PART}, **more)

    def test_all_flows_over_iscsi(self):
        self.services(12, 'IscsiTest')

    def test_every_attack_on_the_filters_is_refused(self):
        self.services(1, 'AttacksTest')

    def test_growth_over_iscsi_where_there_are_udev_and_lsscsi(self):
        self.services(1, 'IscsiUdevGrowthTest')

    def test_growth_over_iscsi_where_there_is_neither(self):
        self.services(1, 'IscsiGrowthTest', udev=False)

    def test_all_flows_on_nfs(self):
        self.services(12, 'NfsTest', 'NfsGrowthTest')

    def test_glance_is_killed_after_each_step_over_iscsi(self):
        self.services(3, 'IscsiKillsTest')

    def test_glance_is_killed_after_each_step_on_nfs(self):
        self.services(3, 'NfsKillsTest')

    # Uploads of unknown size are left to the loop device's run.

    def test_every_call_fails_in_turn_over_iscsi(self):
        self.services(4, 'IscsiFaultsTest', skipped=1)

    def test_every_call_fails_in_turn_on_nfs(self):
        self.services(4, 'NfsFaultsTest', skipped=1)

    def test_every_call_of_stock_fails_in_turn_over_iscsi(self):
        self.services(3, 'IscsiStockTest')

    def test_every_call_of_stock_fails_in_turn_on_nfs(self):
        self.services(3, 'NfsStockTest')
