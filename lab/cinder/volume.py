# SPDX-License-Identifier: Apache-2.0
"""Upload volumes to Glance with the upload code of the importable Cinder.

``python -m lab.cinder.volume < request.json`` prints one line of JSON.

For each operation a volume is made through Cinder's objects, then
``cinder.volume.API().copy_volume_to_image`` creates the image record and casts
to the volume service over oslo.messaging's fake transport; what arrives there
(context, volume id, image record) is handed to ``copy_volume_to_image`` of
the class that ``[DEFAULT] volume_manager`` names, imported as Cinder's service does.

The request (defaults in brackets)::

    {"glance_url": "http://127.0.0.1:9292",
     "token": "user:project:role,role"     ["demo:demo:member,reader"],
     "auth": "keystone" | "noauth"         ["keystone"]; noauth sends no token,
     "volume_manager": "class path"        [Cinder's own],
     "conf": {"group": {"option": "value"}},
     "state_dir": "a directory of this process's own",
     "cache_dir": "where migrated databases are kept" [state_dir],
     "operations": [{
        "volume": {"bytes_from": "path", "name": [], "bootable": [false],
                   "type": null: the default type | {"name": , "extra_specs": {}}
                           | false: none at all, as in rows from before Train,
                   "glance_metadata": {"image_id": "..."}},
        "image": {"name": , "disk_format": ["raw"], "container_format": ["bare"]}}]}

The response::

    {"cinder": "29.0.0", "glanceclient": , "python": , "volume_manager": ,
     "qemu_img": "real" | "stand-in for raw",
     "results": [{"image_id": , "volume_id": , "volume_type": , "volume_status": ,
                  "stage": "volume" | "api" | "manager" (how far it came),
                  "error": null | "Class: message",
                  "seconds": (of the manager's call),
                  "log": ["LEVEL logger: message" WARNING and above; of multistore_hooks INFO]}]}

Exit status 1, with one line on standard error, when the lab itself cannot start.
"""
import json
import os
import sys
import typing

from lab.cinder import boot
from lab.cinder import conf
from lab import ini
from lab import standins

Json = typing.Dict[str, typing.Any]


def run(request: Json) -> Json:
    """Carry the request out in this process, which can do it only once; return the response."""
    qemu_img = standins.use_qemu_img()
    standins.use_sudo()
    state_dir = os.path.abspath(request['state_dir'])
    configured = boot.prepare(conf.write(state_dir, _sections(request, state_dir)))
    boot.sync_database(state_dir, request.get('cache_dir'))
    # Only now may Cinder be imported.
    from lab.cinder import uploads
    lab = uploads.Lab(configured, request.get('token') or 'demo:demo:member,reader')
    results = [lab.upload(operation) for operation in request['operations']]
    response = uploads.versions()
    response.update(volume_manager=configured.volume_manager, qemu_img=qemu_img, results=results)
    return response


def _sections(request: Json, state_dir: str) -> ini.Sections:
    chosen = conf.defaults(state_dir, request['glance_url'], request.get('auth', 'keystone'))
    chosen['DEFAULT']['volume_manager'] = request.get('volume_manager') or conf.STOCK_MANAGER
    return ini.merged(chosen, request.get('conf') or {})


def main() -> None:
    """Read the request, keep standard output for the response alone, and print it."""
    responses = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    try:
        request = json.load(sys.stdin)
        response = run(request)
    except Exception as error:
        if os.environ.get('LAB_TRACE'):
            raise
        sys.exit('lab.cinder.volume: %s: %s' % (type(error).__name__, error))
    responses.write(json.dumps(response) + '\n')
    responses.flush()
    # Timers and threads of Cinder's libraries would keep the process alive.
    os._exit(0)


if __name__ == '__main__':
    main()
