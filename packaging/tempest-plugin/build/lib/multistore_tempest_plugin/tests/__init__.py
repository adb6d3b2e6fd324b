# SPDX-License-Identifier: Apache-2.0
"""The tests; tempest finds them."""
