# SPDX-License-Identifier: Apache-2.0
"""Tests that try every case there is, and say the same on every Python."""

import os

import testtools

#: Decorates a test, or a class of tests, that need not be run again on another Python; see tox.ini.
on_one_python = testtools.skipIf(os.environ.get('EXHAUSTIVE_TESTS') == '0',
                                 'exhaustive: runs in tox -e py311, or with EXHAUSTIVE_TESTS=1')
