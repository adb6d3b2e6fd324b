# SPDX-License-Identifier: Apache-2.0
"""Wheel and source archive, built from this tree: what is in them, and how they are to install and run.

In a bare environment with what Train's releases held together, and in one with the newest. The
tests go to the package index, for what pip has not cached: without it they are skipped.
"""

import configparser
import email
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

import fixtures
import testtools

from lab import checkout
from tests.functional import cli
from tests.functional import shared

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: What only an extra brings, or nothing at all.
NOT_BROUGHT = ('cinder', 'eventlet', 'glance', 'glance-store', 'nova', 'os-brick', 'oslo.concurrency',
               'oslo.privsep', 'python-cinderclient', 'python-openstackclient', 'sqlalchemy', 'tempest',
               'webob')
#: Belong to a service or an extra; the others must be importable by themselves.
NEED_MORE = ('multistore_hooks.cinder', 'multistore_hooks.nova', 'multistore_hooks.glance',
             'multistore_hooks.volume_store')
BUILD = 'import sys; from setuptools import build_meta as b; b.build_{0}(sys.argv[1])'
IMPORT_ALL = '''
import importlib, pkgutil, sys
import multistore_hooks
skipped = tuple(sys.argv[1:])
for found in pkgutil.walk_packages(multistore_hooks.__path__, 'multistore_hooks.', onerror=lambda name: None):
    if not found.name.startswith(skipped):
        importlib.import_module(found.name)
print(multistore_hooks.__file__)
'''
_built = {}


def no_network():
    """Return why the package index cannot be used, or None."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, '-m', 'pip', '-q', '--disable-pip-version-check', 'download', '--no-deps',
             '--retries', '0', '--timeout', '10', '-d', folder, 'pbr'],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ['pip failed'])[-1]


def built():
    """Return {'wheel': path, 'sdist': path, 'files': those of the tree}, built from a copy of the tree."""
    if not _built:
        tree, out = shared.folder('tree'), shared.folder('built')
        files = checkout.copy(tree)
        for what in ('sdist', 'wheel'):
            done = subprocess.run([sys.executable, '-c', BUILD.format(what), out], cwd=tree,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
            if done.returncode:
                raise AssertionError(done.stdout[-3000:])
        _built.update(files=files, wheel=glob.glob(out + '/*.whl')[0], sdist=glob.glob(out + '/*.tar.gz')[0])
    return _built


@unittest.skipUnless(os.path.exists(os.path.join(CHECKOUT, '.git')), 'not a git checkout: pbr needs one')
class ContentsTest(testtools.TestCase):
    """What is in wheel and source archive."""

    def test_source_archive_has_every_file_of_the_tree(self):
        with tarfile.open(built()['sdist']) as archive:
            names = {name.partition('/')[2] for name in archive.getnames()}
        self.assertEqual(set(), {name for name in built()['files'] if not name.startswith('.')} - names)

    def test_wheel_has_package_patches_and_etc_and_no_more(self):
        with zipfile.ZipFile(built()['wheel']) as archive:
            names = archive.namelist()
        data = [name for name in names if '.data/data/' in name]
        expected = {'share/multistore-hooks/' + name.replace('etc/multistore-hooks/', 'etc/')
                    for name in built()['files'] if name.startswith(('patches/', 'etc/multistore-hooks/'))}
        # The manual pages, and bash's completion.
        expected |= {name for name in built()['files'] if name.startswith('share/')}
        self.assertEqual(expected, {name.partition('.data/data/')[2] for name in data})
        modules = {name for name in built()['files']
                   if name.startswith('multistore_hooks/')}
        self.assertEqual(modules, {name for name in names
                                   if '.data/' not in name and '.dist-info/' not in name})
        self.assertIn('multistore_hooks/py.typed', modules)

    def metadata(self):
        """Return the wheel's metadata."""
        with zipfile.ZipFile(built()['wheel']) as archive:
            name, = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
            return email.message_from_string(archive.read(name).decode('utf-8'))

    def test_metadata_is_complete_and_has_no_link_into_the_checkout(self):
        metadata = self.metadata()
        for name in ('Name', 'Summary', 'Author', 'Requires-Python', 'Classifier'):
            self.assertTrue(metadata[name], name)
        self.assertEqual('text/x-rst', metadata['Description-Content-Type'])
        # Which of the two depends on the setuptools that builds.
        self.assertEqual('Apache-2.0', metadata['License-Expression'] or metadata['License'])
        description = metadata.get_payload() or metadata['Description']
        self.assertIn('What works where', description)
        self.assertIsNone(re.search(r'(?m)`_\W|^\.\. _', description))

    def test_version_is_that_of_a_tag(self):
        tree = self.useFixture(fixtures.TempDir()).path + '/tree'
        checkout.copy(tree)
        subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'tag', '-am', '1.2.0',
                        '1.2.0'], cwd=tree, check=True)
        done = subprocess.run([sys.executable, 'setup.py', '--version'], cwd=tree, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        self.assertEqual('1.2.0', done.stdout.split()[-1])

    def test_wheel_needs_what_requirements_say_and_has_the_extras(self):
        metadata = self.metadata()
        needed = metadata.get_all('Requires-Dist')
        with open(os.path.join(CHECKOUT, 'requirements.txt'), encoding='utf-8') as stream:
            listed = {_name_of(line) for line in stream if line.strip() and not line.startswith('#')}
        self.assertEqual(listed, {_name_of(line) for line in needed if 'extra ==' not in line})
        extras = _extras()
        self.assertEqual(set(extras), {name.replace('_', '-') for name in metadata.get_all('Provides-Extra')}
                         - {'test'})  # pbr's own
        for extra, names in extras.items():
            self.assertEqual(names, {
                _name_of(line) for line in needed if 'extra == "%s"' % extra in line.replace("'", '"')})

    def test_each_extra_has_a_name_that_every_pip_finds(self):
        # Old setuptools writes an underscore for a hyphen, and then old pip, which Python 3.6 has, does not
        # find the extra, warns, and installs the rest.
        extras = _extras()
        found = [names for extra, names in extras.items() if extra.isalnum()]
        self.assertEqual([], [extra for extra, names in extras.items() if names not in found])


def _name_of(requirement):
    """Return the name of the package that a line of requirements is about."""
    return re.match('[A-Za-z0-9._-]+', requirement).group().lower().replace('_', '-')


def _extras():
    """Return {extra: the packages it brings}, as setup.cfg has them."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(os.path.join(CHECKOUT, 'setup.cfg'), encoding='utf-8')
    return {extra: {_name_of(line) for line in lines.split('\n') if line.strip()}
            for extra, lines in setup['extras'].items()}


def python_36():
    """Return the interpreter that tox's environment py36 is made of, None if there is none."""
    ours = os.path.join(CHECKOUT, '.tox', 'py36', 'bin', 'python')
    if not os.path.exists(ours):
        return None
    prefix = subprocess.check_output([ours, '-c', 'import sys; print(sys.base_prefix)']).decode()
    return os.path.join(prefix.strip(), 'bin', 'python3.6')


class Bare:
    """A virtual environment with nothing but what the package brings.

    :param python: the interpreter
    :param constraints: names the file in tests/ that holds versions
    """

    def __init__(self, folder, python, constraints):
        self.folder = folder
        self._limits = ['-c', os.path.join(CHECKOUT, 'tests', 'constraints-%s.txt' % constraints)]
        self._executable = os.path.join(folder, 'bin', 'python')
        if constraints in ('py36', 'py311-train'):
            self.run(python, '-m', 'venv', folder)
            self._pip = [self._executable, '-m', 'pip', '--disable-pip-version-check']
            # The one that Python 3.6 brings is too old to find its way in today's index.
            self.pip('install', '-q', '--no-compile', 'pip<22')
            # Train's own packages are source archives that today's setuptools cannot build.
            self.install('setuptools', 'wheel', 'pbr')
            self._limits.append('--no-build-isolation')
        else:
            # The pip from here is as good, and need not be installed first.
            self.run(python, '-m', 'venv', '--without-pip', folder)
            self._pip = [sys.executable, '-m', 'pip', '--python', self._executable,
                         '--disable-pip-version-check']

    def pip(self, *arguments):
        """Run pip; return what it prints."""
        return self.run(*self._pip + list(arguments))

    def install(self, *what):
        """Install packages within the limits."""
        self.pip('install', '-q', '--no-compile', *self._limits + list(what))

    def run(self, *command):
        """Run a command that has to succeed."""
        code, out, err = self._call(command)
        if code:
            raise AssertionError('%s: exit code %d\n%s%s' % (
                ' '.join(command), code, out[-2000:], err[-2000:]))
        return out

    def python(self, *arguments):
        """Run its Python; return exit code, output and errors."""
        return self._call((self._executable,) + arguments)

    def program(self, name, *arguments):
        """Run a program in it; return exit code, output and errors."""
        return self._call((os.path.join(self.folder, 'bin', name),) + arguments)

    def _call(self, command):
        environ = cli.environ(os.environ.get('HOME', '/'))  # pip's cache is there
        for name in ('PYTHONPATH', 'PYTHON', 'VIRTUAL_ENV', 'XDG_CONFIG_HOME'):
            environ.pop(name, None)
        done = subprocess.run(command, env=environ, cwd=os.path.dirname(self.folder),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        return done.returncode, done.stdout, done.stderr

    def packages(self):
        """Return the names of what is installed."""
        return {package['name'].lower().replace('_', '-')
                for package in json.loads(self.pip('list', '--format', 'json'))}


class InstalledTest(testtools.TestCase):
    """Installed in a bare environment, it is complete, runs, and brings nothing unasked."""

    def setUp(self):
        super().setUp()
        if not os.path.exists(os.path.join(CHECKOUT, '.git')):
            self.skipTest('not a git checkout: pbr needs one')
        why = no_network()
        if why:
            self.skipTest('no package index: %s' % why)
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_wheel_with_what_train_held_together(self):
        if not (shutil.which('cc') or shutil.which('gcc')):
            self.skipTest("no C compiler (Debian: gcc), which Train's packages need")
        old = python_36()
        self.check(Bare(self.folder + '/bare', old or sys.executable, 'py36' if old else 'py311-train'),
                   built()['wheel'])

    def test_source_archive_with_the_newest(self):
        bare = Bare(self.folder + '/bare', sys.executable, 'py311')
        self.check(bare, built()['sdist'])
        self.check_filter_extra(bare)

    def check(self, bare, archive):
        bare.install(archive)
        brought = bare.packages()
        self.assertEqual(set(), brought & set(NOT_BROUGHT))
        bare.pip('check')
        code, out, err = bare.python('-c', IMPORT_ALL, *NEED_MORE)
        self.assertEqual(0, code, err)
        self.assertIn(bare.folder, out)
        self.check_commands(bare)
        self.check_patches(bare)
        self.check_sample_configuration(bare)

    def check_commands(self, bare):
        for arguments in (['--version'], ['--help'], ['image', 'copy', '--help'],
                          ['patch', 'apply', '--help']):
            code, _out, err = bare.program('multistore-hooks', *arguments)
            self.assertEqual((0, ''), (code, err), arguments)
        code, out, err = bare.program('multistore-hooks', 'image', 'stores', 'any')
        self.assertEqual((2, '', 1), (code, out, err.count('\n')), err)
        self.assertIn('No usable credentials', err)
        self.assertEqual(0, bare.program('multistore-status', '--help')[0])

    def check_patches(self, bare):
        root = os.path.join(self.folder, 'tree')
        os.makedirs(os.path.join(root, 'nova', 'virt'))
        for package in ('nova', 'nova/virt'):
            open(os.path.join(root, package, '__init__.py'), 'w').close()
        for verb, expected in (('apply', 0), ('status', 0), ('revert', 0), ('status', 1)):
            code, _out, err = bare.program('multistore-hooks', 'patch', verb, 'nova', '--root', root,
                                           '--release', '34')
            self.assertEqual((expected, ''), (code, err), verb)

    def check_sample_configuration(self, bare):
        """The generator writes a sample for each service, as etc/oslo-config-generator has it."""
        for path in sorted(glob.glob(os.path.join(CHECKOUT, 'etc', 'oslo-config-generator', '*.conf'))):
            sample = os.path.join(self.folder, os.path.basename(path))
            code, _out, err = bare.program('oslo-config-generator', '--config-file', path,
                                           '--output-file', sample)
            self.assertEqual(0, code, err)
            with open(sample, encoding='utf-8') as stream:
                self.assertIn('[multistore_hooks]', stream.read())

    def check_filter_extra(self, bare):
        use = 'import multistore_hooks.glance.base_image_filter'
        self.assertIn("No module named 'webob'", bare.python('-c', use)[2])
        before = bare.packages()
        bare.install('multistore-hooks[glance]')
        # The other is WebOb's own need, on newer Pythons.
        self.assertEqual({'webob'}, bare.packages() - before - {'legacy-cgi'})
        self.assertEqual((0, '', ''), bare.python('-c', use))


class DriverWheelTest(testtools.TestCase):
    """The wheel that holds nothing but the file in Nova's tree."""

    SOURCE = os.path.join(CHECKOUT, 'packaging', 'nova-driver')
    FILE = os.path.join('nova', 'virt', 'multistore.py')

    def test_it_adds_the_file_that_the_patch_adds_and_no_other(self):
        folder = self.useFixture(fixtures.TempDir()).path
        tree, out, root = (os.path.join(folder, name) for name in ('tree', 'out', 'root'))
        shutil.copytree(self.SOURCE, tree)
        subprocess.run([sys.executable, '-c', BUILD.format('wheel'), out], cwd=tree, check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.makedirs(os.path.join(root, 'nova', 'virt'))
        for package in ('nova', 'nova/virt'):
            open(os.path.join(root, package, '__init__.py'), 'w').close()
        with zipfile.ZipFile(glob.glob(out + '/*.whl')[0]) as archive:
            self.assertEqual([self.FILE], [name for name in archive.namelist() if '.dist-info/' not in name])
            archive.extractall(root)
        code, printed, _err = cli.run_here(['patch', 'status', 'nova', '--root', root, '--release', '34'])
        self.assertEqual(0, code)
        self.assertIn('applied, but not by this tool', printed)
