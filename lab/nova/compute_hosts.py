# SPDX-License-Identifier: Apache-2.0
"""Compute hosts, each a process of its own, with any interpreter that has a Nova.

    run(document)['results']            # one host: start, operations, end

    with Host(document, python) as one, Host(document, python) as other:
        results = run_all([one, other], [boots_of_one, boots_of_other])

Hosts start when they are made, so that many do so together; ``ready`` waits for one. The documents are
those of ``lab.nova.program``.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import typing

from lab import ceph
from lab import ini
from lab import paths
from lab import processes

Document = typing.Dict[str, typing.Any]
Result = typing.Dict[str, typing.Any]
Operation = typing.Dict[str, typing.Any]


def document(cluster: ceph.Ceph, glance_url: str, store: str = '', pool: str = 'vms',
             poll_seconds: int = 1, timeout_seconds: int = 60,
             conf: typing.Optional[typing.Dict[str, typing.Dict[str, typing.Any]]] = None,
             **more: typing.Any) -> Document:
    """Return the document of a host whose disks are in a cluster.

    :param store: ``images_rbd_glance_store_name``, or '' for none.
    :param conf: further configuration, {section: {option: value}}.
    :param more: further parts of the document, such as token or compute_driver.
    """
    libvirt: typing.Dict[str, typing.Any] = {}
    if store:
        libvirt = {'images_rbd_glance_store_name': store,
                   'images_rbd_glance_copy_poll_interval': poll_seconds,
                   'images_rbd_glance_copy_timeout': timeout_seconds}
    return dict({'glance_url': glance_url, 'conf': ini.merged({'libvirt': libvirt}, conf or {}),
                 'ceph': {'conf': cluster.conf, 'user': cluster.user, 'pool': pool}}, **more)


def run(wanted: Document, python: str = sys.executable) -> Result:
    """Run the ``operations`` of a document on a host; return what it says of itself, and the results.

    :raises LabError: it does not start, or dies
    """
    with Host({name: value for name, value in wanted.items() if name != 'operations'}, python) as host:
        return dict(host.ready(), **host.run(*wanted['operations']))


class Host:
    """A compute host in a process that waits for operations."""

    def __init__(self, wanted: Document, python: str = sys.executable) -> None:
        """Start the process; ``ready`` or the first operations wait until it is up.

        :param wanted: see ``lab.nova.program``; ``document`` makes one for a host on RBD.
        :param python: an interpreter with Nova's requirements, and Nova itself or a ``nova_root``.
        """
        self._state = tempfile.mkdtemp(prefix='lab-nova-')
        wanted = dict({'state_dir': os.path.join(self._state, 'state')}, **wanted)
        os.makedirs(wanted['state_dir'], exist_ok=True)
        if wanted.get('ceph'):
            wanted['ceph_modules'] = ceph.bindings(os.path.join(self._state, 'modules'), python)
        self._program = processes.Program(
            [python, '-m', 'lab.nova.program'], log=os.path.join(self._state, 'stderr'),
            warm='nova_with_ceph' if wanted.get('ceph') else 'nova', root=wanted.get('nova_root', ''),
            cwd=paths.CHECKOUT, env=dict(os.environ, TZ='UTC'))
        self._greeting: typing.Optional[Result] = None
        self._program.send(wanted)

    def __enter__(self) -> 'Host':
        return self

    def __exit__(self, *_error: typing.Any) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of the host."""
        return self._program.pid

    @property
    def instances(self) -> pathlib.Path:
        """The host's directory of servers and of base images."""
        return pathlib.Path(self._state) / 'state' / 'instances'

    @property
    def log(self) -> str:
        """All of nova-compute.log."""
        return (pathlib.Path(self._state) / 'state' / 'nova-compute.log').read_text()

    def ready(self) -> Result:
        """Wait until the host is up; return what it says of itself.

        :raises LabError: it does not start.
        """
        if self._greeting is None:
            self._greeting = self._program.receive()
        return self._greeting

    def start(self, operations: typing.Sequence[Operation], parallel: int = 1) -> None:
        """Start operations, so many at a time; ``results`` waits for them."""
        self.ready()
        self._program.send({'operations': list(operations), 'parallel': parallel})

    def hold(self, operations: typing.Sequence[Operation], parallel: int = 1) -> None:
        """Prepare operations; ``held`` waits until they are ready, ``go`` starts them."""
        self.ready()
        self._program.send({'operations': list(operations), 'parallel': parallel, 'hold': True})

    def held(self) -> None:
        """Wait until the operations are prepared."""
        self._program.receive()

    def go(self) -> None:
        """Start what is held; ``results`` waits for it."""
        self._program.send(None)

    def results(self) -> Result:
        """Wait until the operations have ended; return what came of them.

        :raises LabError: the host died.
        """
        return self._program.receive()

    def run(self, *operations: Operation, parallel: int = 1) -> Result:
        """Run operations, so many at a time, and return what came of them."""
        self.start(operations, parallel)
        return self.results()

    def kill(self) -> None:
        """Kill the host, as a power cut would."""
        self._program.kill()

    def stop(self) -> None:
        """End the host, and remove what it left on disk (not in Ceph)."""
        self._program.kill()
        shutil.rmtree(self._state, ignore_errors=True)


def run_all(hosts: typing.Sequence[Host],
            operations: typing.Sequence[typing.Sequence[Operation]],
            parallel: int = 1) -> typing.List[Result]:
    """Let hosts start their operations at the same moment; return the results of each.

    :param parallel: how many of its operations each host runs at a time.

    :raises LabError: one did not start, or died.
    """
    for host, wanted in zip(hosts, operations):
        host.hold(wanted, parallel)
    for host in hosts:
        host.held()
    for host in hosts:
        host.go()
    return [host.results() for host in hosts]
