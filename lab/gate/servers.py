# SPDX-License-Identifier: Apache-2.0
"""Servers as the scenarios need them: booted, waited for, their console read, deleted."""

import contextlib
import itertools
import typing

from lab.gate import api
from lab.gate import config
from lab.gate import guest
from lab.gate import images
from lab.gate import observe
from lab.gate import sites
from lab.gate import volumes
from lab.poll import LabError

CONSOLE_SECONDS = 60
_numbers = itertools.count(1)


def boot(cloud: typing.Any, zone: str, image_id: str, count: int = 1, **more: typing.Any
         ) -> typing.List[str]:
    """Request servers of an image at a site, or on one host of it; return their ids, not waiting for them."""
    name = 'server-%d' % next(_numbers)
    return boot_from(cloud, name, zone, count, imageRef=image_id, **more)


def boot_everywhere(cloud: typing.Any, image_id: str, per_host: int = 1) -> typing.List[str]:
    """Request so many servers of an image on every host of every site; return all their ids."""
    started: typing.List[str] = []
    for host in sites.HOSTS:
        # Nova's way to name a host along with its zone.
        started += boot(cloud, '%s:%s' % (sites.site_of(host).name, host), image_id, per_host)
    return started


def boot_from(cloud: typing.Any, name: str, zone: str, count: int = 1, **more: typing.Any
              ) -> typing.List[str]:
    """Request servers with these properties."""
    # With a number to make Nova responds with the reservation's id, by which they are found.
    response = cloud.user.call(api.COMPUTE, 'POST', '/servers', {'server': {
        'name': name, 'flavorRef': '1', 'networks': 'none', 'availability_zone': zone,
        'min_count': count, 'max_count': count, 'return_reservation_id': True, **more}})
    found = cloud.user.call(api.COMPUTE, 'GET',
                            '/servers?reservation_id=' + response['reservation_id'])['servers']
    return [one['id'] for one in found]


def show(cloud: typing.Any, server_id: str) -> api.Json:
    """Return a server's record as the administrator sees it."""
    return dict(cloud.admin.call(api.COMPUTE, 'GET', '/servers/' + server_id)['server'])


def wait(cloud: typing.Any, server_ids: typing.Sequence[str], wanted: str = 'ACTIVE',
         seconds: float = api.WAIT_SECONDS) -> typing.List[api.Json]:
    """Wait until every server has this status, or ERROR; return their records."""
    def settled() -> typing.Any:
        records = [show(cloud, server_id) for server_id in server_ids]
        return records if all(
            one['status'] in (wanted, 'ERROR') and not one['OS-EXT-STS:task_state']
            for one in records) else None
    return list(cloud.user.wait('%s of %d servers' % (wanted, len(server_ids)), settled, seconds))


def wait_active(cloud: typing.Any, server_id: str, wanted: str = 'ACTIVE') -> api.Json:
    """Wait until a server has this status.

    :raises LabError: it went to ERROR instead.
    """
    record, = wait(cloud, [server_id], wanted)
    if record['status'] != wanted:
        raise LabError('server is in ERROR: %s' % fault(record))
    return record


def fault(record: api.Json) -> str:
    """Return what Nova says was wrong with a server, or an empty text."""
    return str(record.get('fault', {}).get('message', ''))


def action(cloud: typing.Any, server_id: str, verb: str, /, **arguments: typing.Any) -> typing.Any:
    """Request an action on a server."""
    return cloud.user.call(api.COMPUTE, 'POST', '/servers/%s/action' % server_id,
                           {verb: arguments or None})


def said(cloud: typing.Any, server_id: str, boots: int = 1) -> guest.Written:
    """Wait until a server's guest has said that it has written, at its n-th boot."""
    def ask() -> typing.Any:
        with contextlib.suppress(api.Refused):      # the console is not there yet
            found = guest.said(action(cloud, server_id, 'os-getConsoleOutput', length=50)['output'])
            return found if found and found.boots == boots else None
        return None
    found: guest.Written = cloud.user.wait('what the guest wrote', ask, CONSOLE_SECONDS)
    return found


def clones(cloud: typing.Any, records: typing.Iterable[api.Json]) -> int:
    """Return how many of these servers' disks are clones."""
    return sum(observe.is_clone(cloud, one['OS-EXT-AZ:availability_zone'],
                                '%s/%s_disk' % (config.DISKS, one['id']))
               for one in records if one['status'] == 'ACTIVE')


def judge(cloud: typing.Any, row: typing.Any, records: typing.Sequence[api.Json], more: str) -> None:
    """Say what boots came to, and expect a clone for each, whose guest has written.

    :param more: what else belongs to the row's result
    """
    active = [one for one in records if one['status'] == 'ACTIVE']
    cloned = clones(cloud, active)
    row.result = '%d clones, %d flat, %d failed; %s' % (
        cloned, len(active) - cloned, len(records) - len(active), more)
    row.notes += sorted({fault(one) for one in records if one not in active})
    row.expect(cloned == len(records), 'not every disk is a clone')
    for one in active:
        said(cloud, one['id'])


def delete(cloud: typing.Any, server_ids: typing.Iterable[str]) -> None:
    """Delete servers, and wait until they are gone."""
    server_ids = list(server_ids)
    for server_id in server_ids:
        with contextlib.suppress(api.Refused):
            cloud.admin.call(api.COMPUTE, 'DELETE', '/servers/' + server_id)

    def gone() -> bool:
        listed = cloud.admin.call(api.COMPUTE, 'GET', '/servers?all_tenants=1')['servers']
        return not {one['id'] for one in listed} & set(server_ids)
    cloud.admin.wait('end of the servers', gone)


def wipe(cloud: typing.Any) -> None:
    """Delete all servers, volumes, their types, and images: what a scenario has left that could not go on."""
    listed = cloud.admin.call(api.COMPUTE, 'GET', '/servers?all_tenants=1')['servers']
    delete(cloud, [one['id'] for one in listed])
    for volume in cloud.admin.call(api.VOLUME, 'GET', '/volumes?all_tenants=1')['volumes']:
        volumes.delete(cloud, volume['id'])
    volumes.delete_types(cloud)
    images.delete(cloud, [one['id'] for one in cloud.admin.call(
        api.IMAGE, 'GET', '/v2/images?visibility=all')['images']])
