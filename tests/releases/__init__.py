# SPDX-License-Identifier: Apache-2.0
"""The proof for each release of Nova, Cinder and Glance; run by ``tools/releases.py``."""
