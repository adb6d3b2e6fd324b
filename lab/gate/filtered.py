# SPDX-License-Identifier: Apache-2.0
"""Scenario 3: stock Nova and stock Cinder; "with hooks" is Glance with its filter, and nothing else."""

import typing

from lab.gate import config
from lab.gate import images
from lab.gate import servers
from lab.gate import sites
from lab.gate import snapshots
from lab.gate import volumes

NEAR, FAR = (site.name for site in sites.SITES)
# Snapshots of disks on Ceph go past Glance. Those of disks in files are uploaded.
FILES: config.Conf = {'libvirt': {'images_type': 'qcow2', 'snapshot_image_format': 'raw',
                                  'images_rbd_glance_store_name': ''}}


def stock_services(cloud: typing.Any, sheet: typing.Any) -> None:
    """An uploaded snapshot, and an uploaded volume, of images that are in other stores."""
    cloud.restart_computes(FILES)
    try:
        _snapshot(cloud, sheet)
    finally:
        servers.wipe(cloud)
        cloud.restart_computes({})
    base = cloud.user.make_image('base', cloud.raw, [NEAR])
    images.copy(cloud, base, sites.CENTRAL)
    volume = volumes.make(cloud, imageRef=base)
    with sheet.row(3, 'volume of stock Cinder, image in 2 stores') as row:
        volumes.judge(cloud, row, volumes.upload(cloud, volume), {NEAR, sites.CENTRAL})
    volumes.delete_all(cloud, volume, 'upload')
    images.delete(cloud, [base])


def _snapshot(cloud: typing.Any, sheet: typing.Any) -> None:
    base = cloud.user.make_image('base', cloud.raw, [FAR])
    server, = servers.boot(cloud, NEAR, base)
    servers.wait_active(cloud, server)
    wrote = servers.said(cloud, server)
    with sheet.row(3, 'snapshot of stock Nova, disks in files') as row:
        servers.action(cloud, server, 'createImage', name='snapshot')
        snapshots.judge(cloud, row, server, 'snapshot', {FAR}, wrote)
