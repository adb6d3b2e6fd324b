# SPDX-License-Identifier: Apache-2.0
"""Scenarios 1 and 5: boots of an image that is in no site's store."""

import contextlib
import typing

from lab.gate import api
from lab.gate import images
from lab.gate import observe
from lab.gate import servers
from lab.gate import sites
from lab.poll import LabError

PER_HOST = 2


def cold_boots(cloud: typing.Any, sheet: typing.Any) -> None:
    """Boot a cold image at both sites at once; then some more of it."""
    image = cloud.user.make_image('cold', cloud.raw, [sites.CENTRAL])
    started: typing.List[str] = []
    for what, per_host in (('%d boots at once of a cold image, 2 sites', PER_HOST),
                           ('%d more boots of it', 1)):
        with sheet.row(1, what % (per_host * len(sites.HOSTS))) as row:
            new = servers.boot_everywhere(cloud, image, per_host)
            started += new
            records = servers.wait(cloud, new)
            row.stop()
            tasks = observe.copies(cloud, image)
            servers.judge(cloud, row, records, '%d copies' % len(tasks))
            row.expect(len(tasks) == len(sites.SITES), 'not one copy for each site, but %d' % len(tasks))
    servers.delete(cloud, started)
    images.delete(cloud, [image])


def cached_boots(cloud: typing.Any, sheet: typing.Any) -> None:
    """``openstack aggregate cache image``, at one site, and then boots there."""
    site = sites.SITES[0]
    image = cloud.user.make_image('cached', cloud.raw, [sites.CENTRAL])
    # The administrator requests it: Nova reads the image with those rights.
    aggregate, = [one['id'] for one in cloud.admin.call(
        api.COMPUTE, 'GET', '/os-aggregates')['aggregates'] if one['name'] == site.name]
    with sheet.row(5, 'aggregate cache image, %d hosts' % len(site.hosts)) as row:
        cloud.admin.call(api.COMPUTE, 'POST', '/os-aggregates/%s/images' % aggregate,
                         {'cache': [{'id': image}]})
        with contextlib.suppress(LabError):
            cloud.admin.wait('image in the site', lambda: (
                site.name in cloud.admin.stores(image) or all(
                    cloud.hosts.has_base_file(host, image) for host in site.hosts)), 60)
        where = cloud.admin.stores(image)
        row.result = 'in %s' % ','.join(sorted(where))
        row.expect(where == {sites.CENTRAL, site.name}, "it is not in the site's store")
        row.expect(not any(cloud.hosts.has_base_file(host, image) for host in site.hosts),
                   'hosts have downloaded it')
    count = PER_HOST * len(site.hosts)
    with sheet.row(5, '%d boots after that' % count) as row:
        tasks = len(observe.copies(cloud, image))
        new = servers.boot(cloud, site.name, image, count)
        records = servers.wait(cloud, new)
        row.stop()
        cloned = servers.clones(cloud, records)
        row.result = '%d clones of %d' % (cloned, len(records))
        row.expect(cloned == len(records), 'not every disk is a clone')
        row.expect(len(observe.copies(cloud, image)) == tasks, 'it was copied once more')
    servers.delete(cloud, new)
    images.delete(cloud, [image])
