# SPDX-License-Identifier: Apache-2.0
"""Scenario 2: where snapshots go, and that they hold what the guest wrote."""

import time
import typing

from lab.gate import api
from lab.gate import guest
from lab.gate import images
from lab.gate import servers
from lab.gate import sites
from lab.gate import volumes
from lab.poll import LabError

NEAR = sites.SITES[0].name          # the site whose servers are snapshotted
# The record of a snapshot is made before Nova responds; it is looked for a little longer all the same.
RECORD_SECONDS = 5


def image_booted(cloud: typing.Any, sheet: typing.Any) -> None:
    """Snapshot, backup, shelve and unshelve; with direct snapshots, and with those refused."""
    for refuse, how in ((False, 'direct'), (True, 'uploaded')):
        base = cloud.user.make_image('base', cloud.raw, [NEAR])
        with cloud.locations_refused(refuse):
            _all_of(cloud, sheet, base, how)
        images.delete(cloud, [base])


def _all_of(cloud: typing.Any, sheet: typing.Any, base: str, how: str) -> None:
    server, = servers.boot(cloud, NEAR, base)
    record = servers.wait_active(cloud, server)
    wrote = servers.said(cloud, server)
    made = []
    with sheet.row(2, 'snapshot, %s' % how) as row:
        servers.action(cloud, server, 'createImage', name='snapshot')
        made.append(judge(cloud, row, server, 'snapshot', {NEAR}, wrote))
    with sheet.row(2, 'backup, %s' % how) as row:
        servers.action(cloud, server, 'createBackup', name='backup', backup_type='daily', rotation=1)
        made.append(judge(cloud, row, server, 'backup', {NEAR}, wrote))
    servers.wait_active(cloud, server)
    with sheet.row(2, 'shelve, %s' % how) as row:
        servers.action(cloud, server, 'shelve')
        judge(cloud, row, server, record['name'] + '-shelved', {NEAR}, wrote)
        servers.wait_active(cloud, server, 'SHELVED_OFFLOADED')
    with sheet.row(2, 'unshelve, %s' % how) as row:
        servers.action(cloud, server, 'unshelve')
        servers.wait_active(cloud, server)
        again = servers.said(cloud, server, boots=2)
        row.result = 'ACTIVE, its disk %s' % ('kept' if again.clock == wrote.clock else 'LOST')
        row.expect(again.clock == wrote.clock, 'the disk is not the one that was shelved')
        left = cloud.user.images(record['name'] + '-shelved')
        row.expect(not left, 'the image of the shelved server is left behind')
        images.delete(cloud, [one['id'] for one in left])
    servers.delete(cloud, [server])
    images.delete(cloud, made)


def of_deleted_base(cloud: typing.Any, sheet: typing.Any) -> None:
    """Snapshot a server whose base image is deleted; qcow2, as nothing depends on that on RBD."""
    base = cloud.user.make_image('base', cloud.qcow2, [NEAR], disk_format='qcow2')
    server, = servers.boot(cloud, NEAR, base)
    servers.wait_active(cloud, server)
    wrote = servers.said(cloud, server)
    images.delete(cloud, [base])
    made = []
    with sheet.row(2, 'snapshot, base image deleted') as row:
        servers.action(cloud, server, 'createImage', name='orphan')
        made.append(judge(cloud, row, server, 'orphan', {sites.CENTRAL}, wrote))
    servers.delete(cloud, [server])
    images.delete(cloud, made)


def of_volume_booted(cloud: typing.Any, sheet: typing.Any) -> None:
    """Snapshot a server that was booted from a volume: a record without data, and volume snapshots."""
    base = cloud.user.make_image('base', cloud.raw, [NEAR])
    volume = volumes.make(cloud, imageRef=base)
    server, = servers.boot_from(cloud, 'from-volume', NEAR, block_device_mapping_v2=[{
        'boot_index': 0, 'uuid': volume, 'source_type': 'volume', 'destination_type': 'volume'}])
    servers.wait_active(cloud, server)
    servers.said(cloud, server)
    made = []
    with sheet.row(2, 'snapshot of a volume-booted server') as row:
        servers.action(cloud, server, 'createImage', name='of-volume')
        image = _wait_image(cloud, 'of-volume', server)
        made.append(image['id'])
        row.result = 'size %s, %s' % (image['size'], _named(cloud.admin.stores(image['id'])))
        row.expect(image['size'] == 0, 'the record has data')
        row.expect('snapshot_id' in image.get('block_device_mapping', ''),
                   'the record names no snapshot of the volume')
    servers.delete(cloud, [server])
    images.delete(cloud, made)
    volumes.delete(cloud, volume)
    images.delete(cloud, [base])


def judge(cloud: typing.Any, row: typing.Any, server: str, name: str, wanted: typing.Set[str],
          wrote: guest.Written) -> str:
    """Wait for an image, read where it is, and what is in it; return its id."""
    image = _wait_image(cloud, name, server)
    row.stop()
    where = cloud.admin.stores(image['id'])
    row.result = _named(where)
    row.expect(where == wanted, 'it is in %s, not in %s' % (_named(where), _named(wanted)))
    judge_bytes(cloud, row, image['id'], wrote)
    return str(image['id'])


def judge_bytes(cloud: typing.Any, row: typing.Any, image_id: str, wrote: guest.Written) -> None:
    """Expect that an image has what the guest wrote, and also what it was made from."""
    disk = cloud.user.head_of(image_id, clouds_size(cloud))
    if guest.written(disk) != wrote or not guest.same_but_for_guest(disk, cloud.raw):
        row.result += ', bytes WRONG'
        row.failures.append('its bytes are not those of the server: the guest wrote %s, there is %s'
                            % (wrote, guest.written(disk)))


def clouds_size(cloud: typing.Any) -> int:
    """Return the size of the cloud's disk image."""
    with open(cloud.raw, 'rb') as stream:
        return stream.seek(0, 2)


def _wait_image(cloud: typing.Any, name: str, server: str) -> api.Json:
    """Wait for an active image of this name.

    :raises LabError: there is none, or Nova has given it up
    """
    patience = time.monotonic() + RECORD_SECONDS

    def ask() -> typing.Any:
        busy = servers.show(cloud, server)['OS-EXT-STS:task_state']
        found = cloud.user.images(name)
        # A direct snapshot is not active yet when Nova is done, but it is not queued any more.
        if not busy and time.monotonic() > patience and not [
                one for one in found if one['status'] != 'queued']:
            raise LabError('Nova has given up; %s' % (
                'the record of the image is left behind' if found else 'no image is left'))
        # Until Nova is done its last requests are not in the record of them.
        return not busy and next((one for one in found if one['status'] == 'active'), None)
    return dict(cloud.user.wait('active image ' + name, ask, 120))


def _named(stores: typing.Iterable[str]) -> str:
    return ','.join(sorted(stores)) or 'nowhere'
