# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.volume.volume_utils."""


def delete_encryption_key(context, key_manager, key):
    key_manager.delete(context, key)
