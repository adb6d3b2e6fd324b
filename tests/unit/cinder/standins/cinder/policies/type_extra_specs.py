# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.policies.type_extra_specs."""

CREATE_POLICY = 'volume_extension:types_extra_specs:create'
UPDATE_POLICY = 'volume_extension:types_extra_specs:update'
