# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the documentation; `tox -e docs` does it, with warnings as errors."""

project = 'multistore-hooks'
copyright = 'the multistore-hooks contributors'
master_doc = 'index'
extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'sphinx.ext.autodoc',
]
html_theme = 'openstackdocs'
pygments_style = 'native'
# What no directive says the language of, has none.
highlight_language = 'none'

# The name shall be ours: the theme would take it from git's remote.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
