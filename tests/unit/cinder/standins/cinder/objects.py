# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.objects."""

from cinder import exception


class VolumeType:
    name = None

    def __init__(self, extra_specs):
        self.extra_specs = extra_specs


def register_all():
    pass


class Volume:
    """``by_id`` are the volumes of a test, or what is raised for them."""

    by_id = {}

    @classmethod
    def get_by_id(cls, context, volume_id):
        if volume_id not in cls.by_id:
            raise exception.VolumeNotFound(volume_id=volume_id)
        found = cls.by_id[volume_id]
        if isinstance(found, Exception):
            raise found
        return found
