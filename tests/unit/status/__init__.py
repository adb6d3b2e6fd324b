# SPDX-License-Identifier: Apache-2.0
"""The checks of multistore-status, each decision by itself."""
