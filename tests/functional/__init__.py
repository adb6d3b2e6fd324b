# SPDX-License-Identifier: Apache-2.0
"""Tests with the real services."""

from lab import forks

forks.use()
