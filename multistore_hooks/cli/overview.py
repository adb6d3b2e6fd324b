# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks --help``, and ``--help`` after the first words of several commands: what each does."""

import argparse
import re
import shutil
import textwrap
from typing import Any
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Tuple

from cliff import help as cliff_help

#: Columns of a command's name, and the least for what it does beside it.
_NAME, _BESIDE = 20, 30
#: In place of a space at which no line is broken.
_FIXED = '\0'


def columns() -> int:
    """Return how many columns of the terminal a line of help may take."""
    return max(shutil.get_terminal_size().columns - 2, 20)


def usage(program: str, words: str) -> str:
    """Return a program's usage, for argparse, as lines that fit and are broken between arguments only."""
    # What is in brackets stays in one line, and so does the program's name.
    whole = '%s %s' % (program.replace(' ', _FIXED), re.sub(
        r'\[[^\[\]]*\]', lambda found: found.group().replace(' ', _FIXED), words))
    # argparse writes the word before the first line.
    broken = textwrap.wrap(whole, columns() - len('usage: '), subsequent_indent=' ' * 4,
                           break_long_words=False, break_on_hyphens=False)
    return '\n'.join(broken).replace(_FIXED, ' ').replace('%', '%%')


def below(commands: Iterable[str], words: List[str]) -> List[str]:
    """Return the commands that begin with some words but are more than these, sorted."""
    return sorted(name for name in commands
                  if name.split()[:len(words)] == words and len(name.split()) > len(words))


def lines(described: Iterable[Tuple[str, str]], width: int) -> Iterator[str]:
    """Yield a list of commands: their names, and what each does beside or below its name."""
    beside = width - _NAME - 4 >= _BESIDE
    indent = ' ' * (_NAME + 4 if beside else 6)
    for name, does in described:
        head = '  ' + name.ljust(_NAME) + '  ' if beside else '  ' + name
        if not beside:
            yield head
        yield from textwrap.wrap(does, width, initial_indent=head if beside else indent,
                                 subsequent_indent=indent)


def purpose(entry: Any) -> str:
    """Return the first sentence about a command."""
    try:
        text = entry.load().__doc__ or ''
    except ImportError as error:
        return 'cannot be loaded: %s' % error
    return ' '.join(text.split('\n\n')[0].split()).partition('. ')[0].rstrip('.')


class Help(cliff_help.HelpCommand):  # type: ignore[misc]
    """Print the commands, or the options of one."""

    def take_action(self, arguments: argparse.Namespace) -> int:
        """Print the commands that begin with the words, or what cliff prints of one command."""
        manager = self.app.command_manager
        names = below(dict(manager), arguments.cmd)
        if not names or ' '.join(arguments.cmd) in dict(manager):
            return int(super().take_action(arguments) or 0)
        if not arguments.cmd:
            self.app.parser.print_help(self.app.stdout)
            self.app.stdout.write('\n')
        self.app.stdout.write('Commands; --help after one shows its options:\n')
        entries = dict(manager)
        for line in lines(((name, purpose(entries[name])) for name in names), columns()):
            self.app.stdout.write(line + '\n')
        return 0
