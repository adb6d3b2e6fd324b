# SPDX-License-Identifier: Apache-2.0
"""One wait for all who want the same."""

import threading

import testtools

from multistore_hooks.copy import single_flight
from multistore_hooks import exceptions


class SingleFlightTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.flights = single_flight.SingleFlight()
        self.go, self.runs = threading.Event(), []

    def slow(self):
        self.runs.append(1)
        self.go.wait(10)
        return True

    def together(self, function, number=5):
        results = []

        def one():
            try:
                results.append(self.flights.run(('i', 's'), function, 10))
            except Exception as error:
                results.append(error)
        threads = [threading.Thread(target=one) for _ in range(number)]
        for thread in threads:
            thread.start()
        while not self.runs:
            pass
        threading.Timer(0.2, self.go.set).start()
        for thread in threads:
            thread.join()
        return results

    def test_all_who_want_the_same_share_one_wait(self):
        self.assertEqual([True] * 5, self.together(self.slow))
        self.assertEqual(1, len(self.runs))

    def test_all_get_the_error_of_the_one(self):
        def fail():
            self.slow()
            raise exceptions.CopyFailed(image_id='i', store='s', why='it is broken')
        self.assertEqual({'Image i is not in the store s: it is broken.'},
                         {str(result) for result in self.together(fail)})

    def test_failure_of_one_who_may_not_is_not_the_others(self):
        for personal in (exceptions.NotAllowed, exceptions.ImageGone):
            del self.runs[:]
            self.go.clear()

            def first_fails(kind=personal):
                self.slow()
                if len(self.runs) == 1:
                    raise kind(image_id='i', store='s', why='the token has expired')
                return True
            results = self.together(first_fails)
            self.assertEqual(4, results.count(True))
            self.assertEqual(1, len([one for one in results if isinstance(one, personal)]))

    def test_a_thread_that_is_ended_from_outside_does_not_end_the_others(self):
        def killed():
            self.slow()
            raise GeneratorExit()
        threads, results = [], []

        def one():
            try:
                self.flights.run(('i', 's'), killed, 10)
            except BaseException as error:
                results.append(type(error))
        for _ in range(3):
            threads.append(threading.Thread(target=one))
            threads[-1].start()
        while not self.runs:
            pass
        threading.Timer(0.2, self.go.set).start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted([GeneratorExit, exceptions.CopyFailed, exceptions.CopyFailed], key=str),
                         sorted(results, key=str))

    def test_the_next_one_flies_anew(self):
        self.go.set()
        self.flights.run(('i', 's'), self.slow, 10)
        self.flights.run(('i', 's'), self.slow, 10)
        self.assertEqual(2, len(self.runs))

    def test_who_waits_for_another_does_not_wait_for_ever(self):
        self.addCleanup(self.go.set)
        threading.Thread(target=self.flights.run, args=(('i', 's'), self.slow, 10)).start()
        while not self.runs:
            pass
        self.assertRaises(exceptions.CopyFailed, self.flights.run, ('i', 's'), self.slow, 0.05)
