# SPDX-License-Identifier: Apache-2.0
"""Folders of the checkout."""

import os

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: For what runs leave behind: caches and logs. Git ignores it, and ``make clean`` removes it.
BUILD = os.path.join(CHECKOUT, 'build')
