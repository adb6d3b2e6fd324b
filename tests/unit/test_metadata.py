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


def metadata():
    """Return setup.cfg's section of that name."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(os.path.join(documentation.ROOT, 'setup.cfg'), encoding='utf-8')
    return setup['metadata']


class DescriptionTest(testtools.TestCase):
    """README is also what a package index shows, which has no other file of the repository."""

    def test_it_has_no_link_into_the_checkout(self):
        readme = documentation.read('README.rst')
        self.assertEqual('README.rst', metadata()['description_file'])
        self.assertEqual([], re.findall(r'(?<!`)`[^`]+`_|^\.\. _.*', readme, re.MULTILINE))

    def test_every_file_that_it_names_is_there(self):
        named = set(re.findall(r'``((?:doc/source|[A-Z]+\.rst)[^`]*)``', documentation.read('README.rst')))
        self.assertIn('doc/source/two_sites.rst', named)
        self.assertEqual(set(), {name for name in named
                                 if not os.path.exists(os.path.join(documentation.ROOT, name))})


class AddressTest(testtools.TestCase):

    def test_a_build_can_name_the_projects_address(self):
        arguments = setup_arguments(URL + '/')
        self.assertEqual((URL, {'Source': URL}), (arguments['url'], arguments['project_urls']))

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
