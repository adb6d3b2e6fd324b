# SPDX-License-Identifier: Apache-2.0
"""Tests of the Cinder seam, on light stand-ins of Cinder's classes or on Cinder's where it is installed."""

import importlib.util
import os
import sys

#: Cinder itself is installed.
REAL = importlib.util.find_spec('cinder') is not None
if not REAL:
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'standins'))

# As Cinder's own services begin: some of its modules import one another.
objects = importlib.import_module('cinder.objects')
objects.register_all()
