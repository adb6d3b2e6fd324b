# SPDX-License-Identifier: Apache-2.0
"""The base of the commands that print a table: cells that are names, and the columns that there are."""

import argparse
from typing import Any
from typing import List
from typing import Tuple

from cliff import columns
from cliff import lister

from multistore_hooks.cli import command
from multistore_hooks.cli import text
from multistore_hooks import exceptions
from multistore_hooks.i18n import _


class WrongColumn(exceptions.MultistoreError):
    """-c names a column that does not exist."""

    msg_fmt = _("There is no column '%(column)s'. The columns are: %(columns)s.")


class _List(List[str]):
    """A list in JSON; its items with commas between them in other formats."""

    def __str__(self) -> str:
        return ','.join(self)


class Names(columns.FormattableColumn):
    """A column of several names."""

    def human_readable(self) -> str:
        return ', '.join(self._value)

    def machine_readable(self) -> Any:
        return _List(self._value)


class TableCommand(command.Command, lister.Lister):
    """A command that prints a table."""

    #: The names of the columns.
    shown: Tuple[str, ...] = ()

    def check(self, arguments: argparse.Namespace) -> None:
        """Refuse a wrong -c while nothing is done; cliff would do so afterwards.

        :raises WrongColumn: if one is wrong
        """
        for column in arguments.columns:
            if column.lower().replace('_', ' ') not in [name.lower() for name in self.shown]:
                raise WrongColumn(column=column, columns=', '.join(self.shown))

    def produce_output(self, parsed_args: argparse.Namespace, column_names: Any, data: Any) -> int:
        """Print the table; names that users chose are themselves only where the format escapes them."""
        structured = parsed_args.formatter in ('json', 'yaml')

        def shown(cell: Any) -> Any:
            if isinstance(cell, Names) and structured:
                return list(cell.machine_readable())  # YAML writes no list but plain ones
            if not isinstance(cell, text.Name):
                return cell
            return str.__str__(cell) if structured else str(cell)

        rows = [tuple(shown(cell) for cell in row) for row in data]
        return int(super().produce_output(parsed_args, column_names, rows) or 0)
