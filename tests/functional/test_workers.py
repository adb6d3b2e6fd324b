# SPDX-License-Identifier: Apache-2.0
"""How the functional tests are dealt out to stestr's workers: none is forgotten, labs stay together."""

import glob
import os
import re
import unittest

import testtools
import yaml

FOLDER = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(FOLDER))


class WorkersTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        with open(os.path.join(FOLDER, 'workers.yaml'), encoding='utf-8') as stream:
            self.workers = [[re.compile(text) for text in one['worker']] for one in yaml.safe_load(stream)]

    def workers_of(self, module):
        """Return the numbers of the workers that would run a module's tests."""
        test = 'tests.functional.%s.SomeTest.test_it' % module
        return [number for number, texts in enumerate(self.workers)
                if any(text.search(test) for text in texts)]

    def test_every_module_is_one_workers(self):
        modules = [os.path.basename(path)[:-len('.py')] for path in glob.glob(FOLDER + '/test_*.py')]
        self.assertIn('test_workers', modules)
        for module in modules + ['test_of_tomorrow']:
            self.assertEqual(1, len(self.workers_of(module)), module)

    def test_modules_with_a_lab_in_common_are_one_workers(self):
        for together in (('nova_copy', 'nova_copy_life', 'nova_site_images', 'lab_boot', 'lab_ceph',
                          'status'),
                         ('volume_store', 'volume_store_faults', 'volume_store_losses',
                          'volume_store_owners')):
            self.assertEqual(1, len({self.workers_of('test_' + name)[0] for name in together}), together)

    def test_what_is_named_is_there(self):
        named = {name for texts in self.workers for text in texts
                 for names in re.findall(r'test_\(([^)]*)\)', text.pattern) for name in names.split('|')}
        self.assertIn('volume_store', named)
        self.assertEqual(set(), {name for name in named if not os.path.exists(
            os.path.join(FOLDER, 'test_%s.py' % name))})


class ShortTest(testtools.TestCase):
    """What `make test` runs of the functional tests."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(FOLDER, 'short.txt'), encoding='utf-8') as stream:
            lines = [line.split('#')[0].strip() for line in stream]
        self.chosen = [re.compile(line) for line in lines if line]
        self.tests = list(self.names(unittest.TestLoader().discover(FOLDER, top_level_dir=TOP)))

    def names(self, suite):
        for one in suite:
            if isinstance(one, unittest.TestSuite):
                yield from self.names(one)
            else:
                yield one.id()

    def test_every_line_chooses_tests_that_are_there(self):
        self.assertEqual([], [text.pattern for text in self.chosen
                              if not any(text.search(name) for name in self.tests)])

    def test_every_capability_has_one(self):
        short = [name for name in self.tests if any(text.search(name) for text in self.chosen)]
        self.assertLess(300, len(short))
        for module in ('nova_snapshots', 'nova_copy', 'nova_site_images', 'cinder_uploads', 'cinder_api',
                       'cinder_clone', 'cinder_direct_upload', 'cinder_image_clones', 'volume_store',
                       'volume_kernel', 'stores', 'stores_killed', 'contract', 'documentation', 'devstack'):
            self.assertTrue(any('.test_%s.' % module in name for name in short), module)
