# SPDX-License-Identifier: Apache-2.0
"""Devices, on files: whole reads and writes, errors that name the volume, alignment."""

import errno
import os
import threading

import fixtures
import testtools
from testtools import matchers

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import file_device
from multistore_hooks.volume_store import open_device
from tests.unit.volume_store import base

FULL = '/dev/full'


class FileDeviceTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'volume')
        with open(self.path, 'wb') as file:
            file.truncate(1 << 20)

    def open(self, writable=True):
        found = open_device.open_device('v1', self.path, writable)
        self.addCleanup(found.close)
        return found

    def bytes(self):
        with open(self.path, 'rb') as file:
            return file.read()

    def test_what_is_written_is_there_and_the_file_keeps_its_size(self):
        data = os.urandom(10001)
        device = self.open()
        device.write(8192, data)
        device.write(0, b'begin')
        device.flush()
        self.assertEqual(bytes(8192 - 5), self.bytes()[5:8192])
        self.assertEqual(data, self.bytes()[8192:8192 + 10001])
        self.assertEqual((1 << 20, 1 << 20), (len(self.bytes()), device.size()))
        self.assertEqual(data, self.open(False).read(8192, 10001))

    def test_writing_without_o_direct_is_the_same(self):
        device = self.open()
        device._direct = False
        os.close(device._fd)
        device._fd = os.open(self.path, os.O_RDWR)
        device.write(0, b'abc')
        self.assertEqual(b'abc\0', self.bytes()[:4])

    def test_a_volume_that_is_too_short_is_an_error_and_no_end(self):
        error = self.assertRaises(errors.DeviceError, self.open(False).read, (1 << 20) - 10, 11)
        self.assertIn('Reading volume v1 failed at byte 1048576: the volume ends there', str(error))

    def test_an_error_of_the_system_keeps_its_number(self):
        device = self.open(False)
        error = self.assertRaises(errors.DeviceError, device.write, 0, b'x')
        self.assertEqual(errno.EBADF, error.errno)
        self.assertIn('Writing volume v1', str(error))

    def test_what_cannot_be_opened_is_named(self):
        error = self.assertRaises(errors.DeviceError, open_device.open_device, 'v1', self.path + 'x', False)
        self.assertEqual(errno.ENOENT, error.errno)

    @testtools.skipUnless(os.path.exists(FULL), 'no ' + FULL)
    def test_a_full_device_is_an_error(self):
        device = open_device.open_device('v1', FULL, True)
        self.addCleanup(device.close)
        self.assertEqual(errno.ENOSPC, self.assertRaises(
            errors.DeviceError, device.write, 0, bytes(4096)).errno)

    def test_a_file_is_known_to_be_zeroed_and_zeroes_nothing_itself(self):
        device = self.open()
        self.assertTrue(device.zeroed)
        self.assertFalse(device.can_zero())
        self.assertFalse(device.zero(0, 65536))

    def test_many_may_read_at_once_and_nothing_stays_open(self):
        with open(self.path, 'r+b') as file:
            file.write(os.urandom(1 << 20))
        device, whole, bad = self.open(False), self.bytes(), []

        def read(at):
            for _each in range(50):
                if device.read(at, 70000) != whole[at:at + 70000]:
                    bad.append(at)
        threads = [threading.Thread(target=read, args=(number * 100000,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], bad)
        self.assertThat(len(base.open_files(self.path)), matchers.LessThan(8))
        device.close()
        self.assertEqual([], base.open_files(self.path))

    def test_it_is_read_although_it_cannot_be_opened_again(self):
        # udev gives a device back to root whenever it likes.
        device, real = self.open(writable=False), os.open

        def refuse(path, *args, **kwargs):
            if str(path).startswith('/proc/self/fd/'):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return real(path, *args, **kwargs)
        with fixtures.MockPatchObject(file_device.os, 'open', refuse):
            self.assertEqual(bytes(9), device.read(0, 9))

    def test_closing_twice_is_no_error(self):
        device = self.open()
        device.close()
        device.close()


class RbdDeviceTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'image')
        with open(self.path, 'wb') as file:
            file.truncate(1000)
        self.handle = base.Handle(self.path)
        self.addCleanup(self.handle.close)
        self.device = open_device.open_device('v1', self.handle, True)

    def test_it_is_read_and_written_at_offsets(self):
        self.device.write(10, b'abc')
        self.device.flush()
        self.assertEqual(b'\0abc\0', self.device.read(9, 5))
        self.assertEqual((1000, True), (self.device.size(), self.device.zeroed))

    def test_beyond_its_end_is_an_error(self):
        for offset in (998, 1000, 2000):
            self.assertRaises(errors.DeviceError, self.device.read, offset, 5)

    def test_an_error_of_librbd_names_the_volume(self):
        self.handle.close()
        error = self.assertRaises(errors.DeviceError, self.device.flush)
        self.assertIn('Flushing volume v1', str(error))
