# SPDX-License-Identifier: Apache-2.0
"""The lab of the store driver on Cinder volumes; see :mod:`lab.volume_store.lab`."""
