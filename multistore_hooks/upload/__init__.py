# SPDX-License-Identifier: Apache-2.0
"""Which store an upload goes to, and sending it there."""
