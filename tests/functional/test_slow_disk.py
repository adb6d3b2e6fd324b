# SPDX-License-Identifier: Apache-2.0
"""The network-like device of benchmarks/volume_store.py keeps what is written, and takes the time it says."""

import os
import subprocess
import threading
import time
import unittest

import testtools

from benchmarks import _slow_disk
from tests.functional import shared

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 5)
WHY_NOT = None if os.geteuid() == 0 and os.access('/dev/fuse', os.W_OK) else 'needs root and /dev/fuse'


@unittest.skipIf(WHY_NOT, WHY_NOT or '')
class SlowDiskTest(testtools.TestCase):
    """A folder behind 20 MB/s and 30 ms."""

    def setUp(self):
        super().setUp()
        self.folder = shared.folder('slow')
        disk = _slow_disk.SlowDisk(self.folder, 20, 30)
        disk.__enter__()
        self.addCleanup(disk.__exit__, None, None, None)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), 'wb', buffering=0) as file:
            for at in range(0, len(data), MIB):
                file.write(data[at:at + MIB])

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()

    def test_files_are_what_was_written_to_them(self):
        self.write('one', DATA)
        os.truncate(self.path('one'), len(DATA) + 10)
        os.chmod(self.path('one'), 0o640)
        os.rename(self.path('one'), self.path('two'))
        self.assertEqual(['two'], os.listdir(self.folder))
        self.assertEqual(DATA + bytes(10), self.read('two'))
        self.assertEqual(0o640, os.stat(self.path('two')).st_mode & 0o777)
        os.unlink(self.path('two'))
        self.assertFalse(os.path.exists(self.path('two')))
        self.write('two', b'new')
        self.assertEqual(b'new', self.read('two'))

    def test_a_range_is_zeroed_without_a_transfer(self):
        self.write('one', DATA)
        with open(self.path('one'), 'r+b') as file:
            self.assertEqual(0, _slow_disk.libc.fallocate(file.fileno(), 3, MIB, MIB))
            self.assertEqual(DATA[:MIB] + bytes(MIB) + DATA[2 * MIB:], self.read('one'))
            # A transfer of that much would take 20 minutes.
            file.truncate(24000 * MIB)
            begun = time.monotonic()
            self.assertEqual(0, _slow_disk.libc.fallocate(file.fileno(), 3, MIB, 23000 * MIB))
            self.assertLess(time.monotonic() - begun, 600)

    def test_bytes_share_the_line_and_responses_come_together(self):
        begun = time.monotonic()
        self.write('one', DATA)
        took = time.monotonic() - begun
        # Four writes one after the other, each with its way.
        self.assertGreater(took, len(DATA) / 20e6 + 4 * 0.03)
        threads = [threading.Thread(target=self.write, args=(str(number), DATA[:4096]))
                   for number in range(8)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(time.monotonic() - begun, 0.03)
        self.assertEqual(DATA[:4096], self.read('7'))

    def test_afterwards_the_files_are_there_without_it(self):
        folder = shared.folder('slow')
        with _slow_disk.SlowDisk(folder, 20, 30):
            with open(os.path.join(folder, 'one'), 'wb') as file:
                file.write(DATA)
        with open('/proc/mounts', encoding='utf-8') as mounts:
            self.assertNotIn(' %s fuse ' % folder, mounts.read())
        with open(os.path.join(folder, 'one'), 'rb') as file:
            self.assertEqual(DATA, file.read())

    def test_a_server_that_was_killed_leaves_no_mount(self):
        folder = shared.folder('slow')
        with _slow_disk.SlowDisk(folder, 20, 30) as disk:
            subprocess.run(['kill', '-9', str(disk.pid)], check=True)
        with open('/proc/mounts', encoding='utf-8') as mounts:
            self.assertNotIn(' %s fuse ' % folder, mounts.read())
