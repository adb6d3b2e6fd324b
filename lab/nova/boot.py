# SPDX-License-Identifier: Apache-2.0
"""Boot servers on RBD as one compute host does: ``python -m lab.nova.boot``.

One process is one host. It runs Nova's own driver, ``spawn`` and all that it calls, with the
real librbd and the real Glance; only the guest is one of Nova's fake libvirt. One line of JSON
comes in, one line goes out:

    {"glance_url": "http://127.0.0.1:9292", "token": "user:project:member,reader",
     "compute_driver": "libvirt.LibvirtDriver", "nova_root": "/where/nova/is",
     "state_dir": "/tmp/empty-directory", "ceph_modules": "/a/directory/for/sys.path",
     "ceph": {"conf": "/path/ceph.conf", "user": "openstack", "pool": "vms"},
     "conf": {"libvirt": {"images_rbd_glance_store_name": "dcn1"}},
     "parallel": 4,
     "operations": [{"operation": "boot", "image_ref": "UUID", "name": "one"}]}

    {"nova": "34.0.0", "start_seconds": 1.2, "start_log": [], "results": [
       {"operation": "boot", "name": "one", "disk": "vms/UUID_disk", "outcome": "clone",
        "parent": "images/UUID@snap", "error": null, "seconds": 4.9,
        "started": 1700000000.1, "cloned": 1700000004.8, "ended": 1700000005.0}],
     "requests": [{"at": 1700000000.2, "verb": "POST", "path": "/v2/images/UUID/import",
                   "status": 202, "seconds": 0.05}],
     "log": [{"at": 1700000000.3, "level": "INFO", "logger": "nova...", "text": "..."}],
     "base_files": []}

With ``"wait": true`` the host starts, says so in a first line without results, and then takes
further lines, {"operations": [...], "parallel": n}, each answered by one line. With
``"hold": true`` in such a line the host does what nova-api does, answers {"held": n}, and starts
the operations when the next line comes, whatever is in it: so that many hosts start at the same
moment. The end of the input ends the host. ``lab.nova.boot_run`` speaks all that.

Operations:

    boot        a server from ``image_ref``; ``root_gb`` of its flavor (1; 0: as the image)
    delete      the server ``name``, with its disk
    snapshot    of the server ``name`` (shut off first), image ``image_name``; from nova-api on
    shelve      the server ``name``, in the same way; it stays on its host
    unshelve    a server whose shelved image is ``image_ref``, and whose own was ``base_image_ref``
    cache_image ``image_ref``, by the compute manager's method behind aggregates' image cache

``parallel`` of them run at the same time (1). ``token`` may also be given with an operation.

``outcome`` is what librbd says of the disk when all operations have ended: clone, flat, or none;
for cache_image it is what the manager answers. Times are seconds since the epoch: ``cloned`` is
when Nova's RBDDriver was asked for the clone. ``requests`` are those that go through keystoneauth,
from ``started`` on: what nova-api needs of Glance before the host is called is not among them.
``base_files`` are the names in Nova's image cache.
"""

import json
import os
import sys
import time
import traceback
import typing

from lab.nova import boot_settings
from lab.nova import compute
from lab.nova import releases

Document = typing.Dict[str, typing.Any]


def main() -> int:
    """Run the document; the process's standard output is kept free for the results."""
    output = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)
    try:
        _serve(json.loads(sys.stdin.readline()), output)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        _say(output, {'error': '%s: %s' % (type(error).__name__, error)})
        return 1
    return 0


def _serve(document: Document, output: typing.TextIO) -> None:
    started = time.monotonic()
    if document.get('ceph_modules'):
        sys.path.insert(0, document['ceph_modules'])
    document = boot_settings.complete(document)
    compute._prepare(document)
    # Before anything else of Nova; see lab.nova.compute.
    releases.enter_service()
    from lab.nova import boot_host
    host = boot_host.Host(document)
    greeting = {'nova': host.version, 'start_seconds': round(time.monotonic() - started, 3),
                'start_log': host.records.take()}
    if not document.get('wait'):
        result = host.run(host.prepare(document['operations']), document.get('parallel', 1))
        _say(output, dict(greeting, **result))
        return
    _say(output, greeting)
    for line in iter(sys.stdin.readline, ''):
        wanted = json.loads(line)
        prepared = host.prepare(wanted['operations'])
        if wanted.get('hold'):
            _say(output, {'held': len(prepared)})
            sys.stdin.readline()
        _say(output, host.run(prepared, wanted.get('parallel', 1)))


def _say(output: typing.TextIO, result: Document) -> None:
    output.write(json.dumps(result) + '\n')


if __name__ == '__main__':
    code = main()
    # librados and Nova leave threads of their own, which nobody has to wait for.
    os._exit(code)
