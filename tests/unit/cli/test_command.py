# SPDX-License-Identifier: Apache-2.0
"""How every command ends: which exit code, and one line of error."""

import importlib
import io
import types

import testtools

from multistore_hooks.ceph import cluster
from multistore_hooks.cli import command
from multistore_hooks.cli import image
from multistore_hooks.cli import main
from multistore_hooks.cli import site_image
from multistore_hooks.glance_api import api


class CommandTest(testtools.TestCase):

    def run_with(self, kind, error, debug=False):
        """Run a command of which one step raises an error; return the exit code and standard error."""
        def take_action(_self, arguments):
            raise error
        stderr = io.StringIO()
        app = types.SimpleNamespace(NAME='program', stdout=io.StringIO(), stderr=stderr,
                                    options=types.SimpleNamespace(debug=debug))
        made = type('Made', (kind,), {'take_action': take_action})(app, None)
        code = made.run(types.SimpleNamespace(columns=[], formatter='table'))
        return code, stderr.getvalue()

    def test_error_has_its_exit_code_and_one_line(self):
        for kind, error, code, line in (
                (image.Stores, image.SingleStore(), 2, None),
                (image.Stores, api.error_for(403, 'no\nright'), 2, 'Glance refuses: '),
                (image.Stores, KeyboardInterrupt(), 130, 'stopped'),
                (site_image.Show, KeyboardInterrupt(), 130, 'stopped'),
                (site_image.Show, cluster.ClusterError('away'), 2, 'the Ceph cluster: away'),
                (site_image.Remove, cluster.Busy('locked'), 2, 'the Ceph cluster: locked'),
                (site_image.Show, ValueError('five'), 255, 'internal error: ValueError: five (--debug'),
                # What one command expects is a surprise to another.
                (image.Stores, cluster.ClusterError('away'), 255, 'internal error: ClusterError: away')):
            found, text = self.run_with(kind, error)
            self.assertEqual((code, 1), (found, text.count('\n')), text)
            self.assertTrue(text.startswith('program: ' + (line or str(error))), text)

    def test_stack_trace_is_shown_on_demand_alone(self):
        for debug in (False, True):
            _code, text = self.run_with(site_image.Show, ValueError('five'), debug)
            self.assertEqual(debug, 'Traceback' in text)

    def test_closed_pipe_is_the_callers(self):
        self.assertRaises(BrokenPipeError, self.run_with, image.Stores, BrokenPipeError())

    def test_error_that_was_reported_is_not_reported_again(self):
        self.assertEqual((0, ''), self.run_with(image.Stores, command.AlreadyReported()))

    def test_control_characters_do_not_reach_the_terminal(self):
        _code, text = self.run_with(site_image.Show, cluster.ClusterError('\x1b[2J'))
        self.assertNotIn('\x1b', text)

    def test_every_command_ends_so(self):
        table = dict(main.COMMANDS, **getattr(main, 'LATER', {}))
        self.assertIn('site image remove', table)
        for name, target in table.items():
            if isinstance(target, str):
                module, _colon, attribute = target.partition(':')
                target = getattr(importlib.import_module(module), attribute)
            self.assertTrue(issubclass(target, command.Command), name)
            self.assertIs(target.run, command.Command.run, name)
