# SPDX-License-Identifier: Apache-2.0
"""The Ceph of the lab is a real one, goes down and comes back, and leaves nothing behind."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import testtools

from lab import ceph
from lab import ceph_bindings
from lab import ceph_glance
from lab import paths
from lab import poll
from lab.poll import LabError
from tests.functional import shared

UNAVAILABLE = ceph.unavailable()
NO_GLANCE = [name for name in ('glance', 'gunicorn') if not importlib.util.find_spec(name)]
MEGABYTE = 1 << 20

STARTER = '''
import sys, time
from lab import ceph
from lab import poll
from lab.poll import LabError
ceph.Ceph(sys.argv[1], pools=['images'], auth='none').start()
print('started', flush=True)
time.sleep(600)
'''


def daemons_of(directory):
    """Return the command lines of the processes that run with a cluster's configuration."""
    found = []
    for entry in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            command = entry.read_bytes().split(b'\0')
        except OSError:
            continue
        if os.fsencode(os.path.join(directory, 'ceph.conf')) in command:
            found.append(command)
    return found


@unittest.skipIf(UNAVAILABLE, UNAVAILABLE)
class LabCephTest(testtools.TestCase):
    """Two clusters, the first one with cephx."""

    def setUp(self):
        super().setUp()
        self.a, self.b = ceph.sites()

    def test_two_clusters_know_nothing_of_each_other(self):
        self.assertNotEqual(self.a.fsid, self.b.fsid)
        self.assertEqual(self.a.fsid, self.a.ceph('fsid').strip())
        self.assertEqual(self.b.fsid, self.b.ceph('fsid').strip())
        self.a.rbd('create', 'vms/only-here', '--size', '8M')
        self.addCleanup(self.a.rbd, 'rm', '--no-progress', 'vms/only-here')
        self.assertIn('only-here', self.a.rbd('ls', 'vms').split())
        self.assertNotIn('only-here', self.b.rbd('ls', 'vms').split())

    def test_services_are_a_client_without_the_administrators_rights(self):
        self.a.rbd('--id', self.a.user, 'ls', 'images')
        refused = self.assertRaises(LabError, self.a.ceph, '--id', self.a.user,
                                    'osd', 'pool', 'create', 'more', '8')
        self.assertIn('EACCES', str(refused))

    def test_what_was_written_is_read_again(self):
        data = os.urandom(3 * MEGABYTE)
        with tempfile.NamedTemporaryFile() as source:
            source.write(data)
            source.flush()
            self.a.rbd('import', '--no-progress', source.name, 'images/read-me')
        self.addCleanup(self.a.rbd, 'rm', '--no-progress', 'images/read-me')
        self.assertEqual(data, self.a.read('images/read-me', len(data)))
        self.assertEqual(data[:100], self.a.read('images/read-me', 100))

    def test_a_client_that_may_not_write_is_refused_until_it_may_again(self):
        write = ('--id', self.a.user, 'create', 'images/refused', '--size', '8M')
        self.a.refuse_writes('images')
        try:
            refused = self.assertRaises(LabError, self.a.rbd, *write)
        finally:
            self.a.allow_writes()
        self.assertIn('Operation not permitted', str(refused))
        self.a.rbd(*write)
        self.a.rbd('rm', '--no-progress', 'images/refused')

    @unittest.skipIf(NO_GLANCE, 'not installed here: %s' % ', '.join(NO_GLANCE))
    def test_glance_has_a_store_in_each_cluster_and_copies_into_it(self):
        data = os.urandom(5 * MEGABYTE)
        stores = {'central': 'file', 'a': ceph_glance.store(self.a),
                  'b': ceph_glance.store(self.b, weight=7)}
        before = time.time()
        with ceph_glance.Glance(shared.folder('rbd'), stores, faults=True) as glance:
            image = glance.add_image(data, ['central', 'a', 'b'])
            shown = glance.image(image)
            detail = glance.request('GET', '/v2/info/stores/detail').json()['stores']
            (copy,) = glance.copies(image)
        self.assertEqual({'central', 'a', 'b'}, set(shown['stores'].split(',')))
        self.assertLessEqual({'rbd://%s/images/%s/snap' % (cluster.fsid, image)
                              for cluster in (self.a, self.b)},
                             {location['url'] for location in shown['locations']})
        for cluster in (self.a, self.b):
            self.assertEqual(data, cluster.read('images/%s@snap' % image, len(data)))
        self.assertEqual({'central': 0, 'a': 0, 'b': 7},
                         {entry['id']: entry['weight'] for entry in detail})
        self.assertEqual((('a', 'b'), 'success'), (copy.stores, copy.status))
        self.assertTrue(before < copy.asked < copy.changed < time.time(), copy)


@unittest.skipIf(UNAVAILABLE, UNAVAILABLE)
class OutageTest(testtools.TestCase):
    """One cluster that has something in it."""

    def setUp(self):
        super().setUp()
        self.directory = os.path.join(shared.folder('ceph-outage'), 'one')
        self.ceph = ceph.Ceph(self.directory, auth='none', pools=['images'])
        self.addCleanup(self.ceph.remove)
        self.ceph.start()
        self.ceph.rbd('create', 'images/kept', '--size', '8M')

    def test_an_outage_ends_with_all_data_there(self):
        for end in (self.ceph.stop, self.ceph.kill):
            end()
            self.assertEqual([], daemons_of(self.directory))
            self.ceph.start()
            self.assertEqual(['kept'], self.ceph.rbd('ls', 'images').split())


@unittest.skipIf(UNAVAILABLE, UNAVAILABLE)
class LifeTest(testtools.TestCase):
    """What becomes of a cluster when something goes wrong."""

    def setUp(self):
        super().setUp()
        self.directory = os.path.join(shared.folder('ceph-life'), 'one')

    def test_daemons_go_with_the_process_that_started_them_however_it_ends(self):
        starter = subprocess.Popen(
            [sys.executable, '-c', STARTER, self.directory], stdout=subprocess.PIPE,
            cwd=paths.CHECKOUT)
        self.addCleanup(starter.stdout.close)
        self.assertEqual(b'started\n', starter.stdout.readline())
        self.assertEqual(2, len(daemons_of(self.directory)))
        starter.kill()
        starter.wait()
        poll.until('end of the daemons', lambda: not daemons_of(self.directory))

    def test_a_cluster_that_cannot_start_says_why_and_leaves_no_daemon(self):
        # Smaller than an OSD has to be.
        small = ceph.Ceph(self.directory, auth='none', size=MEGABYTE)
        refused = self.assertRaises(LabError, small.start)
        self.assertIn('ceph-osd', str(refused))
        self.assertEqual([], daemons_of(self.directory))


class UnavailableTest(testtools.TestCase):
    """Where Ceph is missing, the reason is one that a person can act on."""

    def setUp(self):
        super().setUp()
        self.addCleanup(ceph_bindings.unavailable.cache_clear)
        ceph_bindings.unavailable.cache_clear()

    def test_missing_programs_are_named_with_their_packages(self):
        path, os.environ['PATH'] = os.environ['PATH'], self.folder()
        self.addCleanup(os.environ.__setitem__, 'PATH', path)
        reason = ceph.unavailable()
        self.assertIn('ceph-mon, ceph-osd', reason)
        self.assertIn('apt-get install', reason)

    @unittest.skipIf(UNAVAILABLE, UNAVAILABLE)
    def test_an_interpreter_of_another_abi_is_recognised(self):
        other = os.path.join(self.folder(), 'python')
        with open(other, 'w') as script:
            # It knows no module, and has an ABI of its own.
            script.write('#!/bin/sh\ncase "$2" in *SUFFIXES*)'
                         ' echo .cpython-31-lab.so .so;; *) exit 1;; esac\n')
        os.chmod(other, 0o755)
        self.assertIn(other, ceph.unavailable(other))
        self.assertRaises(LookupError, ceph.bindings, self.folder(), other)

    def folder(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        return made.name
