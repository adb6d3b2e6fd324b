# SPDX-License-Identifier: Apache-2.0
"""cinder-api, cinder-scheduler and cinder-volume in one process, on loopback.

``python -m lab.cinder.serve CONF STATE_DIR [CACHE_DIR]`` prints 'ready PORT'
and serves until its standard input is closed or a signal ends it. It is started
by :class:`lab.cinder.server.Cinder`.
"""
import os
import sys
import typing
import warnings

from lab.cinder import boot
from lab.cinder import conf
from lab import standins


def main(conf_file: str, state_dir: str, cache_dir: typing.Optional[str] = None) -> None:
    """Start everything; never returns."""
    warnings.simplefilter('ignore')
    standins.use_qemu_img()
    standins.use_sudo()
    configured = boot.prepare(conf_file)
    boot.sync_database(state_dir, cache_dir)
    import eventlet
    import eventlet.patcher
    import eventlet.wsgi
    from oslo_service import wsgi
    # The volume service first: the scheduler asks it for its capabilities when it starts.
    _start_service('cinder-volume', host='%s@%s' % (conf.HOST, conf.BACKEND),
                   service_name=conf.BACKEND, coordination=True)
    eventlet.spawn(_start_service, 'cinder-scheduler')
    application = wsgi.Loader(configured).load_app('osapi_volume')
    listening = eventlet.listen(('127.0.0.1', 0))
    eventlet.patcher.original('threading').Thread(target=_end_with_parent, daemon=True).start()
    print('ready %d' % listening.getsockname()[1], flush=True)
    eventlet.wsgi.server(listening, application, log_output=False)


def _start_service(binary: str, **options: typing.Any) -> None:
    from cinder import service
    service.Service.create(binary=binary, **options).start()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == '__main__':
    main(*sys.argv[1:])
