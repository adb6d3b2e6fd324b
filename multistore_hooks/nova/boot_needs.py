# SPDX-License-Identifier: Apache-2.0
"""What a boot needs of a site image, and whether its user may have it, with the user's own rights."""

from typing import Any
from typing import Dict
from typing import NamedTuple
from typing import Optional

from nova import conf
from nova import exception

from multistore_hooks.ceph import site_image_record
from multistore_hooks.glance_api import api
from multistore_hooks.nova import image_api

CONF = conf.CONF

#: Seconds of one request to Glance.
REQUEST_SECONDS = 30
#: The bytes that a host requests to learn whether the user may download the image.
_ONE_BYTE = {'Range': 'bytes=0-0'}


class Wanted(NamedTuple):
    """What a boot needs."""

    image_id: str
    record: api.Image
    requirement: site_image_record.Requirement
    trusted_certs: Any


def wanted_for(context: Any, image_id: str, trusted_certs: Any) -> Wanted:
    """Read the record of an image with the user's rights; whether it may be downloaded is not checked.

    :raises nova.exception.ImageUnacceptable: no site image serves this boot; Nova's own way says why.
    """
    images = image_api.images_for(context, lambda: REQUEST_SECONDS)
    try:
        record = images.image(image_id)
        why = site_image_record.why_not(record.record, CONF.force_raw_images)
        if why:
            raise unacceptable(image_id, 'no site image is made of it: %s' % why)
    except exception.NovaException:
        raise
    except Exception as error:  # Glance's or Keystone's
        raise _refusal(image_id, 'see', error) from error
    verified = bool(CONF.glance.verify_glance_signatures)
    ids = tuple(sorted(trusted_certs.ids)) if verified and trusted_certs else ()
    checksum = str(record.record.get('os_hash_value') or record.record.get('checksum') or '')
    return Wanted(image_id, record, site_image_record.Requirement(checksum, verified, ids), trusted_certs)


def check_download(context: Any, image_id: str) -> None:
    """Check that the user may download an image, before its site image is used.

    :raises nova.exception.ImageUnacceptable: Glance refuses it, or does not respond.
    """
    images = image_api.images_for(context, lambda: REQUEST_SECONDS)

    def request(headers: Optional[Dict[str, str]]) -> None:
        response, _body = images.request('data', 'get', '/v2/images/%s/file' % image_id, raw_headers=headers)
        response.close()  # the body is a stream, of which nothing is read

    try:
        try:
            request(_ONE_BYTE)
        except api.BadRequest:  # most stores cannot read a part: RBD, Swift, S3, HTTP, VMware
            request(None)
    except exception.NovaException:
        raise
    except Exception as error:  # Glance's or Keystone's
        raise _refusal(image_id, 'download', error) from error


def _refusal(image_id: str, verb: str, error: Exception) -> Exception:
    if isinstance(error, (api.Forbidden, api.NotFound)):
        return unacceptable(image_id, 'Glance does not let this user %s it: %s' % (verb, error))
    return unacceptable(image_id, 'it is not known whether this user may %s it: %s' % (verb, error))


def unacceptable(image_id: str, reason: str) -> Exception:
    """Return Nova's error for a boot that is left to Nova's own way."""
    return exception.ImageUnacceptable(image_id=image_id, reason=reason)  # type: ignore[no-any-return]
