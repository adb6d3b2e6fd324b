# SPDX-License-Identifier: Apache-2.0
"""Scenario 6: images on Cinder volumes; stock has a driver for that too."""

import typing

from lab.gate import api
from lab.gate import config
from lab.gate import images
from lab.gate import observe
from lab.gate import servers
from lab.gate import sites
from lab.gate import volumes
from lab.poll import LabError

NEAR = sites.SITES[0].name
STORE, TYPE = 'gold', 'images'


def image_store(cloud: typing.Any, sheet: typing.Any) -> None:
    """Upload an image to the store, boot from a volume made of it, delete all of it."""
    cloud.admin.call(api.VOLUME, 'POST', '/types', {'volume_type': {
        'name': TYPE, 'extra_specs': {'volume_backend_name': NEAR, 'multiattach': '<is> True'}}})
    cloud.configure_glance(store(cloud.paths, cloud.mode.services))
    try:
        _use(cloud, sheet)
    finally:
        servers.wipe(cloud)
        cloud.configure_glance({})


def _use(cloud: typing.Any, sheet: typing.Any) -> None:
    image = ''
    with sheet.row(6, 'image uploaded to Cinder volumes') as row:
        image = cloud.user.make_image('gold', cloud.raw, [STORE])
        row.stop()
        where = cloud.admin.stores(image)
        row.result = ','.join(sorted(where))
        row.expect(where == {STORE}, 'it is in %s' % (row.result or 'no store'))
        row.expect(len(_image_volumes(cloud)) == 1, 'not one volume, but %d' % len(
            _image_volumes(cloud)))
    if not image:
        return
    with sheet.row(6, 'that image downloaded') as row:
        with open(cloud.raw, 'rb') as stream:
            data = stream.read()
        same = cloud.user.head_of(image, len(data) + 1) == data
        row.result = 'the same bytes' if same else 'other bytes'
        row.expect(same, 'its bytes are not those that were uploaded')
    with sheet.row(6, 'boot from a volume made of it') as row:
        server, = servers.boot_from(cloud, 'from-gold', NEAR, block_device_mapping_v2=[{
            'boot_index': 0, 'uuid': image, 'source_type': 'image', 'volume_size': 1,
            'destination_type': 'volume', 'delete_on_termination': True}])
        record = servers.wait_active(cloud, server)
        row.stop()
        volume = record['os-extended-volumes:volumes_attached'][0]['id']
        cloned = observe.is_clone(cloud, NEAR, volumes.disk(volume))
        row.result = 'a clone' if cloned else 'a copy'
        row.expect(cloned, 'the volume is not a clone of that of the image')
        servers.said(cloud, server)
        servers.delete(cloud, [server])
    with sheet.row(6, 'that image deleted') as row:
        images.delete(cloud, [image])
        try:
            cloud.admin.wait('end of the volume', lambda: not _image_volumes(cloud), 30)
            row.result = 'nothing left'
        except LabError:
            row.result = '%d volumes left' % len(_image_volumes(cloud))
            row.failures.append('a volume is left behind')


def _image_volumes(cloud: typing.Any) -> typing.List[api.Json]:
    listed = cloud.admin.call(api.VOLUME, 'GET', '/volumes/detail?all_tenants=1')['volumes']
    return [one for one in listed if one['name'].startswith('image-')]


def store(paths: config.Paths, ours: bool) -> config.Conf:
    """Return what glance-api.conf needs for the store: with our driver, or with glance_store's."""
    user = config.credentials('glance')
    if ours:
        options: config.Section = {
            **user, 'volume_type': TYPE,
            # Volumes on RBD need no root.
            'root_helper': '', 'attachment_dir': paths.in_work('glance', 'attachments')}
    else:
        options = {
            'cinder_store_auth_address': user['auth_url'], 'cinder_volume_type': TYPE,
            'cinder_store_user_name': user['username'], 'cinder_store_password': user['password'],
            'cinder_store_project_name': user['project_name'],
            'cinder_store_user_domain_name': 'Default',
            'cinder_store_project_domain_name': 'Default', 'cinder_os_region_name': sites.REGION,
            'cinder_catalog_info': 'block-storage::publicURL'}
    return {'DEFAULT': {'enabled_backends': ','.join(
                config.backends() + ['%s:%s' % (STORE, 'volume' if ours else 'cinder')])},
            **config.privsep(paths, paths.in_work('etc', 'glance', 'glance-api.conf'), 'privsep_osbrick'),
            STORE: options}
