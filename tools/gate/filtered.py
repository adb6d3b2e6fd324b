# SPDX-License-Identifier: Apache-2.0
"""Scenario 3: stock Nova and stock Cinder; "with hooks" is Glance with its filter, and nothing else."""

import typing

from tools.gate import images
from tools.gate import servers
from tools.gate import sites
from tools.gate import snapshots
from tools.gate import volumes

NEAR = sites.SITES[0].name


def stock_services(cloud: typing.Any, sheet: typing.Any) -> None:
    """An uploaded snapshot, and an uploaded volume, of images that are in other stores."""
    base = cloud.user.make_image('base', cloud.raw, [NEAR])
    server, = servers.boot(cloud, NEAR, base)
    servers.wait_active(cloud, server)
    wrote = servers.said(cloud, server)
    made = []
    with cloud.locations_refused(), sheet.row(3, 'snapshot of stock Nova, uploaded') as row:
        servers.action(cloud, server, 'createImage', name='snapshot')
        made.append(snapshots.judge(cloud, row, 'snapshot', {NEAR}, wrote))
    servers.delete(cloud, [server])
    images.delete(cloud, made)
    images.copy(cloud, base, sites.CENTRAL)
    volume = volumes.make(cloud, imageRef=base)
    with sheet.row(3, 'volume of stock Cinder, image in 2 stores') as row:
        volumes.judge(cloud, row, volumes.upload(cloud, volume), {NEAR, sites.CENTRAL})
    volumes.delete_all(cloud, volume, 'upload')
    images.delete(cloud, [base])
