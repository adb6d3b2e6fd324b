# SPDX-License-Identifier: Apache-2.0
"""The store driver for images on Cinder volumes; glance_store loads it from the module ``store``."""
