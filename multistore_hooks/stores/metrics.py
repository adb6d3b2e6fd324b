# SPDX-License-Identifier: Apache-2.0
"""Figures for Prometheus, in a file for the textfile collector of node_exporter."""

import os
import re
import tempfile
from typing import Dict
from typing import List
from typing import Mapping
from typing import NamedTuple
from typing import Optional

from multistore_hooks import exceptions
from multistore_hooks.i18n import _
from multistore_hooks.stores import inventory

_SUCCESS = 'multistore_hooks_last_success_timestamp_seconds'


class MetricsError(exceptions.MultistoreError):
    """The file cannot be written."""

    msg_fmt = _("The metrics cannot be written to '%(file)s': %(why)s.")


class Figures(NamedTuple):
    """What a run of ``image place`` has found and done."""

    held: Mapping[str, inventory.Held]
    copies_wanted: int
    evictions_wanted: int
    not_possible: int
    failed: int
    #: Seconds since 1970, of this run; None: it was no success.
    success: Optional[float]


def text(figures: Figures) -> str:
    """Return figures as Prometheus reads them."""
    lines: List[str] = []

    def add(name: str, explanation: str, values: Mapping[str, float]) -> None:
        lines.append('# HELP multistore_hooks_%s %s' % (name, explanation))
        lines.append('# TYPE multistore_hooks_%s gauge' % name)
        lines.extend('multistore_hooks_%s%s %s' % (name, labels, _number(value))
                     for labels, value in sorted(values.items()))

    def by_store(values: Mapping[str, int]) -> Dict[str, float]:
        return {'{store="%s"}' % _escaped(store): value for store, value in values.items()}

    add('images', 'Images in each store.', by_store({
        store: held.images for store, held in figures.held.items()}))
    add('bytes', 'Bytes of the images in each store.', by_store({
        store: held.bytes for store, held in figures.held.items()}))
    add('copies_wanted', 'Copies that the rules want and that are not there.', {'': figures.copies_wanted})
    add('evictions_wanted', 'Copies that the rules do not want and that are there.',
        {'': figures.evictions_wanted})
    add('not_possible', 'What the rules want and what is not possible now.', {'': figures.not_possible})
    add('failed', 'Steps of the last run that failed or were refused.', {'': figures.failed})
    if figures.success is not None:
        add(_SUCCESS[len('multistore_hooks_'):], 'When a run last ended with all done.',
            {'': figures.success})
    return '\n'.join(lines) + '\n'


def _number(value: float) -> str:
    return '%d' % value


def _escaped(label: str) -> str:
    return label.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')


def require_writable(path: str) -> None:
    """Make sure, while nothing is done, that a file of metrics can be written.

    :raises MetricsError: it cannot
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise MetricsError(file=path, why='it is a directory')
    if not os.path.isdir(folder):
        raise MetricsError(file=path, why='there is no directory %s' % folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MetricsError(file=path, why='no file can be made in the directory %s' % folder)


def write(path: str, figures: Figures) -> None:
    """Replace a file of metrics as a whole; the time of the last success is kept if this run was none.

    :raises MetricsError: it cannot be written
    """
    if figures.success is None:
        figures = figures._replace(success=_last_success(path))
    folder, name = os.path.split(os.path.abspath(path))
    try:
        # Not *.prom: the collector must not read it before it is whole.
        handle, temporary = tempfile.mkstemp(prefix='.' + name, dir=folder)
        try:
            with os.fdopen(handle, 'w', encoding='utf-8') as stream:
                stream.write(text(figures))
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise MetricsError(file=path, why=error.strerror or error)


def _last_success(path: str) -> Optional[float]:
    try:
        with open(path, encoding='utf-8') as stream:
            found = re.search(r'^%s ([0-9.]+)$' % _SUCCESS, stream.read(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    return float(found.group(1)) if found else None
