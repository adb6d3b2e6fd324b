# SPDX-License-Identifier: Apache-2.0
"""How the functional tests are dealt out to stestr's workers: none is forgotten, labs stay together."""

import glob
import json
import os
import re
import sys

import testtools

from tests.functional import shared

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tools'))
import workers  # noqa: E402


class WorkersTest(testtools.TestCase):

    def test_every_module_is_one_workers(self):
        there = {os.path.basename(path)[:-3] for path in glob.glob(
            os.path.join(os.path.dirname(__file__), 'test_*.py'))}
        for count in (1, 2, 3, 4):
            path = os.path.join(shared.folder('workers'), 'workers.json')
            workers.write(path, count)
            with open(path, encoding='utf-8') as stream:
                found = json.load(stream)
            self.assertEqual(count, len(found))
            for module in there:
                test = 'tests.functional.%s.SomeTest.test_it' % module
                self.assertEqual(1, sum(bool(re.search(expression, test))
                                        for worker in found for expression in worker['worker']), module)

    def test_modules_with_a_lab_in_common_are_one_workers(self):
        for worker in workers.deal(workers.modules(), 3):
            for group in workers.TOGETHER:
                self.assertIn(len(set(group) & set(worker)), (0, len(group)))

    def test_a_module_that_is_not_listed_is_run(self):
        self.assertEqual([['test_of_tomorrow']], workers.deal(['test_of_tomorrow'], 3))

    def test_what_is_listed_is_there(self):
        listed = set(workers.SECONDS).union(*workers.TOGETHER)
        self.assertEqual(set(), listed - set(workers.modules()))

    def test_they_end_together(self):
        seconds = [workers._seconds(worker) for worker in workers.deal(workers.modules(), 3)]
        self.assertLess(max(seconds) - min(seconds), 60)
