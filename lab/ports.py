# SPDX-License-Identifier: Apache-2.0
"""Ports on loopback that stay free while nothing listens on them.

The kernel gives a connection any port of its own range, also one that a stopped service is about to
come back on. So these are below that range (32768 and more on Linux), and below the lab's Ceph's.
"""

import fcntl
import random
import socket

FIRST, LAST = 12000, 20000
# A process that is given the socket by its number has taken the lower ones for itself: see lab.forks.
DESCRIPTOR = 200
TRIES = 100


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on a port of 127.0.0.1; 0: a free one.

    :raises OSError: the port is taken, or none was found
    """
    for _ in range(TRIES):
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(('127.0.0.1', port or random.randrange(FIRST, LAST)))
            listener.listen(128)
            with listener:
                return socket.socket(fileno=fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR))
        except OSError as error:
            listener.close()
            failure = error
            if port:
                break
    raise failure


def free() -> int:
    """Return a port that nothing listens on now."""
    with listen() as listener:
        return int(listener.getsockname()[1])
