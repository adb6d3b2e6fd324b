# SPDX-License-Identifier: Apache-2.0
"""Stands for glance_store.exceptions."""


class BackendException(Exception):
    """Becomes a 500."""


class GlanceStoreException(Exception):
    """Base of the others."""

    def __init__(self, message=None, **kwargs):
        super().__init__(message or ' '.join('%s=%s' % pair for pair in sorted(kwargs.items())))


class NotFound(GlanceStoreException):
    pass


class Forbidden(GlanceStoreException):
    pass


class Invalid(GlanceStoreException):
    pass


class BadStoreUri(GlanceStoreException):
    pass


class BadStoreConfiguration(GlanceStoreException):
    pass


class StorageFull(GlanceStoreException):
    pass


class StorageWriteDenied(GlanceStoreException):
    pass


class InUseByStore(GlanceStoreException):
    pass


class HasSnapshot(GlanceStoreException):
    pass


class StoreAddDisabled(GlanceStoreException):
    pass
