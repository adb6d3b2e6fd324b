# SPDX-License-Identifier: Apache-2.0
"""Tests for tempest: images of a real cloud are in the stores that they were meant for."""
