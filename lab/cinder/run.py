# SPDX-License-Identifier: Apache-2.0
"""Run :mod:`lab.cinder.volume` in a process of its own, with any Cinder.

Imports nothing of Cinder.
"""
import os
import sys
import tempfile
import typing

from lab import paths
from lab import processes


def environment(pythonpath: str = '') -> typing.Dict[str, str]:
    """Return this process's environment with the checkout, and ``pythonpath``, importable."""
    parts = (pythonpath, paths.CHECKOUT, os.environ.get('PYTHONPATH'))
    return dict(os.environ, PYTHONPATH=os.pathsep.join(part for part in parts if part))


def run(request: processes.Json, python: str = sys.executable, pythonpath: str = '') -> processes.Json:
    """Carry ``request`` out and return the response; both as the program documents them.

    :param python: the interpreter that has Cinder's libraries
    :param pythonpath: where an unpacked Cinder is, for a release that is not installed
    :raises LabError: when the process itself fails, with what it said
    """
    with tempfile.TemporaryDirectory(prefix='cinder-lab-') as state_dir:
        return processes.run_json(
            [python, '-m', 'lab.cinder.volume'], dict({'state_dir': state_dir}, **request),
            warm='' if pythonpath else 'cinder', env=environment(pythonpath), cwd=paths.CHECKOUT)
