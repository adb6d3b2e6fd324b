# SPDX-License-Identifier: Apache-2.0
"""The tempest plugin in the real tempest; without a cloud."""
