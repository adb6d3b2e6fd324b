# SPDX-License-Identifier: Apache-2.0
"""The seam to Cinder: the classes that cinder.conf names."""
