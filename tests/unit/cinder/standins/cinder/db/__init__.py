# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.db, of which 2026.2 exports nothing."""
