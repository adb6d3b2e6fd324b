# SPDX-License-Identifier: Apache-2.0
"""Drivers of every shape that Cinder accepts."""


class Driver:
    """A class, as most are."""

    SUPPORTS_ACTIVE_ACTIVE = False

    def __init__(self, configuration=None, **kwargs):
        self.configuration, self.made_with, self.uploads = configuration, kwargs, []
        self.host = kwargs.get('host')

    def check_for_setup_error(self):
        self.checked = True

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        self.uploads.append((volume, image_service, image_meta))
        image_service.update(context, image_meta['id'], {}, b'the data')

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return {}, False


class ActiveActive(Driver):
    SUPPORTS_ACTIVE_ACTIVE = True


class Proxy:
    """Makes a driver of another class, as NetApp's does."""

    def __new__(cls, *args, **kwargs):
        return Driver(*args, app_version='1', **kwargs)


class Meta(type):
    pass


class WithMetaclass(Driver, metaclass=Meta):
    pass


def factory(**kwargs):
    """A function; Cinder accepts any callable."""
    return Driver(**kwargs)


class Sealed:
    """A driver whose class cannot be replaced: its objects have another layout."""

    SUPPORTS_ACTIVE_ACTIVE = True
    __slots__ = ('configuration',)

    def __init__(self, configuration=None, **kwargs):
        self.configuration = configuration
