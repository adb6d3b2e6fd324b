# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.db."""
