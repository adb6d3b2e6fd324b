# SPDX-License-Identifier: Apache-2.0
"""One process is one compute host: ``python -m lab.nova.program``. ``lab.nova.compute_hosts`` starts it.

It runs Nova's own driver, manager and API, with the real Glance and, for a host on RBD, the real librbd;
only the guest is one of Nova's fake libvirt. Lines of JSON come in, and each has a line in response:

    {"glance_url": "http://127.0.0.1:9292", "state_dir": "/tmp/empty-directory",
     "token": "user:project:member,reader",             may be left out, as all that follows
     "compute_driver": "libvirt.LibvirtDriver", "conf": {"glance": {"num_retries": "1"}},
     "nova_root": "/where/nova/is",                     put first on sys.path
     "ceph_modules": "/a/directory/for/sys.path",
     "ceph": {"conf": "/path/ceph.conf", "user": "openstack", "pool": "vms"}}

    {"nova": "34.0.0", "qemu_img": "real", "start_seconds": 1.2}

    {"operations": [{"operation": "boot", "image_ref": "UUID", "name": "one"}], "parallel": 4}

    {"results": [
       {"operation": "boot", "name": "one", "disk": "vms/UUID_disk", "outcome": "clone",
        "parent": "images/UUID@snap", "error": null, "seconds": 4.9, "log": [],
        "started": 1700000000.1, "cloned": 1700000004.8, "ended": 1700000005.0}],
     "requests": [{"at": 1700000000.2, "verb": "POST", "path": "/v2/images/UUID/import",
                   "status": 202, "seconds": 0.05}],
     "log": [{"at": 1700000000.3, "level": "INFO", "logger": "nova...", "text": "..."}],
     "base_files": []}

With ``"hold": true`` in a line the host does what nova-api does, responds with {"held": n}, and starts the
operations when the next line comes, whatever is in it: so that many hosts start at the same moment. The end
of the input ends the host. A host that does not start responds with {"error": ...} alone.

Operations on a host on RBD, ``parallel`` of them at the same time (1):

    boot        a server from ``image_ref``; ``root_gb`` of its flavor (1; 0: as the image); ``swap_mb`` and
                ``ephemeral_gb`` of further disks; ``user_data`` (base64), in a config drive
    rescue      the server ``name``, from ``image_ref``
    delete      the server ``name``, with its disk
    snapshot    of the server ``name`` (shut off first), image ``image_name``; from nova-api on
    shelve      the server ``name``, in the same way; it stays on its host
    unshelve    a server whose shelved image is ``image_ref``, and whose own was ``base_image_ref``
    cache_image ``image_ref``, by the compute manager's method behind aggregates' image cache

Operations that bring their server along, with the file of its disk, {"disk": {"format": "raw",
"bytes_from": "/path"}}, in whole sectors of 512 bytes: snapshot, backup, shelve, cross_cell; and
volume_snapshot, of a server that was booted from a volume, without a disk. ``image_ref`` is the image that
the server was booted from, be it still there or deleted since; empty for a boot from volume.

``outcome`` is what librbd says of the disk when all operations have ended: clone, flat, or none; for
cache_image it is what the manager returns. ``seconds`` of an operation that brings its server are the
compute host's share. Times are seconds since the epoch: ``cloned`` is when Nova called its RBDDriver for the
clone. ``requests`` are those that go through keystoneauth on a host on RBD, from ``started`` on.
``base_files`` are the names in Nova's image cache. The ``log`` of a result is what Nova and Glance's client
warned of and what the hooks said from INFO on. The whole log is nova-compute.log in the state directory.
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
    """Respond to the lines; the process's standard output is kept free for that."""
    output = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)
    try:
        _serve(output)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        _say(output, {'error': '%s: %s' % (type(error).__name__, error)})
        return 1
    return 0


def _serve(output: typing.TextIO) -> None:
    started, document = time.monotonic(), json.loads(sys.stdin.readline())
    for path in (document.get('ceph_modules'), MODULES, document.get('nova_root')):
        if path:
            sys.path.insert(0, os.path.abspath(path))
    # nova.monkey_patch and nova.config read the configuration file's name from here.
    sys.argv = ['nova-compute', '--config-file', settings.write(document)]
    qemu_img = standins.use_qemu_img()
    # Nova's start module has to be the first of Nova and its libraries to be imported: it patches
    # the standard library for eventlet, or forbids eventlet.
    releases.enter_service()
    from lab.nova import compute
    host = compute.Compute(document)
    _say(output, {'nova': host.version, 'qemu_img': qemu_img,
                  'start_seconds': round(time.monotonic() - started, 3)})
    for line in iter(sys.stdin.readline, ''):
        wanted = json.loads(line)
        prepared = host.prepare(wanted['operations'])
        if wanted.get('hold'):
            _say(output, {'held': len(prepared)})
            sys.stdin.readline()
        _say(output, host.run(prepared, wanted.get('parallel', 1)))


def _say(output: typing.TextIO, result: typing.Dict[str, typing.Any]) -> None:
    output.write(json.dumps(result) + '\n')


if __name__ == '__main__':
    code = main()
    # librados and Nova leave threads of their own, which need not be waited for.
    os._exit(code)
