# SPDX-License-Identifier: Apache-2.0
"""Services that the tests of one process share: each is started when it is first wanted."""

import atexit
import shutil
import tempfile

from lab.glance import Glance

_running = {}


def glance(name, **options):
    """Return the real Glance of this name, made with these options of ``lab.glance.Glance``.

    Faults that an earlier test asked for are cleared.
    """
    if name not in _running:
        _running[name] = Glance(folder('glance-' + name), **options)
        _running[name].start()
    running = _running[name]
    if running.faults:
        running.clear_faults()
        running.forget_requests()
    return running


def folder(name):
    """Return a new folder, which goes with the process."""
    made = tempfile.mkdtemp(prefix='multistore-%s-' % name)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
