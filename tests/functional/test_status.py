# SPDX-License-Identifier: Apache-2.0
"""``multistore-status upgrade check``: each check on a real Glance, broken, then mended.

Configuration files that a real Glance runs with are broken in a copy, or the running Glance itself is
another than its file says. MULTISTORE_SHOW=1 prints every message.
"""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest

import fixtures
import testtools

from lab import ceph
from lab import ceph_bindings
from lab import ceph_glance
from lab.glance import ADMIN
from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from lab import http_server
from lab import keystone
from lab import paths
from multistore_hooks.cli import main as hooks_main
from multistore_hooks.status import command
from tests.functional import shared

NO_CEPH = ceph.unavailable()
BACKEND = '''\
[DEFAULT]
enabled_backends = a
[a]
volume_driver = cinder.volume.drivers.rbd.RBDDriver
rbd_pool = vms
rbd_glance_store_name = dcn1
rbd_ceph_conf = %s
rbd_user = %s
'''
MEMBER = 'mallory:other:member,reader'
QCOW2 = b'QFI\xfb\0\0\0\3' + b'\0' * 1016
WORSE = {0: 'Success', 1: 'Warning', 2: 'Failure'}


class Checked:
    """What a run of the command said."""

    def __init__(self, code, checks, stderr=''):
        self.code = code
        self._checks = {check['check']: check for check in checks}
        self.stderr = stderr

    def __getitem__(self, name):
        return self._checks[name]['details'] or ''

    def result(self, name):
        return self._checks[name]['result']


class StatusCase(testtools.TestCase):
    """Runs the command, with a folder for files and none of our own OS_* variables."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        for name in [name for name in os.environ if name.startswith('OS_')]:
            self.useFixture(fixtures.EnvironmentVariable(name))
        # No live_glance.yaml of who runs the tests.
        self.useFixture(fixtures.EnvironmentVariable('HOME', self.folder))
        self.useFixture(fixtures.EnvironmentVariable('XDG_CONFIG_HOME', self.folder))

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        return path

    def check(self, *arguments):
        """Run the command with --json; return what it said."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command.main(['upgrade', 'check', '--json'] + list(arguments))
        self.assertNotIn('Traceback', out.getvalue() + err.getvalue())
        self.assertNotIn('internal error', err.getvalue())
        return Checked(code, json.loads(out.getvalue())['checks'], err.getvalue())

    def assert_found(self, expected, checked, name, code=2):
        """Assert that a check says something, at this level, and that the exit code is as bad."""
        self.show(checked, name)
        self.assertIn(expected, checked[name])
        self.assertEqual(code, checked.result(name), checked[name])
        self.assertGreaterEqual(checked.code, code)

    def assert_mended(self, checked, name):
        self.show(checked, name)
        self.assertEqual(0, checked.result(name), checked[name])

    def show(self, checked, name):
        if os.environ.get('MULTISTORE_SHOW'):
            for line in (checked[name] or '-').splitlines():
                test = self.id().rpartition('.')[2]
                print('%s\n  %s %s: %s' % (test, name, WORSE[checked.result(name)], line),
                      file=sys.stderr)


class WithGlance(StatusCase):
    """Tests with the one good Glance of this module, asked as its administrator."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance(
            'status', stores={'dcn1': 'file', 'dcn10': 'file', 'web': 'http'}, default='dcn1',
            filters=[BASE_IMAGE_FILTER])
        if not getattr(self.glance, 'status_image', None):
            self.glance.status_image = self.glance.add_image(b'raw', ['dcn1'], visibility='public')
        self.conf = os.path.join(self.glance.root, 'etc', 'glance-api.conf')
        self.authenticate(self.glance)

    def authenticate(self, glance, token=ADMIN):
        for name, value in (('OS_AUTH_TYPE', 'admin_token'), ('OS_ENDPOINT', glance.url),
                            ('OS_TOKEN', token)):
            self.useFixture(fixtures.EnvironmentVariable(name, value))

    def forget(self):
        """Be nobody again."""
        for name in ('OS_AUTH_TYPE', 'OS_ENDPOINT', 'OS_TOKEN'):
            self.useFixture(fixtures.EnvironmentVariable(name))

    def broken(self, old, new):
        """Return a copy of the configuration file that this Glance runs with, changed."""
        with open(self.conf, encoding='utf-8') as stream:
            text = stream.read()
        self.assertIn(old, text)
        return self.file('glance-api.conf', text.replace(old, new))

    def nova_conf(self, name='nova.conf', **libvirt):
        lines = ['[DEFAULT]', 'compute_driver = multistore.LibvirtDriver', '[libvirt]']
        lines += ['%s = %s' % pair for pair in dict({'images_type': 'rbd'}, **libvirt).items()]
        return self.file(name, '\n'.join(lines) + '\n')


class GoodTest(WithGlance):

    def test_nothing_is_wrong_with_a_site_that_is_as_its_files_say(self):
        checked = self.check('--glance-conf', self.conf)
        self.assertEqual(0, checked.code, checked._checks)
        self.assertIn('dcn1 (default), dcn10, web (read-only)', checked['Glance has several stores'])
        self.assertIn('the running Glance announces it', checked['Filter in Glance'])

    def test_nothing_of_glance_is_changed_by_it(self):
        def records():
            images = self.glance.request('GET', '/v2/images?limit=100').json()['images']
            tasks = self.glance.request('GET', '/v2/tasks').json()['tasks']
            return images, tasks, {name: sorted(self.glance.files(name)) for name in ('dcn1', 'dcn10')}

        before = records()
        nova = self.nova_conf(images_rbd_glance_store_name='dcn10')
        self.check('--glance-conf', self.conf, '--nova-conf', nova)
        self.assertEqual(before, records())

    def test_table_is_for_people_and_the_exit_code_says_the_worst(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = command.main(['upgrade', 'check', '--glance-conf', self.conf,
                                '--nova-conf', self.nova_conf(images_rbd_glance_store_name='dcn9')])
        self.assertEqual(2, code)
        self.assertIn('| Result: Failure', out.getvalue())
        self.assertIn('Check: Stores that are named', out.getvalue())
        self.assertLess(max(map(len, out.getvalue().splitlines())), 250)


class FilesTest(WithGlance):

    def test_missing_file(self):
        checked = self.check('--nova-conf', os.path.join(self.folder, 'none.conf'))
        self.assert_found('none.conf', checked, 'Configuration files')
        self.assert_mended(self.check('--nova-conf', self.nova_conf()), 'Configuration files')

    def test_file_that_is_none(self):
        wrong = self.file('nova.conf', 'no section = 1\n')
        self.assert_found('cannot be read as a configuration file', self.check('--nova-conf', wrong),
                          'Configuration files')
        with open(wrong, 'wb') as stream:
            stream.write(b'[DEFAULT]\n\xff\xfe = \x00\n')
        self.assert_found('nova.conf', self.check('--nova-conf', wrong), 'Configuration files')

    def test_wrong_type(self):
        wrong = self.nova_conf(images_rbd_glance_copy_timeout='soon')
        self.assert_found('[libvirt] images_rbd_glance_copy_timeout', self.check('--nova-conf', wrong),
                          'Configuration files')
        right = self.nova_conf(images_rbd_glance_copy_timeout='60')
        self.assert_mended(self.check('--nova-conf', right), 'Configuration files')

    def test_import_methods_without_brackets(self):
        wrong = self.broken('[glance-direct, web-download, copy-image]', 'glance-direct,copy-image')
        self.assert_found('Write it as [a,b], with the brackets', self.check('--glance-conf', wrong),
                          'Configuration files')

    def test_later_files_and_folders_win(self):
        os.mkdir(os.path.join(self.folder, 'conf.d'))
        first = self.nova_conf(images_rbd_glance_store_name='dcn9')
        self.file('conf.d/site.conf', '[libvirt]\nimages_rbd_glance_store_name = dcn10\n')
        checked = self.check('--nova-conf', first, '--nova-conf', os.path.join(self.folder, 'conf.d'))
        self.assert_mended(checked, 'Stores that are named')


class PageTest(WithGlance):
    """What doc/source/upgrade_check.rst shows."""

    def setUp(self):
        super().setUp()
        page = os.path.join(paths.CHECKOUT, 'doc', 'source', 'upgrade_check.rst')
        with open(page, encoding='utf-8') as stream:
            self.page = stream.read()

    def test_commands(self):
        self.forget()
        self.useFixture(fixtures.EnvironmentVariable('OS_CLIENT_CONFIG_FILE', self.file(
            'clouds.yaml', json.dumps({'clouds': {'mycloud': {
                'auth_type': 'admin_token', 'auth': {'endpoint': self.glance.url, 'token': ADMIN}}}}))))
        files = {'/etc/nova/nova.conf': self.nova_conf(), '/etc/glance/glance-api.conf': self.conf,
                 '/etc/cinder/cinder.conf': self.file('cinder.conf', '[DEFAULT]\n')}
        export, *commands = re.findall(r'^   \$ (.*)', self.page.replace('\\\n', ''), re.MULTILINE)
        name, value = export.split()[1].split('=')
        self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.assertEqual(2, len(commands))
        for line in commands:
            program, upgrade, check, *arguments = line.split()
            self.assertEqual(('multistore-status', 'upgrade', 'check'), (program, upgrade, check))
            checked = self.check(*[files.get(word, word) for word in arguments])
            self.assert_mended(checked, 'Glance responds')
            self.assert_mended(checked, 'Configuration files')

    def test_finding(self):
        nova = self.nova_conf(images_rbd_glance_store_name='dcn2')
        said = self.check('--nova-conf', nova)['Stores that are named'].replace(nova, '/etc/nova/nova.conf')
        lines = re.findall(r'^ *\| (?:- |  )(.*?) *\|$', self.page, re.MULTILINE)
        self.assertEqual(said, ' '.join(lines))

    def test_every_check_is_in_the_table(self):
        for name, _check in command.CHECKS:
            self.assertIn('   * - %s\n' % name, self.page)


class StoresTest(WithGlance):

    def test_store_that_does_not_exist(self):
        wrong = self.nova_conf(images_rbd_glance_store_name='dcn2')
        checked = self.check('--nova-conf', wrong)
        self.assert_found("[libvirt] images_rbd_glance_store_name: names the Glance store 'dcn2', which "
                          'does not exist', checked, 'Stores that are named')
        self.assert_mended(self.check('--nova-conf', self.nova_conf(images_rbd_glance_store_name='dcn1')),
                           'Stores that are named')

    def test_store_that_is_read_only(self):
        wrong = self.file('cinder.conf', '[multistore_hooks]\nupload_store = web\n')
        self.assert_found("'web', which is read-only", self.check('--cinder-conf', wrong),
                          'Stores that are named')

    def test_volume_type_with_a_store_that_does_not_exist(self):
        with _Volumes('dcn2') as volumes:
            self.use_keystone({'image': self.glance.url, 'block-storage': volumes.url})
            self.assert_found("the volume type gold, image_service:store_id: names the Glance store "
                              "'dcn2'", self.check(), 'Stores that are named')
            volumes.store = 'dcn10'
            self.assert_mended(self.check(), 'Stores that are named')

    def use_keystone(self, catalog):
        running = self.enter(keystone.Keystone('admin'))
        running.catalog = catalog
        self.forget()
        for name, value in (('AUTH_URL', running.auth_url), ('USERNAME', 'admin'), ('PASSWORD', 'x'),
                            ('PROJECT_NAME', 'admin'), ('USER_DOMAIN_NAME', 'Default'),
                            ('PROJECT_DOMAIN_NAME', 'Default')):
            self.useFixture(fixtures.EnvironmentVariable('OS_' + name, value))

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def test_file_is_not_the_one_that_glance_runs_with(self):
        wrong = self.broken('dcn10:file', 'dcn10:file, dcn11:file')
        self.assert_found('has stores that the running Glance does not have: dcn11',
                          self.check('--glance-conf', wrong), 'Drivers of the stores')
        wrong = self.broken('dcn1:file', 'dcn1:cinder')
        self.assert_found('of another type than the running Glance: dcn1 (file: cinder, Glance: file)',
                          self.check('--glance-conf', wrong), 'Drivers of the stores')
        self.assert_mended(self.check('--glance-conf', self.conf), 'Drivers of the stores')

    def test_driver_whose_library_is_not_there(self):
        wrong = self.broken('dcn10:file', 'dcn10:s3')
        self.assert_found("the store 'dcn10' is of the type s3, but %s, which runs Glance, has no boto3"
                          % sys.executable, self.check('--glance-conf', wrong, '--glance-python',
                                                       sys.executable), 'Drivers of the stores')

    def test_two_stores_share_a_directory(self):
        wrong = self.broken('filesystem_store_datadir = %s' % self.glance.dir('dcn10'),
                            'filesystem_store_datadir = %s' % self.glance.dir('dcn1'))
        self.assert_found("the store 'dcn1' and the store 'dcn10' share a directory",
                          self.check('--glance-conf', wrong), 'Places of the stores')
        self.assert_mended(self.check('--glance-conf', self.conf), 'Places of the stores')

    def test_staging_is_a_store_by_another_path(self):
        os.symlink(self.glance.dir('dcn1'), os.path.join(self.folder, 'link'))
        wrong = self.broken(os.path.join(self.glance.root, 'staging') + '\n\n',
                            os.path.join(self.folder, 'link') + '\n\n')
        self.assert_found("the store 'dcn1' and staging share a directory",
                          self.check('--glance-conf', wrong), 'Places of the stores')

    def test_tasks_are_inside_a_store(self):
        wrong = self.broken(os.path.join(self.glance.root, 'tasks'),
                            os.path.join(self.glance.dir('dcn10'), 'tasks'))
        self.assert_found("the store 'dcn10' and tasks are one inside the other",
                          self.check('--glance-conf', wrong), 'Places of the stores')


class CopyTest(WithGlance):

    def setUp(self):
        super().setUp()
        self.plain = self.nova_conf(images_rbd_glance_store_name='dcn1')

    def with_section(self, section):
        return ['--nova-conf', self.plain, '--nova-conf', self.file('more.conf', section)]

    def test_nothing_but_the_token_of_the_user(self):
        self.assert_found('Nova requests copies with nothing but the token of the user who boots the server',
                          self.check('--nova-conf', self.plain), 'copy-image')

    def test_service_token_that_the_policy_does_not_accept(self):
        service = self.with_section('[service_user]\nsend_service_user_token = true\n')
        self.assert_found('cannot determine', self.check(*service), 'copy-image', code=1)
        self.assert_found('policy.yaml: does not name copy_image, whose default is administrators only',
                          self.check('--glance-conf', self.conf, *service), 'copy-image')
        self.file('policy.yaml', 'site: "service_roles:service"\ncopy_image: "role:admin or rule:site"\n')
        mended = self.broken(os.path.join(self.glance.root, 'etc', 'policy.yaml'),
                             os.path.join(self.folder, 'policy.yaml'))
        self.assert_mended(self.check('--glance-conf', mended, *service), 'copy-image')

    def test_credentials_that_the_policy_refuses(self):
        own = ('[multistore_hooks]\nauth_type = admin_token\nendpoint = %s\ntoken = %s\n'
               '[glance]\nendpoint_override = %s\n')
        self.assert_found('[multistore_hooks] auth_type: the policy copy_image of Glance refuses these '
                          'credentials', self.check(*self.with_section(
                              own % (self.glance.url, MEMBER, self.glance.url))), 'copy-image')
        self.assert_mended(self.check(*self.with_section(
            own % (self.glance.url, ADMIN, self.glance.url))), 'copy-image')

    def test_credentials_that_are_not_complete(self):
        section = self.with_section('[multistore_hooks]\nauth_type = password\nusername = nova\n')
        self.assert_found('auth_url', self.check(*section), 'copy-image')

    def test_nova_conf_s_own_credentials_are_used_where_there_are_no_others(self):
        self.forget()
        checked = self.check(*self.with_section(
            '[multistore_hooks]\nauth_type = admin_token\nendpoint = %s\ntoken = %s\n'
            '[glance]\nendpoint_override = %s\n' % (self.glance.url, ADMIN, self.glance.url)))
        self.assert_mended(checked, 'Glance responds')
        self.assert_mended(checked, 'copy-image')

    def test_images_that_are_not_raw(self):
        nova = self.nova_conf()
        image = self.glance.add_image(QCOW2, ['dcn1'], name='cirros', disk_format='qcow2')
        try:
            self.assert_found('1 of 2 images are not raw, and can never be cloned',
                              self.check('--nova-conf', nova), 'Images that cannot be cloned', code=1)
        finally:
            self.glance.request('DELETE', '/v2/images/%s' % image)
        self.assert_mended(self.check('--nova-conf', nova), 'Images that cannot be cloned')


class RunningGlanceTest(WithGlance):
    """A second Glance, set up wrongly; its files are then mended and it is started again."""

    def test_driver_that_was_skipped_and_copying_that_is_off(self):
        root = os.path.join(self.folder, 'second')
        conf = os.path.join(root, 'etc', 'glance-api.conf')
        off = {'DEFAULT': {'enabled_import_methods': '[glance-direct]'}}
        with Glance(root, {'dcn1': 'file', 'odd': ('no_such_driver', {})}, conf=off) as glance:
            self.authenticate(glance)
            nova = self.nova_conf(images_rbd_glance_store_name='dcn1')
            checked = self.check('--glance-conf', conf, '--nova-conf', nova)
            self.assert_found("Glance has not loaded the driver of the store 'odd' (no_such_driver)",
                              checked, 'Drivers of the stores')
            self.assert_found('copy-image is not enabled', checked, 'copy-image')
            self.assert_found('the running Glance at %s has no copy-image' % glance.url,
                              self.check('--nova-conf', nova), 'copy-image')
            self.assert_found("the pipeline of the flavor '' has no filter of multistore_hooks", checked,
                              'Filter in Glance', code=1)
        with Glance(root, {'dcn1': 'file', 'odd': 'file'},
                    filters=[BASE_IMAGE_FILTER]) as glance:
            self.authenticate(glance)
            checked = self.check('--glance-conf', conf)
            for name in ('Drivers of the stores', 'copy-image', 'Filter in Glance'):
                self.assert_mended(checked, name)

    def test_glance_with_one_store(self):
        root = os.path.join(self.folder, 'single')
        with Glance(root, {'only': 'file'}, multistore=False) as glance:
            self.authenticate(glance)
            checked = self.check('--glance-conf', os.path.join(root, 'etc', 'glance-api.conf'))
            self.assert_found('Glance has one store and no discovery of stores (404)', checked,
                              'Glance has several stores')
            self.assert_found('[DEFAULT] enabled_backends: is not set', checked,
                              'Glance has several stores')
        self.authenticate(self.glance)
        self.assert_mended(self.check('--glance-conf', self.conf), 'Glance has several stores')


class PipelineTest(WithGlance):

    def paste(self, old, new):
        with open(os.path.join(self.glance.root, 'etc', 'glance-api-paste.ini'),
                  encoding='utf-8') as stream:
            text = stream.read()
        self.assertIn(old, text)
        path = self.file('paste.ini', text.replace(old, new))
        return self.broken(os.path.join(self.glance.root, 'etc', 'glance-api-paste.ini'), path)

    def test_filter_before_the_context(self):
        wrong = self.paste('fakeauth context base_image', 'fakeauth base_image context')
        self.assert_found('has base_image before context in the pipeline',
                          self.check('--glance-conf', wrong), 'Filter in Glance')

    def test_filter_that_is_defined_and_in_no_pipeline(self):
        wrong = self.paste('context base_image', 'context')
        self.assert_found('the running Glance announces the filter, but this file does not have it',
                          self.check('--glance-conf', wrong), 'Filter in Glance')
        self.forget()
        self.assert_found('the file defines it, as base_image', self.check('--glance-conf', wrong),
                          'Filter in Glance')

    def test_flavor_that_the_paste_file_does_not_have(self):
        wrong = self.broken('[paste_deploy]', '[paste_deploy]\nflavor = keystone')
        self.assert_found("has no application for the flavor 'keystone'",
                          self.check('--glance-conf', wrong), 'Filter in Glance')

    def test_paste_file_that_is_not_there(self):
        wrong = self.broken('glance-api-paste.ini', 'paste-none.ini')
        self.assert_found('paste-none.ini does not exist', self.check('--glance-conf', wrong),
                          'Filter in Glance')
        self.assert_mended(self.check('--glance-conf', self.conf), 'Filter in Glance')


class HooksTest(StatusCase):
    """Nova's and Cinder's own trees, a copy of a part of them, under a Python that runs."""

    def setUp(self):
        super().setUp()
        self.tree = os.path.join(self.folder, 'tree')
        for package, names in (('nova', ('__init__.py', 'virt/__init__.py')),
                               ('cinder', ('__init__.py', 'volume/__init__.py', 'volume/manager.py'))):
            installed = os.path.dirname(importlib.util.find_spec(package).origin)
            for name in names:
                os.makedirs(os.path.dirname(os.path.join(self.tree, package, name)), exist_ok=True)
                shutil.copy(os.path.join(installed, name), os.path.join(self.tree, package, name))
        self.nova = self.file('nova.conf', '[DEFAULT]\ncompute_driver = multistore.LibvirtDriver\n')
        self.python = self.wrapper(sys.executable)

    def wrapper(self, python, name='python3'):
        """Return a program that is that Python, with the tree first on its path."""
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write('#!/bin/sh\nPYTHONPATH=%s exec %s "$@"\n' % (self.tree, python))
        os.chmod(path, 0o755)
        return path

    def patch(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = hooks_main.main(['patch', 'apply', '--root', self.tree] + list(arguments))
        self.assertEqual(0, code, out.getvalue())

    def test_patch_that_is_not_applied(self):
        arguments = ['--nova-conf', self.nova, '--nova-python', self.python]
        self.assert_found('nova/virt/multistore.py does not exist: the patch is not applied',
                          self.check(*arguments), 'Hook in nova-compute')
        self.patch('nova', '--release', '34')
        self.assert_mended(self.check(*arguments), 'Hook in nova-compute')
        with open(os.path.join(self.tree, 'nova', 'virt', 'multistore.py'), 'w') as stream:
            stream.write('from nova.virt.libvirt.driver import LibvirtDriver\n')
        self.assert_found('does not contain the class', self.check(*arguments), 'Hook in nova-compute')

    def test_driver_that_is_not_named(self):
        wrong = self.file('nova.conf', '[DEFAULT]\ncompute_driver = libvirt.LibvirtDriver\n')
        self.assert_found("[DEFAULT] compute_driver: is 'libvirt.LibvirtDriver'",
                          self.check('--nova-conf', wrong), 'Hook in nova-compute', code=1)
        wrong = self.file('nova.conf', '[DEFAULT]\ncompute_driver = libvirt.LibvirtDriver\n'
                                       '[multistore_hooks]\nsnapshot_store = dcn1\n')
        self.assert_found('so no service reads [multistore_hooks] snapshot_store',
                          self.check('--nova-conf', wrong), 'Hook in nova-compute')

    def test_interpreter_of_the_running_service_has_no_library(self):
        self.patch('nova', '--release', '34')
        bare = sys.base_prefix + '/bin/python%d.%d' % sys.version_info[:2]
        self.assert_found('has no multistore_hooks', self.while_running(bare), 'Hook in nova-compute')
        checked = self.while_running(sys.executable)
        self.assert_mended(checked, 'Hook in nova-compute')
        self.assertIn('runs nova-compute, process', checked['Hook in nova-compute'])

    def test_service_that_was_started_before_its_file_was_changed(self):
        self.patch('nova', '--release', '34')
        later = time.time() + 100
        os.utime(self.nova, (later, later))
        self.assert_found('was started before this file was last changed',
                          self.while_running(sys.executable), 'Hook in nova-compute', code=1)

    def while_running(self, python):
        program = self.file('nova-compute', 'import time\ntime.sleep(600)\n')
        process = subprocess.Popen(
            [python, program, '--config-file', self.nova],
            env=dict(os.environ, PYTHONPATH=self.tree), stdin=subprocess.DEVNULL)
        try:
            return self.check('--nova-conf', self.nova)
        finally:
            process.kill()
            process.wait()

    def test_glanceclient_too_old_for_a_copy_to_a_store(self):
        nova = self.file('nova.conf', '[libvirt]\nimages_type = rbd\n'
                                      'images_rbd_glance_store_name = dcn1\n')
        arguments = ['--nova-conf', nova, '--nova-python', self.python]
        metadata = os.path.join(self.tree, 'python_glanceclient-2.17.1.dist-info')
        os.mkdir(metadata)
        with open(os.path.join(metadata, 'METADATA'), 'w') as stream:
            stream.write('Metadata-Version: 2.1\nName: python-glanceclient\nVersion: 2.17.1\n')
        self.assert_found('has python-glanceclient 2.17.1; the copy that the driver of Nova itself requests '
                          'takes 3.0.0 or later', self.check(*arguments), 'glanceclient')
        shutil.rmtree(metadata)
        self.assert_mended(self.check(*arguments), 'glanceclient')

    def test_cinder_whose_manager_is_its_own(self):
        wrong = self.file('cinder.conf', '[multistore_hooks]\nupload_store = dcn1\n')
        checked = self.check('--cinder-conf', wrong, '--cinder-python', self.python)
        self.assert_found("[DEFAULT] volume_manager: is 'cinder.volume.manager.VolumeManager', and the "
                          'patch is not-applied', checked, 'Hooks in Cinder')
        self.patch('cinder', '--series', 'manager', '--release', '29')
        self.assert_mended(self.check('--cinder-conf', wrong, '--cinder-python', self.python),
                           'Hooks in Cinder')
        right = self.file('cinder.conf', '[DEFAULT]\nvolume_manager = '
                                         'multistore_hooks.cinder.manager.VolumeManager\n')
        self.assert_mended(self.check('--cinder-conf', right, '--cinder-python', self.python),
                           'Hooks in Cinder')

    def test_cinder_without_its_own_extensions(self):
        ours = 'osapi_volume_extension = multistore_hooks.cinder.extra_specs.StoreValidation\n'
        common = ('[DEFAULT]\nvolume_manager = multistore_hooks.cinder.manager.VolumeManager\n' + ours)
        arguments = ['--cinder-python', self.python, '--cinder-conf']
        self.assert_found("no longer names Cinder's own extensions",
                          self.check(*arguments + [self.file('cinder.conf', common)]), 'Hooks in Cinder')
        right = common + 'osapi_volume_extension = cinder.api.contrib.standard_extensions\n'
        self.assert_mended(self.check(*arguments + [self.file('cinder.conf', right)]), 'Hooks in Cinder')


class PrivsepTest(StatusCase):

    def test_rootwrap_starts_the_helper_of_another_python(self):
        rootwrap = os.path.join(self.folder, 'rootwrap.conf')
        for name, python in (('wrong', sys.base_prefix + '/bin/python3'), ('right', sys.executable)):
            os.mkdir(os.path.join(self.folder, name))
            helper = self.file(name + '/privsep-helper', '#!%s\n' % python)
            os.chmod(helper, 0o755)
        conf = self.file('glance-api.conf', '[DEFAULT]\nenabled_backends = gold:cinder\n[glance_store]\n'
                                            'default_backend = gold\n[gold]\nrootwrap_config = %s\n'
                         % rootwrap)
        arguments = ['--glance-conf', conf, '--glance-python', sys.executable]
        self.assert_found('rootwrap.conf does not exist', self.check(*arguments), 'rootwrap and privsep',
                          code=0)
        self.file('rootwrap.conf', '[DEFAULT]\nexec_dirs = /none\n')
        self.assert_found('privsep-helper is in none of its exec_dirs', self.check(*arguments),
                          'rootwrap and privsep')
        dirs = [os.path.join(self.folder, name) for name in ('wrong', 'right')]
        self.file('rootwrap.conf', '[DEFAULT]\nexec_dirs = %s\n' % ','.join(dirs))
        self.assert_found('starts %s/privsep-helper, whose Python is in %s' % (
            dirs[0], sys.base_prefix), self.check(*arguments), 'rootwrap and privsep')
        self.file('rootwrap.conf', '[DEFAULT]\nexec_dirs = %s\n' % ','.join(dirs[::-1]))
        self.assert_mended(self.check(*arguments), 'rootwrap and privsep')


class ReachTest(WithGlance):
    """Wrong credentials, addresses and certificates: one line each, no stack trace."""

    def unreachable(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            return 'http://127.0.0.1:%d' % taken.getsockname()[1]

    def test_glance_that_does_not_respond(self):
        checked = self.check('--os-endpoint', self.unreachable())
        self.assert_found('Glance cannot be reached with the credentials of the command line', checked,
                          'Glance responds')
        self.assertIn('Skipped: Glance was not queried', checked['Glance has several stores'])
        self.assert_mended(self.check(), 'Glance responds')

    def test_something_else_responds(self):
        # The health check's page.
        checked = self.check('--os-endpoint', self.glance.url + '/healthcheck')
        self.assert_found("is not Glance's API", checked, 'Glance responds')

    def keystone(self, glance_url, **tls):
        """Return a keystone that knows one password, 'right'."""
        made = keystone.Keystone('admin', password='right', **tls)
        made.catalog['image'] = glance_url
        return made

    def test_wrong_password(self):
        self.forget()
        with self.keystone(self.glance.url) as running:
            arguments = ['--os-auth-type', 'password', '--os-auth-url', running.url, '--os-username',
                         'admin', '--os-project-name', 'admin', '--os-user-domain-name', 'Default',
                         '--os-project-domain-name', 'Default', '--os-password']
            self.assert_found('are not accepted', self.check(*arguments + ['wrong']), 'Glance responds')
            self.assert_mended(self.check(*arguments + ['right']), 'Glance responds')
            arguments += ['right', '--os-region-name', 'elsewhere']
            self.assert_found("Keystone's catalog has no image endpoint for region elsewhere",
                              self.check(*arguments), 'Glance responds')

    def test_certificate_that_is_not_trusted(self):
        self.forget()
        certificate, key = self.certificate()
        with self.keystone(self.glance.url, certificate=certificate, key=key) as running:
            arguments = ['--os-auth-type', 'password', '--os-auth-url', running.url, '--os-username',
                         'admin', '--os-project-name', 'admin', '--os-user-domain-name', 'Default',
                         '--os-project-domain-name', 'Default', '--os-password', 'right']
            self.assert_found('TLS fails', self.check(*arguments), 'Glance responds')
            self.assert_mended(self.check(*arguments + ['--os-cacert', certificate]), 'Glance responds')
            self.assert_found('none.pem', self.check(*arguments + ['--os-cacert', '/none.pem']),
                              'Glance responds')

    def test_tls_to_a_server_without(self):
        self.assert_found('TLS fails', self.check(
            '--os-endpoint', self.glance.url.replace('http:', 'https:')), 'Glance responds')

    def test_cloud_that_is_not_in_clouds_yaml(self):
        self.assert_found('No usable credentials: Cloud nowhere was not found',
                          self.check('--os-cloud', 'nowhere'), 'Glance responds')

    def test_clouds_yaml(self):
        path = self.file('clouds.yaml', json.dumps({'clouds': {'lab': {
            'auth_type': 'admin_token', 'auth': {'endpoint': self.glance.url, 'token': ADMIN}}}}))
        self.forget()
        self.useFixture(fixtures.EnvironmentVariable('OS_CLIENT_CONFIG_FILE', path))
        checked = self.check('--os-cloud', 'lab')
        self.assert_mended(checked, 'Glance responds')
        self.assertIn('cloud lab in clouds.yaml', checked['Glance responds'])
        self.file('clouds.yaml', 'clouds: [not: a mapping')
        self.assert_found('Cloud lab was not found; Skipping config file %s' % path,
                          self.check('--os-cloud', 'lab'), 'Glance responds')

    def test_no_credentials_at_all(self):
        self.forget()
        self.assert_found('Glance was not queried, because there are no credentials',
                          self.check('--glance-conf', self.conf), 'Glance responds', code=1)

    def certificate(self):
        certificate, key = os.path.join(self.folder, 'cert.pem'), os.path.join(self.folder, 'key.pem')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                        '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1',
                        '-out', certificate, '-keyout', key], check=True, stderr=subprocess.DEVNULL)
        return certificate, key


@unittest.skipIf(NO_CEPH, NO_CEPH)
class CephTest(StatusCase):
    """Two real clusters; the check asks one, and Glance names the other."""

    def test_store_in_the_cluster_of_another_site(self):
        a, b = ceph.sites()
        bindings = ceph_bindings.directory(os.path.join(self.folder, 'bindings'))
        with ceph_glance.Glance(os.path.join(self.folder, 'glance'), {
                'dcn1': ceph_glance.store(a), 'dcn10': ceph_glance.store(b)}) as glance:
            def check(store, backend='', **more):
                lines = ['[DEFAULT]', 'compute_driver = multistore.LibvirtDriver',
                         '[libvirt]', 'images_type = rbd', 'images_rbd_glance_store_name = %s' % store,
                         'images_rbd_ceph_conf = %s' % a.conf, 'rbd_user = %s' % a.user,
                         'images_rbd_pool = vms']
                lines += ['[multistore_hooks]'] + ['%s = %s' % pair for pair in more.items()]
                files = ['--nova-conf', self.file('nova.conf', '\n'.join(lines))]
                if backend:
                    files += ['--cinder-conf', self.file('cinder.conf', backend % (a.conf, a.user))]
                environ = dict(os.environ, OS_AUTH_TYPE='admin_token', OS_ENDPOINT=glance.url,
                               OS_TOKEN=ADMIN,
                               PYTHONPATH=os.pathsep.join([bindings, paths.CHECKOUT]))
                done = subprocess.run(
                    [sys.executable, '-m', 'multistore_hooks.status.command', 'upgrade', 'check', '--json',
                     *files], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                return Checked(done.returncode, json.loads(done.stdout.decode())['checks'])

            name = 'Ceph cluster of this compute'
            self.assert_found("names the store 'dcn10', which is in the cluster %s (according to "
                              'Glance), but this compute is in %s (according to the cluster' % (
                                  b.fsid, a.fsid), check('dcn10'), name)
            self.assert_mended(check('dcn1'), name)
            self.assert_found("keeps its images in the pool 'images'",
                              check('dcn1', glance_rbd_pool='glance'), name)
            self.pools(a, glance, lambda **more: check('dcn1', **more))

    def pools(self, cluster, glance, check):
        """The rights of the user, and what the pool holds, broken and mended."""
        self.addCleanup(cluster.allow_writes)
        before = cluster.rbd('ls', 'images') + cluster.ceph('osd', 'pool', 'ls')
        cluster.refuse_writes('images')
        self.assert_mended(check(), 'Ceph users')   # the right is optional
        for text in ('cannot write the pool images', 'snapshots are uploaded through Glance'):
            self.assertIn(text, check()['Ceph users'])
        uploads = 'volumes are uploaded through Glance'
        self.assertIn(uploads, check(backend=BACKEND)['Ceph users'])
        cluster.refuse_writes('vms')
        self.assertNotIn(uploads, check(backend=BACKEND)['Ceph users'])
        self.assert_found('cannot write the pool vms', check(), 'Ceph users')
        cluster.allow_writes()
        self.assert_mended(check(), 'Ceph users')
        self.assertEqual(before, cluster.rbd('ls', 'images') + cluster.ceph('osd', 'pool', 'ls'))

        lost = glance.add_image(b'lost' * 1024, ['dcn1'])
        name = 'Copies in the pools'
        self.assert_mended(check(), name)
        cluster.rbd('rename', 'images/' + lost, 'images/elsewhere')
        self.assert_found("Glance lists in the store 'dcn1' the images %s, which the pool images does not "
                          'hold' % lost, check(), name)
        cluster.rbd('rename', 'images/elsewhere', 'images/' + lost)
        self.assert_mended(check(), name)
        central = glance.add_image(b'half' * 1024, ['dcn10'])
        cluster.rbd('create', '--size', '1', 'images/' + central)
        self.assert_found('is not there by the record of the images %s, but the pool' % central, check(),
                          name)
        cluster.rbd('rm', '--no-progress', 'images/' + central)
        self.assert_mended(check(), name)

        name = 'Site images'
        self.assert_found("is not set: site images are in the pool of the servers' disks, vms",
                          check(site_images='only'), name, 1)
        # Other tests have left images of their own in this pool.
        self.assertNotIn('is not set', check(site_images='only', site_image_pool='vms')[name])
        # What a compute without the hook leaves, whose driver takes the pool of the parent.
        own = cluster.add_pool('sites')
        cluster.rbd('create', '--size', '1', '%s/%s' % (own, central))
        self.assert_found('with names of Glance (%s)' % central,
                          check(site_images='only', site_image_pool=own), name, 1)
        cluster.rbd('rm', '--no-progress', '%s/%s' % (own, central))
        self.assert_mended(check(site_images='only', site_image_pool=own), name)
        self.assert_mended(check(site_images='only', site_image_pool='images'), name)


class _Volumes(http_server.JsonServer):
    """Responds with Cinder's list of volume types, with one that names a store."""

    def __init__(self, store):
        super().__init__()
        self.store = store

    def respond(self, _method, path, *_request):
        if '/types' not in path:
            return 404, {}, {}
        return 200, {'volume_types': [{'name': 'gold', 'extra_specs': {
            'image_service:store_id': self.store}}]}, {}
