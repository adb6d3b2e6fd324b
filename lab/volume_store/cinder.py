# SPDX-License-Identifier: Apache-2.0
"""A real Cinder with one volume service for each backend of the lab.

Imports nothing of Cinder: its services run in a process of their own.
"""
import contextlib
import hashlib
import os
import sys
import typing

import requests

from lab.cinder import client
from lab.cinder import conf
from lab.cinder import server
from lab import ini
from lab import poll

LOOP = 'lab.volume_store.drivers.LoopDriver'
MOUNTED = 'lab.volume_store.drivers.MountedDriver'
RBD = 'lab.cinder.rbd.RbdDriver'
LVM = 'cinder.volume.drivers.lvm.LVMVolumeDriver'
FILER = 'cinder.volume.drivers.nfs.NfsDriver'
#: Backends, and the driver of each. tiny: what is written fails after some MiB; dirty: new volumes are not
#: zeroed, as the others' are. lvm and filer are Cinder's own drivers, see lab.volume_store.guest.
DRIVERS = {'rbd': RBD, 'loop': LOOP, 'nfs': MOUNTED, 'tiny': LOOP, 'dirty': LOOP, 'lvm': LVM, 'filer': FILER}
#: What they need: a volume group, and a folder below what a server of NFS exports, on loopback.
GROUP, SHARED = 'volumes', '/volumes'
DIRT_MIB = 48
SHARE_DIGEST = hashlib.md5(conf.SHARE.encode(), usedforsecurity=False).hexdigest()
ELSEWHERE = {'host': 'elsewhere', 'ip': '127.0.0.2', 'platform': 'x86_64', 'os_type': 'linux',
             'multipath': False, 'initiator': 'iqn.2020-01.org.lab:elsewhere'}
MULTI = '-multi'


class Cinder(server.Cinder):
    """cinder-api, cinder-scheduler, and a cinder-volume for each of the backends.

    Each backend has a volume type of its name, and there are more: what is before the first dash is the
    backend, and those that end in ``-multi`` are for volumes with several attachments.

    :param backends: of :data:`DRIVERS`
    :param ceph: the cluster for the backend rbd, with a pool named volumes
    :param modules: the folder in which rados and rbd are, after that of another release of Cinder
    :param types: more volume types, such as rbd-other, loop-multi
    """

    def __init__(self, glance_url: str, state_dir: str, backends: typing.Sequence[str],
                 ceph: typing.Any = None, modules: str = '',
                 overrides: typing.Optional[ini.Sections] = None,
                 cache_dir: typing.Optional[str] = None, python: str = sys.executable,
                 types: typing.Iterable[str] = ()) -> None:
        self._types = sorted(set(types) | set(backends))
        self.backends = tuple(backends)
        self._folder = os.path.abspath(state_dir)
        sections = self._backend_sections(ceph)
        super().__init__(glance_url, state_dir, overrides=ini.merged(sections, overrides or {}),
                         pythonpath=modules, cache_dir=cache_dir, python=python)

    def _backend_sections(self, ceph: typing.Any) -> typing.Any:
        sections: typing.Any = {'DEFAULT': {
            'enabled_backends': ','.join(self.backends), 'allowed_direct_url_schemes': 'cinder',
            'quota_volumes': '-1', 'quota_gigabytes': '-1', 'quota_snapshots': '-1',
            'per_volume_size_limit': '-1', 'glance_num_retries': '0',
            # In one process without Cinder's own launcher nothing reports that the services are up.
            'service_down_time': '86400'}}
        for name in self.backends:
            section = {'volume_driver': DRIVERS[name], 'volume_backend_name': name}
            if name == 'rbd':
                section.update(rbd_pool='volumes', rbd_ceph_conf=ceph.conf, rbd_user=ceph.user)
            elif name == 'lvm':
                section.update(volume_group=GROUP, lvm_type='default', target_helper='lioadm',
                               target_ip_address='127.0.0.1', volume_clear='none')
            elif name == 'filer':
                # Its files are those of Cinder's user, and open to others.
                section.update(nas_host='127.0.0.1', nas_share_path=SHARED, nfs_snapshot_support='true',
                               nas_secure_file_permissions='false', nas_secure_file_operations='false',
                               nfs_mount_point_base=self.base(name))
            else:
                section.update(nas_secure_file_operations='true', nas_secure_file_permissions='true',
                               nfs_mount_point_base=self.base(name), nfs_snapshot_support='true',
                               nfs_shares_config=os.path.join(self._folder, 'shares'))
            if name == 'dirty':
                section['lab_dirt'] = str(DIRT_MIB)
            sections[name] = section
        return sections

    def base(self, backend: str) -> str:
        """Return the folder below which a backend's shares are mounted."""
        return os.path.join(self._folder, 'volumes', backend)

    def share(self, backend: str) -> str:
        """Return the folder in which a backend keeps its volumes, where its share is mounted."""
        return os.path.join(self.base(backend), SHARE_DIGEST)

    def start(self) -> 'Cinder':
        """Start it, and make the volume types.

        :raises LabError: with the end of the output when it does not come up
        """
        super().start()
        for name in self._types:
            more = {'multiattach': '<is> True'} if name.endswith(MULTI) else {}
            self.create_type(name, dict(more, volume_backend_name=name.partition('-')[0]))
        return self

    def path_of(self, volume_id: str) -> str:
        """Return the file, or the logical volume, that holds the volume's bytes."""
        logical = '/dev/%s/volume-%s' % (GROUP, volume_id)
        return logical if os.path.exists(logical) else super().path_of(volume_id)

    @property
    def root(self) -> str:
        """The API's address without a project."""
        return self.url.rsplit('/', 1)[0]

    # ---- what is there --------------------------------------------------------------------

    def volumes(self) -> typing.Dict[str, client.Json]:
        """Return all volumes of all projects by id."""
        found = self.request('GET', '/volumes/detail?all_tenants=1&limit=1000', token=client.ADMIN)
        return {one['id']: one for one in found['volumes']}

    def attachments(self) -> typing.Dict[str, client.Json]:
        """Return all attachments of all projects by id."""
        found = self.request('GET', '/attachments?all_tenants=1&limit=1000', token=client.ADMIN)
        return {one['id']: one for one in found['attachments']}

    def attach(self, volume_id: str) -> str:
        """Attach a volume to another host than Glance's; return the attachment's id."""
        response = requests.post(
            self.url + '/attachments', timeout=poll.SECONDS,
            headers={'X-Auth-Token': client.ADMIN, 'OpenStack-API-Version': 'volume 3.54'},
            json={'attachment': {'volume_uuid': volume_id, 'connector': ELSEWHERE}})
        if response.status_code >= 400:
            raise client.Refused('POST', '/attachments', response)
        made = response.json()['attachment']['id']
        self.request('POST', '/attachments/%s/action' % made, {'os-complete': None}, client.ADMIN)
        return made

    def detach(self, attachment: str) -> None:
        """Take an attachment away."""
        self.request('DELETE', '/attachments/' + attachment, token=client.ADMIN)

    def force_delete(self, volume_id: str) -> None:
        """Delete a volume whatever its state is, and its attachments first; wait until it is gone."""
        with contextlib.suppress(client.Refused):
            self._force(volume_id)
        poll.until('end of volume ' + volume_id, lambda: self.is_gone(volume_id))

    def _force(self, volume_id: str) -> None:
        for attachment, found in self.attachments().items():
            if found['volume_id'] == volume_id:
                self.request('DELETE', '/attachments/' + attachment, token=client.ADMIN)
        self.request('POST', '/volumes/%s/action' % volume_id, {'os-reset_status': {
            'status': 'available', 'attach_status': 'detached'}}, client.ADMIN)
        self.request('DELETE', '/volumes/' + volume_id, token=client.ADMIN)
