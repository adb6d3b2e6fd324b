# SPDX-License-Identifier: Apache-2.0
"""glance_store's errors for the driver's own."""

import contextlib
import errno
from typing import Any
from typing import Iterator

from glance_store import exceptions
from oslo_log import log as logging

from multistore_hooks.volume_store import cinder_client
from multistore_hooks.volume_store import deletion
from multistore_hooks.volume_store import errors

LOG = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def translated(store: str, what: str, name: str) -> Iterator[None]:
    """Turn the driver's errors into glance_store's; others, such as those of the data's source, pass.

    :param what: a verb.
    :param name: the image or the volume that it is done to.
    """
    try:
        yield
    except deletion.InUse as error:
        raise exceptions.InUseByStore() from error
    except deletion.HasSnapshot as error:
        raise exceptions.HasSnapshot() from error
    except errors.VolumeStoreError as error:
        LOG.error('Store %(store)s cannot %(what)s %(name)s: %(error)s',
                  {'store': store, 'what': what, 'name': name, 'error': error})
        raise translate(error, name) from error


def translate(error: errors.VolumeStoreError, name: str) -> Any:
    """Return glance_store's error for one of the driver's."""
    if isinstance(error, cinder_client.NotFound) and '/volumes/' in error.kwargs['request']:
        return exceptions.NotFound(image=name)
    if isinstance(error, (cinder_client.OverQuota, errors.NoBackend)):
        return exceptions.StorageFull(message=str(error))
    if isinstance(error, errors.NotAnImage):
        return exceptions.Forbidden(message=str(error))
    if isinstance(error, (errors.WrongSize, errors.BadRange)):
        return exceptions.Invalid(message=str(error))
    if isinstance(error, errors.DeviceError) and error.errno in _FULL:
        return exceptions.StorageFull(message=str(error))
    if isinstance(error, errors.DeviceError) and error.errno in _DENIED:
        return exceptions.StorageWriteDenied(message=str(error))
    return exceptions.BackendException(str(error))
