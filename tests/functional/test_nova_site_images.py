# SPDX-License-Identifier: Apache-2.0
"""Site images: the real Nova with the hooks, a real Glance, real Ceph clusters."""

import base64
import json
import os
import re
import signal
import subprocess
import sys

import fixtures
from testtools.matchers import StartsWith

from lab import ceph
from lab import http_server
from lab.nova import compute_hosts
from tests.functional import copy_sites
from tests.functional.copy_sites import boot
from tests.functional.copy_sites import MEGABYTE
from tests.functional.copy_sites import MEMBER
from tests.functional.copy_sites import NEVER
from tests.functional.copy_sites import random
from tests.functional.copy_sites import SERVICE
from tests.functional import shared

# What mkisofs is called with: -o FILE, options, FOLDER.
PACKER = """#!/bin/sh
for folder; do :; done
while [ "$1" != -o ]; do shift; done
exec tar --create --file "$2" --directory "$folder" .
"""
NAME = r'vms/multistore_hooks\.site_image\.%s\.[0-9a-f]{16}@base'


def qcow2(megabytes, *options):
    """Return a qcow2 image of the random data of so many megabytes."""
    folder = shared.folder('qcow2')
    raw, made = os.path.join(folder, 'raw'), os.path.join(folder, 'qcow2')
    with open(raw, 'wb') as stream:
        stream.write(random(megabytes))
    subprocess.run(['qemu-img', 'convert', '-O', 'qcow2'] + list(options) + [raw, made], check=True)
    with open(made, 'rb') as stream:
        return stream.read()


def qcow2_with_backing_file():
    """Return a qcow2 image that refers to a file of the host."""
    folder = shared.folder('backed')
    made = os.path.join(folder, 'qcow2')
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-F', 'raw', '-b', '/etc/hostname', made,
                    '4M'], check=True)
    with open(made, 'rb') as stream:
        return stream.read()


class Neutron(fixtures.Fixture):
    """A Neutron that knows of no ports, which Nova asks for a config drive."""

    class Server(http_server.JsonServer):

        def respond(self, method, path, headers, body):
            return 200, {'ports': [], 'security_groups': []}, {}

    def _setUp(self):
        server = self.Server()
        server.__enter__()
        self.addCleanup(server.__exit__)
        self.url = server.url


class SiteImageTestCase(copy_sites.SitesTestCase):
    """Hosts with site images; Glance keeps the images in a file store."""

    def site_host(self, *args, site_images='only', **conf):
        return self.host(*args, multistore_hooks={'site_images': site_images}, **conf)

    def qcow2_image(self, megabytes=4):
        return self.image(data=qcow2(megabytes), disk_format='qcow2')

    def assertFromSite(self, booted, image, cluster, megabytes=4):
        """The disk is a clone of a site image, with the bytes of the image."""
        self.assertEqual((None, 'clone'), (booted['error'], booted['outcome']))
        self.assertTrue(re.match(NAME % image + '$', booted['parent']), booted['parent'])
        self.assertBytes(cluster.read(booted['disk'], megabytes * MEGABYTE), megabytes)

    def whole_downloads(self):
        """Return the downloads but those of one byte, which try whether the user may."""
        return [get for get in self.downloads() if get['status'] == 200]

    def site_images(self, cluster):
        return [name for name in cluster.rbd('ls', 'vms').split() if name.startswith('multistore_hooks.')]


class BootTest(SiteImageTestCase):

    def test_qcow2_is_downloaded_once_for_a_site_and_cloned_by_all(self):
        image = self.qcow2_image()
        hosts = [self.site_host(), self.site_host(number=1)]
        ran = compute_hosts.run_all(hosts, [[boot(image, name=name) for name in 'ab']] * 2, parallel=2)
        parents = set()
        for one in ran:
            for booted in one['results']:
                self.assertFromSite(booted, image, self.a)
                parents.add(booted['parent'])
            self.assertEqual([], one['base_files'])
        self.assertEqual(1, len(parents))
        self.assertEqual(1, len(self.whole_downloads()))
        self.assertEqual([], self.asked(image))

    def test_disk_is_as_nova_makes_it_by_itself_of_raw_qcow2_and_vmdk(self):
        ours, stock = self.site_host(), self.host('', copy_sites.STOCK)
        for data, disk_format in ((random(4), 'raw'), (qcow2(4), 'qcow2'), (self.vmdk(), 'vmdk')):
            image = self.image(data=data, disk_format=disk_format)
            booted = self.boot(ours, image, root_gb=1)
            self.assertFromSite(booted, image, self.a)
            by_itself = self.boot(stock, image, root_gb=1)
            self.assertFlat(by_itself)
            self.assertTrue(self.disk(booted) == self.disk(by_itself), disk_format)

    def disk(self, booted):
        """Return the size of a disk, and its bytes up to some that the image does not have."""
        size = json.loads(self.a.rbd('info', '--format', 'json', booted['disk']))['size']
        return size, self.a.read(booted['disk'], 5 * MEGABYTE)

    def vmdk(self):
        folder = shared.folder('vmdk')
        raw, made = os.path.join(folder, 'raw'), os.path.join(folder, 'vmdk')
        with open(raw, 'wb') as stream:
            stream.write(random(4))
        subprocess.run(['qemu-img', 'convert', '-O', 'vmdk', '-o', 'subformat=monolithicSparse', raw, made],
                       check=True)
        with open(made, 'rb') as stream:
            return stream.read()

    def test_image_that_nova_refuses_is_refused_still(self):
        image = self.image(data=qcow2(4), disk_format='raw')
        booted = self.boot(self.site_host(), image)
        self.assertEqual('none', booted['outcome'])
        self.assertIn('ImageUnacceptable', booted['error'])
        self.assertEqual([], [name for name in self.site_images(self.a) if image in name])

    def test_a_download_for_the_site_is_no_download_for_the_server(self):
        image = self.qcow2_image()
        self.assertFromSite(self.boot(self.site_host(**NEVER), image), image, self.a)

    def test_copying_that_is_refused_falls_back_to_a_site_image(self):
        image = self.image()
        booted = self.boot(self.site_host(allowed=False, site_images='fallback'), image)
        self.assertFromSite(booted, image, self.a)
        self.assertEqual([403], self.asked(image))

    def test_glance_that_can_copy_does_so_in_fallback(self):
        image = self.image()
        self.assertCloned(self.boot(self.site_host(site_images='fallback'), image), image, self.a)
        self.assertEqual([], self.whole_downloads())

    def test_image_that_is_here_is_cloned(self):
        image = self.image('dcn1')
        self.assertCloned(self.boot(self.site_host(), image), image, self.a)

    def test_host_without_a_store_of_its_own_in_glance(self):
        image = self.qcow2_image()
        self.assertFromSite(self.boot(self.site_host(store='', allowed=False), image), image, self.a)

    def test_user_who_may_not_download_it_is_refused_though_the_site_has_it(self):
        image = self.qcow2_image()
        host = self.site_host(**NEVER)
        self.assertFromSite(self.boot(host, image), image, self.a)
        self.glance.fault('GET', '/file$', status=403, times=1)
        booted = self.boot(host, image)
        self.assertEqual('none', booted['outcome'])
        self.assertIn('does not let this user download it', booted['error'])

    def test_deactivated_image_is_refused_though_the_site_has_it(self):
        image = self.qcow2_image()
        host = self.site_host(**NEVER)
        self.assertFromSite(self.boot(host, image), image, self.a)
        self.glance.request('POST', '/v2/images/%s/actions/deactivate' % image)
        booted = self.boot(host, image)
        self.assertEqual('none', booted['outcome'])
        self.assertIn('its status is deactivated', booted['error'])

    def test_qcow2_with_a_backing_file_is_refused_in_novas_own_words_and_no_site_image_stays(self):
        image = self.qcow2_image()
        self.replace(image, qcow2_with_backing_file())
        refused = self.boot(self.host('', copy_sites.STOCK), image)
        self.assertThat(refused['error'], StartsWith('ImageUnacceptable'))
        booted = self.boot(self.site_host(), image)
        self.assertEqual(('none', refused['error']), (booted['outcome'], booted['error']))
        self.assertEqual([], [name for name in self.site_images(self.a) if image in name])

    def replace(self, image, data):
        """Put other data in the place of an image's, as an older Glance would have taken them."""
        with open(os.path.join(self.glance.dir('central'), image), 'wb') as stream:
            stream.write(data)
        self.change('UPDATE images SET size = ?, checksum = NULL, os_hash_algo = NULL, os_hash_value = NULL '
                    'WHERE id = ?', len(data), image)


class PolicyTest(SiteImageTestCase):
    """A Glance that lets some users see images that they may not download."""

    name, options = 'roles', {'policy': {'download_image': 'role:downloader'}}

    def test_policy_that_forbids_the_download_forbids_the_site_image(self):
        image = self.qcow2_image()
        host = self.site_host(**NEVER)
        self.assertFromSite(self.boot(host, image, token=MEMBER + ',downloader'), image, self.a)
        booted = self.boot(host, image)
        self.assertEqual('none', booted['outcome'])
        self.assertIn('does not let this user download it', booted['error'])


class OtherDisksTest(SiteImageTestCase):
    """Config drives, swap and ephemeral disks, which hold what belongs to one server."""

    SECRET = b'a password of one tenant'

    def setUp(self):
        super().setUp()
        neutron = self.useFixture(Neutron()).url
        # Nova writes the files of a config drive; all that the program does is to put them into one.
        packer = os.path.join(shared.folder('packer'), 'mkisofs')
        with open(packer, 'w', encoding='utf-8') as stream:
            stream.write(PACKER)
        os.chmod(packer, 0o700)
        self.conf = {'DEFAULT': {'mkisofs_cmd': packer}, 'neutron': {
            'auth_type': 'admin_token', 'endpoint': neutron, 'token': 'admin', 'endpoint_override': neutron}}

    def boot_with_all(self, host, image):
        """Boot a server with every kind of disk, and rescue it; return the parent of each disk, by name."""
        self.ran = host.run(
            boot(image, name=image, swap_mb=1, ephemeral_gb=1,
                 user_data=base64.b64encode(self.SECRET).decode()),
            {'operation': 'rescue', 'image_ref': image, 'name': image, 'token': MEMBER})
        self.assertEqual([None, None], [one['error'] for one in self.ran['results']])
        server = self.ran['results'][0]['server']
        disks = {}
        for name in self.a.rbd('ls', 'vms').split():
            if name.startswith(server):
                info = json.loads(self.a.rbd('info', '--format', 'json', 'vms/' + name))
                disks[name[len(server):]] = info.get('parent', {}).get('image')
                if '.config' in name:
                    self.assertIn(self.SECRET, self.a.read('vms/' + name, info['size']))
        return disks

    def test_only_root_disks_of_servers_and_of_rescues_are_clones_of_site_images(self):
        stock = self.boot_with_all(self.host('', copy_sites.STOCK, **self.conf), self.qcow2_image())
        self.assertEqual({None}, set(stock.values()))
        image = self.qcow2_image()
        disks = self.boot_with_all(self.site_host(**self.conf), image)
        made, = [name for name in self.site_images(self.a) if image in name]
        self.assertEqual(dict(stock, _disk=made, **{'_disk.rescue': made}), disks)
        self.assertEqual(6, len(disks))


class SnapshotTestCase(SiteImageTestCase):

    def snapshot(self, host, image, operation='snapshot'):
        self.booted = self.boot(host, image, name='of-' + image)
        self.assertIsNone(self.booted['error'])
        self.ran = host.run({'operation': operation, 'name': 'of-' + image, 'image_name': 's',
                             'token': SERVICE})
        result = self.ran['results'][0]
        self.assertIsNone(result['error'])
        return result


class SnapshotTest(SnapshotTestCase):

    def test_direct_snapshot_of_a_clone_of_a_site_image_is_in_glances_pool(self):
        image = self.qcow2_image()
        snapshot = self.snapshot(self.site_host(), image)['image_id']
        self.assertIn(snapshot, self.a.rbd('ls', 'images').split())
        self.assertNotIn(snapshot, self.a.rbd('ls', 'vms').split())
        self.assertBytes(self.a.read('images/%s@snap' % snapshot, 4 * MEGABYTE))
        self.assertEqual([], self.glance.requests('PUT', snapshot + '/file$'))
        self.assertBytes(self.glance.download(snapshot))

    def test_host_without_a_store_of_its_own_uploads_the_snapshot(self):
        image = self.qcow2_image()
        snapshot = self.snapshot(self.site_host(store='', allowed=False), image)['image_id']
        self.assertEqual({'central'}, self.glance.stores_of(snapshot))
        self.assertBytes(self.glance.download(snapshot))
        self.assertNotIn(snapshot, self.a.rbd('ls', 'vms').split())

    def test_server_that_is_unshelved_is_flat_and_its_direct_snapshot_is_in_glances_pool(self):
        image, host = self.qcow2_image(), self.site_host()
        shelved = self.snapshot(host, image, 'shelve')['image_id']
        unshelved, = host.run({'operation': 'unshelve', 'image_ref': shelved, 'base_image_ref': image,
                               'name': shelved, 'token': SERVICE, 'root_gb': 0})['results']
        self.assertFlat(unshelved)
        self.assertEqual([], [name for name in self.site_images(self.a) if shelved in name])
        taken, = host.run({'operation': 'snapshot', 'name': shelved, 'image_name': 's',
                           'token': SERVICE})['results']
        self.assertIsNone(taken['error'])
        self.assertIn(taken['image_id'], self.a.rbd('ls', 'images').split())
        self.assertEqual([], self.glance.requests('PUT', taken['image_id'] + '/file$'))
        self.assertBytes(self.a.read('images/%s@snap' % taken['image_id'], 4 * MEGABYTE))


class StoresTest(SnapshotTestCase):
    """Two stores of Glance are in the cluster of this host, which names one of them."""

    name, options = 'pools', {'pools': {'hdd': 'vms'}}

    def test_image_in_the_other_store_is_copied_to_the_named_one_and_cloned_there(self):
        for mode in ('off', 'fallback'):
            image, host = self.image('hdd'), self.site_host(site_images=mode)
            snapshot = self.snapshot(host, image)['image_id']
            self.assertCloned(self.booted, image, self.a)
            self.assertEqual([202], self.asked(image))
            self.assertIn(snapshot, self.a.rbd('ls', 'images').split())

    def test_image_in_the_other_store_is_cloned_there_where_no_copy_is_requested(self):
        image = self.image('hdd')
        booted = self.boot(self.site_host(), image)
        self.assertEqual((None, 'vms/%s@snap' % image), (booted['error'], booted['parent']))
        self.assertEqual(([], []), (self.asked(image), self.whole_downloads()))


class HiddenTest(SnapshotTest):
    """A Glance that shows no locations."""

    name, options = 'hidden', {'locations': False}

    def test_flat_disk_is_taken_inside_the_cluster(self):
        image = self.image()
        host = self.host(allowed=False)  # it may not copy: its disks are flat
        snapshot = self.snapshot(host, image)['image_id']
        self.assertIn(snapshot, self.a.rbd('ls', 'images').split())
        self.assertEqual([], self.glance.requests('PUT', snapshot + '/file$'))
        self.assertBytes(self.a.read('images/%s@snap' % snapshot, 4 * MEGABYTE))


class LeaderTest(SiteImageTestCase):
    """The host that makes a site image hangs in its download."""

    def hang(self, image):
        """Let a host begin; return it when it leads."""
        host = self.site_host(number=7)
        host.ready()
        # The first request is for one byte.
        self.glance.fault('GET', image + '/file$', action='hang', seconds=300, skip=1)
        self.addCleanup(self.glance.clear_faults)
        host.start([boot(image)])
        self.wait_until(lambda: 'Making the site image multistore_hooks.site_image.%s' % image in host.log)
        return host

    def forget(self, host):
        for key in [key for key, known in copy_sites._hosts.items() if known is host]:
            del copy_sites._hosts[key]

    def test_leader_that_is_killed_is_replaced(self):
        image = self.qcow2_image()
        host = self.hang(image)
        self.forget(host)
        host.kill()
        self.addCleanup(host.stop)
        self.assertFromSite(self.boot(self.site_host(), image), image, self.a)
        self.assertEqual(1, len([name for name in self.site_images(self.a) if image in name]))

    def test_leader_that_is_stopped_beyond_its_lease_and_goes_on_does_no_harm(self):
        image = self.qcow2_image()
        host = self.hang(image)
        os.kill(host.pid, signal.SIGSTOP)
        try:
            booted = self.boot(self.site_host(), image)
        finally:
            os.kill(host.pid, signal.SIGCONT)
        self.assertFromSite(booted, image, self.a)
        self.glance.clear_faults()
        late = host.results()['results'][0]
        self.assertIsNone(late['error'])
        self.assertBytes(self.a.read(late['disk'], 4 * MEGABYTE))
        self.assertIn(booted['parent'][len('vms/'):-len('@base')], self.site_images(self.a))


class LeastPrivilegeTest(SiteImageTestCase):
    """Nova's Ceph user has the capabilities that the page of site images documents, and no others."""

    def user(self, name, pools):
        """Let there be a user of the cluster that writes some pools, and reads Glance's."""
        writes = ', '.join('profile rbd pool=%s' % pool for pool in pools)
        key = self.a.ceph('auth', 'get-or-create', 'client.%s' % name)  # another test may have made it
        self.a.ceph('auth', 'caps', 'client.%s' % name, 'mon', 'profile rbd', 'mgr', 'profile rbd', 'osd',
                    writes + ', profile rbd-read-only pool=images')
        with open(self.a.keyring, 'r+', encoding='utf-8') as keyring:
            if 'client.%s]' % name not in keyring.read():
                keyring.write(key)

    def clone_formats(self):
        """Yield each format of clones while it is the one that the cluster makes."""
        for clone_format in ('1', '2'):
            self.a.ceph('config', 'set', 'client', 'rbd_default_clone_format', clone_format)
            self.addCleanup(self.a.ceph, 'config', 'rm', 'client', 'rbd_default_clone_format')
            yield clone_format

    def cli(self, verb, name, user, pool):
        return ['multistore-hooks', 'site', 'image', verb, name, '--ceph-conf', self.a.conf,
                '--ceph-user', user, '--pool', pool]

    def test_boot_snapshot_and_removal(self):
        self.user('nova', ['vms'])
        host = self.site_host(libvirt={'rbd_user': 'nova'})
        for _format in self.clone_formats():
            image = self.qcow2_image()
            booted = self.boot(host, image, name='of-' + image)
            self.assertFromSite(booted, image, self.a)
            name = booted['parent'][len('vms/'):-len('@base')]
            remove = self.cli('remove', name, 'nova', 'vms')
            self.assertEqual((1, True), self.command(remove, 'are clones of it'))
            self.assertIn(name, self.site_images(self.a))
            host.run({'operation': 'delete', 'name': 'of-' + image})
            self.assertEqual((0, True), self.command(remove, 'is removed'))
            self.assertNotIn(name, self.site_images(self.a))

    def test_pool_of_their_own(self):
        self.a.ceph('osd', 'pool', 'create', 'bases', '8')
        self.a.rbd('pool', 'init', 'bases')
        self.user('site', ['vms', 'bases'])
        host = self.host(libvirt={'rbd_user': 'site'},
                         multistore_hooks={'site_images': 'only', 'site_image_pool': 'bases'})
        for _format in self.clone_formats():
            image = self.qcow2_image()
            booted = self.boot(host, image, name='of-' + image)
            self.assertEqual((None, 'clone'), (booted['error'], booted['outcome']))
            self.assertTrue(re.match((NAME % image).replace('vms/', 'bases/') + '$', booted['parent']),
                            booted['parent'])
            self.assertBytes(self.a.read(booted['disk'], 4 * MEGABYTE))
            name = booted['parent'][len('bases/'):-len('@base')]
            self.assertEqual((0, True), self.command(self.cli('flatten', name, 'site', 'bases') + [
                '--pause', '0'], 'is flat (1 of 1)'))
            self.assertEqual((0, True), self.command(self.cli('remove', name, 'site', 'bases'), 'is removed'))
            self.assertBytes(self.a.read(booted['disk'], 4 * MEGABYTE))
            self.assertEqual('', self.a.rbd('ls', 'bases').strip())
            host.run({'operation': 'delete', 'name': 'of-' + image})

    def command(self, arguments, words):
        modules = ceph.bindings(os.path.join(shared.folder('bindings')))
        ran = subprocess.run(
            [sys.executable, '-c', 'import sys; from multistore_hooks.cli import main; '
             'sys.exit(main.main(sys.argv[1:]))'] + arguments[1:], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=os.pathsep.join(
                [modules, os.environ.get('PYTHONPATH', '')])), universal_newlines=True, check=False)
        return ran.returncode, words in ran.stdout or ran.stdout


class StorageTest(SiteImageTestCase):

    def test_both_sites_download_once_each(self):
        image = self.qcow2_image()
        ran = compute_hosts.run_all([self.site_host(), self.site_host('dcn10')], [[boot(image)]] * 2)
        for one, cluster in zip(ran, (self.a, self.b)):
            self.assertFromSite(one['results'][0], image, cluster)
        self.assertEqual(2, len(self.whole_downloads()))

    def test_image_that_was_cached_is_cloned_and_no_file_stays(self):
        image = self.qcow2_image()
        cached = self.site_host().run({'operation': 'cache_image', 'image_ref': image, 'token': MEMBER})
        self.assertEqual(('cached', []), (cached['results'][0]['outcome'], cached['base_files']))
        self.glance.forget_requests()
        self.assertFromSite(self.boot(self.site_host(), image), image, self.a)
        self.assertEqual([], self.whole_downloads())
