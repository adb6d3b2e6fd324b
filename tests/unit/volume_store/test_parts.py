# SPDX-License-Identifier: Apache-2.0
"""The pipeline, the notes and the bounded calls, each by itself."""

import os
import threading

import fixtures
import testtools

from multistore_hooks.volume_store import errors
from multistore_hooks.volume_store import journal
from multistore_hooks.volume_store import timeouts
from multistore_hooks.volume_store import writing
from tests import clock

VOLUME = '0f1e2d3c-4b5a-4968-8776-655443322110'


class ChunksTest(testtools.TestCase):

    def test_short_reads_are_joined(self):
        class Odd:
            data = os.urandom(100)

            def read(self, size):
                found, self.data = self.data[:min(size, 7)], self.data[min(size, 7):]
                return found
        odd = Odd()
        whole = odd.data
        found = list(writing.chunks(odd, 32))
        self.assertEqual(([32, 32, 32, 4], whole), ([len(one) for one in found], b''.join(found)))


class PipelineTest(testtools.TestCase):

    def pipeline(self, write=lambda offset, data: None, consumers=(), timeout=60, **more):
        found = writing.Pipeline(write, consumers, timeout, **more)
        self.addCleanup(found.stop, 5)
        return found

    def test_each_part_sees_everything_consumers_in_order(self):
        written, seen = {}, []
        pipeline = self.pipeline(written.__setitem__, [seen.append, seen.append])
        for number in range(40):
            pipeline.put(number, b'%d' % number)
        pipeline.drain()
        self.assertEqual({number: b'%d' % number for number in range(40)}, written)
        self.assertEqual(sorted([b'%d' % number for number in range(40)] * 2), sorted(seen))
        self.assertTrue(pipeline.stop(60))

    def test_consumers_see_the_data_in_order(self):
        seen = []
        pipeline = self.pipeline(consumers=[seen.append])
        for number in range(200):
            pipeline.put(number, number)
        pipeline.drain()
        self.assertEqual(list(range(200)), seen)

    def test_no_more_chunks_are_in_memory_than_allowed(self):
        gate, put = threading.Event(), []
        pipeline = self.pipeline(lambda offset, data: gate.wait(10))

        def feed():
            for number in range(20):
                pipeline.put(number, b'')
                put.append(number)
        # Before each wait for room: what is in memory then.
        seen, real = [], pipeline._wait

        def wait(ready):
            seen.append(pipeline._in_memory)
            if len(put) >= writing.IN_MEMORY:
                gate.set()
            real(ready)
            seen.append(pipeline._in_memory)
        pipeline._wait = wait
        thread = threading.Thread(target=feed)
        thread.start()
        thread.join(60)
        self.assertEqual(20, len(put))
        self.assertEqual(writing.IN_MEMORY, max(seen))

    def test_several_writes_are_under_way_at_once(self):
        barrier = threading.Barrier(writing.WRITERS, timeout=60)
        pipeline = self.pipeline(lambda offset, data: barrier.wait())
        for number in range(writing.WRITERS):
            pipeline.put(number, b'')
        pipeline.drain()

    def test_the_first_error_ends_it(self):
        def write(offset, data):
            raise KeyError(offset)
        pipeline = self.pipeline(write)

        def feed():
            for number in range(100):
                pipeline.put(number, b'')
            pipeline.drain()
        self.assertRaises(KeyError, feed)
        self.assertRaises(KeyError, pipeline.drain)

    def test_an_error_of_a_consumer_ends_it(self):
        def consume(data):
            raise KeyError(data)
        pipeline = self.pipeline(consumers=[consume])
        pipeline.put(0, b'')
        self.assertRaises(KeyError, pipeline.drain)

    def test_a_write_that_hangs_ends_it_and_who_wants_hears_when_it_ends(self):
        gate, ended = threading.Event(), threading.Event()
        pipeline = self.pipeline(lambda offset, data: gate.wait(20), timeout=0.2)
        pipeline.put(0, b'')
        self.assertRaises(errors.TimedOut, pipeline.drain)
        self.assertFalse(pipeline.stop(0.1))
        pipeline.when_ended(ended.set)
        self.assertFalse(ended.wait(0.1))
        gate.set()
        self.assertTrue(ended.wait(60))

    def test_a_slow_source_is_no_hang(self):
        passing = clock.Clock()
        pipeline = self.pipeline(timeout=60, clock=passing)
        for number in range(3):
            passing.sleep(400)
            pipeline.put(number, b'')
            pipeline.drain()

    def test_what_ended_before_is_reported_at_once(self):
        pipeline = self.pipeline()
        self.assertTrue(pipeline.stop(60))
        ended = []
        pipeline.when_ended(lambda: ended.append(1))
        self.assertEqual([1], ended)


class BoundedTest(testtools.TestCase):

    def test_results_and_errors_come_through(self):
        self.assertEqual(5, timeouts.call_with_timeout(lambda: 5, 5, 'It', 'x_timeout'))
        self.assertRaises(ZeroDivisionError, timeouts.call_with_timeout, lambda: 1 // 0, 5, 'It', 'x_timeout')

    def test_a_hang_ends_with_the_options_name_and_what_comes_late_is_handed_over(self):
        gate, late, came = threading.Event(), [], threading.Event()

        def hang():
            gate.wait(20)
            return 'late'

        def take(found):
            late.append(found)
            came.set()
        error = self.assertRaises(errors.TimedOut, timeouts.call_with_timeout, hang, 0.1, 'Connecting',
                                  'x_timeout', take)
        self.assertEqual('Connecting took longer than 0.1 seconds (x_timeout).', str(error))
        gate.set()
        self.assertTrue(came.wait(60))
        self.assertEqual(['late'], late)

    def test_what_is_in_time_is_not_undone(self):
        late = []
        timeouts.call_with_timeout(lambda: 1, 5, 'It', 'x_timeout', late.append)
        self.assertEqual([], late)


class RecordsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.useFixture(fixtures.TempDir()).path, 'deep', 'er')
        self.journal = journal.AttachmentJournal(self.folder)

    def test_a_gate_is_for_one_at_a_time(self):
        with self.journal.acquire(VOLUME, 1):
            self.assertRaises(errors.TimedOut, journal.AttachmentJournal(self.folder).acquire, VOLUME, 0.1)
        with journal.AttachmentJournal(self.folder).acquire(VOLUME, 1):
            pass

    def test_no_file_stays(self):
        with self.journal.acquire(VOLUME, 1) as lock:
            users = lock.lock_users(exclusive=True)
            lock.write({'a': 1})
        self.assertEqual([VOLUME], self.journal.volumes())
        with self.journal.acquire(VOLUME, 1) as lock:
            self.assertEqual({'a': 1}, lock.read())
            lock.remove()
            users.release()
        self.assertEqual([], os.listdir(self.folder))

    def test_use_is_exclusive_or_shared(self):
        with self.journal.acquire(VOLUME, 1) as lock:
            lock.write({})
            users = lock.lock_users(exclusive=True)
            self.assertIsNone(lock.lock_users(exclusive=False))
            users.downgrade()
            other = lock.lock_users(exclusive=False)
            self.assertIsNotNone(other)
            self.assertFalse(users.try_upgrade())
            self.assertIsNone(lock.lock_users(exclusive=True))  # the lock was not lost by trying
            other.release()
            self.assertTrue(users.try_upgrade())
            self.assertIsNone(lock.lock_users(exclusive=False))
            users.release()
            users.release()  # twice is no error

    def test_a_record_that_cannot_be_read_is_not_taken_for_none(self):
        with open(os.path.join(self.folder, VOLUME + '.json'), 'w', encoding='utf-8') as file:
            file.write('{"half')
        self.assertEqual({}, self.journal.read(VOLUME))

    def test_a_folder_that_cannot_be_written_is_reported(self):
        os.rmdir(self.folder)
        self.assertRaises(errors.JournalError, self.journal.acquire, VOLUME, 1)
        self.assertRaises(OSError, journal.AttachmentJournal, '/proc/nowhere')
