# SPDX-License-Identifier: Apache-2.0
"""``multistore-hooks patch status|check|apply|revert PROJECT``."""

import argparse
import json
import traceback
from typing import Any, Dict, NamedTuple

from multistore_hooks.cli import command
from multistore_hooks.cli import overview
from multistore_hooks.patching import errors
from multistore_hooks.patching import runner


class _Outcome(NamedTuple):
    """What to print, and the exit code."""

    code: int
    shown: Dict[str, Any]


class _PatchCommand(command.Command):
    """Common to the four commands."""

    verb = ''

    def get_epilog(self) -> str:
        """Return what to say after the list of options."""
        return ('Exit code: 0 applied, can be applied, done, or not needed; 1 not applied; 2 cannot '
                'be applied, or refused; 255 internal error.')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the command's own arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('project', metavar='PROJECT', help='the service, such as nova')
        parser.add_argument(
            '--root', metavar='DIR',
            help="the directory that contains the project's package: site-packages or a source tree "
                 '(default: where this Python has it installed)')
        parser.add_argument(
            '--series', metavar='NAME',
            help='an optional series of patches (default: the one that the project needs)')
        parser.add_argument(
            '--release', metavar='N',
            help='take the patches for this release, such as 34 (default: the release that the '
                 "package's metadata says)")
        parser.add_argument(
            '-f', '--format', choices=('text', 'json'), default='text',
            help='text for a person, json for a program (default: text)')
        parser.usage = overview.usage(
            prog_name, 'PROJECT [--root DIR] [--series NAME] [--release N] [-f {text,json}]')
        return parser

    def take_action(self, arguments: argparse.Namespace) -> None:
        """Run the command, print the outcome, set the exit code."""
        outcome = self._outcome(arguments)
        self._code = outcome.code
        shown = outcome.shown
        if arguments.format == 'json':
            print(json.dumps(shown, indent=2, sort_keys=True), file=self.app.stdout)
        elif outcome.code in (command.REFUSED, command.INTERNAL_ERROR):
            print('multistore-hooks: %s' % shown['message'], file=self.app.stderr)
        else:
            print(_text(shown), file=self.app.stdout)

    def _outcome(self, arguments: argparse.Namespace) -> _Outcome:
        request = runner.Request(
            arguments.project, arguments.root, arguments.series, arguments.release)
        shown: Dict[str, Any] = {
            'action': self.verb, 'project': request.project, 'root': request.root,
            'series': request.series, 'release': request.release, 'reason': None,
            'patches': [], 'files': []}
        try:
            report = getattr(runner.Runner(request), self.verb)()
        except errors.NotNeeded as error:
            return _Outcome(command.OK, dict(
                shown, state=error.reason, exit_code=command.OK, message=str(error)))
        except errors.PatchError as error:
            return _Outcome(command.REFUSED, dict(
                shown, state='refused', exit_code=command.REFUSED, reason=error.reason, message=str(error)))
        except Exception as error:
            if self.app.options.debug:
                traceback.print_exc(file=self.app.stderr)
            return _Outcome(command.INTERNAL_ERROR, dict(
                shown, state='error', exit_code=command.INTERNAL_ERROR, reason='internal-error',
                message='internal error: %s: %s (--debug before the command shows more)'
                        % (type(error).__name__, error)))
        code = command.NOT_ALL if self.verb == 'status' and report.state != runner.APPLIED else command.OK
        found = report._asdict()
        found['release'] = report.release or None
        found['patches'] = list(report.patches)
        found['files'] = [dict(file._asdict(), offsets=list(file.offsets))
                          for file in report.files]
        return _Outcome(code, dict(shown, exit_code=code, **found))


class Status(_PatchCommand):
    """Show whether the patches of a project are applied."""

    verb = 'status'


class Check(_PatchCommand):
    """Show whether the patches of a project could be applied; change nothing."""

    verb = 'check'


class Apply(_PatchCommand):
    """Apply the patches of a project, all or none."""

    verb = 'apply'


class Revert(_PatchCommand):
    """Put a project's files back as they were before the patches."""

    verb = 'revert'


def _text(shown: Dict[str, Any]) -> str:
    if shown['state'] == errors.NotNeeded.reason:
        return str(shown['message'])
    lines = ['%s %s in %s' % (shown['project'], shown['release'] or '(release unknown)',
                              shown['root']),
             'series %s: %s' % (shown['series'], shown['message'])]
    for file in shown['files']:
        moved = [str(offset) for offset in file['offsets'] if offset]
        lines.append('  %s: %s%s' % (
            file['path'], file['state'].replace('-', ' '),
            ', %s lines away from where the patch says' % ' and '.join(moved) if moved else ''))
    return '\n'.join(lines)
