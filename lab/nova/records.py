# SPDX-License-Identifier: Apache-2.0
"""What the services say while an operation runs: their log lines, kept for the result."""

import logging
import typing

OURS = ('multistore_hooks', 'nova.virt.multistore')
WARNINGS_OF = OURS + ('nova', 'glanceclient', 'keystoneauth')


class Records(logging.Handler):
    """Keeps the lines that matter here: what is ours from INFO on, warnings of Nova and Glance."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: typing.List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(WARNINGS_OF if record.levelno >= logging.WARNING else OURS):
            line = '%s %s: %s' % (record.levelname, record.name, record.getMessage())
            if record.exc_info and record.exc_info[0]:
                line += ' [%s: %s]' % (record.exc_info[0].__name__, record.exc_info[1])
            self._lines.append(line)

    def take(self) -> typing.List[str]:
        """Return the lines kept since the last call."""
        taken, self._lines = self._lines, []
        return taken


def keep() -> Records:
    """Start to keep records of this process; call it after the service set up its logging."""
    records = Records()
    logging.getLogger().addHandler(records)
    return records
