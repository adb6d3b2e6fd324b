# SPDX-License-Identifier: Apache-2.0
"""Write the manual pages and bash's completion, below share/, from the commands' own parsers.

    python tools/manual.py

They are the same on every Python and with every cliff: what cliff adds to each command is not read from it.
"""

import argparse
import os
import re
import sys
import types
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from multistore_hooks.cli import main as main_command  # noqa: E402
from multistore_hooks.cli import session  # noqa: E402
from multistore_hooks.status import command as status  # noqa: E402

HOOKS, STATUS = 'multistore-hooks', 'multistore-status'
#: What cliff gives every program, and every command that prints a table.
PROGRAM = (('--version', 'print the version'), ('-h, --help', 'print the commands'),
           ('-v, --verbose', 'log more, to standard error; may be given again'),
           ('-q, --quiet', 'log only warnings and errors'), ('--log-file FILE', 'log to a file, too'),
           ('--debug', 'show where an internal error came from'))
STATUS_PROGRAM = (('--version', 'print the version'), ('-h, --help', 'print the commands'),
                  ('--debug', 'show where an internal error came from'))
TABLE = (('-f, --format FORMAT', 'table (for a person), or csv, json, value, yaml'),
         ('-c, --column COLUMN', 'only this column; may be given again'),
         ('--fit-width', 'fit a table into the terminal'),
         ('--max-width N', 'fit a table into so many columns'))
OWN = ('positional arguments', 'options', 'optional arguments')
CLOUD = 'the cloud'

Pairs = typing.Sequence[typing.Tuple[str, str]]


class Verb(typing.NamedTuple):
    """What there is to say about a command."""

    #: Without the program's own.
    name: str
    about: str
    usage: str
    #: Each argument or option as it is typed, and its help.
    arguments: Pairs
    #: {option: its words}, where it takes certain ones alone.
    choices: typing.Dict[str, typing.Tuple[str, ...]]
    table: bool
    cloud: bool
    ends: str

    def options(self) -> typing.List[str]:
        """Return the options by which it can be completed, without those of the cloud."""
        return [word for typed, _help in list(self.arguments) + list(TABLE * self.table)
                for word in options_of(typed)]


def options_of(typed: str) -> typing.List[str]:
    """Return the options of what is typed: ['-f', '--format'] of '-f, --format FORMAT'."""
    return [word.split()[0] for word in typed.split(', ') if word.startswith('-')]


def verb_of(name: str, parser: argparse.ArgumentParser, usage: str = '') -> Verb:
    """Return what a parser says about its command."""
    own, titles = [], set()
    for group in parser._action_groups:
        titles.add(group.title or '')
        if group.title in OWN:
            own += [action for action in group._group_actions]
    text = usage or ' '.join((parser.usage or '').replace('%%', '%').split())
    return Verb(
        name, ' '.join((parser.description or '').split()), text.partition(name + ' ')[2] or text,
        [(_typed(action), _help(action)) for action in own],
        {option: tuple(map(str, action.choices)) for action in own if action.choices
         and not isinstance(action, argparse._SubParsersAction) for option in action.option_strings},
        'output formatters' in titles, CLOUD in titles, ' '.join((parser.epilog or '').split()))


def _typed(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else '')
    if action.choices and action.option_strings:
        value = '{%s}' % ','.join(map(str, action.choices))
    words = ', '.join(action.option_strings)
    return ('%s %s' % (words, value if action.nargs != 0 else '')).strip()


def _help(action: argparse.Action) -> str:
    if isinstance(action, argparse._HelpAction):
        return 'print the options'
    text = (action.help or '').replace('%(default)s', str(action.default)).replace('%%', '%')
    return ' '.join(text.split())


def cloud_options() -> Pairs:
    """Return the options of the cloud, and their help."""
    parser = argparse.ArgumentParser()
    session.add_options(parser)
    group, = [group for group in parser._action_groups if group.title == CLOUD]
    return [(_typed(action), _help(action)) for action in group._group_actions]


def verbs() -> typing.List[Verb]:
    """Return the commands of multistore-hooks, sorted."""
    found = []
    for name, target in sorted(main_command.COMMANDS.items()):
        command = main_command.Later(name, target).load()(types.SimpleNamespace(NAME=HOOKS), None)
        found.append(verb_of(name, command.get_parser('%s %s' % (HOOKS, name))))
    return found


def status_verb() -> Verb:
    """Return the one command of multistore-status."""
    parser = status.parser()
    for name in ('upgrade', 'check'):
        groups, = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = groups.choices[name]
    return verb_of('upgrade check', parser,
                   '[--json] [--SERVICE-conf PATH] [--SERVICE-python PROGRAM] [OPTION ...]')


def roff(text: str) -> str:
    """Return a text as roff prints it unchanged."""
    escaped = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"(?m)^([.'])", r'\\&\1', escaped)


def paragraphs(pairs: Pairs) -> typing.List[str]:
    """Return a tagged paragraph for each option."""
    return [line for typed, said in pairs for line in ('.TP', '.B ' + roff(typed), roff(said or ' '))]


def manual(program: str, does: str, commands: typing.Sequence[Verb], general: Pairs,
           see: str) -> str:
    """Return a manual page."""
    lines = ['.\\" SPDX-License-Identifier: Apache-2.0', '.\\" Written by tools/manual.py.',
             '.TH %s 1 "" "multistore\\-hooks" "User Commands"' % roff(program.upper()),
             '.SH NAME', '%s \\- %s' % (roff(program), does),
             '.SH SYNOPSIS', '.B ' + roff(program), '[OPTION ...] COMMAND [ARGUMENT ...]',
             '.SH OPTIONS', 'Before the command:'] + paragraphs(general)
    lines += ['.SH COMMANDS']
    for verb in commands:
        lines += ['.SS ' + roff(verb.name), '.B ' + roff('%s %s' % (program, verb.name)), roff(verb.usage),
                  '.PP', roff(verb.about)] + paragraphs(verb.arguments)
        lines += ['.PP', roff(verb.ends)] * bool(verb.ends)
    if any(verb.table for verb in commands):
        lines += ['.SH OPTIONS OF TABLES',
                  roff('For the commands that print a table: %s.' % ', '.join(
                      verb.name for verb in commands if verb.table))] + paragraphs(TABLE)
    lines += ['.SH OPTIONS OF THE CLOUD', roff('For %s, as for the openstack client: each can be a variable '
              'OS_*, or be in clouds.yaml.' % ', '.join(verb.name for verb in commands if verb.cloud))]
    lines += paragraphs(cloud_options()) + ['.SH SEE ALSO', see]
    return '\n'.join(lines) + '\n'


def completion(program: str, commands: typing.Sequence[Verb], general: Pairs) -> str:
    """Return bash's completion of a program."""
    function = '_' + program.replace('-', '_')
    begun: typing.Dict[str, typing.Set[str]] = {}
    for verb in commands:
        words = verb.name.split()
        for length in range(len(words)):
            begun.setdefault(' '.join(words[:length]), set()).add(words[length])
    cloud = [word for typed, _help in cloud_options() for word in options_of(typed)]
    first = [word for typed, _help in general for word in options_of(typed)]
    known = sorted((set(begun) | {verb.name for verb in commands}) - {''})
    lines = ['# SPDX-License-Identifier: Apache-2.0', '# Written by tools/manual.py.',
             '# shellcheck shell=bash', function + '()', '{',
             '    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}',
             "    local begun='' word proposed=''",
             "    local cloud='%s'" % ' '.join(cloud),
             '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
             '        case ${begun:+$begun }$word in',
             '            %s)' % '|'.join("'%s'" % name for name in known),
             '                begun=${begun:+$begun }$word ;;',
             '        esac', '    done', '    case $begun in']
    for name, words in sorted(begun.items()):
        lines += ["        '%s') proposed='%s' ;;" % (name, ' '.join(sorted(words) + first * (not name)))]
    for verb in commands:
        lines += ["        '%s') proposed=\"%s\" ;;" % (
            verb.name, ' '.join(verb.options() + ['$cloud'] * verb.cloud))]
    lines += ['    esac', '    case $begun:$before in']
    for verb in commands:
        for option, words in sorted(verb.choices.items()):
            lines += ["        '%s:%s')" % (verb.name, option),
                      "            mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\")"
                      % ' '.join(words),
                      '            return ;;']
    lines += ['    esac', '    COMPREPLY=()',
              '    # What is no option may be a file: bash completes it by itself.',
              '    if [[ $current == -* || -n $proposed && $proposed != -* ]]; then',
              '        mapfile -t COMPREPLY < <(compgen -W "$proposed" -- "$current")',
              '    fi', '}', 'complete -o default -F %s %s' % (function, program)]
    return '\n'.join(lines) + '\n'


def files() -> typing.Dict[str, str]:
    """Return the text of each file, by its path in the checkout."""
    hooks, check = verbs(), [status_verb()]
    return {
        'share/man/man1/multistore-hooks.1': manual(
            HOOKS, 'look after images in several Glance stores', hooks, PROGRAM,
            '.BR multistore\\-status (1)'),
        'share/man/man1/multistore-status.1': manual(
            STATUS, 'check a site of several Glance stores', check, STATUS_PROGRAM,
            '.BR multistore\\-hooks (1)'),
        'share/bash-completion/completions/multistore-hooks': completion(HOOKS, hooks, PROGRAM),
        'share/bash-completion/completions/multistore-status': completion(STATUS, check, STATUS_PROGRAM),
    }


if __name__ == '__main__':
    for path, text in files().items():
        os.makedirs(os.path.dirname(os.path.join(ROOT, path)), exist_ok=True)
        with open(os.path.join(ROOT, path), 'w', encoding='utf-8') as stream:
            stream.write(text)
