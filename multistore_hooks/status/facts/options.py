# SPDX-License-Identifier: Apache-2.0
"""Which options of the services' own configuration files the checks read, with the services' types.

The services need not be installed where the checks run, so their own lists cannot be read. An option
stands here with the default that the services have had in every release from Train on.
"""

from typing import Dict
from typing import List

from keystoneauth1 import loading
from oslo_config import cfg

from multistore_hooks import options

GROUP = options.GROUP

# What values of the others may refer to, as in $state_path/x.
_PATHS = [cfg.StrOpt(name, default='') for name in ('state_path', 'host', 'my_ip', 'pybasedir')]

#: The sections of privsep whose helper a service starts.
PRIVSEP = {'nova': ('nova_sys_admin', 'privsep_osbrick'),
           'cinder': ('cinder_sys_admin', 'privsep_osbrick'), 'glance': ('privsep_osbrick',)}

NOVA: Dict[str, List[cfg.Opt]] = {
    'DEFAULT': _PATHS + [
        cfg.StrOpt('compute_driver'),
        cfg.StrOpt('rootwrap_config', default='/etc/nova/rootwrap.conf')],
    'libvirt': [
        cfg.StrOpt('images_type', default='default'),
        cfg.StrOpt('images_rbd_pool', default='rbd'),
        cfg.StrOpt('images_rbd_ceph_conf', default=''),
        cfg.StrOpt('rbd_user')] + options.NOVA_COPY_OPTS,
    'glance': [
        cfg.ListOpt('valid_interfaces', default=['internal', 'public']),
        cfg.StrOpt('service_type', default='image'),
        cfg.StrOpt('region_name'),
        cfg.StrOpt('endpoint_override'),
        cfg.ListOpt('api_servers', default=[])],
    'service_user': [cfg.BoolOpt('send_service_user_token', default=False)],
    'workarounds': [cfg.BoolOpt('never_download_image_if_on_rbd', default=False)],
    GROUP: options.NOVA_OPTS + loading.get_auth_common_conf_options(),
}

CINDER: Dict[str, List[cfg.Opt]] = {
    'DEFAULT': _PATHS + [
        cfg.ListOpt('enabled_backends', default=[]),
        cfg.StrOpt('volume_manager', default='cinder.volume.manager.VolumeManager'),
        cfg.StrOpt('volume_api_class', default='cinder.volume.api.API'),
        cfg.MultiStrOpt('osapi_volume_extension', default=['cinder.api.contrib.standard_extensions']),
        cfg.ListOpt('glance_api_servers'),
        cfg.StrOpt('glance_catalog_info', default='image:glance:publicURL'),
        cfg.IntOpt('glance_request_timeout'),
        cfg.StrOpt('rootwrap_config', default='/etc/cinder/rootwrap.conf')],
    'service_user': [cfg.BoolOpt('send_service_user_token', default=False)],
    # Cinder's own credentials for Glance, of 2025.2 and later.
    'glance': [cfg.StrOpt('region_name')] + loading.get_auth_common_conf_options(),
    GROUP: options.CINDER_OPTS + loading.get_auth_common_conf_options(),
}

#: Of a backend's section, and of [backend_defaults].
CINDER_BACKEND: List[cfg.Opt] = [
    cfg.StrOpt('volume_driver'),
    cfg.BoolOpt('image_upload_use_cinder_backend', default=False),
    cfg.StrOpt('rbd_ceph_conf', default=''),
    cfg.StrOpt('rbd_user'),
    cfg.StrOpt('rbd_pool', default='rbd'),
] + options.CINDER_RBD_OPTS

GLANCE: Dict[str, List[cfg.Opt]] = {
    'DEFAULT': _PATHS + [
        cfg.DictOpt('enabled_backends'),
        cfg.ListOpt('enabled_import_methods', bounds=True,
                    default=['glance-direct', 'web-download', 'copy-image']),
        cfg.StrOpt('node_staging_uri', default='file:///tmp/staging/'),
        cfg.StrOpt('user_storage_quota', default='0'),
        cfg.BoolOpt('show_image_direct_url', default=False),
        cfg.BoolOpt('show_multiple_locations', default=False)],
    'glance_store': [
        cfg.StrOpt('default_backend'),
        cfg.ListOpt('stores', default=['file', 'http']),
        cfg.StrOpt('filesystem_store_datadir', default='/var/lib/glance/images')],
    'os_glance_staging_store': [
        cfg.StrOpt('filesystem_store_datadir', default='/var/lib/glance/staging')],
    'os_glance_tasks_store': [
        cfg.StrOpt('filesystem_store_datadir', default='/var/lib/glance/tasks_work_dir')],
    'paste_deploy': [cfg.StrOpt('flavor'), cfg.StrOpt('config_file')],
    'oslo_policy': [cfg.StrOpt('policy_file'), cfg.MultiStrOpt('policy_dirs', default=['policy.d'])],
    GROUP: options.GLANCE_OPTS,
}

GLANCE_STORE: List[cfg.Opt] = [
    cfg.StrOpt('filesystem_store_datadir'),
    cfg.MultiStrOpt('filesystem_store_datadirs', default=[]),
    cfg.StrOpt('rbd_store_ceph_conf', default=''),
    cfg.StrOpt('rbd_store_user'),
    cfg.StrOpt('rbd_store_pool', default='images'),
    cfg.StrOpt('cinder_volume_type'),
    cfg.StrOpt('rootwrap_config', default='/etc/glance/rootwrap.conf'),
]

for _service, _conf in (('nova', NOVA), ('cinder', CINDER), ('glance', GLANCE)):
    for _section in PRIVSEP[_service]:
        _conf[_section] = [cfg.StrOpt('helper_command')]
