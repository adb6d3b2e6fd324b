# SPDX-License-Identifier: Apache-2.0
"""Put here by multistore-hooks, for compute_driver = multistore.LibvirtDriver."""
from multistore_hooks.nova.driver import LibvirtDriver  # noqa: F401
