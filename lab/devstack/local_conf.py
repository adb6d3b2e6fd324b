# SPDX-License-Identifier: Apache-2.0
"""The local.conf of a run: the operator's lines, which are those of the README, and those of this machine."""

import os
import re
import typing

from lab import paths

HOST = '10.0.2.100'
IMAGE = 'multistore-guest'
#: Every service that has to do with images.
SERVICES = ('openstack-cli-server key mysql rabbit tls-proxy g-api n-api n-cpu n-cond n-sch placement-api'
            ' placement-client c-api c-sch c-vol tempest')
#: A driver of the stand-ins, by the name that devstack's first backend has.
BACKEND = 'localfile:lvmdriver-1'
# No service and no test is to fail because the machine is busy with something else.
BUILD_SECONDS, SERVICE_SECONDS = '900', '600'
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
    'CINDER_VOLUME_CLEAR': 'none', 'BUILD_TIMEOUT': BUILD_SECONDS,
    'SERVICE_TIMEOUT': SERVICE_SECONDS,
}
README = os.path.join(paths.CHECKOUT, 'devstack', 'README.rst')
#: Everything of this project that needs Ceph: the README's second example, and the kinds and settings that
#: its other parts name. The clusters are there already.
CEPH_OPERATOR = (
    'enable_plugin devstack-plugin-ceph https://opendev.org/openstack/devstack-plugin-ceph',
    'enable_plugin multistore-hooks file:///opt/src/multistore-hooks main',
    'MULTISTORE_STORES="cheap:file,robust:rbd,site2:rbd,gold:volume"', 'MULTISTORE_DEFAULT=cheap',
    'MULTISTORE_SHOW_LOCATIONS=False', 'MULTISTORE_SITE_IMAGES=fallback', 'MULTISTORE_RULES=by-tag')
CEPH_PLUGIN = 'devstack-plugin-ceph'


class Cluster(typing.NamedTuple):
    """A Ceph cluster that an operator has: its ceph.conf in /etc/ceph, and its pools."""

    name: str
    pools: typing.Sequence[str]


def examples() -> typing.List[typing.List[str]]:
    """Return the lines of each example of the README."""
    with open(README, encoding='utf-8') as stream:
        found = re.findall(r'\[\[local\|localrc\]\]\n((?:    \S.*\n)+)', stream.read())
    return [[line.strip() for line in example.splitlines()] for example in found]


def plugins(operator: typing.Iterable[str]) -> typing.List[str]:
    """Return the names of the plugins that the operator's lines enable."""
    return [line.split()[1] for line in operator if line.startswith('enable_plugin ')]


def clusters(operator: typing.Sequence[str]) -> typing.List[Cluster]:
    """Return the Ceph clusters that these lines need."""
    text = '\n'.join(operator)
    if CEPH_PLUGIN in plugins(operator):
        more = re.findall(r'(\w+):rbd', text)[1:]
        return [Cluster('ceph', ['images', 'volumes', 'vms'] + ['images-' + name for name in more])]
    return [Cluster(name, ['images', 'vms']) for name in sorted(set(
        re.findall(r'=/etc/ceph/(\w+)\.conf$', text, re.MULTILINE)))]


def render(operator: typing.Sequence[str]) -> str:
    """Return the text of local.conf.

    :param operator: the lines of the operator
    """
    lines = ['[[local|localrc]]']
    lines += ['%s=%s' % item for item in MACHINE.items()]
    lines += ['disable_all_services', 'enable_service ' + SERVICES]
    lines += operator
    if CEPH_PLUGIN in plugins(operator):
        # The clusters are the lab's: cephadm wants containers.
        lines.append('REMOTE_CEPH=True')
    else:
        lines.append('CINDER_ENABLED_BACKENDS=' + BACKEND)
    # Last, as it is no plugin of the operator's.
    lines += ['enable_plugin lab-stand-ins file:///opt/git/lab-stand-ins main', '']
    lines += ['[[post-config|$GLANCE_API_CONF]]', '[DEFAULT]', 'workers = 1', '']
    # BUILD_TIMEOUT is not that of images.
    lines += ['[[test-config|$TEMPEST_CONFIG]]', '[image]', 'build_timeout = ' + BUILD_SECONDS]
    return '\n'.join(lines) + '\n'
