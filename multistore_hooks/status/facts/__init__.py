# SPDX-License-Identifier: Apache-2.0
"""What the checks decide on: configuration files, this host, Glance."""
