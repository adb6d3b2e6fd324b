# SPDX-License-Identifier: Apache-2.0
"""Builds the distribution. pbr reads the rest from setup.cfg."""

import os
import re

import setuptools

#: Where files of this repository can be read in a browser: https://example.org/hooks/blob/1.0, say.
#: A build that sets this variable gives the project's pages on a package index their links.
URL = os.environ.get('MULTISTORE_HOOKS_URL', '').rstrip('/')
#: The first setuptools that writes License-Expression (PEP 639); an older one writes License from setup.cfg.
HAS_EXPRESSIONS = 77
_TARGET = re.compile(r'^\.\. _([^:]+): (?!https?:)(\S+)\n', re.MULTILINE)


def description(url: str) -> str:
    """Return README without links that lead nowhere outside of a checkout.

    :param url: is put before each relative link; '': the links become plain text
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'README.rst')
    with open(path, encoding='utf-8') as readme:
        text = readme.read()
    if url:
        return _TARGET.sub(r'.. _\1: %s/\2' % url + '\n', text)
    for name, _path in _TARGET.findall(text):
        # A name may be broken into two lines.
        pattern = '`%s`_' % r'\s+'.join(map(re.escape, name.split()))
        mark = '``' if '/' in name or '.' in name else ''
        text = re.sub(pattern, lambda found: mark + found.group()[1:-2] + mark, text)
    return _TARGET.sub('', text)


arguments = {'long_description': description(URL)}
if URL:
    arguments.update(url=URL, project_urls={'Source': URL, 'Documentation': URL + '/doc/source/index.rst'})
if int(setuptools.__version__.split('.')[0]) >= HAS_EXPRESSIONS:
    arguments['license_expression'] = 'Apache-2.0'
setuptools.setup(setup_requires=['pbr>=5.4.3'], pbr=True, **arguments)
