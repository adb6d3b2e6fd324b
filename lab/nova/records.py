# SPDX-License-Identifier: Apache-2.0
"""What the services of a process log while operations run, and their requests to Glance."""

import logging
import re
import threading
import typing

OURS = ('multistore_hooks', 'nova.virt.multistore')
# Of these every line is kept, of others warnings.
CHATTY = OURS + ('nova.virt.libvirt.imagebackend', 'nova.storage.rbd_utils',
                 'nova.virt.libvirt.storage.rbd_utils')
# Of these warnings are in an operation's result.
WARNINGS_OF = OURS + ('nova', 'glanceclient', 'keystoneauth')
REQUESTS = 'keystoneauth.session'
# keystoneauth writes a request as a command line for curl, and then "RESP: [status] ...".
_SENT = re.compile(r"^REQ: curl .*?-X (?P<verb>\w+) '?https?://[^/]+(?P<path>/[^\s'?]*)")
_RESPONSE = re.compile(r'^RESP: \[(?P<status>\d+)\]')
# "cloning images/IMAGE@snap to None/UUID_disk", by Nova's RBDDriver: None is its own pool.
_CLONING = re.compile(r'^cloning \S+ to \w+/(?P<disk>\S+)$')

Line = typing.Dict[str, typing.Any]


class Records(logging.Handler):
    """Keeps lines and requests from when it is made on; make it after the service set up its logging."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: typing.List[Line] = []
        self._requests: typing.List[Line] = []
        self._unanswered: typing.Dict[int, Line] = {}
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(REQUESTS) and record.levelno < logging.WARNING:
            self._keep_request(record.created, record.getMessage())
        elif record.name.startswith(CHATTY) or record.levelno >= logging.WARNING:
            line: Line = {'at': record.created, 'level': record.levelname, 'logger': record.name,
                          'text': record.getMessage()}
            if record.exc_info and record.exc_info[0]:
                line['text'] += ' [%s: %s]' % (record.exc_info[0].__name__, record.exc_info[1])
            self._lines.append(line)

    def take(self) -> typing.Dict[str, typing.List[Line]]:
        """Return what was kept since the last call, as ``log`` and ``requests``."""
        taken = {'log': self._lines, 'requests': self._requests}
        self._lines, self._requests = [], []
        return taken

    def count(self) -> int:
        """Return the number of lines so far, for ``since``."""
        return len(self._lines)

    def since(self, count: int) -> typing.List[str]:
        """Return, as text, what is ours from INFO on and the warnings of Nova and Glance's client."""
        return ['%s %s: %s' % (line['level'], line['logger'], line['text']) for line in self._lines[count:]
                if line['level'] != 'DEBUG'
                and line['logger'].startswith(OURS if line['level'] == 'INFO' else WARNINGS_OF)]

    def cloned(self, disk: str) -> typing.Optional[float]:
        """Return when the clone of a disk, pool/name, was requested; None if it was not."""
        name = disk.rpartition('/')[2]
        times = [line['at'] for line in self._lines
                 for found in [_CLONING.match(line['text'])] if found and found['disk'] == name]
        return times[-1] if times else None

    def _keep_request(self, at: float, text: str) -> None:
        # Each thread has one request under way at a time.
        thread = threading.get_ident()
        sent, answered = _SENT.match(text), _RESPONSE.match(text)
        if sent:
            request: Line = {'at': at, 'verb': sent['verb'], 'path': sent['path'], 'status': None,
                             'seconds': None}
            self._requests.append(request)
            self._unanswered[thread] = request
        elif answered and thread in self._unanswered:
            request = self._unanswered.pop(thread)
            request.update(status=int(answered['status']), seconds=round(at - request['at'], 4))
