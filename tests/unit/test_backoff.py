# SPDX-License-Identifier: Apache-2.0
"""Tests of the one way to wait."""

import testtools

from multistore_hooks import backoff
from tests import clock


class PollsTest(testtools.TestCase):

    def polls(self, *args, **kwargs):
        return list(backoff.polls(*args, clock=clock.Clock(), **kwargs))

    def test_no_limit_means_one_poll(self):
        self.assertEqual([0.0], self.polls(0, 10))

    def test_the_first_poll_is_at_once_and_the_last_at_the_limit(self):
        waited = self.polls(30, 5)
        self.assertEqual((0.0, 30.0), (waited[0], waited[-1]))

    def test_pauses_are_a_tenth_of_the_time_waited_within_limits(self):
        waited = self.polls(1000, 15)
        pauses = [round(after - before, 6) for before, after in zip(waited, waited[1:])]
        self.assertEqual(0.75, pauses[0])
        self.assertEqual(15, max(pauses))
        for before, pause in list(zip(waited, pauses))[:-1]:
            self.assertAlmostEqual(min(max(0.75, before / 10), 15), pause, 4)

    def test_a_longest_below_the_shortest_does_not_poll_faster(self):
        self.assertEqual([0.0, 0.75, 1.5, 2.0], self.polls(2, 0.1))

    def test_what_the_caller_does_counts_as_waiting(self):
        time, waited = clock.Clock(), []
        for seconds in backoff.polls(10, 5, clock=time):
            waited.append(seconds)
            time.now += 4    # a slow response
        self.assertEqual([0.0, 4.75, 9.625], waited)
