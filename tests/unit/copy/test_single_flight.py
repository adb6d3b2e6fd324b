# SPDX-License-Identifier: Apache-2.0
"""One wait for all callers that want the same."""

import threading

import testtools

from multistore_hooks.copy import single_flight
from multistore_hooks import exceptions
from tests import clock


class SharedClock(clock.Clock):
    """A clock for several threads: it does not move on its own, and whoever sleeps lets others run."""

    def __init__(self, sleepers, all_asleep):
        super().__init__()
        self._sleepers, self._all_asleep, self._asleep = sleepers, all_asleep, set()

    def sleep(self, seconds):
        self._asleep.add(threading.current_thread())
        if len(self._asleep) == self._sleepers:
            self._all_asleep()


class SingleFlightTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.go, self.runs = threading.Event(), []

    def slow(self):
        self.runs.append(1)
        self.assertTrue(self.go.wait(60))
        return True

    def together(self, function, number=5):
        """Call it from several threads; the first returns when all others wait for it."""
        self.go.clear()
        flights = single_flight.SingleFlight(SharedClock(number - 1, self.go.set))
        results = []

        def one():
            try:
                results.append(flights.run(('i', 's'), function, 10))
            except BaseException as error:
                results.append(error)
        threads = [threading.Thread(target=one) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_all_that_want_the_same_share_one_wait(self):
        self.assertEqual([True] * 5, self.together(self.slow))
        self.assertEqual(1, len(self.runs))

    def test_all_get_the_error_of_the_one(self):
        def fail():
            self.slow()
            raise exceptions.CopyFailed(image_id='i', store='s', why='it is broken')
        results = self.together(fail)
        self.assertEqual({'Image i is not in the store s: it is broken.'},
                         {str(result) for result in results})
        self.assertEqual((5, 1), (len({id(result) for result in results}), len(self.runs)))

    def test_error_that_concerns_one_requester_is_not_the_others(self):
        for error in (exceptions.NotAllowed, exceptions.ImageGone, exceptions.QuotaExceeded):
            del self.runs[:]

            def first_fails(kind=error):
                self.slow()
                if len(self.runs) == 1:
                    raise kind(image_id='i', store='s', why='the token has expired')
                return True
            results = self.together(first_fails)
            self.assertEqual(4, results.count(True))
            self.assertEqual(1, len([one for one in results if isinstance(one, error)]))

    def joined(self, late, ending):
        """Return what a caller gets that joins a wait of 60 seconds so late; it has 100 seconds itself."""
        asleep, results = threading.Event(), []
        now = SharedClock(1, asleep.set)
        flights = single_flight.SingleFlight(now)

        def follow():
            try:
                results.append(flights.run(('i', 's'), lambda: 'its own', 100))
            except exceptions.WaitEnded as error:
                results.append(error.kwargs['why'])
        follower = threading.Thread(target=follow)

        def lead():
            now.now += late
            follower.start()
            self.assertTrue(asleep.wait(60))
            now.now += 60 - late
            raise ending
        self.assertRaises(type(ending), flights.run, ('i', 's'), lead, 100)
        follower.join()
        return results

    def test_time_that_is_up_is_up_for_those_that_waited_nearly_as_long(self):
        for late in (0, 6):
            self.assertEqual(['it is up'], self.joined(
                late, exceptions.WaitEnded(image_id='i', store='s', why='it is up')))

    def test_one_that_came_later_has_its_own_time(self):
        for late in (7, 59):
            self.assertEqual(['its own'], self.joined(
                late, exceptions.WaitEnded(image_id='i', store='s', why='it is up')))

    def test_thread_that_is_ended_late_takes_nobodys_time(self):
        self.assertEqual(['its own'], self.joined(0, GeneratorExit()))

    def test_a_check_ends_the_wait_of_its_caller_and_of_nobody_else(self):
        flights, began, results = single_flight.SingleFlight(clock.Clock()), threading.Event(), []

        def slow():
            began.set()
            return self.slow()

        def gone():
            raise KeyError('the caller is not needed any more')
        first = threading.Thread(target=lambda: results.append(flights.run(('i', 's'), slow, 10)))
        first.start()
        began.wait()
        self.assertRaises(KeyError, flights.run, ('i', 's'), slow, 10, gone)
        self.go.set()
        first.join()
        self.assertEqual(([True], 1), (results, len(self.runs)))

    def test_a_thread_that_is_ended_from_outside_does_not_end_the_others(self):
        def first_is_ended():
            self.slow()
            if len(self.runs) == 1:
                raise GeneratorExit()
            return True
        results = self.together(first_is_ended, 3)
        self.assertEqual([GeneratorExit, bool, bool], sorted((type(one) for one in results), key=str))

    def test_the_next_one_runs_anew(self):
        self.go.set()
        flights = single_flight.SingleFlight(clock.Clock())
        flights.run(('i', 's'), self.slow, 10)
        flights.run(('i', 's'), self.slow, 10)
        self.assertEqual(2, len(self.runs))

    def test_a_caller_does_not_wait_for_another_without_a_limit(self):
        now = clock.Clock()
        flights, began, inner = single_flight.SingleFlight(now), threading.Event(), []

        def slow():
            began.set()
            return self.slow()
        thread = threading.Thread(target=lambda: inner.append(flights.run(('i', 's'), slow, 10)))
        thread.start()
        self.assertTrue(began.wait(60))
        self.assertRaises(exceptions.WaitEnded, flights.run, ('i', 's'), slow, 30)
        self.assertTrue(30 <= now.now <= 31, now.now)
        self.go.set()
        thread.join()
        self.assertEqual([True], inner)
