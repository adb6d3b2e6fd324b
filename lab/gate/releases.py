# SPDX-License-Identifier: Apache-2.0
"""The releases that the gate can bring up, and what differs from one to another.

Everything else in here is the same for all of them. A release ignores options that it does not
know, so only what would stop it is named here.

There is none older than Ussuri. Train's cinder-volume does not start with Debian 12's Ceph: the RBD
driver of Cinder 15.6.0 hands `mon_command` a text where the module rados wants bytes.
"""

import typing

from lab.gate import config


class Unknown(Exception):
    """There is no such release; the text names those there are."""


class Api(typing.NamedTuple):
    """How an API is served."""

    application: str            # MODULE, which has it as `application`, or MODULE:FACTORY
    variable: str = ''          # names its configuration folder; without it, the command line does
    eventlet: bool = False      # its code switches eventlet on, or counts on green threads


class Release(typing.NamedTuple):
    """One release of OpenStack."""

    name: str
    environment: str                            # of tox.ini
    apis: typing.Mapping[str, Api]
    compute_version: str                        # of Nova's API: the newest that the gate may use
    #: Laid over the configuration files, by the services; 'compute' is for the hosts.
    conf: typing.Mapping[str, config.Conf] = {}
    #: Cinder's type, and the path of its API, in Keystone's catalog.
    volume_endpoint: typing.Tuple[str, str] = ('block-storage', '/v3')
    old_python: bool = False                    # it needs names that Python has taken away
    #: Scenarios that it cannot have, and why: none of them, or not with its stock services.
    without: typing.Mapping[int, str] = {}
    not_stock: typing.Mapping[int, str] = {}


NEWEST = Release('newest', 'gate', {
    'keystone': Api('keystone.wsgi.api', 'OS_KEYSTONE_CONFIG_DIR'),
    'glance': Api('glance.wsgi.api', 'OS_GLANCE_CONFIG_DIR'),
    'placement': Api('placement.wsgi.api', 'OS_PLACEMENT_CONFIG_DIR'),
    'nova': Api('nova.wsgi.osapi_compute', 'OS_NOVA_CONFIG_DIR'),
    'cinder': Api('cinder.wsgi.api')}, '2.90')

_OLD_APIS = {
    'keystone': Api('keystone.server.wsgi:initialize_public_application', 'OS_KEYSTONE_CONFIG_DIR'),
    'glance': Api('glance.common.wsgi_app:init_app', 'OS_GLANCE_CONFIG_DIR', eventlet=True),
    'placement': Api('placement.wsgi:init_application', 'OS_PLACEMENT_CONFIG_DIR'),
    'nova': Api('nova.api.openstack.compute.wsgi:init_application', 'OS_NOVA_CONFIG_DIR',
                eventlet=True),
    'cinder': Api('cinder.wsgi.wsgi:initialize_application', eventlet=True)}

_NOVA: config.Conf = {'cinder': {'catalog_info': 'volumev3:cinder:publicURL'},
                      'oslo_policy': {'policy_file': 'policy.yaml'},
                      # Placement does it in newer releases.
                      'filter_scheduler': {'enabled_filters': 'AvailabilityZoneFilter,'
                                                              + config.SCHEDULER_FILTERS}}
USSURI = Release(
    'ussuri', 'gate-ussuri', _OLD_APIS, '2.87', old_python=True,
    # Nova's pattern for a type allows no hyphen; Cinder wants the project in the path until Yoga.
    volume_endpoint=('volumev3', '/v3/$(project_id)s'),
    conf={'nova': _NOVA, 'compute': _NOVA},
    not_stock={7: 'stock Nova has no copies before Victoria'},
    without={6: 'the driver "volume" is not for a Glance under eventlet, and Cinder 16 attaches '
                'volumes to servers only'})

RELEASES = {release.name: release for release in (NEWEST, USSURI)}
#: Other words for them.
ALIASES = {'': NEWEST.name, 'oldest': USSURI.name}


def find(word: str) -> Release:
    """Return the release that RELEASE in the environment names.

    :raises Unknown: there is none of this name.
    """
    name = ALIASES.get(word, word)
    if name not in RELEASES:
        raise Unknown('RELEASE=%s: there are %s' % (word, ', '.join([*RELEASES, 'oldest'])))
    return RELEASES[name]
