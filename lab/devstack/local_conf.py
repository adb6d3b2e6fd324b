# SPDX-License-Identifier: Apache-2.0
"""The local.conf of a run: the operator's lines, which are those of the README, and those of this machine."""

import typing

HOST = '10.0.2.100'
IMAGE = 'multistore-guest'
#: Every service that has to do with images.
SERVICES = ('openstack-cli-server key mysql rabbit tls-proxy g-api n-api n-cpu n-cond n-sch placement-api'
            ' placement-client c-api c-sch c-vol tempest')
# What makes a devstack small, and lets it take what is there already.
MACHINE = {
    'DATABASE_PASSWORD': 'secretdatabase', 'RABBIT_PASSWORD': 'secretrabbit',
    'ADMIN_PASSWORD': 'secretadmin', 'SERVICE_PASSWORD': 'secretservice',
    'HOST_IP': HOST, 'SERVICE_HOST': HOST, 'SERVICE_IP_VERSION': '4', 'IP_VERSION': '4',
    'RECLONE': 'no', 'LOGFILE': '/opt/stack/logs/stack.sh.log', 'LOG_COLOR': 'False', 'VERBOSE': 'True',
    'LIBVIRT_TYPE': 'qemu', 'API_WORKERS': '1', 'MYSQL_REDUCE_MEMORY': 'True',
    'ENABLE_KSM': 'False', 'ENABLE_KSMTUNED': 'False',
    # devstack adds an image of its own to any other, unless it is forbidden.
    'DOWNLOAD_DEFAULT_IMAGES': 'False', 'IMAGE_URLS': 'file:///opt/git/%s.img' % IMAGE,
    'DEFAULT_IMAGE_NAME': IMAGE, 'TEMPEST_RUN_VALIDATION': 'False',
    'TEMPEST_VENV_UPPER_CONSTRAINTS': '/opt/stack/requirements/upper-constraints.txt',
    'CINDER_ENABLED_BACKENDS': 'localfile:local-1', 'CINDER_VOLUME_CLEAR': 'none',
}
#: The line and the settings that the README shows first.
OPERATOR = ('enable_plugin multistore-hooks file:///opt/git/multistore-hooks main',
            'MULTISTORE_STORES="cheap:file,reliable:file"', 'MULTISTORE_DEFAULT=cheap')
#: With two Ceph clusters that are there already, as the README has it; and what of this project needs Ceph.
CEPH_CLUSTERS = ('dcn1', 'dcn2')
CEPH_OPERATOR = (
    OPERATOR[0], 'MULTISTORE_STORES="cheap:file,dcn1:rbd,dcn2:rbd"',
    'MULTISTORE_RBD_CONF_dcn1=/etc/ceph/dcn1.conf', 'MULTISTORE_RBD_CONF_dcn2=/etc/ceph/dcn2.conf',
    'MULTISTORE_NOVA_STORE=dcn1', 'MULTISTORE_NOVA_RBD_USER=cinder',
    'MULTISTORE_NOVA_RBD_KEYRING=/etc/ceph/dcn1.client.cinder.keyring',
    'MULTISTORE_NOVA_SECRET_UUID=457eb676-33da-42ec-9a8c-9293d545c337',
    'MULTISTORE_SHOW_LOCATIONS=False', 'MULTISTORE_SITE_IMAGES=fallback', 'MULTISTORE_RULES=by-tag')


def render(operator: typing.Sequence[str] = OPERATOR) -> str:
    """Return the text of local.conf.

    :param operator: the lines of the operator
    """
    lines = ['[[local|localrc]]']
    lines += ['%s=%s' % item for item in MACHINE.items()]
    lines += ['disable_all_services', 'enable_service ' + SERVICES]
    lines += operator
    # Last, as it is no plugin of the operator's.
    lines += ['enable_plugin lab-stand-ins file:///opt/git/lab-stand-ins main', '']
    lines += ['[[post-config|$GLANCE_API_CONF]]', '[DEFAULT]', 'workers = 1']
    return '\n'.join(lines) + '\n'
