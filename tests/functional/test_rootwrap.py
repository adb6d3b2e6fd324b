# SPDX-License-Identifier: Apache-2.0
"""The files in etc/: what glance-api's user may do as root by them, and what not.

oslo.rootwrap itself runs the filters, sudo its rule, and a real volume is attached with nothing else. An
attack that got through would do no harm here: owners stay what they are, and there is nothing to mount.
"""

import configparser
import contextlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import unittest
import uuid

import ddt
import testtools

from lab import poll
from tests.functional import rootwrap_user
from tests.functional import shared

MISSING = [name for name in ('oslo_rootwrap', 'oslo_privsep', 'os_brick', 'glance_store')
           if not importlib.util.find_spec(name)]
REASON = 'not installed here: %s' % ', '.join(MISSING)
REFUSED = {96: 'Executable not found', 99: 'Unauthorized command'}
SOCKET = '/tmp/tmpab12_xyz/privsep.sock'
CONTEXT = 'os_brick.privileged.default'
CHOWN = ['chown', '--no-dereference', '0']
NOT_THERE = '/dev/sdzzzz'
STOCK_FILTERS = os.path.join(sys.prefix, 'etc', 'glance', 'rootwrap.d')


def helper(**changes):
    """Return the command that starts os-brick's daemon, as it is allowed but for changes."""
    right = dict({'program': rootwrap_user.scripts('privsep-helper'), 'config': '{etc}/privsep.conf',
                  'context': CONTEXT, 'socket': SOCKET}, **changes)
    return [right['program'], '--config-file', right['config'], '--privsep_context', right['context'],
            '--privsep_sock_path', right['socket']]


# {etc}: the folder of the files; {folder}: one of the attacker's own, with evil.conf, a program
# privsep-helper, and a link to a file of root's
ATTACKS = {
    'the password file': ['chown', '0', '/etc/shadow'],
    'the password file, our way': CHOWN + ['/etc/shadow'],
    'dots after /dev': CHOWN + ['/dev/../etc/shadow'],
    'dots after a device': CHOWN + ['/dev/sda/../../etc/shadow'],
    'dots that lead nowhere else': CHOWN + ['/dev/shm/../sda'],
    'a link in a folder that everybody may write': CHOWN + ['/dev/shm/{link}'],
    'a link of the attacker': ['chown', '0', '{folder}/link'],
    'an open file by its number': CHOWN + ['/dev/fd/0'],
    'standard input': CHOWN + ['/dev/stdin'],
    'a name of udev, which is a link': CHOWN + ['/dev/disk/by-id/scsi-1'],
    'a name of device mapper': CHOWN + ['/dev/mapper/root'],
    'memory': CHOWN + ['/dev/mem'],
    'a partition': CHOWN + ['/dev/sda1'],
    'the disk of a virtual machine': CHOWN + ['/dev/vda'],
    'a loop device': CHOWN + ['/dev/loop0'],
    'a device and one file more': CHOWN + ['/dev/sda', '/etc/shadow'],
    'two lines': CHOWN + ['/dev/sda\n/etc/shadow'],
    'following links': ['chown', '0', '/dev/sda'],
    'following links by the last word': ['chown', '--no-dereference', '0', '--dereference', '/dev/sda'],
    'a whole tree': ['chown', '--recursive', '0', '/dev/sda'],
    'a group': ['chown', '--no-dereference', '0:0', '/dev/sda'],
    'an owner by name': ['chown', '--no-dereference', 'root', '/dev/sda'],
    'the owner of another file': ['chown', '--no-dereference', '--reference=/etc/shadow', '/dev/sda'],
    'another chown': ['{folder}/chown', '--no-dereference', '0', '/dev/sda'],
    'a mount over root\'s files': ['mount', '--bind', '{folder}/evil', '/etc/sudoers.d'],
    'any mount': ['mount', '-t', 'nfs', 'host.invalid:/x', '/mnt'],
    'unmounting the system': ['umount', '/nonexistent'],
    'the helper as oslo.rootwrap always allows it': ['privsep-helper'] + helper()[1:],
    'the same with a foreign file': ['privsep-helper'] + helper(config='{folder}/evil.conf')[1:],
    'the same in the folder of the caller': ['./privsep-helper'] + helper()[1:],
    'a foreign configuration file': helper(config='{folder}/evil.conf'),
    'dots in the configuration file': helper(config='{etc}/../../{folder}/evil.conf'),
    "stock's way out of /etc": helper(config='/etc/glance/../../{folder}/evil.conf'),
    "Glance's own configuration": helper(config='/etc/glance/glance-api.conf'),
    'one configuration file more': helper()[:3] + ['--config-file', '{folder}/evil.conf'] + helper()[3:],
    'a folder of configuration': helper() + ['--config-dir', '{folder}'],
    'a logging configuration': helper() + ['--log-config-append', '{folder}/evil.conf'],
    'a log file': helper() + ['--log-file', '/etc/cron.d/evil'],
    'another context': helper(context='evil.context'),
    "Nova's context": helper(context='nova.privsep.sys_admin_pctxt'),
    'a context of dots': helper(context='os_brick-privileged-default'),
    "somebody else's socket": helper(socket='/run/docker.sock'),
    'dots in the socket': helper(socket='/tmp/../run/privsep.sock'),
    'no socket of privsep': helper(socket='/tmp/tmpab12_xyz/other.sock'),
    'a helper of the attacker': helper(program='{folder}/privsep-helper'),
    'a helper that is elsewhere': helper(program='/nonexistent/privsep-helper'),
    'a disk by its target of iSCSI': CHOWN + ['/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-iqn.x-lun-0'],
    'a logical volume by its name': CHOWN + ['/dev/volumes/volume-1'],
    'a SCSI disk by its generic device': CHOWN + ['/dev/sg0'],
    'dots after a volume on a share': CHOWN + ['/var/lib/glance/mnt/../../../etc/shadow'],
    'a volume on a share, where no line allows it': CHOWN + [
        '/var/lib/glance/mnt/%s/volume-%s' % ('0' * 32, uuid.UUID(int=0))],
    'a session of iSCSI': ['iscsiadm', '-m', 'session'],
    'another target of iSCSI': ['iscsiadm', '-m', 'node', '-T', 'iqn.x', '-p', '127.0.0.1:3260', '--login'],
    'a scan of the SCSI bus': ['tee', '-a', '/sys/class/scsi_host/host0/scan'],
    'the removal of a disk': ['tee', '-a', '/sys/block/sda/device/delete'],
    'the buffers of a disk': ['blockdev', '--flushbufs', '/dev/sda'],
    'the bytes of a disk': ['dd', 'if=/dev/sda', 'of={folder}/stolen'],
    'a map of paths': ['multipath', '-f', 'x'],
    'a list of disks': ['lsscsi'],
    'the share of another volume': ['mount', '-t', 'nfs', '127.0.0.1:/', '{folder}'],
    'unmounting a share': ['umount', '/var/lib/glance/mnt/' + '0' * 32],
    'a folder for a share': ['mkdir', '-p', '/var/lib/glance/mnt/x'],
    'a shell': ['sh', '-c', 'true'],
    'an interpreter': [sys.executable, '-c', ''],
    'reading': ['cat', '/etc/shadow'],
    'writing': ['tee', '/dev/null'],
    'an environment': ['env', 'PYTHONPATH={folder}'] + helper(),
    'rootwrap within rootwrap': ['glance-rootwrap', '{folder}/evil.conf', 'id'],
    'nothing at all': [''],
}
#: Of these, what glance_store's own filters let through: section 2 of the notes on them, and more.
STOCK_LETS_THROUGH = {'the password file', 'a link of the attacker', "a mount over root's files", 'any mount',
                      'unmounting the system', 'the same with a foreign file', 'following links'}


def need_user():
    """Skip a class of tests where there can be no other user. To find that out takes a second."""
    why = REASON if MISSING else rootwrap_user.unavailable()
    if why:
        raise unittest.SkipTest(why)


class FilesTestCase(testtools.TestCase):
    """Has the files, with the paths of a folder, and an attacker's folder."""

    def setUp(self):
        super().setUp()
        if MISSING:
            self.skipTest(REASON)
        self.folder = shared.folder('attacker')
        self.etc = os.path.join(shared.folder('rootwrap'), 'etc')
        rootwrap_user.install(self.etc, os.path.join(self.folder, 'sudoers'), 'glance')
        self.conf = os.path.join(self.etc, 'rootwrap.conf')
        for name in ('privsep-helper', 'chown'):
            self.write(name, '#!/bin/sh\necho got through\n', 0o755)
        self.write('evil.conf', '[DEFAULT]\nfilters_path=%s\n' % self.folder)
        self.write('of_root', 'root alone\n')
        os.symlink(os.path.join(self.folder, 'of_root'), os.path.join(self.folder, 'link'))
        os.makedirs(os.path.join(self.folder, 'evil'))
        self.link = 'multistore-' + uuid.uuid4().hex
        with contextlib.suppress(OSError):
            os.symlink(os.path.join(self.folder, 'of_root'), '/dev/shm/' + self.link)
            self.addCleanup(os.unlink, '/dev/shm/' + self.link)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        os.chmod(path, mode)

    def filled(self, command):
        return [word.format(etc=self.etc, folder=self.folder, link=self.link) for word in command]

    def rootwrap(self, command):
        """Run a command through oslo.rootwrap; return its exit code and what it printed."""
        with open(os.path.join(self.folder, 'of_root'), 'rb') as stdin:
            done = subprocess.run(
                [rootwrap_user.scripts('oslo-rootwrap'), self.conf] + self.filled(command), stdin=stdin,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder, timeout=60,
                universal_newlines=True)
        return done.returncode, done.stdout


@ddt.ddt
class AttacksTest(FilesTestCase):
    """Through oslo.rootwrap, by the files that are installed."""

    @ddt.data(*sorted(ATTACKS))
    def test_is_refused(self, what):
        code, output = self.rootwrap(ATTACKS[what])
        self.assertIn(code, REFUSED, output)
        self.assertIn(REFUSED[code], output)
        self.assertNotIn('got through', output)

    def test_the_words_are_distinguished_from_a_refusal_by_chance(self):
        # Each of these differs from an attack in what makes it one.
        code, output = self.rootwrap(CHOWN + [NOT_THERE])
        self.assertEqual(1, code, output)
        self.assertIn("cannot access '%s'" % NOT_THERE, output)
        code, output = self.rootwrap(helper())
        self.assertEqual(1, code, output)
        self.assertIn('No such file or directory', output)
        self.assertIn(sysconfig.get_path('purelib'), output)

    def test_stocks_filters_let_some_of_them_through(self):
        if not os.path.isdir(STOCK_FILTERS):
            self.skipTest('glance_store has no filters in %s' % STOCK_FILTERS)
        ours = self.let_through([os.path.join(self.etc, 'rootwrap.d')], '/nonexistent')
        stock = self.let_through([STOCK_FILTERS], ':'.join(['/bin', sysconfig.get_path('scripts')]))
        print('attacks: %d; let through by glance_store: %d, by ours: %d' % (
            len(ATTACKS), len(stock), len(ours)), file=sys.stderr)
        self.assertEqual([], ours)
        self.assertEqual(set(), STOCK_LETS_THROUGH - set(stock))

    def let_through(self, filters_path, exec_dirs):
        from oslo_rootwrap import wrapper
        found = []
        for what, command in ATTACKS.items():
            with contextlib.suppress(wrapper.NoFilterMatched, wrapper.FilterMatchNotExecutable):
                wrapper.match_filter(wrapper.load_filters(filters_path), self.filled(command),
                                     exec_dirs.split(':'))
                found.append(what)
        return found


@ddt.ddt
class DevicesTest(FilesTestCase):
    """What the kernel calls what os-brick attaches."""

    @ddt.data('sda', 'sdab', 'dm-12', 'nvme0n1', 'nvme1c0n2', 'rbd7', 'drbd1000', 'scinia', 'sp-3', 'md127')
    def test_may_be_handed_over_to_glance_and_back(self, name):
        from oslo_rootwrap import wrapper
        filters = wrapper.load_filters([os.path.join(self.etc, 'rootwrap.d')])
        found = wrapper.match_filter(filters, CHOWN + ['/dev/' + name], ['/nonexistent'])
        self.assertEqual(['/bin/chown', '--no-dereference', '0', '/dev/' + name],
                         found.get_command(CHOWN + ['/dev/' + name]))


class InstallTest(FilesTestCase):
    """How they get onto the machine."""

    def test_they_are_data_files_of_the_package(self):
        parser = configparser.ConfigParser()
        parser.read(os.path.join(rootwrap_user.CHECKOUT, 'setup.cfg'))
        self.assertIn('share/multistore-hooks/etc = etc/multistore-hooks/*', parser['files']['data_files'])

    def test_no_search_path_is_the_callers_to_choose(self):
        parser = configparser.RawConfigParser()
        parser.read(os.path.join(rootwrap_user.SHIPPED, 'rootwrap.conf'))
        for name in ('filters_path', 'exec_dirs'):
            for folder in parser['DEFAULT'][name].split(','):
                self.assertTrue(os.path.isabs(folder), name)
        self.assertFalse(os.path.exists(parser['DEFAULT']['exec_dirs']))

    def test_the_helpers_command_is_the_one_that_the_filters_know(self):
        # What the driver makes of its options' defaults, completed by privsep.
        from multistore_hooks.volume_store import brick
        from multistore_hooks.volume_store import options
        from oslo_rootwrap import wrapper
        values = {option.dest: option.default for option in options.OPTS}
        settings = brick.Settings(root_helper=values['root_helper'], host='h',
                                  privsep_config=values['privsep_config'])
        words = brick.helper_command(settings, sysconfig.get_path('scripts')).split()
        self.assertEqual(['sudo', 'glance-rootwrap', '/etc/multistore-hooks/rootwrap.conf'], words[:3])
        asked = words[3:] + ['--privsep_context', CONTEXT, '--privsep_sock_path', SOCKET]
        target = os.path.join(shared.folder('rootwrap'), 'x')
        rootwrap_user.install(target, os.path.join(self.folder, 'sudoers'), 'glance')
        filters = wrapper.load_filters([os.path.join(target, 'rootwrap.d')])
        asked = [word.replace('/etc/multistore-hooks', target) for word in asked]
        found = wrapper.match_filter(filters, asked, ['/nonexistent'])
        self.assertEqual(rootwrap_user.scripts('privsep-helper'), found.get_command(asked)[0])


class UserTest(testtools.TestCase):
    """A real user with sudo's rule."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_user()

    def sudo(self, *command, **more):
        return dict({'command': ['sudo', '--non-interactive'] + list(command)}, **more)

    def test_sudo_runs_rootwrap_with_our_file_and_nothing_else(self):
        rootwrap = rootwrap_user.scripts('glance-rootwrap')
        conf = rootwrap_user.CONF
        refused = [
            self.sudo('id'), self.sudo(rootwrap, '/tmp/evil.conf', 'id'), self.sudo(rootwrap),
            self.sudo(rootwrap, conf + '/../../../tmp/evil.conf', 'id'),
            self.sudo(rootwrap_user.scripts('oslo-rootwrap'), conf, 'chown'),
            self.sudo('PYTHONPATH=/tmp', rootwrap, conf, 'id'),
            self.sudo('--preserve-env', rootwrap, conf, 'id')]
        came = rootwrap_user.enter({'what': 'commands', 'commands': refused + [
            self.sudo(rootwrap, conf, 'chown', '0', '/etc/shadow'),
            self.sudo(rootwrap, conf, *CHOWN + [NOT_THERE]), {'command': ['id', '-u']}]})
        for one, (code, output) in zip(refused, came):
            self.assertEqual(1, code, (one, output))
            self.assertRegex(output, 'password is required|not allowed', one)
        self.assertEqual(99, came[-3][0], came)
        self.assertEqual(1, came[-2][0], came)
        self.assertIn("cannot access '%s'" % NOT_THERE, came[-2][1])
        self.assertNotEqual('0', came[-1][1].strip())

    def test_os_brick_becomes_root_in_its_own_environment(self):
        came = rootwrap_user.enter({'what': 'brick'})
        self.assertEqual(0, came['uid'])
        self.assertIn(rootwrap_user.scripts('privsep-helper'), came['command'])
        self.assertIn(rootwrap_user.ETC + '/privsep.conf', came['command'])


class StoreTest(testtools.TestCase):
    """The store driver as glance-api's user: real Cinder, real device, sudo, rootwrap, privsep."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_user()
        from lab.volume_store.lab import Lab
        from lab.volume_store.lab import ours
        from lab.volume_store.lab import unavailable_with
        if unavailable_with(['loop']):
            raise unittest.SkipTest(unavailable_with(['loop']))
        cls.lab = Lab(shared.folder('rootwrap-lab'), {'gold': ours('loop')})
        cls.addClassCleanup(cls.lab.stop)
        cls.lab.start()

    def store(self, **order):
        options = dict(self.lab.stores()['gold'][1])
        options['root_helper'] = rootwrap_user.root_helper()
        options.pop('attachment_dir')
        options.pop('privsep_config', None)
        return rootwrap_user.enter(dict({'what': 'store', 'options': options, 'size': 9 << 20,
                                         'image': str(uuid.uuid4())}, **order))

    def test_upload_download_and_delete_with_the_shipped_files_only(self):
        came = self.store()
        self.assertNotIn('error', came)
        self.assertNotEqual(0, came['uid'])
        self.assertEqual([9 << 20, [True, True], True], [came['size'], came['right'], came['read']])
        self.assertIn(rootwrap_user.scripts('privsep-helper'), came['helper'])
        self.assert_nothing_is_left()

    def test_without_the_filter_for_devices_it_says_what_is_missing_and_leaves_nothing(self):
        came = self.store(loops=False)
        self.assertIn('chown', came.get('error', ''), came)
        self.assert_nothing_is_left()

    def assert_nothing_is_left(self):
        poll.until('end of all volumes', lambda: not self.lab.cinder.volumes())
        self.assertEqual({}, self.lab.cinder.attachments())
        self.assertEqual([], self.lab.left())
        for name in os.listdir('/dev'):
            if name.startswith('loop') and name[4:].isdigit():
                self.assertEqual(0, os.stat('/dev/' + name).st_uid, name)
