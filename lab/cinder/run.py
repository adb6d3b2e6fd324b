# SPDX-License-Identifier: Apache-2.0
"""Run :mod:`lab.cinder.volume` in a process of its own, with any Cinder.

Imports nothing of Cinder.
"""
import json
import os
import subprocess
import sys
import tempfile
import typing

from lab.cinder import error
from lab import forks

CHECKOUT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
Json = typing.Dict[str, typing.Any]


def environment(pythonpath: str = '') -> typing.Dict[str, str]:
    """Return this process's environment with the checkout, and ``pythonpath``, importable."""
    parts = (pythonpath, CHECKOUT, os.environ.get('PYTHONPATH'))
    return dict(os.environ, PYTHONPATH=os.pathsep.join(part for part in parts if part))


def run(request: Json, python: str = sys.executable, pythonpath: str = '',
        timeout: float = 300) -> Json:
    """Carry ``request`` out and return the answer; both as the program documents them.

    :param python: the interpreter that has Cinder's libraries
    :param pythonpath: where an unpacked Cinder is, for a release that is not installed
    :param timeout: seconds, after which the process is killed
    :raises error.LabError: when the process itself fails, with what it said
    """
    if 'state_dir' in request:
        return _run(request, python, pythonpath, timeout)
    with tempfile.TemporaryDirectory(prefix='cinder-lab-') as state_dir:
        return _run(dict(request, state_dir=state_dir), python, pythonpath, timeout)


def _run(request: Json, python: str, pythonpath: str, timeout: float) -> Json:
    try:
        asked, options = json.dumps(request).encode(), {'env': environment(pythonpath), 'cwd': CHECKOUT}
        if pythonpath:
            done = subprocess.run(
                [python, '-m', 'lab.cinder.volume'], input=asked, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, timeout=timeout, check=False, **options)
        else:
            done = forks.run('cinder', python, 'lab.cinder.volume', asked, timeout, **options)
    except subprocess.TimeoutExpired:
        raise error.LabError('the upload took longer than %d s' % timeout) from None
    except OSError as failure:
        raise error.LabError('cannot run %s: %s' % (python, failure.strerror)) from None
    if done.returncode:
        raise error.LabError(done.stderr.decode(errors='replace').strip()[-2000:]
                             or 'ended with %d' % done.returncode)
    return json.loads(done.stdout.decode())
