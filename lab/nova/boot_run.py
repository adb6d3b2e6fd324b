# SPDX-License-Identifier: Apache-2.0
"""Compute hosts on RBD, each a process of its own, and many of them at the same moment.

    with Host(document, python) as one, Host(document, python) as other:
        results = run_all([one, other], [boots_of_one, boots_of_other])

Hosts start when they are made, so that many do so together; ``ready`` waits for one.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import typing

from lab import ceph
from lab import forks
from lab.nova import run

TIMEOUT_SECONDS = 300
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
    sections: typing.Dict[str, typing.Dict[str, typing.Any]] = {'libvirt': libvirt}
    for name, options in (conf or {}).items():
        sections.setdefault(name, {}).update(options)
    return dict({'glance_url': glance_url, 'conf': sections,
                 'ceph': {'conf': cluster.conf, 'user': cluster.user, 'pool': pool}}, **more)


class Host:
    """A compute host in a process that waits for operations."""

    def __init__(self, wanted: Document, python: str = sys.executable) -> None:
        """Start the process; ``ready`` or the first operations wait until it is up.

        :param wanted: see ``lab.nova.boot``; ``document`` makes one.
        :param python: an interpreter with Nova's requirements, and Nova itself or a ``nova_root``.
        """
        self._state = tempfile.mkdtemp(prefix='lab-boot-')
        wanted = dict(wanted, wait=True, state_dir=os.path.join(self._state, 'state'),
                      ceph_modules=ceph.bindings(os.path.join(self._state, 'modules'), python))
        os.mkdir(wanted['state_dir'])
        self._said = open(os.path.join(self._state, 'stderr'), 'w+b')
        self._process = forks.popen(
            'nova_with_ceph', python, 'lab.nova.boot', root=wanted.get('nova_root', ''),
            cwd=str(run.CHECKOUT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
            env=dict(os.environ, TZ='UTC'))
        self._greeting: typing.Optional[Result] = None
        self._write(wanted)

    def __enter__(self) -> 'Host':
        return self

    def __exit__(self, *_error: typing.Any) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of the host."""
        return self._process.pid

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

        :raises lab.nova.run.LabError: it does not start.
        """
        if self._greeting is None:
            self._greeting = self._read()
        return self._greeting

    def start(self, operations: typing.Sequence[Operation], parallel: int = 1) -> None:
        """Start operations, so many at a time; ``results`` waits for them."""
        self.ready()
        self._write({'operations': list(operations), 'parallel': parallel})

    def hold(self, operations: typing.Sequence[Operation], parallel: int = 1) -> None:
        """Prepare operations; ``held`` waits until they are ready, ``go`` starts them."""
        self.ready()
        self._write({'operations': list(operations), 'parallel': parallel, 'hold': True})

    def held(self) -> None:
        """Wait until the operations are prepared."""
        self._read()

    def go(self) -> None:
        """Start what is held; ``results`` waits for it."""
        self._write(None)

    def results(self) -> Result:
        """Wait until the operations have ended; return what came of them.

        :raises lab.nova.run.LabError: the host died.
        """
        return self._read()

    def run(self, *operations: Operation, parallel: int = 1) -> Result:
        """Run operations, so many at a time, and return what came of them."""
        self.start(operations, parallel)
        return self.results()

    def kill(self) -> None:
        """Kill the host, as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End the host, and remove what it left on disk (not in Ceph)."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            try:
                typing.cast(typing.IO[bytes], stream).close()
            except BrokenPipeError:
                pass
        shutil.rmtree(self._state, ignore_errors=True)

    def _write(self, value: typing.Any) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(value).encode() + b'\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            raise run.LabError('the host is gone: %s' % self._last_words())

    def _read(self) -> Result:
        assert self._process.stdout
        # A host that hangs is killed, and then its output ends.
        timer = threading.Timer(TIMEOUT_SECONDS, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise run.LabError('the host ended with code %s: %s' % (
                self._process.wait(), self._last_words()))
        result: Result = json.loads(line.decode())
        if set(result) == {'error'}:
            raise run.LabError('%s: %s' % (result['error'], self._last_words()))
        return result

    def _last_words(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors='replace')[-3000:].strip()


def run_all(hosts: typing.Sequence[Host],
            operations: typing.Sequence[typing.Sequence[Operation]],
            parallel: int = 1) -> typing.List[Result]:
    """Let hosts start their operations at the same moment; return the results of each.

    :param parallel: how many of its operations each host runs at a time.

    :raises lab.nova.run.LabError: one did not start, or died.
    """
    for host, wanted in zip(hosts, operations):
        host.hold(wanted, parallel)
    for host in hosts:
        host.held()
    for host in hosts:
        host.go()
    return [host.results() for host in hosts]
