# SPDX-License-Identifier: Apache-2.0
"""The options: what is listed is what is registered, and what a release has already is left alone."""

from keystoneauth1 import loading
from oslo_config import cfg
import testtools

from multistore_hooks import options

KEYSTONEAUTHS = {option.dest for option in loading.get_auth_common_conf_options()
                 + loading.get_auth_plugin_conf_options('password')}


class OptionsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        self.conf.register_group(cfg.OptGroup('libvirt'))

    def names(self, listed):
        return {option.dest for group, found in listed for option in found if group == 'multistore_hooks'}

    def test_defaults_change_nothing(self):
        options.register_nova_opts(self.conf)
        options.register_cinder_opts(self.conf)
        self.conf([])
        ours = self.conf.multistore_hooks
        self.assertEqual((None, None, 'auto', None), (
            ours.snapshot_store, ours.upload_store, ours.resolve_base_image, ours.auth_type))
        self.assertEqual('', self.conf.libvirt.images_rbd_glance_store_name)

    def test_all_that_a_service_reads_is_listed_for_it(self):
        for register, listed in ((options.register_nova_opts, options.list_nova_opts),
                                 (options.register_cinder_opts, options.list_cinder_opts),
                                 (options.register_glance_opts, options.list_glance_opts)):
            conf = cfg.ConfigOpts()
            conf.register_group(cfg.OptGroup('libvirt'))
            register(conf)
            conf([])
            self.assertEqual(set(), set(conf.multistore_hooks) - self.names(listed()))

    def test_every_option_has_help(self):
        for listed in (options.list_nova_opts, options.list_cinder_opts, options.list_glance_opts):
            for _group, found in listed():
                for option in found:
                    if option.dest in KEYSTONEAUTHS:
                        continue
                    self.assertTrue(option.help and len(option.help) > 10, option.name)

    def test_novas_own_copy_options_are_registered_where_it_lacks_them(self):
        options.register_nova_opts(self.conf)
        self.conf([])
        self.assertEqual(('', 15, 600), (self.conf.libvirt.images_rbd_glance_store_name,
                                         self.conf.libvirt.images_rbd_glance_copy_poll_interval,
                                         self.conf.libvirt.images_rbd_glance_copy_timeout))

    def test_and_left_alone_where_it_has_them(self):
        own = cfg.StrOpt('images_rbd_glance_store_name', default='', help='Another text.')
        self.conf.register_opt(own, group='libvirt')
        options.register_nova_opts(self.conf)
        self.conf([])
        self.assertEqual('', self.conf.libvirt.images_rbd_glance_store_name)
        self.assertEqual(600, self.conf.libvirt.images_rbd_glance_copy_timeout)

    def test_registering_twice_is_no_error(self):
        for _ in range(2):
            options.register_nova_opts(self.conf)
            options.register_cinder_opts(self.conf)
            options.register_glance_opts(self.conf)

    def test_lists_are_copies(self):
        options.list_nova_opts()[0][1][0].help = 'changed'
        self.assertNotEqual('changed', options.NOVA_OPTS[0].help)
