# SPDX-License-Identifier: Apache-2.0
"""The seam to Nova: what ``compute_driver = multistore.LibvirtDriver`` loads."""
