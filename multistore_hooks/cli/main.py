# SPDX-License-Identifier: Apache-2.0
"""The command ``multistore-hooks``."""

import argparse
import contextlib
import importlib
import io
import sys
from typing import Any, Dict, List, Optional

from cliff import app
from cliff import commandmanager

from multistore_hooks.cli import overview
from multistore_hooks.cli import text
from multistore_hooks.cli import version

# Named here and not by entry points: reading the metadata of all that is installed would take most of a
# command's time, and the command is also to run from a source tree. Each is imported when it is run: what it
# needs takes long to import, and need not be installed for the others.
COMMANDS = {
    'patch status': 'multistore_hooks.cli.patch:Status',
    'patch check': 'multistore_hooks.cli.patch:Check',
    'patch apply': 'multistore_hooks.cli.patch:Apply',
    'patch revert': 'multistore_hooks.cli.patch:Revert',
    'image stores': 'multistore_hooks.cli.image:Stores',
    'image copy': 'multistore_hooks.cli.image:Copy',
    'image misplaced': 'multistore_hooks.cli.image:Misplaced',
    'image list': 'multistore_hooks.cli.image_list:List',
    'image evict': 'multistore_hooks.cli.image_evict:Evict',
    'image place': 'multistore_hooks.cli.image_place:Place',
    'image watch': 'multistore_hooks.cli.image_watch:Watch',
    'store list': 'multistore_hooks.cli.store:StoreList',
    'store drain': 'multistore_hooks.cli.store:Drain',
    'store check': 'multistore_hooks.cli.store:Check',
    'store data remove': 'multistore_hooks.cli.store:DataRemove',
    'site image clones': 'multistore_hooks.cli.site_image_clones:Clones',
    'site image flatten': 'multistore_hooks.cli.site_image_clones:Flatten',
    'site image list': 'multistore_hooks.cli.site_image:Show',
    'site image remove': 'multistore_hooks.cli.site_image:Remove',
}


class Later:
    """Stands for a command in cliff's table, as an entry point does; has what every cliff needs of one."""

    def __init__(self, name: str, target: str) -> None:
        self.name, self.value = name, target

    def load(self) -> Any:
        """Import the command's class and return it."""
        module, _colon, attribute = self.value.partition(':')
        return getattr(importlib.import_module(module), attribute)


class MultistoreHooks(app.App):
    """The command line of multistore-hooks.

    :param asks_glance: the command is one of those that take ``--os-cloud`` and the like
    """

    NAME = 'multistore-hooks'

    def __init__(self, asks_glance: bool = False) -> None:
        self._asks_glance = asks_glance
        manager = commandmanager.CommandManager(None)
        for name, target in COMMANDS.items():
            manager.commands[name] = Later(name, target)
        super().__init__(
            description='Make Nova, Cinder and Glance use several Glance stores.',
            version=version.find(),
            command_manager=manager,
            deferred_help=True)  # so that --help after a command is the command's
        manager.add_command('help', overview.Help)

    def build_option_parser(self, description: Optional[str], version: Optional[str],
                            argparse_kwargs: Optional[Dict[str, Any]] = None) -> argparse.ArgumentParser:
        """Return the parser of the options that may stand before a command."""
        parser: argparse.ArgumentParser = super().build_option_parser(description, version, argparse_kwargs)
        if self._asks_glance:
            from multistore_hooks.cli import session
            session.add_options(parser)
        else:
            parser.usage = overview.usage(parser.prog, '[OPTION ...] COMMAND [ARGUMENT ...]')
        return parser

    def run_subcommand(self, argv: List[str]) -> int:
        """Run a command; where argparse does not know stores that stand apart, say how they are written."""
        try:
            return int(super().run_subcommand(argv))
        except SystemExit as stop:
            from multistore_hooks.cli import store_names
            why = store_names.explain(argv, self._unknown(argv)) if stop.code else ''
            if why:
                print('%s: %s' % (self.NAME, text.escaped(why)), file=self.stderr)
            raise

    def _unknown(self, argv: List[str]) -> List[str]:
        """Return the words that argparse does not know; none if something else is wrong."""
        unknown: List[str] = []
        # What is wrong was printed before.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
            factory, name, arguments = self.command_manager.find_command(argv)
            unknown = factory(self, self.options).get_parser(name).parse_known_args(arguments)[1]
        return unknown


def _without_help(arguments: List[str]) -> List[str]:
    """Return no arguments where only help is requested; the command ``help`` gives it."""
    return [] if set(arguments) <= {'-h', '--help'} else arguments


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line.

    :param argv: the arguments; default: those of the process
    :returns: the exit code
    """
    arguments = [text.argument(word) for word in sys.argv[1:]] if argv is None else argv
    text.show_everything()
    try:
        # Without arguments cliff would start a shell of its own.
        asks_glance = ('image' in arguments or 'store' in arguments) and 'site' not in arguments
        return int(MultistoreHooks(asks_glance).run(_without_help(arguments) or ['help']))
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
