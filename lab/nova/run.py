# SPDX-License-Identifier: Apache-2.0
"""Start the lab's program in a process of its own, with any interpreter that has a Nova."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing

from lab import forks

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 300

Document = typing.Dict[str, typing.Any]


class LabError(Exception):
    """Nova did not start; the message says why."""


def run(document: Document, python: str = sys.executable,
        timeout: float = TIMEOUT_SECONDS) -> typing.Dict[str, typing.Any]:
    """Run a document of ``lab.nova.compute`` and return its result.

    :param document: see that module; without a ``state_dir`` it gets one that is removed after.
    :param python: an interpreter with Nova's requirements, and Nova itself or a ``nova_root``.
    :raises LabError: when the service does not start, dies, or takes longer than TIMEOUT seconds.
    """
    if 'state_dir' in document:
        return _run(document, python, timeout)
    with tempfile.TemporaryDirectory(prefix='lab-nova-') as state:
        return _run(dict(document, state_dir=state), python, timeout)


def _run(document: Document, python: str, timeout: float) -> typing.Dict[str, typing.Any]:
    try:
        finished = forks.run(
            'nova', python, 'lab.nova.compute', json.dumps(document).encode(), timeout,
            root=document.get('nova_root', ''), cwd=CHECKOUT, env=dict(os.environ, TZ='UTC'))
    except subprocess.TimeoutExpired:
        raise LabError('nova took longer than %s seconds' % timeout)
    said = finished.stderr.decode(errors='replace').strip()
    try:
        result: typing.Dict[str, typing.Any] = json.loads(finished.stdout.decode())
    except ValueError:
        raise LabError('nova ended with code %d: %s' % (finished.returncode, said[-2000:]))
    if finished.returncode:
        raise LabError(result['error'])
    return result
