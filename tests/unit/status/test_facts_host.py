# SPDX-License-Identifier: Apache-2.0
"""Processes and interpreters of this host."""

import os
import sys

import ddt
import fixtures

from multistore_hooks.status.checks import glanceclients
from multistore_hooks.status.checks import hooks
from multistore_hooks.status.checks import image_formats
from multistore_hooks.status.checks import privsep
from multistore_hooks.status.facts import gather
from multistore_hooks.status.facts import host
from multistore_hooks.status import finding
from tests.unit.status import base


@ddt.ddt
class ProcessesTest(base.CheckCase):

    def proc(self, *argv):
        self.file('proc/stat', 'cpu 1\nbtime 1000\n')
        self.file('proc/77/stat', '77 (a (strange) name) S ' + ' '.join(['0'] * 18) + ' 500 0\n')
        self.file('proc/77/cmdline', '\0'.join(argv) + '\0')
        self.file('proc/77/environ', 'A=b\0PYTHONPATH=/x:/y\0')
        return os.path.join(self.folder, 'proc')

    def test_interpreter_start_and_path_of_a_service(self):
        found, = host.processes('nova', self.proc(
            '/v/bin/python3', '/v/bin/nova-compute', '--config-file', 'x'))
        self.assertEqual((77, 'nova-compute', '/v/bin/python3', '/x:/y'),
                         (found.pid, found.program, found.python, found.pythonpath))
        self.assertEqual(1000 + 500 / os.sysconf('SC_CLK_TCK'), found.started)

    def test_uwsgi_does_not_report_its_interpreter(self):
        proc = self.proc('uwsgi', '--ini', '/etc/glance/glance-api-uwsgi.ini')
        found, = host.processes('glance', proc)
        self.assertIsNone(found.python)

    @ddt.data(('vim', '/etc/nova/nova-compute.conf'), ('grep', 'nova-compute'),
              ('python3', '-m', 'x', 'nova-compute'), ('',))
    def test_what_only_speaks_of_a_service_is_none(self, argv):
        found = host.processes('nova', self.proc(*argv))
        self.assertEqual([], [one for one in found if one.python])

    def test_of_several_the_one_that_was_started_with_this_file(self):
        def process(pid, *argv):
            return host.Process(pid, 'nova-compute', None, 0.0, False, '', argv)

        conf = self.nova('')
        others = [process(1, '--config-file', '/other'), process(2, '--config-file=' + conf.files[0]),
                  process(3)]
        mocked = self.useFixture(fixtures.MockPatchObject(host, 'processes', return_value=others))
        for expected in ([2], [3], []):
            found = self.facts(nova=conf).service('nova').processes
            self.assertEqual(expected, [one.pid for one in found])
            mocked.mock.return_value = [one for one in others if one.pid not in (2,) + tuple(expected)]

    def test_host_without_proc(self):
        self.assertEqual([], host.processes('nova', self.folder + '/none'))


@ddt.ddt
class ShebangTest(base.CheckCase):

    @ddt.data(('#!/v/bin/python3\n', '/v/bin/python3'),
              ('#!/v/bin/python3.9 -s\n', '/v/bin/python3.9'),
              ('#! /usr/bin/python3\n', '/usr/bin/python3'), ('#!/bin/sh\necho\n', None),
              ('import x\n', None),
              ("#!/bin/sh\n'''exec' /very/long/python3 \"$0\" \"$@\"\n' '''\n", '/very/long/python3'),
              ('#!"/with blank/python3"\n', '/with'), ('', None))
    @ddt.unpack
    def test_first_line(self, text, expected):
        if 'blank' in text:  # nobody starts such a script; it must only not be a stack trace
            host.shebang(self.file('x', text))
            return
        self.assertEqual(expected, host.shebang(self.file('x', text)))

    def test_env(self):
        found = host.shebang(self.file('x', '#!/usr/bin/env python3\n'))
        self.assertTrue(found and found.endswith('python3'), found)


class DescribeTest(base.CheckCase):

    def test_this_interpreter(self):
        reported = host.describe(sys.executable, os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.dirname(__file__)))))
        self.assertEqual(sys.prefix, reported.prefix)
        self.assertTrue(reported.folder('multistore_hooks').endswith('multistore_hooks'))
        self.assertIsNone(reported.folder('no_such'))
        self.assertIsNotNone(reported.release_of('python-glanceclient'))
        self.assertIsNone(reported.release_of('no-such'))

    def test_what_is_no_interpreter_is_one_line(self):
        for program in ('/none/python3', '/bin/true', self.file('x', 'y')):
            error = self.assertRaises(host.Undetermined, host.describe, program)
            self.assertIn(program, str(error))
            self.assertNotIn('\n', str(error))


def interpreter(prefix='/v', **packages):
    return host.Interpreter(prefix + '/bin/python', prefix, '3.11', (), packages)


class DecisionsTest(base.CheckCase):

    def test_nova_s_tree_without_the_file(self):
        nova = os.path.join(self.folder, 'nova')
        reported = self.texts(hooks.decide_nova(interpreter(nova=nova, multistore_hooks='/m'), 'here'), 2)
        self.assertIn('patch apply nova --root %s' % self.folder, reported)
        self.file('nova/virt/multistore.py', 'from multistore_hooks.nova.driver import LibvirtDriver\n')
        self.assertEqual([], hooks.decide_nova(interpreter(nova=nova, multistore_hooks='/m'), 'here'))
        self.file('nova/virt/multistore.py', 'from nova.virt.libvirt.driver import LibvirtDriver\n')
        self.assertIn('does not contain the class',
                      self.texts(hooks.decide_nova(interpreter(nova=nova, multistore_hooks='/m'), 'x'), 2))
        self.assertIn('/v/bin/python -m pip install .',
                      self.texts(hooks.decide_nova(interpreter(nova=nova), 'here'), 2))

    def test_interpreter_without_nova_is_not_the_one(self):
        self.assertIn('--nova-python', self.texts(hooks.decide_nova(interpreter(), 'here'), 2))

    def test_service_that_runs_on_older_files(self):
        path = self.file('nova.conf', '')
        os.utime(path, (2000, 2000))
        process = host.Process(7, 'nova-compute', '/p', 1000.0, False, '')
        service = gather.Service([process], None, '')
        conf = self.nova('')
        os.utime(path, (2000, 2000))
        self.assertIn('process 7', self.texts(hooks.stale(conf, service, []), 1))
        os.utime(path, (500, 500))
        self.assertEqual([], hooks.stale(conf, service, []))

    def test_extensions_of_cinder_are_kept(self):
        ours = '[DEFAULT]\nosapi_volume_extension = %s\n' % hooks.EXTENSION
        self.assertIn(hooks.STANDARD, self.texts(hooks.decide_extensions(self.cinder(ours)), 2))
        both = ours + 'osapi_volume_extension = %s\n' % hooks.STANDARD
        self.assertEqual([], hooks.decide_extensions(self.cinder(both)))
        self.texts(hooks.decide_extensions(self.cinder('')), 0)

    def test_helper_of_another_environment(self):
        own = gather.Service([], interpreter(os_brick='/b'), '')
        helper = privsep.Helper('/x/privsep-helper', '/etc/rootwrap.conf', 'Put it first')

        def reported(helpers, worst):
            return self.texts(privsep.decide(helper, helpers, own, 'glance'), worst)

        self.assertIn('Put it first: /v/bin', reported(interpreter('/usr', os_brick='/b'), 2))
        self.assertIn('has no os_brick', reported(interpreter(), 2))
        reported(interpreter(os_brick='/b'), 0)

    def test_ways_to_start_the_helper(self):
        nova = self.nova('[DEFAULT]\nrootwrap_config = /r.conf\n'
                         '[privsep_osbrick]\nhelper_command = sudo /v/bin/privsep-helper\n')
        glance = self.glance('[DEFAULT]\nenabled_backends = a:file, b:cinder\n')
        found = privsep.starts(self.facts(nova=nova, glance=glance))
        self.assertEqual([('glance', None, '/etc/glance/rootwrap.conf'), ('nova', None, '/r.conf'),
                          ('nova', 'sudo /v/bin/privsep-helper', '')],
                         [(start.service, start.command, start.rootwrap) for start in found])

    def test_helper_commands(self):
        helper = self.file('bin/privsep-helper', '', 0o755)
        rootwrap = self.file('rootwrap.conf', '[DEFAULT]\nexec_dirs = %s\n' % os.path.dirname(helper))
        cases = {
            'sudo %s --config-file x' % helper: helper,
            'sudo nova-rootwrap %s privsep-helper --config-file x' % rootwrap: helper,
            '/none/privsep-helper': 'does not exist', 'sudo something': 'cannot determine',
            'sudo "': 'is not a command'}
        for command, expected in cases.items():
            found = privsep._by_command(privsep.Start('nova', 'here', command))
            self.assertIn(expected, found.path if isinstance(found, privsep.Helper) else str(found))

    def test_first_helper_of_the_folders_is_taken(self):
        self.file('a/privsep-helper', '', 0o644)
        second = self.file('b/privsep-helper', '', 0o755)
        folders = [os.path.join(self.folder, name) for name in ('none', 'a', ' b', 'b')]
        self.assertEqual(second, privsep.first('privsep-helper', folders))

    def test_versions_are_compared_by_numbers(self):
        need = [glanceclients.Need('3.0.0', 'x', 'here')]
        self.texts(glanceclients.decide('nova', '/p', '2.17.1', need), 2)
        self.texts(glanceclients.decide('nova', '/p', '10.0.0', need), 0)
        self.texts(glanceclients.decide('nova', '/p', '3.0.0.0rc1', need), 0)
        self.texts(glanceclients.decide('nova', '/p', None, need), 2)

    def test_images_that_cannot_be_cloned_are_named_and_counted(self):
        def image(number, **more):
            return dict({'id': 'i%d' % number, 'name': 'n', 'status': 'active', 'disk_format': 'qcow2',
                         'container_format': 'bare'}, **more)

        many = [image(number) for number in range(7)] + [image(8, disk_format='raw'),
                                                         image(9, status='queued')]
        reported = self.texts(image_formats.decide_raw(many, 'url'), 1)
        self.assertIn('7 of 8 images are not raw', reported)
        self.assertIn('and 2 more', reported)
        self.texts(image_formats.decide_raw(many[7:], 'url'), 0)

    def test_worst_finding_comes_first_and_is_the_result(self):
        reported = finding.Result([finding.passed('a'), finding.failure('b', 'w', 'c'), finding.warning('d')])
        self.assertEqual(2, int(reported.code))
        self.assertEqual(['w: b. c.', 'd.', 'a.'], reported.details.split('\n'))
        self.assertIsNone(finding.Result([]).details)
