# SPDX-License-Identifier: Apache-2.0
"""The packages of Debian and of rpm, built as the page says: installed beside Nova, started, removed.

Without the tools that build them the tests are skipped.
"""

import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig

import fixtures
import testtools

from lab import checkout
from tests import documentation
from tests.functional import cli

PAGE = 'doc/source/install/index.rst'
#: The distribution's own Python builds its packages, not one that a user has put before it.
SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


class PackageBase(testtools.TestCase):
    """Builds in a copy of this checkout; has a tree with Nova's own files to install into.

    :cvar PACKAGES: names of the packages, the library's first
    :cvar SITE: where the packages put modules, below the root
    """

    PACKAGES = ('python3-multistore-hooks', 'python3-multistore-hooks-nova')
    SITE = ''

    def setUp(self):
        super().setUp()
        if importlib.util.find_spec('nova') is None:
            self.skipTest('needs Nova')
        self.home = self.useFixture(fixtures.TempDir()).path
        self.tree = os.path.join(self.home, 'checkout')
        self.root = os.path.join(self.home, 'root')
        self.environ = dict(cli.environ(self.home), PATH=SYSTEM_PATH)
        self.environ.pop('PYTHONPATH', None)

    def need(self, *programs):
        """Skip the test where a program is missing."""
        missing = [name for name in programs if not shutil.which(name, path=SYSTEM_PATH)]
        if missing:
            self.skipTest('no %s (see bindep.txt)' % ', '.join(missing))

    def run_in_tree(self, *command, **options):
        """Run a command in the copy; return its result, with its errors in its output."""
        return subprocess.run(command, cwd=self.tree, env=self.environ, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                              **options)

    def must(self, *command):
        """Run a command that has to succeed; return its output."""
        done = self.run_in_tree(*command)
        self.assertEqual(0, done.returncode, '%s\n%s' % (' '.join(command), done.stdout[-3000:]))
        return done.stdout

    def build(self):
        """Run the commands that the page has for this test; check what the last one prints."""
        block, = [block for block in documentation.blocks(PAGE, documentation.read(PAGE))
                  if block.mark and block.mark.what.endswith('.' + type(self).__name__)]
        commands = documentation.commands(block.text)
        self.must('bash', '-ec', '\n'.join(command.line for command in commands[:-1]))
        printed = self.must('bash', '-c', commands[-1].line)
        self.assertTrue(documentation.matches(commands[-1].prints, printed), printed)

    def nova_tree(self):
        """Copy Nova's own files into the root; return the names of all that is there."""
        os.makedirs(os.path.join(self.root, 'var'))
        source = os.path.dirname(importlib.util.find_spec('nova').origin)
        shutil.copytree(source, os.path.join(self.root, self.SITE, 'nova'),
                        ignore=shutil.ignore_patterns('tests', 'locale', '__pycache__'))
        return self.files()

    def files(self):
        """Return the names of all files in the root, but for what the package manager keeps of its own."""
        return {os.path.relpath(os.path.join(folder, name), self.root)
                for folder, _folders, names in os.walk(self.root) for name in names
                if not folder.startswith(os.path.join(self.root, 'var'))}

    def in_root(self, *arguments):
        """Run this Python with the modules in the root before its own; return what it prints."""
        site = os.path.join(self.root, self.SITE)
        # What Python compiles, a distribution's own scripts remove; they do not run in this root.
        environ = dict(self.environ, PYTHONPATH=site, PYTHONDONTWRITEBYTECODE='1')
        done = subprocess.run([sys.executable, *arguments], env=environ, cwd=self.home,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        self.assertEqual(0, done.returncode, done.stderr[-3000:])
        return done.stdout.strip()

    def check_installed(self, before):
        """Nothing of Nova's was replaced; the command starts; Nova's tree has the driver."""
        self.assertEqual(set(), before - self.files())
        program = os.path.join(self.root, 'usr', 'bin', 'multistore-hooks')
        self.assertEqual('multistore-hooks 0.1', self.in_root(program, '--version'))
        status = self.in_root(program, 'patch', 'status', 'nova', '--release', '34',
                              '--root', os.path.join(self.root, self.SITE))
        self.assertIn('applied, but not by this tool', status)
        self.assertEqual(
            os.path.join(self.root, self.SITE, 'nova', 'virt', 'multistore.py'),
            self.in_root('-c', 'import nova.virt.multistore as it; it.LibvirtDriver; print(it.__file__)'))
        library, data = self.SITE + '/multistore_hooks/', 'usr/share/multistore-hooks/'
        self.assertEqual(set(), {library + 'py.typed', library + 'stores/rules_schema.json',
                                 data + 'patches/nova/series', data + 'etc/rootwrap.conf'} - self.files())
        for name in ('multistore-hooks', 'multistore-status'):
            self.assertIn('usr/share/bash-completion/completions/' + name, self.files())
            # A distribution compresses it, or not.
            self.assertTrue({'usr/share/man/man1/%s.1%s' % (name, end)
                             for end in ('', '.gz')} & self.files(), name)

    def check_removed(self, before):
        """What the packages put there is gone."""
        self.assertEqual(before, self.files())


class DebTest(PackageBase):
    """The packages of Debian and Ubuntu."""

    SITE = 'usr/lib/python3/dist-packages'

    def test_built_installed_beside_nova_started_and_removed(self):
        self.need('dpkg-buildpackage', 'dh', 'pybuild')
        checkout.copy(self.tree)
        done = self.run_in_tree('dpkg-checkbuilddeps', 'packaging/debian/control')
        if done.returncode:
            self.skipTest(done.stdout.strip())
        self.build()
        packages = [glob.glob('%s/%s_*.deb' % (self.home, name))[0] for name in self.PACKAGES]
        needs = self.must('dpkg-deb', '--field', packages[0], 'Depends')
        self.assertIn('python3-cliff', needs)
        self.assertNotIn('os-brick', needs)     # only an extra needs it
        before = self.nova_tree()
        for folder in ('info', 'updates', 'triggers'):
            os.makedirs(os.path.join(self.root, 'var/lib/dpkg', folder))
        for name in ('status', 'available'):
            open(os.path.join(self.root, 'var/lib/dpkg', name), 'w').close()
        # Not configured: that would compile the modules with a Python in the root, which has none.
        dpkg = ['dpkg', '--root=' + self.root, '--force-not-root', '--force-depends', '--log=/dev/null']
        self.must(*dpkg, '--unpack', *packages)
        self.check_installed(before)
        self.must(*dpkg, '--purge', *reversed(self.PACKAGES))
        self.check_removed(before)


class RpmTest(PackageBase):
    """The packages of rpm, with this Python for the distribution's."""

    SITE = sysconfig.get_path('purelib', vars={'base': 'usr'})

    def test_built_installed_beside_nova_started_and_removed(self):
        self.need('rpmbuild', 'rpm')
        if os.geteuid():
            self.skipTest('rpm installs into another root for root only')
        for name in ('pip', 'wheel', 'setuptools', 'pbr'):
            if importlib.util.find_spec(name) is None:
                self.skipTest('needs %s' % name)
        checkout.copy(self.tree)
        programs = os.path.join(self.home, 'bin')
        os.mkdir(programs)
        with open(os.path.join(programs, 'rpmbuild'), 'w', encoding='utf-8') as script:
            # What it needs is not in rpm's database here.
            script.write('#!/bin/sh\nexec /usr/bin/rpmbuild --nodeps --define "__python3 %s" "$@"\n'
                         % sys.executable)
        os.chmod(os.path.join(programs, 'rpmbuild'), 0o755)
        self.environ['PATH'] = programs + os.pathsep + SYSTEM_PATH
        self.build()
        packages = [glob.glob('%s/rpmbuild/RPMS/noarch/%s-0.1-*.rpm' % (self.home, name))[0]
                    for name in self.PACKAGES]
        before = self.nova_tree()
        rpm = ['rpm', '--root', self.root, '--dbpath', '/var/lib/rpm']
        self.must(*rpm, '--initdb')
        self.must(*rpm, '--install', '--nodeps', *packages)
        self.check_installed(before)
        self.must(*rpm, '--erase', '--nodeps', *reversed(self.PACKAGES))
        self.check_removed(before)
