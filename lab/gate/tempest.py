# SPDX-License-Identifier: Apache-2.0
"""Scenario 8: the tests of multistore_tempest_plugin, run by tempest."""

import os
import re
import sys
import typing

from lab.gate import api
from lab.gate import config
from lab.gate import hosts
from lab.gate import images
from lab.gate import site_images
from lab.gate import sites
from lab.gate import volumes
from lab import ini
from lab.poll import LabError

STORES = (sites.CENTRAL,) + tuple(site.name for site in sites.SITES)
TYPES = {'tempest-' + store: store for store in STORES}
#: Of the environment beside this one.
PROGRAM = os.path.join(os.path.dirname(sys.prefix), 'tempest', 'bin', 'tempest')
_COUNT = re.compile(r'^ - (Passed|Skipped|Failed|Unexpected Success): (\d+)$', re.MULTILINE)
#: A boot that could not clone must not pass for one that could.
NEVER_DOWNLOAD: config.Conf = {'workarounds': {'never_download_image_if_on_rbd': True}}


def plugin(cloud: typing.Any, sheet: typing.Any) -> None:
    """Run all of them."""
    cloud.restart_computes(ini.merged(NEVER_DOWNLOAD, site_images.CONF))
    image = cloud.admin.make_image('tempest', cloud.raw, [sites.CENTRAL])
    cloud.admin.call(api.IMAGE, 'PATCH', '/v2/images/' + image, headers={
        'Content-Type': 'application/openstack-images-v2.1-json-patch'}, json=[
            {'op': 'replace', 'path': '/visibility', 'value': 'public'}])
    types = [volumes.make_type(cloud, name, store) for name, store in TYPES.items()]
    folder = cloud.paths.in_work('tempest')
    cloud.running.run([PROGRAM, 'init', folder], 'tempest-init')
    hosts.write(os.path.join(folder, 'etc', 'tempest.conf'),
                ini.render(conf(cloud.paths, image, cloud.release.volume_endpoint[0])))
    with sheet.row(8, 'the tempest plugin, run by tempest') as row:
        try:
            said = cloud.running.run([PROGRAM, 'run', '--regex', '^multistore_tempest_plugin',
                                      '--concurrency', '2'], 'tempest', directory=folder, seconds=900)
        except LabError:
            with open(cloud.paths.in_work('log', 'tempest.out'), encoding='utf-8') as stream:
                said = stream.read()
            row.notes += re.findall(r'^\{\d\} (\S+) .*\.\.\. FAILED', said, re.MULTILINE)
        counts = {name: int(count) for name, count in _COUNT.findall(said)}
        row.result = ', '.join('%d %s' % (count, name.lower()) for name, count in counts.items())
        row.expect(counts.get('Passed'), 'no test has passed')
        row.expect(not counts.get('Failed'), 'see tempest.out among the logs')
    for type_id in types:
        cloud.admin.call(api.VOLUME, 'DELETE', '/types/' + type_id)
    images.delete(cloud, [image])


def conf(paths: config.Paths, image: str, volumes_type: str) -> config.Conf:
    """Return tempest.conf."""
    return {
        'DEFAULT': {'log_file': paths.in_work('log', 'tempest.log')},
        'oslo_concurrency': {'lock_path': paths.in_work('lock')},
        'auth': {'use_dynamic_credentials': True, 'create_isolated_networks': False,
                 'admin_username': 'admin', 'admin_password': sites.PASSWORD,
                 'admin_project_name': 'admin', 'admin_domain_name': 'Default'},
        'identity': {'uri_v3': sites.IDENTITY, 'auth_version': 'v3', 'region': sites.REGION},
        'compute': {'image_ref': image, 'image_ref_alt': image, 'flavor_ref': '1',
                    'flavor_ref_alt': '2', 'build_timeout': 240, 'build_interval': 1,
                    'min_compute_nodes': len(sites.SITES[0].hosts)},
        'compute-feature-enabled': {'shelve': True, 'snapshot': True,
                                    'scheduler_enabled_filters': config.SCHEDULER_FILTERS},
        'image': {'build_timeout': 120, 'build_interval': 1, 'region': sites.REGION},
        'image-feature-enabled': {'import_image': True},
        'service_available': {'neutron': False, 'swift': False, 'horizon': False, 'nova': True,
                              'cinder': True, 'glance': True},
        'validation': {'run_validation': False},
        'volume': {'volume_size': 1, 'disk_format': 'raw', 'build_timeout': 240,
                   'build_interval': 1, 'catalog_type': volumes_type},
        'multistore': {'stores': ','.join(STORES), 'default_store': sites.CENTRAL,
                       'compute_store': sites.SITES[0].name, 'volume_store': sites.SITES[0].name,
                       'volume_types': ','.join('%s:%s' % item for item in TYPES.items())},
        'multistore-feature-enabled': {name: True for name in (
            'copy_image', 'snapshot', 'clone', 'site_images', 'volume_clone', 'volume_upload',
            'type_validation', 'colocate')}}
