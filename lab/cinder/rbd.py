# SPDX-License-Identifier: Apache-2.0
"""Cinder's own RBD driver, with the keys of a cluster that is not in /etc/ceph.

os-brick looks for the keyring there and nowhere else, unless the driver hands the keys over; that is
meant for cinderlib, and no option of cinder.conf sets it.
"""
import os

from cinder.volume.drivers import rbd


class RbdDriver(rbd.RBDDriver):
    """The keyring is beside the cluster's ceph.conf."""

    CI_WIKI_NAME = 'none'

    def _set_keyring_attributes(self):
        self.keyring_file = os.path.join(
            os.path.dirname(self.configuration.rbd_ceph_conf), 'keyring')
        with open(self.keyring_file, encoding='utf-8') as keyring:
            self.keyring_data = keyring.read()

    def _get_keyring_contents(self):
        """Return the keys, as Train's driver hands them over."""
        self._set_keyring_attributes()
        return self.keyring_data

    def _get_pool_stats(self):
        """Return what is free, and the size; Train sends text where today's librados takes bytes."""
        try:
            return super()._get_pool_stats()
        except TypeError:
            return 'unknown', 'unknown'
