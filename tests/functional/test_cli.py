# SPDX-License-Identifier: Apache-2.0
"""The commands for images against a real Glance: multistore-hooks, and the real openstack client."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
import unittest
from unittest import mock

import ddt
import fixtures
import testtools

from lab import poll
from tests.functional import cli
from tests.functional import shared

STORES = {'reliable': 'file', 'fast': 'file', 'cheap': 'file', 'web': 'http', 'off': 'disabled'}
MEMBER = 'u1:p1:member,reader'
ADMIN = 'admin:admin:admin,member,reader'
GONE = 'c0ffee00-0000-4000-8000-000000000000'


class CommandTestCase(testtools.TestCase):
    """One real Glance for all; two images in a response to a list, so that there are pages."""

    def setUp(self):
        super().setUp()
        self.glance = shared.glance('cli', stores=STORES, default='fast', faults=True,
                                    conf={'DEFAULT': {'api_limit_max': '2'},
                                          'import_filtering_opts': {'allowed_ports': '[]',
                                                                    'allowed_hosts': '[127.0.0.1]'}})
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.environ = cli.environ(self.folder, **cli.cloud_of(self.glance.url, ADMIN))

    def add(self, *stores, **properties):
        return self.glance.add_image(b'data', stores, **properties)

    def spawned(self, *argv, **environ):
        """Run a program."""
        return cli.run(cli.command(argv[0]) + list(argv[1:]), dict(self.environ, **environ), self.folder)

    def image(self, *argv, token=ADMIN, cloud=None):
        """Run ``multistore-hooks image`` in this process, which is quicker."""
        wanted = cli.environ(self.folder, **(cloud or cli.cloud_of(self.glance.url, token)))
        with mock.patch.dict(os.environ, wanted, clear=True):
            return cli.run_here(['image'] + list(argv))

    def json(self, *argv, **options):
        code, out, err = self.image(*argv + ('-f', 'json'), **options)
        return code, json.loads(out), err


@ddt.ddt
class ImagesTest(CommandTestCase):

    def test_a_whole_life(self):
        base = self.add('reliable', 'cheap', name='base')
        away = self.add('fast', name='away', base_image_ref=base, image_type='snapshot')
        code, rows, _err = self.json('misplaced', 'away', 'base')
        self.assertEqual((1, [[away, ['fast'], base, ['reliable']]]), (code, [
            [row[name] for name in ('ID', 'Stores', 'Base Image', 'Missing In')] for row in rows]))
        code, rows, _err = self.json('misplaced', away, '--fix', '--wait')
        self.assertEqual((0, ['reliable copied']),
                         (code, ['%s %s' % (row['Store'], row['Result']) for row in rows]))
        self.assertEqual(b'data', self.glance.data('reliable', away))
        self.assertEqual(0, self.image('misplaced', away)[0])
        code, rows, _err = self.json('copy', 'base', away, '--to', 'cheap,fast', '--wait')
        self.assertEqual((0, [(base, 'cheap', 'present'), (base, 'fast', 'copied'),
                              (away, 'cheap', 'copied'), (away, 'fast', 'present')]),
                         (code, [(row['ID'], row['Store'], row['Result']) for row in rows]))
        self.assertEqual((0, 'cheap,fast,reliable\n'), self._stores_of(away))

    def _stores_of(self, image_id):
        code, out, _err = self.image('stores', image_id, '-f', 'value', '-c', 'Stores')
        return code, ','.join(sorted(out.strip().split(','))) + '\n'

    def test_administrator_sees_the_snapshots_of_all_projects_hidden_ones_too(self):
        base = self.add('cheap', visibility='public', os_hidden=True)
        wanted = {self.add('fast', base_image_ref=base, image_type='snapshot', **more) for more in (
            {'token': MEMBER}, {'visibility': 'public'}, {'visibility': 'community'}, {'os_hidden': True})}
        code, rows, _err = self.json('misplaced')
        self.assertEqual((1, set()), (code, wanted - {row['ID'] for row in rows}))
        _code, rows, _err = self.json('misplaced', token=MEMBER)
        self.assertEqual(2, len(wanted & {row['ID'] for row in rows}))  # its own, and the public one

    @ddt.data('a,b', 'in:x', 'in:"quoted"', 'with "quotes" in it', 'ä ö & ü=%2B', 'back\\slash', '#?',
              'x' * 255)
    def test_names_as_they_are(self, name):
        one = self.add('fast', name=name)
        code, rows, err = self.json('stores', name)
        self.assertEqual((0, '', [one]), (code, err, [row['ID'] for row in rows]))

    def test_name_of_two_images(self):
        ids = [self.add('fast', name='twin'), self.add('fast', name='twin')]
        code, out, err = self.image('copy', 'twin', '--to', 'cheap')
        self.assertEqual((2, '', 1), (code, out, err.count('\n')))
        for image_id in ids:
            self.assertIn(image_id, err)

    def test_failing_store_is_reported_and_the_other_gets_the_image(self):
        one = self.add('fast')
        code, rows, err = self.json('copy', one, '--to', 'off,cheap', '--wait')
        self.assertEqual((1, ['failed', 'copied']), (code, [row['Result'] for row in rows]))
        self.assertIn('Image %s is not in the store off: the copy failed' % one, err)
        self.assertEqual(1, len(self.glance.requests('POST', '/import$')))
        _code, rows, _err = self.json('stores', one)
        self.assertEqual(['off'], rows[0]['Failed'])

    def test_member_may_not_copy(self):
        one = self.add('fast', token=MEMBER)
        for wait in ([], ['--wait']):
            code, _rows, err = self.json('copy', one, '--to', 'cheap', *wait, token=MEMBER)
            self.assertEqual(1, code)
            self.assertIn('Glance does not allow it (HTTP 403', err)
            self.assertNotIn('Traceback', err)

    def test_without_wait_glance_goes_on(self):
        one = self.add('fast')
        code, rows, _err = self.json('copy', one, '--to', 'cheap,reliable')
        self.assertEqual((0, ['requested'] * 2), (code, [row['Result'] for row in rows]))
        self.glance.wait_for_import(one)
        self.assertEqual({'fast', 'cheap', 'reliable'}, self.glance.stores_of(one))

    def test_passing_trouble_of_glance_does_not_fail_a_copy(self):
        one = self.add('fast')
        self.glance.fault('POST', '/import$', status=503)
        self.glance.fault('GET', '/v2/images/%s$' % one, status=500, skip=1)
        code, rows, _err = self.json('copy', one, '--to', 'cheap', '--wait')
        self.assertEqual((0, ['copied']), (code, [row['Result'] for row in rows]))


@ddt.ddt
class WrongInputTest(CommandTestCase):
    """One clear line, the exit code 2, and no stack trace."""

    def check(self, message, *argv, **options):
        code, out, err = self.image(*argv, **options)
        self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
        self.assertIn(message, err)

    def test_unknown_store_and_image(self):
        one = self.add('fast')
        self.check("--to names the Glance store 'nope', which does not exist. The stores are: ",
                   'copy', one, '--to', 'nope')
        self.check("--to names the Glance store 'web', which is read-only", 'copy', one, '--to', 'web')
        self.check("no image with the id or the name '%s'" % GONE, 'copy', one, GONE, '--to', 'cheap')
        self.check("no image with the id or the name 'no such'", 'stores', 'no such')
        self.assertEqual([], self.glance.requests('POST', '/import$'))

    def test_wrong_password(self):
        with cli.Refusing() as keystone:
            self.check('are not accepted', 'stores', GONE, cloud=keystone.cloud)

    def test_unreachable_glance(self):
        with socket.socket() as closed:
            closed.bind(('127.0.0.1', 0))
            self.check('cannot be reached', 'stores', GONE, '--os-endpoint',
                       'http://127.0.0.1:%d' % closed.getsockname()[1])

    def test_glance_without_tls(self):
        self.check('TLS fails', 'misplaced', '--os-endpoint', self.glance.url.replace('http:', 'https:'))

    def test_policy_that_allows_nothing(self):
        self.check('HTTP 403', 'misplaced', token='u:p:nobody')

    def test_cloud_that_is_not_configured(self):
        self.check('nosuchcloud', 'stores', GONE, '--os-cloud', 'nosuchcloud')


class ProgramTest(CommandTestCase):
    """The installed program, in a process of its own."""

    def test_cloud_of_clouds_yaml_before_and_after_the_command(self):
        one = self.add('fast', name='by-cloud')
        path = os.path.join(self.folder, 'clouds.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            json.dump({'clouds': {'lab': {'auth_type': 'admin_token', 'auth': {
                'endpoint': self.glance.url, 'token': ADMIN}}}}, stream)
        bare = {name: value for name, value in self.environ.items() if not name.startswith('OS_')}
        for argv in (['--os-cloud', 'lab', 'image', 'stores', 'by-cloud'],
                     ['image', 'stores', 'by-cloud', '--os-cloud', 'lab']):
            self.assertEqual((0, one + '\n', ''), cli.run(
                cli.command('multistore-hooks') + argv + ['-f', 'value', '-c', 'ID'], bare, self.folder))

    def image_at(self, source, name):
        """Make an image that is where an HTTP server has it."""
        one = self.glance.create_image(name=name)['id']
        where = {'url': source.url, 'metadata': {'store': 'web'}}
        response = self.glance.request(
            'PATCH', '/v2/images/%s' % one, json_body=[{'op': 'add', 'path': '/locations/-', 'value': where}],
            headers={'Content-Type': 'application/openstack-images-v2.1-json-patch'})
        self.assertEqual(200, response.status, response)
        return one

    def started(self, argv):
        process = subprocess.Popen(argv, env=self.environ, cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, universal_newlines=True,
                                   preexec_fn=_default_sigint)
        self.addCleanup(process.kill)
        return process

    def test_ctrl_c_and_again(self):
        with cli.SlowSource() as source:
            one = self.image_at(source, 'slow')
            argv = cli.command('multistore-hooks') + ['image', 'copy', 'slow', '--to', 'cheap', '--wait']
            process = self.started(argv)
            self.assertTrue(source.read.wait(cli.TIMEOUT))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=cli.TIMEOUT)
            self.assertEqual((130, ''), (process.returncode, out), err)
            self.assertIn('Glance continues the copies that it has accepted', err)
            self.assertTrue(err.endswith('stopped\n'), err)
            self.assertNotIn('Traceback', err)
            again = self.started(argv + ['-f', 'value', '-c', 'Result'])
            looks = len(self.glance.requests('GET', '/v2/images/%s$' % one))
            poll.until('two more polls', lambda: len(self.glance.requests(
                'GET', '/v2/images/%s$' % one)) >= looks + 2, check=lambda: self.assertIsNone(again.poll()))
            source.go()
            out, err = again.communicate(timeout=cli.TIMEOUT)
            self.assertEqual((0, 'copied\n'), (again.returncode, out), err)
        self.assertEqual(1, len(self.glance.requests('POST', '/import$')))

    def test_ctrl_c_while_glance_does_not_respond(self):
        one = self.add('fast')
        self.glance.fault('GET', '/v2/images/%s$' % one, action='hang', skip=1)
        process = self.started(
            cli.command('multistore-hooks') + ['image', 'copy', one, '--to', 'cheap', '--wait'])
        poll.until('second request', lambda: len(self.glance.requests('GET', '/v2/images/%s$' % one)) == 2)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual(130, process.returncode, err)
        self.assertNotIn('Traceback', err)

    def test_bars_on_a_terminal_and_the_table_after_them(self):
        with cli.SlowSource() as source:
            one = self.image_at(source, 'watched')
            shown = _on_a_terminal(
                cli.command('multistore-hooks') + ['image', 'copy', one, '--to', 'cheap', '--wait'],
                dict(self.environ, TERM='xterm'), self.folder, b'-> cheap', source.go)
        self.assertIn('watched [....................]   0% -> cheap', shown)
        last = shown.rpartition('\x1b[J')[2]
        self.assertIn('| copied |', last)
        self.assertNotIn('[...', last)


@unittest.skipUnless(cli.beside_python('openstack'),
                     'python-openstackclient is not installed in this environment')
class OpenstackTest(CommandTestCase):
    """The plugin in the real openstack client."""

    def openstack(self, *argv, **environ):
        return self.spawned('openstack', 'multistore', 'image', *argv, **environ)

    def test_the_commands(self):
        base = self.add('cheap', name='osc-base')
        away = self.add('fast', base_image_ref=base, image_type='snapshot')
        code, out, err = self.openstack('misplaced', away, '-f', 'value', '-c', 'Missing In')
        self.assertEqual((1, 'cheap\n', ''), (code, out, err))
        code, out, err = self.openstack('misplaced', away, '--fix', '--wait', '-f', 'value', '-c', 'Result')
        self.assertEqual((0, 'copied\n', ''), (code, out, err))
        code, out, err = self.openstack('copy', away, '--to', 'reliable', '--wait', '-f', 'json')
        self.assertEqual((0, 'copied', ''), (code, json.loads(out)[0]['Result'], err))
        code, out, err = self.openstack('stores', 'osc-base', away, '-f', 'json')
        self.assertEqual((0, [{'cheap'}, {'fast', 'cheap', 'reliable'}], ''),
                         (code, [set(row['Stores']) for row in json.loads(out)], err))

    def test_wrong_input(self):
        code, out, err = self.openstack('stores', 'no such')
        self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
        self.assertIn("openstack: There is no image with the id or the name 'no such'", err)
        with cli.Refusing() as keystone:
            code, out, err = cli.run(
                cli.command('openstack') + ['multistore', 'image', 'stores', GONE],
                cli.environ(self.folder, **keystone.cloud), self.folder)
            self.assertEqual('', out)
            self.assertNotEqual(0, code)
            self.assertNotIn('Traceback', err)

    def test_help_lists_them(self):
        _code, out, _err = self.spawned('openstack', 'help', 'multistore')
        for verb in ('stores', 'copy', 'misplaced'):
            self.assertIn('multistore image %s' % verb, out)


def _default_sigint():
    # As at a terminal: what is started in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _on_a_terminal(argv, env, cwd, wanted, then):
    """Run a program on a terminal; call ``then`` once it has shown something; return all it showed."""
    control, terminal = pty.openpty()
    try:
        process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown, end = b'', time.monotonic() + cli.TIMEOUT
        while time.monotonic() < end:
            if select.select([control], [], [], 0.2)[0]:
                try:
                    piece = os.read(control, 65536)
                except OSError:  # its other end is closed
                    break
                shown += piece
                if wanted in shown:
                    then()
        process.wait(cli.TIMEOUT)
        return shown.decode('utf-8').replace('\r\n', '\n')
    finally:
        os.close(control)
        process.kill()
        process.wait()
