# SPDX-License-Identifier: Apache-2.0
"""What the hooks know of Glance. Imports no service."""
