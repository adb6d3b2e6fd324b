# SPDX-License-Identifier: Apache-2.0
"""Readers share an attachment: in a process, on a host, and over a crash; each failure leaves nothing."""

import os
import threading
import time

import fixtures
from testtools import matchers

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import host_attachment
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import leftovers
from multistore_hooks.volume_store import reading
from multistore_hooks.volume_store import share
from multistore_hooks.volume_store import volume_attachment
from tests import clock
from tests.unit import exhaustive
from tests.unit.volume_store import base

DATA = os.urandom(1 << 20)


class ShareTest(base.VolumeTestCase):

    protocol = 'local'

    def setUp(self):
        super().setUp()
        self.cinder.connection = {'driver_volume_type': self.protocol}
        self.volume = self.store(DATA).volume_id
        del self.faults.calls[:]

    def count(self, name):
        return self.faults.calls.count(name)

    def test_readers_of_a_process_share_one_attachment(self):
        shared = self.shared()
        first, second = shared.lease(self.volume), shared.lease(self.volume)
        first.close()
        first.close()
        self.assertEqual(DATA[5:15], second.device.read(5, 10))
        self.assertEqual(1, self.count('cinder.attachment_create'))
        second.close()
        self.assertEqual([], self.left())

    def test_it_is_attached_for_reading_only(self):
        lease = self.shared().lease(self.volume)
        self.assertEqual(['ro'], [mode for _volume, _status, mode in self.cinder.bound.values()])
        self.assertRaises(errors.DeviceError, lease.device.write, 0, b'x') if (
            self.protocol == 'local') else None
        lease.close()

    def test_an_attachment_waits_for_the_next_reader_and_goes_when_none_comes(self):
        timers = []

        class Timer(threading.Thread):
            """One that the test lets expire."""

            def __init__(self, interval, function, args=()):
                super().__init__()
                self.interval, self.expire, self.cancelled = interval, lambda: function(*args), False
                timers.append(self)

            def start(self):
                pass

            def cancel(self):
                self.cancelled = True
        self.useFixture(fixtures.MockPatchObject(threading, 'Timer', Timer))
        shared = self.shared(idle=7)
        for _each in range(20):
            shared.lease(self.volume).close()
        self.assertEqual(1, self.count('cinder.attachment_create'))
        self.assertEqual([7] * 20, [timer.interval for timer in timers])
        self.assertEqual([True] * 19 + [False], [timer.cancelled for timer in timers])
        self.assertNotEqual([], self.left())
        timers[-1].expire()
        self.assertEqual([], self.left())

    def test_a_timer_that_comes_too_late_detaches_nothing(self):
        shared = self.shared(idle=60)
        shared.lease(self.volume).close()
        entry = shared._entries[self.volume]
        late = entry.turn
        shared.lease(self.volume).close()
        shared._expire(self.volume, entry, late)
        self.assertEqual(1, len(self.cinder.bound))
        lease = shared.lease(self.volume)
        shared._expire(self.volume, entry, entry.turn)
        self.assertEqual(DATA[:3], lease.device.read(0, 3))
        lease.close()
        shared.drop_all()

    def test_who_deletes_the_image_drops_an_idle_attachment_but_no_reader(self):
        shared = self.shared(idle=60)
        lease = shared.lease(self.volume)
        self.assertFalse(shared.drop(self.volume))
        self.assertEqual(DATA[:3], lease.device.read(0, 3))
        lease.close()
        self.assertTrue(shared.drop(self.volume))
        self.assertEqual([], self.left())
        self.assertTrue(shared.drop(self.volume))

    def drop_meanwhile(self, shared):
        """Drop the volume in a thread of its own; return it and its result, of which there is none yet."""
        dropped = []
        thread = threading.Thread(target=lambda: dropped.append(shared.drop(self.volume)))
        thread.start()
        thread.join(0.2)  # time enough for one that does not wait
        return thread, dropped

    def test_who_deletes_the_image_waits_until_an_idle_attachment_is_detached(self):
        shared, meanwhile, before = self.shared(idle=60), [], []
        shared.lease(self.volume).close()
        entry = shared._entries[self.volume]
        leave = entry.on_host.leave

        def slow_leave():
            meanwhile.extend(self.drop_meanwhile(shared))
            before.extend(meanwhile[1])
            leave()
        entry.on_host.leave = slow_leave
        shared._expire(self.volume, entry, entry.turn)
        meanwhile[0].join()
        self.assertEqual(([], [True]), (before, meanwhile[1]))
        self.assertEqual([], self.left())

    def test_who_deletes_the_image_waits_for_another_process_that_detaches_it(self):
        with self.context().journal.acquire(self.volume, 60):
            thread, dropped = self.drop_meanwhile(self.shared())
            self.assertEqual([], dropped)
        thread.join()
        self.assertEqual([True], dropped)

    def test_all_idle_ones_go_at_the_end_of_the_process(self):
        shared = self.shared(idle=60)
        shared.lease(self.volume).close()
        shared.drop_all()
        self.assertEqual([], self.left())

    def test_the_processes_of_a_host_share_one_attachment(self):
        one, other = self.shared(), self.shared()
        first, second = one.lease(self.volume), other.lease(self.volume)
        self.assertEqual(1, self.count('cinder.attachment_create'))
        first.close()
        self.assertEqual(DATA[7:9], second.device.read(7, 2))
        self.assertEqual(1, len(self.cinder.bound))
        third = one.lease(self.volume)
        second.close()
        self.assertEqual(DATA[7:9], third.device.read(7, 2))
        third.close()
        self.assertEqual(1, self.count('cinder.attachment_create'))
        self.assertEqual([], self.left())

    def test_where_another_glance_of_the_host_has_a_journal_of_its_own_the_device_stays_for_it(self):
        self.cinder.multiattach = True
        apart = self.context()._replace(journal=journal.AttachmentJournal(self._inside('another pod')))
        one, other = self.shared(), share.Shared(apart)
        first, second = one.lease(self.volume), other.lease(self.volume)
        self.assertEqual(2, self.count('cinder.attachment_create'))
        connected = len(self.brick.links) + len(self.brick.handles)
        second.close()
        self.assertEqual(connected if self.protocol == 'local' else connected - 1,
                         len(self.brick.links) + len(self.brick.handles))
        self.assertEqual(self.protocol == 'local', 'give all glance-api processes of a host the same '
                         'attachment_dir' in self.log)
        self.assertEqual(DATA[7:9], first.device.read(7, 2))
        first.close()
        self.assertEqual([], self.left())

    def test_the_attachment_of_another_host_keeps_no_device_here(self):
        self.cinder.multiattach = True
        lease = self.shared().lease(self.volume)
        elsewhere = self.cinder.attachment_create(self.volume, 'ro')
        self.cinder.attachment_update(elsewhere, {'host': 'there'})
        lease.close()
        self.assertEqual((set(), []), (self.brick.links, list(self.brick.handles)))
        self.cinder.attachment_delete(elsewhere)

    def test_many_at_once_are_one_attachment_and_leave_nothing(self):
        processes = [self.shared() for _each in range(3)]
        bad = []

        def read(shared):
            for at in range(10):
                lease = shared.lease(self.volume)
                try:
                    if lease.device.read(at, 100) != DATA[at:at + 100]:
                        bad.append(at)
                finally:
                    lease.close()
        threads = [threading.Thread(target=read, args=(shared,)) for shared in processes * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(([], []), (bad, self.left()))

    def test_what_a_killed_process_has_left_is_undone_by_the_next_reader(self):
        gone = host_attachment.use(self.context(), self.volume)
        gone._users.release()  # the system does so
        gone.device.close()
        lease = self.shared().lease(self.volume)
        self.assertEqual(DATA[:9], lease.device.read(0, 9))
        lease.close()
        self.assertEqual(2, self.count('cinder.attachment_create'))
        self.assertEqual([], [one for one in self.left() if one != 'handle' and 'open' not in one])

    def test_or_by_who_looks_for_it(self):
        gone = host_attachment.use(self.context(), self.volume)
        gone.device.close()
        leftovers.recover(self.context(), self.volume)
        self.assertEqual(1, len(self.cinder.bound))  # the process still has it
        gone._users.release()
        leftovers.recover(self.context(), self.volume)
        self.assertEqual({}, self.cinder.bound)
        self.assertIn(self.volume, self.cinder.volumes)

    @exhaustive.on_one_python
    def test_every_call_fails_in_turn_and_nothing_is_left(self):
        self.shared().lease(self.volume).close()
        calls = list(self.faults.calls)
        number, failed = len(calls), []
        for how in (base.BEFORE, base.AFTER, base.HANG):
            for at in range(number):
                if how == base.HANG and calls[at].startswith('cinder.'):
                    continue  # ends by the timeout of the request: as AFTER
                self.faults = base.Faults()
                self.addCleanup(self.faults.release.set)
                self.faults.at(at, how)
                try:
                    self.shared(**(base.SHORT if how == base.HANG else {})).lease(self.volume).close()
                except (base.Fault, errors.VolumeStoreError):
                    failed.append(self.faults.calls[at])
                self.faults.release.set()
                if how == base.HANG:
                    self.assertTrue(self.faults.ended.wait(60))
                deadline = time.monotonic() + 60
                while how == base.HANG and self.left() and time.monotonic() < deadline:
                    time.sleep(0.02)
                name = self.faults.calls[at]
                if name == 'cinder.attachment_delete':  # as after several tries
                    for left in self.cinder.bound:
                        self.assertIn('stays attached to this host, attachment ' + left, self.log)
                    leftovers.recover(self.context(), self.volume)
                self.assertEqual([], self.left(), (how, name))
                self.assertEqual('available', self.cinder.volumes[self.volume].status, (how, name))
        for name in ('cinder.attachment_create', 'cinder.attachment_update', 'brick.connect', 'device.open'):
            self.assertIn(name, failed)

    def test_a_volume_that_somebody_else_has_is_waited_for(self):
        elsewhere = self.cinder.attachment_create(self.volume, 'ro')
        passing = clock.Clock()
        self.assertRaises(errors.CannotAttach, self.on(passing, state=100).lease, self.volume)
        self.assertGreaterEqual(passing.now, 100)
        passing.at(passing.now + 50, lambda: self.cinder.attachment_delete(elsewhere))
        self.on(passing, state=100).lease(self.volume).close()
        self.assertEqual([], self.left())

    def on(self, passing, **timeouts):
        """Return the attachments of a process whose waits are on a clock of the test's."""
        return share.Shared(self.context(**timeouts)._replace(clock=passing))

    def test_a_volume_in_trouble_is_not_waited_for(self):
        self.cinder._set(self.volume, status='error')
        passing = clock.Clock()
        self.assertRaises(errors.CannotAttach, self.on(passing, state=30).lease, self.volume)
        self.assertEqual(0, passing.now)
        self.assertEqual([], self.left())

    def test_records_are_for_nobody_else(self):
        lease = self.shared().lease(self.volume)
        folder = os.path.join(self.folder, 'attachments')
        self.assertEqual(0o700, os.stat(folder).st_mode & 0o777)
        for name in os.listdir(folder):
            self.assertEqual(0, os.stat(os.path.join(folder, name)).st_mode & 0o077, name)
        lease.close()


class ShareRbdTest(ShareTest):
    """In user space each process has a handle of its own."""

    protocol = 'rbd'


class OwnerTest(base.VolumeTestCase):

    def test_a_device_is_handed_over_and_given_back(self):
        volume = self.store(DATA).volume_id
        handed = []
        self.brick.chown = lambda path, uid: handed.append((os.path.basename(path), uid))
        self.useFixture(fixtures.MockPatchObject(
            volume_attachment.os, 'access', lambda path, mode: 'volume-' not in path))
        self.shared().lease(volume).close()
        self.assertEqual([('volume-' + volume, os.geteuid()), ('volume-' + volume, os.getuid())], handed)
        self.assertEqual([], self.left())


class PiecesTest(base.VolumeTestCase):

    def setUp(self):
        super().setUp()
        self.data = os.urandom(3 * reading.CHUNK + 12345)
        self.volume = self.store(self.data).volume_id
        del self.faults.calls[:]

    def pieces(self, offset=0, length=None, timeout=5):
        self.lease = self.shared().lease(self.volume)
        return reading.Pieces(self.lease, offset, len(self.data) - offset if length is None else length,
                              timeout)

    def nothing_left(self):
        deadline = time.monotonic() + 60
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([], self.left())

    def second_read(self):
        """Return the number of the call that reads the second piece, and begin to count again."""
        self.faults = base.Faults()
        b''.join(self.pieces())
        first = self.faults.calls.index('device.read')
        self.faults = base.Faults()
        self.addCleanup(self.faults.release.set)
        return first + 1

    def test_a_range_is_read_in_order(self):
        for offset, length in ((0, None), (5, 17), (reading.CHUNK - 1, 2), (100, 2 * reading.CHUNK), (7, 0),
                               (len(self.data), 0)):
            found = b''.join(self.pieces(offset, length))
            self.assertEqual(self.data[offset:][:length], found, (offset, length))
            self.nothing_left()

    def test_it_is_detached_before_the_last_piece_is_handed_out(self):
        pieces = self.pieces()
        for _each in range(4):
            self.assertNotEqual([], self.left())
            next(pieces)
        self.assertIsNone(self.lease.device)
        self.assertRaises(StopIteration, next, pieces)

    def test_closing_and_forgetting_end_it(self):
        pieces = self.pieces()
        next(pieces)
        pieces.close()
        self.nothing_left()
        pieces = self.pieces()
        next(pieces)
        del pieces
        self.nothing_left()
        self.pieces()  # never read
        self.nothing_left()

    def test_an_error_in_the_middle_is_an_error_again_and_again(self):
        third = self.second_read() + 1
        self.faults.at(third, base.BEFORE)
        pieces = self.pieces()
        found = next(pieces)
        failed = 0
        for _each in range(5):
            try:
                found += next(pieces)
            except base.Fault:
                failed += 1
        self.assertNotIn(failed, (0, 1))
        self.assertEqual(self.data[:len(found)], found)
        self.nothing_left()

    def test_an_error_at_the_beginning_is_reported_before_anything_is_promised(self):
        self.faults.always('device.read')
        self.assertRaises(base.Fault, self.pieces)
        self.nothing_left()

    def test_a_volume_that_is_too_short_is_too(self):
        os.truncate(self.cinder.path(self.volume), len(self.data) - 1)
        self.assertRaises(errors.DeviceError, self.pieces)
        self.nothing_left()

    def test_a_read_that_hangs_ends_in_time_and_is_detached_when_it_ends(self):
        for at in (-1, 0):  # the first read, and one ahead
            number = self.second_read() + at
            self.faults.at(number, base.HANG)
            self.assertRaises(errors.TimedOut, lambda: b''.join(self.pieces(timeout=0.3)))
            self.assertNotEqual([], self.left())
            self.assertIn('Volume %s stays attached to this host' % self.volume, self.log)
            self.faults.release.set()
            self.nothing_left()

    def test_no_more_than_a_few_pieces_are_read_ahead(self):
        pieces = self.pieces()
        time.sleep(0.2)
        self.assertThat(self.faults.calls.count('device.read'), matchers.LessThan(2 + reading.AHEAD))
        pieces.close()
        self.nothing_left()
