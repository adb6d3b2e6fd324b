# SPDX-License-Identifier: Apache-2.0
"""The services' databases, and Keystone's content: made once, kept, and copied for each run."""

import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import typing

from lab.gate import api
from lab.gate import config
from lab.gate import processes
from lab.gate import releases
from lab.gate import services
from lab.gate import sites
from lab.gate import stores
from lab.paths import CHECKOUT

#: Users of the project "service".
SERVICE_USERS = ('nova', 'glance', 'cinder', 'placement')
#: The one whose servers and volumes it is all about.
PROJECT = USER = 'demo'

_ENDPOINTS = {'glance': ('image', ''), 'placement': ('placement', ''), 'neutron': ('network', ''),
              'nova': ('compute', '/v2.1')}


def restore(cache: str, paths: config.Paths, release: releases.Release) -> bool:
    """Copy what an earlier run has kept; return whether there was something."""
    kept = kept_in(cache, release)
    if not os.path.isdir(kept):
        return False
    subprocess.run(['cp', '-a', kept + '/.', paths.work], check=True)
    return True


def keep(cache: str, paths: config.Paths, server: stores.MariaDB,
         running: processes.Processes, release: releases.Release) -> None:
    """Keep the databases for the next run; the server is stopped for it, and started again."""
    kept = kept_in(cache, release)
    running.stop(server.NAME)
    shutil.rmtree(cache, ignore_errors=True)
    os.makedirs(kept + '.new')
    subprocess.run(['cp', '-a', server.folder, paths.in_work('keystone'), kept + '.new'], check=True)
    os.rename(kept + '.new', kept)
    server.start()


def kept_in(cache: str, release: releases.Release) -> str:
    """Return the folder where the databases of a release are kept."""
    # Whatever the content depends on: the releases, this file, and what is written by others here.
    digest = hashlib.sha256(repr(release.volume_endpoint).encode())
    here = os.path.dirname(os.path.abspath(__file__))
    constraints = os.path.join(CHECKOUT, 'tests', 'constraints-%s.txt' % release.environment)
    for path in [constraints] + [
            os.path.join(here, name) for name in ('databases.py', 'sites.py', 'stores.py')]:
        digest.update(pathlib.Path(path).read_bytes())
    return os.path.join(cache, digest.hexdigest()[:16])


def make(paths: config.Paths, running: processes.Processes) -> None:
    """Make all tables, and Keystone's keys and first user."""
    def manage(program: str, conf: str, *arguments: str) -> None:
        running.run([paths.program(program), '--config-file', paths.in_work('etc', *conf.split('/')),
                     *arguments], program)

    def keystone() -> None:
        conf = 'keystone/keystone.conf'
        manage('keystone-manage', conf, 'db_sync')
        for what in ('fernet_setup', 'credential_setup'):
            manage('keystone-manage', conf, what, '--keystone-user', 'root', '--keystone-group',
                   'root')
        manage('keystone-manage', conf, 'bootstrap', '--bootstrap-password', sites.PASSWORD,
               '--bootstrap-region-id', sites.REGION, *(
                   argument for kind in ('public', 'internal', 'admin')
                   for argument in ('--bootstrap-%s-url' % kind, sites.IDENTITY)))
        running.run([paths.program('python'), '-m', 'lab.glance_manage', paths.in_work('etc', 'glance')],
                    'glance-manage', directory=CHECKOUT)
        manage('placement-manage', 'placement/placement.conf', 'db', 'sync')

    def nova() -> None:
        conf = 'nova/nova.conf'
        manage('nova-manage', conf, 'api_db', 'sync')
        manage('nova-manage', conf, 'cell_v2', 'map_cell0', '--database_connection',
               config.database('nova_cell0'))
        manage('nova-manage', conf, 'cell_v2', 'create_cell', '--name', 'cell1')
        manage('nova-manage', conf, 'db', 'sync')
        manage('cinder-manage', 'cinder/cinder.conf', 'db', 'sync')

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for made in [pool.submit(keystone), pool.submit(nova)]:
            made.result()


def fill_keystone(volume_endpoint: typing.Tuple[str, str]) -> None:
    """Make the services' users and endpoints, and the user of the scenarios; Keystone runs."""
    admin = api.Api('admin', 'admin')

    def post(kind: str, **content: typing.Any) -> str:
        response = admin.call(api.IDENTITY, 'POST', '/%ss' % kind, {kind: content})
        return str(response[kind]['id'])

    def role(name: str) -> str:
        found = admin.call(api.IDENTITY, 'GET', '/roles?name=' + name)['roles']
        return str(found[0]['id']) if found else post('role', name=name)

    def user(name: str, project: str, *roles: str) -> None:
        user_id = post('user', name=name, password=sites.PASSWORD, domain_id='default',
                       default_project_id=project)
        for role_id in roles:
            admin.call(api.IDENTITY, 'PUT', '/projects/%s/users/%s/roles/%s' % (
                project, user_id, role_id))

    service = post('project', name='service', domain_id='default')
    for name in SERVICE_USERS:
        user(name, service, role('admin'), role('service'))
    user(USER, post('project', name=PROJECT, domain_id='default'), role('member'), role('reader'))
    endpoints = {**_ENDPOINTS, 'cinder': volume_endpoint}
    for name, (kind, path) in endpoints.items():
        service_id = post('service', name=name, type=kind)
        for interface in ('public', 'internal', 'admin'):
            post('endpoint', service_id=service_id, interface=interface, region_id=sites.REGION,
                 url='http://127.0.0.1:%d%s' % (sites.PORTS[name], path))


def prepare(cache: str, paths: config.Paths, running: processes.Processes,
            server: stores.MariaDB, serving: 'services.Services', release: releases.Release) -> None:
    """Have the databases filled, MariaDB and Keystone running; from the cache if it can be."""
    if restore(cache, paths, release):
        server.start()
        serving.start('keystone')
        return
    server.make()
    server.start()
    server.make_databases()
    make(paths, running)
    serving.start('keystone')
    fill_keystone(release.volume_endpoint)
    keep(cache, paths, server, running, release)
