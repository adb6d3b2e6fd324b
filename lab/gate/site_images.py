# SPDX-License-Identifier: Apache-2.0
"""Scenario 12: servers of a qcow2 image, which Glance's copy is of no use to; with hooks from site images."""

import typing

from lab.gate import boots
from lab.gate import config
from lab.gate import images
from lab.gate import observe
from lab.gate import servers
from lab.gate import sites
from lab.gate import snapshots

NEAR = sites.SITES[0].name
CONF: config.Conf = {'multistore_hooks': {'site_images': 'fallback'}}


def boots_and_snapshot(cloud: typing.Any, sheet: typing.Any) -> None:
    """Boot such an image at both sites at once, then some more of it, and snapshot one of the servers."""
    if cloud.mode.services:
        cloud.restart_computes(CONF)
    try:
        _boots_and_snapshot(cloud, sheet)
    finally:
        servers.wipe(cloud)
        if cloud.mode.services:
            cloud.restart_computes({})


def _boots_and_snapshot(cloud: typing.Any, sheet: typing.Any) -> None:
    image = cloud.user.make_image('qcow2', cloud.qcow2, [sites.CENTRAL], disk_format='qcow2')
    first = []
    for what, per_host, most in (
            ('%d boots at once of a qcow2 image, 2 sites', boots.PER_HOST, len(sites.SITES)),
            ('%d more boots of it', 1, 0)):
        meter = observe.Meter(cloud)
        with sheet.row(12, what % (per_host * len(sites.HOSTS))) as row:
            records = servers.wait(cloud, servers.boot_everywhere(cloud, image, per_host))
            row.stop()
            downloads = meter.downloads(image)
            servers.judge(cloud, row, records, '%d downloads' % downloads)
            row.expect(downloads <= most, 'not at most %d downloads, but %d' % (most, downloads))
            first = first or records
    server = next(one['id'] for one in first if one['OS-EXT-AZ:availability_zone'] == NEAR)
    wrote = servers.said(cloud, server)
    with sheet.row(12, 'snapshot of one of them') as row:
        servers.action(cloud, server, 'createImage', name='of-qcow2')
        made = snapshots.judge(cloud, row, server, 'of-qcow2', {NEAR}, wrote)
    images.delete(cloud, [made])
