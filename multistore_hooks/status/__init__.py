# SPDX-License-Identifier: Apache-2.0
"""``multistore-status upgrade check``: what is read (facts) and what is judged (checks)."""
