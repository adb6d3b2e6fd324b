# SPDX-License-Identifier: Apache-2.0
"""Help: which commands there are, and each one's own options before those that all have."""

import argparse
import os
import re
import types
from unittest import mock

import ddt
import testtools

from multistore_hooks.cli import command
from multistore_hooks.cli import main
from multistore_hooks.cli import overview
from tests.unit.cli import test_patch

WIDTHS = (50, 80, 200)


def parser_of(name):
    """Return the parser of a command."""
    made = main.Later(name, main.COMMANDS[name]).load()(types.SimpleNamespace(NAME='multistore-hooks'), None)
    return made.get_parser('multistore-hooks ' + name)


def run(width, *arguments):
    """Run the program in a terminal of so many columns; return what it prints. It has to succeed."""
    with mock.patch.dict(os.environ, COLUMNS=str(width)):
        code, out, err = test_patch.run(*arguments)
    if code or err:
        raise AssertionError('%s: %d: %s' % (arguments, code, err))
    return out


@ddt.ddt
class ListTest(testtools.TestCase):

    @ddt.data(*WIDTHS)
    def test_every_command_is_there_and_every_line_fits(self, width):
        for arguments in ((), ('--help',), ('help',)):
            printed = run(width, *arguments)
            self.assertEqual([], [line for line in printed.splitlines() if len(line) > width])
            self.assertTrue(printed.startswith('usage: '), printed)
            for name in main.COMMANDS:
                self.assertRegex(printed, r'(?m)^  %s(  |$)' % name)
            self.assertNotIn('(cliff)', printed)

    @ddt.data(*WIDTHS)
    def test_the_first_words_of_several_commands_list_these_alone(self, width):
        for arguments, some, other in ((('image', '--help'), 'image copy', 'store list'),
                                       (('help', 'site', 'image'), 'site image clones', 'image copy'),
                                       (('store', 'data', '--help'), 'store data remove', 'store drain')):
            printed = run(width, *arguments)
            self.assertRegex(printed, r'(?m)^  %s(  |$)' % some)
            self.assertNotRegex(printed, r'(?m)^  %s(  |$)' % other)

    def test_each_has_one_sentence(self):
        for name, target in main.COMMANDS.items():
            said = overview.purpose(main.Later(name, target))
            self.assertTrue(said and '. ' not in said, name)
        self.assertIn('Have Glance copy images to more stores', run(80, 'image', '--help'))

    def test_what_cannot_be_loaded_does_not_hide_the_others(self):
        with mock.patch.dict(main.COMMANDS, {'store lost': 'multistore_hooks.cli.nowhere:It'}):
            printed = ' '.join(run(200, 'store', '--help').split())
        self.assertIn("store lost cannot be loaded: No module named 'multistore_hooks.cli.nowhere'", printed)
        self.assertIn('store list', printed)


@ddt.ddt
class CommandHelpTest(testtools.TestCase):

    @ddt.data(*sorted(main.COMMANDS))
    def test_own_options_come_before_those_of_tables_and_clouds(self, name):
        parser, titles = parser_of(name), []
        with mock.patch.dict(os.environ, COLUMNS='200'):
            printed = parser.format_help()
        for group in parser._action_groups:
            for action in group._group_actions:
                option = (action.option_strings or [action.metavar])[-1]
                titles.append((printed.index('\n  ' + (action.option_strings or [action.metavar])[0]),
                               group.title, option))
        order = [title in ('positional arguments', 'options', 'optional arguments')
                 for _where, title, _option in sorted(titles)]
        self.assertEqual(sorted(order, reverse=True), order, sorted(titles))

    @ddt.data(*sorted(main.COMMANDS))
    def test_usage_names_every_own_option_and_fits(self, name):
        for width in WIDTHS:
            with mock.patch.dict(os.environ, COLUMNS=str(width)):
                parser = parser_of(name)
                usage = parser.format_usage()
            self.assertEqual([], [line for line in usage.splitlines() if len(line) > width])
            for group in parser._action_groups[:2]:
                for action in group._group_actions:
                    if not isinstance(action, argparse._HelpAction):
                        word = (action.option_strings or [action.metavar])[-1]
                        self.assertRegex(usage.replace('--format', '-f'), r'(?<![\w-])%s(?![\w-])'
                                         % re.escape(word.replace('--format', '-f')))

    def test_every_command_is_one_of_ours(self):
        for name, target in main.COMMANDS.items():
            self.assertTrue(issubclass(main.Later(name, target).load(), command.Command), name)
