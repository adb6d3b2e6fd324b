# SPDX-License-Identifier: Apache-2.0
"""Rules on the pages are valid, and the one about stores has every key of the language."""

import textwrap

import yaml

from multistore_hooks.stores import rules_file
from tests import documentation
from tests.unit.stores import base

PAGE = 'doc/source/stores.rst'


class PageTest(base.RulesTestCase):

    def test_rules_of_the_page_are_valid(self):
        for page in (PAGE, 'doc/source/two_sites.rst'):
            loaded = 0
            for block in documentation.blocks(page, documentation.read(page)):
                if '\nrules:' in block.text:
                    self.load(textwrap.dedent(block.text))
                    loaded += 1
            self.assertEqual(1, loaded, page)

    def test_every_yaml_block_is_yaml(self):
        for block in documentation.blocks(PAGE, documentation.read(PAGE)):
            if block.text.startswith(('- name:', 'groups:')):
                self.assertIsNotNone(yaml.safe_load(block.text))

    def test_every_key_of_the_language_is_explained(self):
        text, schema = documentation.read(PAGE), rules_file.schema()
        keys = set(schema['properties']) - {'rules'}
        for name in ('match', 'rule'):
            keys |= set(schema['definitions'][name]['properties'])
        missing = [key for key in sorted(keys) if '``%s' % key not in text]
        self.assertEqual([], missing)
