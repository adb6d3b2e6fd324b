# SPDX-License-Identifier: Apache-2.0
"""What ``serve.py`` does, on green threads, as the APIs were served that began with eventlet.

``serve_eventlet.py APPLICATION PORT RECORD [ARGUMENT...]``
"""

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402
import serve  # noqa: E402

THREADS = 64


def main(application: str, port: str, record: str) -> None:
    """Serve until the end."""
    loaded = serve.Recorder(serve.load(application), record)
    wsgi.server(eventlet.listen(('127.0.0.1', int(port))), loaded, log_output=False,
                max_size=THREADS, keepalive=True)


if __name__ == '__main__':
    main(*serve.own_arguments())
