# SPDX-License-Identifier: Apache-2.0
"""The manual pages and bash's completion that are shipped know every command and option there is."""

import configparser
import importlib.util
import os
import shutil
import subprocess

import testtools

from multistore_hooks.cli import main
from multistore_hooks.status import command as status
from tests import documentation

_SPEC = importlib.util.spec_from_file_location(
    'manual', os.path.join(documentation.ROOT, 'tools', 'manual.py'))
manual = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(manual)

COMPLETIONS = 'share/bash-completion/completions/'
#: Prints what is proposed for each line of standard input: a command line, up to the cursor.
COMPLETE = r'''
source "$1"
while IFS= read -r line; do
    IFS=' ' read -ra COMP_WORDS <<<"$line"
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    "_${COMP_WORDS[0]//-/_}"
    echo "${COMPREPLY[*]}"
done
'''


def completed(*lines):
    """Return the words that bash proposes for each command line."""
    program = lines[0].split()[0]
    done = subprocess.run(
        ['bash', '-uc', COMPLETE, 'bash', os.path.join(documentation.ROOT, COMPLETIONS + program)],
        input='\n'.join(lines) + '\n', stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True)
    if done.returncode or done.stderr:
        raise AssertionError(done.stderr)
    return [set(line.split()) for line in done.stdout.split('\n')[:-1]]


def options_of(parser):
    """Return all long options of a parser."""
    return {option for option in parser._option_string_actions if option.startswith('--')}


class FilesTest(testtools.TestCase):

    def test_they_are_what_the_parsers_say(self):
        stale = [path for path, text in manual.files().items() if documentation.read(path) != text]
        self.assertEqual([], stale, 'run: python tools/manual.py')

    def test_they_are_installed(self):
        setup = configparser.ConfigParser(interpolation=None)
        setup.read(os.path.join(documentation.ROOT, 'setup.cfg'), encoding='utf-8')
        for path in manual.files():
            folder = os.path.dirname(path)
            self.assertIn('\n%s = %s/*\n' % (folder, folder), setup['files']['data_files'] + '\n')

    def test_what_is_said_of_cliff_is_so(self):
        parser = manual.main_command.MultistoreHooks().parser
        table = manual.main_command.Later('', main.COMMANDS['image list']).load()
        for known, pairs in ((options_of(parser), manual.PROGRAM),
                             (options_of(status.parser()) | {'--help'}, manual.STATUS_PROGRAM),
                             (options_of(table(None, None).get_parser('x')), manual.TABLE)):
            self.assertEqual(set(), {option for typed, _help in pairs for option in manual.options_of(typed)
                                     if option.startswith('--')} - known)


class CompletionTest(testtools.TestCase):

    def test_every_command_is_completed_word_by_word(self):
        lines, expected = [], []
        for name in main.COMMANDS:
            words = name.split()
            for length, word in enumerate(words):
                lines.append(' '.join(['multistore-hooks'] + words[:length] + [word[:2]]))
                expected.append(word)
        missing = [line for line, word, found in zip(lines, expected, completed(*lines)) if word not in found]
        self.assertEqual([], missing)

    def test_every_option_of_every_command_is_completed_also_behind_the_clouds(self):
        lines = ['multistore-hooks --os-cloud mine %s --' % name for name in sorted(main.COMMANDS)]
        for name, found in zip(sorted(main.COMMANDS), completed(*lines)):
            parser = main.Later(name, main.COMMANDS[name]).load()(None, None).get_parser('x')
            own = {option for group in parser._action_groups for action in group._group_actions
                   for option in action.option_strings
                   if option.startswith('--') and group.title in manual.OWN + (manual.CLOUD,)}
            self.assertEqual(set(), own - found, name)
            self.assertEqual(set(), found - options_of(parser), name)

    def test_words_of_an_option_that_takes_no_others_are_completed(self):
        self.assertEqual([{'all', 'primary'}, {'json'}],
                         completed('multistore-hooks image misplaced --colocate ',
                                   'multistore-hooks patch check nova -f j'))

    def test_where_a_file_may_stand_bash_is_left_to_it(self):
        self.assertEqual([set(), set()], completed('multistore-hooks image place --rules ',
                                                   'multistore-hooks image copy '))

    def test_the_other_program_is_completed(self):
        found = completed('multistore-status ', 'multistore-status upgrade ',
                          'multistore-status upgrade check --nova')
        self.assertIn('upgrade', found[0])
        self.assertEqual([{'check'}, {'--nova-conf', '--nova-python'}], found[1:])


class ManualPageTest(testtools.TestCase):

    def test_every_command_and_option_is_in_its_page(self):
        for path, verbs in (('share/man/man1/multistore-hooks.1', manual.verbs()),
                            ('share/man/man1/multistore-status.1', [manual.status_verb()])):
            page = documentation.read(path)
            for verb in verbs:
                section = page.partition('.SS %s\n' % manual.roff(verb.name))[2].partition('\n.S')[0]
                self.assertIn(manual.roff(verb.about), section, verb.name)
                for typed, _help in verb.arguments:
                    self.assertIn('.B %s\n' % manual.roff(typed), section, verb.name)

    def test_groff_has_nothing_to_say(self):
        if not shutil.which('groff'):
            self.skipTest('no groff')
        for path in manual.files():
            if path.endswith('.1'):
                done = subprocess.run(
                    ['groff', '-man', '-Tutf8', '-ww', os.path.join(documentation.ROOT, path)],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual((0, b''), (done.returncode, done.stderr))
                self.assertIn(b'NAME', done.stdout)
