# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the documentation; `tox -e docs` does it, with warnings as errors."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'ext'))

project = 'multistore-hooks'
copyright = 'the multistore-hooks contributors'
master_doc = 'index'
extensions = [
    'commands',
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'sphinx.ext.autodoc',
]
html_theme = 'openstackdocs'
html_static_path = ['_static']
html_css_files = ['tables.css']
pygments_style = 'native'
# What no directive says the language of, has none.
highlight_language = 'none'
# Quotes and points, but no dashes: in a command's help '--wait' is an option.
smartquotes_action = 'qe'

# The name shall be ours: the theme would take it from git's remote.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False

autoprogram_cliff_application = 'multistore-hooks'
