# SPDX-License-Identifier: Apache-2.0
"""The cloud: what it consists of, how it comes up, and what is different from one mode to another."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import typing

from lab import ceph
from lab.gate import api
from lab.gate import config
from lab.gate import databases
from lab.gate import guest
from lab.gate import hooks
from lab.gate import hosts
from lab.gate import processes
from lab.gate import releases
from lab.gate import services
from lab.gate import sites
from lab.gate import stores
from lab import ini
from lab.poll import LabError

IMAGE_SIZE = 128 * sites.MIB
BIG_SIZE = 512 * sites.MIB


class Mode(typing.NamedTuple):
    """Which of the hooks are configured."""

    name: str
    filter: bool = False        # in Glance's pipeline
    services: bool = False      # Nova's driver, Cinder's manager and API


STOCK = Mode('stock')
FILTER = Mode('filter', filter=True)
HOOKS = Mode('hooks', filter=True, services=True)


class Cloud:
    """The whole cloud."""

    def __init__(self, paths: config.Paths, cache: str, release: releases.Release) -> None:
        self.paths, self._cache, self.release = paths, cache, release
        for name in ('log', 'lock', 'tmp', 'home', 'etc'):
            os.makedirs(paths.in_work(name), exist_ok=True)
        self.running = processes.Processes(paths.in_work('log'), _environment(paths))
        self.services = services.Services(paths, self.running, release.apis)
        self.hosts = hosts.Hosts(paths, self.running, release.conf.get('compute', {}))
        self.mariadb = stores.MariaDB(paths, self.running)
        self.rabbitmq = stores.RabbitMQ(paths, self.running)
        self.clusters: typing.Dict[str, ceph.Ceph] = {}
        self.mode = STOCK
        self._installed = False
        self.raw = paths.in_work('disk.raw')
        self.big = paths.in_work('big.raw')
        self.qcow2 = paths.in_work('disk.qcow2')

    # ---- coming up -------------------------------------------------------------------------

    def up(self, stage: typing.Callable[[str], typing.ContextManager[typing.Any]], mode: Mode) -> None:
        """Bring all of it up.

        :param stage: makes a context that reports what is being done
        :param mode: stock as its releases are, or with hooks from the beginning
        """
        guest.make_image(self.raw, IMAGE_SIZE)
        guest.make_qcow2(self.raw, self.qcow2)
        # One whose copy takes long enough for something to happen meanwhile.
        shutil.copyfile(self.raw, self.big)
        os.truncate(self.big, BIG_SIZE)
        self.mode = mode
        self._install(mode)
        self._configure(mode)
        with stage('Ceph, RabbitMQ, MariaDB, Keystone'):
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                below = [pool.submit(self._clusters), pool.submit(self.rabbitmq.start),
                         pool.submit(databases.prepare, self._cache, self.paths, self.running,
                                     self.mariadb, self.services, self.release)]
            for one in below:
                one.result()
        version = self.release.compute_version
        self.admin = api.Api('admin', 'admin', version)
        self.user = api.Api(databases.USER, databases.PROJECT, version)
        with stage('Glance, Placement, Nova, Cinder, libvirt'):
            self.services.start('neutron', 'placement', 'glance', 'nova-conductor')
            self.hosts.make(self.clusters)
            self.hosts.configure(hooks.NOVA if mode.services else {})
            self.services.start('nova-scheduler', 'nova', 'cinder', 'cinder-scheduler',
                                'cinder-volume')
            self._check_filter(mode.filter)
            self.start_computes()
            self._fill()

    def _clusters(self) -> None:
        self.clusters.update(stores.make_clusters(self.paths))

    def start_computes(self, *names: str) -> None:
        """Start nova-compute on these hosts, or on all; wait until every host is at work."""
        before = self._reports()
        self.hosts.start(*names)
        self._wait_for_reports(before, {host: hosts.compute(host) for host in names or sites.HOSTS})
        self.running.wait_until('services of Nova and Cinder', self._are_up)

    def _wait_for_reports(self, before: typing.Mapping[str, int],
                          wanted: typing.Mapping[str, str]) -> None:
        """Wait for new reports of these hosts; the values are the names of their processes."""
        for host, name in wanted.items():
            self.running.wait_until(
                'report of ' + host,
                lambda host=host: self._reports().get(host, 0) > before.get(host, 0),  # type: ignore
                name)

    def _reports(self) -> typing.Dict[str, int]:
        """Return how often each nova-compute and cinder-volume has reported since it is there.

        They begin with it when all of them is up. The APIs list a service that was stopped that
        it is "up" for another minute, and of one that starts, that it has been "updated" when it
        does not take requests yet.
        """
        lines = self.mariadb.execute(
            "SELECT host, report_count FROM nova_cell1.services s WHERE s.binary = 'nova-compute'"
            " UNION "
            "SELECT host, report_count FROM cinder.services s WHERE s.binary = 'cinder-volume'")
        return {host: int(count) for host, count in (
            line.split('\t') for line in lines.splitlines())}

    def _are_up(self) -> bool:
        nova = self.admin.call(api.COMPUTE, 'GET', '/os-services')['services']
        cinder = self.admin.call(api.VOLUME, 'GET', '/os-services')['services']
        listed = self.admin.call(api.COMPUTE, 'GET', '/os-hypervisors')['hypervisors']
        up = [one['binary'] for one in nova + cinder if one['state'] == 'up']
        return (up.count('nova-compute') == len(listed) == len(sites.HOSTS)
                and up.count('cinder-volume') == len(sites.SITES))

    def _fill(self) -> None:
        """Make an availability zone of each site, and a flavor whose disk is as big as its image."""
        for site in sites.SITES:
            made = self.admin.call(api.COMPUTE, 'POST', '/os-aggregates', {
                'aggregate': {'name': site.name, 'availability_zone': site.name}})['aggregate']
            for host in site.hosts:
                self.admin.call(api.COMPUTE, 'POST', '/os-aggregates/%s/action' % made['id'],
                                {'add_host': {'host': host}})
        for number, name in enumerate(('tiny', 'tiny2'), 1):
            self.admin.call(api.COMPUTE, 'POST', '/flavors', {'flavor': {
                'id': str(number), 'name': name, 'ram': 64, 'vcpus': 1, 'disk': 0}})

    # ---- modes -----------------------------------------------------------------------------

    def switch(self, mode: Mode) -> None:
        """Have these hooks and no others: configure, and restart what read its configuration."""
        self._install(mode)
        before, self.mode = self.mode, mode
        self._configure(mode)
        names = ['glance'] if mode.filter != before.filter else []
        if mode.services != before.services:
            names += ['cinder', 'cinder-volume']
            self.hosts.stop()
        self.running.stop(*names)
        reports = self._reports()
        self.services.start(*names)
        self._check_filter(mode.filter)
        if mode.services != before.services:
            self.start_computes()
            self._wait_for_reports(reports, {'cinder@' + site.name: 'cinder-volume'
                                             for site in sites.SITES})

    def _install(self, mode: Mode) -> None:
        if mode != STOCK and not self._installed:
            hooks.install(self.paths, self.running)
            self._installed = True
        if mode.services:
            hooks.patch_nova(self.paths, self.running)

    def _check_filter(self, wanted: bool) -> None:
        """Check as an operator does whether the filter is at work."""
        response = self.user.raw(api.IMAGE, '/v2/info/stores')
        if ('X-OpenStack-Multistore-Hooks' in response.headers) != wanted:
            raise LabError("the filter is%s in Glance's pipeline" % (' not' * wanted))

    def restart_computes(self, extra: config.Conf) -> None:
        """Restart nova-compute everywhere with more options."""
        self.hosts.stop()
        self.hosts.configure(ini.merged(hooks.NOVA if self.mode.services else {}, extra))
        self.start_computes()

    def _configure(self, mode: Mode) -> None:
        paths = self.paths
        paste = pathlib.Path(paths.shipped('glance', 'glance-api-paste.ini')).read_text('utf-8')
        if mode.filter:
            paste = hooks.paste_with_filter(paste)
        self._etc('glance', 'glance-api-paste.ini', paste)
        self._etc('nova', 'api-paste.ini',
                  pathlib.Path(paths.shipped('nova', 'api-paste.ini')).read_text('utf-8'))
        self._etc('nova', 'policy.yaml', json.dumps(config.NOVA_POLICY))
        self.refuse_locations(False)
        for project, name, conf in (
                ('keystone', 'keystone.conf', config.keystone(paths)),
                ('placement', 'placement.conf', config.placement(paths)),
                ('glance', 'glance-api.conf', self._glance()),
                ('cinder', 'cinder.conf', ini.merged(
                    config.cinder(paths), hooks.CINDER if mode.services else {})),
                ('nova', 'nova.conf', config.nova(paths))):
            self._etc(project, name, ini.render(
                ini.merged(conf, self.release.conf.get(project, {}))))
        if os.path.isdir(self.paths.in_work('hosts')):
            self.hosts.configure(hooks.NOVA if mode.services else {})

    def _glance(self) -> config.Conf:
        return config.glance(self.paths, *(self.paths.in_work('etc', 'glance', name)
                                           for name in ('glance-api-paste.ini', 'policy.yaml')))

    def configure_glance(self, extra: config.Conf) -> None:
        """Restart Glance with more options."""
        self._etc('glance', 'glance-api.conf', ini.render(ini.merged(
            self._glance(), self.release.conf.get('glance', {}), extra)))
        self.services.restart('glance')

    def refuse_locations(self, refuse: bool) -> None:
        """Set Glance's policies, which it reads again by itself: are locations refused?"""
        policy = {**config.POLICY, **(config.NO_LOCATIONS if refuse else {})}
        self._etc('glance', 'policy.yaml', json.dumps(policy))

    def _etc(self, project: str, name: str, text: str) -> None:
        os.makedirs(self.paths.in_work('etc', project), exist_ok=True)
        hosts.write(self.paths.in_work('etc', project, name), text)

    @contextlib.contextmanager
    def locations_refused(self, refuse: bool = True) -> typing.Iterator[None]:
        """Have Glance refuse the locations of direct snapshots, inside the ``with`` block."""
        self.refuse_locations(refuse)
        try:
            yield
        finally:
            self.refuse_locations(False)


def _environment(paths: config.Paths) -> typing.Dict[str, str]:
    kept = {name: os.environ[name] for name in ('LANG', 'TERM', 'http_proxy', 'https_proxy',
                                                'no_proxy', 'PIP_INDEX_URL') if name in os.environ}
    return {**kept, 'PATH': os.pathsep.join([
                os.path.join(paths.venv, 'bin'), '/usr/local/sbin', '/usr/local/bin', '/usr/sbin',
                '/usr/bin', '/sbin', '/bin']),
            'HOME': paths.in_work('home'), 'TMPDIR': paths.in_work('tmp'),
            'PYTHONWARNINGS': 'ignore', 'PYTHONDONTWRITEBYTECODE': '', 'LC_ALL': 'C.UTF-8'}
