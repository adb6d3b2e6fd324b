# SPDX-License-Identifier: Apache-2.0
"""cinder-api, cinder-scheduler and cinder-volume with several backends in one process, on loopback.

``python -m lab.volume_store.serve CONF STATE_DIR [CACHE_DIR]``, as lab.cinder.serve.
"""
import os
import sys
import typing
import warnings

from lab.cinder import boot
from lab.cinder import conf


def main(conf_file: str, state_dir: str, cache_dir: typing.Optional[str] = None) -> None:
    """Start everything; never returns."""
    warnings.simplefilter('ignore')
    configured = boot.prepare(conf_file)
    boot.sync_database(state_dir, cache_dir)
    from cinder.cmd import volume
    from cinder import service
    import eventlet
    import eventlet.patcher
    import eventlet.wsgi
    from oslo_service import wsgi
    for backend in configured.enabled_backends:
        configured.register_opt(volume.host_opt, group=backend)
        service.Service.create(
            binary='cinder-volume', host='%s@%s' % (conf.HOST, backend), service_name=backend,
            coordination=True).start()
    eventlet.spawn(lambda: service.Service.create(binary='cinder-scheduler').start())
    application = wsgi.Loader(configured).load_app('osapi_volume')
    listening = eventlet.listen(('127.0.0.1', 0))
    eventlet.patcher.original('threading').Thread(target=_end_with_parent, daemon=True).start()
    print('ready %d' % listening.getsockname()[1], flush=True)
    eventlet.wsgi.server(listening, application, log_output=False)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == '__main__':
    main(*sys.argv[1:])
