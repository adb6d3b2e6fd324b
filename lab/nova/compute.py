# SPDX-License-Identifier: Apache-2.0
"""A compute host in this process: Nova's manager, started as nova-compute starts it, and its operations.

Import this after ``releases.enter_service``, and before anything else of Nova: the stand-in for
libvirt must be there when Nova's driver needs it.
"""

import os
import sys
import threading
import time
import typing

import libvirt                          # noqa: F401  the stand-in
from nova.compute import manager
from nova import conf
from nova import config
import nova.context
from nova import objects
from nova import version
from oslo_log import log as logging

from lab.nova import database
from lab.nova import operations
from lab.nova import placement
from lab.nova import records
from lab.nova import servers
from lab.nova import settings

CONF = conf.CONF
TOKEN = 'user:project:member,reader'
Wanted = typing.Dict[str, typing.Any]
Result = typing.Dict[str, typing.Any]
# An operation, and its server or the error that nova-api would have given.
Prepared = typing.Tuple[Wanted, typing.Any]


class Compute:
    """Nova's ComputeManager, the database behind it, the servers that it has booted, and what it says."""

    def __init__(self, document: settings.Document) -> None:
        """Start the service as its own main() does, short of listening to a queue."""
        self._document = document
        config.parse_args(sys.argv + ['--config-file', placement.start(document['state_dir'])])
        logging.setup(CONF, 'nova')
        self._records = records.Records()
        self.version = version.version_string()
        objects.register_all()
        database.create()
        try:
            self._manager = manager.ComputeManager()
        except SystemExit:              # Nova's way: it has logged why
            raise RuntimeError('nova-compute exits: %s' % ' / '.join(self._records.since(0)))
        if document.get('ceph'):
            # As the compute manager's init_host does it; the rest of that looks for servers to resume.
            conf.neutron.register_dynamic_opts(CONF)
            self._manager.driver.init_host(host=CONF.host)
        self._servers = servers.Servers(self._manager, self._context)

    def prepare(self, wanted: typing.Sequence[Wanted]) -> typing.List[Prepared]:
        """Do what nova-api does before a host is called; an error of it is kept for the result."""
        prepared: typing.List[Prepared] = []
        for one in wanted:
            try:
                prepared.append((one, self._servers.prepare(one)))
            except Exception as error:
                prepared.append((one, error))
        return prepared

    def run(self, prepared: typing.Sequence[Prepared], parallel: int) -> Result:
        """Run operations, so many at a time; return what came of them."""
        self._records.take()
        results: typing.List[Result] = [{}] * len(prepared)
        waiting = list(enumerate(prepared))
        count = min(parallel, len(prepared))
        together = threading.Barrier(count or 1)

        def work() -> None:
            together.wait()
            while True:
                try:
                    number, (one, server) = waiting.pop(0)
                except IndexError:
                    return
                results[number] = self._operate(one, server)

        # Green threads where Nova has patched the standard library, as in production.
        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            self._find_disk(result)
        return dict(self._records.take(), results=results, base_files=self._base_files())

    def _operate(self, wanted: Wanted, server: typing.Any) -> Result:
        count = self._records.count()
        result: Result = {'operation': wanted['operation'], 'name': wanted.get('name'), 'outcome': 'none',
                          'parent': None, 'image_id': None, 'error': None, 'started': time.time()}
        try:
            if isinstance(server, Exception):
                raise server
            result.update(self._servers.operate(wanted, server))
        except Exception as error:      # whatever it is, it is the result
            result['error'] = operations.describe(error)
        result['ended'] = time.time()
        result.setdefault('seconds', round(result['ended'] - result['started'], 4))
        result['log'] = self._records.since(count)
        return result

    def _find_disk(self, result: Result) -> None:
        """Say what became of the disk; only now, not to hold up the other operations."""
        if result.get('disk'):
            outcome, parent = _disk_on_rbd(result['disk'])
            result.update(outcome=outcome, parent=parent, cloned=self._records.cloned(result['disk']))

    def _context(self, wanted: Wanted) -> nova.context.RequestContext:
        """A request of the token's user, as it came to nova-api."""
        token = wanted.get('token') or self._document.get('token', TOKEN)
        url = self._document['glance_url']
        user, project, roles = token.split(':')
        return nova.context.RequestContext(
            user_id=user, project_id=project, roles=roles.split(','), auth_token=token,
            service_catalog=[{'type': 'image', 'name': 'glance', 'endpoints': [
                {'region': 'lab', 'publicURL': url, 'internalURL': url}]}])

    @staticmethod
    def _base_files() -> typing.List[str]:
        # The option was [DEFAULT] image_cache_subdirectory_name in Train.
        base = os.path.join(CONF.instances_path, '_base')
        return sorted(os.listdir(base)) if os.path.isdir(base) else []


def _disk_on_rbd(disk: str) -> typing.Tuple[str, typing.Optional[str]]:
    """Say, without Nova, what a disk, pool/name, is: clone and its parent, flat, or none."""
    import rados
    import rbd
    pool, name = disk.split('/')
    with rados.Rados(rados_id=CONF.libvirt.rbd_user,
                     conffile=CONF.libvirt.images_rbd_ceph_conf) as cluster:
        with cluster.open_ioctx(pool) as ioctx:
            if name not in rbd.RBD().list(ioctx):
                return 'none', None
            with rbd.Image(ioctx, name, read_only=True) as image:
                try:
                    return 'clone', '%s/%s@%s' % tuple(image.parent_info()[:3])
                except rbd.ImageNotFound:
                    return 'flat', None
