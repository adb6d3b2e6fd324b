# SPDX-License-Identifier: Apache-2.0
"""Small programs that take the place of a missing tool, put on PATH only when it is missing."""
import os
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(HERE, 'bin')
UNPRIVILEGED = os.path.join(HERE, 'unprivileged')


def use_qemu_img() -> str:
    """Make sure that this process and its children find a qemu-img.

    :returns: 'real', or 'stand-in for raw' when the machine has none
    """
    found = shutil.which('qemu-img')
    if found and os.path.dirname(found) != BIN:
        return 'real'
    if not found:
        _put_first(BIN)
    return 'stand-in for raw'


def use_sudo() -> None:
    """Let a process without root run what Cinder wants rootwrap for, as itself."""
    if os.geteuid() != 0:
        _put_first(UNPRIVILEGED)


def _put_first(directory: str) -> None:
    os.environ['PATH'] = directory + os.pathsep + os.environ.get('PATH', os.defpath)
