# SPDX-License-Identifier: Apache-2.0
"""The compute hosts: each has a host name and mounts of its own, libvirtd, and nova-compute."""

import hashlib
import os
import pathlib
import typing
import uuid

from lab import ceph
from lab.gate import config
from lab.gate import processes
from lab.gate import sites
from lab import ini
from lab.poll import LabError

# What libvirt writes to, by the folder of the host that takes its place.
_MOUNTS = {'etc': '/etc/libvirt', 'lib': '/var/lib/libvirt', 'cache': '/var/cache/libvirt',
           'log': '/var/log/libvirt'}


class Hosts:
    """All hosts of all sites."""

    def __init__(self, paths: config.Paths, running: processes.Processes,
                 conf: config.Conf) -> None:
        """Describe them.

        :param conf: laid over every host's nova.conf
        """
        self._paths, self._running, self._conf = paths, running, conf

    def make(self, clusters: typing.Mapping[str, ceph.Ceph]) -> None:
        """Start libvirtd on every host, and give it the key of its cluster."""
        for host in sites.HOSTS:
            self._make(host)
        for host in sites.HOSTS:
            self._give_key(host, clusters[sites.site_of(host).name])

    def configure(self, extra: config.Conf) -> None:
        """Write every host's nova.conf, with more options over its own."""
        for host in sites.HOSTS:
            pathlib.Path(self.folder(host), 'nova.conf').write_text(
                ini.render(ini.merged(config.compute(self._paths, host), self._conf, extra)),
                encoding='utf-8')

    def start(self, *hosts: str) -> None:
        """Start nova-compute on these hosts; all, if none is named."""
        for host in hosts or sites.HOSTS:
            self._running.start(compute(host), self._inside(host, [
                self._paths.program('nova-compute'), '--config-file',
                os.path.join(self.folder(host), 'nova.conf')]))

    def stop(self, *hosts: str) -> None:
        """Stop nova-compute on these hosts, or on all; their servers run on."""
        self._running.stop(*[compute(host) for host in hosts or sites.HOSTS])

    def kill(self, host: str) -> None:
        """Kill nova-compute on a host."""
        self._running.kill(compute(host))

    def folder(self, host: str) -> str:
        """Return the folder of all that is the host's own."""
        return self._paths.in_work('hosts', host)

    def log(self, host: str) -> str:
        """Return what nova-compute of this host has logged."""
        path = pathlib.Path(self._paths.in_work('log', host + '.log'))
        return path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''

    def has_base_file(self, host: str, image_id: str, end: str = '') -> bool:
        """Return whether an image was downloaded to the host; `end` is that of the file's name."""
        name = hashlib.sha1(image_id.encode()).hexdigest()      # noqa: S324  as Nova names it
        return os.path.exists(os.path.join(self.folder(host), 'instances', '_base', name + end))

    def _make(self, host: str) -> None:
        folder = self.folder(host)
        for name in [*_MOUNTS, 'instances', 'state']:
            os.makedirs(os.path.join(folder, name))
        write(os.path.join(folder, 'etc', 'qemu.conf'), config.QEMU_CONF)
        conf = os.path.join(folder, 'libvirtd.conf')
        write(conf, config.LIBVIRTD_CONF % (uuid.uuid4(), self._paths.in_work(
            'log', libvirtd(host) + '.log')))
        mounts = ['mkdir -p %s && mount --bind %s %s' % (target, os.path.join(folder, name), target)
                  for name, target in _MOUNTS.items()]
        script = ' && '.join(['hostname %s' % host, 'mount -t tmpfs tmpfs /run', *mounts,
                              'exec libvirtd -f %s' % conf])
        self._running.start(libvirtd(host), ['unshare', '--uts', '--mount', 'sh', '-c', script])

    def _give_key(self, host: str, cluster: ceph.Ceph) -> None:
        site = sites.site_of(host)
        path = os.path.join(self.folder(host), 'secret.xml')
        write(path, config.SECRET_XML % site.secret)
        virsh = self._inside(host, ['virsh', '-q', '-c', 'qemu:///system'])

        def responds() -> bool:
            try:
                self._running.run(virsh + ['secret-define', path], libvirtd(host) + '-secret')
            except LabError:
                return False
            return True
        self._running.wait_until('response of libvirtd on ' + host, responds, libvirtd(host))
        key = cluster.ceph('auth', 'get-key', 'client.' + config.CINDER_USER).strip()
        self._running.run(virsh + ['secret-set-value', site.secret, '--base64', key],
                          libvirtd(host) + '-secret')

    def _inside(self, host: str, command: typing.List[str]) -> typing.List[str]:
        return ['nsenter', '--target', str(self._running.pid(libvirtd(host))), '--uts', '--mount',
                '--'] + command


def compute(host: str) -> str:
    """Return the name of the process nova-compute of a host."""
    return host + '-nova-compute'


def libvirtd(host: str) -> str:
    """Return the name of the process libvirtd of a host."""
    return host + '-libvirtd'


def write(path: str, text: str) -> None:
    """Write a file."""
    pathlib.Path(path).write_text(text, encoding='utf-8')
