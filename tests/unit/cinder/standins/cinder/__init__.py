# SPDX-License-Identifier: Apache-2.0
"""Stands in for Cinder where it is not installed: what the hooks use of it, as small as it can be.

The functional tests, which run with real services, show that Cinder behaves so.
"""
