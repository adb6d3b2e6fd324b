# SPDX-License-Identifier: Apache-2.0
"""The commands, the session they use, their tables and progress bars."""
