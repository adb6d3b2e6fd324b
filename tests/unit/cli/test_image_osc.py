# SPDX-License-Identifier: Apache-2.0
"""The plugin for openstackclient, as that calls it; with openstackclient itself: tests/functional."""

import argparse
import io
import types

from keystoneauth1 import session as ks_session

from multistore_hooks.cli import image
from multistore_hooks.cli.osc import image as osc_image
from multistore_hooks.cli.osc import plugin
from tests.unit.cli import image_base
from tests.unit import test_entry_points


class PluginTest(image_base.ImageTestCase):

    def setUp(self):
        super().setUp()
        self.app = types.SimpleNamespace(
            NAME='openstack', stdout=io.StringIO(), stderr=io.StringIO(),
            options=argparse.Namespace(debug=None),
            client_manager=types.SimpleNamespace(multistore=image_base.connection(self.glance)))

    def run_class(self, command, *argv):
        made = command(self.app, None)
        return made.run(made.get_parser('openstack multistore image').parse_args(list(argv)))

    def test_commands_use_the_credentials_of_openstackclient(self):
        one = self.add('fast')
        self.assertEqual(0, self.run_class(osc_image.Copy, one, '--to', 'cheap', '--wait', '-f', 'json'))
        self.assertEqual(0, self.run_class(osc_image.Stores, one, '-f', 'value', '-c', 'Stores'))
        self.assertEqual(0, self.run_class(osc_image.Misplaced))
        self.assertIn('fast,cheap\n', self.app.stdout.getvalue())
        self.assertEqual(0, self.run_class(osc_image.Stores, '-f', 'value', '-c', 'ID'))
        self.assertIn('\n%s\n' % one, self.app.stdout.getvalue())
        self.assertIsNone(self.options)  # session.connect was not called

    def test_errors_bear_its_name(self):
        self.assertEqual(2, self.run_class(osc_image.Stores, 'none'))
        self.assertTrue(self.app.stderr.getvalue().startswith('openstack: There is no image'))

    def test_its_own_options_are_not_offered_again(self):
        text = osc_image.Stores(self.app, None).get_parser('x').format_help()
        self.assertNotIn('--os-cloud', text)

    def test_it_authenticates_before_a_command(self):
        commands = [target for group, _name, module, target in test_entry_points.entry_points()
                    if group == 'openstack.multistore.v1' and module == osc_image.__name__]
        self.assertEqual(['Copy', 'Misplaced', 'Stores'], sorted(commands))
        for name in commands:
            self.assertTrue(getattr(osc_image, name).auth_required)
            self.assertEqual(getattr(image, name).__doc__, getattr(osc_image, name).__doc__)

    def test_client_is_of_the_cloud_that_openstackclient_chose(self):
        region = types.SimpleNamespace(
            name='edge', config={'region_name': 'dcn1'}, get_session=ks_session.Session,
            get_interface=lambda service: 'internal', get_endpoint=lambda service: 'http://glance/v2')
        made = plugin.make_client(types.SimpleNamespace(sdk_connection=types.SimpleNamespace(config=region)))
        self.assertEqual('http://glance', made.endpoint())
        self.assertIn('edge', made.source)

    def test_what_it_requires_of_a_plugin(self):
        self.assertEqual(('multistore', '1'), (plugin.API_NAME, plugin.DEFAULT_API_VERSION))
        self.assertIn(plugin.DEFAULT_API_VERSION, plugin.API_VERSIONS)
        parser = argparse.ArgumentParser()
        self.assertIs(parser, plugin.build_option_parser(parser))
