# SPDX-License-Identifier: Apache-2.0
"""The documentation's table of glance_store's options for volumes is that of the installed release."""

import importlib.metadata
import importlib.util
import os
import re

import testtools

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                    'doc', 'source', 'volume_store.rst')
TABLE = re.compile(r'the left column are those of glance_store\s+([0-9.]+)\.\n(.*?)\nHow it', re.DOTALL)
OPTION = re.compile(r'``(\w+)``\s+\(([^)]*)\)')


def default_of(option):
    """Return an option's default in the words of the page."""
    if option.default is None:
        return 'none'
    if isinstance(option.default, (bool, int)):
        return str(option.default).lower()
    return '``%s``' % option.default


class OptionsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        if not importlib.util.find_spec('glance_store'):
            self.skipTest('not installed here: glance_store')
        with open(PAGE, encoding='utf-8') as stream:
            self.version, table = TABLE.search(stream.read()).groups()
        rows = re.split(r'\n +\* - ', table)[2:]
        # The first column of each row: up to where the second begins.
        self.named = dict(pair for row in rows for pair in OPTION.findall(re.split(r'\n +- ', row)[0]))

    def test_each_option_is_in_the_table_with_its_default_and_no_other_is(self):
        from glance_store._drivers.cinder import store
        self.assertEqual({option.dest: default_of(option) for option in store._CINDER_OPTS}, self.named)

    def test_the_table_is_of_the_installed_release(self):
        self.assertEqual(importlib.metadata.version('glance_store'), self.version)

    def test_what_replaces_an_option_is_an_option_of_ours_or_keystoneauths(self):
        from keystoneauth1 import loading
        from multistore_hooks.volume_store import options
        known = {option.dest for option in options.OPTS}
        known |= {option.dest for option in loading.get_session_conf_options()
                  + loading.get_adapter_conf_options() + loading.get_auth_common_conf_options()}
        for kind in ('v3password', 'v3applicationcredential', 'password'):
            known |= {option.dest for option in loading.get_auth_plugin_conf_options(kind)}
        with open(PAGE, encoding='utf-8') as stream:
            rows = re.split(r'\n +\* - ', TABLE.search(stream.read()).group(2))[2:]
        ours = {name.replace('-', '_') for row in rows
                for name in re.findall(r'``([a-z_]+)(?: = \w+)?``', re.split(r'\n +- ', row)[1])}
        values = {'auto'}
        self.assertEqual(set(), ours - known - values)
        self.assertLess(20, len(ours))
