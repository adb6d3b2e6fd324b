# SPDX-License-Identifier: Apache-2.0
"""cinder-rtstool, by which Cinder exports a volume over LIO, from a process that has imported it already.

Each export takes four of these programs, and in the guest of lab.kernel each takes longer to start than all
that it does. There ``python -m lab.volume_store.rtstool`` serves, and this file, as a program with arguments,
has a fork of it do the same.
"""
import os
import socket
import sys
import time
import typing

ADDRESS = '\0multistore-hooks-rtstool'


def serve() -> None:
    """Fork for each request, until this process is ended."""
    from cinder.cmd import rtstool
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(ADDRESS)
    listener.listen(8)
    while True:
        connection = listener.accept()[0]
        if os.fork() == 0:
            connection.sendall(b'%d' % _run(rtstool.main, connection))
            os._exit(0)
        connection.close()
        os.wait()


def _run(main: typing.Callable[[], typing.Optional[int]], connection: socket.socket) -> int:
    request = connection.makefile('rb').read()
    sys.argv = ['cinder-rtstool'] + [word.decode() for word in request.split(b'\0')]
    for number in (1, 2):
        os.dup2(connection.fileno(), number)
    status = 0
    try:
        status = main() or 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        import traceback
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b'\0')
    return status


def _connect(connection: socket.socket) -> None:
    for left in range(599, -1, -1):
        try:
            connection.connect(ADDRESS)
            return
        except ConnectionRefusedError:  # it is being imported
            if not left:
                raise
            time.sleep(0.1)


def request(arguments: typing.Sequence[str]) -> typing.Tuple[int, bytes]:
    """Have it done; return its exit status, and what it printed."""
    with socket.socket(socket.AF_UNIX) as connection:
        _connect(connection)
        connection.sendall(b'\0'.join(word.encode() for word in arguments))
        connection.shutdown(socket.SHUT_WR)
        printed, _end, status = connection.makefile('rb').read().rpartition(b'\0')
    return int(status or 1), printed


if __name__ == '__main__':
    if sys.argv[1:]:
        code, output = request(sys.argv[1:])
        os.write(1, output)
        sys.exit(code)
    serve()
