# SPDX-License-Identifier: Apache-2.0
"""Images as the scenarios need them: copied between stores, deleted."""

import typing

from lab.gate import api


def copy(cloud: typing.Any, image: str, *stores: str) -> None:
    """Have Glance copy an image into stores, and wait for it."""
    cloud.admin.call(api.IMAGE, 'POST', '/v2/images/%s/import' % image, {
        'method': {'name': 'copy-image'}, 'stores': list(stores), 'all_stores_must_succeed': True})
    cloud.admin.wait('copy', lambda: cloud.admin.stores(image) >= set(stores))
    cloud.admin.wait('end of the copy', lambda: not cloud.admin.image(image).get(
        'os_glance_import_task'))


def delete(cloud: typing.Any, image_ids: typing.Iterable[str]) -> None:
    """Delete images; Glance refuses for a moment while a clone is going."""
    for image_id in image_ids:
        def gone(image_id: str = image_id) -> bool:
            try:
                cloud.admin.call(api.IMAGE, 'DELETE', '/v2/images/' + image_id)
            except api.Refused as error:
                return error.status == 404
            return True
        cloud.admin.wait('end of image ' + image_id, gone, 30)
