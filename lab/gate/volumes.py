# SPDX-License-Identifier: Apache-2.0
"""Scenario 4: where the images of volumes go, and what becomes of a wrong store's name."""

import contextlib
import typing

from lab.gate import api
from lab.gate import config
from lab.gate import images
from lab.gate import sites
from lab.poll import LabError

NEAR, FAR = (site.name for site in sites.SITES)
KEY = 'image_service:store_id'


def uploads(cloud: typing.Any, sheet: typing.Any) -> None:
    """Volumes from an image in two stores, uploaded: by no type's word, and by that of one."""
    both = {sites.CENTRAL, NEAR}
    base = cloud.user.make_image('base', cloud.raw, [NEAR])
    images.copy(cloud, base, sites.CENTRAL)
    named = make_type(cloud, 'far', FAR)
    for what, kind, wanted in (('no store named', None, both), ('type names ' + FAR, named, {FAR})):
        volume = make(cloud, imageRef=base, **({'volume_type': kind} if kind else {}))
        with sheet.row(4, 'volume of an image in 2 stores, ' + what) as row:
            image = upload(cloud, volume)
            judge(cloud, row, image, wanted)
        delete_all(cloud, volume, 'upload')
    cloud.admin.call(api.VOLUME, 'DELETE', '/types/' + named)
    images.delete(cloud, [base])


def wrong_store(cloud: typing.Any, sheet: typing.Any) -> None:
    """A type that names a store that does not exist: refused at once, or found out too late."""
    with sheet.row(4, 'new type that names a wrong store') as row:
        kind = None
        with refusal(row):
            kind = make_type(cloud, 'wrong', 'gold')
        if kind:
            row.result = 'made'
        row.expect(not kind, 'it was not refused')
    if kind:
        # Stock Cinder lets it be: what becomes of an upload?
        volume = make(cloud, volume_type=kind)
    else:
        # The store was there when the type was made, and is not any more.
        kind = make_type(cloud, 'wrong', NEAR)
        cloud.mariadb.execute("UPDATE cinder.volume_type_extra_specs SET value = 'gold'"
                              " WHERE volume_type_id = '%s'" % kind)
        volume = make(cloud, volume_type=kind)
    with sheet.row(4, 'upload to a wrong store') as row:
        with refusal(row):
            image = upload(cloud, volume)
            row.result = cloud.admin.image(image)['status']
            row.failures.append('it was not refused')
        row.expect('refused' in row.result, 'not refused, but: ' + row.result)
        row.expect(not cloud.user.images('upload'), 'a record without data is left behind')
    delete_all(cloud, volume, 'upload')
    cloud.admin.call(api.VOLUME, 'DELETE', '/types/' + kind)


@contextlib.contextmanager
def refusal(row: typing.Any) -> typing.Iterator[None]:
    """Have a refusal be a row's result."""
    try:
        yield
    except api.Refused as error:
        row.result = 'refused, %d' % error.status
        row.notes.append(str(error))
    except LabError as error:
        row.result = 'failed later'
        row.notes.append(str(error))


def judge(cloud: typing.Any, row: typing.Any, image: str, wanted: typing.Set[str]) -> None:
    """Wait for the image to be where it belongs; say where it is."""
    with contextlib.suppress(LabError):
        # Into all but the first store it is copied afterwards.
        cloud.admin.wait('copies', lambda: cloud.admin.stores(image) >= wanted,
                         60 if cloud.mode.filter else 0)
    row.stop()
    where = cloud.admin.stores(image)
    row.result = ','.join(sorted(where)) or 'nowhere'
    row.expect(where == wanted, 'it is in %s, not in %s' % (row.result, ','.join(sorted(wanted))))
    with open(cloud.raw, 'rb') as stream:
        data = stream.read()
    if cloud.user.head_of(image, len(data)) != data:
        row.result += ', bytes WRONG'
        row.failures.append('its bytes are not those of the volume')


def make_type(cloud: typing.Any, name: str, store: str) -> str:
    """Make a volume type that names a store; return its id."""
    return str(cloud.admin.call(api.VOLUME, 'POST', '/types', {'volume_type': {
        'name': name, 'extra_specs': {KEY: store}}})['volume_type']['id'])


def delete_types(cloud: typing.Any) -> None:
    """Delete all volume types but Cinder's own."""
    for kind in cloud.admin.call(api.VOLUME, 'GET', '/types')['volume_types']:
        if kind['name'] != '__DEFAULT__':
            cloud.admin.call(api.VOLUME, 'DELETE', '/types/' + kind['id'])


def make(cloud: typing.Any, **content: typing.Any) -> str:
    """Make a volume of 1 GiB; return its id when it is there."""
    volume = request(cloud, **content)
    wait(cloud, volume)
    return volume


def request(cloud: typing.Any, **content: typing.Any) -> str:
    """Request a volume of 1 GiB; return its id, not waiting for it."""
    return str(cloud.user.call(api.VOLUME, 'POST', '/volumes', {
        'volume': {'size': 1, 'availability_zone': NEAR, **content}})['volume']['id'])


def wait(cloud: typing.Any, volume: str) -> None:
    """Wait until a volume is available."""
    def settled() -> typing.Any:
        status = cloud.user.call(api.VOLUME, 'GET', '/volumes/' + volume)['volume']['status']
        return status if status == 'available' or status.startswith('error') else None
    status = cloud.user.wait('volume', settled)
    if status != 'available':
        raise LabError('the volume is in ' + status)


def disk(volume: str) -> str:
    """Return a volume's place in its site's cluster."""
    return '%s/volume-%s' % (config.VOLUMES, volume)


def upload(cloud: typing.Any, volume: str) -> str:
    """Upload a volume as an image; return the image's id when it is active.

    :raises Refused: at once
    :raises LabError: later
    """
    image = str(cloud.user.call(api.VOLUME, 'POST', '/volumes/%s/action' % volume, {
        'os-volume_upload_image': {'image_name': 'upload', 'disk_format': 'raw',
                                   'container_format': 'bare', 'force': False}})[
                                       'os-volume_upload_image']['image_id'])
    wait(cloud, volume)
    try:
        status = cloud.user.image(image)['status']
    except api.Refused:
        status = 'gone'
    if status != 'active':
        raise LabError('the image is %s' % status)
    return image


def delete(cloud: typing.Any, volume: str) -> None:
    """Delete a volume with its snapshots, and wait until it is gone."""
    for snapshot in cloud.admin.call(
            api.VOLUME, 'GET', '/snapshots?all_tenants=1&volume_id=' + volume)['snapshots']:
        cloud.admin.call(api.VOLUME, 'DELETE', '/snapshots/' + snapshot['id'])

    def gone() -> bool:
        try:
            record = cloud.admin.call(api.VOLUME, 'GET', '/volumes/' + volume)['volume']
            if record['status'] != 'deleting':
                cloud.admin.call(api.VOLUME, 'DELETE', '/volumes/' + volume)
        except api.Refused as error:
            return error.status == 404      # another refusal: a snapshot is going
        return False
    try:
        cloud.admin.wait('end of the volume', gone, 60)
    except LabError:
        # Stock cinder-volume can hold a volume open whose upload has failed; Ceph then calls it busy.
        cloud.services.restart('cinder-volume')
        cloud.admin.wait('end of the volume', gone, 90)


def delete_all(cloud: typing.Any, volume: str, name: str) -> None:
    """Delete a volume, and the images of a name."""
    delete(cloud, volume)
    images.delete(cloud, [one['id'] for one in cloud.user.images(name)])
