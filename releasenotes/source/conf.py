# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the release notes from releasenotes/notes."""

project = 'multistore-hooks release notes'
copyright = 'the multistore-hooks contributors'
master_doc = 'index'
extensions = ['openstackdocstheme', 'reno.sphinxext']
html_theme = 'openstackdocs'
pygments_style = 'native'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
