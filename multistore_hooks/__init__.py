# SPDX-License-Identifier: Apache-2.0
"""Hooks that make Nova, Cinder and Glance use several Glance stores."""
