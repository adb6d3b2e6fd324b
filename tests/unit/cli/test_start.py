# SPDX-License-Identifier: Apache-2.0
"""A program that lacks a package says so in one line; what does not need the package works without it."""

import subprocess
import sys

import testtools

from multistore_hooks.cli import main

#: Runs a program of cli/start.py where some modules cannot be imported.
RUN = """
import sys
for name in sys.argv[2].split(','):
    sys.modules[name] = None
from multistore_hooks.cli import start
program, sys.argv[1:] = sys.argv[1], sys.argv[3:]
sys.exit(getattr(start, program)())
"""


class StartTest(testtools.TestCase):

    def run_without(self, modules, program, *arguments):
        """Return exit code, output and errors of a program without some modules."""
        done = subprocess.run([sys.executable, '-c', RUN, program, modules] + list(arguments),
                              env={'PYTHONPATH': ':'.join(path for path in sys.path if path)},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        return done.returncode, done.stdout, done.stderr

    def test_what_is_missing_is_one_line(self):
        for modules, program, arguments, package in (
                ('cliff', 'hooks', ['--version'], 'cliff'),
                ('glanceclient', 'hooks', ['image', 'stores', 'x'], 'python-glanceclient'),
                ('unidiff', 'hooks', ['patch', 'status', 'nova'], 'unidiff'),
                ('glanceclient', 'status', ['upgrade', 'check'], 'python-glanceclient'),
                ('oslo_upgradecheck', 'status', ['--version'], 'oslo.upgradecheck')):
            code, out, err = self.run_without(modules, program, *arguments)
            self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
            self.assertIn('the Python package %s is needed' % package, err)

    def test_what_does_not_need_it_works_without_it(self):
        code, out, err = self.run_without('unidiff,glanceclient,openstack', 'hooks', '--version')
        self.assertEqual((0, ''), (code, err))
        self.assertEqual(1, out.count('\n'), out)
        code, out, err = self.run_without('unidiff', 'hooks', 'image', 'stores', '--help')
        self.assertEqual((0, ''), (code, err))


class WarningsTest(testtools.TestCase):

    def test_what_libraries_warn_of_is_not_shown_unless_requested(self):
        code = ('import sys, warnings; from multistore_hooks.cli import main, start\n'
                'def warn():\n    warnings.warn("an old Python", UserWarning)\n    return 0\n'
                'main.main = warn\nsys.exit(start.hooks())')
        for options, shown in (([], False), (['-W', 'default'], True)):
            done = subprocess.run([sys.executable] + options + ['-c', code],
                                  env={'PYTHONPATH': ':'.join(path for path in sys.path if path)},
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
            self.assertEqual((0, shown), (done.returncode, 'an old Python' in done.stderr), done.stderr)


class CompletionTest(testtools.TestCase):

    def test_every_command_and_its_options_are_completed(self):
        done = subprocess.run([sys.executable, '-m', 'multistore_hooks.cli.main', 'complete'],
                              env={'PYTHONPATH': ':'.join(path for path in sys.path if path)},
                              stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(0, done.returncode)
        for name in main.COMMANDS:
            self.assertIn("cmds_%s='-h" % name.replace(' ', '_'), done.stdout)
        self.assertIn('--most-bytes', done.stdout)
