# SPDX-License-Identifier: Apache-2.0
"""Builds the distribution. pbr reads the rest from setup.cfg."""

import os

import setuptools

#: Where this repository can be read in a browser. A build that sets the variable puts it into the metadata.
URL = os.environ.get('MULTISTORE_HOOKS_URL', '').rstrip('/')
#: The first setuptools that writes License-Expression (PEP 639); an older one writes License from setup.cfg.
HAS_EXPRESSIONS = 77

arguments = {}
if URL:
    arguments.update(url=URL, project_urls={'Source': URL})
if int(setuptools.__version__.split('.')[0]) >= HAS_EXPRESSIONS:
    arguments['license_expression'] = 'Apache-2.0'
setuptools.setup(setup_requires=['pbr>=5.4.3'], pbr=True, **arguments)
