# SPDX-License-Identifier: Apache-2.0
"""cinder-api, cinder-scheduler and a cinder-volume for each backend in one process, on loopback.

``python -m lab.cinder.serve CONF STATE_DIR FD [CACHE_DIR]`` serves on the socket FD. It is started by
:class:`lab.cinder.server.Cinder`.
"""
import socket
import sys
import typing

from lab.cinder import boot
from lab.cinder import conf
from lab import standins


def main(conf_file: str, state_dir: str, listener: str, cache_dir: typing.Optional[str] = None) -> None:
    """Start everything; never returns."""
    standins.use_qemu_img()
    standins.use_sudo()
    configured = boot.prepare(conf_file)
    boot.sync_database(state_dir, cache_dir)
    from cinder.cmd import volume
    from cinder import service
    import eventlet
    import eventlet.greenio
    import eventlet.wsgi
    from oslo_service import wsgi
    # The volume services first: the scheduler requests their capabilities when it starts.
    for backend in configured.enabled_backends:
        configured.register_opt(volume.host_opt, group=backend)
        service.Service.create(
            binary='cinder-volume', host='%s@%s' % (conf.HOST, backend), service_name=backend,
            coordination=True).start()
    eventlet.spawn(lambda: service.Service.create(binary='cinder-scheduler').start())
    application = wsgi.Loader(configured).load_app('osapi_volume')
    listening = eventlet.greenio.GreenSocket(socket.socket(fileno=int(listener)))
    eventlet.wsgi.server(listening, application, log_output=False)


if __name__ == '__main__':
    main(*sys.argv[1:])
