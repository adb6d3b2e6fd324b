# SPDX-License-Identifier: Apache-2.0
"""Every in-tree driver of Cinder has the hook when our volume manager loads it."""

import json
import subprocess

import testtools

from lab.cinder import run
from tests.functional import cinder_base

#: Classes that make a driver of another class, in the releases that have them.
PROXIES = ('cinder.volume.drivers.netapp.common.NetAppDriver',)


def load_drivers(python, pythonpath):
    """Return {path of a driver: what is wrong with it, or None} for a Cinder."""
    done = subprocess.run([python, '-W', 'ignore', '-m', 'tests.functional.load_drivers'],
                          env=run.environment(pythonpath), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise AssertionError(done.stderr.decode()[-3000:])
    return json.loads(done.stdout.decode())


class DriversTest(testtools.TestCase):

    def test_every_in_tree_driver_has_the_hook(self):
        drivers = load_drivers(cinder_base.PYTHON, cinder_base.PYTHONPATH)
        self.assertEqual({}, {path: wrong for path, wrong in drivers.items() if wrong})
        self.assertLess(60, len(drivers))
        self.assertEqual(set(), set(PROXIES) - set(drivers))
