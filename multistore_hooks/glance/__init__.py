# SPDX-License-Identifier: Apache-2.0
"""The seam to Glance: the paste filter that glance-api-paste.ini names."""
