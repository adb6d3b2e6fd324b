# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/releases.py``: every release that the library is proved on."""
