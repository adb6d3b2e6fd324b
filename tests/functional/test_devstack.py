# SPDX-License-Identifier: Apache-2.0
"""The devstack plugin: its phases run by bash, in stack.sh's order, against real files.

With DEVSTACK_DIR in the environment, the same with devstack's own functions.
"""

import configparser
import importlib.util
import os
import pwd
import shlex
import subprocess
import unittest

import ddt
from oslo_rootwrap import wrapper
import testtools

from multistore_hooks.glance_api import api
from multistore_hooks.stores import rules
from tests.devstack import gate as gates
from tests.functional import shared

MISSING = [name for name in ('nova', 'cinder', 'glance') if not importlib.util.find_spec(name)]
REASON = 'not installed here: %s' % ', '.join(MISSING)
CEPH_PLUGIN = 'devstack-plugin-ceph,multistore-hooks'
GLANCE = 'etc/glance/glance-api.conf'
PASTE = 'etc/glance/glance-api-paste.ini'
IMPORT = 'etc/glance/glance-image-import.conf'
NOVA = 'etc/nova/nova.conf'
CINDER = 'etc/cinder/cinder.conf'
TEMPEST = 'etc/tempest.conf'
ALL = 'g-api,n-api,n-cpu,n-cond,c-api,c-vol,c-sch,tempest,key'
TRAIN_PASTE = """
[pipeline:glance-api]
pipeline = cors healthcheck http_proxy_to_wsgi versionnegotiation osprofiler unauthenticated-context rootapp

[pipeline:glance-api-keystone+cachemanagement]
pipeline = cors healthcheck http_proxy_to_wsgi osprofiler authtoken context cache cachemanage rootapp

[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app

[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
"""


def has_gawk():
    awk = os.environ.get('CONFIG_AWK_CMD', 'awk')
    done = subprocess.run([awk, '--version'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return b'GNU Awk' in done.stdout


# By whether they have RBD stores.
_stacked = {}


@unittest.skipIf(MISSING, REASON)
class GateTestCase(testtools.TestCase):
    """Makes gates, each in a folder of its own."""

    def gate(self, local_conf='', paste=None, **settings):
        return gates.Gate(shared.folder('gate'), local_conf, paste, **settings)

    def stacked(self, rbd=False):
        """Return a gate that the first test which wants it has stacked, each phase twice: do not change it.

        :param rbd: with `rbd_settings`; otherwise without any
        """
        if rbd not in _stacked:
            gate = self.gate()
            # A name that [glance-direct,...] would match.
            gate.write('g', '')
            if rbd:
                gate.set(**self.rbd_settings(gate))
            self.ran(gate, 'twice')
            _stacked[rbd] = gate
        return _stacked[rbd]

    def ran(self, gate, step):
        outcome = gate.run(step)
        self.assertEqual(0, outcome.code, outcome.output)
        return outcome

    def loaded(self, gate, service, *names):
        conf, wrongs = gates.load(service, [gate.path(name) for name in names])
        # devstack-plugin-ceph leaves a section for a store that nobody enables any more.
        self.assertEqual([], [wrong for wrong in wrongs if '[robust_rbd]' not in wrong])
        return conf

    def ceph_conf(self, gate, name):
        gate.write(name, '[global]\n')
        return gate.path(name)

    def rbd_settings(self, gate, **settings):
        """Return the settings of two RBD stores in two clusters that nobody asks."""
        return dict(dict(
            MULTISTORE_STORES='cheap:file,robust:rbd,site-2:rbd', MULTISTORE_CHECK_RBD='False',
            MULTISTORE_RBD_CONF_robust=self.ceph_conf(gate, 'one.conf'),
            MULTISTORE_RBD_CONF_site_2=self.ceph_conf(gate, 'two.conf'),
            MULTISTORE_RBD_USER_site_2='glance2'), **settings)


class FilesTest(GateTestCase):
    """What the services read afterwards."""

    def test_every_file_is_understood_by_its_service(self):
        gate = self.gate()
        gate.set(**self.rbd_settings(
            gate, MULTISTORE_COLOCATE_VOLUMES='primary', MULTISTORE_COLOCATE_SNAPSHOTS='all',
            MULTISTORE_SNAPSHOT_STORE='robust', MULTISTORE_UPLOAD_STORE='cheap',
            MULTISTORE_NOVA_SECRET_UUID='11111111-1111-1111-1111-111111111111',
            MULTISTORE_SHOW_LOCATIONS='False', MULTISTORE_OPTIONS_cheap='weight=7'))
        self.ran(gate, 'stack')
        glance = self.loaded(gate, 'glance', GLANCE)
        self.assertEqual({'cheap': 'file', 'robust': 'rbd', 'site-2': 'rbd'}, glance.enabled_backends)
        self.assertEqual('cheap', glance.glance_store.default_backend)
        self.assertEqual(7, glance.cheap.weight)
        self.assertEqual((gate.path('two.conf'), 'images', 'glance2'), (
            glance['site-2'].rbd_store_ceph_conf, glance['site-2'].rbd_store_pool,
            glance['site-2'].rbd_store_user))
        self.assertEqual(['glance-direct', 'web-download', 'copy-image'],
                         glance.enabled_import_methods)
        self.assertEqual(('primary', 'all'), (glance.multistore_hooks.colocate_volumes,
                                              glance.multistore_hooks.colocate_snapshots))
        importing = self.loaded(gate, 'import', IMPORT)
        self.assertEqual(['image_conversion'], importing.image_import_opts.image_import_plugins)
        self.assertEqual('raw', importing.image_conversion.output_format)
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual('multistore.LibvirtDriver', nova.compute_driver)
        self.assertEqual(('robust', 'rbd', 'vms', gate.path('one.conf'), 'glance'), (
            nova.libvirt.images_rbd_glance_store_name, nova.libvirt.images_type,
            nova.libvirt.images_rbd_pool, nova.libvirt.images_rbd_ceph_conf, nova.libvirt.rbd_user))
        self.assertTrue(nova.workarounds.never_download_image_if_on_rbd)
        ours = nova.multistore_hooks
        self.assertEqual(('robust', 'images', 'password', 'nova', 'secret&pass'), (
            ours.snapshot_store, ours.glance_rbd_pool, ours.auth_type, ours.username, ours.password))
        cinder = self.loaded(gate, 'cinder', CINDER)
        self.assertEqual('multistore_hooks.cinder.manager.VolumeManager', cinder.volume_manager)
        self.assertEqual('multistore_hooks.cinder.api.API', cinder.volume_api_class)
        self.assertEqual(['cinder.api.contrib.standard_extensions',
                          'multistore_hooks.cinder.extra_specs.StoreValidation'],
                         cinder.osapi_volume_extension)
        self.assertEqual('cheap', cinder.multistore_hooks.upload_store)

    def test_an_unknown_option_or_value_would_be_noticed(self):
        gate = self.gate(MULTISTORE_OPTIONS_cheap='filesystem_store_datadirr=/x;weight=heavy')
        self.ran(gate, 'stack')
        _, wrongs = gates.load('glance', [gate.path(GLANCE)])
        self.assertEqual(2, len(wrongs), wrongs)

    def test_what_the_configuration_names_is_there(self):
        gate = self.stacked()
        for name in ('multistore_hooks.cinder.manager', 'multistore_hooks.cinder.api',
                     'multistore_hooks.cinder.extra_specs', 'multistore_hooks.glance.base_image_filter'):
            self.assertIsNotNone(importlib.util.find_spec(name), name)
        self.assertTrue(os.path.exists(gate.path('dest/nova/nova/virt/multistore.py')))

    def test_no_two_folders_of_glance_are_one(self):
        gate = self.gate(MULTISTORE_STORES='a:file,b:file,c:file')
        self.ran(gate, 'stack')
        glance = self.loaded(gate, 'glance', GLANCE)
        folders = [glance[name].filesystem_store_datadir.rstrip('/') for name in (
            'a', 'b', 'c', 'os_glance_staging_store', 'os_glance_tasks_store')]
        self.assertEqual(5, len(set(folders)))
        for one in folders:
            self.assertTrue(os.path.isdir(one), one)
            self.assertFalse([two for two in folders if two.startswith(one + '/')], one)

    def test_a_list_in_brackets_is_not_taken_for_the_name_of_a_file(self):
        gate = self.stacked()
        self.assertTrue(os.path.exists(gate.path('g')))
        self.assertIn('= [glance-direct,web-download,copy-image]\n', gate.text(GLANCE))

    def test_the_filter_is_in_every_pipeline_of_train_too(self):
        gate = self.gate()
        gate.write('train.ini', TRAIN_PASTE)
        gate = self.gate(paste=gate.path('train.ini'))
        self.ran(gate, 'twice')
        text = gate.text(PASTE)
        self.assertEqual(2, text.count('base_image '), text)
        self.assertIn('authtoken context base_image cache cachemanage rootapp', text)
        self.assertIn('unauthenticated-context base_image rootapp', text)
        self.ran(gate, 'unstack')
        self.assertEqual(TRAIN_PASTE, gate.text(PASTE))

    def test_locations_stay_as_devstack_has_them_unless_configured(self):
        gate = self.gate()
        self.ran(gate, 'stack')
        self.assertFalse(self.loaded(gate, 'glance', GLANCE).show_multiple_locations)
        gate.set(MULTISTORE_SHOW_LOCATIONS='True')
        self.ran(gate, 'stack')
        self.assertTrue(self.loaded(gate, 'glance', GLANCE).show_multiple_locations)

    def test_other_import_plugins_stay(self):
        gate = self.gate(MULTISTORE_IMAGE_CONVERSION='qcow2', IMPORT_PLUGINS="['image_decompression']")
        self.ran(gate, 'twice')
        importing = self.loaded(gate, 'import', IMPORT)
        self.assertEqual(['image_conversion', 'image_decompression'],
                         importing.image_import_opts.image_import_plugins)
        self.assertEqual('qcow2', importing.image_conversion.output_format)

    def test_a_copy_image_of_the_operator_comes_first(self):
        gate = self.gate()
        gate.write('etc/glance/policy.yaml', '"copy_image": "role:member"\n')
        self.ran(gate, 'stack')
        self.assertFalse(os.path.exists(gate.path('etc/glance/policy.d')))

    def test_a_compute_only_node_gets_novas_part_only(self):
        gate = self.gate()
        gate.set(**self.rbd_settings(gate, ENABLED_SERVICES='n-cpu', MULTISTORE_NOVA_STORE='site-2'))
        self.ran(gate, 'twice')
        self.assertFalse(os.path.exists(gate.path(GLANCE)))
        self.assertFalse(os.path.exists(gate.path(CINDER)))
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual('site-2', nova.libvirt.images_rbd_glance_store_name)
        self.assertEqual(('glance2', gate.path('two.conf')), (
            nova.libvirt.rbd_user, nova.libvirt.images_rbd_ceph_conf))

    def test_another_hypervisor_gets_everything_but_the_driver(self):
        gate = self.gate(VIRT_DRIVER='fake')
        self.ran(gate, 'twice')
        self.assertEqual('libvirt.LibvirtDriver', self.loaded(gate, 'nova', NOVA).compute_driver)
        self.assertFalse(os.path.exists(gate.path('dest/nova/nova/virt/multistore.py')))
        self.assertEqual('cheap', self.loaded(gate, 'glance', GLANCE).glance_store.default_backend)

    def test_disabled_it_installs_and_leaves_the_services_alone(self):
        gate = self.gate(MULTISTORE_ENABLED='False')
        self.ran(gate, 'twice')
        for name in (GLANCE, PASTE, NOVA, CINDER, TEMPEST):
            self.assertNotRegex(gate.text(name), 'multistore(_hooks|\\.)', name)
        self.assertNotIn('enabled_backends', gate.text(GLANCE))
        self.assertTrue([call for call in gate.calls() if call.startswith('setup_develop')])

    def test_volumes_as_images_by_glances_own_driver(self):
        gate = self.gate(MULTISTORE_STORES='cheap:file,gold:cinder',
                         CINDER_ENABLED_BACKENDS='lvm:lvmdriver-1,lvm:lvmdriver-2')
        self.ran(gate, 'twice')
        gold = self.loaded(gate, 'glance', GLANCE).gold
        self.assertEqual(('lvmdriver-1', 'glance', 'service'), (
            gold.cinder_volume_type, gold.cinder_store_user_name, gold.cinder_store_project_name))

    def test_qemu_gets_its_driver_for_ceph(self):
        calls = self.stacked(rbd=True).calls()
        self.assertIn('install_package ceph-common python3-rados python3-rbd', calls)
        self.assertIn('install_package qemu-block-extra', calls)

    def test_libvirt_gets_the_key_of_the_ceph_user(self):
        gate = self.gate()
        gate.write('keyring', '[client.other]\n\tkey = no\n[client.cinder]\n\tkey = abc==\n')
        uuid = '11111111-1111-1111-1111-111111111111'
        gate.set(**self.rbd_settings(
            gate, MULTISTORE_NOVA_RBD_USER='cinder', MULTISTORE_NOVA_SECRET_UUID=uuid,
            MULTISTORE_NOVA_RBD_KEYRING=gate.path('keyring')))
        self.ran(gate, 'twice')
        self.assertIn('virsh secret-set-value --secret %s --base64 abc==' % uuid, gate.calls())
        self.assertIn('<uuid>%s</uuid>' % uuid, gate.calls())
        self.assertEqual(uuid, self.loaded(gate, 'nova', NOVA).libvirt.rbd_secret_uuid)
        self.ran(gate, 'unstack')
        self.assertIn('virsh secret-undefine ' + uuid, gate.calls())


class VolumeStoresTest(GateTestCase):
    """The kind volume: the store's section, and what root, keystone and Cinder are asked for."""

    def volume_gate(self, **settings):
        return self.gate(**dict({'MULTISTORE_STORES': 'cheap:file,gold:volume',
                                 'CINDER_ENABLED_BACKENDS': 'lvm:lvmdriver-1,lvm:lvmdriver-2'}, **settings))

    def test_the_section_is_understood_and_names_credentials_type_and_root_helper(self):
        gate = self.volume_gate(MULTISTORE_OPTIONS_gold='zeroed_volumes=always;weight=3')
        self.ran(gate, 'twice')
        glance = self.loaded(gate, 'glance', GLANCE)
        self.assertEqual({'cheap': 'file', 'gold': 'volume'}, glance.enabled_backends)
        gold = glance.gold
        self.assertEqual(('password', 'http://127.0.0.1/identity', 'glance', 'secret&pass', 'service'), (
            gold.auth_type, gold.auth_url, gold.username, gold.password, gold.project_name))
        self.assertEqual(('lvmdriver-1', 'RegionOne', 'always', 3), (
            gold.volume_type, gold.region_name, gold.zeroed_volumes, gold.weight))
        self.assertEqual(gate.path('data/multistore_hooks/attachments'), gold.attachment_dir)
        self.assertEqual(0o700, os.stat(gold.attachment_dir).st_mode & 0o777)
        self.assertEqual('sudo %s %s' % (gate.path('bin/glance-rootwrap'), self.rootwrap(gate)),
                         gold.root_helper)

    def rootwrap(self, gate):
        return gate.path('etc/multistore-hooks/rootwrap.conf')

    def test_sudo_rootwrap_and_privsep_agree_on_the_paths_of_this_machine(self):
        gate = self.volume_gate()
        self.ran(gate, 'twice')
        command = self.loaded(gate, 'glance', GLANCE).privsep_osbrick.helper_command
        config = wrapper.RootwrapConfig(self.read_ini(self.rootwrap(gate)))
        self.assertEqual([gate.path('etc/multistore-hooks/rootwrap.d')], config.filters_path)
        words = shlex.split(command)
        self.assertEqual(['sudo', gate.path('bin/glance-rootwrap'), self.rootwrap(gate)], words[:3])
        self.assertEqual(gate.path('etc/multistore-hooks/privsep.conf'), words[-1])
        self.assertTrue(os.path.exists(words[-1]))
        # As privsep completes the command; and with a word more it is another one.
        asked = words[3:] + ['--privsep_context', 'os_brick.privileged.default',
                             '--privsep_sock_path', '/tmp/tmpabcd_123/privsep.sock']
        gate.write('bin/privsep-helper', '#!/bin/sh\n')
        os.chmod(gate.path('bin/privsep-helper'), 0o755)
        filters = wrapper.load_filters(config.filters_path)
        found = wrapper.match_filter(filters, asked, config.exec_dirs)
        self.assertEqual(gate.path('bin/privsep-helper'), found.get_command(asked)[0])
        self.assertRaises(wrapper.NoFilterMatched, wrapper.match_filter, filters,
                          asked + ['--config-dir', '/tmp'], config.exec_dirs)
        rules = [line for line in gate.text('etc/sudoers.d/multistore_hooks').splitlines()
                 if line and not line.startswith('#')]
        user = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual(['%s ALL = (root) NOPASSWD: %s %s *' % (
            user, gate.path('bin/glance-rootwrap'), self.rootwrap(gate))], rules)
        self.assertEqual(0o440, os.stat(gate.path('etc/sudoers.d/multistore_hooks')).st_mode & 0o777)
        self.assertTrue([call for call in gate.calls() if call.startswith('visudo -c')])

    @staticmethod
    def read_ini(path):
        parser = configparser.RawConfigParser()
        parser.read(path)
        return parser

    def test_a_rule_that_sudo_would_not_read_is_not_installed(self):
        gate = self.volume_gate(STACK_USER='no such user, no', VISUDO_SAYS='1')
        outcome = gate.run('stack')
        self.assertNotEqual(0, outcome.code)
        self.assertIn('check STACK_USER', outcome.output)
        self.assertFalse(os.path.exists(gate.path('etc/sudoers.d/multistore_hooks')))

    def test_glances_user_may_have_volumes_and_cinder_may_clone_them(self):
        gate = self.volume_gate(MULTISTORE_CINDER_TYPE_gold='fast')
        self.ran(gate, 'stack')
        calls = [call for call in gate.calls() if call.startswith('openstack ')]
        self.assertTrue([call for call in calls
                         if 'role add --user glance' in call and call.endswith(' member')])
        self.assertTrue([call for call in calls
                         if call.endswith(' quota set --volumes -1 --gigabytes -1 service')])
        self.assertEqual('fast', self.loaded(gate, 'glance', GLANCE).gold.volume_type)
        self.assertEqual(['cinder'], self.loaded(gate, 'cinder', CINDER).allowed_direct_url_schemes)
        self.assertIn('setup_develop %s cinder-store' % gates.CHECKOUT, gate.calls())

    def test_without_such_a_store_root_is_requested_nothing(self):
        gate = self.stacked()
        self.assertFalse(os.path.exists(gate.path('etc/multistore-hooks')))
        self.assertFalse(os.path.exists(gate.path('etc/sudoers.d')))
        self.assertNotIn('privsep', gate.text(GLANCE))
        self.assertNotIn('allowed_direct_url_schemes', gate.text(CINDER))

    def test_unstack_takes_all_of_it_back(self):
        gate = self.gate()
        gate.write('etc/sudoers.d/other', 'stays\n')
        gate.write('etc/multistore-hooks/mine', 'stays\n')
        gate.set(DEVSTACK_PLUGINS='', GLANCE_ENABLE_MULTIPLE_STORES='True', GLANCE_USE_IMPORT_WORKFLOW='True')
        self.ran(gate, 'stack')
        before = gate.state()
        gate.set(MULTISTORE_STORES='cheap:file,gold:volume', MULTISTORE_VOLUME_TYPES='none')
        self.ran(gate, 'stack')
        self.assertTrue(os.path.exists(self.rootwrap(gate)))
        for _ in range(2):
            self.ran(gate, 'unstack')
            after = {name: what for name, what in gate.state().items()
                     if not name.startswith('data/multistore_hooks')}
            self.assertEqual(before, after)
        self.ran(gate, 'clean')
        self.assertFalse(os.path.exists(gate.path('data/multistore_hooks')))


class SiteImagesTest(GateTestCase):
    """Base images that the hosts of a cluster make for themselves."""

    def test_nova_reads_what_is_configured_and_unstack_takes_it_back(self):
        gate = self.gate()
        gate.set(**self.rbd_settings(gate, MULTISTORE_SITE_IMAGES='fallback', MULTISTORE_SITE_IMAGE_AFTER='5',
                                     MULTISTORE_SITE_IMAGE_POOL='bases'))
        self.ran(gate, 'twice')
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual(('fallback', 5, 'bases', True), (
            nova.multistore_hooks.site_images, nova.multistore_hooks.site_image_after,
            nova.multistore_hooks.site_image_pool, nova.workarounds.never_download_image_if_on_rbd))
        for line in ('site_images = True', 'clone = True'):
            self.assertIn('\n%s\n' % line, gate.text(TEMPEST))
        self.ran(gate, 'unstack')
        self.assertNotIn('site_image', gate.text(NOVA))

    def test_by_default_there_is_no_option_of_theirs(self):
        gate = self.stacked(rbd=True)
        self.assertNotIn('site_image', gate.text(NOVA))
        self.assertIn('\nsite_images = False\n', gate.text(TEMPEST))

    def test_a_cluster_without_a_store_of_glances_makes_them_too(self):
        gate = self.gate(DEVSTACK_PLUGINS=CEPH_PLUGIN, MULTISTORE_STORES='cheap:file,fast:file',
                         MULTISTORE_SITE_IMAGES='only', MULTISTORE_SITE_IMAGE_POOL='bases')
        self.ran(gate, 'twice')
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual(('rbd', 'only', True, None), (
            nova.libvirt.images_type, nova.multistore_hooks.site_images,
            nova.workarounds.never_download_image_if_on_rbd, nova.libvirt.images_rbd_glance_store_name))
        self.assertIn('ceph-pool bases', gate.calls())
        for line in ('site_images = True', 'clone = False', 'volume_clone = False'):
            self.assertIn('\n%s\n' % line, gate.text(TEMPEST))


class RulesTest(GateTestCase):
    """Rules on which image is in which store, applied by a timer."""

    def test_a_timer_has_them_applied_and_unstack_removes_it(self):
        gate = self.gate(MULTISTORE_STORES='cheap:file,web:http,fast:file', MULTISTORE_RULES='by-tag',
                         MULTISTORE_RULES_ARGUMENTS='--most-bytes 1GiB', MULTISTORE_RULES_CALENDAR='*:0/5')
        self.ran(gate, 'twice')
        read = rules.load(gate.path('data/multistore_hooks/rules.yaml'), api.Stores(
            (api.Store('cheap', default=True), api.Store('web', read_only=True), api.Store('fast'))))
        self.assertEqual([('cheap',), ('fast',)], [rule.stores for rule in read.rules])
        service = self.unit(gate, 'service')['Service']
        self.assertEqual('%s image place --apply --rules %s --most-bytes 1GiB' % (
            gate.path('bin/multistore-hooks'), gate.path('data/multistore_hooks/rules.yaml')),
            service['ExecStart'])
        self.assertEqual(('oneshot', pwd.getpwuid(os.getuid()).pw_name), (service['Type'], service['User']))
        self.assertEqual('*:0/5', self.unit(gate, 'timer')['Timer']['OnCalendar'])
        self.assertIn('systemctl enable --now multistore-place.timer', gate.calls())
        self.assertIn('\nrules = True\n', gate.text(TEMPEST))
        for _ in range(2):
            self.ran(gate, 'unstack')
            self.assertEqual([], os.listdir(gate.path('etc/systemd/system')))
        calls = gate.calls()
        self.assertEqual(1, calls.count('systemctl disable --now multistore-place.timer'))
        self.assertLess(calls.index('systemctl disable --now multistore-place.timer'),
                        calls.index('systemctl stop multistore-place.service'))
        self.ran(gate, 'clean')
        self.assertFalse(os.path.exists(gate.path('data/multistore_hooks')))

    @staticmethod
    def unit(gate, kind):
        """Return a unit as systemd reads it, but for options that are given several times."""
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read(gate.path('etc/systemd/system/multistore-place.' + kind))
        return parser

    def test_a_file_of_the_operator_is_used_as_it_is(self):
        gate = self.gate()
        gate.write('mine.yaml', 'rules: []\n')
        gate.set(MULTISTORE_RULES=gate.path('mine.yaml'))
        self.ran(gate, 'stack')
        self.assertIn('--rules ' + gate.path('mine.yaml'), self.unit(gate, 'service')['Service']['ExecStart'])
        self.assertIn('\nrules = False\n', gate.text(TEMPEST))
        self.ran(gate, 'clean')
        self.assertEqual('rules: []\n', gate.text('mine.yaml'))

    def test_without_rules_systemd_is_asked_for_nothing(self):
        gate = self.gate()
        self.ran(gate, 'stack')
        self.ran(gate, 'unstack')
        self.assertEqual([], [call for call in gate.calls() if 'multistore-place' in call])
        self.assertEqual([], os.listdir(gate.path('etc/systemd/system')))


class CinderAndTempestTest(GateTestCase):
    """The phases extra and test-config."""

    def test_each_store_has_a_volume_type(self):
        gate = self.gate(MULTISTORE_STORES='cheap:file,web:http,fast:file')
        self.ran(gate, 'twice')
        self.assertEqual(['multistore-cheap', 'multistore-fast'], sorted(os.listdir(gate.path('types'))))
        self.assertEqual('image_service:store_id=fast\n', gate.text('types/multistore-fast'))

    def test_volume_types_are_those_that_are_named(self):
        gate = self.gate(MULTISTORE_VOLUME_TYPES='gold:reliable,silver:cheap')
        self.ran(gate, 'stack')
        self.assertEqual('image_service:store_id=reliable\n', gate.text('types/gold'))
        self.assertEqual(['gold', 'silver'], sorted(os.listdir(gate.path('types'))))

    def test_no_volume_types_at_all(self):
        gate = self.gate(MULTISTORE_VOLUME_TYPES='none')
        self.ran(gate, 'stack')
        self.assertFalse(os.path.exists(gate.path('types')))

    def test_tempest_hears_what_this_cloud_can_do(self):
        text = self.stacked(rbd=True).text(TEMPEST)
        for line in ('stores = cheap,robust,site-2', 'default_store = cheap', 'clone = True',
                     'copy_image = True',
                     'compute_store = robust', 'snapshot = True', 'image_conversion = True',
                     'volume_types = multistore-cheap:cheap,multistore-robust:robust,'
                     'multistore-site-2:site-2'):
            self.assertIn('\n%s\n' % line, text)

    def test_tempest_hears_what_this_cloud_cannot_do(self):
        gate = self.gate(MULTISTORE_CINDER='False', MULTISTORE_NOVA='False',
                         MULTISTORE_GLANCE_FILTER='False', MULTISTORE_IMPORT_METHODS='glance-direct')
        self.ran(gate, 'stack')
        for flag in ('clone', 'copy_image', 'snapshot', 'site_images', 'volume_clone', 'volume_upload',
                     'type_validation', 'colocate', 'rules'):
            self.assertIn('\n%s = False\n' % flag, gate.text(TEMPEST))


class AgainTest(GateTestCase):
    """Twice, back, and over."""

    def test_each_phase_a_second_time_changes_nothing(self):
        self.stacked()
        self.stacked(rbd=True)

    def test_unstack_gives_back_every_byte_and_keeps_images(self):
        # What devstack alone leaves, with its own stores.
        gate = self.gate(DEVSTACK_PLUGINS='', GLANCE_ENABLE_MULTIPLE_STORES='True',
                         GLANCE_USE_IMPORT_WORKFLOW='True')
        self.ran(gate, 'stack')
        before = gate.state()
        gate.set(**self.rbd_settings(gate))
        self.ran(gate, 'stack')
        self.assertNotEqual(before[GLANCE], gate.state()[GLANCE])
        gate.write('data/multistore_hooks/stores/cheap/image', 'bytes')
        for _ in range(2):
            self.ran(gate, 'unstack')
            after = gate.state()
            self.assertEqual('bytes', gate.text('data/multistore_hooks/stores/cheap/image'))
            rest = {name: what for name, what in after.items()
                    if not name.startswith('data/multistore_hooks')
                    and name not in ('one.conf', 'two.conf')}
            self.assertEqual(before, rest)

    def test_clean_removes_what_the_plugin_made_and_nothing_else(self):
        gate = self.gate(MULTISTORE_FILE_DIR_reliable='')
        gate.write('mine/precious', 'bytes')
        gate.set(MULTISTORE_FILE_DIR_reliable=gate.path('mine'))
        self.ran(gate, 'stack')
        for _ in range(2):
            self.ran(gate, 'clean')
            self.assertFalse(os.path.exists(gate.path('data/multistore_hooks')))
            self.assertEqual('bytes', gate.text('mine/precious'))
        self.assertIn('pip_uninstall multistore-hooks', gate.calls())

    def test_the_next_stack_empties_folders_of_its_own_only(self):
        gate = self.gate(MULTISTORE_FILE_DIR_reliable='')
        gate.write('mine/precious', 'bytes')
        gate.set(MULTISTORE_FILE_DIR_reliable=gate.path('mine'))
        self.ran(gate, 'stack')
        gate.write('data/multistore_hooks/stores/cheap/image', 'bytes')
        self.ran(gate, 'stack')
        self.assertEqual([], os.listdir(gate.path('data/multistore_hooks/stores/cheap')))
        self.assertEqual('bytes', gate.text('mine/precious'))

    def test_after_two_stacks_unstack_still_knows_what_was_before_the_first(self):
        gate = self.gate()
        self.ran(gate, 'stack')
        gate.set(MULTISTORE_STORES='other:file', MULTISTORE_IMPORT_METHODS='copy-image')
        self.ran(gate, 'stack')
        self.ran(gate, 'unstack')
        self.assertIn('enabled_backends = fast:file\n', gate.text(GLANCE))
        self.assertNotIn('multistore_hooks', gate.text(GLANCE))
        # devstack never sets this one, so it does not set it back for the second stack either.
        self.assertNotIn('enabled_import_methods', gate.text(GLANCE))
        self.assertIn('compute_driver = libvirt.LibvirtDriver\n', gate.text(NOVA))

    def test_unstack_before_anything_was_done_is_no_error(self):
        gate = self.gate()
        self.ran(gate, 'unstack')
        self.ran(gate, 'clean')

    def test_local_conf_comes_first_and_stays(self):
        if 'DEVSTACK_DIR' in os.environ and not has_gawk():
            self.skipTest("devstack's own merging of local.conf needs GNU awk: apt-get install gawk")
        gate = self.gate(
            '[[post-config|$GLANCE_API_CONF]]\n[glance_store]\ndefault_backend = reliable\n'
            '[cheap]\nfilesystem_store_datadir = /elsewhere/\n'
            '[[post-config|$NOVA_CONF]]\n[DEFAULT]\ncompute_driver = fake.FakeDriver\n')
        self.ran(gate, 'twice')
        glance = self.loaded(gate, 'glance', GLANCE)
        self.assertEqual('reliable', glance.glance_store.default_backend)
        self.assertEqual('/elsewhere/', glance.cheap.filesystem_store_datadir)
        self.assertEqual('fake.FakeDriver', self.loaded(gate, 'nova', NOVA).compute_driver)
        outcome = self.ran(gate, 'unstack')
        self.assertIn('default_backend = reliable', gate.text(GLANCE))
        self.assertIn('[glance_store] default_backend is not as the plugin set it: it stays',
                      outcome.output)

    def test_a_patch_that_does_not_fit_ends_the_install_phase(self):
        gate = self.gate(MULTISTORE_NOVA_RELEASE='19')
        outcome = gate.run('stack')
        self.assertNotEqual(0, outcome.code)
        self.assertIn('Nova cannot be patched: ', outcome.output)

    def test_a_nova_of_no_known_release_gets_the_newest_patch(self):
        gate = self.gate(NOVA_VERSION='99.0.0')
        outcome = self.ran(gate, 'twice')
        self.assertRegex(outcome.output, r'the release of .* is not known: taking the patches of \d+')
        self.assertTrue(os.path.exists(gate.path('dest/nova/nova/virt/multistore.py')))

    def test_unstack_restores_the_copy_of_nova_conf_that_nova_compute_reads(self):
        gate = self.gate()
        before = None
        for copied in (NOVA, 'etc/nova/nova-cpu.conf'):
            self.ran(gate, 'stack')
            # As devstack does it when it starts nova-compute.
            gate.write('etc/nova/nova-cpu.conf', gate.text(NOVA))
            self.assertIn('multistore.LibvirtDriver', gate.text(copied))
            self.ran(gate, 'unstack')
            before = before or gate.text(NOVA)
            self.assertEqual(before, gate.text(copied))

    def test_a_phase_is_traced_where_stack_sh_traces(self):
        gate = self.gate()
        gate.write('localrc', 'set -o xtrace\n')
        outcome = self.ran(gate, 'stack')
        self.assertRegex(outcome.output, r'\+ *multistore_post_config')

    def test_an_rbd_store_out_of_reach_ends_post_config(self):
        gate = self.gate()
        gate.write('rbd', '#!/bin/sh\necho "rbd: error opening pool images: (2) No such file" >&2\nexit 2\n')
        os.chmod(gate.path('rbd'), 0o755)
        gate.set(**self.rbd_settings(gate, MULTISTORE_CHECK_RBD='True',
                                     PATH=gate.folder + os.pathsep + os.environ['PATH']))
        outcome = gate.run('stack')
        self.assertNotEqual(0, outcome.code)
        self.assertIn('The RBD store robust cannot be reached as client glance, pool images',
                      outcome.output)
        self.assertIn('error opening pool images', outcome.output)


class CephPluginTest(GateTestCase):
    """With devstack-plugin-ceph: its arrays, its files, its second cluster."""

    def test_pools_and_keys_go_through_its_arrays(self):
        gate = self.gate(DEVSTACK_PLUGINS=CEPH_PLUGIN, MULTISTORE_CHECK_RBD='False',
                         MULTISTORE_STORES='cheap:file,robust:rbd,site2:rbd',
                         MULTISTORE_RBD_USER_site2='other', CINDER_ENABLED_BACKENDS='lvm:one,ceph:two')
        self.ran(gate, 'twice')
        backends = configparser.ConfigParser(None, strict=False, default_section='')
        backends.read_string(gate.text(CINDER))
        self.assertEqual({'rbd_glance_store_name': 'robust', 'rbd_glance_pool': 'images'},
                         dict(backends['two']))
        self.assertNotIn('one', backends)
        for line in ('volume_store = robust', 'volume_clone = True'):
            self.assertIn('\n%s\n' % line, gate.text(TEMPEST))
        calls = gate.calls()
        self.assertIn('ceph-pool images-site2', calls)
        self.assertIn('ceph-key client.other', calls)
        self.assertFalse([call for call in calls if call.startswith('install_package')])
        glance = self.loaded(gate, 'glance', GLANCE)
        self.assertEqual({'cheap': 'file', 'robust': 'rbd', 'site2': 'rbd'}, glance.enabled_backends)
        self.assertEqual(('images', 'images-site2'), (
            glance.robust.rbd_store_pool, glance.site2.rbd_store_pool))
        self.assertEqual('cheap', glance.glance_store.default_backend)
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual(('rbd', 'vms', 'robust', 'images'), (
            nova.libvirt.images_type, nova.libvirt.images_rbd_pool,
            nova.libvirt.images_rbd_glance_store_name, nova.multistore_hooks.glance_rbd_pool))
        self.ran(gate, 'unstack')
        self.assertIn('enabled_backends = robust_rbd:rbd,fast:file\n', gate.text(GLANCE))
        self.assertNotIn('rbd_glance', gate.text(CINDER))

    def test_by_default_a_file_store_and_an_rbd_store(self):
        gate = self.gate(DEVSTACK_PLUGINS=CEPH_PLUGIN, MULTISTORE_CHECK_RBD='False')
        self.ran(gate, 'stack')
        self.assertEqual({'cheap': 'file', 'robust': 'rbd'},
                         self.loaded(gate, 'glance', GLANCE).enabled_backends)

    def test_nova_without_rbd_needs_no_store(self):
        gate = self.gate(DEVSTACK_PLUGINS=CEPH_PLUGIN, MULTISTORE_CHECK_RBD='False',
                         ENABLE_CEPH_NOVA='False')
        self.ran(gate, 'twice')
        nova = self.loaded(gate, 'nova', NOVA)
        self.assertEqual('multistore.LibvirtDriver', nova.compute_driver)
        self.assertIsNone(nova.libvirt.images_rbd_glance_store_name)

    def test_its_second_cluster_gets_a_pool_and_names_the_key(self):
        gate = self.gate()
        conf = self.ceph_conf(gate, 'etc/ceph2/ceph.conf')
        gate.set(DEVSTACK_PLUGINS=CEPH_PLUGIN, MULTISTORE_CHECK_RBD='False', MULTI_CEPH='True',
                 MULTISTORE_STORES='cheap:file,robust:rbd,site2:rbd', MULTISTORE_RBD_CONF_site2=conf)
        self.ran(gate, 'twice')
        made = [call for call in gate.calls() if call.startswith('cephadm') and 'pool create' in call]
        self.assertTrue(made)
        self.assertIn('--config %s ' % conf, made[0])
        self.assertTrue(made[0].endswith('-- ceph osd pool create images'), made)
        self.assertEqual('[global]\n[client.glance]\nkeyring = %s\n' % gate.path(
            'etc/ceph2/ceph.client.glance.keyring'), gate.text('etc/ceph2/ceph.conf'))


@ddt.ddt
class ImpossibleTest(GateTestCase):
    """What cannot work ends pre-install, with a line that says what to change."""

    @ddt.data(
        ('a store without a kind', {'MULTISTORE_STORES': 'cheap'}, 'write NAME:KIND'),
        ('an odd name', {'MULTISTORE_STORES': 'che.ap:file'}, 'write NAME:KIND'),
        ('an unknown kind', {'MULTISTORE_STORES': 'cheap:swift'}, 'the kinds are'),
        ("a section of Glance's own", {'MULTISTORE_STORES': 'database:file'}, 'choose another name'),
        ('a reserved name', {'MULTISTORE_STORES': 'os_glance_x:file'}, 'choose another name'),
        ('one name twice', {'MULTISTORE_STORES': 'a:file,a:file'}, 'rename one'),
        ('names alike', {'MULTISTORE_STORES': 'a-b:file,a_b:file'}, 'rename one'),
        ('no such default', {'MULTISTORE_DEFAULT': 'gold'}, 'name one of them'),
        ('a read-only default', {'MULTISTORE_STORES': 'web:http,a:file'}, 'name another store'),
        ('one folder twice', {'MULTISTORE_FILE_DIR_cheap': '/x',
                              'MULTISTORE_FILE_DIR_reliable': '/x/'}, 'MULTISTORE_FILE_DIR_reliable'),
        ('a relative folder', {'MULTISTORE_FILE_DIR_cheap': 'x'}, 'absolute path'),
        ('RBD without Ceph', {'MULTISTORE_STORES': 'a:rbd'}, 'set MULTISTORE_RBD_CONF_a'),
        ('no such ceph.conf', {'MULTISTORE_STORES': 'a:rbd', 'MULTISTORE_RBD_CONF_a': '/nowhere'},
         '/nowhere cannot be read'),
        ('one pool twice', {'MULTISTORE_STORES': 'a:rbd,b:rbd', 'MULTISTORE_RBD_CONF_a': '/dev/null',
                            'MULTISTORE_RBD_CONF_b': '/dev/null', 'MULTISTORE_RBD_POOL_b': 'images'},
         'set MULTISTORE_RBD_POOL_b'),
        ('the wrong order', {'DEVSTACK_PLUGINS': 'multistore-hooks,devstack-plugin-ceph'},
         'put its enable_plugin line before'),
        ('volumes without Cinder', {'MULTISTORE_STORES': 'a:file,b:cinder', 'ENABLED_SERVICES': 'g-api'},
         'enable_service c-vol'),
        ('volume stores without Cinder', {'MULTISTORE_STORES': 'a:file,b:volume',
                                          'ENABLED_SERVICES': 'g-api'}, "take 'b:volume' out"),
        ("devstack's own volumes", {'USE_CINDER_FOR_GLANCE': 'True'}, 'USE_CINDER_FOR_GLANCE=True'),
        ('a single store', {'GLANCE_ENABLE_MULTIPLE_STORES': 'False'}, 'GLANCE_ENABLE_MULTIPLE_STORES'),
        ('S3', {'GLANCE_USE_S3': 'True'}, 'GLANCE_USE_S3'),
        ('the driver elsewhere', {'MULTISTORE_NOVA': 'True', 'VIRT_DRIVER': 'fake'},
         'needs VIRT_DRIVER=libvirt'),
        ("a compute's store that is no RBD", {'MULTISTORE_NOVA_STORE': 'cheap'}, 'is no RBD store'),
        ("a compute's store without the driver", {
            'MULTISTORE_STORES': 'a:rbd', 'MULTISTORE_RBD_CONF_a': '/dev/null',
            'MULTISTORE_NOVA': 'False', 'MULTISTORE_NOVA_STORE': 'a'}, 'set MULTISTORE_NOVA=True'),
        ('no copies', {'MULTISTORE_STORES': 'a:rbd', 'MULTISTORE_RBD_CONF_a': '/dev/null',
                       'MULTISTORE_IMPORT_METHODS': 'glance-direct'}, 'put copy-image'),
        ('a key without a name', {'MULTISTORE_NOVA_RBD_KEYRING': '/dev/null'},
         'MULTISTORE_NOVA_SECRET_UUID'),
        ('no such snapshot store', {'MULTISTORE_SNAPSHOT_STORE': 'x'}, 'MULTISTORE_SNAPSHOT_STORE=x'),
        ('no such upload store', {'MULTISTORE_UPLOAD_STORE': 'x'}, 'MULTISTORE_UPLOAD_STORE=x'),
        ('a type without its store', {'MULTISTORE_VOLUME_TYPES': 'gold:x'}, 'write TYPE:STORE'),
        ('site images of an unknown kind', {'MULTISTORE_SITE_IMAGES': 'yes'}, 'write off, fallback or only'),
        ('site images without Ceph', {'MULTISTORE_SITE_IMAGES': 'only'}, 'name an RBD store'),
        ('site images without the driver', {
            'MULTISTORE_SITE_IMAGES': 'only', 'MULTISTORE_NOVA': 'False', 'MULTISTORE_STORES': 'a:rbd',
            'MULTISTORE_RBD_CONF_a': '/dev/null'}, 'needs the Nova driver'),
        ('site images after a word', {
            'MULTISTORE_SITE_IMAGES': 'only', 'MULTISTORE_SITE_IMAGE_AFTER': 'soon',
            'MULTISTORE_STORES': 'a:rbd', 'MULTISTORE_RBD_CONF_a': '/dev/null'}, 'a number of seconds'),
        ('no such rules', {'MULTISTORE_RULES': '/nowhere'}, 'MULTISTORE_RULES=/nowhere'),
        ('rules without copies', {'MULTISTORE_RULES': 'by-tag', 'MULTISTORE_IMPORT_METHODS': 'glance-direct'},
         'put copy-image'),
        ('an unknown format', {'MULTISTORE_IMAGE_CONVERSION': 'vdi'}, 'write raw'),
    )
    @ddt.unpack
    def test_it_dies_in_pre_install(self, what, settings, words):
        gate = self.gate(**settings)
        outcome = gate.run('pre-install')
        self.assertNotEqual(0, outcome.code, what)
        errors = [line for line in outcome.output.splitlines() if '[ERROR]' in line]
        self.assertEqual(1, len(errors), outcome.output)
        self.assertIn(words, errors[0])
        self.assertEqual([], gate.calls())
        self.assertFalse(os.path.exists(gate.path(GLANCE)))

    def test_volume_stores_need_their_driver(self):
        # Until the library has it; then the same settings go through.
        with open(os.path.join(gates.HERE, '..', '..', 'setup.cfg'), encoding='utf-8') as stream:
            has_driver = 'glance_store.drivers' in stream.read()
        outcome = self.gate(MULTISTORE_STORES='a:file,b:volume').run('pre-install')
        if has_driver:
            self.assertEqual(0, outcome.code, outcome.output)
        else:
            self.assertIn('has no such store driver yet', outcome.output)
