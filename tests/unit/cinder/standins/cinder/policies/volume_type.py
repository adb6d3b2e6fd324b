# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.policies.volume_type of a release that has no policy for all changes any more."""

CREATE_POLICY = 'volume_extension:type_create'
