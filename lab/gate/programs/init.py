# SPDX-License-Identifier: Apache-2.0
"""The first process of the gate's namespaces: ``init.py REPORT KEEP COMMAND...``.

Runs the command, and gathers every process that loses its parent, as a virtual machine does that
libvirtd has started: libvirtd waits for it to vanish. The command's exit code is written to the
file REPORT. When this process ends, the kernel ends all others.
"""

import fcntl
import os
import signal
import socket
import struct
import sys
import typing

SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def loopback_up() -> None:
    """A new network namespace has the loopback interface, switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sh22x', b'lo', IFF_UP))


def gather_until(pid: int) -> int:
    """Wait for children until this one has ended; return its exit code."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def main(report: str, keep: str, command: typing.List[str]) -> int:
    """Run the command; with KEEP ``keep`` stay after it until SIGTERM comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # the command has it from the terminal too
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    loopback_up()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.execv(command[0], command)
    code = gather_until(pid)
    with open(report + '.new', 'w', encoding='utf-8') as stream:
        stream.write('%d\n' % code)
    os.rename(report + '.new', report)
    while keep == 'keep':
        try:
            os.wait()
        except ChildProcessError:
            return code
    return code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
