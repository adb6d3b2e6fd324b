# SPDX-License-Identifier: Apache-2.0
"""The tests that a page for contributors names exist."""

import glob
import os
import re

import testtools

from tests import documentation


class NamedTestsTest(testtools.TestCase):

    def test_tests_that_a_page_names_exist(self):
        there = set()
        for path in glob.glob(os.path.join(documentation.ROOT, 'tests', '**', '*.py'), recursive=True):
            there.add(os.path.splitext(os.path.basename(path))[0])
            with open(path, encoding='utf-8') as stream:
                there.update(re.findall(r'^ +def (test_\w+)', stream.read(), re.MULTILINE))
        named = {}
        pages = os.path.join(documentation.ROOT, 'doc', 'source', 'contributor', '*.rst')
        for path in sorted(glob.glob(pages)):
            with open(path, encoding='utf-8') as stream:
                named.update(dict.fromkeys(re.findall(r'\btest_\w+', stream.read()), os.path.basename(path)))
        self.assertGreater(len(named), 30)
        self.assertEqual({}, {name: page for name, page in named.items() if name not in there})
