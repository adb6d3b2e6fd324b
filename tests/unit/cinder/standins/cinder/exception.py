# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.exception."""


class CinderException(Exception):
    message = 'An unknown exception occurred.'

    def __init__(self, message=None, **kwargs):
        if message is None:
            message = self.message % kwargs
        self.msg = str(message)
        super().__init__(self.msg)


class NotFound(CinderException):
    message = 'Resource could not be found.'


class Invalid(CinderException):
    message = 'Unacceptable parameters.'


class NotAuthorized(CinderException):
    message = 'Not authorized.'


class ImageNotFound(NotFound):
    message = 'Image %(image_id)s could not be found.'


class VolumeNotFound(NotFound):
    message = 'Volume %(volume_id)s could not be found.'


class ImageNotAuthorized(CinderException):
    message = 'Not authorized for image %(image_id)s.'


class ImageUnacceptable(Invalid):
    message = 'Image %(image_id)s is unacceptable: %(reason)s'


class ImageCompressionNotAllowed(CinderException):
    message = 'Image compression upload disallowed'


class ImageLimitExceeded(CinderException):
    message = 'Image quota exceeded'


class GlanceConnectionFailed(CinderException):
    message = 'Connection to glance failed: %(reason)s'


class VolumeTypeNotFound(NotFound):
    message = 'Volume type %(volume_type_id)s could not be found.'


class VolumeDriverException(CinderException):
    message = 'Volume driver reported an error: %(message)s'
