# SPDX-License-Identifier: Apache-2.0
"""The command ``multistore-hooks``."""

import os
import sys
from typing import List, Optional

from cliff import app
from cliff import commandmanager

import multistore_hooks
from multistore_hooks.cmd import patch
from multistore_hooks.patching import release

# Named here and not by entry points: reading the metadata of all that is installed would take
# most of a command's time, and the command is also to run from a source tree.
COMMANDS = {
    'patch status': patch.Status,
    'patch check': patch.Check,
    'patch apply': patch.Apply,
    'patch revert': patch.Revert,
}


class MultistoreHooks(app.App):
    """The command line of multistore-hooks."""

    NAME = 'multistore-hooks'

    def __init__(self) -> None:
        home = os.path.dirname(os.path.dirname(os.path.abspath(multistore_hooks.__file__)))
        manager = commandmanager.CommandManager(None)
        for name, command in COMMANDS.items():
            manager.add_command(name, command)
        super().__init__(
            description='Make Nova, Cinder and Glance use several Glance stores.',
            version=release.find_version(self.NAME, [home]) or 'unknown',
            command_manager=manager,
            deferred_help=True)  # so that --help after a command is the command's


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line.

    :param argv: the arguments; default: those of the process
    :returns: the exit code
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        # Without arguments cliff would start a shell of its own.
        return int(MultistoreHooks().run(arguments or ['--help']))
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
