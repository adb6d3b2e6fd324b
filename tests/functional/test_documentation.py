# SPDX-License-Identifier: Apache-2.0
"""What README and documentation show an operator to type, is typed; what they show of files, is read.

``tests/documentation.py`` describes the comments by which a page says how a block is tested. The labs:

``host``
    a clean environment with the pip of a service's Python, see ``lab/host.py``
``glance``
    the same, and a real Glance with the filter: ``$GLANCE``, ``$TOKEN``, and ``$BASE``, an image in
    the store reliable
``cinder``
    a real Cinder with the hooks and a real Glance, for the openstack client, as an administrator
``ceph``
    a real Ceph cluster with an image and a server's disk: ``$IMAGE``, ``$SERVER``; as its administrator
``sites``
    two real Ceph clusters, a Glance with a store in each, and a server of a real Nova with the hook that was
    booted at the first: ``$IMAGE``, ``$SERVER``
``logs``
    a folder /var/log with lines that the hooks log
``services``
    this environment, without the ``tox ... --`` before a command
``services, until ...``
    likewise, and the command is ended when it has printed that
``cinder driver``
    a module of Python that Cinder could load

After a comma, ``the last fails`` says that the last command of the block does.
"""

import contextlib
import copy
import glob
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

import testtools

from lab import ceph
from lab import ceph_glance
from lab.cinder.client import ADMIN
from lab.cinder import run
from lab.cinder.server import Cinder
from lab.glance import BASE_IMAGE_FILTER
from lab.glance import Glance
from lab.nova import compute_hosts
from lab import operator_host
from lab import poll
from tests import documentation
from tests.functional import cinder_base
from tests.functional import nova_runs
from tests.functional import shared

MISSING = [name for name in ('nova', 'cinder', 'glance', 'gunicorn') if not importlib.util.find_spec(name)]
STORES = {'reliable': 'file', 'fast': 'file', 'cheap': 'file'}
SERVICES = {'nova.conf': 'nova', 'cinder.conf': 'cinder', 'glance-api.conf': 'glance'}
#: Pages that begin by installing the library; on the others it is there.
INSTALLING = ('README.rst', 'doc/source/install/index.rst')
FACTORY = 'multistore_hooks.glance.base_image_filter:filter_factory'
#: The openstack client; it need not be in this environment.
OPENSTACK = os.environ.get('OPENSTACK_CLIENT') or os.path.join(os.path.dirname(sys.executable), 'openstack')
FAILS = ', the last fails'
TOKEN = 'user:project:member,reader,admin'
_hosts = {}


def host(with_library=True):
    """Return a host that the tests of this process share, one with the library and one without."""
    if with_library not in _hosts:
        made = operator_host.Host(shared.folder('host')).make()
        if with_library:
            made.install()
        _hosts[with_library] = made
    return _hosts[with_library]


def marked(verb, what=None):
    """Return the blocks with a mark, by page."""
    return documentation.by_page([
        block for block in documentation.all_blocks()
        if block.mark and block.mark.verb == verb and what in (None, block.mark.what.replace(FAILS, ''))])


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class CommandsTest(testtools.TestCase):
    """The commands do what the pages say."""

    def run_pages(self, what, runner):
        """Run the commands of each page that has some for this lab.

        :param runner: is given command lines and a page, returns how they ended
        """
        found = marked('runs', what)
        self.assertNotEqual({}, found)
        for page, blocks in sorted(found.items()):
            commands, fails = [], []
            for block in blocks:
                commands += documentation.commands(block.text)
                fails += [False] * (len(commands) - len(fails))
                fails[-1] = FAILS in block.mark.what
            for command, fail, done in zip(commands, fails, runner([one.line for one in commands], page)):
                self.assertEqual(fail, done.code != 0, '%s: %s\n%s' % (page, command.line, done.printed))
                if command.prints is not None:
                    self.assertTrue(documentation.matches(command.prints, done.printed),
                                    '%s: %s\nprints\n%s\nand not\n%s' % (
                                        page, command.line, done.printed, command.prints))

    def test_commands_on_a_host(self):
        self.run_pages('host', lambda lines, page: host(page not in INSTALLING).run(lines))

    def test_commands_with_a_glance(self):
        glance = shared.glance('documentation', stores=STORES, default='fast',
                               filters=[BASE_IMAGE_FILTER])
        base = glance.add_image(b'base', ['reliable'])
        self.run_pages('glance', lambda lines, _page: host().run(
            lines, GLANCE=glance.url, TOKEN=TOKEN, BASE=base,
            OS_AUTH_TYPE='admin_token', OS_ENDPOINT=glance.url, OS_TOKEN=TOKEN))

    @unittest.skipIf(not os.path.exists(OPENSTACK), 'there is no openstack client at %s' % OPENSTACK)
    def test_commands_with_cinder(self):
        glance = shared.glance('documentation', stores=STORES, default='fast',
                               filters=[BASE_IMAGE_FILTER])
        cinder = Cinder(glance.url, shared.folder('cinder'), cache_dir=cinder_base.CACHE,
                        overrides=copy.deepcopy(cinder_base.OURS))
        self.addCleanup(cinder.stop)
        cinder.start()
        command = os.path.join(host().folder, 'bin', 'openstack')
        if not os.path.lexists(command):
            os.symlink(OPENSTACK, command)
        self.run_pages('cinder', lambda lines, _page: host().run(
            lines, OS_AUTH_TYPE='admin_token', OS_ENDPOINT=cinder.url, OS_TOKEN=ADMIN))

    @unittest.skipIf(ceph.unavailable(), ceph.unavailable())
    def test_commands_with_ceph(self):
        cluster = ceph.sites()[0]
        image, server = str(uuid.uuid4()), str(uuid.uuid4())
        cluster.rbd('create', '--size', '4', 'images/' + image)
        cluster.rbd('snap', 'create', 'images/%s@snap' % image)
        cluster.rbd('snap', 'protect', 'images/%s@snap' % image)
        cluster.rbd('clone', 'images/%s@snap' % image, 'vms/%s_disk' % server)
        environ = {'CEPH_CONF': os.path.join(cluster.directory, 'ceph.conf'),
                   'IMAGE': image, 'SERVER': server, 'STORE': 'dcn1'}
        left, = host().run(['rados -p vms create "multistore_hooks.copy.$IMAGE.$STORE"'], **environ)
        self.assertEqual(0, left.code, left.printed)
        self.run_pages('ceph', lambda lines, _page: host().run(lines, **environ))

    def test_the_object_that_may_be_left_is_called_so(self):
        # In a process of its own: Nova's modules change the one that imports them.
        program = ("from multistore_hooks.ceph import coordinator; "
                   "print(coordinator.CephCoordinator(None, 'vms', 'images', 'IMAGE', 'STORE')._lock.object)")
        printed = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], cwd=documentation.ROOT,
                                 stdout=subprocess.PIPE, universal_newlines=True).stdout
        self.assertEqual('multistore_hooks.copy.IMAGE.STORE\n', printed)
        self.assertIn(printed.strip(), documentation.read('doc/source/leftovers.rst'))

    def test_commands_on_logs(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.makedirs(os.path.join(folder.name, 'nova'))
        with open(os.path.join(folder.name, 'nova', 'nova-compute.log'), 'w', encoding='utf-8') as log:
            log.write('2026-11-20 12:00:00 7 INFO nova.compute.manager [-] Took a snapshot\n'
                      '2026-11-20 12:00:00 7 WARNING multistore_hooks.upload.transfer [req-1] Refused\n')
        self.run_pages('logs', lambda lines, _page: host().run(
            [line.replace('/var/log', folder.name) for line in lines]))

    def services_lines(self, text):
        """Return commands as they are run in this environment."""
        python = shlex.quote(sys.executable)
        return [re.sub(r'^tox -e venv -- (\\\n *)?python', python, one.line)
                for one in documentation.commands(text)]

    def test_commands_in_the_services_environment(self):
        for page, blocks in marked('runs', 'services').items():
            for line in [line for block in blocks for line in self.services_lines(block.text)]:
                done = subprocess.run(
                    ['bash', '-c', line], cwd=documentation.ROOT, timeout=300, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
                self.assertEqual(0, done.returncode, '%s: %s\n%s' % (page, line, done.stdout))

    def test_commands_that_run_until_they_are_ended(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        found = [block for blocks in marked('runs').values() for block in blocks
                 if block.mark.what.startswith('services, until ')]
        self.assertNotEqual([], found)
        for block in found:
            awaited = block.mark.what.split('until ')[1]
            line, = self.services_lines(block.text)
            line = 'exec ' + line.replace(' /tmp/', ' %s/' % folder.name)
            process = subprocess.Popen(['bash', '-c', line], cwd=documentation.ROOT,
                                       stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       universal_newlines=True, start_new_session=True)
            try:
                printed = process.stdout.readline()
                self.assertIn(awaited, printed, block.place)
            finally:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(poll.SECONDS)
                process.stdout.close()
                self.assertEqual(0, process.poll(), block.place)

    def test_a_driver_with_the_mixin_can_be_loaded(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for block in [block for blocks in marked('runs', 'cinder driver').values() for block in blocks]:
            with open(os.path.join(folder.name, 'own_driver.py'), 'w', encoding='utf-8') as module:
                module.write(block.text)
            program = ('from cinder import objects; objects.register_all(); import own_driver as d; '
                       'print([c.__name__ for c in d.RBDDriver.__mro__][:3])')
            printed = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], cwd=folder.name,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     universal_newlines=True).stdout
            self.assertIn("['RBDDriver', 'PlacesUploads', 'RBDDriver']", printed)

    def test_every_lab_that_a_page_names_is_one_of_these(self):
        known = {'host', 'glance', 'cinder', 'ceph', 'sites', 'logs', 'services', 'cinder driver'}
        unknown = [block.place for blocks in marked('runs').values() for block in blocks
                   if block.mark.what.replace(FAILS, '') not in known
                   and not block.mark.what.startswith(('tests.', 'services, until '))]
        self.assertEqual([], unknown)

    def test_make_has_what_a_page_makes(self):
        with open(os.path.join(documentation.ROOT, 'Makefile'), encoding='utf-8') as stream:
            targets = set(re.findall(r'^([a-z-]+):', stream.read(), re.MULTILINE))
        named = {(page, target) for page in documentation.pages()
                 for target in re.findall(r'\bmake ([a-z]+)\b(?=``|\s+#|$)', documentation.read(page))}
        self.assertEqual(set(), {(page, target) for page, target in named if target not in targets})


class PastedGlance(Glance):
    """A Glance whose paste file is Glance's own, changed as a page says; keystone's filter is the lab's."""

    def __init__(self, root, pieces):
        super().__init__(root, STORES, default='fast', conf={'paste_deploy': {'flavor': 'keystone'}})
        self._pieces = pieces

    def _write_files(self):
        super()._write_files()
        with open(os.path.join(sys.prefix, 'etc', 'glance', 'glance-api-paste.ini'), encoding='utf-8') as own:
            text = own.read()
        for section, lines in self._pieces.items():
            text = pasted(text, section, lines)
        text = text.replace('keystonemiddleware.auth_token:filter_factory',
                            'lab.keystone:filter_factory')
        with open(os.path.join(self.root, 'etc', 'glance-api-paste.ini'), 'w', encoding='utf-8') as stream:
            stream.write(text)


def pasted(text, section, lines):
    """Return a paste file in which lines of a section are replaced by those of a page, or added."""
    if '[%s]\n' % section not in text:
        return text + '\n[%s]\n%s\n' % (section, '\n'.join(lines))
    head, _, tail = text.partition('[%s]\n' % section)
    body, mark, rest = tail.partition('\n[')
    for line in lines:
        name = line.partition('=')[0].strip()
        body, count = re.subn(r'(?m)^%s *=.*$' % re.escape(name), lambda _: line, body)
        if not count:
            raise AssertionError('Glance has no %s in [%s]' % (name, section))
    return head + '[%s]\n' % section + body + mark + rest


def sections_of(text):
    """Return {section: [line]} of a piece of an ini file, without comments."""
    found = {}
    for line in text.splitlines():
        if line.startswith('['):
            lines = found.setdefault(line.strip('[]'), [])
        elif line.startswith(' ') and lines:
            lines[-1] += ' ' + line.strip()
        elif line.strip() and not line.startswith('#'):
            lines.append(line)
    return found


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class FilesTest(testtools.TestCase):
    """The services accept what the pages show of their files."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def blocks(self, what):
        return [block for blocks in marked('reads', what).values() for block in blocks]

    def assert_read(self, file, service):
        """Every option of every piece is one that the service knows, with a value that it takes."""
        blocks = self.blocks(file)
        self.assertNotEqual([], blocks)
        paths = [os.path.join(self.folder, 'several-stores.conf')]
        with open(paths[0], 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\nenabled_backends = fast:file\n' if service == 'glance' else '')
        for number, block in enumerate(blocks):
            paths.append(os.path.join(self.folder, '%d.conf' % number))
            with open(paths[-1], 'w', encoding='utf-8') as stream:
                stream.write(block.text)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'tests.devstack.options', service] + paths,
            cwd=documentation.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(0, done.returncode, done.stderr)
        wrongs = json.loads(done.stdout[done.stdout.index('{'):])['wrongs']
        self.assertEqual([], [wrong.replace(path, block.place) for wrong in wrongs
                              for path, block in zip(paths[1:], blocks) if path in wrong])
        return blocks

    def test_nova_conf(self):
        self.assert_read('nova.conf', 'nova')

    def test_cinder_conf(self):
        for block in self.assert_read('cinder.conf', 'cinder'):
            for line in block.text.splitlines():
                if 'multistore_hooks.' in line:
                    module, _, name = line.partition('=')[2].strip().rpartition('.')
                    path = os.path.join(documentation.ROOT, module.replace('.', os.sep) + '.py')
                    with open(path, encoding='utf-8') as stream:
                        self.assertRegex(stream.read(), r'(?m)^class %s\b' % name)

    def test_glance_api_conf(self):
        self.assert_read('glance-api.conf', 'glance')

    def test_every_file_that_a_page_shows_is_one_of_these(self):
        known = set(SERVICES) | {'glance-api-paste.ini', 'glance-api-paste.ini of 2023.1', 'policy.yaml'}
        self.assertEqual(set(), {block.mark.what for block in self.blocks(None)} - known)

    def test_glance_starts_with_the_paste_file_and_has_the_filter(self):
        pieces, seen = {}, set()
        for block in self.blocks('glance-api-paste.ini'):
            key = json.dumps(sections_of(block.text), sort_keys=True)
            if key in seen:
                continue
            seen.add(key)
            pieces = sections_of(block.text)
            if 'composite:api' not in pieces:   # the page says so elsewhere
                pieces['composite:api'] = self.pipeline()
            self.assertIn('paste.filter_factory = ' + FACTORY, pieces['filter:base_image'])
            with PastedGlance(os.path.join(self.folder, str(len(seen))), pieces) as glance:
                response = glance.request('GET', '/v2/info/stores')
                says = response.headers.get('x-openstack-multistore-hooks', '')
                self.assertIn('base-image-ref', says.split(', '), block.place)
                base = glance.add_image(b'base', ['reliable', 'cheap'], visibility='public')
                image = glance.create_image(token='user:project:member,reader')['id']
                glance.upload(image, b'data', headers={'X-OpenStack-Base-Image-Ref': base},
                              token='user:project:member,reader')
                glance.wait_for_import(image)
                # That a member's image is copied shows that the filter is behind the context.
                primary = 'colocate = primary' in pieces['filter:base_image']
                self.assertEqual({'reliable'} if primary else {'reliable', 'cheap'},
                                 glance.stores_of(image), block.place)
        self.assertGreaterEqual(len(seen), 2)

    def pipeline(self):
        for block in self.blocks('glance-api-paste.ini'):
            found = sections_of(block.text).get('composite:api')
            if found:
                return found
        raise AssertionError('no page has the pipeline')

    def test_the_pipeline_is_glances_own_but_for_the_filter(self):
        path = os.path.join(sys.prefix, 'etc', 'glance', 'glance-api-paste.ini')
        with open(path, encoding='utf-8') as stream:
            own = stream.read()
        line, = self.pipeline()
        self.assertIn('\n' + line.replace(' base_image ', ' ') + '\n', own)

    def test_the_older_pipeline_is_glances_own_but_for_the_filter(self):
        # Where make releases has unpacked one.
        found = glob.glob(os.path.join(documentation.ROOT, 'build', 'releases', 'src', 'glance-26.*', '**',
                                       'glance-api-paste.ini'), recursive=True)
        if not found:
            self.skipTest('no Glance 26 is unpacked here')
        with open(found[0], encoding='utf-8') as stream:
            own = [' '.join(line.split()) for line in stream]
        for block in self.blocks('glance-api-paste.ini of 2023.1'):
            line, = sections_of(block.text)['pipeline:glance-api-keystone']
            self.assertIn(line.replace(' base_image ', ' '), own)

    def test_the_policy_admits_services_and_administrators_and_nobody_else(self):
        from oslo_config import cfg
        from oslo_policy import policy
        for block in self.blocks('policy.yaml'):
            path = os.path.join(self.folder, 'policy.yaml')
            with open(path, 'w', encoding='utf-8') as stream:
                stream.write(block.text)
            conf = cfg.ConfigOpts()
            conf([], default_config_files=[])
            enforcer = policy.Enforcer(conf, policy_file=path)
            for admitted, credentials in (
                    (True, {'roles': ['admin'], 'service_roles': []}),
                    (True, {'roles': ['member'], 'service_roles': ['service']}),
                    (False, {'roles': ['member', 'service'], 'service_roles': []})):
                self.assertEqual(admitted, enforcer.enforce('copy_image', {}, credentials), credentials)


class PageTestCase(testtools.TestCase):
    """Has what one page writes into files.

    :cvar PAGE: the page
    """

    PAGE = ''

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def block(self, what):
        """Return the sections of the page's one block of a file."""
        found, = marked('reads', what)[self.PAGE]
        return sections_of(found.text)

    def options(self, what):
        """Return {section: {option: value}}; an option that is given again has a list."""
        found = {}
        for section, lines in self.block(what).items():
            for name, value in [[piece.strip() for piece in line.split('=', 1)] for line in lines]:
                before = found.setdefault(section, {}).get(name)
                found[section][name] = value if before is None else (
                    before if isinstance(before, list) else [before]) + [value]
        return found


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
class ReadmeTest(PageTestCase):
    """What README alone writes into files makes the hooks work, in the real services."""

    PAGE = 'README.rst'

    def test_snapshots_and_uploads_follow_their_base_image(self):
        cinder = self.options('cinder.conf')
        # The functional tests of Cinder run with these lines, and no others.
        self.assertEqual(cinder_base.OURS, cinder)
        path = nova_runs.disk(os.urandom(1 << 20))
        with PastedGlance(os.path.join(self.folder, 'glance'), self.block('glance-api-paste.ini')) as glance:
            base = glance.add_image(b'base', ['reliable'], visibility='public')
            snapshot, = nova_runs.compute(glance, self.options('nova.conf')['DEFAULT']['compute_driver'],
                                          nova_runs.operation('snapshot', base, path))
            upload, = run.run({
                'glance_url': glance.url, 'token': cinder_base.MEMBER, 'cache_dir': cinder_base.CACHE,
                'volume_manager': cinder['DEFAULT']['volume_manager'], 'conf': {},
                'operations': [{'image': {'name': 'uploaded'}, 'volume': {
                    'bytes_from': path, 'type': None, 'bootable': True,
                    'glance_metadata': {'image_id': base}}}]}, cinder_base.PYTHON, '')['results']
            for result in (snapshot, upload):
                self.assertIsNone(result['error'])
                glance.wait_for_import(result['image_id'])
                self.assertEqual({'reliable'}, glance.stores_of(result['image_id']))
        self.assertTrue(any('is active with' in line for line in snapshot['log']), snapshot['log'])


@unittest.skipIf(MISSING, 'not installed here: %s' % ', '.join(MISSING))
@unittest.skipIf(ceph.unavailable(), ceph.unavailable())
class WalkThroughTest(PageTestCase):
    """The page about a centre and two edges: its users of Ceph, stores and lines of nova.conf, in order."""

    PAGE = 'doc/source/two_sites.rst'

    def compute_host(self, glance, cluster, store):
        """Return a compute host of an edge, with the lines of nova.conf that the page has."""
        written = self.options('nova.conf')
        hooks = dict(written['multistore_hooks'], auth_type='admin_token', endpoint=glance.url, token=TOKEN)
        host = compute_hosts.Host(compute_hosts.document(
            cluster, glance.url, store, pool=written['libvirt']['images_rbd_pool'],
            conf={'multistore_hooks': hooks}, token=nova_runs.TOKEN, nova_root=nova_runs.root(),
            compute_driver=written['DEFAULT']['compute_driver']))
        self.addCleanup(host.stop)
        return host

    def run_blocks(self, what, **environ):
        """Run the page's blocks for a lab, and check what they print."""
        commands = [command for block in marked('runs', what)[self.PAGE]
                    for command in documentation.commands(block.text)]
        for command, done in zip(commands, host().run([one.line for one in commands], **environ)):
            self.assertEqual(0, done.code, '%s\n%s' % (command.line, done.printed))
            self.assertTrue(documentation.matches(command.prints or '', done.printed),
                            '%s\n%s' % (command.line, done.printed))

    def test_two_edges(self):
        a, b = ceph.sites()
        self.run_blocks('ceph', CEPH_CONF=a.conf)
        names = [name.partition(':')[0].strip() for name
                 in self.options('glance-api.conf')['DEFAULT']['enabled_backends'].split(',')]
        self.assertEqual(['central', 'dcn1', 'dcn2'], names)
        stores = dict(zip(names, ('file', ceph_glance.store(a), ceph_glance.store(b))))
        with ceph_glance.Glance(os.path.join(self.folder, 'glance'), stores, locations=False) as glance:
            image = glance.add_image(os.urandom(4 << 20), ['central'], visibility='public')
            named = glance.add_image(os.urandom(4 << 20), ['central'], visibility='public', name='debian-12')
            boot = {'operation': 'boot', 'token': nova_runs.TOKEN, 'name': 'server'}
            ran = self.compute_host(glance, a, 'dcn1').run(dict(boot, image_ref=image))
            booted, = ran['results']
            self.assertEqual((None, 'clone'), (booted['error'], booted['outcome']))
            logged = '\n'.join(line['text'] for line in ran['log'])
            self.assertIn('Asking Glance to copy image %s to the store dcn1.' % image, logged)
            self.run_blocks(
                'sites', IMAGE=image, SERVER=booted['server'], CEPH_CONF=a.conf,
                CEPH_ARGS='--keyring=ceph.client.nova.keyring', OS_AUTH_TYPE='admin_token',
                OS_ENDPOINT=glance.url, OS_TOKEN=TOKEN)
            other, = self.compute_host(glance, b, 'dcn2').run(dict(boot, image_ref=named))['results']
            self.assertEqual((None, 'clone'), (other['error'], other['outcome']))
