# SPDX-License-Identifier: Apache-2.0
"""Run Nova's snapshot code as a nova-compute does: ``python -m lab.nova.compute``.

Reads one JSON document from standard input, prints one JSON line on standard output:

    {"glance_url": "http://127.0.0.1:9292", "token": "user:project:member,reader",
     "compute_driver": "libvirt.LibvirtDriver", "conf": {"glance": {"num_retries": "1"}},
     "nova_root": "/where/nova/is", "state_dir": "/tmp/empty-directory",
     "operations": [{"operation": "snapshot", "image_ref": "UUID", "name": "snap1",
                     "disk": {"format": "raw", "bytes_from": "/path"}}]}

    {"nova": "34.0.0", "qemu_img": "real", "start_seconds": 2.5, "results": [
     {"operation": "snapshot", "image_id": "UUID", "error": null, "seconds": 0.4, "log": []}]}

Operations: snapshot, backup, shelve, cross_cell (each of them wants a ``disk``), and
volume_snapshot, of a server that was booted from a volume. ``image_ref`` is the image that the
server was booted from, be it still there or deleted since; empty for a boot from volume.
``nova_root`` (optional) is put first on sys.path; ``compute_driver``, ``conf`` and ``token`` may
be left out. Paths are absolute. A disk is whole sectors of 512 bytes, as qemu-img makes it.

``seconds`` is the compute host's share, ``log`` what Nova and Glance's client warned of and what
the hooks said from INFO on. An operation that fails has its ``error`` in its result; a service
that does not start gives ``{"error": ...}`` alone, and exit code 1. The whole log is
``nova-compute.log`` in the state directory.
"""

import json
import os
import sys
import time
import traceback
import typing

from lab.nova import releases
from lab.nova import settings
from lab import standins

MODULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'standins')


def main() -> int:
    """Run the document; the process's standard output is kept free for the result."""
    output = os.dup(1)
    os.dup2(2, 1)
    document = json.load(sys.stdin)
    failed = False
    try:
        result = _run(document)
    except (Exception, SystemExit) as error:
        failed = True
        traceback.print_exc()
        result = {'error': '%s: %s' % (type(error).__name__, error)}
    os.write(output, json.dumps(result).encode() + b'\n')
    return int(failed)


def _run(document: typing.Dict[str, typing.Any]) -> typing.Dict[str, typing.Any]:
    started = time.monotonic()
    qemu_img = _prepare(document)
    # Nova's start module has to be the first of Nova and its libraries to be imported: it patches
    # the standard library for eventlet, or forbids eventlet.
    releases.enter_service()
    from lab.nova import service
    compute = service.Compute(document)
    result = {'nova': compute.version, 'qemu_img': qemu_img,
              'start_seconds': round(time.monotonic() - started, 3),
              'start_log': compute.records.take()}
    result['results'] = [compute.operate(wanted) for wanted in document['operations']]
    return result


def _prepare(document: typing.Dict[str, typing.Any]) -> str:
    """Set the process up for Nova; say which qemu-img it will find."""
    sys.path.insert(0, MODULES)
    if document.get('nova_root'):
        sys.path.insert(0, os.path.abspath(document['nova_root']))
    # nova.monkey_patch and nova.config read the configuration file's name from here.
    sys.argv = ['nova-compute', '--config-file', settings.write(document)]
    return standins.use_qemu_img()


if __name__ == '__main__':
    sys.exit(main())
