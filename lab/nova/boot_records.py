# SPDX-License-Identifier: Apache-2.0
"""What a compute host says while it boots servers, with the time of each line."""

import logging
import re
import threading
import typing

CHATTY = ('nova.virt.libvirt.imagebackend', 'nova.storage.rbd_utils',
          'nova.virt.libvirt.storage.rbd_utils', 'multistore_hooks', 'nova.virt.multistore')
REQUESTS = 'keystoneauth.session'
# keystoneauth writes a request as a command line for curl, and then "RESP: [status] ...".
_SENT = re.compile(r"^REQ: curl .*?-X (?P<verb>\w+) '?https?://[^/]+(?P<path>/[^\s'?]*)")
_ANSWERED = re.compile(r'^RESP: \[(?P<status>\d+)\]')
# "cloning images/IMAGE@snap to None/UUID_disk", by Nova's RBDDriver: None is its own pool.
_CLONING = re.compile(r'^cloning \S+ to \w+/(?P<disk>\S+)$')

Line = typing.Dict[str, typing.Any]


class Records(logging.Handler):
    """Keeps what matters here: lines of image handling, warnings, and requests to Glance."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: typing.List[Line] = []
        self._requests: typing.List[Line] = []
        self._unanswered: typing.Dict[int, Line] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(REQUESTS):
            self._note_request(record.created, record.getMessage())
        elif record.name.startswith(CHATTY) or record.levelno >= logging.WARNING:
            line: Line = {'at': record.created, 'level': record.levelname, 'logger': record.name,
                          'text': record.getMessage()}
            if record.exc_info and record.exc_info[0]:
                line['text'] += ' [%s]' % record.exc_info[0].__name__
            self._lines.append(line)

    def take(self) -> typing.Dict[str, typing.List[Line]]:
        """Return what was kept since the last call, as ``log`` and ``requests``."""
        taken = {'log': self._lines, 'requests': self._requests}
        self._lines, self._requests = [], []
        return taken

    def cloned(self, disk: str) -> typing.Optional[float]:
        """Return when the clone of a disk, pool/name, was asked for; None if it was not."""
        name = disk.rpartition('/')[2]
        times = [line['at'] for line in self._lines
                 for found in [_CLONING.match(line['text'])] if found and found['disk'] == name]
        return times[-1] if times else None

    def _note_request(self, at: float, text: str) -> None:
        # Each thread has one request under way at a time.
        thread = threading.get_ident()
        sent, answered = _SENT.match(text), _ANSWERED.match(text)
        if sent:
            note: Line = {'at': at, 'verb': sent['verb'], 'path': sent['path'], 'status': None,
                          'seconds': None}
            self._requests.append(note)
            self._unanswered[thread] = note
        elif answered and thread in self._unanswered:
            note = self._unanswered.pop(thread)
            note.update(status=int(answered['status']), seconds=round(at - note['at'], 4))


def keep() -> Records:
    """Start to keep records of this process; call it after the service set up its logging."""
    records = Records()
    logging.getLogger().addHandler(records)
    return records
