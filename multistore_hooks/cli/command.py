# SPDX-License-Identifier: Apache-2.0
"""The base of the commands: an error is one line on standard error, and an exit code."""

import argparse
import traceback
from typing import Any
from typing import Tuple
from typing import Type

from cliff import command

from multistore_hooks.cli import text
from multistore_hooks import exceptions

#: Exit codes. The first three and the last are those of oslo.upgradecheck, so that one rule reads both.
OK, NOT_ALL, REFUSED, STOPPED, INTERNAL_ERROR = 0, 1, 2, 130, 255


class AlreadyReported(Exception):
    """The error was printed, and the exit code is set."""


class Command(command.Command):
    """A command; put before cliff's own classes of commands."""

    #: Errors of what the command works on, and the words before their texts. They end in REFUSED.
    refusals: Tuple[Tuple[Type[Exception], str], ...] = ()

    def __init__(self, application: Any, arguments: argparse.Namespace) -> None:
        # Without a command name cliff looks for no extensions of the command: that would read the metadata
        # of all that is installed, and take most of the run's time.
        super().__init__(application, arguments)
        self._code = OK

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command, return the exit code."""
        self._code = OK
        try:
            self.check(arguments)
            super().run(arguments)
        except AlreadyReported:
            return self._code
        except KeyboardInterrupt:
            return self.end('stopped', STOPPED)
        except BrokenPipeError:
            raise
        except Exception as error:  # one line for the user, not a stack trace
            return self._end_with(error)
        return self._code

    def check(self, arguments: argparse.Namespace) -> None:
        """Refuse wrong arguments while nothing is done; argparse has accepted them."""

    def _end_with(self, error: Exception) -> int:
        if isinstance(error, exceptions.MultistoreError):
            return self.end(str(error), REFUSED)
        for kind, words in self.refusals:
            if isinstance(error, kind):
                return self.end('%s: %s' % (words, error), REFUSED)
        if self.app.options.debug:
            traceback.print_exc(file=self.app.stderr)
        return self.end('internal error: %s: %s (--debug before the command shows more)'
                        % (type(error).__name__, error), INTERNAL_ERROR)

    def end(self, message: str, code: int) -> int:
        """Print an error, return the exit code."""
        self.print_error(message)
        return code

    def print_error(self, message: str) -> None:
        """Write a line to standard error."""
        print('%s: %s' % (self.app.NAME, text.escaped(' '.join(message.split()))), file=self.app.stderr)
