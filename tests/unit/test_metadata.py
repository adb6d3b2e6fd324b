# SPDX-License-Identifier: Apache-2.0
"""What a package index shows of this library: complete, and without links that lead nowhere."""

import configparser
import os
import re
import runpy
from unittest import mock

import setuptools
import testtools

from tests import documentation

URL = 'https://example.org/multistore-hooks/blob/1.0'


def setup_arguments(url='', version='84.0.0'):
    """Return what setup.py hands to setuptools of a version, in an environment with the address."""
    with mock.patch.object(setuptools, 'setup') as setup, \
            mock.patch.object(setuptools, '__version__', version), \
            mock.patch.dict(os.environ, {'MULTISTORE_HOOKS_URL': url}):
        runpy.run_path(os.path.join(documentation.ROOT, 'setup.py'))
    return setup.call_args[1]


def targets(text):
    """Return {name: target} of the links of a text."""
    return dict(re.findall(r'(?m)^\.\. _([^:]+): (\S+)$', text))


def references(text):
    """Return the names that a text links by."""
    return {' '.join(name.split()) for name in re.findall(r'(?<!`)`([^`]+)`_(?!_)', text)}


def metadata():
    """Return setup.cfg's section of that name."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(os.path.join(documentation.ROOT, 'setup.cfg'), encoding='utf-8')
    return setup['metadata']


class DescriptionTest(testtools.TestCase):

    def test_every_link_of_the_readme_has_a_target_that_is_there(self):
        readme = documentation.read('README.rst')
        self.assertEqual(set(targets(readme)), references(readme))
        missing = [target for target in targets(readme).values() if not target.startswith('http')
                   and not os.path.exists(os.path.join(documentation.ROOT, target))]
        self.assertEqual([], missing)

    def test_without_an_address_there_is_no_link_into_the_checkout(self):
        text = setup_arguments()['long_description']
        self.assertEqual((set(), {}), (references(text), targets(text)))
        text = ' '.join(text.split())
        self.assertIn('``doc/source/install`` and ``doc/source/hooks`` cover', text)
        self.assertIn('a walk-through for a centre and two edges,', text)

    def test_with_an_address_every_link_begins_with_it(self):
        arguments = setup_arguments(URL + '/')
        found = targets(arguments['long_description'])
        self.assertEqual(set(targets(documentation.read('README.rst'))), set(found))
        self.assertEqual(set(), {target for target in found.values()
                                 if not target.startswith((URL + '/', 'https:'))})
        self.assertEqual(URL, arguments['url'])
        self.assertEqual({'Source', 'Documentation'}, set(arguments['project_urls']))

    def test_no_address_is_made_up(self):
        self.assertEqual(set(), {'url', 'project_urls'} & set(setup_arguments()))
        self.assertEqual([], [name for name in metadata() if 'url' in name or name == 'home_page'])


class LicenceTest(testtools.TestCase):

    def test_a_setuptools_that_knows_expressions_gets_one(self):
        self.assertEqual('Apache-2.0', setup_arguments(version='77.0.1')['license_expression'])
        for version in ('36.6.0', '57.5.0', '76.1'):    # those would warn of an unknown option
            self.assertNotIn('license_expression', setup_arguments(version=version))

    def test_no_classifier_contradicts_it(self):
        # With an expression setuptools refuses a classifier.
        self.assertNotIn('License ::', metadata()['classifier'])
        self.assertEqual('Apache-2.0', metadata()['license'])


class PythonsTest(testtools.TestCase):

    def test_every_python_that_is_tested_is_classified_and_no_other(self):
        classified = set(re.findall(r'Python :: (3\.\d+)', metadata()['classifier']))
        envlist = re.search(r'py\{([0-9,]+)\}', documentation.read('tox.ini')).group(1)
        self.assertEqual({'3.' + name[1:] for name in envlist.split(',')}, classified)
