# SPDX-License-Identifier: Apache-2.0
"""``python -m lab.glance_eventlet FD``: the lab's Glance under eventlet's own server.

As glance-api ran before it was a WSGI application only. Ussuri's Glance does imports (and so copies)
nowhere else. FD is a socket that listens.
"""

import socket
import sys

from lab import compat

compat.restore_removed_names()
import eventlet  # noqa: E402

eventlet.monkey_patch()


def main() -> None:
    from eventlet import wsgi
    from lab import glance_app
    listener = eventlet.greenio.GreenSocket(socket.socket(fileno=int(sys.argv[1])))
    wsgi.server(listener, glance_app.application, log_output=False)


if __name__ == '__main__':
    main()
