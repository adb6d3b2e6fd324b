# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files, for lab.ini; what the hooks need is in ``hooks.py``."""

import os
import typing

from lab.gate import sites
from lab import glance_config
from lab import ini

Section = typing.Dict[str, typing.Any]
Conf = ini.Sections

IMAGES, DISKS, VOLUMES = 'images', 'vms', 'volumes'     # Ceph's pools
GLANCE_USER, CINDER_USER = 'glance', 'cinder'           # Ceph's clients

#: How long Nova waits for a copy, in seconds: no scenario shall take ten minutes.
COPY_TIMEOUT = 80
#: Glance's policies: who may copy images is what README.rst says.
POLICY = {'copy_image': 'role:admin or service_roles:service'}
#: With these on top Glance refuses the location of a direct snapshot, and Nova has to upload it.
NO_LOCATIONS = {'add_image_location': '!', 'set_image_location': '!'}

#: Nova's own, and the one that has a server on another host than a first one.
SCHEDULER_FILTERS = ('ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,'
                     'ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,DifferentHostFilter')
#: Everybody may use the flavors of the gate, whose disks are as big as their images, and name a host.
NOVA_POLICY = {'os_compute_api:servers:create:zero_disk_flavor': '@',
               'os_compute_api:servers:create:forced_host': '@'}


class Paths(typing.NamedTuple):
    """Where things are: the gate's folder, and the services' virtual environment."""

    work: str
    venv: str

    def in_work(self, *names: str) -> str:
        """Return a path below the gate's folder."""
        return os.path.join(self.work, *names)

    def program(self, name: str) -> str:
        """Return the path of a program of the services."""
        return os.path.join(self.venv, 'bin', name)

    def shipped(self, *names: str) -> str:
        """Return the path of a file that a service brings for /etc."""
        return os.path.join(self.venv, 'etc', *names)

    def ceph_conf(self, site: sites.Site) -> str:
        """Return the path of a site's ceph.conf."""
        return self.in_work('ceph', site.name, 'ceph.conf')


def database(name: str) -> str:
    """Return the URL of a database."""
    return 'mysql+pymysql://gate:%s@127.0.0.1:%d/%s?charset=utf8' % (
        sites.PASSWORD, sites.PORTS['mariadb'], name)


def credentials(user: str) -> Section:
    """Return the options of a client of Keystone's."""
    return {'auth_url': sites.IDENTITY, 'auth_type': 'password', 'username': user,
            'password': sites.PASSWORD, 'project_name': 'service', 'user_domain_name': 'Default',
            'project_domain_name': 'Default', 'region_name': sites.REGION}


def _authtoken(user: str) -> Section:
    return {**credentials(user), 'www_authenticate_uri': sites.IDENTITY,
            'service_token_roles_required': True}


def _common(paths: Paths, log: str) -> Conf:
    return {'DEFAULT': {
                'transport_url': 'rabbit://guest:guest@127.0.0.1:%d/' % sites.PORTS['rabbitmq'],
                'log_file': paths.in_work('log', log + '.log'), 'use_stderr': False},
            'oslo_messaging_notifications': {'driver': 'noop'},
            'oslo_concurrency': {'lock_path': paths.in_work('lock', log)}}


def privsep(paths: Paths, conf_file: str, *sections: str) -> Conf:
    """Return the sections by which a service finds its privileged helpers, without sudo."""
    command = '%s --config-file %s' % (paths.program('privsep-helper'), conf_file)
    return {section: {'helper_command': command} for section in sections}


def keystone(paths: Paths) -> Conf:
    """Return keystone.conf."""
    keys = paths.in_work('keystone')
    return {'DEFAULT': {'log_file': paths.in_work('log', 'keystone.log'), 'use_stderr': False},
            'database': {'connection': database('keystone')},
            'token': {'provider': 'fernet', 'expiration': 86400},
            'fernet_tokens': {'key_repository': os.path.join(keys, 'fernet')},
            'fernet_receipts': {'key_repository': os.path.join(keys, 'fernet')},
            'credential': {'key_repository': os.path.join(keys, 'credential')},
            'identity': {'password_hash_rounds': 4},
            'cache': {'enabled': True, 'backend': 'dogpile.cache.memory'}}


def placement(paths: Paths) -> Conf:
    """Return placement.conf."""
    return {'DEFAULT': {'log_file': paths.in_work('log', 'placement.log'), 'use_stderr': False},
            'api': {'auth_strategy': 'keystone'},
            'placement_database': {'connection': database('placement')},
            'keystone_authtoken': _authtoken('placement')}


def glance(paths: Paths, paste: str, policy: str) -> Conf:
    """Return glance-api.conf: a file store, and one on RBD for each site."""
    stores = {sites.CENTRAL: ('file', {'filesystem_store_datadir': paths.in_work('glance', 'central')})}
    stores.update({site.name: glance_config.rbd_store(paths.ceph_conf(site), GLANCE_USER, IMAGES)
                   for site in sites.SITES})
    return ini.merged(
        _common(paths, 'glance'), glance_config.stores_conf(stores, sites.CENTRAL, paths.in_work('glance')), {
            'database': {'connection': database('glance')},
            'paste_deploy': {'flavor': 'keystone', 'config_file': paste},
            'oslo_policy': {'policy_file': policy},
            'keystone_authtoken': _authtoken('glance')})


def backends() -> typing.List[str]:
    """Return Glance's stores, with their kinds."""
    return [sites.CENTRAL + ':file'] + [site.name + ':rbd' for site in sites.SITES]


def cinder(paths: Paths) -> Conf:
    """Return cinder.conf, of all its services: one back end at each site."""
    helpers = privsep(paths, paths.in_work('etc', 'cinder', 'cinder.conf'),
                      'privsep', 'privsep_osbrick', 'cinder_sys_admin')
    conf = ini.merged(_common(paths, 'cinder'), helpers, {
        'DEFAULT': {'auth_strategy': 'keystone',
                    'api_paste_config': paths.shipped('cinder', 'api-paste.ini'),
                    'rootwrap_config': paths.shipped('cinder', 'rootwrap.conf'),
                    'state_path': paths.in_work('cinder'),
                    'image_conversion_dir': paths.in_work('cinder', 'conversion'),
                    'enabled_backends': ','.join(site.name for site in sites.SITES),
                    'glance_api_servers': 'http://127.0.0.1:%d' % sites.PORTS['glance'],
                    'allowed_direct_url_schemes': 'cinder',
                    'storage_availability_zone': sites.SITES[0].name,
                    'my_ip': '127.0.0.1', 'host': 'cinder'},
        'coordination': {'backend_url': 'file://' + paths.in_work('cinder', 'coordination')},
        'database': {'connection': database('cinder')},
        'keystone_authtoken': _authtoken('cinder'),
        'nova': credentials('nova'),
        'service_user': {**credentials('cinder'), 'send_service_user_token': True}})
    for site in sites.SITES:
        conf[site.name] = {
            'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver',
            'volume_backend_name': site.name, 'backend_availability_zone': site.name,
            'rbd_pool': VOLUMES, 'rbd_user': CINDER_USER,
            # os-brick finds the user's key in /etc/ceph by the cluster's name
            'rbd_cluster_name': site.name, 'rbd_ceph_conf': paths.ceph_conf(site),
            'rbd_secret_uuid': site.secret, 'rbd_exclusive_cinder_pool': True}
    return conf


def nova(paths: Paths, log: str = 'nova') -> Conf:
    """Return nova.conf, of all services but nova-compute."""
    return ini.merged(_nova(paths, log), {
        'api': {'auth_strategy': 'keystone'},
        'api_database': {'connection': database('nova_api')},
        'database': {'connection': database('nova_cell1')},
        'quota': {'instances': -1, 'cores': -1, 'ram': -1},
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': 5},
        'filter_scheduler': {'enabled_filters': SCHEDULER_FILTERS}})


def compute(paths: Paths, host: str) -> Conf:
    """Return nova.conf of a compute host, which knows no database."""
    site = sites.site_of(host)
    own = paths.in_work('hosts', host)
    helpers = privsep(paths, os.path.join(own, 'nova.conf'), 'nova_sys_admin', 'privsep_osbrick')
    return ini.merged(_nova(paths, host), helpers, {
        'DEFAULT': {'host': host, 'state_path': os.path.join(own, 'state'),
                    'instances_path': os.path.join(own, 'instances'),
                    'compute_driver': 'libvirt.LibvirtDriver',
                    'rootwrap_config': paths.shipped('nova', 'rootwrap.conf'),
                    'reserved_host_memory_mb': 0, 'heal_instance_info_cache_interval': -1,
                    'update_resources_interval': 30, 'shutdown_timeout': 1,
                    'vif_plugging_is_fatal': False, 'vif_plugging_timeout': 0},
        'workarounds': {'disable_rootwrap': True, 'skip_cpu_compare_on_dest': True,
                        'skip_cpu_compare_at_startup': True},
        'libvirt': {'virt_type': 'qemu', 'cpu_mode': 'none', 'num_pcie_ports': 8,
                    'images_type': 'rbd', 'images_rbd_pool': DISKS,
                    'images_rbd_ceph_conf': paths.ceph_conf(site), 'rbd_user': CINDER_USER,
                    'rbd_secret_uuid': site.secret, 'disk_cachemodes': 'network=writeback',
                    'images_rbd_glance_store_name': site.name,
                    'images_rbd_glance_copy_timeout': COPY_TIMEOUT}})


def _nova(paths: Paths, log: str) -> Conf:
    user = credentials('nova')
    return ini.merged(_common(paths, log), {
        'DEFAULT': {'my_ip': '127.0.0.1', 'state_path': paths.in_work('nova'),
                    'default_schedule_zone': sites.SITES[0].name,
                    'report_interval': 5, 'service_down_time': 60},
        'vnc': {'enabled': False}, 'spice': {'enabled': False}, 'serial_console': {'enabled': False},
        'keystone_authtoken': _authtoken('nova'),
        'placement': {**user, 'valid_interfaces': 'public'},
        'glance': {'valid_interfaces': 'public'},
        'neutron': {**user, 'valid_interfaces': 'public'},
        'cinder': {**user, 'catalog_info': 'block-storage:cinder:publicURL',
                   'os_region_name': sites.REGION},
        'service_user': {**user, 'send_service_user_token': True}})


# libvirtd runs as a plain process of root's: no other program of libvirt's, no security module, no
# cgroups; and what it would find out about the machine from its firmware is not there.
QEMU_CONF = '''\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
'''

LIBVIRTD_CONF = '''\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "%s"
log_outputs = "3:file:%s"
'''

SECRET_XML = '''\
<secret ephemeral='no' private='no'>
<uuid>%s</uuid><usage type='ceph'><name>client.cinder</name></usage>
</secret>
'''
