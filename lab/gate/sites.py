# SPDX-License-Identifier: Apache-2.0
"""The places of the cloud: two sites, their stores and hosts, and where the services listen."""

import typing

GIB = 1 << 30
MIB = 1 << 20

CENTRAL = 'central'         # the file store, Glance's default
PASSWORD = 'gate'           # noqa: S105  the same everywhere; the cloud is not reachable from outside
REGION = 'RegionOne'

PORTS = {'keystone': 5000, 'glance': 9292, 'placement': 8778, 'nova': 8774, 'cinder': 8776,
         'neutron': 9696, 'rabbitmq': 5672, 'mariadb': 3306}
IDENTITY = 'http://127.0.0.1:%d/v3' % PORTS['keystone']


class Site(typing.NamedTuple):
    """A site: its name is that of its Ceph cluster, its Glance store and its availability zone."""

    name: str
    hosts: typing.Tuple[str, ...]
    secret: str             # the id under which libvirt has the key of Ceph's client.cinder


SITES = (
    Site('dcn1', ('dcn1-a', 'dcn1-b'), '6f0b7e5e-29f3-4f4d-9d55-3b1d0c1f0001'),
    Site('dcn2', ('dcn2-a', 'dcn2-b'), '6f0b7e5e-29f3-4f4d-9d55-3b1d0c1f0002'),
)
HOSTS = tuple(host for site in SITES for host in site.hosts)


def site_of(host: str) -> Site:
    """Return the site of a compute host."""
    return next(site for site in SITES if host in site.hosts)
