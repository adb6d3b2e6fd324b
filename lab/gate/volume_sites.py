# SPDX-License-Identifier: Apache-2.0
"""Scenario 10: volumes on Ceph at both sites, of an image that is in no site's store, and an upload there."""

import typing

from lab.gate import api
from lab.gate import images
from lab.gate import observe
from lab.gate import servers
from lab.gate import sites
from lab.gate import volumes

PER_SITE = 2
NEAR = sites.SITES[0].name


def boots(cloud: typing.Any, sheet: typing.Any) -> None:
    """Make volumes of a cold image at both sites at once, and boot servers from them."""
    image = cloud.user.make_image('cold', cloud.raw, [sites.CENTRAL])
    started: typing.List[str] = []
    with sheet.row(10, '%d boots from volumes, cold image, 2 sites' % (PER_SITE * len(sites.SITES))) as row:
        # Nova itself would have all of them made at the first site.
        made = [(site.name, volumes.request(cloud, imageRef=image, availability_zone=site.name))
                for site in sites.SITES for _number in range(PER_SITE)]
        for _site, volume in made:
            volumes.wait(cloud, volume)
        started = [servers.boot_from(cloud, 'on-' + volume, site, block_device_mapping_v2=[{
            'boot_index': 0, 'uuid': volume, 'source_type': 'volume', 'destination_type': 'volume',
            'delete_on_termination': True}])[0] for site, volume in made]
        records = servers.wait(cloud, started)
        row.stop()
        active = [one for one in records if one['status'] == 'ACTIVE']
        clones = sum(observe.is_clone(cloud, site, volumes.disk(volume)) for site, volume in made)
        tasks = observe.copies(cloud, image)
        row.result = '%d clones, %d flat; %d active, %d failed; %d copies' % (
            clones, len(made) - clones, len(active), len(records) - len(active), len(tasks))
        row.notes += sorted({servers.fault(one) for one in records if one['status'] != 'ACTIVE'})
        row.expect(clones == len(made), 'not every volume is a clone')
        row.expect(len(active) == len(made), 'not every server is active')
        row.expect(len(tasks) == len(sites.SITES), 'not one copy for each site, but %d' % len(tasks))
        for one in active:
            servers.said(cloud, one['id'])
    servers.delete(cloud, started)
    images.delete(cloud, [image])


def upload(cloud: typing.Any, sheet: typing.Any) -> None:
    """Upload a volume to the store in its own cluster: its bytes do not go through Glance."""
    image = cloud.user.make_image('base', cloud.raw, [NEAR])
    kind = volumes.make_type(cloud, 'near', NEAR)
    volume = volumes.make(cloud, imageRef=image, volume_type=kind)
    with sheet.row(10, 'volume uploaded to the store of its cluster') as row:
        made = volumes.upload(cloud, volume)
        row.stop()
        row.expect(row.moved < sites.MIB, '%d MB went through Glance' % (row.moved >> 20))
        volumes.judge(cloud, row, made, {NEAR})
    volumes.delete_all(cloud, volume, 'upload')
    cloud.admin.call(api.VOLUME, 'DELETE', '/types/' + kind)
    images.delete(cloud, [image])
