# SPDX-License-Identifier: Apache-2.0
"""Scenarios 7 and 11: something fails while a cold image is booted.

Every server must end ACTIVE, or in ERROR with a fault that says why; and when all is deleted,
nothing of it is left.
"""

import collections
import contextlib
import time
import typing

from lab.gate import config
from lab.gate import images
from lab.gate import observe
from lab.gate import servers
from lab.gate import sites
from lab import held_file

NEAR, FAR = sites.SITES
OUTAGE = 5          # seconds
PATIENCE = 2 * config.COPY_TIMEOUT + 60
#: Limits of boots that wait for their turn until it comes, in seconds.
WAITS = {'libvirt': {'images_rbd_glance_copy_timeout': 900}, 'multistore_hooks': {'copy_turn_timeout': 900}}


def glance_killed(cloud: typing.Any, sheet: typing.Any) -> None:
    """Glance is killed while it copies, and started again: the copy's lock stays behind."""
    def fault(image: str) -> None:
        _wait_for_copy(cloud, image)
        cloud.running.kill('glance')
        time.sleep(OUTAGE)
        cloud.services.start('glance')
    _try(cloud, sheet, 'Glance killed during a copy', fault)


def ceph_stopped(cloud: typing.Any, sheet: typing.Any) -> None:
    """One site's Ceph is away, and comes back; the other site is to notice nothing."""
    def fault(_image: str) -> None:
        time.sleep(2 * OUTAGE)
        cloud.clusters[FAR.name].start()
    cloud.clusters[FAR.name].stop()
    _try(cloud, sheet, 'one Ceph stopped and resumed', fault)


def rabbitmq_restarted(cloud: typing.Any, sheet: typing.Any) -> None:
    """The message broker is restarted while a copy goes on."""
    def fault(image: str) -> None:
        _wait_for_copy(cloud, image)
        cloud.rabbitmq.restart()
    _try(cloud, sheet, 'RabbitMQ restarted during a copy', fault)


def compute_killed(cloud: typing.Any, sheet: typing.Any) -> None:
    """nova-compute is killed on one host while it waits for a copy, and started again."""
    host = NEAR.hosts[0]

    def fault(image: str) -> None:
        _wait_for_copy(cloud, image)
        cloud.hosts.kill(host)
        time.sleep(OUTAGE)
        cloud.start_computes(host)
    _try(cloud, sheet, 'nova-compute killed during the wait', fault, without_fault=host)


def glance_killed_in_turn(cloud: typing.Any, sheet: typing.Any) -> None:
    """Glance is killed while it stages for the second site: its lock stays for an hour, and all are served.

    Limits are as an operator sets them where every site shall be served in turn.
    """
    image = cloud.user.make_image('cold', cloud.raw, [sites.CENTRAL])
    cloud.restart_computes(WAITS)
    held = held_file.HeldFile(cloud.paths.in_work('glance', sites.CENTRAL, image))
    with contextlib.ExitStack() as after:
        after.callback(cloud.restart_computes, {})
        row = after.enter_context(sheet.row(11, 'Glance killed while sites take turns, 8 boots'))
        everything = observe.Meter(cloud)
        with contextlib.ExitStack() as held_until:
            held_until.callback(held.release)
            new = servers.boot_everywhere(cloud, image, 2)
            held.serve()
            cloud.admin.wait('copy at the first site', lambda: len(cloud.admin.stores(image)) > 1)
            held.serve_half()       # by now Glance stages it for the second one
            cloud.running.kill('glance')
        cloud.services.start('glance')
        refused = observe.Meter(cloud)
        cloud.admin.wait('refused request', lambda: 409 in _import_statuses(refused), PATIENCE)
        # An hour goes by for Glance.
        cloud.mariadb.execute("UPDATE glance.tasks SET updated_at = '2020-01-01 00:00:00'"
                              " WHERE status = 'processing'")
        records = servers.wait(cloud, new, seconds=PATIENCE)
        row.stop()
        _judge(cloud, row, records, '')
        answers = collections.Counter(_import_statuses(everything))
        row.result += '; requests for copies: %s' % ', '.join(
            '%d with %s' % (number, status) for status, number in sorted(answers.items()))
        row.expect(servers.clones(cloud, records) == len(new), 'not every disk is a clone')
        row.expect(cloud.admin.stores(image) == {sites.CENTRAL, NEAR.name, FAR.name}, 'a site has no copy')
        row.expect(answers[202] <= len(sites.SITES) + 1, 'a copy was requested in vain')
        servers.delete(cloud, new)
        images.delete(cloud, [image])
        _nothing_left(cloud, row, new, image)


def _import_statuses(meter: observe.Meter) -> typing.List[int]:
    """Return how Glance answered requests for copies."""
    return [entry['status'] for entry in meter.entries()
            if entry['method'] == 'POST' and entry['path'].endswith('/import')]


def _try(cloud: typing.Any, sheet: typing.Any, what: str, fault: typing.Callable[[str], None],
         without_fault: str = '') -> None:
    """Boot a cold image at both sites, have something fail, and check what comes of it.

    :param without_fault: a host where Nova itself puts a server in ERROR, and says nothing
    """
    image = cloud.user.make_image('cold', cloud.big, [sites.CENTRAL])
    with sheet.row(7, what) as row:
        new = servers.boot_everywhere(cloud, image)
        fault(image)
        records = servers.wait(cloud, new, seconds=PATIENCE)
        row.stop()
        _judge(cloud, row, records, without_fault)
        servers.delete(cloud, new)
        images.delete(cloud, [image])
        _nothing_left(cloud, row, new, image)


def _judge(cloud: typing.Any, row: typing.Any, records: typing.Sequence[typing.Any],
           without_fault: str) -> None:
    failed = [one for one in records if one['status'] != 'ACTIVE']
    cloned = servers.clones(cloud, records)
    row.result = '%d clones, %d flat, %d ERROR' % (
        cloned, len(records) - len(failed) - cloned, len(failed))
    row.notes += sorted({'ERROR: ' + (servers.fault(one) or 'no fault') for one in failed})
    for one in failed:
        row.expect(servers.fault(one) or one['OS-EXT-SRV-ATTR:host'] == without_fault,
                   'a server in ERROR does not say why')
    for one in records:
        if one['status'] == 'ACTIVE':
            servers.said(cloud, one['id'])


def _wait_for_copy(cloud: typing.Any, image: str) -> None:
    """Wait until Glance copies the image, into any store, and all the others wait for that."""
    cloud.admin.wait('copy of the image', lambda: any(
        task['status'] == 'processing' for task in observe.copies(cloud, image)), 60)
    time.sleep(1)


def _nothing_left(cloud: typing.Any, row: typing.Any, gone: typing.Sequence[str],
                  image: str) -> None:
    """Expect no disk of the servers, no copy of the image, and no lock on Ceph; no file."""
    for site in sites.SITES:
        objects = cloud.running.run([
            'rados', '--conf', cloud.clusters[site.name].conf, '--pool', config.DISKS, 'ls'],
            'rados').split()
        disks = observe.disks(cloud, site.name, config.DISKS)
        row.expect(not [name for name in disks if name[:36] in gone], 'a disk is left at ' + site.name)
        row.expect(not [name for name in objects if name.endswith(image)],
                   'a lock is left at ' + site.name)
        row.expect(image not in observe.disks(cloud, site.name, config.IMAGES),
                   'a copy of the image is left at ' + site.name)
        for host in site.hosts:
            row.expect(not cloud.hosts.has_base_file(host, image, '.part'),
                       'half a download is left on ' + host)
