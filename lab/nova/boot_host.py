# SPDX-License-Identifier: Apache-2.0
"""A compute host on RBD in this process: its operations, one after another or at once.

Import it after ``releases.enter_service``, like ``lab.nova.service``.
"""

import os
import threading
import time
import typing

import libvirt                          # noqa: F401  the stand-in, before Nova's driver
from nova import conf

from lab.nova import boot_disks
from lab.nova import boot_records
from lab.nova import boot_servers
from lab.nova import operations
from lab.nova import service

CONF = conf.CONF
Wanted = typing.Dict[str, typing.Any]
Result = typing.Dict[str, typing.Any]
# An operation, and its server or the error that nova-api would have given.
Prepared = typing.Tuple[Wanted, typing.Any]


class Host(service.Compute):
    """Nova's compute manager with a driver on RBD, and the servers that it has booted."""

    def __init__(self, document: typing.Dict[str, typing.Any]) -> None:
        super().__init__(document)
        # As the compute manager's init_host does it; the rest of that looks for servers to resume.
        conf.neutron.register_dynamic_opts(CONF)
        self._manager.driver.init_host(host=CONF.host)
        self._kept = boot_records.keep()
        self._servers = boot_servers.Servers(self._manager, self._context_of)

    def prepare(self, wanted: typing.Sequence[Wanted]) -> typing.List[Prepared]:
        """Do what nova-api does before a host is called; an error of it is kept for the result."""
        return [(one, self._prepare(one)) for one in wanted]

    def run(self, prepared: typing.Sequence[Prepared], parallel: int) -> Result:
        """Run operations, so many at a time; return what came of them."""
        self._kept.take()
        self.records.take()
        results: typing.List[typing.Optional[Result]] = [None] * len(prepared)
        waiting = list(enumerate(prepared))

        def work() -> None:
            while True:
                try:
                    number, (one, server) = waiting.pop(0)
                except IndexError:
                    return
                results[number] = self._operate(one, server)

        # Green threads where Nova has patched the standard library, as in production.
        threads = [threading.Thread(target=work) for _ in range(min(parallel, len(prepared)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            self._look_at_disk(typing.cast(Result, result))
        return dict(self._kept.take(), results=results, base_files=self._base_files())

    def _prepare(self, wanted: Wanted) -> typing.Any:
        try:
            return self._servers.prepare(wanted)
        except Exception as error:
            return error

    def _operate(self, wanted: Wanted, server: typing.Any) -> Result:
        operation = wanted['operation']
        result: Result = {'operation': operation, 'name': wanted.get('name'), 'outcome': 'none',
                          'parent': None, 'error': None, 'started': time.time()}
        try:
            if isinstance(server, Exception):
                raise server
            result.update(self._servers.operate(wanted, server))
        except Exception as error:      # whatever it is, it is the result
            result['error'] = operations.describe(error)
        result['ended'] = time.time()
        result['seconds'] = round(result['ended'] - result['started'], 4)
        return result

    def _look_at_disk(self, result: Result) -> None:
        """Say what came of the disk; only now, not to hold up the other operations."""
        if result.get('disk'):
            outcome, parent = boot_disks.look(result['disk'])
            result.update(outcome=outcome, parent=parent,
                          cloned=self._kept.cloned(result['disk']))

    def _context_of(self, wanted: Wanted) -> typing.Any:
        document = self._document
        if 'token' in wanted:
            self._document = dict(document, token=wanted['token'])
        try:
            return self._context()
        finally:
            self._document = document

    @staticmethod
    def _base_files() -> typing.List[str]:
        # The option was [DEFAULT] image_cache_subdirectory_name in Train.
        base = os.path.join(CONF.instances_path, '_base')
        return sorted(os.listdir(base)) if os.path.isdir(base) else []
